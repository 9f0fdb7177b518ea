"""Inputs of the same clips under many key-frame conditions, each pair of frames computed once.

Conditions share most of their frames: where only the offset moves, the pair of onset and apex
stays, and small levels often move nothing. So what is computed is stored by pair or frame, under a
hash of the frames, the frame in which the face was found, and the settings. Maps of all conditions
are small and held in memory; flow and frames stay on disk, and a condition's are read when used.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import UserError, name_list
from common.owned_folder import owner_of
from common.process_pool import run_jobs
from datasets.arrays import ClipArray, write_arrays
from datasets.frames.build import (
    RECIPE_VERSION,
    ClipSquares,
    InputSettings,
    kept_frames,
    phase_flow,
    register_frames,
)
from datasets.frames.flow import flow_map, flow_release
from datasets.frames.key_frame_noise import (
    KeyFrameNoise,
    KeyFrames,
    NoisyKeyFrames,
    add_key_frame_noise,
)
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import FrameError, hash_file, read_frame
from datasets.frames.registration import face_points
from datasets.inputs import POINT_COLUMNS
from datasets.maps import direction_map
from datasets.raw import RawClip

# Noise; the sheet's key frames; or none of them: first frame, spotted apex, last frame.
KeyFrameCondition = KeyFrameNoise | Literal["annotated", "spotted"]


INPUTS = ("maps", "flow", "frames")
"""What a sweep can give."""
Members = tuple[str, ...]
"""Names of the arrays in a clip's file that a clip's input is made of."""


@dataclass(frozen=True)
class NoiseSweep:
    """What the conditions give.

    Attributes:
        maps: for each condition uint8 [N, 4, 28, 28, 3] in the order of the clips.
        key_frames: one row per condition and clip: frame numbers of onset, apex and offset, and
            which of them the clip was too short to move.
        known: one row per clip: frames per second, and the face's points where one was looked for.
        members: by name and condition what each clip's flow and frames are made of.
        paths: by name the file of each clip.
    """

    maps: Mapping[KeyFrameCondition, NDArray[np.uint8]]
    key_frames: pd.DataFrame
    known: pd.DataFrame = field(default_factory=pd.DataFrame)
    members: Mapping[str, Mapping[KeyFrameCondition, list[Members]]] = field(default_factory=dict)
    paths: Mapping[str, list[Path]] = field(default_factory=dict)

    def arrays(self, condition: KeyFrameCondition) -> dict[str, ClipArray]:
        """Flow and frames under a condition, those that the sweep was asked for, on disk.

        They are what ``build_inputs.py`` stores: ``flow``, float16 [N, 2, S, S, 2], and
        ``frames``, uint8 [N, F, S, S, 3].
        """
        return {name: self._array(name, condition) for name in self.members}

    def columns(self, condition: KeyFrameCondition) -> dict[str, NDArray[np.float64]]:
        """What is also known of each clip: its key frames' numbers under a condition, and more."""
        own = self.key_frames[self.key_frames["condition"] == condition_name(condition)]
        numbers = {name: own[name].to_numpy(np.float64) for name in ("onset", "apex", "offset")}
        return {**numbers, **{name: self.known[name].to_numpy() for name in self.known}}

    def _array(self, name: str, condition: KeyFrameCondition) -> ClipArray:
        paths = self.paths[name]
        members = dict(zip(paths, self.members[name][condition], strict=True))
        return ClipArray(paths, partial(_read_members, members=members))


def condition_name(condition: KeyFrameCondition) -> str:
    """Short and file-safe."""
    return condition if isinstance(condition, str) else condition.name


def _read_members(path: Path, members: Mapping[Path, Members]) -> NDArray[Any]:
    with np.load(path) as stored:
        return np.stack([stored[name] for name in members[path]])


@dataclass(frozen=True)
class _SweptClip:
    """One clip under every condition: maps uint8 [conditions, 4, 28, 28, 3] and key frames."""

    index: int
    maps: NDArray[np.uint8]
    key_frames: list[NoisyKeyFrames]
    known: dict[str, float] = field(default_factory=dict)
    members: dict[str, list[Members]] = field(default_factory=dict)
    problem: str = ""


def sweep_key_frames(
    clips: Sequence[RawClip],
    conditions: Sequence[KeyFrameCondition],
    settings: InputSettings,
    store: Path,
    workers: int = 1,
    inputs: Sequence[str] = ("maps",),
) -> NoiseSweep:
    """Compute the clips' inputs under every condition.

    Args:
        clips: clips with their frames.
        conditions: key-frame noise, "annotated" or "spotted".
        settings: how inputs are computed; frames need a ``frame_size``.
        store: folder that keeps what is computed, so that a further sweep computes only what is
            new, and a killed one loses only the clips that it was computing.
        workers: processes; the result does not depend on it.
        inputs: which of ``INPUTS`` are needed; maps are always computed.

    Raises:
        UserError: an unknown input, a frame that is needed cannot be used, or no face is found;
            all such clips are named. In a claimed folder: a stored file is not the suite's own, or
            has changed.
    """
    unknown = [name for name in inputs if name not in INPUTS]
    if unknown:
        raise UserError(f"frames give no input {name_list(unknown)}, but {name_list(INPUTS)}.")
    more = [name for name in INPUTS if name != "maps" and name in inputs]
    owner = owner_of(store)
    if owner is not None:
        owner.check(_store_path(store, clip, name) for clip in clips for name in ("maps", *more))
    task = partial(_sweep_clip, conditions=conditions, settings=settings, store=store, inputs=more)
    jobs = list(enumerate(clips))
    swept = sorted(run_jobs(task, jobs, workers), key=lambda clip: clip.index)
    problems = [clip.problem for clip in swept if clip.problem]
    if problems:
        raise UserError(f"{len(problems)} clips cannot be swept: {name_list(problems)}")
    maps = np.stack([clip.maps for clip in swept], axis=1)
    rows = [
        _table_row(condition, clips[clip.index], clip.key_frames[number])
        for number, condition in enumerate(conditions)
        for clip in swept
    ]
    return NoiseSweep(
        dict(zip(conditions, maps, strict=True)),
        pd.DataFrame(rows),
        pd.DataFrame([clip.known for clip in swept]),
        {name: _by_condition(conditions, swept, name) for name in more},
        {name: [_store_path(store, clip, name) for clip in clips] for name in more},
    )


def _by_condition(
    conditions: Sequence[KeyFrameCondition], swept: Sequence[_SweptClip], name: str
) -> dict[KeyFrameCondition, list[Members]]:
    return {
        condition: [clip.members[name][number] for clip in swept]
        for number, condition in enumerate(conditions)
    }


def _store_path(store: Path, clip: RawClip, name: str) -> Path:
    """The file of a clip's maps, flow or frames."""
    folder = store if name == "maps" else store / name
    return folder / f"{clip.dataset}_{clip.stem}.npz"


def _table_row(
    condition: KeyFrameCondition, clip: RawClip, noisy: NoisyKeyFrames
) -> dict[str, object]:
    numbers = clip.frame_numbers
    frames = {name: numbers[index] for name, index in asdict(noisy.key_frames).items()}
    identity = {"dataset": clip.dataset, "subject": clip.subject, "clip": clip.clip}
    too_short = " ".join(noisy.too_short)
    return {"condition": condition_name(condition), **identity, **frames, "too_short": too_short}


def _sweep_clip(
    job: tuple[int, RawClip],
    conditions: Sequence[KeyFrameCondition],
    settings: InputSettings,
    store: Path,
    inputs: Sequence[str],
) -> _SweptClip:
    index, clip = job
    own = _ClipInputs(clip, settings, store)
    members_of = {"flow": own.flow, "frames": own.frames}
    try:
        key_frames = [own.key_frames(condition) for condition in conditions]
        places = [noisy.key_frames for noisy in key_frames]
        members = {name: [members_of[name](place) for place in places] for name in inputs}
        maps = [own.maps(place) for place in places]
        known = own.known()
    except FrameError as error:
        return _SweptClip(index, np.empty(0, np.uint8), [], problem=f"{clip.stem}: {error}")
    own.save()
    return _SweptClip(index, np.stack(maps), key_frames, known, members)


class _Stored:
    """Arrays of one clip by hash, from its file or computed."""

    def __init__(self, path: Path) -> None:
        self.path, self.arrays, self.has_new = path, _load(path), False

    def get(self, key: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """The array of that hash; it is computed where the file lacks it."""
        if key not in self.arrays:
            self.arrays[key] = compute()
            self.has_new = True
        return self.arrays[key]

    def save(self) -> None:
        """Write the file anew where something was computed."""
        if self.has_new:
            write_arrays(self.path, {key: self.arrays[key] for key in sorted(self.arrays)})


class _ClipInputs:
    """The inputs of one clip by its frames, from the store or computed.

    Frames are given by their index in the clip.

    Args:
        clip: a clip with its frames.
        settings: how inputs are computed.
        store: the folder that keeps them.
    """

    def __init__(self, clip: RawClip, settings: InputSettings, store: Path) -> None:
        self.clip, self.settings = clip, settings
        # The size of kept frames changes no flow.
        self.flow_settings = replace(settings, frame_size=None)
        self.stored = {name: _Stored(_store_path(store, clip, name)) for name in INPUTS}
        self.paths = [clip.frame_path(number) for number in clip.frame_numbers]
        self.squares = ClipSquares(clip, settings)
        self._hash = cache(hash_file)
        self._phase_flow = cache(self._compute_flow)

    def key_frames(self, condition: KeyFrameCondition) -> NoisyKeyFrames:
        """The clip's key frames under a condition."""
        annotated = self.clip.key_frame_positions
        if condition == "annotated":
            return NoisyKeyFrames(annotated, ())
        if condition == "spotted":
            return NoisyKeyFrames(self._spotted, ())
        clip, last = self.clip, len(self.paths) - 1
        return add_key_frame_noise(
            annotated, last, condition, clip.dataset, clip.subject, clip.clip
        )

    def maps(self, key_frames: KeyFrames) -> NDArray[np.uint8]:
        """uint8 [4, 28, 28, 3]: two flow maps and their direction maps."""
        flow_maps = np.stack([self._flow_map(*pair) for pair in _phases(key_frames)])
        return np.concatenate([flow_maps, direction_map(flow_maps)])

    def flow(self, key_frames: KeyFrames) -> Members:
        """Both phases' flow, each float16 [size, size, 2], by their names in the store."""
        return tuple(self._stored_flow(*pair) for pair in _phases(key_frames))

    def frames(self, key_frames: KeyFrames) -> Members:
        """The frames that are kept, each uint8 [S, S, 3], by their names in the store."""
        numbers = self.clip.frame_numbers
        moved = {name: numbers[index] for name, index in asdict(key_frames).items()}
        return tuple(self._stored_frame(path) for path in kept_frames(replace(self.clip, **moved)))

    def known(self) -> dict[str, float]:
        """Frames per second, and the face's points on the map, as build_inputs.py stores them."""
        rate = self.clip.frame_rate
        points = (
            {} if self.settings.registered else dict(zip(POINT_COLUMNS, self._points, strict=True))
        )
        return {"frame_rate": np.nan if rate is None else rate, **points}

    def save(self) -> None:
        """Put what was computed into the store."""
        for stored in self.stored.values():
            stored.save()

    def _flow_map(self, first: int, second: int) -> NDArray[np.uint8]:
        key = self._key("pair", self._paths_of(first, second))
        made = self.stored["maps"].get(key, lambda: flow_map(self._phase_flow(first, second)))
        return made.astype(np.uint8, copy=False)

    def _stored_flow(self, first: int, second: int) -> str:
        key = self._key("flow", self._paths_of(first, second))
        self.stored["flow"].get(key, lambda: self._phase_flow(first, second).astype(np.float16))
        return key

    def _compute_flow(self, first: int, second: int) -> NDArray[np.float32]:
        return phase_flow(self.squares[first], self.squares[second], self.settings)

    def _stored_frame(self, path: Path) -> str:
        key = self._key(f"frame {self.settings.frame_size}", [path])
        transform, settings = self.squares.transform, self.settings
        self.stored["frames"].get(key, lambda: register_frames([path], transform, settings)[0])
        return key

    @cached_property
    def _spotted(self) -> KeyFrames:
        indices = range(len(self.paths))
        key = self._key("spotted", self.paths)

        def spot() -> NDArray[np.integer]:
            found = spot_key_frames([self.squares[index] for index in indices])
            return np.array([found.onset, found.apex, found.offset])

        return KeyFrames(*(int(index) for index in self.stored["maps"].get(key, spot)))

    @cached_property
    def _points(self) -> list[float]:
        """Ten numbers, to a thousandth of a pixel."""
        key = self._key("points", self.paths[:1])

        def find() -> NDArray[np.float64]:
            picture, size = read_frame(self.paths[0]).pixels, self.settings.size
            return face_points(picture, self.squares.transform, size).round(3).ravel()

        return [float(number) for number in self.stored["maps"].get(key, find)]

    def _paths_of(self, *indices: int) -> list[Path]:
        return [self.paths[index] for index in indices]

    def _key(self, kind: str, paths: Sequence[Path]) -> str:
        """A hash over everything that a result depends on."""
        first = "" if self.settings.registered else self._hash(self.paths[0])
        hashes = [self._hash(path) for path in paths]
        release = flow_release(self.settings.flow)
        recipe = [RECIPE_VERSION, release, kind, asdict(self.flow_settings), first, hashes]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode("utf-8")).hexdigest()


def _phases(key_frames: KeyFrames) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last frame of both phases."""
    return (key_frames.onset, key_frames.apex), (key_frames.apex, key_frames.offset)


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """Stored results by hash; a file that is absent or damaged holds none."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (FileNotFoundError, BadZipFile, ValueError, EOFError):
        return {}
