"""Holds a run's inputs on one device and trains groups of folds there."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from datasets import Fold, Inputs, prepare
from models import create_model
from training.configuration import Configuration, fold_seed
from training.fold_group import (
    FoldOutcome,
    FoldTask,
    GroupShape,
    GroupTrainer,
    TrainingData,
    train_group,
)
from training.run_record import Run


@dataclass(frozen=True)
class GroupTask:
    """One unit of work: a configuration and the folds that are trained together."""

    configuration: Configuration
    folds: tuple[Fold, ...]


class Worker:
    """Trains groups; the prepared clips are made once and stay on the device."""

    def __init__(self, run: Run, inputs: Inputs, folds: list[Fold], keep_weights: bool) -> None:
        torch.set_num_threads(run.threads)
        torch.use_deterministic_algorithms(True)
        self.run = run
        self.keep_weights = keep_weights
        self.folds = folds
        self.data = TrainingData(
            views=torch.from_numpy(prepare(inputs.maps, run.preparation)).to(run.device),
            labels=torch.from_numpy(inputs.clips["label"].to_numpy(np.int64, copy=True)).to(
                run.device
            ),
            classes=len(run.class_names),
        )

    def train(
        self, task: GroupTask, on_epoch: Callable[[int], None] = lambda epoch: None
    ) -> list[FoldOutcome]:
        """Train a group from its folds' own seeds."""
        epochs = self.run.training.epochs
        trainer = self.trainer(task)
        return train_group(trainer, epochs, keep_weights=self.keep_weights, on_epoch=on_epoch)

    def trainer(self, task: GroupTask) -> GroupTrainer:
        """A group with fresh networks."""
        return GroupTrainer(
            [self._fold_task(fold) for fold in task.folds],
            self.data,
            lambda: create_model(task.configuration.model, **task.configuration.settings),
            self.run.training,
            self._shape(task),
        )

    def steps(self, task: GroupTask) -> int:
        """Optimiser steps that training the group takes."""
        clips = max(len(fold.train_indices) for fold in task.folds)
        return self.run.training.epochs * -(-clips // self.run.training.batch_size)

    def _fold_task(self, fold: Fold) -> FoldTask:
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject)
        return FoldTask(fold.name, fold.train_indices, fold.test_indices, seed)

    def _shape(self, task: GroupTask) -> GroupShape:
        """A lone fold's own sizes; in a group, sizes that all groups of the run share."""
        folds = task.folds if self.run.group_size == 1 else self.folds
        largest = max(len(fold.train_indices) for fold in folds)
        return GroupShape(
            step_clips=min(self.run.training.batch_size, largest),
            test_clips=max(len(fold.test_indices) for fold in folds),
        )


def group_folds(folds: list[Fold], group_size: int, batch_size: int) -> list[tuple[Fold, ...]]:
    """Split the folds into groups of at most ``group_size`` with equally many steps in an epoch."""
    groups: dict[int, list[Fold]] = {}
    for fold in folds:
        groups.setdefault(-(-len(fold.train_indices) // batch_size), []).append(fold)
    return [
        tuple(members[start : start + group_size])
        for members in groups.values()
        for start in range(0, len(members), group_size)
    ]
