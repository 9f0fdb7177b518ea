"""Validation subjects of a fold, drawn from its training subjects: what the rule ``inner`` chooses
epochs on. The test subject is not among them, and its labels are not looked at."""

import warnings

import numpy as np
import pandas as pd

from common.errors import UserError
from datasets import Fold

PARTS = 5
"""One of so many parts of the training subjects is kept for validation."""
FEWEST_FOR_TWO = 4
"""From so many training subjects on, at least two are kept: one would choose for itself alone."""


def validation_rows(clips: pd.DataFrame, fold: Fold, seed: int) -> np.ndarray:
    """Row numbers of the validation clips of a fold, ascending.

    Whole subjects are drawn, a fifth of the clips, with the datasets and classes in about the
    shares that they have among the training clips. Where that is a single subject of four or more,
    one of the next part is added.

    Args:
        clips: columns dataset, subject and label.
        seed: the fold's own.

    Raises:
        UserError: fewer than two training subjects.
    """
    # Imported where used: few runs need it, and it takes half a second.
    from sklearn.model_selection import StratifiedGroupKFold

    own = clips.iloc[fold.train_indices]
    subjects = own.groupby(["dataset", "subject"]).ngroup().to_numpy()
    strata = own.groupby(["dataset", "label"]).ngroup().to_numpy()
    parts = min(PARTS, len(np.unique(subjects)), np.bincount(strata).max())
    if parts < 2:
        raise UserError(
            f"fold {fold.name} has too few training subjects to keep some for validation. "
            "Leave --inner out."
        )
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # A dataset's rare class may have fewer clips than there are parts; some parts go without.
        warnings.filterwarnings("ignore", message="The least populated class")
        drawn = [part for _, part in splitter.split(own, strata, subjects)]
    return fold.train_indices[_first_part(drawn, subjects)]


def _first_part(drawn: list[np.ndarray], subjects: np.ndarray) -> np.ndarray:
    """The first part's rows of int [N] subjects, with a subject more where it has too few."""
    fewest = 2 if len(np.unique(subjects)) >= FEWEST_FOR_TWO else 1
    if len(np.unique(subjects[drawn[0]])) >= fewest:
        return drawn[0]
    in_turn = pd.unique(subjects[np.concatenate(drawn)])
    return np.flatnonzero(np.isin(subjects, in_turn[:fewest]))
