"""Leave-one-subject-out folds: disjoint, complete, and by (dataset, subject)."""

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from datasets import loso_folds

CLIPS = pd.DataFrame(
    [
        ("smic", "s01"),
        ("casme2", "01"),
        ("samm", "01"),
        ("casme2", "02"),
        ("casme2", "01"),
        ("samm", "03"),
        ("smic", "s02"),
    ],
    columns=["dataset", "subject"],
)


def test_one_fold_for_each_subject_of_each_dataset() -> None:
    folds = loso_folds(CLIPS)
    assert [(fold.dataset, fold.subject) for fold in folds] == [
        ("casme2", "01"),
        ("casme2", "02"),
        ("samm", "01"),
        ("samm", "03"),
        ("smic", "s01"),
        ("smic", "s02"),
    ]
    assert [fold.name for fold in folds] == ["casme2_01", "02", "samm_01", "03", "s01", "s02"]
    assert folds[0].test_indices.tolist() == [1, 4]
    assert folds[0].train_indices.tolist() == [0, 2, 3, 5, 6]


def test_single_dataset_trains_on_that_dataset_alone() -> None:
    folds = loso_folds(CLIPS, protocol="single_dataset")
    assert [fold.train_indices.tolist() for fold in folds] == [[3], [1, 4], [5], [2], [6], [0]]
    assert [fold.test_indices.tolist() for fold in folds] == [[1, 4], [3], [2], [5], [0], [6]]


def test_leave_one_dataset_out_tests_on_whole_datasets() -> None:
    folds = loso_folds(CLIPS, protocol="leave_one_dataset_out")
    assert [(fold.name, fold.dataset, fold.subject) for fold in folds] == [
        ("casme2", "casme2", ""),
        ("samm", "samm", ""),
        ("smic", "smic", ""),
    ]
    assert folds[1].test_indices.tolist() == [2, 5]
    assert folds[1].train_indices.tolist() == [0, 1, 3, 4, 6]


@pytest.mark.parametrize("protocol", ["composite", "single_dataset", "leave_one_dataset_out"])
def test_folds_are_disjoint_and_test_every_clip_once(protocol: str) -> None:
    names = np.random.default_rng(1).integers(0, 5, (60, 2))
    clips = pd.DataFrame(names, columns=["dataset", "subject"]).astype(str)
    folds = loso_folds(clips, protocol)  # type: ignore[arg-type]
    tested = np.concatenate([fold.test_indices for fold in folds])
    assert sorted(tested) == list(range(60))
    assert not any(set(fold.train_indices) & set(fold.test_indices) for fold in folds)
    assert len({fold.name for fold in folds}) == len(folds)


@pytest.mark.parametrize(
    ("rows", "protocol"),
    [
        ([], "composite"),
        ([("samm", "01"), ("samm", "01")], "composite"),
        ([("samm", "01"), ("smic", "01"), ("smic", "02")], "single_dataset"),
        ([("samm", "01"), ("samm", "02")], "leave_one_dataset_out"),
    ],
)
def test_nobody_left_to_train_on_is_refused(rows: list[tuple[str, str]], protocol: str) -> None:
    clips = pd.DataFrame(rows, columns=["dataset", "subject"])
    with pytest.raises(UserError, match="at least two"):
        loso_folds(clips, protocol)  # type: ignore[arg-type]


def test_subjects_that_differ_in_case_only_are_refused() -> None:
    clips = pd.DataFrame([("samm", "a1"), ("smic", "A1")], columns=["dataset", "subject"])
    with pytest.raises(UserError, match="a1, A1"):
        loso_folds(clips)


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="single_dataset"):
        loso_folds(CLIPS, "loso")  # type: ignore[arg-type]
