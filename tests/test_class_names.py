"""Inputs of other than the usual three classes, from the folder's record to the figures."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import calculate_all_results
import eval as eval_script
import main_train_for_parameter_tuning as grid_script
import make_report
from common.errors import UserError
from datasets import read_inputs
from datasets.inputs import TABLE_NAME
from tests.helpers.scripts import run_here

NAMES = ("happiness", "surprise", "disgust", "others")
TRAIN = ("--method", "causalnet_compact", "--epochs", 1, "--threads", 1, "--save-weights")


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny clips under four classes, the last clip of each subject being the fourth."""
    copy = tmp_path / "four"
    shutil.copytree(tiny_folder, copy)
    table = pd.read_csv(copy / TABLE_NAME, dtype=str, keep_default_na=False)
    table.loc[table["filename_o"].str.endswith("ep3"), "label"] = "3"
    table.to_csv(copy / TABLE_NAME, index=False)
    write_record(copy, {"mmew": NAMES})
    return copy


def write_record(folder: Path, classes: dict[str, tuple[str, ...]]) -> None:
    records = {dataset: {"classes": list(names)} for dataset, names in classes.items()}
    (folder / "inputs.yaml").write_text(yaml.safe_dump(records), encoding="utf-8")


def test_names_and_allowed_labels_come_from_the_record(folder: Path) -> None:
    inputs = read_inputs(folder)
    assert inputs.class_names == NAMES
    assert inputs.clips["label"].max() == 3
    write_record(folder, {"mmew": NAMES[:3]})
    with pytest.raises(UserError, match=r"2 \(disgust\), but .*_ep3 has '3'"):
        read_inputs(folder)


def test_datasets_that_differ_in_their_classes_are_refused(folder: Path) -> None:
    write_record(folder, {"mmew": NAMES, "casme2": NAMES[:3]})
    with pytest.raises(UserError, match="same list of at least two classes"):
        read_inputs(folder)


def test_four_classes_are_trained_evaluated_scored_and_reported(
    folder: Path,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    results, weights = tmp_path / "run" / "0.5_1_1_2", tmp_path / "weights" / "run-0.5_1_1_2"
    assert run_here(
        monkeypatch, grid_script.main, "--inputs", folder, "--results", "run", *TRAIN
    ) == 0, capsys.readouterr().err  # fmt: skip
    rows = pd.read_csv(results / "predictions.csv")
    assert [name for name in rows if name.startswith("score_")] == [f"score_{n}" for n in NAMES]
    evaluation = "--weights", weights, "--results", "evaluated"
    assert run_here(monkeypatch, eval_script.main, "--inputs", folder, *evaluation) == 0
    evaluated = pd.read_csv(tmp_path / "evaluated" / "predictions.csv")
    scores = [f"score_{name}" for name in NAMES]
    pd.testing.assert_frame_equal(evaluated[scores], rows[scores], check_exact=True)
    capsys.readouterr()
    assert run_here(monkeypatch, calculate_all_results.main, results) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in NAMES)
    assert run_here(monkeypatch, make_report.main, "run") == 0

    # Weights for four classes are not for clips of three.
    assert run_here(monkeypatch, eval_script.main, "--inputs", tiny_folder, *evaluation) == 2
    assert "Give matching ones" in capsys.readouterr().err


def test_records_without_scores_are_scored_too(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run = "--inputs", folder, "--results", "run", "--method", "majority"
    assert run_here(monkeypatch, grid_script.main, *run) == 0
    (tmp_path / "run/majority/predictions.csv").unlink()
    capsys.readouterr()
    assert run_here(monkeypatch, calculate_all_results.main, "run/majority") == 0
    assert "class 3" in capsys.readouterr().out
