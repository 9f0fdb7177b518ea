"""Movements of the face in a video without annotation, by their motion alone: nothing is trained.

A region's displacement from its rest (a running median) is the signal; where the strongest region
stands out, there is a movement, from onset over apex to offset. The pattern of the regions tells
blinks, gaze and turns of the head apart from movements that may be expressions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import find_peaks, peak_widths

from common.errors import UserError, name_list
from datasets.video.motion import EYES, REGIONS, Motion

Kind = Literal["micro", "long", "blink", "gaze", "head"]
EXPRESSIONS: tuple[Kind, ...] = ("micro", "long")
MICRO_SECONDS = 0.5
SMOOTHING_SECONDS = 0.035
# The rest is the median of this stretch; a run that is shorter begins at rest.
REST_SECONDS, FIRST_SECONDS = 6.0, 0.3
# A movement is this long in pixels of a 128-pixel face, and so many times the calm tenths' unrest;
# what is longer is one in any case, for in a short video there may be no calm.
LEAST_PIXELS, LEAST_RATIO, MOST_LEAST_PIXELS = 0.35, 3.0, 1.0
CALM_PERCENTILE = 20
# A second movement is one if the signal falls by this share of its height before it.
LEAST_FALL = 0.5
# Onset and offset are where the signal has fallen by this share of the way.
EDGE = 0.85
SHORTEST_SECONDS, SHORTEST_RUN = 0.08, 5
# Eyes that move so many times as far as all else: gaze, or a blink, which takes the brows along.
GAZE_RATIO, BLINK_RATIO = 1.3, 0.85
LONGEST_BLINK_SECONDS = 0.6
# A face that moves less than this many times what the turning nose does: a turn of the head.
HEAD_RATIO = 1.2

_NAMES = list(REGIONS)
_IS_EYE = np.array([name in EYES for name in _NAMES])

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Spotted:
    """One movement.

    Attributes:
        kind: micro and long may be expressions; blink, gaze and head are told apart from them.
        onset, apex, offset: frame numbers.
        seconds: of the three.
        pixels: how far the strongest region is from its rest at the apex, of a 128-pixel face.
        region: which region that is.
        quality: 0..1, see ``_quality``.
        given: whether the key frames were given, not spotted.
    """

    kind: Kind
    onset: int
    apex: int
    offset: int
    seconds: tuple[float, float, float]
    pixels: float
    region: str
    quality: float
    given: bool = False


@dataclass(frozen=True)
class MotionCurve:
    """What is drawn over time: how far the strongest region is from its rest, in pixels.

    Attributes:
        seconds, pixels: [T].
        threshold: below it nothing is a movement.
    """

    seconds: NDArray[np.float64]
    pixels: NDArray[np.float64]
    threshold: float


def spot_movements(motion: Motion) -> tuple[list[Spotted], MotionCurve]:
    """All movements of a video in order of time, and the curve that they were found on."""
    numbers, lengths = np.unique(motion.runs, return_counts=True)
    runs = [_Run.of(motion, run) for run in numbers[lengths >= SHORTEST_RUN]]
    curves = [run.curve for run in runs]
    everything = np.concatenate(curves) if curves else np.zeros(0)
    unrest = float(np.percentile(everything, CALM_PERCENTILE)) if len(everything) else 0.0
    threshold = min(max(LEAST_PIXELS, LEAST_RATIO * unrest), MOST_LEAST_PIXELS)
    found = [spotted for run in runs for spotted in run.spot(threshold)]
    seconds = np.concatenate([run.times for run in runs]) if runs else np.zeros(0)
    return found, MotionCurve(seconds, everything, threshold)


def given_movement(motion: Motion, numbers: tuple[int, int, int]) -> Spotted:
    """The movement of given key frames, described as a spotted one is.

    Args:
        motion: of the video.
        numbers: of the frames onset, apex, offset.

    Raises:
        UserError: they are not in order, or no face was found at one of them.
    """
    if not numbers[0] < numbers[1] < numbers[2]:
        raise UserError(f"key frames {name_list(numbers)}: give onset < apex < offset.")
    at = [int(np.abs(motion.numbers - number).argmin()) for number in numbers]
    step = np.median(np.diff(motion.numbers)) if len(motion.numbers) > 1 else 1
    for place, number in zip(at, numbers, strict=True):
        if abs(motion.numbers[place] - number) >= step:
            raise UserError(f"no face is found at frame {number}. Give key frames with a face.")
    away = motion.places[at[1]] - motion.places[at[0]]
    turn = _turn_of_head(motion.turns[at[0] : at[2] + 1])
    described = _describe(motion, at, away, turn, LEAST_PIXELS)
    onset, apex, offset = numbers
    return replace(described, onset=onset, apex=apex, offset=offset, given=True)


def _describe(
    motion: Motion, at: Sequence[int], away: NDArray[np.floating], turn: float, threshold: float
) -> Spotted:
    """The movement between three places of ``motion``.

    Args:
        motion: of the video.
        at: places of onset, apex, offset.
        away: of the regions from their rest at the apex, [R, 2].
        turn: how far the head turns meanwhile, in pixels.
        threshold: of the motion curve.
    """
    lengths = np.linalg.norm(away, axis=1)
    onset, apex, offset = (int(number) for number in motion.numbers[list(at)])
    start, middle, end = (float(second) for second in motion.seconds[list(at)])
    pixels = float(lengths.max())
    return Spotted(
        kind=_kind(away, end - start, turn),
        onset=onset,
        apex=apex,
        offset=offset,
        seconds=(start, middle, end),
        pixels=pixels,
        region=_NAMES[int(lengths.argmax())],
        quality=_quality(pixels, turn, at[2] - at[0], threshold),
    )


def _kind(away: NDArray[np.floating], length: float, turn: float) -> Kind:
    """By the pattern of the regions at the apex, [R, 2]."""
    lengths = np.linalg.norm(away, axis=1)
    eyes, others = lengths[_IS_EYE].mean(), lengths[~_IS_EYE].max()
    right, down = away[_IS_EYE].mean(axis=0)
    if lengths.max() < HEAD_RATIO * turn:
        return "head"
    if eyes > GAZE_RATIO * others and abs(right) > abs(down):
        return "gaze"
    if eyes > BLINK_RATIO * others and down > abs(right):
        return "blink" if length <= LONGEST_BLINK_SECONDS else "gaze"
    return "micro" if length < MICRO_SECONDS else "long"


def _quality(pixels: float, turn: float, frames: int, threshold: float) -> float:
    """The product of three shares, 0..1: of clearness, of the head's stillness, and of frames.

    Clearness is 1 from three thresholds on; stillness is the face's motion over its and the head's
    together; ten frames from onset to offset are enough.
    """
    clear = min(1.0, pixels / (3 * threshold))
    return round(clear * pixels / max(pixels + turn, 1e-6) * min(1.0, frames / 10), 2)


def _turn_of_head(path: NDArray[np.floating]) -> float:
    """How far the head leaves the straight way from where it begins to where it ends."""
    straight = path[0] + np.linspace(0, 1, len(path))[:, None] * (path[-1] - path[0])
    return float(np.linalg.norm(path - straight, axis=1).max())


@dataclass(frozen=True)
class _Run:
    """Frames that hang together, at even times.

    Attributes:
        motion: of the whole video.
        frames: places in it.
        times: even times, [T].
        away: of the regions from their rest, [T, R, 2].
        turns: of the head, [T, 2].
        curve: length of the strongest region's ``away``, [T].
    """

    motion: Motion
    frames: NDArray[np.int64]
    times: Series
    away: Series
    turns: Series
    curve: Series

    @classmethod
    def of(cls, motion: Motion, run: int) -> "_Run":
        frames = np.flatnonzero(motion.runs == run)
        seconds = motion.seconds[frames]
        step = float(np.median(np.diff(seconds)))
        times = np.arange(seconds[0], seconds[-1] + step / 2, step)
        flat = np.hstack([motion.places[frames].reshape(len(frames), -1), motion.turns[frames]])
        even = np.stack([np.interp(times, seconds, column) for column in flat.T], axis=1)
        smooth = gaussian_filter1d(even, SMOOTHING_SECONDS / step, axis=0, mode="nearest")
        places, turns = smooth[:, :-2], smooth[:, -2:]
        away = (places - _rest(places, step)).reshape(len(times), len(_NAMES), 2)
        curve = np.linalg.norm(away, axis=2).max(axis=1)
        return cls(motion, frames, times, away, turns, curve)

    def spot(self, threshold: float) -> list[Spotted]:
        # A zero before and after: a movement that the run begins or ends with has edges too.
        padded = np.pad(self.curve, 1)
        peaks, facts = find_peaks(padded, height=threshold, prominence=0)
        peaks = peaks[facts["prominences"] >= LEAST_FALL * facts["peak_heights"]]
        _, _, left, right = peak_widths(padded, peaks, rel_height=EDGE)
        places = np.arange(len(self.times))
        found: list[Spotted] = []
        for peak, first, last in zip(peaks - 1, left - 1, right - 1, strict=True):
            times = np.interp([first, peak, last], places, self.times)
            if times[2] - times[0] >= SHORTEST_SECONDS:
                turn = _turn_of_head(self.turns[max(round(first), 0) : round(last) + 1])
                at = [self._frame(time) for time in times]
                found.append(_describe(self.motion, at, self.away[peak], turn, threshold))
        return found

    def _frame(self, seconds: float) -> int:
        """The place of the frame nearest to a time."""
        own = self.motion.seconds[self.frames]
        return int(self.frames[int(np.abs(own - seconds).argmin())])


def _rest(smooth: Series, step: float) -> Series:
    """Where each signal is at rest, [T, signals]."""
    if len(smooth) * step < REST_SECONDS:
        return np.median(smooth[: max(1, round(FIRST_SECONDS / step))], axis=0)
    return np.asarray(median_filter(smooth, (round(REST_SECONDS / step) | 1, 1), mode="nearest"))
