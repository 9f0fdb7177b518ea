"""The grid search from the command line: its files, its errors, and reruns that change no byte."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import calculate_all_results
import compare_results
import eval as eval_script
import main_train_for_parameter_tuning as grid_script
from models import load_method
from tests.conftest import SUBJECTS
from tests.helpers.scripts import ROOT, folder_bytes, run_here
from training.run_settings import grid_configurations
from training.settings import RunSettings

CONFIGURATION = "0.5_1_1_2"
SMALL = ("--method", "causalnet_compact", "--epochs", 2, "--group-size", 1)


def search(monkeypatch: pytest.MonkeyPatch, folder: Path, results: Path, *more: object) -> object:
    arguments = ("--inputs", folder, "--results", results, *SMALL, *more)
    return run_here(monkeypatch, grid_script.main, *arguments)


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results and weights of an uninterrupted run."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        more = ("--save-weights", "--weights", place / "weights")
        assert search(monkeypatch, tiny_folder, place / "results", *more) == 0
    return place


def test_every_file_is_written(finished: Path) -> None:
    folder = finished / "results" / CONFIGURATION
    subjects = [subject for _, subject in SUBJECTS]
    for place in (folder, folder / "oracle"):
        assert sorted(path.name for path in place.glob("*_acc.txt")) == sorted(
            f"{subject}_acc.txt" for subject in subjects
        )
        for name in ("predictions.csv", "CausalNet.xlsx", "confusion_matrix.png"):
            assert (place / name).stat().st_size > 0
    rows = pd.read_csv(folder / "predictions.csv")
    assert len(rows) == 15 and set(rows["epoch"]) == {2} and set(rows["epoch_rule"]) == {"last"}
    summary = (finished / "results" / "result_summary.txt").read_text().splitlines()
    assert [line.split(" | ")[2] for line in summary] == ["last", "cross_fitted", "oracle"]
    assert summary[0].startswith("gamma=0.5, layer1=1, layer2=1, layer3=2 | UF1=0.")


def test_a_rerun_changes_nothing(
    finished: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder_bytes(finished)
    more = ("--save-weights", "--weights", finished / "weights")
    assert search(monkeypatch, tiny_folder, finished / "results", *more) == 0
    assert folder_bytes(finished) == before


def test_a_fold_does_not_depend_on_the_others(
    finished: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search(monkeypatch, tiny_folder, tmp_path, "--subjects", "s01") == 0
    alone = tmp_path / CONFIGURATION / "folds"
    assert [path.name for path in alone.iterdir()] == ["s01.npz"]
    in_run = finished / "results" / CONFIGURATION / "folds" / "s01.npz"
    assert (alone / "s01.npz").read_bytes() == in_run.read_bytes()


def test_folds_of_a_group_equal_lone_folds(
    finished: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search(monkeypatch, tiny_folder, tmp_path, "--group-size", 3) == 0
    for _, subject in SUBJECTS:
        name = f"{CONFIGURATION}/folds/{subject}.npz"
        with np.load(tmp_path / name) as group, np.load(finished / "results" / name) as lone:
            np.testing.assert_allclose(group["logits"], lone["logits"], rtol=1e-3, atol=1e-4)
            assert (group["logits"].argmax(2) == lone["logits"].argmax(2)).all()


def test_eval_of_own_weights_equals_last_exactly(
    finished: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = finished / "weights" / f"results-{CONFIGURATION}"
    code = run_here(
        monkeypatch,
        eval_script.main,
        *("--inputs", tiny_folder, "--weights", weights, "--results", tmp_path),
    )
    trained = finished / "results" / CONFIGURATION / "predictions.csv"
    assert code == 0 and (tmp_path / "predictions.csv").read_bytes() == trained.read_bytes()


def test_another_run_into_the_folder_is_refused_with_the_difference(
    finished: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = search(monkeypatch, tiny_folder, finished / "results", "--seed", 7)
    assert code == 2
    assert "seed is 2025 there and 7 here" in capsys.readouterr().err


def test_a_run_refused_for_its_cost_leaves_the_folder_to_others(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    assert search(monkeypatch, tiny_folder, results, "--epochs", 30_000_000) == 2
    assert not (results / "config.yaml").exists()
    assert search(monkeypatch, tiny_folder, results, "--epochs", 1) == 0


def test_the_oracles_sheet_says_so_and_a_calculator_does_not_change_it(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished / "results" / CONFIGURATION / "oracle"
    sheet = (folder / "CausalNet.xlsx").read_bytes()
    assert run_here(monkeypatch, calculate_all_results.main, folder) == 0
    printed = capsys.readouterr().out
    assert "epoch rule oracle: selected on the test subject" in printed
    assert (folder / "CausalNet.xlsx").read_bytes() == sheet


def test_a_note_of_the_run_stands_beside_every_later_figure(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    flags = "--method", "majority", "--label-shuffle", 1, "--protocol", "leave_one_dataset_out"
    places = "--inputs", tiny_folder, "--results", tmp_path
    assert run_here(monkeypatch, grid_script.main, *places, *flags) == 0
    capsys.readouterr()
    for script in (calculate_all_results, compare_results):
        assert run_here(monkeypatch, script.main, tmp_path / "majority") == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "LABELS SHUFFLED" in printed and "leave_one_dataset_out" in printed


def test_an_evaluation_does_not_replace_a_runs_predictions(
    finished: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = finished / "results" / CONFIGURATION
    weights = finished / "weights" / f"results-{CONFIGURATION}"
    for results in (finished / "results", own, own / "oracle"):
        arguments = ("--inputs", tiny_folder, "--weights", weights, "--results", results)
        assert run_here(monkeypatch, eval_script.main, *arguments) == 2
        assert "results of a training run" in capsys.readouterr().err


def test_a_second_process_is_refused(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from common.files import lock_folder

    with lock_folder(tmp_path):
        assert search(monkeypatch, tiny_folder, tmp_path) == 2
    assert "in use by another process" in capsys.readouterr().err


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_loss_that_is_not_finite_stops_its_fold_only(
    epochs: int,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After one epoch of one step the loss, which is of the weights before it, is still finite."""
    more = ("--learning-rate", 1e9, "--epochs", epochs)
    code = search(monkeypatch, tiny_folder, tmp_path, *more)
    error = capsys.readouterr().err
    assert code == 2 and "fold sub01 of configuration 0.5_1_1_2" in error
    assert f"epoch {epochs}" in error
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--subjects", "sub99"), "no subject is called sub99"),
        (("--epochs", 0), "--epochs 0: give a whole number from 1"),
        (("--gammas", -1), "--gammas -1.0: give a number from 0 to 1"),
        (("--set", "depth=3"), "depth: method causalnet_compact has no such setting"),
        (("--set", "depth"), "--set depth: give NAME=VALUE"),
        (("--set", "dim=1,2"), "--set dim: write a list in brackets, dim=[1,2]"),
        (("--method", "resnet"), "there is no method 'resnet'"),
        (("--gammas", "nan"), "--gammas nan: give a number"),
        (("--learning-rate", "inf"), "--learning-rate inf: give a number"),
        (("--threads", 0), "--threads 0"),
        (("--group-size", 0), "--group-size 0"),
        (("--label-shuffle", -1), "--label-shuffle -1"),
        (("--learning-rates", 3), "learning-rates"),
        (("--config", "missing.yaml"), "missing.yaml cannot be read"),
        (("--method", "linear", "--epochs", 3), "epochs: method linear is fitted at once"),
        (("--method", "linear", "--inner"), "inner: method linear is fitted at once"),
        (("--method", "ststnet", "--gammas", 0.5), "gamma: method ststnet has no such setting"),
        (("--method", "ststnet", "--ablation", "no_cab"), "ablation: method ststnet has no such"),
        (("--protocol", "single_dataset"), "at least two"),
        (("--workers", 0), "--workers 0: give a whole number"),
        (("--ray-address", "auto"), "need --executor ray"),
        (("--executor", "ray", "--workers", 2), "--workers works with --executor local only"),
        (("--executor", "ray", "--cpus-per-task", 0), "--cpus-per-task must be above 0"),
        (("--executor", "ray", "--device", "cuda"), "--device cuda with --gpus-per-task 0"),
    ],
)
def test_bad_flags_end_with_a_clear_line(
    arguments: tuple[object, ...],
    message: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert search(monkeypatch, tiny_folder, tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err


def test_without_inputs_the_two_ways_to_get_them_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, grid_script.main, "--method", "linear") == 2
    error = capsys.readouterr().err
    assert "make_synthetic.py" in error and "published repository" in error


def test_help_shows_the_defaults_of_every_method(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, grid_script.main, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("ststnet: An STSTNet-like", "40 epochs, rate 0.003, batch 64", "(required)"):
        assert words in text


def test_the_example_settings_run(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--config", ROOT / "docs/examples/run.yaml", "--results", tmp_path, "--epochs", 1)
    assert run_here(monkeypatch, grid_script.main, "--inputs", tiny_folder, *more) == 0
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["inner"] is True


def test_a_yaml_file_gives_settings_and_flags_override_it(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({"epochs": 1, "seed": 3, "subjects": ["s01"]}))
    assert search(monkeypatch, tiny_folder, tmp_path / "results", "--config", file) == 0
    record = yaml.safe_load((tmp_path / "results" / "config.yaml").read_text())
    assert record["seed"] == 3 and record["training"]["epochs"] == 2
    assert record["threads"] == 1 and record["versions"]["torch"] == torch.__version__


def test_an_unknown_key_in_the_yaml_file_is_refused(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("epoch: 1\n")
    assert search(monkeypatch, tiny_folder, tmp_path, "--config", file) == 2
    assert "unknown setting epoch" in capsys.readouterr().err


def test_the_published_grid_has_36_configurations_in_order() -> None:
    names = [c.name for c in grid_configurations(RunSettings(), load_method("causalnet"))]
    assert len(names) == 36
    assert names[:4] == ["0.3_3_3_7", "0.4_3_3_7", "0.5_3_3_7", "0.3_3_3_8"]
    assert names[-1] == "0.5_2_3_10" and not any("_2_2_" in name for name in names)
