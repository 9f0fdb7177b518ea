"""HTNet: CausalNet's encoder on the onset-apex flow, with regions around each face's own points.

Paper: "HTNet for micro-expression recognition", Neurocomputing 602 (2024) 128196, arXiv 2307.14637.
Source of facts: docs/causalnet.md, section 2.8; no code was read.
Licence of the original: none, all rights reserved; nothing of it is here.

Departures: those of models/causalnet/encoder.py; the logits are those of the last epoch, not of
each test subject's best one. Kept as published: a point's x is taken for the row and its y for the
column, the values stay 0..255, and the training clips are not shuffled.

Legend of dimensions: b clips, c channel, y and x places, p and q places of a region in the tiling.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from einops.layers.torch import Reduce
from torch import Tensor, nn

from common.errors import UserError
from models.causalnet.blocks import ChannelNorm
from models.causalnet.encoder import EncoderGeometry, encoder_stage, patch_embedding

input = "maps"
phases = 1
training = {"epochs": 800, "batch_size": 256, "learning_rate": 5e-5}
small: dict[str, Any] = {"block_repeats": (1, 1, 2), "dim": 32}

IMAGE_SIZE, PATCH_SIZE = 28, 7
HALF = 7
"""Half the side of a region in pixels."""
POINTS = [f"point{number}_{axis}" for number in range(1, 6) for axis in "xy"]
"""Columns of a clip's points: left eye, right eye, nose, left and right corner of the mouth."""
DEFAULT_POINTS = (
    (9.528073, 11.062551),
    (21.396168, 10.919773),
    (15.380184, 17.380562),
    (10.255435, 22.121233),
    (20.583706, 22.25584),
)
"""Of clips without points of their own, x and y in pixels."""
TILED = (0, 1, 3, 4)
"""The points whose regions are tiled, row by row; the nose is left out."""


def prepare(stored: np.ndarray, clips: pd.DataFrame, generator: torch.Generator | None) -> Tensor:
    """Four regions of the onset-apex map, tiled; nothing is drawn.

    Args:
        stored: uint8 [B, 4, 28, 28, 3]; the first map is used.
        clips: the B clips; ``point1_x`` to ``point5_y`` in pixels of the map, where known.
        generator: not used.

    Returns:
        float32 [B, 3, 28, 28] of 0..255.
    """
    return torch.from_numpy(tile_regions(stored[:, 0], read_points(clips))).float()


def read_points(clips: pd.DataFrame) -> np.ndarray:
    """float [B, 5, 2]: each clip's x and y, or the default points where one of its is not known."""
    default = np.array(DEFAULT_POINTS)
    if not set(POINTS) <= set(clips.columns):
        return np.tile(default, (len(clips), 1, 1))
    own = clips[POINTS].to_numpy(np.float64).reshape(-1, *default.shape)
    unknown = np.isnan(own).any(axis=(1, 2), keepdims=True)
    return np.where(unknown, default, own)


def tile_regions(maps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Regions of 14 x 14 pixels around four of the points, moved into the map, 2 x 2.

    Args:
        maps: [B, 28, 28, 3].
        points: [B, 5, 2] in pixels.

    Returns:
        [B, 3, 28, 28].
    """
    centers = points[:, TILED].clip(HALF, IMAGE_SIZE - HALF).astype(int)
    rows, columns = (centers[..., axis, None] + np.arange(-HALF, HALF) for axis in (0, 1))
    clip = np.arange(len(maps))[:, None, None, None]
    regions = maps[clip, rows[..., :, None], columns[..., None, :]]
    return rearrange(regions, "b (p q) y x c -> b c (p y) (q x)", p=2)


class HTNet(nn.Module):
    """The hierarchical encoder and a linear head; names and shapes are the published ones.

    Args:
        block_repeats: encoder layers of each stage; published are (2, 2, 10) and (2, 2, 8).
        dim: channels of a patch, doubled at each further stage.
        heads: encoder heads of the first stage, doubled at each further one.
        classes: logits.

    Raises:
        UserError: sizes that do not fit.
    """

    def __init__(
        self,
        block_repeats: Sequence[int] = (2, 2, 10),
        dim: int = 256,
        heads: int = 3,
        classes: int = 3,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise UserError(f"classes {classes} must be at least 2.")
        geometry = EncoderGeometry(IMAGE_SIZE, PATCH_SIZE, dim, heads, tuple(block_repeats))
        self.to_patch_embedding = patch_embedding(geometry)
        stages = (encoder_stage(geometry, stage) for stage in range(geometry.stages))
        self.layers = nn.Sequential(*stages)
        width = geometry.width(geometry.stages - 1)
        pool = Reduce("b y x c -> b c", "mean")
        self.mlp_head = nn.Sequential(ChannelNorm(width), pool, nn.Linear(width, classes))

    def forward(self, maps: Tensor) -> Tensor:
        """Tiled onset-apex maps [b, 3, 28, 28] of 0..255 -> logits [b, classes]."""
        logits: Tensor = self.mlp_head(self.layers(self.to_patch_embedding(maps[:, None])))
        return logits


def build(
    classes: int = 3,
    block_repeats: Sequence[int] = (2, 2, 10),
    dim: int = 256,
    heads: int = 3,
) -> HTNet:
    """The network; see ``HTNet``."""
    return HTNet(block_repeats, dim, heads, classes)
