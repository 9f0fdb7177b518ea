"""From labelled clips to stored inputs: published maps, signed flow, registered frames.

Each clip's files are a function of its frames' bytes and the settings. The hash of both is stored
in the clip's flow file, which is written last; so a rerun computes only what changed, and a killed
run loses only the clips that it was computing.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.errors import UserError, name_list
from common.owned_folder import remove_file
from common.process_pool import run_jobs
from datasets.arrays import (
    FRAME_ORDER,
    PHASES,
    flow_path,
    frames_path,
    write_arrays,
    write_frames,
)
from datasets.frames.flow import (
    FLOW_METHODS,
    FlowMethod,
    clip_maps,
    compute_flow,
    flow_release,
)
from datasets.frames.reading import FrameError, hash_file, read_frame, read_frames
from datasets.frames.registration import face_points, find_face, register
from datasets.inputs import MAP_SUFFIXES, MAPS_FOLDER, map_file_name, write_maps
from datasets.maps import MAP_SIZE
from datasets.raw import RawClip

PICTURES_FOLDER = "pictures"
# One more whenever the same frames and settings would give other bytes.
RECIPE_VERSION = 2

# Enough to keep the outliers at the border out; flow then takes a quarter more time.
DEFAULT_MARGIN = 8
LARGEST_SIDE = 1024

Square = TypeVar("Square", NDArray[np.uint8], NDArray[np.float32])
BuildStatus = Literal["built", "unchanged", "failed"]


@dataclass(frozen=True)
class InputSettings:
    """How maps are computed from frames; recorded with the inputs.

    Attributes:
        flow: optical flow method; tvl1 is the published one.
        size: side of the square on which flow is computed, in pixels.
        remove_mean_flow: subtract a phase's mean motion (the head's) from its flow.
        registered: take the frames as they are, without looking for the face.
        margin: pixels around the registered face over which flow is computed too, and then cut
            off. Flow has outliers at the border of a picture, and each changes the whole map
            through its min-max scaling. 0 is the published recipe to the letter.
        frame_size: side in pixels of the frames that are kept in color; None keeps none.
    """

    flow: FlowMethod = "tvl1"
    size: int = 128
    remove_mean_flow: bool = False
    registered: bool = False
    margin: int = 0
    frame_size: int | None = None

    def __post_init__(self) -> None:
        if self.flow not in FLOW_METHODS:
            raise UserError(f"unknown flow {self.flow!r}. Choose one of {name_list(FLOW_METHODS)}.")
        for name in ("size", "frame_size"):
            side = getattr(self, name)
            if side is not None and not MAP_SIZE <= side <= LARGEST_SIDE:
                raise UserError(f"{name} {side} is not within {MAP_SIZE}..{LARGEST_SIDE} pixels.")
        if not 0 <= self.margin <= self.size:
            raise UserError(f"margin {self.margin} is not within 0..{self.size} pixels.")
        if self.registered and self.margin:
            raise UserError("registered frames have no picture around the face: give no margin.")


@dataclass(frozen=True)
class ClipJob:
    """What a worker needs of one clip.

    Attributes:
        stem: its name.
        frames: the files that flow is computed from, by name.
        kept: the files of the frames to keep, in the order ``FRAME_ORDER``; empty to keep none.
        content: the hash over all that the clip's files depend on.
    """

    stem: str
    frames: Mapping[str, Path]
    kept: tuple[Path, ...]
    content: str


@dataclass(frozen=True)
class BuiltClip:
    """What became of a clip.

    Attributes:
        stem: its name.
        status: what was done.
        points: where a face was looked for, its five points on the map, [5, 2].
        rule, value, problem: where it failed, the rule broken, the file's name, a sentence.
    """

    stem: str
    status: BuildStatus
    points: NDArray[np.float64] | None = None
    rule: str = ""
    value: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ClipFlows:
    """What is computed from one clip.

    Attributes:
        frames: the registered grey frames, uint8 [3, size, size]: onset, apex, offset.
        flows: float32 [2, size, size, 2], onset to apex and apex to offset, in pixels.
        transform: float64 [2, 3], from the frames' pixels to the registered ones.
        points: the face's five points on the map, float64 [5, 2]; None for registered frames.
    """

    frames: NDArray[np.uint8]
    flows: NDArray[np.float32]
    transform: NDArray[np.float64]
    points: NDArray[np.float64] | None

    @property
    def maps(self) -> NDArray[np.uint8]:
        """uint8 [4, 28, 28, 3], channels B, G, R: two flow maps and their direction maps."""
        return clip_maps(self.flows)


def plan_clips(
    clips: Iterable[RawClip], out: Path, settings: InputSettings, trusted: bool = True
) -> tuple[list[ClipJob], list[BuiltClip]]:
    """The jobs to do, and the clips that need none: unchanged or failed.

    Args:
        trusted: the files that are there are known to be what was built.
    """
    jobs, settled = [], []
    for clip in clips:
        try:
            job = make_job(clip, settings)
        except FrameError as error:
            settled.append(_failed(clip.stem, error))
            continue
        unchanged = _read_built(job, out) if trusted else None
        if unchanged is None:
            jobs.append(job)
        else:
            settled.append(unchanged)
    return jobs, settled


def _failed(stem: str, error: FrameError) -> BuiltClip:
    return BuiltClip(stem, "failed", None, error.rule, error.value, str(error))


def build_clips(
    jobs: Sequence[ClipJob], out: Path, settings: InputSettings, workers: int = 1
) -> Iterator[BuiltClip]:
    """Do the jobs; yields each clip when its files are on disk.

    A clip with a bad frame fails alone. The bytes do not depend on the number of workers.

    Args:
        jobs: from ``plan_clips``.
        out: the folder of inputs.
        settings: how to compute.
        workers: processes; one works in this process.

    Raises:
        UserError: a worker process was killed.
    """
    return run_jobs(partial(build_clip, out=out, settings=settings), jobs, workers)


def make_job(clip: RawClip, settings: InputSettings) -> ClipJob:
    """Name the frames of a clip and hash them together with the settings.

    Raises:
        FrameError: a frame is missing.
    """
    numbers = {"onset": clip.onset, "apex": clip.apex, "offset": clip.offset}
    if not settings.registered:
        numbers["first"] = clip.frame_numbers[0]
    frames = {name: clip.frame_path(number) for name, number in numbers.items()}
    kept = tuple(kept_frames(clip)) if settings.frame_size is not None else ()
    hashes = {path: hash_file(path) for path in dict.fromkeys([*frames.values(), *kept])}
    recipe = {
        "version": RECIPE_VERSION,
        "opencv": flow_release(settings.flow),
        "settings": asdict(settings),
        "frames": {name: hashes[path] for name, path in frames.items()},
        "kept": [hashes[path] for path in kept],
    }
    content = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode("utf-8")).hexdigest()
    return ClipJob(clip.stem, frames, kept, content)


def kept_frames(clip: RawClip) -> Iterator[Path]:
    """The files of the frames in ``FRAME_ORDER``, or of the ones nearest to them."""
    inside = [number for number in clip.frame_numbers if clip.onset <= number <= clip.offset]
    key_frames = {"onset": clip.onset, "apex": clip.apex, "offset": clip.offset}
    for name, step in FRAME_ORDER:
        wanted = key_frames[name] + step
        yield clip.frame_path(min(inside, key=lambda number: abs(number - wanted)))


def _read_built(job: ClipJob, out: Path) -> BuiltClip | None:
    """The clip if its files are there and were made from this content."""
    files = [
        out / MAPS_FOLDER / map_file_name(job.stem, index) for index in range(len(MAP_SUFFIXES))
    ]
    if job.kept:
        files.append(frames_path(out, job.stem))
    if not all(path.is_file() for path in files):
        return None
    try:
        with np.load(flow_path(out, job.stem)) as stored:
            if str(stored["content"]) != job.content:
                return None
            return BuiltClip(job.stem, "unchanged", stored.get("points"))
    except (FileNotFoundError, BadZipFile, KeyError, ValueError, EOFError):
        return None


def overview_path(out: Path, dataset: str) -> Path:
    """The overview page of a dataset, where pictures were asked for."""
    return out / f"overview_{dataset}.png"


def picture_path(out: Path, stem: str) -> Path:
    """The contact sheet of a clip, where pictures were asked for."""
    return out / PICTURES_FOLDER / f"{stem}.png"


def compute_clip(frames: Mapping[str, Path], settings: InputSettings) -> ClipFlows:
    """Read a clip's frames, register them, and compute both phases' flow.

    Args:
        frames: files by name: onset, apex, offset, and first unless the frames are registered.
        settings: how to compute.

    Raises:
        FrameError: a frame cannot be used, or no face is found.
    """
    pictures = read_frames(frames)
    points = None
    if settings.registered:
        transform = _stretch(pictures["onset"].shape, settings.size)
    else:
        transform = find_face(pictures["first"], settings.size)
        points = face_points(pictures["first"], transform, settings.size)
    onset, apex, offset = (
        place_face(pictures[name], transform, settings) for name in ("onset", "apex", "offset")
    )
    flows = [phase_flow(onset, apex, settings), phase_flow(apex, offset, settings)]
    frames_inside = [without_margin(square, settings) for square in (onset, apex, offset)]
    return ClipFlows(np.stack(frames_inside), np.stack(flows), transform, points)


def place_face(
    picture: NDArray[np.uint8], transform: NDArray[np.float64], settings: InputSettings
) -> NDArray[np.uint8]:
    """The square on which flow is computed, uint8 [side, side]: the size and two margins."""
    if not settings.registered:
        shift = np.array([[0, 0, settings.margin], [0, 0, settings.margin]])
        return register(picture, transform + shift, settings.size + 2 * settings.margin)
    side = (settings.size, settings.size)
    return cv2.resize(picture, side, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


class ClipSquares:
    """The squares of one clip's frames, by index; each is read once, when it is asked for."""

    def __init__(self, clip: RawClip, settings: InputSettings) -> None:
        self._paths = [clip.frame_path(number) for number in clip.frame_numbers]
        self._settings = settings
        self._squares: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index not in self._squares:
            picture = read_frame(self._paths[index]).pixels
            self._squares[index] = place_face(picture, self.transform, self._settings)
        return self._squares[index]

    @cached_property
    def transform(self) -> NDArray[np.float64]:
        """From the face in the clip's first frame; registered frames need none."""
        if self._settings.registered:
            return np.eye(2, 3)
        return find_face(read_frame(self._paths[0]).pixels, self._settings.size)


def register_frames(
    paths: Sequence[Path], transform: NDArray[np.float64], settings: InputSettings
) -> NDArray[np.uint8]:
    """A clip's frames in color, without a margin: uint8 [F, frame_size, frame_size, 3], R, G, B.

    Args:
        paths: their files.
        transform: from ``compute_clip``.
        settings: as given to it; with its ``registered``, frames are resized by Pillow's
            anti-aliased bilinear filter, as MMNet's authors do.

    Raises:
        FrameError: a frame cannot be used.
    """
    side = settings.frame_size or settings.size
    pictures = read_frames({str(path): path for path in paths}, "RGB")
    if settings.registered:
        resized = [
            Image.fromarray(pictures[str(path)]).resize((side, side), Image.Resampling.BILINEAR)
            for path in paths
        ]
        return np.stack([np.asarray(frame) for frame in resized])
    factor = side / settings.size
    scaled = factor * transform + np.array([0, 0, (factor - 1) / 2])
    return np.stack([register(pictures[str(path)], scaled, side) for path in paths])


def phase_flow(
    first: NDArray[np.uint8], second: NDArray[np.uint8], settings: InputSettings
) -> NDArray[np.float32]:
    """One phase's flow, float32 [size, size, 2], without its mean if the settings say so."""
    flow = without_margin(compute_flow(first, second, settings.flow), settings)
    if settings.remove_mean_flow:
        flow = flow - flow.mean(axis=(0, 1))
    return flow


def without_margin(square: Square, settings: InputSettings) -> Square:
    """[side, side, ...] cut down to [size, size, ...]."""
    inner = slice(settings.margin, settings.margin + settings.size)
    return square[inner, inner]


def _stretch(shape: tuple[int, ...], size: int) -> NDArray[np.float64]:
    """What resizing [H, W] to the square does to pixel coordinates."""
    y, x = (size / side for side in shape)
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def build_clip(job: ClipJob, out: Path, settings: InputSettings) -> BuiltClip:
    """Compute one clip and write its files, the flow file last: it says that all are there.

    An old picture and old frames of the clip are removed, because they show something else.
    """
    try:
        result = compute_clip(job.frames, settings)
        kept = register_frames(job.kept, result.transform, settings) if job.kept else None
    except FrameError as error:
        return _failed(job.stem, error)
    remove_file(picture_path(out, job.stem))
    write_maps(out, job.stem, result.maps)
    if kept is None:
        remove_file(frames_path(out, job.stem))
    else:
        write_frames(frames_path(out, job.stem), kept)
    write_arrays(flow_path(out, job.stem), _flow_arrays(job, result))
    return BuiltClip(job.stem, "built", result.points)


def _flow_arrays(job: ClipJob, result: ClipFlows) -> dict[str, NDArray[Any]]:
    arrays = {
        "content": np.array(job.content),
        "transform": result.transform,
        **dict(zip(PHASES, result.flows.astype(np.float16), strict=True)),
    }
    return arrays if result.points is None else {**arrays, "points": result.points}
