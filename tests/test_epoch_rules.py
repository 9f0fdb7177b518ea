"""Epoch rules on logits written down by hand, and what each of them may look at."""

import numpy as np
import pytest

from common.errors import UserError
from evaluation.metrics import compute_figures
from training.epoch_rules import choose, rules_for
from training.fold_store import FoldIdentity, StoredFold


def fold(name: str, labels: list[int], predicted_by_epoch: list[list[int]]) -> StoredFold:
    """A stored fold whose networks predict these classes after each epoch."""
    clips = [f"{name}_{number}" for number in range(len(labels))]
    identity = FoldIdentity("a", name, name, clips, labels, 1, "abc")
    logits = np.eye(3, dtype=np.float32)[np.array(predicted_by_epoch)]
    return StoredFold(identity, logits, np.zeros(len(logits), np.float32))


def epochs(rule: str, folds: list[StoredFold]) -> list[int]:
    return [choice.epoch for choice in choose(rule, folds)]


THREE_SUBJECTS = [
    fold("s1", [0, 1, 2], [[0, 1, 2], [0, 0, 0], [0, 0, 2], [1, 2, 0]]),
    fold("s2", [0, 1], [[1, 1], [0, 1], [0, 1], [1, 0]]),
    fold("s3", [2], [[0], [1], [2], [1]]),
]


def test_last_looks_at_nothing() -> None:
    assert epochs("last", THREE_SUBJECTS) == [3, 3, 3]


def test_oracle_takes_each_subjects_first_best_epoch() -> None:
    assert epochs("oracle", THREE_SUBJECTS) == [0, 1, 2]
    never_right = fold("s4", [1], [[0], [2], [0]])
    assert epochs("oracle", [never_right]) == [0]


def test_cross_fitted_takes_the_epoch_that_is_best_on_the_others_pooled() -> None:
    by_hand = []
    for own in range(3):
        others = [other for place, other in enumerate(THREE_SUBJECTS) if place != own]
        true = np.concatenate([other.identity.labels for other in others])
        uf1 = [
            compute_figures(
                true, np.concatenate([other.logits[epoch].argmax(1) for other in others]), 3
            ).uf1
            for epoch in range(4)
        ]
        by_hand.append(int(np.argmax(uf1)))
    assert epochs("cross_fitted", THREE_SUBJECTS) == by_hand == [2, 0, 0]


def test_cross_fitted_does_not_move_with_the_subjects_own_labels() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        folds = [
            fold(f"s{n}", random.integers(0, 3, 5).tolist(), random.integers(0, 3, (6, 5)).tolist())
            for n in range(4)
        ]
        relabelled = fold("s0", random.integers(0, 3, 5).tolist(), folds[0].logits.argmax(2))
        changed = [relabelled, *folds[1:]]
        assert epochs("cross_fitted", changed)[0] == epochs("cross_fitted", folds)[0]


def test_ties_go_to_the_first_epoch() -> None:
    same = [fold(name, [0, 1], [[1, 0], [0, 1], [0, 1]]) for name in ("s1", "s2")]
    assert epochs("cross_fitted", same) == [1, 1]
    assert epochs("oracle", same) == [1, 1]


def test_subjects_of_one_class_or_one_clip_can_choose_and_be_chosen_for() -> None:
    folds = [fold("s1", [2], [[0], [2]]), fold("s2", [1, 1], [[1, 1], [0, 0]])]
    assert epochs("cross_fitted", folds) == [0, 1]


def test_a_choice_carries_the_logits_of_its_epoch() -> None:
    for rule in rules_for(THREE_SUBJECTS):
        for own, choice in zip(THREE_SUBJECTS, choose(rule, THREE_SUBJECTS), strict=True):
            np.testing.assert_array_equal(choice.logits, own.logits[choice.epoch])


def test_rules_that_cannot_differ_are_left_out() -> None:
    assert rules_for(THREE_SUBJECTS) == ["last", "cross_fitted", "oracle"]
    assert rules_for(THREE_SUBJECTS[:1]) == ["last", "oracle"]
    assert rules_for([fold("s1", [0], [[0]]), fold("s2", [1], [[0]])]) == ["last"]


def test_an_unknown_rule_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match=r"no epoch rule 'best'\. Choose one of: last, "):
        choose("best", THREE_SUBJECTS)
