"""How many test clips each subject of a fold has, as the table that results folders carry."""

import pandas as pd

from datasets import Fold
from evaluation.predictions import RECORDED, SYNTHETIC


def fold_counts(
    clips: pd.DataFrame, folds: list[Fold], synthetic: bool, notes: list[str]
) -> pd.DataFrame:
    """Columns dataset, subject, clips, file, source, note; one row a subject, as the folds come.

    A fold that leaves a whole dataset out holds several subjects, and all are in its one file.

    Args:
        notes: what must be said with every figure of these folds.
    """
    parts = []
    for fold in folds:
        own = clips.iloc[fold.test_indices].groupby(["dataset", "subject"])
        parts.append(own.size().rename("clips").reset_index().assign(file=fold.name))
    counts = pd.concat(parts, ignore_index=True)
    return counts.assign(source=SYNTHETIC if synthetic else RECORDED, note="; ".join(notes))
