"""Spotting of movements in long videos: F1 over intervals, and the spot-then-recognize score.

A spotted interval is right if it overlaps a true one of the same video with an intersection over
union of at least .5 (frames counted, both ends included); every interval is matched at most once.
Counts are pooled over all videos, then F1 is computed once.

STRS (Liong, See and Chan, Signal Processing: Image Communication 110, 2023; the MEGC tasks) is F1
of spotting times F1 of recognition on the spotted true intervals; the latter is the harmonic mean
of precision and recall, each averaged over the classes of the ground truth.

The field's public script (read in November 2026) differs, and is wrong in this:
- it visits the subjects of the *predictions*, so the movements of a subject in whom nothing was
  spotted are not counted as missed;
- in each subject it visits the videos of the *ground truth*, so false alarms in videos without any
  movement are not counted;
- one spotted interval may match several true ones, each counted as right;
- where all true and told labels are one class, its confusion matrix has one cell, which it takes
  for no hit at all: perfect recognition ends in a division by zero;
- what it calls UAR is the mean precision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from common.errors import UserError

LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class Interval:
    """First and last frame of a movement, and its class where one is known or told."""

    onset: int
    offset: int
    label: int | None = None

    def __post_init__(self) -> None:
        if self.offset < self.onset:
            raise UserError(f"an interval ends at {self.offset}, before it begins ({self.onset}).")


@dataclass(frozen=True)
class SpottingFigures:
    """Pooled counts and what follows from them.

    Attributes:
        true, spotted, hits: intervals in the ground truth, in the output, and matched pairs.
        pairs: labels of the matched pairs, (true, told).
        classes: of the ground truth.
    """

    true: int
    spotted: int
    hits: int
    pairs: tuple[tuple[int | None, int | None], ...] = ()
    classes: tuple[int, ...] = ()

    @property
    def precision(self) -> float:
        """Share of the spotted intervals that are right; 0 where none is spotted."""
        return self.hits / self.spotted if self.spotted else 0.0

    @property
    def recall(self) -> float:
        """Share of the true intervals that are found; 0 where there is none."""
        return self.hits / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """2 hits / (true + spotted); 0 where there is neither."""
        both = self.true + self.spotted
        return 2 * self.hits / both if both else 0.0

    @property
    def recognition_f1(self) -> float:
        """Harmonic mean of class-averaged precision and recall on the matched pairs.

        A class of the ground truth that is never matched and never told counts as 0 in both.
        """
        ratios = [self._of_class(label) for label in self.classes]
        if not ratios:
            return 0.0
        precision, recall = np.mean(ratios, axis=0)
        return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0

    @property
    def strs(self) -> float:
        """The spot-then-recognize score."""
        return self.f1 * self.recognition_f1

    def _of_class(self, label: int) -> tuple[float, float]:
        right = sum(true == told == label for true, told in self.pairs)
        told_so = sum(told == label for _, told in self.pairs)
        are_so = sum(true == label for true, _ in self.pairs)
        return right / told_so if told_so else 0.0, right / are_so if are_so else 0.0


def overlap(first: Interval, second: Interval) -> float:
    """Intersection over union, in frames."""
    shared = min(first.offset, second.offset) - max(first.onset, second.onset) + 1
    lengths = first.offset - first.onset + second.offset - second.onset + 2
    return max(shared, 0) / (lengths - max(shared, 0))


def match_intervals(true: Sequence[Interval], spotted: Sequence[Interval]) -> list[tuple[int, int]]:
    """Pairs (place in ``true``, place in ``spotted``), as many as there can be, one-to-one."""
    overlaps = np.array([overlap(a, b) for a in true for b in spotted])
    overlaps = overlaps.reshape(len(true), len(spotted))
    # A pair is worth 1, so that their number decides; the overlap only breaks ties.
    worth = np.where(overlaps >= LEAST_OVERLAP, 1 + overlaps / (1 + len(true)), 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True) if worth[a, b]]


def spotting_figures(
    true: Mapping[str, Sequence[Interval]], spotted: Mapping[str, Sequence[Interval]]
) -> SpottingFigures:
    """Pool all videos: those without any movement, and those where nothing was spotted, too.

    Args:
        true: intervals by video; a video without movements has an empty list.
        spotted: intervals by video; a video that is absent had nothing spotted.

    Raises:
        UserError: a spotted video is not in ``true``.
    """
    unknown = sorted(set(spotted) - set(true))
    if unknown:
        raise UserError(
            f"no ground truth for video {unknown[0]}. Give an empty list if it has none."
        )
    pairs: list[tuple[int | None, int | None]] = []
    for video, intervals in true.items():
        found = spotted.get(video, ())
        pairs += [
            (intervals[a].label, found[b].label) for a, b in match_intervals(intervals, found)
        ]
    labels = {interval.label for intervals in true.values() for interval in intervals}
    return SpottingFigures(
        true=sum(map(len, true.values())),
        spotted=sum(map(len, spotted.values())),
        hits=len(pairs),
        pairs=tuple(pairs),
        classes=tuple(sorted(label for label in labels if label is not None)),
    )
