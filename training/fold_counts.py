"""How many test clips each subject of a fold has, as the table that results folders carry."""

import numpy as np
import pandas as pd

from datasets import Fold
from evaluation.predictions import (
    source_of,
)


def fold_counts(
    clips: pd.DataFrame, folds: list[Fold], synthetic: bool, notes: list[str]
) -> pd.DataFrame:
    """Columns dataset, subject, clips, file, source, note; one row a subject, as the folds come.

    A fold that leaves a whole dataset out holds several subjects, and all are in its one file.

    Args:
        notes: what must be said with every figure of these folds.
    """
    tested = np.full(len(clips), -1)
    for number, fold in enumerate(folds):
        tested[fold.test_indices] = number
    keys = clips[["dataset", "subject"]].assign(fold=tested)[tested >= 0]
    counts = keys.groupby(["fold", "dataset", "subject"]).size().rename("clips").reset_index()
    counts["file"] = [folds[number].name for number in counts.pop("fold")]
    return counts.assign(source=source_of(synthetic), note="; ".join(notes))
