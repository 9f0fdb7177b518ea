"""causalnet_compact that has learned to read drawn muscle motion first, then 8 epochs of clips.

The network of ``causalnet_compact``. All but its last layer begins with weights that were trained
on drawn motion of two phases, with the activations of 32 muscles as targets
(``training/pretrain_on_motion.py``). No person and no dataset took part in that, so the weights can
have seen no test subject of any protocol.
Departures: as in ``causalnet_compact``; learning rate 5e-4.
"""

from pathlib import Path
from typing import cast

import torch
from torch import nn

from common.action_units import ACTIVATIONS
from common.owned_folder import check_unchanged
from models.causalnet.causalnet import Ablation, CausalNet
from models.causalnet.compact_v1 import build as build_compact
from models.checkpoint import load_into, load_weights

input = "maps"
preparation = {"affine": True, "rms": True, "phase_sum": True, "mirror": True}
training = {
    "epochs": 8,
    "batch_size": 64,
    "learning_rate": 5e-4,
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
group_size = 8
cost = "half of what causalnet_compact costs"

SHIPPED = Path(__file__).resolve().parents[2] / "weights/causalnet_pretrained/causalnet.safetensors"


def build(classes: int = 3, ablation: Ablation = "none", weights: str = "") -> CausalNet:
    """The network with pretrained weights and a fresh last layer.

    Args:
        classes: how many logits.
        ablation: see ``CausalNet``; its weights are not shipped, so give ``weights``.
        weights: file of pretrained weights; empty for the shipped ones.

    Raises:
        UserError: the weights cannot be read, or are of another network.
    """
    path = Path(weights or SHIPPED)
    check_unchanged(path.parent, [path])
    # Whatever torch's default device is: a network on "meta", built to count its parameters, takes
    # no weights.
    with torch.device("cpu"):
        network = build_for_drawn_motion(ablation)
        load_into(network, load_weights(path), path)
        last = cast(nn.Linear, network.mlp_head[1])
        network.mlp_head[1] = nn.Linear(last.in_features, classes)
    return network


def build_for_drawn_motion(ablation: Ablation = "none") -> CausalNet:
    """The network as it is pretrained, with an output for each muscle."""
    return build_compact(ACTIVATIONS, ablation=ablation)
