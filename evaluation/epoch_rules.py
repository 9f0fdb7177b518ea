"""Which epoch of a fold counts, by the name of a rule; from stored logits, without retraining.

``last``: the last one; nothing is chosen.

``inner``: the epoch with the highest UF1 on validation subjects, drawn from the training subjects;
the networks that vote were trained without them. ``inner_refit``: the same epoch of the training on
all training subjects. Both need a run with inner validation.

``cross_fitted``: the epoch with the highest UF1 of all other subjects' pooled held-out predictions.
The subject's own labels do not choose it, but the networks that the other subjects were held out of
were trained on this subject.

``oracle``: the first epoch with the highest accuracy on the test subject, as the published code
does; the labels that it is scored on choose it, so its figures are not an estimate of anything.

Every tie goes to the first epoch. A class that no clip has and no clip is given does not count in
UF1, as in ``evaluation.metrics``; so validation subjects of a single class can still choose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import UserError, name_list
from evaluation.fold_logits import InnerTraining, StoredFold
from evaluation.metrics import compute_uf1, confusion_stack


@dataclass(frozen=True)
class Choice:
    """The epoch that a rule picks for a fold (an index), and its logits of the test clips [T, C].

    The logits are not always the fold's own at that epoch: ``inner`` takes them from the networks
    that have not seen the validation subjects.
    """

    epoch: int
    logits: np.ndarray


Rule = Callable[[Sequence[StoredFold]], list[Choice]]


def last(folds: Sequence[StoredFold]) -> list[Choice]:
    """The last epoch of every fold."""
    return [Choice(len(fold.logits) - 1, fold.logits[-1]) for fold in folds]


def cross_fitted(folds: Sequence[StoredFold]) -> list[Choice]:
    """For every fold the epoch that is best on all other folds together; at least two folds."""
    own = np.stack([confusions_by_epoch(fold.logits, fold.identity.labels) for fold in folds])
    epochs = compute_uf1(own.sum(axis=0) - own).argmax(axis=1)
    return _choices(folds, epochs)


def oracle(folds: Sequence[StoredFold]) -> list[Choice]:
    """For every fold the epoch with the most correct test clips.

    The published code stores nothing for a fold without one correct clip in any epoch, and the
    subject then vanishes from its totals; here it stays, with its errors.
    """
    correct = [fold.logits.argmax(axis=2) == np.asarray(fold.identity.labels) for fold in folds]
    return _choices(folds, [own.sum(axis=1).argmax() for own in correct])


def inner(folds: Sequence[StoredFold]) -> list[Choice]:
    """For every fold the epoch that is best on its validation clips, of the same networks."""
    epochs = [_best_validation_epoch(fold) for fold in folds]
    logits = [_inner_of(fold).test_logits for fold in folds]
    return [Choice(epoch, own[epoch]) for epoch, own in zip(epochs, logits, strict=True)]


def inner_refit(folds: Sequence[StoredFold]) -> list[Choice]:
    """The epochs of ``inner``, of the networks that were trained on all training subjects.

    The step sizes up to that epoch are those of the whole schedule, in both trainings.
    """
    return _choices(folds, [_best_validation_epoch(fold) for fold in folds])


EPOCH_RULES: dict[str, Rule] = {
    "last": last,
    "inner": inner,
    "inner_refit": inner_refit,
    "cross_fitted": cross_fitted,
    "oracle": oracle,
}


def rules_for(folds: Sequence[StoredFold]) -> list[str]:
    """The rules that can be told apart on these folds (at least one), in the order of printing.

    Models without epochs leave nothing to choose, a lone fold has no others.
    """
    if len(folds[0].logits) == 1:
        return ["last"]
    left_out = {"cross_fitted"} if len(folds) == 1 else set()
    if any(fold.inner is None for fold in folds):
        left_out |= {"inner", "inner_refit"}
    return [rule for rule in EPOCH_RULES if rule not in left_out]


def choose(rule: str, folds: Sequence[StoredFold]) -> list[Choice]:
    """What a rule picks for every fold.

    Raises:
        UserError: there is no such rule.
    """
    if rule not in EPOCH_RULES:
        raise UserError(
            f"There is no epoch rule {rule!r}. Choose one of: {name_list(EPOCH_RULES)}."
        )
    return EPOCH_RULES[rule](folds)


def pooled_uf1(rule: str, folds: Sequence[StoredFold]) -> float:
    """UF1 of all folds' test clips under a rule."""
    confusions = [
        confusions_by_epoch(choice.logits[np.newaxis], fold.identity.labels)
        for fold, choice in zip(folds, choose(rule, folds), strict=True)
    ]
    return float(compute_uf1(np.sum(confusions, axis=0)[0]))


def confusions_by_epoch(logits: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """int [epochs, C, C] of logits [epochs, clips, C] and labels [clips]."""
    one_group = np.zeros(len(labels), dtype=int)
    stack = confusion_stack(
        one_group, np.asarray(labels), logits.argmax(axis=2), (1, logits.shape[2])
    )
    return stack[:, 0]


def _best_validation_epoch(fold: StoredFold) -> int:
    validation = _inner_of(fold)
    return int(compute_uf1(confusions_by_epoch(validation.logits, validation.labels)).argmax())


def _inner_of(fold: StoredFold) -> InnerTraining:
    if fold.inner is None:
        raise UserError(f"fold {fold.identity.name} has no inner validation. Run with --inner.")
    return fold.inner


def _choices(folds: Sequence[StoredFold], epochs: Sequence[int] | np.ndarray) -> list[Choice]:
    return [
        Choice(int(epoch), fold.logits[epoch]) for fold, epoch in zip(folds, epochs, strict=True)
    ]
