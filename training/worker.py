"""Holds a run's inputs on one device and trains groups of folds there."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch

from datasets import Fold, Inputs, prepare
from evaluation.fold_logits import InnerTraining
from models import create_model
from training.configuration import Configuration, fold_seed
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
from training.inner_validation import validation_rows
from training.run_record import Run
from training.short_memory import UsedSizes, on_parts_that_fit

Result = TypeVar("Result")


@dataclass(frozen=True)
class TrainedFold:
    """A fold's outcome, and what its training without validation subjects gave, if there was one.

    ``outcome.failed_epoch`` tells of either training.
    """

    outcome: FoldOutcome
    inner: InnerTraining | None


@dataclass(frozen=True)
class GroupOutcome:
    """What training a group gave.

    Attributes:
        folds: in the order of the group.
        size: the most folds that were trained together; fewer than the group's where memory is
            short.
    """

    folds: list[TrainedFold]
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
        # Nothing reads memory before it is written; filling it took 3 % of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.run = run
        self.keep_weights = keep_weights
        self.tasks = {fold.name: self._fold_task(fold) for fold in folds}
        self.inner_tasks = (
            {fold.name: self._inner_task(inputs.clips, fold) for fold in folds} if run.inner else {}
        )
        self.used_sizes = copy.deepcopy(used_sizes)
        self.subjects = inputs.clips.groupby(["dataset", "subject"]).ngroup().to_numpy()
        self.data = TrainingData.of_views(
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
        parts = self.in_parts(task, lambda part: self._train_part(part, on_epoch))
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
        tasks = [self.tasks[fold.name] for fold in task.folds]
        return self._trainer(task.configuration, tasks, self.tasks)

    def _train_part(self, part: GroupTask, on_epoch: Callable[[int], None]) -> list[TrainedFold]:
        if self.run.training is None:
            return [TrainedFold(self._fit(part, fold), None) for fold in part.folds]
        outcomes = train_group(
            self.trainer(part), self.run.epochs, keep_weights=self.keep_weights, on_epoch=on_epoch
        )
        if not self.run.inner:
            return [TrainedFold(outcome, None) for outcome in outcomes]
        inner = self._train_inner(part)
        return [self._with_inner(outcome, inner[outcome.name]) for outcome in outcomes]

    def _train_inner(self, part: GroupTask) -> dict[str, FoldOutcome]:
        """Train the folds without their validation clips; those are tested like the test clips.

        Folds of a group may differ in their steps in an epoch once these clips are left out; they
        are then trained apart.
        """
        by_steps: dict[int, list[FoldTask]] = {}
        for fold in part.folds:
            task = self.inner_tasks[fold.name]
            by_steps.setdefault(-(-len(task.train_indices) // self.run.batch_size), []).append(task)
        outcomes = {}
        for tasks in by_steps.values():
            trainer = self._trainer(part.configuration, tasks, self.inner_tasks)
            outcomes.update({own.name: own for own in train_group(trainer, self.run.epochs)})
        return outcomes

    def _with_inner(self, outcome: FoldOutcome, inner: FoldOutcome) -> TrainedFold:
        test_clips = len(self.tasks[outcome.name].test_indices)
        rows = self.inner_tasks[outcome.name].test_indices[test_clips:]
        training = InnerTraining(
            rows=rows,
            labels=self.data.labels[rows].cpu().numpy(),
            logits=inner.logits[:, test_clips:],
            test_logits=inner.logits[:, :test_clips],
        )
        failed = outcome.failed_epoch or inner.failed_epoch
        return TrainedFold(replace(outcome, failed_epoch=failed), training)

    def _trainer(
        self, configuration: Configuration, tasks: list[FoldTask], of_run: dict[str, FoldTask]
    ) -> GroupTrainer:
        """A group of tasks; in groups, all groups of the run's tasks share their sizes."""
        if self.run.training is None:
            raise TypeError(f"model {configuration.model} is fitted at once, not trained")
        sharing = tasks if self.run.group_size == 1 else of_run.values()
        largest = max(len(task.train_indices) for task in sharing)
        shape = GroupShape(
            step_clips=min(self.run.batch_size, largest),
            test_clips=max(len(task.test_indices) for task in sharing),
        )
        return GroupTrainer(
            tasks,
            self.data,
            lambda: create_model(configuration.model, **configuration.settings),
            self.run.training,
            shape,
        )

    def _fit(self, part: GroupTask, fold: Fold) -> FoldOutcome:
        task = self.tasks[fold.name]
        return fit_fold(part.configuration, task, self.data, self.subjects, self.keep_weights)

    def _fold_task(self, fold: Fold) -> FoldTask:
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject)
        return FoldTask(fold.name, fold.train_indices, fold.test_indices, seed)

    def _inner_task(self, clips: pd.DataFrame, fold: Fold) -> FoldTask:
        """The fold without its validation clips, which come after the test clips."""
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject, "inner")
        validation = validation_rows(clips, fold, seed)
        train = np.setdiff1d(fold.train_indices, validation)
        return FoldTask(fold.name, train, np.concatenate([fold.test_indices, validation]), seed)
