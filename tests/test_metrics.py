"""UF1, UAR and accuracy: scikit-learn's on random cases, hand-computed ones for absent classes."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    recall_score,
)

from evaluation.metrics import METRICS, compute_metrics, count_pairs, subject_confusions
from tests.helpers.made_up_rows import rows_of_subjects


def random_case(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels of 1 to 60 clips; small cases and skewed draws leave classes out."""
    classes = int(random.integers(2, 6))
    clips = int(random.integers(1, 61))
    shares = random.dirichlet(np.full(classes, 0.5), size=2)
    true, predicted = (random.choice(classes, size=clips, p=share) for share in shares)
    return true, predicted, classes


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_metrics_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(3)
    absent = 0
    for _ in range(150):
        true, predicted, classes = random_case(random)
        absent += len(set(true)) < classes
        metrics = compute_metrics(true, predicted, classes)
        expected = {
            "uf1": f1_score(true, predicted, average="macro", zero_division=0),
            "uar": balanced_accuracy_score(true, predicted),
            "accuracy": accuracy_score(true, predicted),
            "weighted_f1": f1_score(true, predicted, average="weighted", zero_division=0),
        }
        for name, value in expected.items():
            assert getattr(metrics, name) == pytest.approx(value, abs=1e-12)
        labels = {"labels": range(classes), "average": None, "zero_division": 0}
        np.testing.assert_allclose(metrics.class_f1, f1_score(true, predicted, **labels))
        np.testing.assert_allclose(metrics.class_recall, recall_score(true, predicted, **labels))
        np.testing.assert_array_equal(
            metrics.confusion, confusion_matrix(true, predicted, labels=range(classes))
        )
    assert absent > 45


# true, predicted, UF1, UAR, accuracy; worked out by hand for three classes.
BY_HAND = {
    "one right clip": ([1], [1], 1.0, 1.0, 1.0),
    "one wrong clip": ([1], [2], 0.0, 0.0, 0.0),
    "one true class, half right": ([0, 0], [0, 2], (2 / 3 + 0) / 2, 0.5, 0.5),
    "a class without true clips is predicted": (
        [0, 0, 1, 1],
        [0, 0, 1, 2],
        (1 + 2 / 3 + 0) / 3,
        (1 + 1 / 2) / 2,
        3 / 4,
    ),
    "a class that nobody has or gets": (
        [0, 0, 0, 1],
        [0, 0, 1, 1],
        (4 / 5 + 2 / 3) / 2,
        (2 / 3 + 1) / 2,
        3 / 4,
    ),
    "a true class is never predicted": (
        [0, 1, 2, 2],
        [0, 1, 0, 1],
        (2 / 3 + 2 / 3 + 0) / 3,
        (1 + 1 + 0) / 3,
        2 / 4,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_absent_classes_and_lone_clips_follow_the_documented_rule(name: str) -> None:
    true, predicted, *expected = BY_HAND[name]
    metrics = compute_metrics(np.array(true), np.array(predicted), 3)
    assert (metrics.uf1, metrics.uar, metrics.accuracy) == pytest.approx(expected)
    many = count_pairs(np.array(true), np.array([predicted, true]), 3)
    for compute, value in zip(METRICS.values(), expected, strict=True):
        np.testing.assert_allclose(compute(many), [value, 1], rtol=0, atol=1e-12)


def test_subjects_of_one_name_in_two_datasets_are_two_subjects() -> None:
    rows = rows_of_subjects({("b", "s1"): [(0, 1)], ("a", "s1"): [(2, 2), (0, 0)]})
    confusions = subject_confusions(rows, 3)
    assert confusions.shape == (2, 3, 3)
    assert confusions[0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert confusions[1].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_unequal_or_empty_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        compute_metrics(np.array([0, 1]), np.array([0]), 3)
    with pytest.raises(ValueError, match="equally long"):
        compute_metrics(np.array([]), np.array([]), 3)
