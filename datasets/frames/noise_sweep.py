"""Maps of the same clips under many key-frame conditions, each pair of frames computed once.

Conditions share most of their pairs: where only the offset moves, the pair of onset and apex stays,
and small levels often move nothing. So maps are stored by pair, under a hash of the two frames, the
frame in which the face was found, and the settings.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import UserError, name_list
from common.owned_folder import owner_of
from common.process_pool import run_jobs
from datasets.arrays import write_arrays
from datasets.frames.build import (
    RECIPE_VERSION,
    ClipSquares,
    InputSettings,
    hash_file,
    phase_flow,
)
from datasets.frames.flow import flow_map
from datasets.frames.key_frame_noise import (
    KeyFrameNoise,
    KeyFrames,
    NoisyKeyFrames,
    add_key_frame_noise,
)
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import FrameError
from datasets.maps import direction_map
from datasets.raw import RawClip

# Noise; the sheet's key frames; or none of them: first frame, spotted apex, last frame.
KeyFrameCondition = KeyFrameNoise | Literal["annotated", "spotted"]


@dataclass(frozen=True)
class NoiseSweep:
    """What the conditions give.

    Attributes:
        maps: for each condition uint8 [N, 4, 28, 28, 3] in the order of the clips.
        key_frames: one row per condition and clip: frame numbers of onset, apex and offset, and
            which of them the clip was too short to move.
    """

    maps: Mapping[KeyFrameCondition, NDArray[np.uint8]]
    key_frames: pd.DataFrame


@dataclass(frozen=True)
class _SweptClip:
    """One clip under every condition: maps uint8 [conditions, 4, 28, 28, 3] and key frames."""

    index: int
    maps: NDArray[np.uint8]
    key_frames: list[NoisyKeyFrames]
    problem: str = ""


def sweep_key_frames(
    clips: Sequence[RawClip],
    conditions: Sequence[KeyFrameCondition],
    settings: InputSettings,
    store: Path,
    workers: int = 1,
) -> NoiseSweep:
    """Compute the clips' maps under every condition.

    Args:
        clips: clips with their frames.
        conditions: key-frame noise, "annotated" or "spotted".
        settings: how maps are computed.
        store: folder that keeps the maps of frame pairs, so that a further sweep computes only
            new pairs, and a killed one loses only the clips that it was computing.
        workers: processes; the result does not depend on it.

    Raises:
        UserError: a frame that is needed cannot be used, or no face is found; all such clips are
            named. In a claimed folder: a stored file is not the suite's own, or has changed.
    """
    owner = owner_of(store)
    if owner is not None:
        owner.check(_store_path(store, clip) for clip in clips)
    task = partial(_sweep_clip, conditions=conditions, settings=settings, store=store)
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
    return NoiseSweep(dict(zip(conditions, maps, strict=True)), pd.DataFrame(rows))


def _table_row(
    condition: KeyFrameCondition, clip: RawClip, noisy: NoisyKeyFrames
) -> dict[str, object]:
    numbers = clip.frame_numbers
    name = condition if isinstance(condition, str) else condition.name
    frames = {name: numbers[index] for name, index in asdict(noisy.key_frames).items()}
    identity = {"dataset": clip.dataset, "subject": clip.subject, "clip": clip.clip}
    return {"condition": name, **identity, **frames, "too_short": " ".join(noisy.too_short)}


def _sweep_clip(
    job: tuple[int, RawClip],
    conditions: Sequence[KeyFrameCondition],
    settings: InputSettings,
    store: Path,
) -> _SweptClip:
    index, clip = job
    pairs = _PairMaps(clip, settings, store)
    try:
        key_frames = [pairs.key_frames(condition) for condition in conditions]
        maps = [pairs.clip_maps(noisy.key_frames) for noisy in key_frames]
    except FrameError as error:
        return _SweptClip(index, np.empty(0, np.uint8), [], f"{clip.stem}: {error}")
    pairs.save()
    return _SweptClip(index, np.stack(maps), key_frames)


def _store_path(store: Path, clip: RawClip) -> Path:
    return store / f"{clip.dataset}_{clip.stem}.npz"


class _PairMaps:
    """The flow maps of one clip by pairs of frames, from the store or computed.

    Frames are given by their index in the clip.

    Args:
        clip: a clip with its frames.
        settings: how maps are computed.
        store: the folder of stored maps, one file a clip.
    """

    def __init__(self, clip: RawClip, settings: InputSettings, store: Path) -> None:
        self.clip, self.settings = clip, settings
        self.path = _store_path(store, clip)
        self.stored = _load(self.path)
        self.has_new = False
        self.paths = [clip.frame_path(number) for number in clip.frame_numbers]
        self.squares = ClipSquares(clip, settings)
        self._hash = cache(hash_file)

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

    def clip_maps(self, key_frames: KeyFrames) -> NDArray[np.uint8]:
        """uint8 [4, 28, 28, 3]: two flow maps and their direction maps."""
        onset, apex, offset = key_frames.onset, key_frames.apex, key_frames.offset
        flow_maps = np.stack([self._flow_map(onset, apex), self._flow_map(apex, offset)])
        return np.concatenate([flow_maps, direction_map(flow_maps)])

    def save(self) -> None:
        """Put what was computed into the store."""
        if self.has_new:
            write_arrays(self.path, {key: self.stored[key] for key in sorted(self.stored)})

    def _flow_map(self, first: int, second: int) -> NDArray[np.uint8]:
        key = self._key("pair", [first, second])
        if key not in self.stored:
            flow = phase_flow(self.squares[first], self.squares[second], self.settings)
            self._keep(key, flow_map(flow))
        return self.stored[key].astype(np.uint8, copy=False)

    @cached_property
    def _spotted(self) -> KeyFrames:
        indices = range(len(self.paths))
        key = self._key("spotted", indices)
        if key not in self.stored:
            found = spot_key_frames([self.squares[index] for index in indices])
            self._keep(key, np.array([found.onset, found.apex, found.offset]))
        return KeyFrames(*(int(index) for index in self.stored[key]))

    def _keep(self, key: str, value: NDArray[np.integer]) -> None:
        self.stored[key] = value
        self.has_new = True

    def _key(self, kind: str, indices: Sequence[int]) -> str:
        """A hash over everything that a result depends on."""
        first = "" if self.settings.registered else self._hash(self.paths[0])
        hashes = [self._hash(self.paths[index]) for index in indices]
        recipe = [RECIPE_VERSION, kind, asdict(self.settings), first, hashes]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode("utf-8")).hexdigest()


def _load(path: Path) -> dict[str, NDArray[np.integer]]:
    """Stored results by hash; a file that is absent or damaged holds none."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (FileNotFoundError, BadZipFile, ValueError, EOFError):
        return {}
