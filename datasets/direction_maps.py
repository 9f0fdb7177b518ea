"""Direction maps: a picture of the flow's angle, computed from the stored flow map."""

import cv2
import numpy as np
from numpy.typing import NDArray

FULL = 255


def direction_map(flow_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The published direction map of a flow map: the hue is half the angle of (u, v) in degrees.

    The angle is that of the *stored* values, which are never negative, so it stays within
    0..90 degrees and B is 0 everywhere. A true direction would need the signed flow; the
    published maps do not have it, and neither have these. The angle must be OpenCV's: the more
    exact one of NumPy rounds to another hue in one pixel of a thousand.

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
