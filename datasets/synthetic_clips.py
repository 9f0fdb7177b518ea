"""Synthetic clips: drawn faces moved by the action units of a class, with their true motion.

They stand in for the real datasets, which need a signed agreement: every script runs on them.
There are three parts, named like the three datasets of the MEGC2019 composite and with subjects
and clips named like theirs. A clip is a sequence of frames: the neutral face, then the action
units that define its class rise to the apex and fall again, while the head drifts, other muscles
move a little, the light flickers and the sensor adds noise.

A clip depends on (seed, dataset, subject, clip) alone, not on the order or number of clips drawn.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from datasets.synthetic_faces import (
    REGISTERED,
    Face,
    View,
    draw_face_of,
    draw_neutral,
    generator,
)
from datasets.synthetic_muscles import Muscle, muscle_field, muscles_of

EMOTIONS = ("negative", "positive", "surprise")
# The action units that define each class; a clip shows one of the combinations.
CLASS_ACTION_UNITS = (
    (("4",), ("24",), ("4", "24"), ("4", "7"), ("4", "15")),
    (("12",), ("6", "12"), ("L12",), ("R12",), ("6", "12")),
    (("1", "2"), ("26",), ("1", "2", "26"), ("1", "2", "5"), ("5", "26")),
)
# Movements that say nothing about the class, and how likely a clip shows each.
DISTRACTORS = {"45": 0.3, "gaze": 0.4, "17": 0.2, "L14": 0.15, "R14": 0.15, "9": 0.12, "L10": 0.12}
# Amplitude of the class's strongest muscle at the apex, in face units (pixels at 128 x 128).
AMPLITUDE = (1.0, 3.0)
# Most clips also show a movement of another class, relative to that amplitude: it begins later
# and still rises when the class's own falls. Chosen, with the distractors, so that a linear
# classifier tells the classes fairly but not perfectly.
MASKING_CHANCE, MASKING_STRENGTH = 0.85, (0.7, 1.5)
DISTRACTOR_STRENGTH = (0.5, 2.5)
# Peaks of the head's drift: right and down in face units, turn in radians, relative growth.
HEAD_DRIFT = np.array([0.9, 0.9, np.deg2rad(0.5), 0.005])
# Half of a subject's clips are negative, as in the composite; the order is turned by subject.
LABEL_CYCLE = (0, 1, 0, 2, 0, 1, 0, 2)


@dataclass(frozen=True)
class Camera:
    """What a dataset's camera adds: sensor noise and flicker, in grey values."""

    noise: float
    flicker: float


CAMERAS = {"casme2": Camera(2.0, 2.0), "samm": Camera(1.5, 1.2), "smic": Camera(3.0, 2.5)}


@dataclass(frozen=True)
class ClipSpec:
    """Names one synthetic clip; ``label`` is 0 negative, 1 positive, 2 surprise."""

    seed: int
    dataset: str
    subject: str
    clip: str
    label: int

    @property
    def stem(self) -> str:
        """Its name in the published layout."""
        return f"{self.subject}_{self.clip}"


@dataclass(frozen=True)
class SyntheticClip:
    """A drawn clip.

    Attributes:
        spec: which clip it is.
        frames: uint8 [T, H, W], grey.
        onset, apex, offset: indices into ``frames``, onset < apex < offset.
        motion: the true motion in pixels, float32 [2, H, W, 2] = (onset to apex, apex to offset),
            u to the right and v downwards, at the pixels of the first frame of each.
        action_units: those that define the class, such as "4" or, on the subject's left, "L12".
    """

    spec: ClipSpec
    frames: NDArray[np.uint8]
    onset: int
    apex: int
    offset: int
    motion: NDArray[np.float32]
    action_units: tuple[str, ...]

    @property
    def label(self) -> int:
        """0 negative, 1 positive, 2 surprise."""
        return self.spec.label


@dataclass(frozen=True)
class _Course:
    """How a clip moves: key frames, each muscle's pull and the head's pose in each frame."""

    onset: int
    apex: int
    offset: int
    action_units: tuple[str, ...]
    muscles: tuple[Muscle, ...]
    pull: NDArray[np.float32]
    poses: NDArray[np.float64]


def list_synthetic_clips(
    subjects_per_dataset: int = 6, clips_per_subject: int = 8, seed: int = 1
) -> list[ClipSpec]:
    """Name the clips of the three parts, ordered by dataset, subject and number.

    A longer list begins each subject with the same clips as a shorter one.

    Raises:
        UserError: a count that is not positive, or more subjects than the names have digits for.
    """
    if not 1 <= subjects_per_dataset <= 99 or not 1 <= clips_per_subject <= 99:
        raise UserError(
            f"Synthetic clips come from 1 to 99 subjects with 1 to 99 clips each, not "
            f"{subjects_per_dataset} with {clips_per_subject}."
        )
    return [
        spec
        for dataset in CAMERAS
        for number in range(1, subjects_per_dataset + 1)
        for spec in islice(_clips_of(seed, dataset, number), clips_per_subject)
    ]


def find_synthetic_clip(name: str, seed: int = 1) -> ClipSpec:
    """The clip called ``subject/clip``, such as sub01/EP01_01.

    Raises:
        UserError: no synthetic clip has this name.
    """
    for spec in list_synthetic_clips(99, 99, seed):
        if f"{spec.subject}/{spec.clip}" == name:
            return spec
    raise UserError(
        f"There is no synthetic clip {name!r}. Names are like sub01/EP01_01, 001/001_1_1 and "
        "s01/s01_ne_01."
    )


def _clips_of(seed: int, dataset: str, number: int) -> Iterator[ClipSpec]:
    """A subject's clips without end, named as its dataset names them."""
    subject = {"casme2": f"sub{number:02d}", "samm": f"{number:03d}", "smic": f"s{number:02d}"}[
        dataset
    ]
    start = int(generator(seed, dataset, subject, "labels").integers(len(LABEL_CYCLE)))
    seen: Counter[int] = Counter()
    index = 0
    while True:
        label = LABEL_CYCLE[(start + index) % len(LABEL_CYCLE)]
        seen[label] += 1
        film, part = index // 4 + 1, index % 4 + 1
        clip = {
            "casme2": f"EP{film:02d}_{part:02d}",
            "samm": f"{subject}_{film}_{part}",
            "smic": f"{subject}_{('ne', 'po', 'sur')[label]}_{seen[label]:02d}",
        }[dataset]
        yield ClipSpec(seed, dataset, subject, clip, label)
        index += 1


def draw_clip(spec: ClipSpec, view: View = REGISTERED) -> SyntheticClip:
    """Draw a clip's frames and its true motion.

    Args:
        spec: which clip.
        view: the picture and the face's place in it; the default is a registered 128 x 128 face.
    """
    face = draw_face_of(spec.seed, spec.dataset, spec.subject)
    course = _plan(spec, view)
    fields = np.stack([muscle_field(face, view, muscle) for muscle in course.muscles])
    phases = ((course.onset, course.apex), (course.apex, course.offset))
    motion = np.stack([_true_motion(course, fields, view, *phase) for phase in phases])
    return SyntheticClip(
        spec=spec,
        frames=_film(spec, course, _neutral(face, view), fields, view),
        onset=course.onset,
        apex=course.apex,
        offset=course.offset,
        motion=motion,
        action_units=course.action_units,
    )


@lru_cache(maxsize=16)
def _neutral(face: Face, view: View) -> NDArray[np.float32]:
    return draw_neutral(face, view)


def _plan(spec: ClipSpec, view: View) -> _Course:
    """Draw everything about a clip's course that does not need pixels."""
    rng = generator(spec.seed, spec.dataset, spec.subject, spec.clip, "course")
    lead, rise, fall, tail = (
        int(rng.integers(*span)) for span in ((1, 3), (6, 10), (7, 11), (1, 3))
    )
    onset, apex, offset = lead, lead + rise, lead + rise + fall
    times = np.arange(offset + tail + 1)
    action_units = _pick(rng, CLASS_ACTION_UNITS[spec.label])
    amplitude = rng.uniform(*AMPLITUDE)
    expression = _rise_and_fall(times, onset, apex, offset, rng.uniform(0.0, 0.3))
    pulls: dict[Muscle, NDArray[np.float64]] = {}
    _pull(rng, pulls, action_units, amplitude * expression)
    if rng.random() < MASKING_CHANCE:
        other = (spec.label + int(rng.integers(1, 3))) % len(EMOTIONS)
        start = rng.uniform(onset, apex)
        masking = _rise_and_fall(times, start, start + rise, offset + fall, 0.0)
        strength = amplitude * rng.uniform(*MASKING_STRENGTH)
        _pull(rng, pulls, _pick(rng, CLASS_ACTION_UNITS[other]), strength * masking)
    for unit, chance in DISTRACTORS.items():
        if rng.random() < chance:
            middle, length = rng.uniform(0, offset), rng.uniform(2, 5)
            pulse = np.exp(-0.5 * ((times - middle) / length) ** 2)
            _pull(rng, pulls, (unit,), rng.uniform(*DISTRACTOR_STRENGTH) * pulse)
    return _Course(
        onset=onset,
        apex=apex,
        offset=offset,
        action_units=action_units,
        muscles=tuple(pulls),
        pull=view.scale * np.stack(list(pulls.values()), axis=1).astype(np.float32),
        poses=_head_poses(rng, times, view),
    )


def _pick(rng: np.random.Generator, choices: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return choices[int(rng.integers(len(choices)))]


def _pull(
    rng: np.random.Generator,
    pulls: dict[Muscle, NDArray[np.float64]],
    units: tuple[str, ...],
    course: NDArray[np.float64],
) -> None:
    """Add a movement to ``pulls``: its strongest muscle follows ``course``, the others less."""
    muscles = [muscle for unit in units for muscle in muscles_of(unit)]
    strengths = rng.uniform(0.6, 1.0, size=len(muscles))
    for muscle, strength in zip(muscles, strengths / strengths.max(), strict=True):
        pulls[muscle] = pulls.get(muscle, 0.0) + strength * course


def _rise_and_fall(
    times: NDArray[np.int64], onset: float, apex: float, offset: float, residual: float
) -> NDArray[np.float64]:
    """0 until the onset, 1 at the apex, ``residual`` from the offset on; half cosines between."""
    rising = np.clip((times - onset) / (apex - onset), 0, 1)
    falling = np.clip((times - apex) / (offset - apex), 0, 1)
    return (1 - np.cos(np.pi * rising)) / 2 - (1 - residual) * (1 - np.cos(np.pi * falling)) / 2


def _head_poses(
    rng: np.random.Generator, times: NDArray[np.int64], view: View
) -> NDArray[np.float64]:
    """Slow drift of the head: [T, 2, 3] affine maps of picture pixels about the face's middle."""
    periods = rng.uniform(18, 60, size=(2, 4))
    starts = rng.uniform(0, 2 * np.pi, size=(2, 4))
    waves = np.sin(2 * np.pi * times[:, None, None] / periods + starts).sum(axis=1)
    right, down, turn, growth = (HEAD_DRIFT * rng.uniform(0.2, 1.0, size=4) * waves).T
    middle = np.array([view.width / 2, view.height / 2]) + view.shift
    cosine, sine = (1 + growth) * np.cos(turn), (1 + growth) * np.sin(turn)
    linear = np.moveaxis(np.array([[cosine, -sine], [sine, cosine]]), -1, 0)
    drift = view.scale * np.stack([right, down], axis=1) @ view.rotation().T
    shift = drift + middle - linear @ middle
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def _apply(pose: NDArray[np.float64], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """An affine map [2, 3] of points [..., 2]."""
    return (points @ pose[:, :2].T + pose[:, 2]).astype(np.float32)


def _inverse(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.linalg.inv(pose[:, :2])
    return np.concatenate([linear, -linear @ pose[:, 2:]], axis=1)


def _source(
    course: _Course, fields: NDArray[np.float32], pixels: NDArray[np.float32], time: int
) -> NDArray[np.float32]:
    """Which place of the neutral picture is seen at each pixel of a frame: undo muscles, then head.

    Motion is defined by this backward map, so that a frame is one resampling of the neutral face
    and the true motion follows from it without a second model.
    """
    displacement = np.tensordot(course.pull[time], fields, axes=1)
    return _apply(_inverse(course.poses[time]), pixels - displacement)


def _true_motion(
    course: _Course, fields: NDArray[np.float32], view: View, first: int, second: int
) -> NDArray[np.float32]:
    """Where each pixel of frame ``first`` is in frame ``second``, minus where it was: [H, W, 2].

    Solves target = pose(source) + displacement(target) by fixed-point iteration, which converges
    because the displacement's slope stays well below 1.
    """
    pixels = view.pixels()
    moved_by_head = _apply(course.poses[second], _source(course, fields, pixels, first))
    displacement = np.tensordot(course.pull[second], fields, axes=1)
    target = moved_by_head
    for _ in range(20):
        target = moved_by_head + cv2.remap(
            displacement, target, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return np.asarray(target - pixels, dtype=np.float32)


def _film(
    spec: ClipSpec,
    course: _Course,
    neutral: NDArray[np.float32],
    fields: NDArray[np.float32],
    view: View,
) -> NDArray[np.uint8]:
    """The frames uint8 [T, H, W]: the neutral face resampled, then light and sensor noise."""
    rng = generator(spec.seed, spec.dataset, spec.subject, spec.clip, "camera")
    camera = CAMERAS[spec.dataset]
    frame_count = len(course.poses)
    gains = 1 + camera.flicker / 128 * rng.standard_normal(frame_count)
    pixels = view.pixels()
    frames = np.empty((frame_count, view.height, view.width), dtype=np.uint8)
    for time, gain in enumerate(gains):
        source = _source(course, fields, pixels, time)
        seen = cv2.remap(neutral, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        noise = rng.standard_normal(seen.shape, dtype=np.float32)
        frames[time] = np.clip(np.rint(gain * seen + camera.noise * noise), 0, 255)
    return frames
