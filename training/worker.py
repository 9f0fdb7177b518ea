"""Holds a run's inputs on one device and trains groups of folds there."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from datasets import Fold, Inputs, prepare
from models import create_model
from training.configuration import TrainingSettings, fold_seed
from training.fitted_fold import fit_fold
from training.fold_group import (
    FoldOutcome,
    FoldTask,
    GroupShape,
    GroupTrainer,
    TrainingData,
    train_group,
)
from training.group_task import GroupTask
from training.run_record import Run
from training.short_memory import UsedSizes, on_parts_that_fit

Result = TypeVar("Result")


@dataclass(frozen=True)
class GroupOutcome:
    """What training a group gave.

    Attributes:
        folds: one outcome a fold, in the order of the group.
        size: the most folds that were trained together; fewer than the group's where memory is
            short.
    """

    folds: list[FoldOutcome]
    size: int


class Worker:
    """Trains groups; the prepared clips are made once and stay on the device."""

    def __init__(
        self,
        run: Run,
        inputs: Inputs,
        folds: list[Fold],
        keep_weights: bool,
        used_sizes: UsedSizes,
    ) -> None:
        torch.set_num_threads(run.threads)
        torch.use_deterministic_algorithms(True)
        self.run = run
        self.keep_weights = keep_weights
        self.folds = folds
        self.used_sizes = copy.deepcopy(used_sizes)
        self.subjects = inputs.clips.groupby(["dataset", "subject"]).ngroup().to_numpy()
        self.data = TrainingData(
            views=torch.from_numpy(prepare(inputs.maps, run.preparation)).to(run.device),
            labels=torch.from_numpy(inputs.clips["label"].to_numpy(np.int64, copy=True)).to(
                run.device
            ),
            classes=len(run.class_names),
        )

    def train(
        self, task: GroupTask, on_epoch: Callable[[int], None] = lambda epoch: None
    ) -> GroupOutcome:
        """Train a group from its folds' own seeds, in parts where memory is short."""

        def train_part(part: GroupTask) -> list[FoldOutcome]:
            if self.run.training is None:
                return [self._fit(part, fold) for fold in part.folds]
            trainer = self.trainer(part)
            return train_group(
                trainer, self.run.epochs, keep_weights=self.keep_weights, on_epoch=on_epoch
            )

        parts = self.in_parts(task, train_part)
        folds = [fold for _, outcomes in parts for fold in outcomes]
        return GroupOutcome(folds, max(size for size, _ in parts))

    def in_parts(
        self, task: GroupTask, action: Callable[[GroupTask], Result]
    ) -> list[tuple[int, Result]]:
        """``on_parts_that_fit``, with the sizes known so far; new ones are remembered."""
        own = self.used_sizes.setdefault(task.configuration.name, {})
        folds = len(task.folds)
        parts = on_parts_that_fit(task, own.get(folds, folds), action)
        own[folds] = max(size for size, _ in parts)
        return parts

    def trainer(self, task: GroupTask) -> GroupTrainer:
        """A group with fresh networks."""
        return GroupTrainer(
            [self._fold_task(fold) for fold in task.folds],
            self.data,
            lambda: create_model(task.configuration.model, **task.configuration.settings),
            self._settings,
            self._shape(task),
        )

    @property
    def _settings(self) -> TrainingSettings:
        if self.run.training is None:
            raise TypeError(f"preset {self.run.preset} is fitted at once, not trained")
        return self.run.training

    def _fit(self, task: GroupTask, fold: Fold) -> FoldOutcome:
        return fit_fold(
            task.configuration,
            self._fold_task(fold),
            self.data,
            self.subjects,
            self.keep_weights,
        )

    def _fold_task(self, fold: Fold) -> FoldTask:
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject)
        return FoldTask(fold.name, fold.train_indices, fold.test_indices, seed)

    def _shape(self, task: GroupTask) -> GroupShape:
        """A lone fold's own sizes; in a group, sizes that all groups of the run share."""
        folds = task.folds if self.run.group_size == 1 else self.folds
        largest = max(len(fold.train_indices) for fold in folds)
        return GroupShape(
            step_clips=min(self.run.batch_size, largest),
            test_clips=max(len(fold.test_indices) for fold in folds),
        )
