"""What is trained and how: typed, closed settings, and the grid as one list of configurations."""

import hashlib
import itertools
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from common.errors import UserError
from training.precision import Precision


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained in every fold."""

    epochs: int
    """Passes over the training clips."""
    batch_size: int
    """Clips in an optimizer step; more than there are means the full batch."""
    learning_rate: float
    """Step size; the highest one of the schedule."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam as published, or AdamW (weight decay apart from the gradient)."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer."""
    schedule: Literal["constant", "one_cycle"] = "constant"
    """Step size over the run: constant, or rising for 30 % of the steps, then falling to zero."""
    shuffle: bool = False
    """Draw the training clips in a new order every epoch."""
    precision: Precision = "float32"
    """Arithmetic of the training steps."""
    class_weights: bool = False
    """Weight the loss so that every class counts the same in a fold's training clips."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        if self.weight_decay < 0:
            raise UserError(f"weight_decay is {self.weight_decay}; it must not be negative.")


@dataclass(frozen=True)
class Configuration:
    """One point of a grid: a registered model with its settings.

    Attributes:
        name: names the results folder.
        label: names it in ``result_summary.txt``.
        model: a name of ``models.list_models()``.
        settings: keyword arguments of ``models.create_model``.
    """

    name: str
    label: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grid:
    """Values of a CausalNet grid search; the nesting order is layer1, layer2, layer3, gamma."""

    layer1: tuple[int, ...]
    layer2: tuple[int, ...]
    layer3: tuple[int, ...]
    gammas: tuple[float, ...]
    skipped: tuple[tuple[int, int], ...] = ()
    """Pairs (layer1, layer2) that are left out."""

    def configurations(self, **settings: Any) -> list[Configuration]:
        """The grid as a list, in the published order; ``settings`` go to every network."""
        points = itertools.product(self.layer1, self.layer2, self.layer3, self.gammas)
        kept = [point for point in points if point[:2] not in self.skipped]
        if not kept:
            raise UserError("The grid is empty. Give at least one value for every layer and gamma.")
        if len(set(kept)) < len(kept):
            raise UserError("The grid names a value twice. Give every value once.")
        return [causalnet_configuration(gamma, layers, **settings) for *layers, gamma in kept]


def causalnet_configuration(gamma: float, block_repeats: Any, **settings: Any) -> Configuration:
    """A CausalNet configuration under its published folder name ``<gamma>_<l1>_<l2>_<l3>``."""
    repeats = tuple(int(repeat) for repeat in block_repeats)
    if min(repeats) < 1 or not 0 <= gamma < math.inf:
        raise UserError(
            f"layers {repeats} and gamma {gamma}: every layer count must be at least 1 "
            "and gamma a number from 0."
        )
    ablation = settings.get("ablation", "none")
    suffix = "" if ablation == "none" else f"_{ablation}"
    layers = ", ".join(f"layer{place}={count}" for place, count in enumerate(repeats, start=1))
    return Configuration(
        name="_".join(str(part) for part in (gamma, *repeats)) + suffix,
        label=f"gamma={gamma}, {layers}" + (f", ablation={ablation}" if suffix else ""),
        model="causalnet",
        settings={"block_repeats": repeats, "gamma": gamma, **settings},
    )


def short_hash(content: Any) -> str:
    """First 12 hex digits of the SHA-256 of ``content`` as sorted JSON."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fold_seed(seed: int, dataset: str, subject: str, purpose: str = "") -> int:
    """The seed of a fold, 0..2**63-1: a function of these alone, so of no other fold.

    ``purpose`` tells a further training or draw of the same fold from the fold's own.
    """
    parts = [str(seed), dataset, subject, *([purpose] if purpose else [])]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
