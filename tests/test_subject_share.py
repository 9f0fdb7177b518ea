"""Training on a share of the subjects: test clips stay, shares are nested, the run says so."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import main_train_for_parameter_tuning as grid_script
from common.errors import UserError
from datasets import loso_folds
from evaluation.predictions import read_predictions
from evaluation.run_record import read_record
from tests.helpers.scripts import run_here
from training.subject_share import with_subject_share

SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    """Two datasets of 17 and 9 subjects with one to four clips each."""
    rows = [
        (dataset, f"s{subject:02d}")
        for dataset, subjects in (("casme2", 17), ("smic", 9))
        for subject in range(subjects)
        for _ in range(1 + subject % 4)
    ]
    return pd.DataFrame(rows, columns=["dataset", "subject"])


@pytest.mark.parametrize("protocol", ["composite", "single_dataset", "leave_one_dataset_out"])
def test_shares_are_nested_and_leave_the_test_clips(clips: pd.DataFrame, protocol: str) -> None:
    for fold in loso_folds(clips, protocol):  # type: ignore[arg-type]
        folds = [with_subject_share(fold, clips, share, 7) for share in SHARES]
        assert all(np.array_equal(own.test_indices, fold.test_indices) for own in folds)
        assert np.array_equal(folds[-1].train_indices, fold.train_indices)
        trained = [set(own.train_indices) for own in folds]
        assert all(low < high for low, high in pairwise(trained))


def test_each_dataset_gives_its_share_of_whole_subjects(clips: pd.DataFrame) -> None:
    fold = loso_folds(clips)[0]
    own = with_subject_share(fold, clips, 0.25, 7)
    kept = clips.iloc[own.train_indices].groupby("dataset")["subject"].nunique()
    assert kept.to_dict() == {"casme2": 4, "smic": 2}
    names = clips["dataset"] + clips["subject"]
    assert not set(names.iloc[own.train_indices]) & set(names.drop(own.train_indices))
    tiny = with_subject_share(fold, clips, 0.001, 7)
    assert clips.iloc[tiny.train_indices].groupby("dataset")["subject"].nunique().tolist() == [1, 1]


def test_folds_and_seeds_draw_their_own_subjects(clips: pd.DataFrame) -> None:
    first, second = loso_folds(clips)[:2]
    drawn = [
        set(clips["subject"].iloc[with_subject_share(fold, clips, 0.5, seed).train_indices])
        for fold, seed in ((first, 7), (second, 7), (first, 8), (first, 7))
    ]
    assert drawn[0] == drawn[3] and drawn[0] != drawn[1] and drawn[0] != drawn[2]


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(clips: pd.DataFrame, share: float) -> None:
    with pytest.raises(UserError, match="subject_share"):
        with_subject_share(loso_folds(clips)[0], clips, share, 7)


def test_a_run_records_it_and_another_share_is_another_run(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--inputs", tiny_folder, "--method", "linear", "--results", tmp_path / "run")
    assert run_here(monkeypatch, grid_script.main, *flags, "--subject-share", 0.5) == 0
    record = read_record(tmp_path / "run")
    assert record is not None and record["subject_share"] == 0.5
    assert len(read_predictions(tmp_path / "run/linear/predictions.csv")) == 15
    assert "50.0% of the training subjects" in (tmp_path / "run/expected_clips.csv").read_text()
    assert run_here(monkeypatch, grid_script.main, *flags) == 2
