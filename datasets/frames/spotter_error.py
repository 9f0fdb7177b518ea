"""The spotter's error against the annotation, in frames and in percent of the clip."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd

from common.errors import UserError
from common.process_pool import run_jobs
from datasets.frames.build import ClipSquares, InputSettings
from datasets.frames.key_frame_noise import KEY_FRAMES
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import FrameError
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
        One row a clip, in order: its names, ``length`` (frames from onset to offset), the annotated
        key frames, the spotted ones (``spotted_...``), the middle one of all frames, and
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
        row: dict[str, object] = {"key frame": name if found != "middle" else "apex: middle"}
        for unit, errors in (("frames", frames), ("% of clip", percent)):
            row[f"mean {unit}"] = errors.mean()
            row[f"median {unit}"] = errors.median()
            row[f"95th percentile {unit}"] = errors.quantile(0.95)
        table.append(row)
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
        squares = ClipSquares(clip, settings)
        found = spot_key_frames([squares[index] for index in range(len(numbers))], boundaries)
        row |= {f"spotted_{name}": numbers[index] for name, index in asdict(found).items()}
        row["problem"] = ""
    except FrameError as error:
        row |= dict.fromkeys([f"spotted_{name}" for name in KEY_FRAMES], np.nan)
        row["problem"] = str(error)
    return (clip.dataset, clip.stem), row
