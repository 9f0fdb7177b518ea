"""Optical flow between two grey frames, its strain, and the published maps.

u grows to the right and v downwards, both in pixels of the frames.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from common.errors import UserError, name_list
from datasets.maps import MAP_SIZE, direction_map

FlowMethod = Literal["tvl1", "dis", "farneback"]
FLOW_METHODS: tuple[FlowMethod, ...] = get_args(FlowMethod)

CHANGED_IN: dict[FlowMethod, tuple[tuple[int, int], ...]] = {
    "tvl1": ((4, 12), (4, 14), (5, 0)),
    "dis": ((4, 10), (5, 0)),
    "farneback": (),
}
"""Releases of OpenCV whose flow differs from that of the ones before, measured from 4.5.5 to 5.0 by
``benchmarks/opencv_versions.py`` (docs/datasets.md)."""
LAST_MEASURED = (5, 0)

FlowFunction = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def compute_flow(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], method: FlowMethod = "tvl1"
) -> npt.NDArray[np.float32]:
    """Motion from ``first`` to ``second``.

    Args:
        first, second: grey frames of one size, uint8 [H, W].
        method: ``tvl1`` (OpenCV-contrib's dual TV-L1 with its defaults, as the published maps),
            ``dis`` (dense inverse search, medium preset) or ``farneback``.

    Returns:
        float32 [H, W, 2]: u to the right, v downwards, in pixels.

    Raises:
        UserError: an unknown method, or frames that are not grey uint8 of one size.
    """
    if method not in FLOW_METHODS:
        raise UserError(f"unknown flow method {method!r}. Choose one of {name_list(FLOW_METHODS)}.")
    if first.shape != second.shape or first.ndim != 2:
        raise UserError(
            f"flow needs two grey frames of one size, got shapes {first.shape} and {second.shape}."
        )
    if first.dtype != np.uint8 or second.dtype != np.uint8:
        raise UserError(f"flow needs 8-bit frames, got {first.dtype} and {second.dtype}.")
    return _flow_function(method)(first, second)


def flow_release(method: FlowMethod, version: str | None = None) -> str:
    """The first release of OpenCV whose flow is equal to that of a version: 4.12 for 4.13.0.

    Without a version that of the one installed.

    A version that is newer than all that were measured stands for itself.
    """
    version = version or cv2.__version__
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version, re.ASCII)
    own = (int(match[1]), int(match[2])) if match else None
    if own is None or own > LAST_MEASURED:
        return version
    changes = [release for release in CHANGED_IN[method] if release <= own]
    return ".".join(map(str, max(changes, default=(4, 5))))


def phase_flows(
    key_frames: Iterable[npt.NDArray[np.uint8]], method: FlowMethod = "tvl1"
) -> npt.NDArray[np.float32]:
    """float32 [2, H, W, 2]: from onset to apex and from apex to offset, given these three."""
    return np.stack([compute_flow(*pair, method) for pair in pairwise(key_frames)])


@cache
def _flow_function(method: FlowMethod) -> FlowFunction:
    """One flow object per process and method: making one takes longer than a DIS flow."""
    if method == "farneback":
        return _farneback
    algorithm: cv2.DenseOpticalFlow
    if method == "dis":
        algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    else:
        algorithm = cv2.optflow.DualTVL1OpticalFlow.create()
    return lambda first, second: algorithm.calc(first, second, None)


def _farneback(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    return cv2.calcOpticalFlowFarneback(  # type: ignore[no-any-return]
        first,
        second,
        None,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )


def optical_strain(flow: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Strain magnitude sqrt(u_x^2 + v_y^2 + (u_y + v_x)^2 / 2), derivatives by central differences.

    Args:
        flow: [H, W, 2] in pixels, H and W at least 2.

    Returns:
        float32 [H, W], no unit (pixels per pixel).
    """
    u_y, u_x = np.gradient(flow[..., 0].astype(np.float32))
    v_y, v_x = np.gradient(flow[..., 1].astype(np.float32))
    return np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)


def flow_map(flow: npt.NDArray[np.floating], size: int = MAP_SIZE) -> npt.NDArray[np.uint8]:
    """The published picture of a flow: channels B, G, R = strain, v, u.

    Each channel is min-max scaled to 0..255 on its own, then downscaled by area, then rounded.
    A channel without any difference (no motion) is 0.

    Args:
        flow: [H, W, 2] in pixels.
        size: side of the map in pixels.

    Returns:
        uint8 [size, size, 3] in OpenCV's channel order.
    """
    channels = (optical_strain(flow), flow[..., 1], flow[..., 0])
    scaled = np.dstack([_stretch(channel) for channel in channels])
    small = cv2.resize(scaled, (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(small).astype(np.uint8)


def clip_maps(flows: Iterable[npt.NDArray[np.floating]]) -> npt.NDArray[np.uint8]:
    """The maps of a clip's two flows [H, W, 2]: two flow maps and their direction maps.

    Returns:
        uint8 [4, 28, 28, 3], channels B, G, R.
    """
    flow_maps = np.stack([flow_map(flow) for flow in flows])
    return np.concatenate([flow_maps, direction_map(flow_maps)])


def _stretch(channel: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Min-max to 0..255; a constant channel to 0."""
    values = channel.astype(np.float32)
    lowest = values.min()
    extent = values.max() - lowest
    if extent == 0:
        return np.zeros_like(values)
    return (values - lowest) / extent * np.float32(255)
