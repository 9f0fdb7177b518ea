"""UF1, UAR and accuracy of pooled predictions (MEGC2019 protocol), for one set or many at once.

Pooled means: one value is computed from the predictions of all folds in one list. The mean of
per-fold values is another quantity and is never called UF1 here.

Absent classes: UF1 is the mean of F1 over the classes that occur among the true or the predicted
labels; UAR is the mean recall over the classes that occur among the true labels, because a class
without a true clip has no recall. With every class present, both are scikit-learn's
``average="macro"``.

Everything is computed from confusion matrices, because they add up: resampling subjects or scoring
every epoch needs no list of clips.

Shape legend: ... any leading axes, S subjects, C classes; row = true class, column = predicted.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of one confusion matrix, int [C, C]; every rate is in 0..1."""

    confusion: np.ndarray

    @property
    def uf1(self) -> float:
        """Mean F1 of the classes with a true or predicted clip."""
        return float(compute_uf1(self.confusion))

    @property
    def uar(self) -> float:
        """Mean recall of the classes with a true clip."""
        return float(compute_uar(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the clips that are right."""
        return float(compute_accuracy(self.confusion))

    @property
    def weighted_f1(self) -> float:
        """Mean F1, weighted by the number of true clips."""
        return float(np.average(self.class_f1, weights=self.support))

    @property
    def class_f1(self) -> np.ndarray:
        """float [C]; 0 for a class without a true or predicted clip."""
        return compute_class_f1(self.confusion)

    @property
    def class_recall(self) -> np.ndarray:
        """float [C]; 0 for a class without a true clip."""
        return compute_class_recall(self.confusion)

    @property
    def support(self) -> np.ndarray:
        """int [C]; true clips of each class."""
        return self.confusion.sum(axis=1)

    @property
    def clips(self) -> int:
        """Number of clips."""
        return int(self.confusion.sum())


def compute_metrics(true: np.ndarray, predicted: np.ndarray, classes: int) -> Metrics:
    """Metrics of pooled predictions.

    Args:
        true, predicted: int [N], values 0..classes-1, N >= 1.
        classes: number of classes C.

    Raises:
        ValueError: no clips, unequal lengths, or a label outside 0..C-1.
    """
    true, predicted = np.asarray(true, dtype=int), np.asarray(predicted, dtype=int)
    if true.shape != predicted.shape or true.ndim != 1 or true.size == 0:
        raise ValueError(
            f"need two equally long lists of labels, got {true.shape}, {predicted.shape}"
        )
    labels = np.concatenate([true, predicted])
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0..{classes - 1}")
    return Metrics(count_pairs(true, predicted, classes))


def count_pairs(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrices of all clips together.

    Args:
        true: int [N].
        predicted: int [..., N]; leading axes give as many matrices.
        classes: number of classes C.

    Returns:
        int [..., C, C].
    """
    true = np.asarray(true)
    return confusion_stack(np.zeros_like(true), true, predicted, (1, classes))[..., 0, :, :]


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
    size = count * classes**2
    numbered = cells + size * np.arange(len(cells))[:, np.newaxis]
    stacks = np.bincount(numbered.ravel(), minlength=size * len(cells))
    return stacks.reshape(*predicted.shape[:-1], count, classes, classes)


def subject_numbers(rows: pd.DataFrame) -> np.ndarray:
    """The number of each row's subject, 0..S-1 in the order of (dataset, subject); int [N]."""
    return rows.groupby(["dataset", "subject"], sort=True).ngroup().to_numpy()


def subject_confusions(rows: pd.DataFrame, classes: int) -> np.ndarray:
    """Confusion matrices of the subjects in the order of (dataset, subject), int [S, C, C]."""
    numbers = subject_numbers(rows)
    true, predicted = rows["true"].to_numpy(), rows["predicted"].to_numpy()
    return confusion_stack(numbers, true, predicted, (int(numbers.max()) + 1, classes))


def compute_class_f1(confusions: np.ndarray) -> np.ndarray:
    """F1 of each class, [..., C, C] -> float [..., C]; 0 for a class in neither list of labels."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    total = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return 2 * hits / np.maximum(total, 1)


def compute_class_recall(confusions: np.ndarray) -> np.ndarray:
    """Recall of each class, [..., C, C] -> float [..., C]; 0 for a class without a true clip."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    return hits / np.maximum(confusions.sum(axis=-1), 1)


def count_occurring(confusions: np.ndarray) -> np.ndarray:
    """Number of classes with a true or predicted clip, [..., C, C] -> int [...]."""
    return ((confusions.sum(axis=-1) + confusions.sum(axis=-2)) > 0).sum(axis=-1)


def compute_uf1(confusions: np.ndarray) -> np.ndarray:
    """UF1, [..., C, C] -> float [...]: mean F1 of the classes with a true or predicted clip."""
    return compute_class_f1(confusions).sum(axis=-1) / np.maximum(count_occurring(confusions), 1)


def compute_uar(confusions: np.ndarray) -> np.ndarray:
    """UAR, [..., C, C] -> float [...]: mean recall of the classes with a true clip."""
    classes = (confusions.sum(axis=-1) > 0).sum(axis=-1)
    return compute_class_recall(confusions).sum(axis=-1) / np.maximum(classes, 1)


def compute_accuracy(confusions: np.ndarray) -> np.ndarray:
    """Accuracy, [..., C, C] -> float [...]."""
    hits = np.trace(confusions, axis1=-2, axis2=-1)
    return hits / np.maximum(confusions.sum(axis=(-2, -1)), 1)


METRICS = {"UF1": compute_uf1, "UAR": compute_uar, "ACC": compute_accuracy}
"""The pooled metrics by their printed names."""
