"""eval.py on weights that are missing, foreign or dangerous."""

import pickle
import shutil
from pathlib import Path

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
