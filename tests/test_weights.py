"""eval.py on weights that are missing, foreign or dangerous."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from openpyxl import load_workbook

import eval as eval_script
from models import create_model
from tests.helpers.scripts import run_here


def evaluate(monkeypatch: pytest.MonkeyPatch, folder: Path, weights: Path, *more: object) -> object:
    results = weights.parent / "results_eval"
    arguments = ("--inputs", folder, "--weights", weights, "--results", results, *more)
    return run_here(monkeypatch, eval_script.main, *arguments)


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """A folder in the published layout: weights and nothing else, one subject missing."""
    torch.manual_seed(0)
    state = create_model("causalnet", block_repeats=(1, 1, 2), gamma=0.4, dim=32).state_dict()
    folder = tmp_path / "weights"
    folder.mkdir()
    for subject in ("sub01", "sub02", "s01"):
        torch.save(state, folder / f"{subject}.pth")
    return folder


def test_a_subject_without_weights_is_named_and_shifts_nobody(
    downloaded: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(monkeypatch, tiny_folder, downloaded) == 0
    output = capsys.readouterr().out
    assert "no weights for: 006" in output and "gamma of the weights: 0.4" in output
    rows = pd.read_csv(downloaded.parent / "results_eval" / "predictions.csv")
    shutil.copy(downloaded / "sub01.pth", downloaded / "006.pth")
    assert evaluate(monkeypatch, tiny_folder, downloaded) == 0
    complete = pd.read_csv(downloaded.parent / "results_eval" / "predictions.csv")
    others = complete[complete["subject"] != "006"].reset_index(drop=True)
    assert len(complete) == 15 and others.equals(rows)


def test_a_contradicting_gamma_names_both(
    downloaded: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(monkeypatch, tiny_folder, downloaded, "--gamma", 0.5) == 2
    error = capsys.readouterr().err
    assert "0.4" in error and "0.5" in error


def test_mixed_gammas_and_partial_counts_are_marked_in_the_files(
    downloaded: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = create_model("causalnet", block_repeats=(1, 1, 2), gamma=0.3, dim=32).state_dict()
    torch.save(state, downloaded / "s01.pth")
    monkeypatch.setenv("COLUMNS", "200")
    assert evaluate(monkeypatch, tiny_folder, downloaded) == 0
    mark, partial = (
        "weights of MIXED gammas 0.3, 0.4",
        "PARTIAL: 12 of 15 clips, 1 subjects have no",
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert mark in printed and partial in printed
    results = downloaded.parent / "results_eval"
    rows = pd.read_csv(results / "predictions.csv")
    assert set(rows["configuration"]) == {"downloaded (MIXED gammas)"}
    assert mark in (results / "expected_clips.csv").read_text()
    sheet = load_workbook(results / "CausalNet.xlsx").worksheets[0]
    cells = [str(cell) for row in sheet.iter_rows(values_only=True) for cell in row]
    assert any(mark in cell and partial in cell for cell in cells)


SMALL: dict[str, Any] = {"block_repeats": (1, 1, 2), "gamma": 0.4, "dim": 16, "hidden": 32}


def small_state(**changes: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return create_model("causalnet", **{**SMALL, **changes}).state_dict()


def nan_state() -> dict[str, torch.Tensor]:
    state = small_state()
    return {name: value * torch.nan if "mlp" in name else value for name, value in state.items()}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: small_state(classes=5), "tells 5 classes apart, but 3 are asked for"),
        (lambda: small_state(classes=2), "tells 2 classes apart, but 3 are asked for"),
        (lambda: small_state(image_size=32, patch_size=8), "patches of 8 pixels for maps of 32"),
        (nan_state, "values that are not numbers (NaN)"),
        (lambda: {"conv1.weight": torch.zeros(3, 3), "fc.bias": torch.zeros(3)},
         "not CausalNet's: to_patch_embedding.1.weight is missing. They hold conv1.weight"),
        (lambda: create_model("causalnet", **SMALL), "holds more than tensors"),
        (lambda: {**small_state(), "epoch": np.float64(3)}, "holds more than tensors"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("alone", [False, True])
def test_weights_that_cannot_be_these_clips_are_refused_once(
    make: Any,
    reason: str,
    alone: bool,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for subject in ("sub01", "sub02", "006", "s01"):
        bad = not alone or subject == "s01"
        torch.save(make() if bad else small_state(), folder / f"{subject}.pth")
    assert evaluate(monkeypatch, tiny_folder, folder) == 2
    error = capsys.readouterr().err
    assert error.count(reason) == 1 and error.count("\n") == 1 and len(error) <= 308
    assert ("s01.pth" if alone else "4 refused: sub01.pth, sub02.pth, 006.pth and 1 more") in error
    rows = tmp_path / "results_eval" / "predictions.csv"
    assert rows.is_file() == alone
    assert not alone or set(pd.read_csv(rows)["subject"]) == {"sub01", "sub02", "006"}


def test_weights_of_half_precision_and_of_old_torch_are_read(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kinds = {"half": torch.float16, "brain": torch.bfloat16, "old": torch.float32}
    for name, kind in kinds.items():
        folder, legacy = tmp_path / name / "weights", name == "old"
        folder.mkdir(parents=True)
        state = {k: v.to(kind) if v.is_floating_point() else v for k, v in small_state().items()}
        for subject in ("sub01", "sub02", "006", "s01"):
            path = folder / f"{subject}.pth"
            torch.save(state, path, _use_new_zipfile_serialization=not legacy)
        assert evaluate(monkeypatch, tiny_folder, folder) == 0
        assert "gamma of the weights: 0.4\n" in capsys.readouterr().out


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_bad_files_are_refused_by_name_and_the_others_are_kept(
    downloaded: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exploded = downloaded.parent / "exploded"
    (downloaded / "006.pth").write_bytes(pickle.dumps(Bomb(exploded)))
    content = (downloaded / "sub02.pth").read_bytes()
    (downloaded / "sub02.pth").write_bytes(content[: len(content) // 2])
    assert evaluate(monkeypatch, tiny_folder, downloaded) == 2
    error = capsys.readouterr().err
    assert "006.pth" in error and "sub02.pth" in error and not exploded.exists()
    rows = pd.read_csv(downloaded.parent / "results_eval" / "predictions.csv")
    assert set(rows["subject"]) == {"sub01", "s01"}
