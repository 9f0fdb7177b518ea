"""Trains one fold, or several folds at once as stacked weights.

Shape legend: K folds in the group, B clips in a step, T test clips of a fold (padded), C classes.

The folds of a group share every tensor operation and nothing else: each has its own weights, seed,
training clips and order. Only folds with the same number of steps in an epoch can be stacked, and
only networks that draw nothing and change no buffer in training (``training/stacking.py``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError
from models.checkpoint import load_into, load_weights
from models.method import Method, user_code
from training.clips import Clips, stack_batches
from training.configuration import TrainingSettings
from training.optimization import WeightAverage, create_optimizer, create_schedule
from training.precision import activations, matrix_products
from training.stacking import StackedNetworks, seeded_random

TEST_BATCH = 128
"""Test clips that go through a network at once; eval.py uses the same number."""


@dataclass(frozen=True)
class FoldTask:
    """One fold to train: row numbers of its training and test clips, its seed, and the file of the
    weights that it starts from, where it has one."""

    name: str
    train_indices: np.ndarray
    test_indices: np.ndarray
    seed: int
    initial: Path | None = None


@dataclass(frozen=True)
class FoldOutcome:
    """What training one fold gave.

    Attributes:
        logits: float32 [epochs, T, C] of the test clips after every epoch.
        losses: float32 [epochs]; mean training loss over the steps of an epoch.
        failed_epoch: the epoch (from 1) whose loss, or else whose logits, were not finite; None
            when all went well.
        weights: the file of the state after the last epoch, when asked for.
    """

    name: str
    logits: np.ndarray
    losses: np.ndarray
    failed_epoch: int | None
    weights: bytes | None


@dataclass(frozen=True)
class GroupShape:
    """Sizes that all folds of a run share, so that no fold's bytes depend on its companions."""

    step_clips: int
    test_clips: int


class EpochPlan:
    """A fold's own draws: the order of its training clips and the view in which each is seen."""

    def __init__(self, fold: FoldTask, settings: TrainingSettings, views: int, step_clips: int):
        self.indices = fold.train_indices
        self.settings = settings
        self.views = views
        self.steps = -(-len(self.indices) // step_clips)
        self.padding = self.steps * step_clips - len(self.indices)
        self.generator = np.random.default_rng(fold.seed)

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row numbers, views and 0/1 use of one epoch, each [steps, B]; padding is not used."""
        order = self.generator.permutation(self.indices) if self.settings.shuffle else self.indices
        views = self.generator.integers(0, self.views, size=len(order))
        # Drawn before padding, so that no draw depends on the sizes of the other folds.
        padding = (0, self.padding)
        rows = np.pad(order, padding, mode="edge")
        used = np.pad(np.ones(len(order), dtype=bool), padding)
        shape = (self.steps, -1)
        return rows.reshape(shape), np.pad(views, padding).reshape(shape), used.reshape(shape)


class GroupTrainer:
    """Trains a group of folds together, as one batched network, or one fold alone.

    Args:
        clips: the clips of each fold, [K].
        labels: int64 [N] on the device; ``classes`` is C.
        create_network: builds a network from the global generator, which is seeded per fold here.
        shape: sizes shared by all folds of the run; None for a fold alone, whose batches then
            hold no padding.

    Raises:
        ValueError: the folds differ in their number of steps in an epoch.
    """

    def __init__(
        self,
        method: Method,
        folds: Sequence[FoldTask],
        clips: Sequence[Clips],
        labels: Tensor,
        classes: int,
        create_network: Callable[[], nn.Module],
        settings: TrainingSettings,
        shape: GroupShape | None,
    ) -> None:
        self.folds, self.clips, self.labels, self.classes = folds, clips, labels, classes
        self.settings, self.shape, self.device = settings, shape, labels.device
        self.random = [seeded_random(fold.seed, self.device) for fold in folds]
        networks = []
        for fold, random in zip(folds, self.random, strict=True):
            with random:
                networks.append(create_network().to(self.device))
            if fold.initial is not None:
                state = load_weights(fold.initial, self.device)
                load_into(networks[-1], state, fold.initial)
        self.networks = StackedNetworks(networks)
        self.generators = [torch.Generator().manual_seed(fold.seed) for fold in folds]
        # A step of more clips than there are is one of all: padding to it would take all memory.
        largest = max(len(fold.train_indices) for fold in folds)
        step_clips = min(settings.batch_size, largest) if shape is None else shape.step_clips
        views = clips[0].views
        self.plans = [EpochPlan(fold, settings, views, step_clips) for fold in folds]
        if len({plan.steps for plan in self.plans}) > 1:
            raise ValueError("folds of one group must have the same number of steps in an epoch")
        self.class_weights = torch.stack([self._class_weights(fold) for fold in folds])
        self._take_hooks(method)
        parameters = list(self.networks.parameters.values())
        self.optimizer = create_optimizer(method, parameters, settings)
        total = settings.epochs * self._steps_in_epoch()
        self.schedule = create_schedule(self.optimizer, settings, total)
        self.average = WeightAverage(parameters, settings, total)

    def _take_hooks(self, method: Method) -> None:
        self.loss, self.augment = method.hook("loss"), method.hook("augment")
        self.training_step, self.order = method.hook("training_step"), method.hook("epoch_order")

    def _steps_in_epoch(self) -> int:
        plan = self.plans[0]
        if self.order is not None:
            # Drawn from a generator of its own: only the number of batches is asked for.
            return len(self._order(torch.Generator().manual_seed(self.folds[0].seed)))
        alone = self.shape is None and len(plan.indices) % self.settings.batch_size == 1
        return plan.steps - (1 if alone and plan.steps > 1 else 0)

    def draw_epoch(self) -> list[tuple[Tensor, ...]]:
        """One tuple (rows, views, used) a step, each [K, B]."""
        if self.order is not None:
            return self._ordered_epoch()
        drawn = [plan.draw() for plan in self.plans]
        stacked = [np.stack(part, axis=1) for part in zip(*drawn, strict=True)]
        parts = [torch.from_numpy(part).to(self.device) for part in stacked]
        steps: list[tuple[Tensor, ...]] = list(zip(*parts, strict=True))
        return steps if self.shape is not None else _without_padding(steps)

    def _ordered_epoch(self) -> list[tuple[Tensor, ...]]:
        """An epoch in the order of the method's own ``epoch_order``, of a fold alone."""
        plan = self.plans[0]
        steps: list[tuple[Tensor, ...]] = []
        for chosen in self._order(self.generators[0]):
            rows = torch.from_numpy(plan.indices[np.asarray(chosen)]).to(self.device)[None]
            views = plan.generator.integers(0, plan.views, size=rows.shape)
            used = torch.ones_like(rows, dtype=torch.bool)
            steps.append((rows, torch.from_numpy(views).to(self.device), used))
        return steps

    def _order(self, generator: torch.Generator) -> Sequence[np.ndarray]:
        """The method's own batches of an epoch, as places in the training clips of the fold."""
        assert self.order is not None
        labels = self.labels[torch.from_numpy(self.plans[0].indices).to(self.device)]
        batches: Sequence[np.ndarray] = self.order(
            labels.cpu().numpy(), self.settings.batch_size, generator
        )
        return batches

    def step(self, rows: Tensor, views: Tensor, used: Tensor) -> Tensor:
        """One optimizer step of every fold; returns the losses before it, [K]."""
        labels = self.labels[rows]
        weights = used * self.class_weights.gather(1, labels)
        clips = stack_batches(self.clips, rows, views, self.generators)
        if self.augment is not None:
            clips = torch.stack(
                [self.augment(*own) for own in zip(clips, self.generators, strict=True)]
            )
        with matrix_products(self.settings.precision):
            loss = self._losses(clips, labels, weights, used)
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.average.update()
        return loss.detach()

    def _losses(self, clips: Tensor, labels: Tensor, weights: Tensor, used: Tensor) -> Tensor:
        """[K]."""
        with activations(self.settings.precision, self.device):
            if self.training_step is not None:
                own = self.training_step(
                    self.networks.template, clips[0], labels[0], self.generators[0]
                )
                return torch.as_tensor(own)[None]
            logits = self.networks.logits(clips)
        if self.loss is None:
            return weighted_cross_entropy(
                logits.float(), labels, weights, self.settings.label_smoothing
            )
        kept = zip(logits.float(), labels, used, strict=True)
        return torch.stack([self.loss(own[use], label[use]) for own, label, use in kept])

    def epoch(self) -> Tensor:
        """One pass over the training clips; returns each fold's mean loss, float32 [K]."""
        self.networks.template.train()
        with self.random[0]:
            losses = [self.step(*batch) for batch in self.draw_epoch()]
        return torch.stack(losses).mean(0).float().cpu()

    def test_logits(self) -> list[np.ndarray]:
        """float32 [T, C] of each fold, from the averaged weights where there are such."""
        self.networks.template.eval()
        with self.average.applied():
            if self.networks.count == 1:
                return [self.lone_logits(0)]
            return self._stacked_logits()

    def _stacked_logits(self) -> list[np.ndarray]:
        assert self.shape is not None
        rows = [np.resize(fold.test_indices, self.shape.test_clips) for fold in self.folds]
        parts = []
        with torch.inference_mode(), matrix_products("float32"):
            for view in test_views(self.settings):
                clips = [own.test(row, view) for own, row in zip(self.clips, rows, strict=True)]
                parts.append(self.networks.logits(torch.stack(clips)).float())
        mean = (sum(parts[1:], parts[0]) / len(parts)).cpu().numpy()
        kept = zip(mean, self.folds, strict=True)
        return [own[: len(fold.test_indices)].copy() for own, fold in kept]

    def lone_logits(self, place: int) -> np.ndarray:
        """float32 [T, C] of a fold's test clips by its network alone, as ``eval.py`` does it."""
        network = self.networks.lone_network(place)
        fold = self.folds[place]
        return lone_logits(network, self.clips[place], fold.test_indices, self.settings)

    def final_state(self, place: int) -> dict[str, Tensor]:
        """The state dict of a fold's network as it is tested, on the CPU."""
        with self.average.applied():
            state = self.networks.lone_network(place).state_dict()
            return {name: value.cpu().clone() for name, value in state.items()}

    def _class_weights(self, fold: FoldTask) -> Tensor:
        """float32 [C]: all ones, or inversely proportional to the training clips of each class."""
        if not self.settings.class_weights:
            return torch.ones(self.classes, device=self.device)
        own = self.labels[torch.as_tensor(fold.train_indices, device=self.device)]
        counts = torch.bincount(own, minlength=self.classes)
        return torch.where(counts > 0, len(own) / (self.classes * counts.clamp(min=1)), 0.0)


def _without_padding(steps: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    """Batches of a fold alone: padding would enter a batch norm. A last clip that would be alone
    joins the batch before it, since a batch norm needs two."""
    kept = [tuple(part[used][None] for part in (rows, views, used)) for rows, views, used in steps]
    if len(kept) > 1 and kept[-1][0].shape[1] == 1:
        last, before = kept.pop(), kept.pop()
        kept.append(tuple(torch.cat(pair, dim=1) for pair in zip(before, last, strict=True)))
    return kept


def train_group(
    trainer: GroupTrainer,
    epochs: int,
    *,
    save: Callable[[dict[str, Tensor]], bytes] | None = None,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> list[FoldOutcome]:
    """Train a group to the end; ``on_epoch`` is told each finished epoch, from 1.

    The last epoch's logits are computed by each network alone, as ``eval.py`` does it with the
    saved weights, so that the two agree to the last bit.

    Args:
        save: makes the file of a network's state; None where weights are not kept.
    """
    epoch_losses, epoch_logits = [], []
    for epoch in range(1, epochs + 1):
        epoch_losses.append(trainer.epoch().numpy())
        epoch_logits.append(trainer.test_logits())
        on_epoch(epoch)
        if not np.isfinite(epoch_losses[-1]).any():
            break
    losses = np.stack(epoch_losses)
    outcomes = []
    for place, fold in enumerate(trainer.folds):
        logits = np.stack([own[place] for own in epoch_logits])
        with trainer.average.applied():
            logits[-1] = trainer.lone_logits(place)
        outcomes.append(
            FoldOutcome(
                name=fold.name,
                logits=logits,
                losses=losses[:, place].copy(),
                failed_epoch=_first_failure(losses[:, place], logits),
                weights=None if save is None else save(trainer.final_state(place)),
            )
        )
    return outcomes


def test_views(settings: TrainingSettings) -> tuple[int, ...]:
    """The views of a test clip whose logits are averaged."""
    return (0, 1) if settings.test_mirrored else (0,)


def lone_logits(
    network: nn.Module, clips: Clips, rows: np.ndarray, settings: TrainingSettings
) -> np.ndarray:
    """float32 [T, C] of the clips of these rows, in evaluation mode.

    Raises:
        UserError: a user's network fails, or gives something else than logits.
    """
    network.eval()
    views = test_views(settings)
    parts = []
    with torch.inference_mode(), matrix_products("float32"):
        for start in range(0, len(rows), TEST_BATCH):
            own = rows[start : start + TEST_BATCH]
            logits = [network(clips.test(own, view).contiguous()).float() for view in views]
            parts.append(sum(logits[1:], logits[0]) / len(views))
    return torch.cat(parts).cpu().numpy()


def check_network(
    network: nn.Module, clips: Clips, rows: np.ndarray, classes: int, source: object
) -> None:
    """Try a network on two clips before anything is trained.

    Raises:
        UserError: it fails, or its logits have another shape than [clips, classes].
    """
    sample = clips.test(rows[:2]).contiguous()
    what = f"the network fails on clips of shape {list(sample.shape)}"
    with user_code(source, what, "Make it take them."), torch.inference_mode():
        logits = network.eval()(sample)
    shape = list(getattr(logits, "shape", []))
    if shape != [len(sample), classes]:
        found = f"logits of shape {shape}" if shape else f"a {type(logits).__name__}"
        raise UserError(
            f"{source}: the network gives {found} for {len(sample)} clips of {classes} classes; "
            f"[{len(sample)}, {classes}] is needed. Use the number that build(classes) is given."
        )
    if not logits.is_floating_point() or logits.layout != torch.strided:
        raise UserError(
            f"{source}: the network gives logits of type {logits.dtype}, {logits.layout}. Return "
            "floating-point numbers."
        )


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Weighted mean cross entropy of each fold: [K, B, C], [K, B], [K, B] -> [K]."""
    each = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing
    )
    return (each.view_as(weights) * weights).sum(1) / weights.sum(1)


def _first_failure(losses: np.ndarray, logits: np.ndarray) -> int | None:
    """A loss is computed before its step, so only the logits show a failure of the last step."""
    for finite in (np.isfinite(losses), np.isfinite(logits).all(axis=(1, 2))):
        if not finite.all():
            return int(finite.argmin()) + 1
    return None
