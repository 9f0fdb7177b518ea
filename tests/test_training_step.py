"""The training step: its precision, its device, and draws that depend on no other fold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import eval as eval_script
import main_train_for_parameter_tuning as grid_script
from models import load_method
from tests.helpers.scripts import run_here
from training.clips import PreparedClips
from training.configuration import read_training
from training.fold_group import (
    EpochPlan,
    FoldOutcome,
    FoldTask,
    GroupShape,
    GroupTrainer,
    train_group,
)

COMPACT = load_method("causalnet_compact")
SETTINGS = read_training(COMPACT.training(3) or {}, "compact")
EPOCHS, BATCH, CLIPS = 3, 16, 40


def train(folds: int, precision: str = "float32", device: str = "cpu") -> list[FoldOutcome]:
    """A few folds of ``compact`` on random maps."""
    generator = torch.Generator().manual_seed(0)
    views = torch.rand(2, CLIPS, 4, 3, 28, 28, generator=generator) * 255
    labels = torch.randint(3, (CLIPS,), generator=generator)
    tasks = [FoldTask(str(n), np.arange(32), np.arange(32, CLIPS), n) for n in range(folds)]
    settings = replace(
        SETTINGS,
        epochs=EPOCHS,
        batch_size=BATCH,
        precision=precision,  # type: ignore[arg-type]
    )
    clips = PreparedClips(views.to(device))
    trainer = GroupTrainer(
        COMPACT,
        tasks,
        [clips] * folds,
        labels.to(device),
        3,
        lambda: COMPACT.build(classes=3),
        settings,
        GroupShape(BATCH, CLIPS - 32) if folds > 1 else None,
    )
    return train_group(trainer, EPOCHS)


@pytest.mark.parametrize("folds", [1, 2])
def test_bf16_trains_close_to_float32_and_not_in_it(folds: int) -> None:
    for exact, rough in zip(train(folds), train(folds, "bf16"), strict=True):
        np.testing.assert_allclose(rough.losses, exact.losses, rtol=0.03)
        assert (rough.losses != exact.losses).any()
        assert rough.failed_epoch is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("folds", [1, 4])
def test_a_gpu_gives_what_the_cpu_gives(folds: int) -> None:
    for cpu, gpu in zip(train(folds), train(folds, device="cuda"), strict=True):
        np.testing.assert_allclose(gpu.losses, cpu.losses, rtol=1e-3)
        np.testing.assert_allclose(gpu.logits, cpu.logits, rtol=1e-2, atol=1e-2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpu_trains_in_every_precision(precision: str) -> None:
    (exact,), (rough,) = train(1, device="cuda"), train(1, precision, "cuda")
    np.testing.assert_allclose(rough.losses, exact.losses, rtol=0.03)


def test_weights_of_a_bf16_run_are_evaluated_to_the_same_bits(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = ("--method", "causalnet_compact", "--epochs", 1, "--threads", 1, "--precision", "bf16")
    arguments = ("--inputs", tiny_folder, *run, "--results", "run", "--save-weights")
    assert run_here(monkeypatch, grid_script.main, *arguments) == 0
    weights = ("--weights", "weights/run-0.5_1_1_2", "--results", "evaluated")
    assert run_here(monkeypatch, eval_script.main, "--inputs", tiny_folder, *weights) == 0
    tables = [pd.read_csv(tmp_path / p / "predictions.csv") for p in ("run/0.5_1_1_2", "evaluated")]
    scores = [name for name in tables[0] if name.startswith("score_")]
    pd.testing.assert_frame_equal(tables[0][scores], tables[1][scores], check_exact=True)


def test_tf32_is_refused_on_a_cpu(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--inputs", tiny_folder, "--method", "causalnet_compact", "--precision", "tf32")
    assert run_here(monkeypatch, grid_script.main, *arguments, "--device", "cpu") == 2
    assert "--precision tf32 needs a GPU" in capsys.readouterr().err


def test_draws_do_not_depend_on_the_padding_that_other_folds_ask_for() -> None:
    fold = FoldTask("s01", np.arange(10, 40), np.arange(10), seed=3)
    plans = [EpochPlan(fold, SETTINGS, views=2, step_clips=clips) for clips in (30, 37)]
    for _ in range(3):
        (rows, views, used), (padded_rows, padded_views, padded_used) = [p.draw() for p in plans]
        assert used.all() and padded_used.sum() == len(fold.train_indices)
        np.testing.assert_array_equal(padded_rows[padded_used], rows.ravel())
        np.testing.assert_array_equal(padded_views[padded_used], views.ravel())
