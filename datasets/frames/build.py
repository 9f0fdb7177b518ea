"""From labelled clips to stored inputs: flow maps and direction maps as published, signed flow.

Each clip's files are a function of its frames' bytes and the settings. The hash of both is stored
in the clip's flow file, which is written last; so a rerun computes only what changed, and a killed
run loses only the clips in work.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError, name_list
from common.files import write_bytes
from common.process_pool import run_jobs
from datasets.arrays import PHASES, flow_path
from datasets.direction_maps import direction_map
from datasets.frames.flow import FLOW_METHODS, MAP_SIZE, FlowMethod, compute_flow, flow_map
from datasets.frames.reading import FrameError, read_frames
from datasets.frames.registration import find_face, register
from datasets.inputs import MAP_SUFFIXES, MAPS_FOLDER, map_file_name, write_maps
from datasets.raw import RawClip

PICTURES_FOLDER = "pictures"
# Counts up whenever the same frames and settings would give other bytes.
RECIPE_VERSION = 1

# Enough to keep the border's outliers out; a quarter more time for flow.
DEFAULT_MARGIN = 8

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
            off. At the border of what it is given, flow has outliers, and a map's min-max scaling
            hands each to the whole map. 0 is the published recipe to the letter.
    """

    flow: FlowMethod = "tvl1"
    size: int = 128
    remove_mean_flow: bool = False
    registered: bool = False
    margin: int = 0

    def __post_init__(self) -> None:
        if self.flow not in FLOW_METHODS:
            raise UserError(f"unknown flow {self.flow!r}. Choose one of {name_list(FLOW_METHODS)}.")
        if not MAP_SIZE <= self.size <= 1024:
            raise UserError(f"size {self.size} is not within {MAP_SIZE}..1024 pixels.")
        if not 0 <= self.margin <= self.size:
            raise UserError(f"margin {self.margin} is not within 0..{self.size} pixels.")
        if self.registered and self.margin:
            raise UserError("registered frames have no picture around the face: give no margin.")


@dataclass(frozen=True)
class ClipJob:
    """What a worker needs of one clip: its name, its frames, and the hash over all that counts."""

    stem: str
    frames: Mapping[str, Path]
    content: str


@dataclass(frozen=True)
class BuiltClip:
    """What became of a clip; where it failed, the rule broken, the file's name, the problem."""

    stem: str
    status: BuildStatus
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
    """

    frames: NDArray[np.uint8]
    flows: NDArray[np.float32]
    transform: NDArray[np.float64]

    @property
    def maps(self) -> NDArray[np.uint8]:
        """uint8 [4, 28, 28, 3]: two flow maps and their direction maps, channels B, G, R."""
        flow_maps = np.stack([flow_map(flow) for flow in self.flows])
        return np.concatenate([flow_maps, direction_map(flow_maps)])


def plan_clips(
    clips: Iterable[RawClip], out: Path, settings: InputSettings
) -> tuple[list[ClipJob], list[BuiltClip]]:
    """The jobs that are to be done, and the clips that are settled without: unchanged or failed."""
    jobs, settled = [], []
    for clip in clips:
        try:
            job = make_job(clip, settings)
        except FrameError as error:
            settled.append(_failed(clip.stem, error))
            continue
        if is_up_to_date(job, out):
            settled.append(BuiltClip(clip.stem, "unchanged"))
        else:
            jobs.append(job)
    return jobs, settled


def _failed(stem: str, error: FrameError) -> BuiltClip:
    return BuiltClip(stem, "failed", error.rule, error.value, str(error))


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
    recipe = {
        "version": RECIPE_VERSION,
        "settings": asdict(settings),
        "frames": {name: hash_file(path) for name, path in frames.items()},
    }
    content = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode("utf-8")).hexdigest()
    return ClipJob(clip.stem, frames, content)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        FrameError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FrameError(f"frame {path} cannot be read: {error.strerror}.", path.name) from None


def is_up_to_date(job: ClipJob, out: Path) -> bool:
    """Whether the clip's files are there and were made from this content."""
    maps = [
        out / MAPS_FOLDER / map_file_name(job.stem, place) for place in range(len(MAP_SUFFIXES))
    ]
    if not all(path.is_file() for path in maps):
        return False
    try:
        with np.load(flow_path(out, job.stem)) as stored:
            return str(stored["content"]) == job.content
    except (FileNotFoundError, BadZipFile, KeyError, ValueError, EOFError):
        return False


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
    if settings.registered:
        transform = _stretch(pictures["onset"].shape, settings.size)
    else:
        transform = find_face(pictures["first"], settings.size)
    onset, apex, offset = (
        place_face(pictures[name], transform, settings) for name in ("onset", "apex", "offset")
    )
    flows = [phase_flow(onset, apex, settings), phase_flow(apex, offset, settings)]
    frames_inside = [without_margin(square, settings) for square in (onset, apex, offset)]
    return ClipFlows(np.stack(frames_inside), np.stack(flows), transform)


def place_face(
    picture: NDArray[np.uint8], transform: NDArray[np.float64], settings: InputSettings
) -> NDArray[np.uint8]:
    """The square on which flow is computed, uint8 [side, side]: the size and two margins."""
    if not settings.registered:
        shift = np.array([[0, 0, settings.margin], [0, 0, settings.margin]])
        return register(picture, transform + shift, settings.size + 2 * settings.margin)
    side = (settings.size, settings.size)
    return cv2.resize(picture, side, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


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

    An old picture of the clip goes, because it would show something else.
    """
    try:
        result = compute_clip(job.frames, settings)
    except FrameError as error:
        return _failed(job.stem, error)
    picture_path(out, job.stem).unlink(missing_ok=True)
    write_maps(out, job.stem, result.maps)
    _write_flow(job, out, result)
    return BuiltClip(job.stem, "built")


def _write_flow(job: ClipJob, out: Path, result: ClipFlows) -> None:
    content = io.BytesIO()
    flows = dict(zip(PHASES, result.flows.astype(np.float16), strict=True))
    np.savez(content, content=np.array(job.content), transform=result.transform, **flows)
    write_bytes(flow_path(out, job.stem), content.getvalue())
