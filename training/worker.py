"""Holds a run's inputs on one device and trains groups of folds there."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from datasets import Fold, Inputs
from datasets.preprocessing import Gains, fit_gains
from evaluation.fold_logits import InnerTraining
from models.estimator import dump_estimator, estimator_scores, fit_estimator
from models.method import Method
from models.pretrained import build_model
from training.clips import Clips, prepare_clips
from training.configuration import Configuration, fold_seed
from training.fold_group import (
    FoldOutcome,
    FoldTask,
    GroupShape,
    GroupTrainer,
    check_network,
    train_group,
)
from training.group_task import GroupTask
from training.initial_weights import InitialWeights
from training.inner_validation import validation_rows
from training.memory_split import UsedSizes, on_parts_that_fit
from training.run_record import Run
from training.stacking import seeded_random, why_alone

Result = TypeVar("Result")


@dataclass(frozen=True)
class TrainedFold:
    """A fold's outcome, and what its training without validation subjects gave, if there was one.

    ``outcome.failed_epoch`` is of either training; ``gains`` are the fold's, where its preparation
    has a phase sum.
    """

    outcome: FoldOutcome
    inner: InnerTraining | None = None
    gains: Gains | None = None


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
    """Trains groups; clips whose preparation no fold changes are prepared once and stay."""

    def __init__(
        self,
        run: Run,
        method: Method,
        inputs: Inputs,
        folds: list[Fold],
        keep_weights: bool = False,
        used_sizes: UsedSizes | None = None,
        initial: InitialWeights | None = None,
    ) -> None:
        torch.set_num_threads(run.threads)
        # As use_deterministic_algorithms(True), which first imports a compiler for a second.
        torch.set_deterministic_debug_mode("error")
        # Nothing reads memory before it is written; filling it took 3 % of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self.run, self.method, self.inputs = run, method, inputs
        self.keep_weights = keep_weights
        self.initial = {} if initial is None else initial.folds
        self.used_sizes = copy.deepcopy(used_sizes or {})
        self.tasks = {fold.name: self._fold_task(fold) for fold in folds}
        self.inner_tasks = (
            {fold.name: self._inner_task(fold) for fold in folds} if run.inner else {}
        )
        names = inputs.clips[["dataset", "subject"]].agg("/".join, axis=1)
        self.groups = names.to_numpy(str)
        self.datasets = inputs.clips["dataset"].to_numpy(str)
        labels = inputs.clips["label"].to_numpy(np.int64, copy=True)
        self.labels = torch.from_numpy(labels).to(run.device)
        self._shared: dict[str, Clips] = {}
        self._last_clips: tuple[tuple[str, bytes], Clips] | None = None
        self._known_gains: dict[bytes, Gains | None] = {}
        self._alone: dict[str, str | None] = {}
        self._checked: set[str] = set()

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

        def guarded(part: GroupTask) -> Result:
            with self.method.running("training fails"):
                return action(part)

        parts = on_parts_that_fit(task, own.get(folds, folds), guarded)
        own[folds] = max(size for size, _ in parts)
        return parts

    def trainer(self, task: GroupTask) -> GroupTrainer:
        """A group with fresh networks."""
        tasks = [self.tasks[fold.name] for fold in task.folds]
        return self._trainer(task.configuration, tasks, self.tasks)

    def why_alone(self, configuration: Configuration) -> str | None:
        """Why the folds of a configuration are trained one at a time; None where groups may be.

        Raises:
            UserError: the network does not take the clips, or gives something else than logits.
        """
        if configuration.name not in self._alone:
            task = next(iter(self.tasks.values()))
            clips, rows = self._fold_clips(configuration, task), task.train_indices[:2]
            create = partial(self._create, configuration)
            sample = clips.test(rows).contiguous()
            labels = self.labels[torch.from_numpy(rows).to(self.labels.device)]
            with self.method.running("the network fails in training mode"):
                self._alone[configuration.name] = why_alone(
                    self.method, lambda: create().to(self.run.device), sample, labels
                )
        return self._alone[configuration.name]

    def check(self, configuration: Configuration) -> None:
        """Try the configuration's network on two clips; an estimator is only built.

        Raises:
            UserError: it cannot be built, fails, or gives something else than logits.
        """
        if configuration.name in self._checked:
            return
        self._checked.add(configuration.name)
        with torch.random.fork_rng():
            built = self._create(configuration)
            if not isinstance(built, nn.Module):
                return
            task = next(iter(self.tasks.values()))
            classes, source = len(self.run.class_names), self.method.path
            clips = self._fold_clips(configuration, task)
            network = built.to(self.run.device)
            check_network(network, clips, task.train_indices, classes, source)

    def _create(self, configuration: Configuration) -> Any:
        return build_model(self.method, configuration.settings, len(self.run.class_names))

    def _fold_clips(self, configuration: Configuration, task: FoldTask) -> Clips:
        """The fold's clips; those that no fold changes are prepared once."""
        run, settings = self.run, configuration.settings
        arguments = self.method.arguments("prepare", settings, len(run.class_names))
        prepared = partial(
            prepare_clips, self.method, self.inputs, run.preparation, arguments, run.device
        )
        key = repr(arguments)
        if run.preparation.phase_sum:
            # The last one alone: every configuration of a grid is tried on the same fold.
            last = key, task.train_indices.tobytes()
            if self._last_clips is None or self._last_clips[0] != last:
                self._last_clips = last, prepared(self._gains(task))
            return self._last_clips[1]
        if key not in self._shared:
            self._shared[key] = prepared(None)
        return self._shared[key]

    def _gains(self, task: FoldTask) -> Gains | None:
        own = self.run.preparation
        if not own.phase_sum:
            return None
        key = task.train_indices.tobytes()
        if key not in self._known_gains:
            gains = fit_gains(self.inputs.maps, own, self.datasets, task.train_indices)
            self._known_gains[key] = gains
        return self._known_gains[key]

    def _train_part(self, part: GroupTask, on_epoch: Callable[[int], None]) -> list[TrainedFold]:
        self.check(part.configuration)
        if self.run.training is None:
            return [self._fit(part, fold) for fold in part.folds]
        save = _network_file if self.keep_weights else None
        outcomes = train_group(self.trainer(part), self.run.epochs, save=save, on_epoch=on_epoch)
        inner = self._train_inner(part) if self.run.inner else {}
        return [self._with_inner(outcome, inner.get(outcome.name)) for outcome in outcomes]

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

    def _with_inner(self, outcome: FoldOutcome, inner: FoldOutcome | None) -> TrainedFold:
        gains = self._gains(self.tasks[outcome.name])
        if inner is None:
            return TrainedFold(outcome, None, gains)
        test_clips = len(self.tasks[outcome.name].test_indices)
        rows = self.inner_tasks[outcome.name].test_indices[test_clips:]
        training = InnerTraining(
            rows=rows,
            labels=self.labels[torch.from_numpy(rows)].cpu().numpy(),
            logits=inner.logits[:, test_clips:],
            test_logits=inner.logits[:, :test_clips],
        )
        failed = outcome.failed_epoch or inner.failed_epoch
        return TrainedFold(replace(outcome, failed_epoch=failed), training, gains)

    def _trainer(
        self, configuration: Configuration, tasks: list[FoldTask], of_run: dict[str, FoldTask]
    ) -> GroupTrainer:
        """A group of tasks; in groups, all groups of the run's tasks share their sizes."""
        if self.run.training is None:
            raise TypeError(f"method {self.method.name} is fitted at once, not trained")
        alone = self.run.group_size == 1 or self.why_alone(configuration) is not None
        return GroupTrainer(
            self.method,
            tasks,
            [self._fold_clips(configuration, task) for task in tasks],
            self.labels,
            len(self.run.class_names),
            partial(self._create, configuration),
            self.run.training,
            None if alone else self._shape(of_run),
        )

    def _shape(self, of_run: dict[str, FoldTask]) -> GroupShape:
        largest = max(len(task.train_indices) for task in of_run.values())
        return GroupShape(
            step_clips=min(self.run.batch_size, largest),
            test_clips=max(len(task.test_indices) for task in of_run.values()),
        )

    def _fit(self, part: GroupTask, fold: Fold) -> TrainedFold:
        """The outcome of a trained network, of one epoch."""
        task = self.tasks[fold.name]
        train = task.train_indices
        # A method of labels alone is given one zero a clip: copying all clips for every fold is
        # most of its work.
        sees = self.method.facts.get("sees_clips", True)
        clips = self._fold_clips(part.configuration, task) if sees else None
        seen = self._views(clips, train)
        labels, groups = self.labels.cpu().numpy()[train], self.groups[train]
        with seeded_random(task.seed, torch.device("cpu")), _seeded_numpy(task.seed):
            estimator = fit_estimator(
                self.method,
                self._create(part.configuration),
                np.concatenate(seen) if len(seen) > 1 else seen[0],
                np.tile(labels, len(seen)),
                np.tile(groups, len(seen)),
            )
        tested = self._views(clips, task.test_indices)[0]
        scores = estimator_scores(self.method, estimator, tested, len(self.run.class_names))
        outcome = FoldOutcome(
            name=fold.name,
            logits=scores[np.newaxis],
            losses=np.zeros(1, dtype=np.float32),
            failed_epoch=None if np.isfinite(scores).all() else 1,
            weights=dump_estimator(estimator) if self.keep_weights else None,
        )
        return TrainedFold(outcome, None, self._gains(task))

    @staticmethod
    def _views(clips: Clips | None, rows: np.ndarray) -> list[np.ndarray]:
        if clips is None:
            return [np.zeros((len(rows), 1), dtype=np.float32)]
        return [clips.test(rows, view).cpu().numpy() for view in range(clips.views)]

    def _fold_task(self, fold: Fold) -> FoldTask:
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject)
        start = self.initial.get(fold.name)
        path = None if start is None else start.path
        return FoldTask(fold.name, fold.train_indices, fold.test_indices, seed, path)

    def _inner_task(self, fold: Fold) -> FoldTask:
        """The fold without its validation clips, which come after the test clips."""
        seed = fold_seed(self.run.seed, fold.dataset, fold.subject, "inner")
        validation = validation_rows(self.inputs.clips, fold, seed)
        train = np.setdiff1d(fold.train_indices, validation)
        return FoldTask(fold.name, train, np.concatenate([fold.test_indices, validation]), seed)


class _seeded_numpy:
    """NumPy's global generator, which an estimator without a seed of its own draws from."""

    def __init__(self, seed: int) -> None:
        self.seed = seed % 2**32

    def __enter__(self) -> None:
        self.outside = np.random.get_state()  # noqa: NPY002
        np.random.seed(self.seed)  # noqa: NPY002

    def __exit__(self, *exception: object) -> None:
        np.random.set_state(self.outside)  # noqa: NPY002


def _network_file(state: dict[str, Tensor]) -> bytes:
    """As safetensors, which takes no tensors that share memory, as those of a stack do."""
    return bytes(save({name: value.clone().contiguous() for name, value in state.items()}))
