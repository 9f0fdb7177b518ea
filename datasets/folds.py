"""Leave-one-subject-out folds, and the two other protocols, over a table of clips."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.choices import Protocol
from common.errors import UserError, name_list


@dataclass(frozen=True)
class Fold:
    """One split of the clips.

    Attributes:
        dataset: the dataset of the test clips.
        subject: their subject; empty where a whole dataset is left out.
        name: unique, fit for a file name: the subject, with its dataset as prefix where two
            datasets have a subject of that name; the dataset where a whole one is left out.
        train_indices: int [n_train], ascending row numbers in the table of clips.
        test_indices: int [n_test], the same.
    """

    dataset: str
    subject: str
    name: str
    train_indices: NDArray[np.int64]
    test_indices: NDArray[np.int64]


def loso_folds(clips: pd.DataFrame, protocol: Protocol = "composite") -> list[Fold]:
    """The folds of a protocol, ordered by (dataset, subject).

    ``composite`` leaves one subject out of all datasets pooled; ``single_dataset`` trains on the
    other subjects of the same dataset alone; ``leave_one_dataset_out`` tests on a whole dataset.
    A subject is (dataset, subject): the same name in two datasets is two subjects.

    Args:
        clips: text columns dataset and subject, one row a clip.
        protocol: one of the three names.

    Raises:
        UserError: an unknown protocol, or nobody would be left to train on.
    """
    if protocol not in get_args(Protocol):
        known = name_list(get_args(Protocol))
        raise UserError(f"There is no protocol {protocol!r}. Choose one of: {known}.")
    group = "dataset" if protocol == "leave_one_dataset_out" else "subject"
    folds = list(_split(clips, protocol))
    alone = [fold.name for fold in folds if not len(fold.train_indices)]
    if alone or not folds:
        raise UserError(
            f"Leaving one {group} out needs at least two of them; with {name_list(alone) or 'none'}"
            " left out, no clip is left to train on. Add clips or choose another protocol."
        )
    _check(folds, len(clips), complete_training=protocol != "single_dataset")
    return folds


def _split(clips: pd.DataFrame, protocol: Protocol) -> Iterator[Fold]:
    dataset = clips["dataset"].to_numpy(dtype=object)
    subject = clips["subject"].to_numpy(dtype=object)
    if protocol == "leave_one_dataset_out":
        subject = np.full_like(subject, "")
    pairs = sorted(set(zip(dataset, subject, strict=True)))
    places = {pair: place for place, pair in enumerate(pairs)}
    # Compared as numbers: a comparison of texts for every fold takes a hundred times as long.
    own = np.array([places[pair] for pair in zip(dataset, subject, strict=True)], dtype=np.int32)
    dataset_numbers = np.unique(dataset.astype(str), return_inverse=True)[1]
    times_used = Counter(name for _, name in pairs)
    for place, (own_dataset, own_subject) in enumerate(pairs):
        is_test = own == place
        is_train = ~is_test
        if protocol == "single_dataset":
            is_train &= dataset_numbers == dataset_numbers[is_test.argmax()]
        name = own_subject
        if not own_subject:
            name = own_dataset
        elif times_used[own_subject] > 1:
            name = f"{own_dataset}_{own_subject}"
        yield Fold(
            dataset=own_dataset,
            subject=own_subject,
            name=name,
            train_indices=np.flatnonzero(is_train),
            test_indices=np.flatnonzero(is_test),
        )


def _check(folds: list[Fold], clip_count: int, complete_training: bool) -> None:
    """Check at run time what every figure rests on: no clip in both parts, none left out.

    Raises:
        UserError: two folds would write the same file.
        RuntimeError: a clip is in both parts of a fold, or not tested exactly once.
    """
    for fold in folds:
        is_train = np.zeros(clip_count, dtype=bool)
        is_train[fold.train_indices] = True
        if is_train[fold.test_indices].any() or is_train.sum() != len(fold.train_indices):
            raise RuntimeError(f"fold {fold.name} tests on clips that it trains on")
        if complete_training and is_train.sum() + len(fold.test_indices) != clip_count:
            raise RuntimeError(f"fold {fold.name} leaves clips out")
    tested = np.sort(np.concatenate([fold.test_indices for fold in folds]))
    if not np.array_equal(tested, np.arange(clip_count)):
        raise RuntimeError("the folds do not test every clip exactly once")
    # Upper and lower case are one file name on Windows and macOS.
    used = Counter(fold.name.casefold() for fold in folds)
    repeated = [fold.name for fold in folds if used[fold.name.casefold()] > 1]
    if repeated:
        raise UserError(f"Subjects need distinct file names, not {name_list(repeated)}. Rename.")
