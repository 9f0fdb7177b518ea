"""An STSTNet-like network: three shallow streams of 3, 5 and 8 filters, 16 in all.

Paper: Liong, Gan, See, Khor, Huang, "Shallow Triple Stream Three-dimensional CNN (STSTNet) for
Micro-expression Recognition", FG 2019, arXiv 1902.03634.
Source of facts: the paper's description; no code was read.

Departures: like it, not it. The input is the onset-apex map as this suite stores it (strain, v, u,
prepared as below); no dropout; training settings are this suite's.

Legend of dimensions: N clips, y and x places of the map.
"""

import torch
from torch import Tensor, nn

from common.errors import UserError

phases = 1
input = "maps"
preparation = {"center": True, "mirror": True, "scale": 0.0078125}
training = {
    "epochs": 40,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "one_cycle",
    "shuffle": True,
    "class_weights": True,
}
group_size = 8
cost = "2.5 minutes for the 442 released clips, two cores"

STREAM_FILTERS = (3, 5, 8)
INPUT_CHANNELS = 3
MAP_STRIDE = 3
POOLED_STRIDE = 2


class STSTNet(nn.Module):
    """Three parallel convolutions, pooled, side by side, pooled again, one linear layer.

    Args:
        classes: logits.
        image_size: side of a map in pixels.
    """

    def __init__(self, classes: int = 3, image_size: int = 28) -> None:
        super().__init__()
        side = -(-image_size // MAP_STRIDE) // POOLED_STRIDE
        if classes < 2 or side < 1:
            raise UserError(f"classes {classes} must be at least 2, image_size {image_size} 4.")
        self.streams = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(INPUT_CHANNELS, filters, kernel_size=3, padding="same"),
                nn.ReLU(),
                nn.MaxPool2d(MAP_STRIDE, ceil_mode=True),
            )
            for filters in STREAM_FILTERS
        )
        self.pool = nn.AvgPool2d(POOLED_STRIDE)
        self.head = nn.Linear(sum(STREAM_FILTERS) * side**2, classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, 4, 3, y, x] -> logits [N, classes]; only the onset-apex map is used."""
        first = maps[:, 0]
        streams = torch.cat([stream(first) for stream in self.streams], dim=1)
        logits: Tensor = self.head(self.pool(streams).flatten(1))
        return logits


def build(classes: int = 3, image_size: int = 28) -> STSTNet:
    """The network."""
    return STSTNet(classes, image_size)
