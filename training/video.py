"""A video into a folder: its movements, what a method says of them, and the page of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from common.errors import UserError
from common.files import write_text
from common.tables import numbers, read_table
from datasets.frames.flow import FlowMethod
from datasets.frames.registration import Landmarks
from datasets.video.analysis import KeyFrame, Progress, analyse
from datasets.video.decode import open_video, write_video
from datasets.video.page import annotated_frames, render_page, table_of
from evaluation.spotting import Interval, match_intervals
from training.movement_reader import Reader, load_reader

KeyFrames = Sequence[tuple[KeyFrame, KeyFrame, KeyFrame]]


@dataclass(frozen=True)
class VideoSettings:
    """How a video is looked at.

    Attributes:
        landmarks: dlib's landmark model.
        flow: optical flow of what may be expressions.
        frame_rate: frames a second of a folder of frames.
        annotated_video: also write the video with its movements named.
    """

    landmarks: Landmarks = 5
    flow: FlowMethod = "tvl1"
    frame_rate: float | None = None
    annotated_video: bool = False


@dataclass(frozen=True)
class VideoResult:
    """What was written of a video.

    Attributes:
        synthetic: whether the video says that it is drawn.
        page: the HTML file, which needs no other file.
        events: a row for each movement, see ``datasets.video.page.table_of``.
        trust: a sentence that says how far to believe the classes; empty without classes.
        warnings: sentences on the video and the face in it.
        annotated: the annotated video, where it was asked for.
    """

    synthetic: bool
    page: Path
    events: pd.DataFrame
    trust: str
    warnings: list[str]
    annotated: Path | None


def video_files(out: Path, name: str) -> tuple[Path, Path]:
    """The page and the annotated video of a video of this name."""
    return out / f"{name}.html", out / f"{name}_annotated.mp4"


def predict_video(
    path: Path,
    out: Path,
    name: str,
    settings: VideoSettings = VideoSettings(),
    reader: Reader | None = None,
    key_frames: KeyFrames = (),
    progress: Progress = lambda frames, _: frames,
) -> VideoResult:
    """Analyse one video; writes ``<name>.html``, and where asked ``<name>_annotated.mp4``.

    Args:
        path: a video file, or a folder of numbered frames.
        out: folder to write to; made if absent.
        name: of the video on the page, in the table and in the files' names.
        settings: how.
        reader: from ``load_reader``; load it once for many videos. None loads the default one.
        key_frames: onset, apex, offset of movements; where given, nothing is spotted.
        progress: is given the frames and their number, and passes them on.

    Raises:
        UserError: the video cannot be used, holds no face, or the key frames are not in it.
    """
    reader = reader or load_reader()
    video = open_video(path, settings.frame_rate)
    analysis = analyse(video, key_frames, settings.landmarks, settings.flow, progress)
    clips = [event.clip for event in analysis.events]
    verdicts = reader.classify(clips) if reader.classify is not None and clips else None
    table = table_of(name, analysis, verdicts)
    page, annotated_path = video_files(out, name)
    write_text(page, render_page(name, video, analysis, verdicts))
    annotated = None
    if settings.annotated_video:
        annotated = annotated_path
        frames = annotated_frames(video, analysis, table.to_dict("records"))
        write_video(annotated, frames, synthetic=video.synthetic)
    trust = "" if verdicts is None else verdicts.trust
    return VideoResult(video.synthetic, page, table, trust, analysis.warnings, annotated)


def compare_with_truth(events: pd.DataFrame, truth: Path) -> list[str]:
    """A line for each movement that a CSV names, found or missed, and one with the counts.

    Args:
        events: of a ``VideoResult``.
        truth: columns kind, onset, offset in seconds, and where known label.

    Raises:
        UserError: the CSV lacks a column, or holds no times.
    """
    table = read_table(truth, ["kind", "onset", "offset"], "Give kind,onset,offset in seconds.")
    times = table[["onset", "offset"]].apply(numbers)
    if times.isna().any(axis=None):
        raise UserError(f"{truth}: onset and offset must be seconds, such as 1.25.")
    planted = [Interval(*_milliseconds(row)) for row in times.to_numpy()]
    spans = events[["onset_seconds", "offset_seconds"]].to_numpy(float) if len(events) else []
    pairs = dict(match_intervals(planted, [Interval(*_milliseconds(row)) for row in spans]))
    lines, right, told = [], 0, 0
    for place, row in enumerate(table.to_dict("records")):
        label = row.get("label") or row["kind"]
        what = f"{row['kind']} ({label}) from {float(row['onset']):.2f} to {row['offset']} s"
        if place not in pairs:
            lines.append(f"missed: {what}")
            continue
        found = events.iloc[pairs[place]]
        lines.append(f"found: {what}, as {found['kind']}, said to be: {found['verdict']}")
        told += bool(row.get("label"))
        right += found["verdict"] == row.get("label")
    spare = len(events) - len(pairs)
    counts = f"{len(pairs)} of {len(table)} found, {spare} false alarms"
    return [*lines, f"{counts}; {right} of {told} found expressions classified right"]


def _milliseconds(seconds: Sequence[float]) -> tuple[int, int]:
    return round(1000 * seconds[0]), round(1000 * seconds[1])
