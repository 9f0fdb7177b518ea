"""UF1, UAR and accuracy of pooled predictions (MEGC2019 protocol).

Pooled means: the predictions of all folds in one list, one figure computed from that list. The
mean of per-fold figures is another quantity and is never called UF1 here.

Absent classes, defined once: UF1 is the mean of F1 over the classes that occur among the true or
the predicted labels; UAR is the mean recall over the classes that occur among the true labels (a
class without a true clip has no recall). With every class present, both are scikit-learn's
``average="macro"``.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, recall_score


@dataclass(frozen=True)
class Metrics:
    """The figures of one set of pooled predictions; every rate is in 0..1.

    Attributes:
        confusion: int [C, C]; row = true class, column = predicted class.
        class_f1: float [C]; 0 for a class that no clip has and no clip was given.
        class_recall: float [C]; 0 for a class without a true clip.
        support: int [C]; true clips per class.
    """

    uf1: float
    uar: float
    accuracy: float
    weighted_f1: float
    confusion: np.ndarray
    class_f1: np.ndarray
    class_recall: np.ndarray
    support: np.ndarray

    @property
    def clips(self) -> int:
        """How many clips were scored."""
        return int(self.support.sum())


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
    labels = np.arange(classes)
    if not (np.isin(true, labels).all() and np.isin(predicted, labels).all()):
        raise ValueError(f"labels must lie in 0..{classes - 1}")
    confusion = confusion_matrix(true, predicted, labels=labels)
    support, given = confusion.sum(axis=1), confusion.sum(axis=0)
    class_f1 = f1_score(true, predicted, labels=labels, average=None, zero_division=0)
    class_recall = recall_score(true, predicted, labels=labels, average=None, zero_division=0)
    return Metrics(
        uf1=float(class_f1[(support > 0) | (given > 0)].mean()),
        uar=float(class_recall[support > 0].mean()),
        accuracy=float((true == predicted).mean()),
        weighted_f1=float(np.average(class_f1, weights=support)),
        confusion=confusion,
        class_f1=class_f1,
        class_recall=class_recall,
        support=support,
    )
