"""Registered frames as MMNet's authors read them: numbers measured on the published code."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datasets.frames.build import InputSettings, register_frames

# Sum over the normalized tensor [3, 224, 224], and its values at (channel, row, column).
MEASURED = {
    "onset": (
        30245.709021069575,
        {(0, 0, 0): 1.7009161710739136, (1, 0, 0): -1.2128850221633911,
         (2, 0, 0): 1.8556864261627197, (0, 112, 112): 0.9816765189170837,
         (1, 50, 200): -0.33753496408462524, (2, 223, 223): 2.552854299545288,
         (0, 10, 220): -0.3369295597076416},
    ),
    "apex": (
        28868.25080362428,
        {(0, 0, 0): -0.35405433177948, (1, 0, 0): -0.28501397371292114,
         (2, 0, 0): 1.5942485332489014, (0, 112, 112): 0.21106265485286713,
         (1, 50, 200): -0.7927169799804688, (2, 223, 223): 1.019085168838501,
         (0, 10, 220): -1.3472901582717896},
    ),
}  # fmt: skip
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def draw_picture(random: np.random.RandomState) -> NDArray[np.uint8]:
    """280 x 231 pixels, bilinear between 8 x 8 random colors, B, G, R."""
    coarse = random.uniform(0, 255, size=(8, 8, 3))
    p, q = np.arange(280) * 7 / 279, np.arange(231) * 7 / 230
    i, j = np.minimum(p.astype(int), 6), np.minimum(q.astype(int), 6)
    down, right = (p - i)[:, None, None], (q - j)[None, :, None]
    above = (1 - right) * coarse[i][:, j] + right * coarse[i][:, j + 1]
    below = (1 - right) * coarse[i + 1][:, j] + right * coarse[i + 1][:, j + 1]
    return np.rint((1 - down) * above + down * below).astype(np.uint8)


def test_registered_frames_are_those_that_the_published_code_reads(tmp_path: Path) -> None:
    random = np.random.RandomState(61)
    for name in MEASURED:
        cv2.imwrite(str(tmp_path / f"{name}.png"), draw_picture(random))
    paths = [tmp_path / f"{name}.png" for name in MEASURED]
    settings = InputSettings(registered=True, frame_size=224)
    frames = register_frames(paths, np.eye(2, 3), settings)
    assert (frames.shape, frames.dtype) == ((2, 224, 224, 3), np.uint8)
    for frame, (total, pixels) in zip(frames, MEASURED.values(), strict=True):
        values = (frame / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
        # Another Pillow may round single pixels to the next of 255 levels.
        assert values.sum() == pytest.approx(total, abs=2)
        for (channel, row, column), expected in pixels.items():
            assert values[row, column, channel] == pytest.approx(expected, abs=0.018)
