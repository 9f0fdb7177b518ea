"""CausalNet in small as of version 0.1: 1.8 M parameters, maps with u and v centered and mirrored.

Kept so that finished results can be repeated. The network of ``causalnet`` (see
models/causalnet/published.py) with dim 32 and repeats (1, 1, 2).
Departures: size, preparation and training settings are this suite's; docs/results.md says what they
were chosen on.
"""

from collections.abc import Sequence

from models.causalnet.causalnet import Ablation, CausalNet
from models.causalnet.published import build as build_published
from models.causalnet.published import name_configuration

__all__ = ["build", "name_configuration"]

input = "maps"
preparation = {"center": True, "mirror": True}
training = {
    "epochs": 30,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "one_cycle",
    "shuffle": True,
    "class_weights": True,
}
grid = {"block_repeats": ((1, 1, 2),), "gamma": (0.5,)}
group_size = 8
cost = "8 minutes for the 442 released clips, two cores"


def build(
    classes: int = 3,
    block_repeats: Sequence[int] = (1, 1, 2),
    gamma: float = 0.5,
    dim: int = 32,
    heads: int = 3,
    ablation: Ablation = "none",
) -> CausalNet:
    """The network; see ``CausalNet``."""
    return build_published(classes, block_repeats, gamma, dim, heads, ablation=ablation)
