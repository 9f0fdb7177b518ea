"""Metrics of many sets of predictions at once, from stacks of confusion matrices.

Resampling subjects ten thousand times, or scoring every epoch, needs no list of clips: confusion
matrices add up. The conventions for absent classes are those of ``evaluation.metrics``.

Shape legend: ... any leading axes, S subjects, C classes; row = true class, column = predicted.
"""

import numpy as np
import pandas as pd


def confusion_stack(
    groups: np.ndarray, true: np.ndarray, predicted: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Confusion matrices of groups of clips.

    Args:
        groups: int [N], the group of each clip, 0..S-1; true: int [N].
        predicted: int [..., N]; leading axes give as many stacks.
        shape: (S, C).

    Returns:
        int [..., S, C, C].
    """
    count, classes = shape
    predicted = np.asarray(predicted)
    flat = predicted.reshape(-1, predicted.shape[-1])
    cells = (groups * classes + true) * classes + flat
    stacks = [np.bincount(row, minlength=count * classes**2) for row in cells]
    return np.stack(stacks).reshape(*predicted.shape[:-1], count, classes, classes)


def subject_numbers(rows: pd.DataFrame) -> np.ndarray:
    """The number of each row's subject, 0..S-1 in the order of (dataset, subject); int [N]."""
    return rows.groupby(["dataset", "subject"], sort=True).ngroup().to_numpy()


def subject_confusions(rows: pd.DataFrame, classes: int) -> np.ndarray:
    """Confusion matrices of the subjects in the order of (dataset, subject), int [S, C, C]."""
    numbers = subject_numbers(rows)
    true, predicted = rows["true"].to_numpy(), rows["predicted"].to_numpy()
    return confusion_stack(numbers, true, predicted, (int(numbers.max()) + 1, classes))


def compute_class_f1(confusions: np.ndarray) -> np.ndarray:
    """F1 of each class, [..., C, C] -> float [..., C]; 0 where it is in neither list of labels."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    total = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return 2 * hits / np.maximum(total, 1)


def compute_uf1(confusions: np.ndarray) -> np.ndarray:
    """UF1, [..., C, C] -> float [...]: mean F1 of the classes with a true or predicted clip."""
    occurs = (confusions.sum(axis=-1) + confusions.sum(axis=-2)) > 0
    return compute_class_f1(confusions).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1)


def compute_uar(confusions: np.ndarray) -> np.ndarray:
    """UAR, [..., C, C] -> float [...]: mean recall of the classes with a true clip."""
    support = confusions.sum(axis=-1)
    recalls = np.diagonal(confusions, axis1=-2, axis2=-1) / np.maximum(support, 1)
    return recalls.sum(axis=-1) / np.maximum((support > 0).sum(axis=-1), 1)


def compute_accuracy(confusions: np.ndarray) -> np.ndarray:
    """Accuracy, [..., C, C] -> float [...]."""
    hits = np.trace(confusions, axis1=-2, axis2=-1)
    return hits / np.maximum(confusions.sum(axis=(-2, -1)), 1)


FIGURES = {"UF1": compute_uf1, "UAR": compute_uar, "ACC": compute_accuracy}
"""The pooled figures by their printed names."""
