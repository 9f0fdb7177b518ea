"""How a synthetic clip moves: its action units, other movements, and the head's drift.

A face unit is a pixel of a registered face of 128 x 128 pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.faces import generator
from datasets.synthetic.muscles import Muscle, muscles_of
from datasets.synthetic.specs import CLASS_COUNT, ClipSpec

# The action units that define each emotion; a clip shows one of the combinations.
ACTION_UNITS = (
    (("4",), ("24",), ("4", "24"), ("4", "7"), ("4", "15")),
    (("12",), ("6", "12"), ("L12",), ("R12",), ("6", "12")),
    (("1", "2"), ("26",), ("1", "2", "26"), ("1", "2", "5"), ("5", "26")),
    (("17",), ("L10",), ("14",)),
)
# Movements that say nothing about the class, and how likely a clip shows each.
DISTRACTORS = {"45": 0.3, "gaze": 0.4, "17": 0.2, "L14": 0.15, "R14": 0.15, "9": 0.12, "L10": 0.12}
# Amplitude of the class's strongest muscle at the apex, in face units (pixels at 128 x 128).
AMPLITUDE = (1.0, 3.0)
# Most clips also show a movement of another class, relative to that amplitude: it begins later
# and still rises when the movement of the class falls. These numbers and those of the distractors
# are chosen so that a linear classifier tells the classes fairly but not perfectly.
MASKING_CHANCE, MASKING_STRENGTH = 0.85, (0.7, 1.5)
DISTRACTOR_STRENGTH = (0.5, 2.5)
# Peaks of the head's drift: right and down in face units, turn in radians, relative growth.
HEAD_DRIFT = np.array([0.9, 0.9, np.deg2rad(0.5), 0.005])


@dataclass(frozen=True)
class Course:
    """How a clip moves, in face units.

    Attributes:
        onset, apex, offset: indices of frames.
        action_units: those that define the class.
        muscles: everything that moves, [M].
        pull: how far each muscle pulls in each frame, [T, M].
        drift: the head's shift right and down, turn in radians and relative growth, [T, 4].
    """

    onset: int
    apex: int
    offset: int
    action_units: tuple[str, ...]
    muscles: tuple[Muscle, ...]
    pull: NDArray[np.float32]
    drift: NDArray[np.float64]

    @property
    def frame_count(self) -> int:
        """Frames of the clip, including those before the onset and after the offset."""
        return len(self.drift)


def plan_course(spec: ClipSpec) -> Course:
    """Draw everything about a clip that does not need pixels."""
    rng = generator(spec.seed, spec.dataset, spec.subject, spec.clip, "course")
    spans = ((1, 3), (6, 10), (7, 11), (1, 3))
    lead, rise, fall, tail = (int(rng.integers(*span)) for span in spans)
    onset, apex, offset = lead, lead + rise, lead + rise + fall
    times = np.arange(offset + tail + 1)
    action_units = _pick(rng, ACTION_UNITS[spec.label])
    amplitude = rng.uniform(*AMPLITUDE)
    expression = _rise_and_fall(times, onset, apex, offset, rng.uniform(0.0, 0.3))
    pulls: dict[Muscle, NDArray[np.float64]] = {}
    _pull(rng, pulls, action_units, amplitude * expression)
    if rng.random() < MASKING_CHANCE:
        other = (spec.label + int(rng.integers(1, 3))) % CLASS_COUNT
        start = rng.uniform(onset, apex)
        masking = _rise_and_fall(times, start, start + rise, offset + fall, 0.0)
        strength = amplitude * rng.uniform(*MASKING_STRENGTH)
        _pull(rng, pulls, _pick(rng, ACTION_UNITS[other]), strength * masking)
    for unit, chance in DISTRACTORS.items():
        if rng.random() < chance:
            middle, length = rng.uniform(0, offset), rng.uniform(2, 5)
            pulse = np.exp(-0.5 * ((times - middle) / length) ** 2)
            _pull(rng, pulls, (unit,), rng.uniform(*DISTRACTOR_STRENGTH) * pulse)
    return Course(
        onset=onset,
        apex=apex,
        offset=offset,
        action_units=action_units,
        muscles=tuple(pulls),
        pull=np.stack(list(pulls.values()), axis=1).astype(np.float32),
        drift=_head_drift(rng, times),
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


def _head_drift(rng: np.random.Generator, times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Slow waves of the head's shift, turn and growth, [T, 4]."""
    periods = rng.uniform(18, 60, size=(2, 4))
    starts = rng.uniform(0, 2 * np.pi, size=(2, 4))
    waves = np.sin(2 * np.pi * times[:, None, None] / periods + starts).sum(axis=1)
    return HEAD_DRIFT * rng.uniform(0.2, 1.0, size=4) * waves
