"""Which muscles move decides, by the rule book of facial action coding; no training label is used.

Paper: none; the units of each class follow the Facial Action Coding System (Ekman, Friesen and
Hager 2002).
Source of facts: this suite's own measurements.
Licence of the original: none; this file is under the suite's.

The AU network (``models/au_network.py``), which has seen drawn motion only, reads the muscles; a
class scores what the strongest of its units scores. From the training clips come the scores' median
and spread, without labels, so that no class wins by the size of its scores.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from common.action_units import ACTION_UNITS
from common.errors import UserError
from models.au_network import (
    SHIPPED,
    load_weights,
    one_thread,
    read_units,
    summed_motion,
)

input = "maps"
preparation = {"affine": True, "rms": True, "phase_sum": True}
cost = "half a minute for the 442 released clips, one core"
features = summed_motion

UNITS_OF = (("4", "7", "9", "10", "14", "15", "17"), ("12",), ("2", "5", "26"))
"""Of negative, positive and surprise."""


def build(classes: int = 3, weights: str = "") -> "AuRule":
    """The rule; see ``AuRule``. Given weights are read once, to refuse them early."""
    if weights:
        load_weights(Path(weights))
    return AuRule(classes, weights)


class AuRule(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Standardised score of the strongest unit of each class.

    Args:
        classes: 3, negative, positive and surprise.
        weights: file of the AU network's weights; empty for the shipped ones.

    Attributes:
        median_, spread_: of the training clips' scores, [3].
        network_: weights of the AU network.
    """

    def __init__(self, classes: int = 3, weights: str = "") -> None:
        self.classes = classes
        self.weights = weights

    def fit(self, X: NDArray[np.float32], y: NDArray[np.integer] | None = None) -> "AuRule":
        """Take median and standard deviation of the scores of training clips.

        Args:
            X: motion [N, 2, 28, 28]: u and v of the summed phases, of RMS 1.
            y: not looked at.

        Raises:
            UserError: there are other classes than the rule's.
        """
        if self.classes != len(UNITS_OF):
            raise UserError(
                f"au_rule knows negative, positive and surprise, not {self.classes} classes. "
                "Use au_kernel, which learns the classes."
            )
        self.network_ = load_weights(Path(self.weights or SHIPPED))
        scores = self._scores(X)
        self.median_, self.spread_ = np.median(scores, axis=0), scores.std(axis=0)
        self.spread_[self.spread_ == 0] = 1
        self.classes_ = np.arange(self.classes)
        return self

    def decision_function(self, X: NDArray[np.float32]) -> NDArray[np.floating]:
        """Standardised scores [N, 3] of motion [N, 2, 28, 28]."""
        return np.asarray((self._scores(X) - self.median_) / self.spread_)

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.floating]:
        """Probabilities [N, 3], the softmax of the scores; nothing has calibrated them."""
        return np.asarray(softmax(self.decision_function(X), axis=1))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:
        """The class with the highest score, [N]."""
        return self.decision_function(X).argmax(axis=1)

    def read_units(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the AU network reads from motion [N, 2, 28, 28], [N, 16]."""
        with one_thread():
            return read_units(X, self.network_)

    def _scores(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """The strongest unit of each class, the mean of both sides and both ways of seeing."""
        activations = self.read_units(X)
        units = [[ACTION_UNITS.index(unit) for unit in units] for units in UNITS_OF]
        return np.stack([activations[:, places].max(axis=1) for places in units], axis=1)
