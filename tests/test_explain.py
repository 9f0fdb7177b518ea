"""Where a method looks: at the place that decides, by a model that has not seen the subject."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import main_train_for_parameter_tuning as grid_script
import make_report
from common.action_units import ACTION_UNITS
from common.errors import UserError
from common.owned_folder import RECORD_NAME
from datasets import Inputs
from datasets.synthetic.clips import find_synthetic_clip
from datasets.synthetic.inputs import read_true_units, write_synthetic_inputs
from datasets.synthetic.motion import unit_places
from evaluation.explanations import Explanations, found_table
from tests.helpers.report_pages import read_page, report, tables_of, text_of
from tests.helpers.scripts import run_here
from training.explain import explain_weights

pytest.importorskip("captum", reason="needs requirements-explain.txt")

CORNER = '''"""Decides by the v of the first map, right above."""
from torch import nn
input = "maps"
preparation = {}
training = {"epochs": 1, "batch_size": 64, "learning_rate": 1e-12}
class Corner(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.linear = nn.Linear(1, classes)
        nn.init.normal_(self.linear.weight)
    def forward(self, clips):
        return self.linear(clips[:, 0, 1, :8, 20:].mean(dim=(1, 2))[:, None] / 100)
def build(classes=3):
    return Corner(classes)
'''


def train(folder: Path, inputs: Path, method: object, seed: int = 1) -> tuple[Path, Path]:
    """Results and weights of a method."""
    flags = ("--inputs", inputs, "--method", method, "--seed", seed, "--workers", 1)
    places = ("--results", folder / "run", "--save-weights", "--weights", folder / "weights")
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, grid_script.main, *flags, *places) == 0
    (weights,) = (folder / "weights").iterdir()
    return folder / "run", weights


@pytest.fixture(scope="module")
def kernel(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return train(tmp_path_factory.mktemp("kernel"), tiny_folder, "au_kernel")


def test_covering_costs_where_the_method_looks_and_nowhere_else(
    tiny_folder: Path, tiny_inputs: Inputs, tmp_path: Path
) -> None:
    method = tmp_path / "corner.py"
    method.write_text(CORNER)
    _, weights = train(tmp_path, tiny_folder, method)
    looks = explain_weights(weights, tiny_inputs, ["sub01/sub01_ep0"])
    assert looks.maps.shape == (15, 28, 28) and looks.named.sum() == 1
    costs = np.abs(looks.maps).mean(axis=0)
    # The square is 8 x 8, and moves by 4: it reaches the corner's pixels from up to 4 around them.
    outside = np.ones((28, 28), dtype=bool)
    outside[:12, 16:] = False
    assert costs[:8, 20:].max() > 0.01
    assert costs[outside].max() < 1e-6


def test_muscles_are_those_that_the_fold_s_own_network_reads(
    kernel: tuple[Path, Path], tiny_inputs: Inputs
) -> None:
    looks = explain_weights(kernel[1], tiny_inputs)
    assert looks.activations is not None
    assert looks.activations.shape == (15, len(ACTION_UNITS)) and np.isfinite(looks.maps).all()
    assert np.ptp(looks.activations) > 0.1
    assert looks.true_units is None and found_table(looks) is None


def test_a_frozen_network_that_is_no_au_network_reads_no_muscles(
    tiny_folder: Path, tiny_inputs: Inputs, tmp_path: Path
) -> None:
    _, weights = train(tmp_path, tiny_folder, "causalnet_spatial")
    looks = explain_weights(weights, tiny_inputs)
    assert looks.activations is None and np.isfinite(looks.maps).all()


def test_weights_that_have_seen_the_subject_are_refused(
    kernel: tuple[Path, Path], tiny_inputs: Inputs, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(kernel[1], weights, ignore=shutil.ignore_patterns(RECORD_NAME))
    note = weights / "sub01.json"
    seen = json.loads(note.read_text())
    note.write_text(json.dumps({**seen, "trained_on": [*seen["trained_on"], "casme2/sub01"]}))
    with pytest.raises(UserError, match=r"trained on casme2/sub01"):
        explain_weights(weights, tiny_inputs)
    note.unlink()
    with pytest.raises(UserError, match="no note of the subjects"):
        explain_weights(weights, tiny_inputs)


def test_the_page_shows_classes_muscles_and_the_named_clip(
    kernel: tuple[Path, Path], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, weights = kernel
    flags = ("--explain", weights, "--inputs", tiny_folder)
    page = report(monkeypatch, results, *flags, "--clips", "s01/s01_ep1")
    assert "Where the method looks" in [text_of(head) for head in read_page(page).iter("h2")]
    pictures = {path.name for path in (page.parent / "pictures").glob("*.pdf")}
    assert {"looks-classes.pdf", "looks-muscles.pdf"} <= pictures
    assert any(name.startswith("clip-smic-s01_s01_ep1") for name in pictures)
    assert f"--explain {weights} --clips s01/s01_ep1" in text_of(read_page(page))
    assert run_here(monkeypatch, make_report.main, results, *flags, "--clips", "s01/none") == 2


def test_weights_of_another_run_are_refused(
    kernel: tuple[Path, Path], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = train(tmp_path, tiny_folder, "majority")
    flags = ("--explain", kernel[1], "--inputs", tiny_folder)
    assert run_here(monkeypatch, make_report.main, other, *flags) == 2
    assert not (other / "report").exists()


def test_without_captum_the_command_that_installs_it_is_named(
    kernel: tuple[Path, Path], tiny_inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-explain\.txt"):
        explain_weights(kernel[1], tiny_inputs)


def made_up() -> Explanations:
    """Four clips of two classes; the pictures are those of AU 12, 12, 4, 1."""
    places = unit_places(faces=2)
    shown = [ACTION_UNITS.index(unit) for unit in ("12", "12", "4", "1")]
    activations = np.zeros((4, len(ACTION_UNITS)))
    activations[np.arange(4), [ACTION_UNITS.index(unit) for unit in ("12", "6", "4", "4")]] = 1
    clips = pd.DataFrame({"dataset": "smic", "subject": "s1", "clip": list("abcd")})
    return Explanations(
        clips=clips.assign(true=[1, 1, 0, 0], predicted=[1, 1, 0, 0]),
        named=np.zeros(4, dtype=bool),
        typical=np.ones(4, dtype=bool),
        class_names=("negative", "positive"),
        configuration="abc",
        seed=1,
        maps=places[shown],
        backgrounds=np.zeros((4, 28, 28), dtype=np.uint8),
        background="onset frame",
        units=ACTION_UNITS,
        places=places,
        activations=activations,
        true_units=[("12",), ("6",), ("4", "7"), ("4",)],
    )


def test_how_often_the_right_muscle_is_found_and_chance_by_hand() -> None:
    table = found_table(made_up())
    assert table is not None
    picture, network = table.to_dict("records")
    # Read off the pictures: 12, 12, 4, 1. Moving: 12; 6; 4 or 7; 4.
    assert picture["Clip's muscle"] == pytest.approx(2 / 4)
    # Of the twelve pairs with another clip's muscles: the second 12 in the first, 4 in the last.
    assert picture["Chance (clip's)"] == pytest.approx(2 / 12)
    assert picture["Class's muscle"] == pytest.approx(3 / 4)
    # 12, 6, 4, 4 are read; the other clip's muscles hold them in the pairs (4, last), (4, third).
    assert network["Clip's muscle"] == pytest.approx(1)
    assert network["Chance (clip's)"] == pytest.approx(2 / 12)
    assert found_table(replace(made_up(), true_units=None)) is None


def test_drawn_inputs_say_which_muscles_move(tmp_path: Path) -> None:
    specs = [find_synthetic_clip(name) for name in ("sub01/EP01_01", "sub01/EP01_02")]
    list(write_synthetic_inputs(tmp_path, specs, "dis", workers=1))
    clips = pd.DataFrame({"subject": "sub01", "clip": ["EP01_02", "EP01_01"]})
    assert read_true_units(tmp_path, clips) == [("24",), ("1", "2", "5")]
    with pytest.raises(UserError, match=r"lacks sub01/EP01_09"):
        read_true_units(tmp_path, pd.DataFrame({"subject": ["sub01"], "clip": ["EP01_09"]}))
    assert read_true_units(tmp_path / "none", clips) is None


def test_the_table_is_on_the_page_of_drawn_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{s}/EP01_0{n}" for s in ("sub01", "sub02", "sub03") for n in (1, 2, 3, 4)]
    specs = [find_synthetic_clip(name) for name in names]
    list(write_synthetic_inputs(tmp_path / "inputs", specs, "dis", workers=1))
    results, weights = train(tmp_path, tmp_path / "inputs", "au_kernel")
    page = report(monkeypatch, results, "--explain", weights, "--inputs", tmp_path / "inputs")
    table = tables_of(read_page(page))["SYNTHETIC CLIPS: How often the right muscle is found"]
    assert table[0][:3] == ["Read as", "Clips", "Clip's muscle"]
    assert [row[1] for row in table[1:]] == ["12", "12"]
