"""A group that does not fit into memory is trained in halves, and a resumed run does the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import main_train_for_parameter_tuning as grid_script
import training.worker
from tests.helpers.scripts import folder_bytes, run_here
from training.fold_group import FoldOutcome, GroupTrainer

CONFIGURATION = "0.5_1_1_2"
SMALL = ("--method", "causalnet_compact", "--epochs", 1, "--group-size", 1)


def search(monkeypatch: pytest.MonkeyPatch, inputs: Path, results: Path, *more: object) -> object:
    arguments = ("--inputs", inputs, "--results", results, *SMALL, *more)
    return run_here(monkeypatch, grid_script.main, *arguments)


@pytest.fixture
def sizes_tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the groups that were tried on a device that holds two folds at most."""
    sizes: list[int] = []
    train_group = training.worker.train_group

    def short_of_memory(trainer: GroupTrainer, *rest: Any, **more: Any) -> list[FoldOutcome]:
        sizes.append(len(trainer.folds))
        if len(trainer.folds) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return train_group(trainer, *rest, **more)

    monkeypatch.setattr(training.worker, "train_group", short_of_memory)
    return sizes


def test_a_group_out_of_memory_is_halved_and_gives_the_bytes_of_smaller_groups(
    sizes_tried: list[int], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, small = tmp_path / "short", tmp_path / "small"
    assert search(monkeypatch, tiny_folder, short, "--group-size", 4) == 0
    assert sizes_tried == [4, 2, 2]
    record = yaml.safe_load((short / "config.yaml").read_text())
    assert record["group_size"] == 4 and record["used_group_sizes"] == {CONFIGURATION: {4: 2}}
    assert search(monkeypatch, tiny_folder, small, "--group-size", 2) == 0
    assert folder_bytes(short / CONFIGURATION) == folder_bytes(small / CONFIGURATION)


def test_a_resumed_run_keeps_to_the_recorded_size_where_memory_is_plenty(
    sizes_tried: list[int], tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert search(monkeypatch, tiny_folder, tmp_path, "--group-size", 4) == 0
    before = folder_bytes(tmp_path)
    for path in (tmp_path / CONFIGURATION / "folds").iterdir():
        path.unlink()
    sizes_tried.clear()
    assert search(monkeypatch, tiny_folder, tmp_path, "--group-size", 4) == 0
    assert sizes_tried == [2, 2]
    assert folder_bytes(tmp_path) == before


def test_a_lone_fold_out_of_memory_ends_with_a_clear_line(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def out_of_memory(*rest: object, **more: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(training.worker, "train_group", out_of_memory)
    assert search(monkeypatch, tiny_folder, tmp_path) == 2
    error = capsys.readouterr().err
    assert f"fold sub01 of configuration {CONFIGURATION} does not fit" in error
    assert "CUDA out of memory" in error
