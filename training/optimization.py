"""Optimizer, step size and average of the weights, for stacked and for lone networks.

All of it works element by element, so stacked folds do not meet in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
)
from torch.optim.swa_utils import get_ema_multi_avg_fn

from common.errors import UserError
from models.method import Method
from training.configuration import TrainingSettings

MOMENTUM = 0.9


def create_optimizer(
    method: Method, parameters: list[Tensor], settings: TrainingSettings
) -> torch.optim.Optimizer:
    """The settings' optimizer, or the one that the method's ``optimizer(parameters)`` makes."""
    own = method.hook("optimizer")
    if own is not None:
        made = own(parameters)
        if not isinstance(made, torch.optim.Optimizer):
            raise UserError(
                f"{method.path}: optimizer gave a {type(made).__name__}. Return a torch optimizer."
            )
        return made
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=MOMENTUM, weight_decay=decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    return kind(parameters, lr=rate, weight_decay=decay, fused=True)


def create_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, total: int
) -> LRScheduler | None:
    """The schedule, stepped after every optimizer step; None where the step size is constant.

    Args:
        total: optimizer steps of the whole training.
    """
    if settings.schedule == "constant":
        return None
    if settings.schedule == "one_cycle":
        return OneCycleLR(optimizer, settings.learning_rate, total_steps=total)
    if settings.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=total)
    steps = max(1, total // settings.epochs)

    def factor(step: int) -> float:
        epoch = step // steps
        if settings.schedule == "step":
            return settings.step_factor ** (epoch // settings.step_epochs)
        return settings.decay ** min(epoch, settings.decay_epochs)

    return LambdaLR(optimizer, factor)


class WeightAverage:
    """Exponential moving average of the parameters, over the last part of the steps.

    Args:
        parameters: the live ones; they are never changed but within ``applied``.
        total: optimizer steps of the whole training.
    """

    def __init__(self, parameters: list[Tensor], settings: TrainingSettings, total: int) -> None:
        self.live = parameters
        self.begin = int(settings.averaging_from * total)
        self.step = 0
        self.average: list[Tensor] = []
        self.mix = get_ema_multi_avg_fn(settings.averaging) if settings.averaging else None

    def update(self) -> None:
        """After an optimizer step."""
        self.step += 1
        if self.mix is None or self.step <= self.begin:
            return
        live = [own.detach() for own in self.live]
        if self.average:
            self.mix(self.average, live, self.step - self.begin)
        else:
            self.average = [own.clone() for own in live]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the parameters hold the average, where it has begun."""
        if not self.average:
            yield
            return
        kept = [own.detach().clone() for own in self.live]
        self._copy(self.average)
        try:
            yield
        finally:
            self._copy(kept)

    def _copy(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for own, value in zip(self.live, values, strict=True):
                own.copy_(value)
