"""Off-TANet's published input path, frames to flow, and the made-up pictures of its stored sums."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from datasets.frames.flow import compute_flow
from models.off_tanet import IMAGE_SIZE

SIDE = 150


def made_up_pictures(parameters: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Onset and apex, uint8 [150, 150, 3] in B, G, R: blobs that move as a whole and locally."""
    p = parameters
    random = np.random.RandomState(p["SEED"])
    cx, cy = random.uniform(0, SIDE, 60), random.uniform(0, SIDE, 60)
    width, height = random.uniform(4, 14, 60), random.uniform(-60, 60, (60, 3))
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    local = np.exp(-((columns - p["CX"]) ** 2 + (rows - p["CY"]) ** 2) / (2 * p["WIDTH"] ** 2))

    def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        distance = (x[..., None] - cx) ** 2 + (y[..., None] - cy) ** 2
        value = 128 + np.exp(-distance / (2 * width**2)) @ height
        return np.rint(value.clip(0, 255)).astype(np.uint8)

    dx, dy = p["GX"] + p["LX"] * local, p["GY"] + p["LY"] * local
    return picture(columns, rows), picture(columns - dx, rows - dy)


def small_gray(picture: np.ndarray) -> np.ndarray:
    """B, G, R of any size -> gray uint8 [112, 112], by cubic resizing, not antialiased."""
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return cv2.cvtColor(
        cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2GRAY
    )


def published_flow(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Two B, G, R pictures -> TV-L1 flow at 112 x 112, float32 [2, 112, 112]: u, v in pixels."""
    return np.moveaxis(compute_flow(small_gray(onset), small_gray(apex)), -1, 0)
