"""Spotting figures against values counted by hand."""

import pytest

from common.errors import UserError
from evaluation.spotting import Interval, match_intervals, overlap, spotting_figures


def test_overlap_counts_frames_with_both_ends() -> None:
    assert overlap(Interval(10, 19), Interval(15, 24)) == pytest.approx(5 / 15)
    assert overlap(Interval(10, 19), Interval(10, 14)) == 0.5
    assert overlap(Interval(10, 19), Interval(20, 30)) == 0
    with pytest.raises(UserError, match="before it begins"):
        Interval(5, 4)


def test_an_interval_is_matched_at_most_once() -> None:
    long = Interval(0, 29)
    halves = [Interval(0, 14), Interval(15, 29)]
    assert len(match_intervals(halves, [long])) == 1
    assert len(match_intervals([long], halves)) == 1
    assert match_intervals([], [long]) == []


def test_as_many_pairs_as_there_can_be() -> None:
    # The best overlap (first with first) would leave the second true interval alone.
    true = [Interval(0, 9), Interval(3, 12)]
    spotted = [Interval(1, 10), Interval(0, 5)]
    assert sorted(match_intervals(true, spotted)) == [(0, 1), (1, 0)]


def test_missed_subjects_and_empty_videos_count() -> None:
    true = {"a": [Interval(0, 9), Interval(50, 59)], "b": [Interval(0, 9)], "empty": []}
    spotted = {"a": [Interval(1, 10), Interval(30, 39)], "empty": [Interval(5, 8)]}
    figures = spotting_figures(true, spotted)
    assert (figures.true, figures.spotted, figures.hits) == (3, 3, 1)
    assert figures.precision == figures.recall == figures.f1 == pytest.approx(1 / 3)
    with pytest.raises(UserError, match="no ground truth for video c"):
        spotting_figures(true, {"c": []})


def test_strs_by_hand() -> None:
    places = [Interval(20 * n, 20 * n + 9) for n in range(5)]
    labels = [0, 0, 1, 1, 2]
    told = [0, 1, 1, 0]
    true = {"v": [Interval(p.onset, p.offset, k) for p, k in zip(places, labels, strict=True)]}
    spotted = {"v": [Interval(p.onset, p.offset, k) for p, k in zip(places[:4], told, strict=True)]}
    figures = spotting_figures(true, spotted)
    assert figures.f1 == pytest.approx(8 / 9)
    # Classes 0 and 1: precision and recall 1/2 each; class 2 was not found: 0 and 0.
    assert figures.recognition_f1 == pytest.approx(1 / 3)
    assert figures.strs == pytest.approx(8 / 27)


def test_perfect_recognition_of_one_class_is_perfect() -> None:
    video = {"v": [Interval(0, 9, 1), Interval(20, 29, 1)]}
    assert spotting_figures(video, video).strs == 1


def test_nothing_at_all_is_zero_not_an_error() -> None:
    figures = spotting_figures({"v": []}, {})
    assert (figures.f1, figures.recognition_f1, figures.strs) == (0, 0, 0)
