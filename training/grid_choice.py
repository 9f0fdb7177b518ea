"""The configuration of a grid, chosen by the same rules as the epoch: what a reader may quote.

``last`` chooses nothing: the first configuration of the grid, which is fixed before the search,
at its last epoch. ``inner``, ``inner_refit`` and ``cross_fitted`` choose configuration and epoch
together, for each fold, on the clips that they choose epochs on; ties go to the first
configuration, then the first epoch. ``oracle`` is what the field does: the configuration with the
highest UF1 of the search, each subject's epoch chosen on that subject.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.epoch_rules import Choice, choose, pooled_uf1
from evaluation.fold_logits import InnerTraining, StoredFold

NOTES = {
    "last": "last: the first configuration of the grid at its last epoch; nothing is chosen",
    "inner": "inner: configuration and epoch chosen on each fold's validation subjects",
    "inner_refit": "inner_refit: the same choice, of the training on all training subjects",
    "cross_fitted": "cross_fitted: configuration and epoch chosen on the other subjects' held-out "
    "predictions, of networks that were trained on the test subject",
    "oracle": "* the search's best configuration, each epoch selected on its test subject: not an "
    "estimate for new subjects",
}
"""How each rule chooses, for readers of a table."""

Grid = Sequence[Sequence[StoredFold]]
"""The stored folds of every configuration; all have the same folds and number of epochs."""


def choose_in_grid(rule: str, grid: Grid) -> list[tuple[int, Choice]]:
    """For every fold the place of the configuration in the grid, and the choice of its epoch."""
    if rule == "last":
        return [(0, choice) for choice in choose(rule, grid[0])]
    if rule == "oracle":
        best = int(np.argmax([pooled_uf1(rule, folds) for folds in grid]))
        return [(best, choice) for choice in choose(rule, grid[best])]
    epochs = len(grid[0][0].logits)
    return [
        (choice.epoch // epochs, replace(choice, epoch=choice.epoch % epochs))
        for choice in choose(rule, joined_folds(grid))
    ]


def joined_folds(grid: Grid) -> list[StoredFold]:
    """Every fold with the epochs of all configurations, one configuration's after the other's.

    They are epochs to choose from like any others.
    """
    return [_joined(same_fold) for same_fold in zip(*grid, strict=True)]


def _joined(folds: Sequence[StoredFold]) -> StoredFold:
    """One fold in all configurations as a fold with all their epochs."""
    logits = np.concatenate([fold.logits for fold in folds])
    losses = np.concatenate([fold.losses for fold in folds])
    inner = [fold.inner for fold in folds if fold.inner is not None]
    if not inner:
        return replace(folds[0], logits=logits, losses=losses)
    joined = InnerTraining(
        rows=inner[0].rows,
        labels=inner[0].labels,
        logits=np.concatenate([own.logits for own in inner]),
        test_logits=np.concatenate([own.test_logits for own in inner]),
    )
    return replace(folds[0], logits=logits, losses=losses, inner=joined)
