"""Videos as streams of grey frames with their true times: files, folders of frames, cameras.

One frame at a time is in memory. Needs PyAV (``requirements-video.txt``) for files and cameras.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from common.files import atomic_path
from common.first_bytes import START, refuse_impostor
from datasets.frames.reading import MOST_PIXELS, read_frame
from datasets.inputs import SYNTHETIC

INSTALL = "python -m pip install -r requirements-video.txt"
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
# A registered face has 128 pixels: a larger picture only costs time and memory.
LONGEST_SIDE = 1280
SLOWEST_RATE = 25.0
# Frames darker than this on average (of 255) are called black.
BLACK = 6.0
# A file that says it is longer than what could be decoded, by this share, is called truncated.
TRUNCATED_SHARE = 0.95
MILLISECOND = Fraction(1, 1000)
# A frame so few frames ahead is reached by decoding; else the nearest key frame is looked for.
NEAR = 50
# Files whose list of packets gives the numbers and times of the frames, and that can be entered
# anywhere.
INDEXED = {"mp4", "matroska"}
# Of FFmpeg's formats, those that only name other files or hosts, run scripts, or are any text.
NOT_READ = {
    "avisynth", "concat", "dash", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "tty",
    "vapoursynth", "vobsub", "webm_dash_manifest",
}  # fmt: skip

Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame: its number from 0, its time in seconds from the first, its pixels uint8 [H, W]."""

    number: int
    seconds: float
    grey: Grey


@dataclass
class Video:
    """A video that can be read from its beginning any number of times.

    Attributes:
        name: for messages.
        rate: frames a second, as its header says; the true times are the frames' own.
        frame_count: as its header says; 0 where it does not.
        duration: seconds, as its header says; 0 where it does not.
        source: starts reading; its pictures are grey, or RGB where asked for.
        synthetic: whether its file says so (``write_video``).
        warnings: filled by the first complete reading; each is one sentence.
    """

    name: str
    rate: float
    frame_count: int
    duration: float
    source: Callable[[bool], Iterator[tuple[float, NDArray[np.uint8]]]]
    synthetic: bool = False
    warnings: list[str] = field(default_factory=list)

    def frames(self) -> Iterator[VideoFrame]:
        """Every frame, one at a time, each later than the one before.

        Raises:
            UserError: there is only one frame, or every frame is black.
        """
        number, seconds, black = -1, 0.0, 0
        gaps: dict[int, int] = {}
        for number, (at, grey) in enumerate(self.source(False)):
            step = at - seconds if number else 0.0
            seconds = at
            gaps[round(1000 * step)] = gaps.get(round(1000 * step), 0) + bool(number)
            black += bool(grey[::8, ::8].mean() < BLACK)
            yield VideoFrame(number, seconds, grey)
        if not self.warnings:
            self._judge(number + 1, seconds, black, gaps)

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame in color, RGB uint8 [H, W, 3]."""
        return (picture for _, picture in self.source(True))

    def _judge(self, count: int, seconds: float, black: int, gaps: dict[int, int]) -> None:
        if count < 2:
            what = (
                "one frame: a movement needs several" if count else "no frame that can be decoded"
            )
            raise UserError(f"{self.name} holds {what}. Give a video.")
        if black == count:
            raise UserError(f"{self.name} is black from beginning to end. Give another video.")
        if black:
            self.warnings.append(f"{black} of {count} frames are black.")
        if seconds < TRUNCATED_SHARE * self.duration - 1 / self.rate:
            self.warnings.append(
                f"it ends after {seconds:.1f} of {self.duration:.1f} seconds: the file is damaged "
                "or truncated. What could be decoded is analysed."
            )
        middle = _median(gaps)
        if middle > 1000 / SLOWEST_RATE + 1:
            self.warnings.append(
                f"{1000 / middle:.0f} frames a second are too slow for micro-expressions: at least "
                "25 needed, 100 better. It is analysed all the same."
            )


def open_video(path: Path, folder_rate: float | None = None) -> Video:
    """A video file of any format that PyAV reads, or a folder of numbered frames.

    Args:
        path: the file or the folder.
        folder_rate: frames a second of a folder, which has no times of its own.

    Raises:
        UserError: PyAV is not installed, or the file cannot be analysed; the message says why.
    """
    if path.is_dir():
        return _open_folder(path, folder_rate)
    if not path.is_file():
        raise UserError(f"{path} is not there. Give a video file or a folder of frames.")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise UserError(f"{path} is a picture: a movement needs a video, or a folder of frames.")
    with _opened(path) as container:
        stream = _video_stream(path, container)
        rate = float(stream.average_rate or stream.guessed_rate or 0) or 30.0
        duration = container.duration / 1e6 if container.duration else 0.0
        count = stream.frames or round(duration * rate)
        synthetic = container.metadata.get("comment") == SYNTHETIC
    return Video(path.name, rate, count, duration, lambda color: _decode(path, color), synthetic)


def write_video(
    path: Path, frames: Iterable[tuple[float, NDArray[np.uint8]]], synthetic: bool = False
) -> None:
    """Write an MP4 (H.264) with the frames' own times; the same frames give the same bytes.

    Args:
        path: the file, replaced at the end.
        frames: seconds and pixels, grey [H, W] or RGB [H, W, 3]; odd sides lose a pixel.
        synthetic: the file says so, and so does every page made of it.
    """
    av = _av()
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast", "tune": "zerolatency"}
        stream.codec_context.time_base = stream.time_base = MILLISECOND
        if synthetic:
            container.metadata["comment"] = SYNTHETIC
        for seconds, odd_pixels in frames:
            height, width = (side // 2 * 2 for side in odd_pixels.shape[:2])
            pixels = odd_pixels[:height, :width]
            if not stream.codec_context.is_open:
                stream.height, stream.width = height, width
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(pixels), format="gray" if pixels.ndim == 2 else "rgb24"
            )
            picture.pts, picture.time_base = round(1000 * seconds), MILLISECOND
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def record_camera(number: int, path: Path, seconds: float) -> None:
    """Record a camera to an MP4, with the times at which the frames arrived.

    Raises:
        UserError: there is no such camera, or it gives no picture.
    """
    # An absent camera is said in one line, here, not in OpenCV's several.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise UserError(f"there is no camera {number}. Give another number, or a video file.")
        write_video(path, _camera_frames(camera, number, seconds))
    finally:
        camera.release()


def _camera_frames(camera: Any, number: int, seconds: float) -> Iterator[tuple[float, Any]]:
    started = time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        there, picture = camera.read()
        if not there:
            raise UserError(f"camera {number} gives no picture. Is another program using it?")
        yield now, picture[..., ::-1]


def _median(gaps: dict[int, int]) -> float:
    """The median of milliseconds that are given with their counts."""
    half = sum(gaps.values()) / 2
    below = 0
    for milliseconds in sorted(gaps):
        below += gaps[milliseconds]
        if below >= half:
            return milliseconds
    return 0.0


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise UserError(f"reading videos needs PyAV. Install it: {INSTALL}") from None
    return av


def _opened(path: Path) -> Any:
    av = _av()
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file. Give a video.")
    formats = ",".join(sorted(av.formats_available - NOT_READ))
    options = {"format_whitelist": formats, "protocol_whitelist": "file"}
    try:
        with path.open("rb") as file:
            refuse_impostor(path, file.read(START), "a video")
        return av.open(f"file:{path}", metadata_errors="replace", options=options)
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a video ({error.strerror}): it is truncated, damaged or of "
            "an unknown format. Convert or copy it again."
        ) from None


def _video_stream(path: Path, container: Any) -> Any:
    """The first video stream that is no cover picture.

    Raises:
        UserError: there is none, or its pictures are too large.
    """
    cover = _av().stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        what = "only sound" if container.streams.audio else "nothing: it is truncated or damaged"
        raise UserError(f"{path} has no video stream, it holds {what}. Give a video.")
    width, height = streams[0].codec_context.width, streams[0].codec_context.height
    if width * height > MOST_PIXELS:
        raise UserError(
            f"{path} has {width} x {height} pixels: too large. Scale it down to {LONGEST_SIDE} "
            "pixels a side; more does not help."
        )
    streams[0].thread_type = "AUTO"
    return streams[0]


def _decode(path: Path, color: bool) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Times from the first frame on, and pixels, turned upright; ends where decoding fails."""
    return ((at, _pixels(frame, color)) for at, frame in _decoded(path))


def _decoded(path: Path) -> Iterator[tuple[float, Any]]:
    """Times from the first frame on, and frames of PyAV; ends where decoding fails."""
    av = _av()
    first: float | None = None
    last, number = -1.0, 0
    with _opened(path) as container:
        stream = _video_stream(path, container)
        rate = float(stream.average_rate or 30)
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames)
            except (StopIteration, av.error.FFmpegError):
                return
            at = number / rate if frame.time is None else float(frame.time)
            first = at if first is None else first
            # Broken files repeat times; a frame is never before the one that it follows.
            last = max(at - first, last + 1e-4)
            number += 1
            yield last, frame


def _pixels(frame: Any, color: bool) -> NDArray[np.uint8]:
    scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, format="rgb24" if color else "gray", interpolation="AREA")
    turned = np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(turned)


def _open_folder(path: Path, rate: float | None) -> Video:
    files = [file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES]
    if not files:
        raise UserError(f"{path} holds no frames ({', '.join(PICTURE_SUFFIXES)}).")
    if rate is None or not rate > 0:
        raise UserError(f"{path} is a folder of frames, without times: give --frame-rate.")
    ordered = sorted(files, key=_natural)
    size = read_frame(ordered[0]).pixels.shape

    def source(color: bool) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        for number, file in enumerate(ordered):
            pixels = read_frame(file).pixels
            if pixels.shape != size:
                raise UserError(f"frame {file} is of another size than the first. Convert it.")
            small = _shrunk(pixels)
            yield number / rate, np.dstack([small] * 3) if color else small

    return Video(path.name, rate, len(ordered), len(ordered) / rate, source)


def _natural(file: Path) -> list[tuple[int, int | str]]:
    """img2 before img10: digits are compared as numbers."""
    parts = re.split(r"(\d+)", file.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def _shrunk(pixels: Grey) -> Grey:
    scale = LONGEST_SIDE / max(pixels.shape)
    if scale >= 1:
        return pixels
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def open_frames(path: Path) -> "VideoFrames":
    """The frames of a video file by their number; the last videos stay open.

    Raises:
        UserError: as ``open_video``.
    """
    try:
        return _open_frames(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None


@lru_cache(maxsize=4)
def _open_frames(path: Path, changed: int) -> "VideoFrames":
    return VideoFrames(path)


class VideoFrames:
    """Single frames of a video by their number from 0.

    MP4 and Matroska say where each frame is; of other files all that lies before is decoded.

    Attributes:
        times: seconds of every frame from the first on, rising.

    Args:
        path: the file.

    Raises:
        UserError: as ``open_video``.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() in PICTURE_SUFFIXES:
            raise UserError(f"{path} is a picture, not a video. Give the folder of the frames.")
        self.path, self._container = path, _opened(path)
        self._stream = _video_stream(path, self._container)
        self._stamps: list[int] = []
        if INDEXED & set(self._container.format.name.split(",")):
            packets = self._container.demux(self._stream)
            found = [p.pts for p in packets if p.size and not p.is_discard]
            self._stamps = sorted(found) if None not in found else []
        first, base = min(self._stamps, default=0), float(self._stream.time_base)
        self.times = [(stamp - first) * base for stamp in self._stamps]
        self.times = self.times or [at for at, _ in _decoded(path)]
        self._decoder: Iterator[Any] = iter(())
        self._next = len(self.times)

    def read(self, number: int, color: bool) -> NDArray[np.uint8]:
        """A frame's pixels, uint8 [H, W], or RGB [H, W, 3] where asked for.

        Raises:
            UserError: the video has no such frame, or it cannot be decoded.
        """
        if not 0 <= number < len(self.times):
            raise UserError(f"{self.path.name} has {len(self.times)} frames, counted from 0.")
        frame = self._seek(number) if self._stamps else self._skip_to(number)
        if frame is None:
            self._next = len(self.times)
            raise UserError("it cannot be decoded: the video is damaged. Copy it again.")
        self._next = number + 1
        return _pixels(frame, color)

    def _seek(self, number: int) -> Any:
        wanted = self._stamps[number]
        if not self._next <= number < self._next + NEAR:
            self._container.seek(wanted, stream=self._stream)
            self._decoder = self._container.decode(self._stream)
        try:
            frame = next(f for f in self._decoder if f.pts is not None and f.pts >= wanted)
        except (StopIteration, _av().error.FFmpegError):
            return None
        return frame if frame.pts == wanted else None

    def _skip_to(self, number: int) -> Any:
        if number < self._next:
            self._decoder, self._next = (frame for _, frame in _decoded(self.path)), 0
        return next(islice(self._decoder, number - self._next, None), None)
