"""The spotter on a local movement of known course, under a growing motion of the whole head."""

import cv2
import numpy as np
import pytest

from datasets.frames.flow import compute_flow
from datasets.frames.key_frame_noise import KeyFrames
from datasets.frames.key_frame_spotter import motion_curve, spot_key_frames, without_head_motion

SIZE = 96
RISE, PEAK, FALL = 5, 12, 20
LAST = 26


def movie(head_drift: float, local: float = 3.0) -> list[np.ndarray]:
    """Grey frames: a bump of texture moves up and back; the picture drifts and turns steadily."""
    noise = np.random.default_rng(2).uniform(0, 255, (SIZE, SIZE)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    bump = np.exp(-((x - 60) ** 2 + (y - 66) ** 2) / (2 * 9**2))
    frames = []
    for time in range(LAST + 1):
        course = np.interp(time, [RISE, PEAK, FALL], [0, 1, 0])
        shift = head_drift * time / LAST
        turn = 0.002 * shift
        from_x = (x - shift + turn * (y - SIZE / 2)).astype(np.float32)
        from_y = (y + 0.5 * shift - turn * (x - SIZE / 2)).astype(np.float32)
        from_y += np.float32(local * course) * bump
        frame = cv2.remap(texture, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    return frames


def test_apex_is_found_and_the_clip_bounds_it() -> None:
    assert spot_key_frames(movie(head_drift=0)) == KeyFrames(0, PEAK, LAST)


def test_boundaries_are_found_when_asked() -> None:
    found = spot_key_frames(movie(head_drift=0), boundaries=True)
    assert abs(found.onset - RISE) <= 1
    assert found.apex == PEAK
    assert abs(found.offset - FALL) <= 1


def test_head_motion_larger_than_the_expression_does_not_mislead() -> None:
    frames = movie(head_drift=4.0)
    plain = [np.linalg.norm(compute_flow(frames[0], f, "dis"), axis=2).mean() for f in frames]
    assert np.argmax(plain) == LAST
    assert abs(spot_key_frames(frames).apex - PEAK) <= 1


def test_the_curve_is_the_mean_length_in_pixels_of_what_is_not_the_heads() -> None:
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    upwards = -3 * np.exp(-((x - 60) ** 2 + (y - 66) ** 2) / (2 * 9**2))
    true = without_head_motion(np.dstack([np.zeros_like(upwards), upwards]))
    curve = motion_curve(movie(head_drift=0))
    assert curve[PEAK] == pytest.approx(np.linalg.norm(true, axis=2).mean(), rel=0.1)
    assert curve[0] == 0


def test_an_affine_motion_is_the_heads() -> None:
    y, x = np.mgrid[:40, :60].astype(np.float32)
    flow = np.dstack([2 + 0.01 * x - 0.03 * y, -1 + 0.03 * x + 0.01 * y])
    assert np.abs(without_head_motion(flow)).max() < 1e-5


def test_a_clip_of_one_frame_is_its_own_apex() -> None:
    assert spot_key_frames(movie(0)[:1], boundaries=True) == KeyFrames(0, 0, 0)
