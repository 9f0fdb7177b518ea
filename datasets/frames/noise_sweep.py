"""Maps of the same clips under many key-frame conditions, each distinct frame pair computed once.

Conditions share most of their frame pairs: an offset that moves leaves the pair onset to apex as it
was, small levels often move nothing. So maps are stored by pair, addressed by the two frames'
content, the frame that the face was found in, and the settings.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.errors import UserError, name_list
from common.process_pool import run_jobs
from datasets.arrays import write_arrays
from datasets.frames.build import RECIPE_VERSION, InputSettings, hash_file, phase_flow, place_face
from datasets.frames.flow import flow_map
from datasets.frames.key_frame_noise import (
    KeyFrameNoise,
    KeyFrames,
    NoisyKeyFrames,
    add_key_frame_noise,
)
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import FrameError, read_frame
from datasets.frames.registration import find_face
from datasets.maps import direction_map
from datasets.raw import RawClip

# No noise: the sheet's key frames; or none of them: first frame, spotted apex, last frame.
KeyFrameCondition = KeyFrameNoise | Literal["annotated", "spotted"]
Pair = tuple[int, int]


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

    place: int
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
            new pairs, and a killed one loses only the clips in work.
        workers: processes; the result does not depend on it.

    Raises:
        UserError: a frame that is needed cannot be used, or no face is found; all such clips are
            named.
    """
    task = partial(_sweep_clip, conditions=conditions, settings=settings, store=store)
    jobs = list(enumerate(clips))
    swept = sorted(run_jobs(task, jobs, workers), key=lambda clip: clip.place)
    problems = [clip.problem for clip in swept if clip.problem]
    if problems:
        raise UserError(f"{len(problems)} clips cannot be swept: {name_list(problems)}")
    maps = np.stack([clip.maps for clip in swept], axis=1)
    rows = [
        _table_row(condition, clips[clip.place], clip.key_frames[number])
        for number, condition in enumerate(conditions)
        for clip in swept
    ]
    return NoiseSweep(dict(zip(conditions, maps, strict=True)), pd.DataFrame(rows))


def _table_row(
    condition: KeyFrameCondition, clip: RawClip, noisy: NoisyKeyFrames
) -> dict[str, object]:
    numbers = clip.frame_numbers
    name = condition if isinstance(condition, str) else condition.name
    frames = {name: numbers[place] for name, place in asdict(noisy.key_frames).items()}
    identity = {"dataset": clip.dataset, "subject": clip.subject, "clip": clip.clip}
    return {"condition": name, **identity, **frames, "too_short": " ".join(noisy.too_short)}


def _sweep_clip(
    job: tuple[int, RawClip],
    conditions: Sequence[KeyFrameCondition],
    settings: InputSettings,
    store: Path,
) -> _SweptClip:
    place, clip = job
    pairs = PairMaps(clip, settings, store)
    try:
        key_frames = [pairs.key_frames(condition) for condition in conditions]
        maps = [pairs.clip_maps(noisy.key_frames) for noisy in key_frames]
    except FrameError as error:
        return _SweptClip(place, np.empty(0, np.uint8), [], f"{clip.stem}: {error}")
    pairs.save()
    return _SweptClip(place, np.stack(maps), key_frames)


class PairMaps:
    """The flow maps of one clip by pairs of frame positions, from the store or computed.

    Args:
        clip: a clip with its frames.
        settings: how maps are computed.
        store: the folder of stored maps, one file a clip.
    """

    def __init__(self, clip: RawClip, settings: InputSettings, store: Path) -> None:
        self.clip = clip
        self.settings = settings
        self.path = store / f"{clip.dataset}_{clip.stem}.npz"
        self.stored = _load(self.path)
        self.computed = 0
        self.hashes: dict[int, str] = {}
        self.squares: dict[int, NDArray[np.uint8]] = {}

    def key_frames(self, condition: KeyFrameCondition) -> NoisyKeyFrames:
        """The clip's key frames, as positions, under a condition."""
        annotated = self.clip.key_frame_positions
        if condition == "annotated":
            return NoisyKeyFrames(annotated, ())
        if condition == "spotted":
            return NoisyKeyFrames(self._spotted, ())
        last = len(self.clip.frame_names) - 1
        clip = self.clip
        return add_key_frame_noise(
            annotated, last, condition, clip.dataset, clip.subject, clip.clip
        )

    def clip_maps(self, key_frames: KeyFrames) -> NDArray[np.uint8]:
        """uint8 [4, 28, 28, 3]: two flow maps and their direction maps."""
        onset, apex, offset = key_frames.onset, key_frames.apex, key_frames.offset
        flow_maps = np.stack([self._flow_map((onset, apex)), self._flow_map((apex, offset))])
        return np.concatenate([flow_maps, direction_map(flow_maps)])

    def save(self) -> None:
        """Put what was computed into the store."""
        if self.computed:
            write_arrays(self.path, {key: self.stored[key] for key in sorted(self.stored)})

    def _flow_map(self, pair: Pair) -> NDArray[np.uint8]:
        key = self._key("pair", *(self._hash(place) for place in pair))
        if key not in self.stored:
            first, second = (self._square(place) for place in pair)
            self._keep(key, flow_map(phase_flow(first, second, self.settings)))
        return self.stored[key].astype(np.uint8, copy=False)

    @cached_property
    def _spotted(self) -> KeyFrames:
        places = range(len(self.clip.frame_names))
        key = self._key("spotted", *(self._hash(place) for place in places))
        if key not in self.stored:
            found = spot_key_frames([self._square(place) for place in places])
            self._keep(key, np.array([found.onset, found.apex, found.offset]))
        return KeyFrames(*(int(place) for place in self.stored[key]))

    def _keep(self, key: str, value: NDArray[np.integer]) -> None:
        self.stored[key] = value
        self.computed += 1

    def _key(self, kind: str, *hashes: str) -> str:
        """Address of a result: everything that it depends on."""
        first = "" if self.settings.registered else self._hash(0)
        recipe = [RECIPE_VERSION, kind, asdict(self.settings), first, hashes]
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode("utf-8")).hexdigest()

    def _file(self, place: int) -> Path:
        return self.clip.frame_path(self.clip.frame_numbers[place])

    def _hash(self, place: int) -> str:
        if place not in self.hashes:
            self.hashes[place] = hash_file(self._file(place))
        return self.hashes[place]

    def _square(self, place: int) -> NDArray[np.uint8]:
        if place not in self.squares:
            picture = read_frame(self._file(place)).pixels
            self.squares[place] = place_face(picture, self._transform, self.settings)
        return self.squares[place]

    @cached_property
    def _transform(self) -> NDArray[np.float64]:
        """The face's place in the clip's first frame; not asked for with registered frames."""
        if self.settings.registered:
            return np.eye(2, 3)
        return find_face(read_frame(self._file(0)).pixels, self.settings.size)


def _load(path: Path) -> dict[str, NDArray[np.integer]]:
    """Stored results by address; a file that is absent or damaged holds none."""
    try:
        with np.load(path) as stored:
            return dict(stored)
    except (FileNotFoundError, BadZipFile, ValueError, EOFError):
        return {}
