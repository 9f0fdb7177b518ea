"""The published composite: four 14 x 14 blocks of a map, cut and tiled into a new map."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)

MAP_SIZE = 28
BLOCK_SIZE = 14
# (first row, first column) of the block cut from the map. The published code takes the x of a
# face point for its row, so the map's lower left block lands in the upper right, and vice versa.
BLOCK_SOURCES = {(0, 0): (2, 4), (0, 14): (14, 3), (14, 0): (3, 14), (14, 14): (13, 14)}


def tile_regions(maps: NDArray[Pixel]) -> NDArray[Pixel]:
    """Tile the four fixed blocks (around the eyes and the lip corners) into maps of the same size.

    Args:
        maps: [..., 28, 28, C] of any type.

    Returns:
        [..., 28, 28, C], a new array.
    """
    tiled = np.empty_like(maps)
    for (row, column), (source_row, source_column) in BLOCK_SOURCES.items():
        tiled[..., row : row + BLOCK_SIZE, column : column + BLOCK_SIZE, :] = maps[
            ...,
            source_row : source_row + BLOCK_SIZE,
            source_column : source_column + BLOCK_SIZE,
            :,
        ]
    return tiled
