"""The published maps of 28 x 28 pixels: direction maps, and the tiled regions of the face."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", bound=np.generic)

MAP_SIZE = 28
# Which of a clip's stored maps are which.
FLOW_MAPS, DIRECTION_MAPS = (0, 1), (2, 3)
FULL = 255
REGION_SIZE = 14
# (first row, first column) in the tiled map -> in the map. The published code takes the x of a face
# point for its row, so the map's lower left region lands in the upper right, and vice versa.
REGION_SOURCES = {(0, 0): (2, 4), (0, 14): (14, 3), (14, 0): (3, 14), (14, 14): (13, 14)}


def direction_map(flow_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The published direction map of a flow map: the hue is half the angle of (u, v) in degrees.

    The angle is that of the *stored* values, which are never negative, so it stays within
    0..90 degrees and B is 0 everywhere. A true direction would need the signed flow. The angle
    must be OpenCV's: the more exact one of NumPy rounds to another hue in one pixel of a thousand.

    Args:
        flow_map: uint8 [..., H, W, 3], channels B, G, R = strain, v, u.

    Returns:
        uint8 [..., H, W, 3], channels B, G, R.
    """
    rows = flow_map.reshape(-1, flow_map.shape[-2], 3)
    u, v = rows[..., 2].astype(np.float32), rows[..., 1].astype(np.float32)
    _, degrees = cv2.cartToPolar(u, v, angleInDegrees=True)
    colors = np.full(rows.shape, FULL, dtype=np.uint8)
    colors[..., 0] = (degrees / 2).astype(np.uint8)
    return cv2.cvtColor(colors, cv2.COLOR_HSV2BGR).reshape(flow_map.shape).astype(np.uint8)


def tile_regions(maps: NDArray[Pixel]) -> NDArray[Pixel]:
    """Tile the four fixed regions (around the eyes and the lip corners) into maps of the same size.

    Args:
        maps: [..., 28, 28, C] of any type.

    Returns:
        [..., 28, 28, C], a new array.
    """
    tiled = np.empty_like(maps)
    for target, source in REGION_SOURCES.items():
        rows, columns = (slice(start, start + REGION_SIZE) for start in target)
        source_rows, source_columns = (slice(start, start + REGION_SIZE) for start in source)
        tiled[..., rows, columns, :] = maps[..., source_rows, source_columns, :]
    return tiled
