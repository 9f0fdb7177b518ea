"""Flow on a picture moved by a known field: size and axes; strain and map against formulas."""

import cv2
import numpy as np
import pytest

from common.errors import UserError
from datasets.frames.flow import (
    FLOW_METHODS,
    FlowMethod,
    compute_flow,
    flow_map,
    flow_release,
    optical_strain,
)
from datasets.synthetic.clips import draw_clip, list_synthetic_clips


def texture(size: int = 96) -> np.ndarray:
    noise = np.random.default_rng(7).uniform(0, 255, (size, size)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def moved(picture: np.ndarray, right: float, down: float) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = picture.shape[::-1]
    return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_flow_has_the_pictures_axes_and_pixels(method: FlowMethod) -> None:
    first = texture()
    flow = compute_flow(first, moved(first, 1.5, -0.75), method)
    assert flow.dtype == np.float32
    assert flow.shape == (96, 96, 2)
    middle = flow[16:-16, 16:-16]
    assert np.median(middle[..., 0]) == pytest.approx(1.5, abs=0.1)
    assert np.median(middle[..., 1]) == pytest.approx(-0.75, abs=0.1)


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_a_flow_does_not_depend_on_the_flows_before_it(method: FlowMethod) -> None:
    first = texture()
    second = moved(first, 1, 1)
    alone = compute_flow(first, second, method)
    compute_flow(second, moved(first, -3, 2), method)
    assert np.array_equal(alone, compute_flow(first, second, method))


def test_lip_corners_that_go_up_have_negative_v() -> None:
    clips = map(draw_clip, list_synthetic_clips(2, 6))
    smiles = [clip for clip in clips if any("12" in unit for unit in clip.action_units)]
    seen = 0
    for clip in smiles:
        flow = compute_flow(clip.frames[clip.onset], clip.frames[clip.apex], "dis")
        true_v, v = (field[..., 1] - np.median(field[..., 1]) for field in (clip.motion[0], flow))
        # The face's lower half; another movement may cover a weak smile.
        corners = true_v[64:] < -0.5
        if corners.sum() > 30:
            seen += 1
            assert v[64:][corners].mean() < -0.3
    assert seen >= 3


def test_strain_of_a_linear_field_is_the_formula() -> None:
    row, column = np.mgrid[0:20, 0:30].astype(np.float32)
    flow = np.dstack([0.3 * column + 0.1 * row, 0.2 * row - 0.5 * column])
    expected = np.sqrt(0.3**2 + 0.2**2 + (0.1 - 0.5) ** 2 / 2)
    np.testing.assert_allclose(optical_strain(flow), expected, rtol=1e-5)


def test_map_channels_are_strain_v_u_scaled_before_they_are_reduced() -> None:
    row, column = np.mgrid[0:56, 0:56].astype(np.float32)
    flow = np.dstack([column, row**2])
    picture = flow_map(flow)
    # Two neighbouring columns of a 0..255 ramp over 56 columns fall into one map column.
    ramp = np.arange(56) / 55 * 255
    np.testing.assert_array_equal(picture[5, :, 2], np.rint(ramp.reshape(28, 2).mean(axis=1)))
    assert picture[..., 2].max() < 255  # scaled after the reduction it would reach 255
    assert (np.diff(picture[:, 3, 1].astype(int)) >= 0).all()
    assert np.ptp(picture[:, 3, 0]) > 0
    assert np.ptp(picture[3, :, 1]) == 0


def test_no_motion_gives_a_black_map() -> None:
    flow = np.full((128, 128, 2), 1.25, np.float32)
    assert not flow_map(flow).any()


@pytest.mark.parametrize(
    ("first", "second", "method", "reason"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), "dis", "one size"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), "dis", "grey"),
        (np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.uint16), "dis", "8-bit"),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8), "raft", "tvl1, dis, farneback"),
    ],
)
def test_unfit_frames_are_refused(
    first: np.ndarray, second: np.ndarray, method: FlowMethod, reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        compute_flow(first, second, method)


@pytest.mark.parametrize(
    ("method", "version", "release"),
    [
        ("tvl1", "4.5.5", "4.5"),
        ("tvl1", "4.11.0", "4.5"),
        ("tvl1", "4.13.0", "4.12"),
        ("tvl1", "4.14.0", "4.14"),
        ("tvl1", "5.0.0", "5.0"),
        ("dis", "4.9.0", "4.5"),
        ("dis", "4.14.0-dev", "4.10"),
        ("farneback", "5.0.1", "4.5"),
        ("farneback", "5.1.0", "5.1.0"),
        ("dis", "unknown", "unknown"),
    ],
)
def test_releases_of_opencv_with_equal_flow_are_one(
    method: FlowMethod, version: str, release: str
) -> None:
    assert flow_release(method, version) == release
