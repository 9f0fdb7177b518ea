"""Which epoch of a fold counts.

``last``: the last one; nothing is chosen. ``oracle``: the first epoch with the highest accuracy on
the test subject, as the published code does; the labels that it is scored on choose it, so its
figures are not an estimate of anything and always stand beside ``last``.
"""

from collections.abc import Callable

import numpy as np

from common.errors import UserError, name_list


def last_epoch(logits: np.ndarray, labels: np.ndarray | list[int]) -> int:
    """Index of the last epoch of logits [epochs, clips, classes]."""
    return len(logits) - 1


def oracle_epoch(logits: np.ndarray, labels: np.ndarray | list[int]) -> int:
    """Index of the first epoch with the highest test accuracy; the first of all when none is right.

    The published code stores nothing for a fold without one correct clip in any epoch, and the
    subject then vanishes from its totals; here it stays, with its errors.
    """
    correct = (logits.argmax(axis=2) == np.asarray(labels)).sum(axis=1)
    return int(correct.argmax())


EPOCH_RULES: dict[str, Callable[[np.ndarray, np.ndarray | list[int]], int]] = {
    "last": last_epoch,
    "oracle": oracle_epoch,
}
SELECTED_ON_TEST_SUBJECT = ("oracle",)


def rule_title(rule: str) -> str:
    """The rule's name as printed: one that looks at the test subject says so."""
    return f"{rule}*" if rule in SELECTED_ON_TEST_SUBJECT else rule


ORACLE_FOOTNOTE = "* epoch selected on the test subject: not an estimate for new subjects"


def choose_epoch(rule: str, logits: np.ndarray, labels: np.ndarray | list[int]) -> int:
    """Index of the epoch that a rule picks.

    Args:
        logits: float [epochs, clips, classes]; labels: int [clips].

    Raises:
        UserError: there is no such rule.
    """
    if rule not in EPOCH_RULES:
        raise UserError(
            f"There is no epoch rule {rule!r}. Choose one of: {name_list(EPOCH_RULES)}."
        )
    return EPOCH_RULES[rule](logits, labels)
