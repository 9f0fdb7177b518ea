"""Find the movements of a face in videos: when, where, how long, and how far to trust it.

    python predict_video.py me.mp4 --out results/me

Reads videos of any usual format, folders of numbered frames (--frame-rate), or a camera
(--camera 0). Writes, below the folder given by --out, events.csv with a row for every movement, one
web page for every video, and with --annotated-video a copy of each in which they are named. With
--onset, --apex and --offset (frame numbers such as 12, or seconds such as 0.4s) nothing is spotted:
the movements of these key frames are described instead. Needs requirements-video.txt.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro

from common.bounds import read_number, read_whole
from common.command_line import parse_settings
from common.errors import UserError, run_script
from common.files import check_output_folder, write_text
from common.owned_folder import shared_record
from common.progress import with_progress
from datasets.frames.flow import FlowMethod
from datasets.frames.registration import Landmarks
from datasets.video.analysis import KeyFrame
from datasets.video.decode import VideoFrame, record_camera
from training.movement_reader import SHIPPED, Reader, load_reader
from training.video import (
    VideoResult,
    VideoSettings,
    compare_with_truth,
    predict_video,
    video_files,
)

EVENTS_NAME = "events.csv"
CAMERA_NAME = "camera.mp4"
SYNTHETIC = "SYNTHETIC: "


@dataclass(frozen=True)
class Config:
    """What to look at and where to write."""

    videos: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Video files, or folders of numbered frames."""
    out: Path = Path("results/video")
    """Folder to write to; made if absent."""
    weights: Path = SHIPPED
    """Folder of weights that classify, or one file of them."""
    onset: tuple[str, ...] = ()
    """Key frames of the movements: frame numbers, or seconds with an s, such as 0.4s."""
    apex: tuple[str, ...] = ()
    """As many as of onset."""
    offset: tuple[str, ...] = ()
    """As many as of onset."""
    truth: Path | None = None
    """CSV (kind,onset,offset,label; seconds) of what the video shows: says what is found."""
    camera: int | None = None
    """Number of a camera to record first, into the output folder."""
    camera_seconds: float = 10.0
    """How long to record."""
    frame_rate: float | None = None
    """Frames a second of folders of frames."""
    landmarks: Landmarks = 5
    """dlib's landmark model: 5 points (public domain), or 68 (not for commercial use)."""
    flow: FlowMethod = "tvl1"
    """Optical flow of what may be expressions; tvl1 is the published one."""
    annotated_video: bool = False
    """Also write each video with its movements named."""

    def check(self) -> None:
        """Refuse settings that do not go together.

        Raises:
            UserError: they do not; the message says what to give.
        """
        if not self.videos and self.camera is None:
            raise UserError("nothing to look at. Give video files, or --camera 0.")
        if not len(self.onset) == len(self.apex) == len(self.offset):
            raise UserError("give as many --apex and --offset as --onset.")
        if self.onset and len(self.videos) + (self.camera is not None) > 1:
            raise UserError("key frames belong to one video. Give one.")
        if self.truth is not None and len(self.videos) != 1:
            raise UserError("--truth belongs to one video. Give one.")
        if not self.camera_seconds > 0:
            raise UserError(f"camera-seconds is {self.camera_seconds}: give more than 0.")
        check_output_folder(self.out)

    @property
    def key_frames(self) -> list[tuple[KeyFrame, KeyFrame, KeyFrame]]:
        """Onset, apex and offset of every given movement."""
        three = zip(self.onset, self.apex, self.offset, strict=True)
        return [(_key_frame(a), _key_frame(b), _key_frame(c)) for a, b, c in three]


def main(reader: Reader | None = None) -> None:
    """Analyse every video; one that cannot be analysed does not keep the others from it.

    Args:
        reader: what is told of movements; None takes the one that the settings name.
    """
    config = parse_settings(Config, __doc__)
    config.check()
    with shared_record(config.out, "predict_video.py") as owned:
        owned.check(_written_files(config))
        _predict_all(config, reader or load_reader(config.weights))


def _written_files(config: Config) -> Iterator[Path]:
    """What may be written, or replaced from an earlier call.

    Raises:
        UserError: an earlier recording would be replaced: nobody can make it again.
    """
    yield config.out / EVENTS_NAME
    if config.camera is not None:
        if (config.out / CAMERA_NAME).exists():
            raise UserError(
                f"{config.out / CAMERA_NAME} is an earlier recording. Move it away, or give "
                "another --out."
            )
        yield from video_files(config.out, Path(CAMERA_NAME).stem)
    for name, _ in _named_videos(config):
        yield from video_files(config.out, name)


def _predict_all(config: Config, reader: Reader) -> None:
    results, problems = [], []
    for name, path in _inputs(config):
        try:
            results.append(_predict(name, path, config, reader))
        except UserError as error:
            problems.append(str(error))
    if results:
        rows = pd.concat([result.events for result in results], ignore_index=True)
        write_text(config.out / EVENTS_NAME, rows.to_csv(index=False, lineterminator="\n"))
        mark = SYNTHETIC if any(result.synthetic for result in results) else ""
        print(f"{mark}{_movements(len(rows))}: {config.out / EVENTS_NAME}")
    if problems:
        raise UserError("; ".join(problems))


def _inputs(config: Config) -> Iterator[tuple[str, Path]]:
    """Names that are no other video's, and paths."""
    if config.camera is not None:
        path = config.out / CAMERA_NAME
        print(f"recording camera {config.camera} for {config.camera_seconds:g} seconds")
        record_camera(config.camera, path, config.camera_seconds)
        yield path.stem, path
    yield from _named_videos(config)


def _named_videos(config: Config) -> Iterator[tuple[str, Path]]:
    taken: set[str] = {Path(CAMERA_NAME).stem} if config.camera is not None else set()
    for path in config.videos:
        stem = path.resolve().stem or "video"
        name = next(
            n for k in range(1, 10**6) if (n := stem if k == 1 else f"{stem}_{k}") not in taken
        )
        taken.add(name)
        yield name, path


def _predict(name: str, path: Path, config: Config, reader: Reader) -> VideoResult:
    """Analyse one video and say what was found."""
    settings = VideoSettings(
        config.landmarks, config.flow, config.frame_rate, config.annotated_video
    )

    def progress(frames: Iterable[VideoFrame], total: int) -> Iterable[VideoFrame]:
        return with_progress(frames, total, name)

    result = predict_video(path, config.out, name, settings, reader, config.key_frames, progress)
    lines = [*result.warnings, f"{_movements(len(result.events))}, {result.page}", result.trust]
    if config.truth is not None:
        lines += compare_with_truth(result.events, config.truth)
    mark = SYNTHETIC if result.synthetic else ""
    for line in filter(None, lines):
        print(f"{mark}{name}: {line}")
    return result


def _movements(count: int) -> str:
    return "1 movement" if count == 1 else f"{count} movements"


def _key_frame(text: str) -> KeyFrame:
    """12 is a frame, 0.4s are seconds.

    Raises:
        UserError: it is neither.
    """
    try:
        seconds = read_number(text.removesuffix("s")) if text.endswith("s") else read_whole(text)
    except UserError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UserError(f"key frame {text!r}: give a frame number, or seconds as 0.4s.")
    return seconds


if __name__ == "__main__":
    run_script(main)
