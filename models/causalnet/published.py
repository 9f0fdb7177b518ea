"""CausalNet as published: 277 M parameters, the search of 36 configurations, full batches.

Paper: Zhang, Tang, Chen, "Rethinking Key-frame-based Micro-expression Recognition: A Robust and
Accurate Framework Against Key-frame Errors", ICCV 2025, arXiv 2508.06640.
Source of facts: docs/causalnet.md.
Licence of the original: MIT (copyright 2025 tony19980810); no line of it was copied.
Departures: none in the network but those named in models/causalnet; see docs/causalnet.md for the
faults of the published code that are kept, and those that are not.
"""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import UserError
from models.causalnet.causalnet import Ablation, CausalNet

input = "maps"
preparation = {"regions": True}
training = {"epochs": 200, "batch_size": 1024, "learning_rate": 5e-5}
grid = {
    "block_repeats": (
        (3, 3, 7), (3, 3, 8), (3, 3, 9), (3, 3, 10),
        (3, 2, 7), (3, 2, 8), (3, 2, 9), (3, 2, 10),
        (2, 3, 7), (2, 3, 8), (2, 3, 9), (2, 3, 10),
    ),
    "gamma": (0.3, 0.4, 0.5),
}  # fmt: skip
small = {"dim": 32, "block_repeats": (1, 1, 2)}
cost = "about 90 days on two cores for the whole search; about an hour a fold"


def build(
    classes: int = 3,
    block_repeats: Sequence[int] = (3, 3, 9),
    gamma: float = 0.5,
    dim: int = 256,
    heads: int = 3,
    image_size: int = 28,
    patch_size: int = 7,
    hidden: int = 2048,
    ablation: Ablation = "none",
) -> CausalNet:
    """The network; see ``CausalNet``."""
    return CausalNet(
        tuple(block_repeats), gamma, dim, heads, classes, image_size, patch_size, hidden, ablation
    )


MOST_LAYERS = 1000
"""Of a stage; more is a slip of the pen, and would take all memory."""


def name_configuration(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Folder name and label of a configuration, as the published code writes them."""
    given, gamma = settings["block_repeats"], settings["gamma"]
    ablation = settings.get("ablation", "none")
    repeats = list(given) if isinstance(given, (list, tuple)) else []
    are_counts = bool(repeats) and all(
        type(own) is int and 1 <= own <= MOST_LAYERS for own in repeats
    )
    if not are_counts or type(gamma) not in (int, float) or not 0 <= gamma <= 1:
        raise UserError(
            f"block_repeats {reprlib.repr(given)} and gamma {reprlib.repr(gamma)}: every layer "
            f"count must be a whole number from 1 to {MOST_LAYERS}, and gamma a number from 0 to 1."
        )
    name = "_".join(str(part) for part in (gamma, *repeats))
    layers = ", ".join(f"layer{place}={count}" for place, count in enumerate(repeats, start=1))
    label = f"gamma={gamma}, {layers}"
    if ablation == "none":
        return name, label
    return f"{name}_{ablation}", f"{label}, ablation={ablation}"
