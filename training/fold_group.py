"""Trains one fold, or several folds at once as stacked weights.

Shape legend: K folds in the group, B clips in a step, T test clips of a fold (padded), C classes,
V views of a training clip (as stored, mirrored).

The folds of a group share every tensor operation and nothing else: each has its own weights, seed,
training clips and order. Only folds with the same number of steps in an epoch can be stacked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from training.configuration import TrainingSettings
from training.precision import activations, matrix_products


@dataclass(frozen=True)
class FoldTask:
    """One fold to train: row numbers of its training and test clips, and its seed."""

    name: str
    train_indices: np.ndarray
    test_indices: np.ndarray
    seed: int


@dataclass(frozen=True)
class FoldOutcome:
    """What training one fold gave.

    Attributes:
        logits: float32 [epochs, T, C] of the test clips after every epoch.
        losses: float32 [epochs]; mean training loss over the steps of an epoch.
        failed_epoch: the epoch (from 1) whose loss, or else whose logits, were not finite; None
            when all went well.
        weights: the state dict after the last epoch, on the CPU, when asked for.
    """

    name: str
    logits: np.ndarray
    losses: np.ndarray
    failed_epoch: int | None
    weights: dict[str, Tensor] | None


@dataclass(frozen=True)
class TrainingData:
    """The clips of all folds, on the device for the whole run.

    Attributes:
        pixels: float32 [V, N, 4, H, W, 3]; in this order a patch's row is one piece of memory.
        labels: int64 [N].
        classes: number of classes C.
    """

    pixels: Tensor
    labels: Tensor
    classes: int

    @classmethod
    def of_views(cls, views: Tensor, labels: Tensor, classes: int) -> "TrainingData":
        """From prepared clips, float32 [V, N, 4, 3, H, W]."""
        return cls(views.movedim(3, -1).contiguous(), labels, classes)

    @property
    def views(self) -> Tensor:
        """float32 [V, N, 4, 3, H, W], not a copy."""
        return self.pixels.movedim(-1, 3)

    def clips(self, views: Tensor, rows: Tensor) -> Tensor:
        """Whole clips are copied, not pixels: [K, B] and [K, B] -> [K, B, 4, 3, H, W]."""
        places = (views * self.pixels.shape[1] + rows).flatten()
        chosen = self.pixels.flatten(2).flatten(0, 1).index_select(0, places)
        return chosen.view(*rows.shape, *self.pixels.shape[2:]).movedim(-1, 3)


@dataclass(frozen=True)
class GroupShape:
    """Sizes that all folds of a run share, so that no fold's bytes depend on its companions."""

    step_clips: int
    test_clips: int


class StackedNetworks:
    """K networks of one architecture whose weights are stacked along a leading axis.

    A single network is used as it is: stacking one would only cost time.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.template = networks[0]
        self.count = len(networks)
        if self.count == 1:
            own = self.template.named_parameters()
            live: dict[str, Tensor] = {name: p for name, p in own if p.requires_grad}
            self.parameters = live
            return
        stacked, buffers = stack_module_state(list(networks))
        self.parameters = {name: p.detach().requires_grad_() for name, p in stacked.items()}
        self.buffers = buffers
        self._forward = vmap(self._one_forward)

    def logits(self, clips: Tensor) -> Tensor:
        """[K, B, 4, 3, H, W] -> [K, B, C]."""
        if self.count == 1:
            return self.template(clips[0])[None]
        return self._forward(self.parameters, self.buffers, clips)

    def lone_network(self, place: int) -> nn.Module:
        """One of the networks by itself; valid until the next call."""
        if self.count > 1:
            with torch.no_grad():
                for name, parameter in self.template.named_parameters():
                    parameter.copy_(self.parameters[name][place])
        return self.template

    def _one_forward(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], clips: Tensor
    ) -> Tensor:
        return functional_call(self.template, (parameters, buffers), (clips,))


class EpochPlan:
    """A fold's own draws: the order of its training clips and which of them are seen mirrored."""

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
    """The folds of one group, side by side, ready to train.

    Args:
        create_network: builds a network from the global generator, which is seeded per fold here.

    Raises:
        ValueError: the folds differ in their number of steps in an epoch.
    """

    def __init__(
        self,
        folds: Sequence[FoldTask],
        data: TrainingData,
        create_network: Callable[[], nn.Module],
        settings: TrainingSettings,
        shape: GroupShape,
    ) -> None:
        device = data.labels.device
        self.folds, self.data, self.precision = folds, data, settings.precision
        self.networks = StackedNetworks(
            [_seeded_network(create_network, fold.seed, device) for fold in folds]
        )
        self.plans = [
            EpochPlan(fold, settings, len(data.pixels), shape.step_clips) for fold in folds
        ]
        if len({plan.steps for plan in self.plans}) > 1:
            raise ValueError("folds of one group must have the same number of steps in an epoch")
        self.class_weights = torch.stack([_class_weights(fold, data, settings) for fold in folds])
        self.optimizer, self.schedule = _optimizer(self.networks, settings, self.plans[0].steps)
        self.test_clips = _padded_test_clips(folds, data, shape.test_clips)

    def draw_epoch(self) -> list[tuple[Tensor, ...]]:
        """One tuple (rows, views, used) a step, each [K, B]."""
        drawn = [plan.draw() for plan in self.plans]
        stacked = [np.stack(part, axis=1) for part in zip(*drawn, strict=True)]
        parts = [torch.from_numpy(part).to(self.data.labels.device) for part in stacked]
        return list(zip(*parts, strict=True))

    def step(self, rows: Tensor, views: Tensor, used: Tensor) -> Tensor:
        """One optimizer step of every fold; returns the losses before it, [K]."""
        labels = self.data.labels[rows]
        weights = used * self.class_weights.gather(1, labels)
        with matrix_products(self.precision):
            with activations(self.precision, self.data.labels.device):
                logits = self.networks.logits(self.data.clips(views, rows))
            loss = weighted_cross_entropy(logits.float(), labels, weights)
            self.optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss.detach()

    def epoch(self) -> Tensor:
        """One pass over the training clips; returns each fold's mean loss, float32 [K]."""
        losses = [self.step(*batch) for batch in self.draw_epoch()]
        return torch.stack(losses).mean(0).float().cpu()

    def test_logits(self) -> Tensor:
        """float32 [K, T, C] on the CPU."""
        with torch.inference_mode():
            return self.networks.logits(self.test_clips).float().cpu()


def train_group(
    trainer: GroupTrainer,
    epochs: int,
    *,
    keep_weights: bool = False,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> list[FoldOutcome]:
    """Train a group to the end; ``on_epoch`` is told each finished epoch, from 1.

    The last epoch's logits are computed by each network alone, as ``eval.py`` does it with the
    saved weights, so that the two agree to the last bit.
    """
    epoch_losses, epoch_logits = [], []
    for epoch in range(1, epochs + 1):
        epoch_losses.append(trainer.epoch())
        epoch_logits.append(trainer.test_logits())
        on_epoch(epoch)
        if not torch.isfinite(epoch_losses[-1]).any():
            break
    losses, logits = torch.stack(epoch_losses).numpy(), torch.stack(epoch_logits).numpy()
    outcomes = []
    for place, fold in enumerate(trainer.folds):
        own = logits[:, place, : len(fold.test_indices)].copy()
        network = trainer.networks.lone_network(place)
        own[-1] = lone_logits(network, trainer.data.views[0, fold.test_indices])
        state = {name: value.cpu().clone() for name, value in network.state_dict().items()}
        outcomes.append(
            FoldOutcome(
                name=fold.name,
                logits=own,
                losses=losses[:, place].copy(),
                failed_epoch=_first_failure(losses[:, place], own),
                weights=state if keep_weights else None,
            )
        )
    return outcomes


def lone_logits(network: nn.Module, clips: Tensor) -> np.ndarray:
    """float32 [T, C] of clips [T, 4, 3, H, W]."""
    with torch.inference_mode():
        return network(clips.contiguous()).float().cpu().numpy()


def _seeded_network(
    create_network: Callable[[], nn.Module], seed: int, device: torch.device
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_network().to(device)


def _class_weights(fold: FoldTask, data: TrainingData, settings: TrainingSettings) -> Tensor:
    """float32 [C]: all ones, or inversely proportional to the training clips of each class."""
    if not settings.class_weights:
        return torch.ones(data.classes, device=data.labels.device)
    own = data.labels[torch.as_tensor(fold.train_indices, device=data.labels.device)]
    counts = torch.bincount(own, minlength=data.classes)
    return torch.where(counts > 0, len(own) / (data.classes * counts.clamp(min=1)), 0.0)


def _optimizer(
    networks: StackedNetworks, settings: TrainingSettings, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
    """A fused optimizer; it works element by element, so stacked folds do not meet in it."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    optimizer = kind(
        networks.parameters.values(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    if settings.schedule == "constant":
        return optimizer, None
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * steps
    )
    return optimizer, schedule


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross entropy of each fold: [K, B, C], [K, B], [K, B] -> [K]."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return (each.view_as(weights) * weights).sum(1) / weights.sum(1)


def _padded_test_clips(folds: Sequence[FoldTask], data: TrainingData, length: int) -> Tensor:
    """View 0 of every fold's test clips, [K, T, 4, 3, H, W]; repeated clips fill the rest."""
    rows = [np.resize(fold.test_indices, length) for fold in folds]
    return data.views[0, torch.from_numpy(np.stack(rows)).to(data.views.device)]


def _first_failure(losses: np.ndarray, logits: np.ndarray) -> int | None:
    """The last step of all shows in the logits only: a loss is of the weights before its step."""
    for finite in (np.isfinite(losses), np.isfinite(logits).all(axis=(1, 2))):
        if not finite.all():
            return int(finite.argmin()) + 1
    return None
