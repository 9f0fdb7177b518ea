"""Key frames without annotation: the apex is the frame of largest motion from the onset.

Motion is the mean length of the optical flow from the onset, minus the affine flow that fits it
best (the head's shift, turn and approach).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.process_pool import run_jobs
from datasets.frames.build import ClipSquares, InputSettings
from datasets.frames.flow import FlowMethod, compute_flow
from datasets.frames.key_frame_noise import KeyFrames
from datasets.frames.reading import FrameError
from datasets.raw import RawClip

# Motion counts as none below this share of the difference between the clip's peak and its rest.
CALM_SHARE = 0.1
# This percentile of a clip's motion is its rest: flow between equal faces is never quite 0.
CALM_PERCENTILE = 10


def spot_key_frames(
    frames: Sequence[NDArray[np.uint8]], boundaries: bool = False, method: FlowMethod = "dis"
) -> KeyFrames:
    """Find a clip's key frames.

    Args:
        frames: grey frames of one size, uint8 [H, W], at least one.
        boundaries: also look for onset and offset; else they are the first and the last frame.
        method: optical flow method; a fast one is enough, as only lengths are compared.

    Returns:
        Indices into ``frames``, onset <= apex <= offset.
    """
    curve = motion_curve(frames, method)
    apex = int(np.argmax(curve))
    last = len(curve) - 1
    if not boundaries:
        return KeyFrames(0, apex, last)
    calm = np.percentile(curve, CALM_PERCENTILE)
    is_calm = curve <= calm + CALM_SHARE * (curve[apex] - calm)
    before, after = np.flatnonzero(is_calm[:apex]), np.flatnonzero(is_calm[apex + 1 :])
    onset = int(before[-1]) if len(before) else 0
    offset = apex + 1 + int(after[0]) if len(after) else last
    return KeyFrames(onset, apex, offset)


def motion_curve(
    frames: Sequence[NDArray[np.uint8]], method: FlowMethod = "dis"
) -> NDArray[np.float64]:
    """Mean length of the motion from the first frame to each, float64 [T] in pixels."""
    first = frames[0]
    lengths = [0.0]
    for frame in frames[1:]:
        flow = without_head_motion(compute_flow(first, frame, method))
        lengths.append(float(np.linalg.norm(flow, axis=2).mean()))
    return np.array(lengths)


def without_head_motion(flow: NDArray[np.float32]) -> NDArray[np.float64]:
    """A flow [H, W, 2] minus its least-squares affine part a + b x + c y."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y], axis=-1).reshape(-1, 3)
    vectors = flow.reshape(-1, 2).astype(np.float64)
    affine, *_ = np.linalg.lstsq(terms, vectors, rcond=None)
    return (vectors - terms @ affine).reshape(flow.shape)


def spot_apexes(clips: Sequence[RawClip], settings: InputSettings, workers: int) -> list[RawClip]:
    """The clips; those whose apex is to be spotted with the frame of most motion from the onset.

    Where a frame is bad or no face is found, the middle frame stays; building names that fault.

    Args:
        clips: with their frames.
        settings: how faces are placed.
        workers: processes; the result does not depend on it.
    """
    jobs = [(place, clip) for place, clip in enumerate(clips) if clip.apex_source == "spotted"]
    found = dict(run_jobs(partial(_spot_apex, settings=settings), jobs, workers))
    return [found.get(place, clip) for place, clip in enumerate(clips)]


def _spot_apex(job: tuple[int, RawClip], settings: InputSettings) -> tuple[int, RawClip]:
    place, clip = job
    squares = ClipSquares(clip, settings)
    inside = [
        (position, number)
        for position, number in enumerate(clip.frame_numbers)
        if clip.onset <= number <= clip.offset
    ]
    try:
        found = spot_key_frames([squares[position] for position, _ in inside])
    except FrameError:
        return place, clip
    return place, replace(clip, apex=inside[found.apex][1])
