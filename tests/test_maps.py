"""Direction maps of single pixels whose angle is known by hand."""

import numpy as np
import pytest

from datasets import direction_map


@pytest.mark.parametrize(
    ("u", "v", "blue_green_red"),
    [
        (0, 0, (0, 0, 255)),  # no angle: hue 0, red
        (200, 0, (0, 0, 255)),  # 0 degrees: red
        (100, 100, (0, 187, 255)),  # 45 degrees: hue 22 of OpenCV's 180
        (0, 77, (0, 255, 127)),  # 90 degrees: hue 45, red at half of 255, cut
    ],
)
def test_color_of_a_known_angle(u: int, v: int, blue_green_red: tuple[int, int, int]) -> None:
    flow_map = np.zeros((2, 28, 28, 3), dtype=np.uint8)
    flow_map[..., 0] = 99  # strain plays no part
    flow_map[..., 1], flow_map[..., 2] = v, u
    directions = direction_map(flow_map)
    assert directions.shape == flow_map.shape
    assert np.array_equal(np.unique(directions.reshape(-1, 3), axis=0), [blue_green_red])
