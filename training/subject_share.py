"""Folds that train on a share of their training subjects, for a learning curve."""

from dataclasses import replace

import numpy as np
import pandas as pd

from common.errors import UserError
from datasets import Fold
from training.configuration import fold_seed


def with_subject_share(fold: Fold, clips: pd.DataFrame, share: float, seed: int) -> Fold:
    """The fold with all test clips and the training clips of some of its training subjects.

    Every fold draws its own order of subjects; of each dataset the first ones are kept, at least
    one. So a smaller share is a part of a larger one of the same seed.

    Args:
        fold: of ``loso_folds``.
        clips: columns dataset and subject, one row a clip.
        share: above 0 to 1; 1 gives the fold as it is.
        seed: of the run.

    Raises:
        UserError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UserError(f"subject_share is {share}: give a share above 0, at most 1, such as 0.25.")
    if share == 1:
        return fold
    generator = np.random.default_rng(fold_seed(seed, fold.dataset, fold.subject, "subject share"))
    own = clips.iloc[fold.train_indices]
    kept = np.zeros(len(own), dtype=bool)
    for dataset in sorted(own["dataset"].unique()):
        of_dataset = own["dataset"] == dataset
        subjects = sorted(own.loc[of_dataset, "subject"].unique())
        drawn = generator.permutation(subjects)[: max(1, round(share * len(subjects)))]
        kept |= (of_dataset & own["subject"].isin(drawn)).to_numpy()
    return replace(fold, train_indices=fold.train_indices[kept])
