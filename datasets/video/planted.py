"""Videos with planted movements, so that the truth is known: drawn faces, or real frames warped.

Movements, blinks, gaze and head turns follow each other with rests between them; a video without
expressions has only the last three. Nothing here is a recording of an expression: figures measured
on these videos are called planted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from common.class_names import CLASS_NAMES
from common.files import write_text
from datasets.frames.registration import canonical_points
from datasets.synthetic.courses import ACTION_UNITS, AMPLITUDE
from datasets.synthetic.faces import (
    FACE_SIZE,
    MIDDLE_X,
    Face,
    View,
    draw_face_of,
    draw_neutral,
    generator,
)
from datasets.synthetic.muscles import Muscle, muscle_field, muscles_of
from datasets.video.decode import write_video

Kind = Literal["micro", "long", "blink", "gaze", "head"]
EXPRESSIONS: tuple[Kind, ...] = ("micro", "long")
# Seconds from onset to offset; the apex lies in the middle third.
DURATIONS: dict[Kind, tuple[float, float]] = {
    "micro": (0.2, 0.48),
    "long": (0.7, 2.5),
    "blink": (0.15, 0.35),
    "gaze": (0.4, 1.5),
    "head": (0.8, 2.0),
}
# Peaks in face units; of a head's turn in degrees.
AMPLITUDES: dict[Kind, tuple[float, float]] = {
    "micro": AMPLITUDE,
    "long": AMPLITUDE,
    "blink": (2.5, 4.0),
    "gaze": (1.5, 3.0),
    "head": (3.0, 8.0),
}
REST = (0.6, 2.0)
CAMERA_NOISE, FLICKER = 2.0, 0.006
# The head is never quite still: face units right and down, turn in radians, relative growth.
SWAY = np.array([0.5, 0.5, 0.004, 0.003])
MOST_DEPTH = 46.0

Grid = NDArray[np.float32]


@dataclass(frozen=True)
class PlantedEvent:
    """One planted movement.

    Attributes:
        kind: micro (< 0.5 s) and long are expressions.
        units: action units that move, "45" for a blink, "gaze"; "turn" or "nod" of the head.
        label: class of an expression, 0 negative, 1 positive, 2 surprise; -1 of the others.
        onset, apex, offset: seconds.
        amplitude: of its strongest muscle in face units (pixels of a 128 x 128 face); of the head
            in degrees to the picture's right or down.
        strengths: of the muscles of ``units``, the largest 1; none of the head.
    """

    kind: Kind
    units: tuple[str, ...]
    label: int
    onset: float
    apex: float
    offset: float
    amplitude: float
    strengths: tuple[float, ...]

    def pull(self, seconds: float) -> float:
        """0 until the onset, 1 at the apex, 0 from the offset on; half cosines between."""
        rising = np.clip((seconds - self.onset) / (self.apex - self.onset), 0, 1)
        falling = np.clip((self.offset - seconds) / (self.offset - self.apex), 0, 1)
        return float(0.5 - 0.5 * np.cos(np.pi * min(rising, falling)))

    @property
    def muscles(self) -> list[Muscle]:
        """The muscles that ``strengths`` belong to."""
        if self.kind == "head":
            return []
        return [muscle for unit in self.units for muscle in muscles_of(unit)]


DEMO_SECONDS, DEMO_RATE = 9.0, 30.0
DEMO_EVENTS = (
    PlantedEvent("micro", ("1", "2"), 2, 1.5, 1.7, 1.9, 2.5, (1, 1, 1, 1)),
    PlantedEvent("blink", ("45",), -1, 3.0, 3.12, 3.25, 3.5, (1, 1)),
    PlantedEvent("long", ("6", "12"), 1, 4.2, 4.8, 5.4, 3.0, (0.7, 0.7, 1, 1)),
    PlantedEvent("micro", ("4", "7"), 0, 6.8, 7.0, 7.2, 2.5, (1, 1, 0.7, 0.7)),
)
"""What ``make demo-video`` shows: three movements and a blink."""


def write_demo_video(path: Path, seed: int) -> None:
    """Write the demonstration's MP4, and what is planted in it as a CSV of the same name."""
    frames = draw_planted(DEMO_EVENTS, DEMO_SECONDS, DEMO_RATE, seed, "demo")
    write_video(path, frames, synthetic=True)
    write_text(path.with_suffix(".csv"), truth_csv(DEMO_EVENTS))


def truth_csv(events: Sequence[PlantedEvent]) -> str:
    """What was planted: kind, units, class (empty where it has none), seconds of the key frames."""
    lines = ["kind,units,label,onset,apex,offset"]
    for event in events:
        label = CLASS_NAMES[event.label] if event.label >= 0 else ""
        times = ",".join(f"{at:.3f}" for at in (event.onset, event.apex, event.offset))
        lines.append(f"{event.kind},{'+'.join(event.units)},{label},{times}")
    return "\n".join([*lines, ""])


def plan_events(seconds: float, expressions: bool, seed: int, name: str) -> list[PlantedEvent]:
    """Draw what happens in a video, in order of time, without overlap.

    Args:
        seconds: length of the video.
        expressions: whether micro and long movements occur; blinks, gaze and head turns always do.
        seed, name: the draws depend on these alone.
    """
    rng = generator(seed, "planted", name, "events")
    kinds: tuple[Kind, ...] = ("blink", "gaze", "blink", "head")
    if expressions:
        kinds = ("micro", "blink", "long", "micro", "gaze", "long", "blink", "head")
    events: list[PlantedEvent] = []
    start = 0.5 + rng.uniform(*REST)
    while True:
        order = rng.permutation(len(kinds))
        for kind in (kinds[place] for place in order):
            event = _draw_event(rng, kind, start)
            if event.offset > seconds - 0.5:
                return events
            events.append(event)
            start = event.offset + rng.uniform(*REST)


def _draw_event(rng: np.random.Generator, kind: Kind, onset: float) -> PlantedEvent:
    label = -1
    units: tuple[str, ...] = {"blink": ("45",), "gaze": ("gaze",)}.get(kind, ())
    if kind in EXPRESSIONS:
        label = int(rng.integers(3))
        units = ACTION_UNITS[label][int(rng.integers(len(ACTION_UNITS[label])))]
    if kind == "head":
        units = ("turn", "nod")[int(rng.integers(2)) :][:1]
    length = rng.uniform(*DURATIONS[kind])
    sign = float(rng.choice([-1, 1])) if kind in ("gaze", "head") else 1.0
    muscles = 0 if kind == "head" else sum(len(muscles_of(unit)) for unit in units)
    strengths = rng.uniform(0.6, 1.0, size=muscles)
    return PlantedEvent(
        kind=kind,
        units=units,
        label=label,
        onset=onset,
        apex=onset + length * rng.uniform(0.35, 0.6),
        offset=onset + length,
        amplitude=sign * rng.uniform(*AMPLITUDES[kind]),
        strengths=tuple(strengths / strengths.max(initial=0.6)),
    )


def draw_planted(
    events: Sequence[PlantedEvent],
    seconds: float,
    rate: float,
    seed: int,
    name: str,
    view: View | None = None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """A drawn face that moves as planned, before a camera: times and frames, uint8 [H, W].

    Args:
        events: from ``plan_events``.
        seconds, rate: length, and frames a second.
        seed, name: face, camera and, without ``view``, the face's place depend on these alone.
        view: the picture and the face's place in it; by default drawn, of 640 x 360 pixels.
    """
    view = view or _draw_view(generator(seed, "planted", name, "view"))
    face = draw_face_of(seed, "planted", name)
    rng = generator(seed, "planted", name, "camera")
    poses = _sway(rng, np.arange(round(seconds * rate)) / rate)
    still = cycle([draw_neutral(face, view)])
    for at, seen in _move(still, face, view, events, rate, poses):
        noise = rng.standard_normal(seen.shape, dtype=np.float32)
        gain = 1 + FLICKER * rng.standard_normal()
        yield at, np.clip(np.rint(gain * seen + CAMERA_NOISE * noise), 0, 255).astype(np.uint8)


def _draw_view(rng: np.random.Generator) -> View:
    right, down = rng.uniform((-80, -20), (80, 20))
    return View(640, 360, rng.uniform(1.0, 1.8), rng.uniform(-8, 8), (float(right), float(down)))


def plant_in_frames(
    frames: Sequence[NDArray[np.uint8]],
    transform: NDArray[np.float64],
    events: Sequence[PlantedEvent],
    seconds: float,
    rate: float,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Real frames, played to and fro, with planted movements warped into them.

    Args:
        frames: of one calm face, grey uint8 [H, W].
        transform: from their pixels to the registered 128 x 128 face (``find_face``).
        events: what to plant.
        seconds, rate: of the video.
    """
    height, width = frames[0].shape
    face, view = fit_view(transform, width, height)
    to_and_fro = cycle([*frames, *frames[-2:0:-1]])
    floats = (frame.astype(np.float32) for frame in to_and_fro)
    poses = np.zeros((round(seconds * rate), 4))
    for at, seen in _move(floats, face, view, events, rate, poses):
        yield at, np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def fit_view(transform: NDArray[np.float64], width: int, height: int) -> tuple[Face, View]:
    """The drawn proportions and the view that put the muscles on a registered real face."""
    left, right, nose, mouth_left, mouth_right = canonical_points(FACE_SIZE)
    middle = (left[0] + right[0]) / 2
    back = np.linalg.inv(transform[:, :2])
    scale = float(np.sqrt(np.linalg.det(back)))
    at = back @ (np.array([middle, FACE_SIZE / 2]) - transform[:, 2])
    shift = at - np.array([width / 2, height / 2])
    angle = float(np.rad2deg(np.arctan2(back[1, 0], back[0, 0])))
    face = replace(
        draw_face_of(1, "planted", "real"),
        eye_y=(left[1] + right[1]) / 2,
        eye_distance=right[0] - left[0],
        brow_lift=15.0,
        nose_y=nose[1] + 3,
        mouth_y=(mouth_left[1] + mouth_right[1]) / 2,
        mouth_width=(mouth_right[0] - mouth_left[0]) / 2,
        chin_y=130.0,
    )
    return face, View(width, height, scale, angle, (float(shift[0]), float(shift[1])))


def _move(
    pictures: Iterable[Grid],
    face: Face,
    view: View,
    events: Sequence[PlantedEvent],
    rate: float,
    poses: NDArray[np.float64],
) -> Iterator[tuple[float, Grid]]:
    """Each picture moved by the head's pose and by the events of its time, float32 [H, W]."""
    fields = {m: muscle_field(face, view, m) for event in events for m in event.muscles}
    pixels, depth = view.pixels(), _depth(view)
    middle = np.array([view.width / 2, view.height / 2]) + view.shift
    for number, (picture, pose) in enumerate(zip(pictures, poses, strict=False)):
        seconds = number / rate
        moved = np.zeros_like(pixels)
        for event in (event for event in events if event.onset < seconds < event.offset):
            reach = event.amplitude * event.pull(seconds)
            if event.kind == "head":
                axis = view.rotation()[:, int(event.units == ("nod",))]
                moved += (view.scale * np.sin(np.deg2rad(reach)) * depth) * axis
            for muscle, strength in zip(event.muscles, event.strengths, strict=True):
                moved += view.scale * reach * strength * fields[muscle]
        source = _undo_pose((pixels - moved).astype(np.float32), pose, middle, view.scale)
        yield (
            seconds,
            cv2.remap(picture, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT),
        )


def _depth(view: View) -> Grid:
    """How far every pixel stands out from the head's axis, in face units, float32 [H, W, 1].

    A point moves by this times the sine of a turn. The skull is an ellipsoid, the nose a hill.
    """
    grid = view.face_coordinates()
    x, y = grid[..., 0] - MIDDLE_X, grid[..., 1]
    skull = 1 - (x / 54) ** 2 - ((y - 62) / 80) ** 2
    depth = MOST_DEPTH * np.sqrt(np.clip(skull, 0, None))
    depth += 12 * np.exp(-0.5 * ((x / 5) ** 2 + ((y - 72) / 10) ** 2))
    soft = cv2.GaussianBlur(depth, (0, 0), 3 * view.scale)
    return np.asarray(soft[..., None], dtype=np.float32)


def _undo_pose(
    points: Grid, pose: NDArray[np.float64], middle: NDArray[np.float64], scale: float
) -> Grid:
    right, down, turn, growth = pose
    cosine, sine = np.cos(turn), np.sin(turn)
    inverse = np.array([[cosine, sine], [-sine, cosine]]) / (1 + growth)
    shifted = points - (middle + scale * np.array([right, down])).astype(np.float32)
    return (shifted @ inverse.T.astype(np.float32) + middle.astype(np.float32)).astype(np.float32)


def _sway(rng: np.random.Generator, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slow waves of the head's shift, turn and growth, [T, 4]."""
    periods = rng.uniform(1.5, 8, size=(3, 4))
    starts = rng.uniform(0, 2 * np.pi, size=(3, 4))
    waves = np.sin(2 * np.pi * times[:, None, None] / periods + starts).sum(axis=1)
    return np.asarray(SWAY * rng.uniform(0.3, 1.0, size=4) * waves)
