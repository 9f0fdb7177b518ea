"""How epoch rules pick an epoch of every fold, from stored logits, without training again.

Ties go to the first epoch unless a function says otherwise. Classes without a true or predicted
clip do not count in UF1, so validation subjects of a single class can choose too.

Shape legend: F folds, E epochs, T test clips of a fold, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.errors import UserError
from evaluation.fold_logits import InnerTraining, StoredFold
from evaluation.metrics import (
    compute_accuracy,
    compute_class_recall,
    compute_uf1,
    count_occurring,
    count_pairs,
)

Folds = Sequence[StoredFold]
"""The stored folds of one configuration; all have the same number of epochs."""
Grid = Sequence[Folds]
"""The stored folds of every configuration; all have the same folds and number of epochs."""


@dataclass(frozen=True)
class Choice:
    """The epoch picked for a fold (an index), and the logits of its test clips, float [T, C].

    The logits are not always the fold's own at that epoch: ``choose_inner`` takes them from the
    networks that have not seen the validation subjects.
    """

    epoch: int
    logits: np.ndarray


Choose = Callable[[Folds], list[Choice]]
GridChoice = tuple[int, Choice]
"""The number of a configuration, and the choice among its epochs."""


def choose_last(folds: Folds) -> list[Choice]:
    """The last epoch of every fold."""
    return [Choice(len(fold.logits) - 1, fold.logits[-1]) for fold in folds]


def choose_by_other_folds(folds: Folds) -> list[Choice]:
    """For every fold the epoch with the highest pooled UF1 of all other folds; two or more folds.

    The fold's own labels choose nothing, but the networks of the other folds were trained on its
    test subject.
    """
    confusions = confusions_by_epoch(folds)
    return _pick(folds, compute_uf1(confusions.sum(axis=0) - confusions).argmax(axis=1))


def choose_inner(folds: Folds) -> list[Choice]:
    """For every fold the epoch that is best on its validation clips, of the same networks."""
    epochs = [_best_validation_epoch(fold) for fold in folds]
    logits = [_get_inner(fold).test_logits for fold in folds]
    return [Choice(epoch, own[epoch]) for epoch, own in zip(epochs, logits, strict=True)]


def choose_inner_refit(folds: Folds) -> list[Choice]:
    """The epochs of ``choose_inner``, of the networks trained on all training subjects.

    The learning rates up to that epoch are those of the whole schedule, in both trainings.
    """
    return _pick(folds, [_best_validation_epoch(fold) for fold in folds])


def choose_on_test_clips(folds: Folds) -> list[Choice]:
    """For every fold the epoch with the most right test clips.

    The published code of CausalNet stores nothing for a fold without a right clip in any epoch, and
    the subject vanishes from its totals; here it stays, with its errors.
    """
    return _pick(folds, _count_right(folds).argmax(axis=1))


def choose_on_test_clips_later(folds: Folds) -> list[Choice]:
    """As ``choose_on_test_clips``, but a tie goes to the last epoch (HTNet)."""
    return _pick(folds, _last_argmax(_count_right(folds)))


def compute_pooled(folds: Folds, choices: Sequence[Choice]) -> np.ndarray:
    """The pooled confusion matrix of the chosen logits, int [C, C]."""
    true = np.concatenate([fold.identity.labels for fold in folds])
    logits = np.concatenate([choice.logits for choice in choices])
    return count_pairs(true, logits.argmax(axis=1), logits.shape[1])


def compute_mmnet_metrics(folds: Folds) -> dict[str, float]:
    """Accuracy and F1 as MMNet reports them, from different epochs of each fold.

    Accuracy: every fold's highest number of right clips. F1: pooled over every fold's epoch with
    the highest F1 of that fold, where a tie goes to the last epoch.
    """
    confusions = confusions_by_epoch(folds)
    best = _last_argmax(compute_uf1(confusions))
    pooled = confusions[np.arange(len(folds)), best].sum(axis=0)
    right = _count_right(folds).max(axis=1).sum()
    return {"F1": float(compute_uf1(pooled)), "accuracy": float(right / pooled.sum())}


def compute_fold_means(folds: Folds) -> dict[str, float]:
    """Off-TANet's means over folds of F1 and recall, at the epoch with the highest mean recall.

    A fold's values are scikit-learn's macro averages: recall, too, counts the classes that are
    predicted and have no true clip.
    """
    confusions = confusions_by_epoch(folds)
    classes = np.maximum(count_occurring(confusions), 1)
    recall = (compute_class_recall(confusions).sum(axis=-1) / classes).mean(axis=0)
    f1 = compute_uf1(confusions).mean(axis=0)
    return {"F1": float(f1[recall.argmax()]), "recall": float(recall.max())}


def compute_running_accuracy(folds: Folds) -> dict[str, float]:
    """SRMCL's accuracy: after every fold that of all clips so far, then the mean of these values.

    It depends on the order of the folds. Of the last epoch: how the published epochs were chosen
    is not known.
    """
    pooled = confusions_by_epoch(folds)[:, -1].cumsum(axis=0)
    return {"accuracy": float(compute_accuracy(pooled).mean())}


def choose_first(choose: Choose, grid: Grid) -> list[GridChoice]:
    """The first configuration of a grid, whatever the results."""
    return [(0, choice) for choice in choose(grid[0])]


def choose_best(choose: Choose, grid: Grid) -> list[GridChoice]:
    """The configuration with the highest pooled UF1, for all folds."""
    choices = [choose(folds) for folds in grid]
    uf1 = [compute_uf1(compute_pooled(*pair)) for pair in zip(grid, choices, strict=True)]
    best = int(np.argmax(uf1))
    return [(best, choice) for choice in choices[best]]


def choose_jointly(choose: Choose, grid: Grid) -> list[GridChoice]:
    """Configuration and epoch together, for each fold; ties go to the first configuration."""
    epochs = len(grid[0][0].logits)
    return [
        (choice.epoch // epochs, replace(choice, epoch=choice.epoch % epochs))
        for choice in choose(join_configurations(grid))
    ]


def join_configurations(grid: Grid) -> list[StoredFold]:
    """Every fold with the epochs of all configurations, one configuration after the other."""
    return [_join(same_fold) for same_fold in zip(*grid, strict=True)]


def confusions_by_epoch(folds: Folds) -> np.ndarray:
    """Confusion matrices of the test clips of every fold and epoch, int [F, E, C, C]."""
    return np.stack([fold.confusions for fold in folds])


def _count_epochs(logits: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """int [E, C, C] of logits [E, clips, C] and labels [clips]."""
    return count_pairs(np.asarray(labels), logits.argmax(axis=2), logits.shape[2])


def _count_right(folds: Folds) -> np.ndarray:
    """int [F, E]: right test clips."""
    return np.trace(confusions_by_epoch(folds), axis1=-2, axis2=-1)


def _last_argmax(values: np.ndarray) -> np.ndarray:
    """The last index of the highest value along the last axis."""
    return values.shape[-1] - 1 - values[..., ::-1].argmax(axis=-1)


def _pick(folds: Folds, epochs: Sequence[int] | np.ndarray) -> list[Choice]:
    return [
        Choice(int(epoch), fold.logits[epoch]) for fold, epoch in zip(folds, epochs, strict=True)
    ]


def _best_validation_epoch(fold: StoredFold) -> int:
    validation = _get_inner(fold)
    return int(compute_uf1(_count_epochs(validation.logits, validation.labels)).argmax())


def _get_inner(fold: StoredFold) -> InnerTraining:
    if fold.inner is None:
        raise UserError(f"fold {fold.identity.name} has no inner validation. Run with --inner.")
    return fold.inner


def _join(folds: Folds) -> StoredFold:
    """One fold of all configurations as a fold with all their epochs."""
    logits = np.concatenate([fold.logits for fold in folds])
    losses = np.concatenate([fold.losses for fold in folds])
    trainings = [fold.inner for fold in folds if fold.inner is not None]
    if not trainings:
        return replace(folds[0], logits=logits, losses=losses)
    inner = replace(
        trainings[0],
        logits=np.concatenate([training.logits for training in trainings]),
        test_logits=np.concatenate([training.test_logits for training in trainings]),
    )
    return replace(folds[0], logits=logits, losses=losses, inner=inner)
