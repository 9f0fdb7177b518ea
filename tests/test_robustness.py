"""The key-frame-noise benchmark: curves read off by hand, and the script from frames to tables."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import make_report
import measure_robustness
from common.errors import UserError
from datasets.frames.key_frame_noise import KeyFrameNoise
from evaluation.metrics import compute_uar, compute_uf1
from evaluation.report.drawing import shorten
from evaluation.report.robustness import panel_texts
from evaluation.results_folder import read_results
from evaluation.robustness import (
    ANNOTATED,
    curve_points,
    curve_summary,
    losses,
    robustness_rows,
    without_levels,
)
from evaluation.statistics import bootstrap_difference
from tests.helpers.raw_fixtures import write_drawn_casme2
from tests.helpers.scripts import folder_bytes, run_here
from training import robustness
from training.robustness import Point, noise_points

pytestmark = pytest.mark.usefixtures("few_resamples")
SMALL = (
    "--dataset", "casme2", "--registered", "--flow", "dis", "--methods", "majority", "ststnet",
    "--epochs", "5", "--moved", "apex", "all", "--levels", "0.3", "--frame-levels", "8",
    "--noise-seeds", "2", "--training-levels", "0.3", "--training-noise-seeds", "1",
)  # fmt: skip


def curve(levels: list[float], uf1: list[float]) -> pd.DataFrame:
    names = {"model": "linear", "condition": "test", "frames": "apex"}
    return pd.DataFrame({**names, "level": levels, "uf1": uf1})


def test_area_and_level_of_loss_are_read_off_as_by_hand() -> None:
    (row,) = curve_summary(curve([0.3, 0.0, 0.1], [0.5, 0.8, 0.8])).itertuples()
    # Trapezoids: 0.1 * 0.8 + 0.2 * 0.65 = 0.21 of 0.24; 0.05 lost a sixth of the way to 0.3.
    assert row.uf1_without_noise == 0.8
    assert row.area == pytest.approx(0.21 / 0.24)
    assert row.level_of_loss == pytest.approx(0.1 + 0.2 / 6)


def test_a_curve_that_loses_less_has_no_level_of_loss() -> None:
    (row,) = curve_summary(curve([0.0, 0.3], [0.8, 0.76])).itertuples()
    assert np.isnan(row.level_of_loss)
    assert curve_summary(curve([0.0], [0.8])).empty


def test_rows_and_curves_hold_the_pooled_figures() -> None:
    random = np.random.default_rng(0)
    confusions = random.integers(0, 5, size=(3, 4, 3, 3))
    names = {"model": "linear", "condition": "test", "frames": "apex"}
    points = pd.DataFrame([{**names, "level": 0.1, "seed": seed} for seed in (1, 2, 3)])
    rows = robustness_rows(points, confusions)
    pooled = confusions.sum(axis=1)
    assert rows["uf1"].tolist() == compute_uf1(pooled).tolist()
    assert rows["uar"].tolist() == compute_uar(pooled).tolist()
    (row,) = curve_points(points, confusions).itertuples()
    assert np.isnan(row.uf1_lost)
    assert row.uf1 == pytest.approx(compute_uf1(pooled).mean())
    assert row.uf1_low < row.uf1 < row.uf1_high and row.seeds == 3


def test_what_is_lost_is_the_difference_to_the_annotated_key_frames() -> None:
    confusions = np.random.default_rng(0).integers(0, 5, size=(6, 4, 3, 3))
    rows = [
        {"model": model, "condition": condition, "frames": "", "level": level, "seed": seed}
        for model in ("a", "b")
        for condition, level, seed in ((ANNOTATED, None, 0), ("moved", 0.1, 1), ("moved", 0.1, 2))
    ]
    curves = curve_points(pd.DataFrame(rows), confusions)
    pooled = compute_uf1(confusions.sum(axis=1))
    still, moved = curves[curves["model"] == "b"].itertuples()
    assert still.uf1_lost == still.uf1_lost_low == still.uf1_lost_high == 0
    assert moved.uf1_lost == pytest.approx(pooled[3] - pooled[4:].mean())
    assert moved.uf1_lost_low < moved.uf1_lost < moved.uf1_lost_high
    # Resampled together, a loss is surer than two intervals laid side by side.
    own = bootstrap_difference(confusions[4:], confusions[3:4], "UF1")
    assert (moved.uf1_lost_low, moved.uf1_lost_high) == (own.low, own.high)
    table = losses(curves)
    assert table["model"].tolist() == ["a", "b"] and table.columns[-1] == "0.1"
    assert table.loc[1, "0.1"] == f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]"


def test_conditions_without_levels_stand_beside_each_other_with_intervals() -> None:
    confusions = np.random.default_rng(0).integers(0, 5, size=(5, 4, 3, 3))
    names = ("test: annotated", "test: spotted")
    points = pd.DataFrame(
        [
            *({"model": m, "condition": c, "level": None} for m in ("b", "a") for c in names),
            {"model": "a", "condition": "test: share of the phase", "level": 0.1},
        ]
    ).assign(frames="", seed=0)
    curves = curve_points(points, confusions)
    table = without_levels(curves)
    assert table.columns.tolist() == ["model", *names] and table["model"].tolist() == ["b", "a"]
    row = curves.iloc[3]
    expected = f"{row['uf1']:.3f} [{row['uf1_low']:.3f}, {row['uf1_high']:.3f}]"
    assert table.loc[1, "test: spotted"] == expected
    # A lone subject has no interval.
    alone = without_levels(curve_points(points, confusions[:, :1]))
    assert alone.loc[0, "test: annotated"] == f"{compute_uf1(confusions[0, 0]):.3f}"


def test_points_start_without_noise_and_share_the_annotated_maps() -> None:
    points = noise_points("test", ["apex"], [0.2], "relative", seeds=2)
    assert [point.columns()["level"] for point in points] == [0.0, 0.0, 0.2, 0.2]
    assert [point.maps_of for point in points[:2]] == ["annotated", "annotated"]
    assert points[3].maps_of == KeyFrameNoise("apex", 0.2, seed=2)
    assert noise_points("test", ["apex"], [], "relative", seeds=2) == []
    assert Point("test", "spotted").columns()["condition"] == "test: spotted"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    folder = tmp_path_factory.mktemp("raw")
    sheet = write_drawn_casme2(folder, subjects=5, clips=2)
    return "--sheet", str(sheet), "--frames", str(folder)


def test_from_frames_to_tables_and_again_with_other_workers(
    raw: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert run_here(monkeypatch, measure_robustness.main, *raw, *SMALL, "--workers", 1,
                    "--results", one) == 0, capsys.readouterr().err  # fmt: skip
    printed = capsys.readouterr().out
    assert "UF1 with key frames as annotated and as spotted (SYNTHETIC clips)" in printed
    assert "SYNTHETIC" in printed and "the spotter's apex is" in printed
    rows = pd.read_csv(one / "robustness.csv")
    assert set(rows["source"]) == {"synthetic"}
    annotated = rows[rows["condition"] == "test: annotated"].set_index("model")["uf1"]
    still = rows[rows["level"] == 0].groupby("model")["uf1"]
    for model, values in still:
        assert (values == annotated[model]).all()
    moved = rows[(rows["level"] > 0) & (rows["model"] == "ststnet")]
    assert moved["uf1"].nunique() > 1
    counts = rows.groupby("condition").size() / 2
    assert counts.to_dict() == {
        "test: share of the phase": 8, "test: number of frames": 8,
        "training and test: share of the phase": 2, "test: annotated": 1, "test: spotted": 1,
        "training and test: spotted": 1,
    }  # fmt: skip

    for name, words in (
        ("spotted", "KEY FRAMES spotted"),
        ("all-relative-0.3-seed1", "KEY FRAMES moved: all, relative, 0.3, noise seed 1"),
    ):
        own = one / "ststnet" / name
        assert words in " ".join(printed.split())
        assert words in (own / "result_summary.txt").read_text(encoding="utf-8")
        assert words in read_results(own / "ststnet").notes
        assert words.removeprefix("KEY FRAMES ") in (own / "config.yaml").read_text("utf-8")
    annotated_run = one / "ststnet" / "annotated"
    assert read_results(annotated_run / "ststnet").notes == ["SYNTHETIC clips"]
    assert "key_frames: null" in (annotated_run / "config.yaml").read_text(encoding="utf-8")

    # A run that lost a fold and its tables goes on to the same bytes, on two workers.
    shutil.copytree(one, two)
    next((two / "ststnet" / "spotted").rglob("folds/*.npz")).unlink()
    (two / "robustness.csv").unlink()
    assert run_here(monkeypatch, measure_robustness.main, *raw, *SMALL, "--workers", 2,
                    "--results", two) == 0  # fmt: skip
    assert folder_bytes(one) == folder_bytes(two)
    assert run_here(monkeypatch, make_report.main, one) == 0
    page = (one / "report" / "report.html").read_text(encoding="utf-8")
    assert "Key-frame errors" in page and "95 % interval, bootstrap over subjects" in page
    assert "Read off the curves of UF1" in page and "robustness.yaml --results" in page

    # Other settings are refused and leave the finished folder as it was.
    finished = folder_bytes(two)
    other = "--seed", 3, "--noise-seeds", 3
    assert run_here(monkeypatch, measure_robustness.main, *raw, *SMALL, *other,
                    "--results", two) == 2  # fmt: skip
    refusal = capsys.readouterr().err
    assert "seed is 2025 there and 3 here. Give another --results folder" in refusal
    left = folder_bytes(two)
    computed = ("maps", "files.sha256")
    assert {name: left[name] for name in left if not name.startswith(computed)} == {
        name: finished[name] for name in finished if not name.startswith(computed)
    }


FLOW_NET = '''"""A network on the flow."""

import torch
from torch import nn

input = "flow"
training = {"epochs": 9, "batch_size": 4, "learning_rate": 1e-3}


def prepare(stored, clips, generator):
    return torch.from_numpy(stored[:, :, ::16, ::16]).float()


def build(classes, hidden=4):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(2 * 8 * 8 * 2, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )
'''
FRAME_NET = '''"""A network on onset and apex frames, and on how far they are from each other."""

import torch
from torch import nn

input = "frames"
training = {"epochs": 9, "batch_size": 4, "learning_rate": 1e-3}


def prepare(stored, clips, generator):
    frames = torch.from_numpy(stored[:, :2, ::8, ::8]).float().flatten(1) / 255
    length = torch.tensor((clips["apex"] - clips["onset"]).to_numpy())
    return torch.cat([frames, length[:, None].float()], dim=1)


def build(classes):
    return nn.Linear(2 * 8 * 8 * 3 + 1, classes)
'''
FEW = (
    "--dataset", "casme2", "--registered", "--flow", "dis", "--frame-size", "64", "--moved", "all",
    "--levels", "0.05", "0.3", "--frame-levels", "--noise-seeds", "2", "--training-levels", "0.3",
    "--training-noise-seeds", "1", "--no-spotter",
)  # fmt: skip


@pytest.fixture
def own_methods(tmp_path: Path) -> tuple[str, ...]:
    """Methods that take flow, frames, and maps whose phases are summed by the fold's gains."""
    for name, source in (("flow_net", FLOW_NET), ("frame_net", FRAME_NET)):
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    return str(tmp_path / "flow_net.py"), str(tmp_path / "frame_net.py"), "au_rule"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"methods": ("linear", "majority", "au_rule"), "noise_seeds": 9}, ""),
        ({"sheet": Path("elsewhere/s.xlsx"), "results": Path("x")}, ""),
        ({"methods": ("linear",)}, "methods is majority, linear there, too"),
        ({"dataset": "samm"}, "dataset is casme2 there and samm here"),
        ({"noise_seeds": 1, "flow": "dis"}, "flow is tvl1 there and dis here; noise_seeds is 5"),
    ],
)
def test_tables_of_more_or_of_other_clips_are_not_replaced(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    earlier = measure_robustness.Config(
        dataset="casme2", methods=("majority", "linear"), results=tmp_path
    )
    record = yaml.safe_dump(measure_robustness.settings_record(earlier))
    (tmp_path / "robustness.yaml").write_text(record)
    config = replace(earlier, **{**changes, "results": tmp_path})
    if not words:
        return measure_robustness.check_earlier(config)
    with pytest.raises(UserError, match=f"{words}.*another --results"):
        measure_robustness.check_earlier(config)
    return None


@pytest.mark.slow
def test_methods_that_take_flow_frames_and_summed_phases_are_measured(
    raw: tuple[str, ...],
    own_methods: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    tested = count_tested_clips(monkeypatch)
    flags = (*raw, *FEW, "--methods", *own_methods, "--method-epochs", "flow_net=3",
             "--set", "flow_net.hidden=5")  # fmt: skip
    assert run_here(monkeypatch, measure_robustness.main, *flags, "--workers", 1,
                    "--results", one) == 0, capsys.readouterr().err  # fmt: skip
    rows = pd.read_csv(one / "robustness.csv")
    assert rows["model"].unique().tolist() == ["flow_net", "frame_net", "au_rule"]
    assert len(pd.read_csv(one / "flow_net/annotated/flow_net_hidden=5/losses.csv")) == 5 * 3
    # Test clips are predicted once for each place of their key frames, whatever the condition.
    frames = pd.read_csv(one / "key_frames.csv")
    places = frames.drop_duplicates(["subject", "clip", "onset", "apex", "offset"])
    assert sum(tested) == 3 * len(places) and len(places) < len(frames)
    assert run_here(monkeypatch, measure_robustness.main, *flags, "--workers", 2,
                    "--results", two) == 0  # fmt: skip
    assert folder_bytes(one) == folder_bytes(two)


def count_tested_clips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the number of clips whenever a benchmark tests some."""
    counted: list[int] = []
    original = robustness.test_logits

    def counting(model, origin, clips, rows):  # type: ignore[no-untyped-def]
        counted.append(len(rows))
        return original(model, origin, clips, rows)

    monkeypatch.setattr(robustness, "test_logits", counting)
    return counted


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--methods causalnet", "method causalnet has a grid of 36 configurations. Give one value "
         "of block_repeats, gamma, such as --set causalnet.block_repeats=VALUE"),
        ("--methods audio_net.py", "method audio_net takes 'audio', which a dataset's frames do "
         "not give"),
        ("--methods linear linear.py", "two methods are called linear: rename one"),
        ("--methods htnet --set off_tanet.variant=sa", "begin with a method and '.'; measured are "
         "htnet"),
        ("--methods htnet --set htnet.depth=3", "depth: method htnet has no such setting"),
        ("--methods htnet --method-epochs htnet=0", "give one number of at least 1"),
        ("--methods linear --method-epochs linear=3", "it is fitted at once"),
    ],
)  # fmt: skip
def test_methods_that_cannot_be_measured_are_refused_before_any_frame_is_read(
    flags: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = FLOW_NET.replace('"flow"', '"audio"')
    for name in ("audio_net.py", "linear.py"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert run_here(monkeypatch, measure_robustness.main, *flags.split()) == 2
    error = capsys.readouterr().err
    assert reason in error and len(error.strip().splitlines()) == 1


def test_weights_that_are_missing_are_refused_before_any_frame_is_read(
    raw: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for method in ("causalnet_spatial", "au_kernel", "au_rule"):
        flags = (*raw, *FEW, "--methods", method, "--set", f"{method}.weights=absent.safetensors")
        assert run_here(monkeypatch, measure_robustness.main, *flags) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: absent.safetensors") and "computing" not in error
    assert not list((tmp_path / "results").rglob("*.npy"))


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, measure_robustness.main, "--results", tmp_path / "r") == 2
    assert "--dataset" in capsys.readouterr().err
    assert run_here(monkeypatch, measure_robustness.main, "--noise-seeds", 0) == 2
    assert "--noise-seeds 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ("--methods linear linear", "methods is linear, linear: give each once"),
        ("--moved apex apex", "moved is apex, apex: give each once"),
        ("--levels 0.1 0.2 0.10", "levels is 0.1, 0.2, 0.1: give each once"),
        ("--frame-levels 1 1", "frame_levels is 1, 1: give each once"),
        ("--training-moved all all", "training_moved is all, all: give each once"),
        ("--training-levels 0.3 0.3", "training_levels is 0.3, 0.3: give each once"),
        ("--levels 0.1 nan", "--levels nan: give a number from 0 to 1000"),
        ("--frame-levels=-2", "--frame-levels -2.0: give a number from 0"),
    ],
)
def test_values_that_would_count_twice_or_cannot_be_levels_are_refused(
    flags: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, measure_robustness.main, *flags.split()) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "frames", "title", "unit"),
    [
        ("test: share of the phase", "apex", "apex, test", "share of the phase"),
        (
            "training and test: share of the phase",
            "all",
            "all, training and test",
            "share of the phase",
        ),
        ("as drawn", "", "as drawn", "noise level"),
    ],
)
def test_a_panels_title_names_the_frames_and_its_axis_the_unit(
    condition: str, frames: str, title: str, unit: str
) -> None:
    texts = panel_texts(condition, frames)
    assert texts == (title, unit)
    assert all(shorten(text) == text for text in texts)  # nothing is cut
