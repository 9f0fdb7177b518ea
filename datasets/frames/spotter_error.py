"""The spotter's error against the annotation, in frames and in percent of the clip."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd

from common.errors import UserError
from common.process_pool import run_jobs
from datasets.frames.build import InputSettings, place_face
from datasets.frames.key_frame_noise import KEY_FRAMES, KeyFrames
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import FrameError, read_frame
from datasets.frames.registration import find_face
from datasets.raw import RawClip


def spot_clips(
    clips: Sequence[RawClip], settings: InputSettings, boundaries: bool, workers: int = 1
) -> pd.DataFrame:
    """Spot key frames in clips whose apex is annotated.

    Args:
        clips: clips with their frames; those without an annotated apex are left out.
        settings: how faces are placed.
        boundaries: also spot onset and offset; else they are the first and the last frame.
        workers: processes.

    Returns:
        One row a clip, in order: identity, ``length`` (frames from onset to offset), the annotated
        key frames, the spotted ones (``spotted_...``), the frame in the middle of all frames, and
        ``problem``, which says why nothing could be spotted.

    Raises:
        UserError: no clip has an annotated apex.
    """
    annotated = [clip for clip in clips if clip.apex_source == "annotated"]
    if not annotated:
        raise UserError(
            f"none of {len(clips)} usable clips has an annotated apex to measure against. "
            "build_inputs.py --audit-only says why rows cannot be used."
        )
    spot = partial(_spot, settings=settings, boundaries=boundaries)
    rows = dict(run_jobs(spot, annotated, workers))
    return pd.DataFrame([rows[clip.dataset, clip.stem] for clip in annotated])


def error_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, median and 95th percentile of the errors, in frames and in percent of the clip.

    Args:
        rows: from ``spot_clips``.

    Returns:
        One row for each key frame, and one for taking the middle frame as the apex.
    """
    usable = rows[(rows["problem"] == "") & (rows["length"] > 0)]
    pairs = [(f"spotted_{name}", name) for name in KEY_FRAMES] + [("middle", "apex")]
    table = []
    for found, name in pairs:
        frames = (usable[found] - usable[name]).abs()
        percent = 100 * frames / usable["length"]
        figures: dict[str, object] = {"key frame": name if found != "middle" else "apex: middle"}
        for unit, errors in (("frames", frames), ("% of clip", percent)):
            figures[f"mean {unit}"] = errors.mean()
            figures[f"median {unit}"] = errors.median()
            figures[f"95th percentile {unit}"] = errors.quantile(0.95)
        table.append(figures)
    return pd.DataFrame(table)


def _spot(
    clip: RawClip, settings: InputSettings, boundaries: bool
) -> tuple[tuple[str, str], dict[str, object]]:
    numbers = clip.frame_numbers
    row: dict[str, object] = {
        "dataset": clip.dataset,
        "subject": clip.subject,
        "clip": clip.clip,
        "length": clip.offset - clip.onset,
        "onset": clip.onset,
        "apex": clip.apex,
        "offset": clip.offset,
        "middle": numbers[len(numbers) // 2],
    }
    try:
        found = asdict(_spot_frames(clip, settings, boundaries))
        row |= {f"spotted_{name}": numbers[place] for name, place in found.items()}
        row["problem"] = ""
    except FrameError as error:
        row |= dict.fromkeys([f"spotted_{name}" for name in KEY_FRAMES], np.nan)
        row["problem"] = str(error)
    return (clip.dataset, clip.stem), row


def _spot_frames(clip: RawClip, settings: InputSettings, boundaries: bool) -> KeyFrames:
    pictures = [read_frame(clip.frame_path(number)).pixels for number in clip.frame_numbers]
    transform = np.eye(2, 3)
    if not settings.registered:
        transform = find_face(pictures[0], settings.size)
    squares = [place_face(picture, transform, settings) for picture in pictures]
    return spot_key_frames(squares, boundaries)
