"""Folds that start from weights: taken over, recorded, refused where a subject has been seen."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

import main_train_for_parameter_tuning as training_script
from common.owned_folder import RECORD_NAME
from tests.helpers.scripts import run_main

METHOD = '''"""A network without dropout or batch norm."""

from torch import nn

preparation = {"center": True, "scale": 0.01}
training = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-2}


def build(classes, hidden=4):
    first = nn.Linear(4 * 3 * 28 * 28, hidden)
    return nn.Sequential(nn.Flatten(), first, nn.Linear(hidden, classes))
'''


@pytest.fixture(scope="module")
def method(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("method") / "plain_net.py"
    path.write_text(METHOD, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def kept(method: Path, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs: results and weights."""
    folder = tmp_path_factory.mktemp("kept")
    train(tiny_folder, method, folder / "results", "--save-weights", "--weights", folder / "w")
    return folder


@pytest.fixture
def weights(kept: Path, tmp_path: Path) -> Path:
    """A copy of the kept weights, without the record of who wrote them."""
    ignored = shutil.ignore_patterns(RECORD_NAME)
    return shutil.copytree(kept / "w" / "results-plain_net", tmp_path / "start", ignore=ignored)


def train(inputs: Path, method: object, results: Path, *more: object, refused: bool = False) -> str:
    flags = ["--inputs", inputs, "--method", method, "--results", results, "--workers", 1, *more]
    return run_main(training_script.main, [str(flag) for flag in flags], refused)


def scores(results: Path) -> pd.DataFrame:
    rows = pd.read_csv(results / "plain_net" / "predictions.csv")
    columns = [name for name in rows if name.startswith("score")]
    assert columns
    return rows[["subject", "clip", *columns]]


def test_a_fold_starts_from_its_own_weights_and_the_run_records_them(
    kept: Path, weights: Path, method: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    # A step too small to change a weight leaves what the weights of that very fold give.
    still = "--learning-rate", 1e-30, "--epochs", 1
    printed = train(tiny_folder, method, tmp_path / "r", *still, "--init-weights", weights)
    assert "4 folds start from weights start" in printed
    assert "4 test subjects checked: none was among those" in printed
    assert "STARTED FROM WEIGHTS start" in printed
    pd.testing.assert_frame_equal(scores(tmp_path / "r"), scores(kept / "results"))
    train(tiny_folder, method, tmp_path / "fresh", *still)
    assert not scores(tmp_path / "fresh").equals(scores(kept / "results"))
    records = [
        yaml.safe_load((tmp_path / name / "config.yaml").read_text()) for name in ("r", "fresh")
    ]
    assert records[0]["init_weights"].startswith("start ") and records[1]["init_weights"] is None
    hashes = [
        set(pd.read_csv(tmp_path / name / "plain_net" / "predictions.csv")["configuration"])
        for name in ("r", "fresh")
    ]
    assert len(hashes[0]) == len(hashes[1]) == 1 and hashes[0] != hashes[1]
    # Part of a run, and without the weights: the same folder takes the one, not the other.
    train(tiny_folder, method, tmp_path / "r", *still, "--init-weights", weights,
          "--subjects", "sub01")  # fmt: skip
    error = train(tiny_folder, method, tmp_path / "r", *still, refused=True)
    assert "init_weights is start" in error and "unset here" in error


def test_new_weights_tell_what_the_first_ones_had_seen(
    weights: Path, method: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    note = json.loads((weights / "sub01.json").read_text())
    note["trained_on"].append("elsewhere/p7")
    (weights / "sub01.json").write_text(json.dumps(note))
    train(tiny_folder, method, tmp_path / "r", "--init-weights", weights, "--save-weights",
          "--weights", tmp_path / "w", "--subjects", "sub01")  # fmt: skip
    written = json.loads((tmp_path / "w" / "r-plain_net" / "sub01.json").read_text())
    assert written["trained_on"] == sorted(note["trained_on"])


def test_weights_that_have_seen_the_test_subject_are_refused_by_name(
    weights: Path, method: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    for ending in (".safetensors", ".json"):
        shutil.copy(weights / f"sub02{ending}", weights / f"sub01{ending}")
    note = json.loads((weights / "sub01.json").read_text())
    (weights / "sub01.json").write_text(json.dumps({**note, "fold": "sub01"}))
    start = "--init-weights", weights
    error = train(tiny_folder, method, tmp_path / "r", *start, refused=True)
    assert "sub01.safetensors was trained on casme2/sub01, on whom it would be tested" in error
    assert len(error.strip().splitlines()) == 1 and not (tmp_path / "r" / "config.yaml").exists()
    printed = train(tiny_folder, method, tmp_path / "r", *start, "--subjects", "sub02")
    assert "1 folds start from" in printed and "1 test subjects checked" in printed


def test_weights_that_nobody_knows_are_refused(
    weights: Path, method: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    start = "--init-weights", weights
    note = (weights / "s01.json").read_text()
    (weights / "s01.json").unlink()
    error = train(tiny_folder, method, tmp_path / "r", *start, refused=True)
    assert "has no note s01.json, so nobody knows whom it has seen" in error
    (weights / "s01.json").write_text(note)
    save_file({"weight": torch.zeros(1)}, weights / "s01.safetensors")
    error = train(tiny_folder, method, tmp_path / "r", *start, refused=True)
    assert "has changed since it was written" in error
    (weights / "s01.safetensors").unlink()
    error = train(tiny_folder, method, tmp_path / "r", *start, refused=True)
    assert "holds no weights of" in error and "s01" in error


@pytest.mark.parametrize(
    ("name", "flags", "reason"),
    [
        ("linear", (), "method linear is fitted at once"),
        (None, ("--inner",), "--init-weights with --inner: the weights have seen the validation"),
        (None, ("--set", "hidden=5"), "does not fit the model"),
    ],
)
def test_what_cannot_start_from_weights_is_refused(
    name: str | None,
    flags: tuple[str, ...],
    reason: str,
    weights: Path,
    method: Path,
    tiny_folder: Path,
    tmp_path: Path,
) -> None:
    start = "--init-weights", weights, *flags
    error = train(tiny_folder, name or method, tmp_path / "r", *start, refused=True)
    assert reason in error and len(error.strip().splitlines()) == 1
