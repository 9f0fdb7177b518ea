"""How many test clips each fold has, as the table that results folders carry."""

import pandas as pd

from datasets import Fold
from evaluation.predictions import RECORDED, SYNTHETIC


def fold_counts(folds: list[Fold], synthetic: bool) -> pd.DataFrame:
    """Columns dataset, subject, clips, file, source; one row a fold."""
    return pd.DataFrame(
        {
            "dataset": [fold.dataset for fold in folds],
            "subject": [fold.subject for fold in folds],
            "clips": [len(fold.test_indices) for fold in folds],
            "file": [fold.name for fold in folds],
            "source": SYNTHETIC if synthetic else RECORDED,
        }
    )
