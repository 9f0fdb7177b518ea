"""CausalNet in small: 1.8 M parameters, head motion removed, both phases summed, weights averaged.

The network of ``causalnet`` (see models/causalnet/published.py) with dim 32 and repeats (1, 1, 2).
Departures: size, preparation and training settings are this suite's; docs/results.md says how many
configurations were looked at before. The second phase that it sees is the sum of both, reversed: it
holds no information of its own, so what this method gains is no evidence for causal learning.
"""

from models.causalnet.compact_v1 import build, name_configuration

__all__ = ["build", "name_configuration"]

input = "maps"
preparation = {"affine": True, "rms": True, "phase_sum": True, "mirror": True}
training = {
    "epochs": 15,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "one_cycle",
    "shuffle": True,
    "class_weights": True,
    "label_smoothing": 0.1,
    "averaging": 0.97,
    "averaging_from": 0.4,
    "test_mirrored": True,
}
grid = {"block_repeats": ((1, 1, 2),), "gamma": (0.5,)}
group_size = 8
cost = "half of what causalnet_compact_v1 costs"
