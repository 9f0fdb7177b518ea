"""Logistic regression on the onset-apex flow: the baseline that networks should be compared with.

The u and v of the first map (centered by the preparation), reduced by area to s x s pixels and
standardized; the training clips as they are and mirrored; class weights. Size s and strength C are
chosen inside the fold: on subjects held out of the training clips, by the pooled macro F1.

Area reduction and standardization are linear, so the fitted model is one matrix on the map.

Legend of dimensions: V views (as stored, mirrored), N clips, y and x places of the map, s side
after reduction, C classes, F features (2 s s).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from einops import rearrange
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

phases = 1
preparation = {"center": True}
cost = "1.6 minutes for the 442 released clips, two cores"

V_AND_U = slice(1, 3)
"""Channels of a flow map; channel 0 is the strain."""
U = 1
"""Place of u in the pair."""
INNER_FOLDS = 5
MOST_ITERATIONS = 2_000

Array = NDArray[Any]


def build(
    sizes: Sequence[int] = (7, 10, 14),
    strengths: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
) -> "LinearClassifier":
    """Sides s in pixels, and values of scikit-learn's C, to choose from; smaller is smoother."""
    return LinearClassifier(tuple(sizes), tuple(strengths))


def features(clips: Array) -> Array:
    """The v and u of the first map: [N, 4, 3, y, x] -> [N, 2, y, x]."""
    return clips[:, 0, V_AND_U]


class LinearClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One matrix from the onset-apex flow to the scores.

    Attributes:
        weight_: float64 [C, 2, y, x]; bias_: [C], for the C classes seen in training.
    """

    def __init__(
        self, sizes: Sequence[int] = (7, 10, 14), strengths: Sequence[float] = (1e-2,)
    ) -> None:
        self.sizes, self.strengths = sizes, strengths

    def fit(self, X: Array, y: Array, groups: Array | None = None) -> "LinearClassifier":
        """Fit on flows [N, 2, y, x], labels [N] and the subject of each clip [N].

        With one training subject nothing can be chosen: the middle of each list is taken.
        """
        flow = np.stack([X, mirrored(X)]).astype(np.float64)
        self.classes_ = np.unique(y)
        names = np.arange(len(y)) if groups is None else groups
        subjects = np.unique(names, return_inverse=True)[1]
        self.size_, self.strength_ = self._choose(flow, y, subjects)
        weight, self.bias_ = _regress(_reduce(flow, self.size_), y, self.strength_)
        reduction = area_matrix(X.shape[-1], self.size_)
        small = rearrange(weight, "c (m s1 s2) -> c m s1 s2", m=2, s1=self.size_)
        self.weight_ = np.einsum("cmst,sy,tx->cmyx", small, reduction, reduction)
        return self

    def decision_function(self, X: Array) -> Array:
        """[N, 2, y, x] -> [N, C], also for two classes and for one."""
        return np.tensordot(X.astype(np.float64), self.weight_, ((1, 2, 3), (1, 2, 3))) + self.bias_

    def predict(self, X: Array) -> Array:
        """[N, 2, y, x] -> [N]."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(1)])

    def _choose(self, flow: Array, labels: Array, subjects: Array) -> tuple[int, float]:
        """Size and strength with the best held-out macro F1; the smaller of each on a tie."""
        sizes, strengths = sorted(self.sizes), sorted(self.strengths)
        folds = min(INNER_FOLDS, len(np.unique(subjects)))
        if folds < 2:
            return sizes[len(sizes) // 2], strengths[len(strengths) // 2]
        splits = list(GroupKFold(folds).split(labels, labels, subjects))
        best, chosen = -1.0, (sizes[0], strengths[0])
        for size in sizes:
            reduced = _reduce(flow, size)
            for strength in strengths:
                score = _held_out_f1(reduced, labels, strength, splits)
                if score > best:
                    best, chosen = score, (size, strength)
        return chosen


def mirrored(flow: Array) -> Array:
    """The flow [N, 2, y, x] of the mirrored face: columns reversed, u negated."""
    turned = flow[..., ::-1].copy()
    turned[:, U] *= -1
    return turned


def area_matrix(length: int, size: int) -> Array:
    """float64 [size, length]: averages ``length`` pixels over ``size`` equal stretches of them.

    Pixels on a border count for the part of them that lies inside, as in OpenCV's INTER_AREA.
    """
    edges = np.linspace(0, length, size + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(overlap.clip(min=0) * size / length)


def _reduce(flow: Array, size: int) -> Array:
    """[V, N, 2, y, x] -> [V, N, F]."""
    matrix = area_matrix(flow.shape[-1], size)
    return rearrange(matrix @ flow @ matrix.T, "v n m s1 s2 -> v n (m s1 s2)")


def _held_out_f1(
    reduced: Array, labels: Array, strength: float, splits: Sequence[tuple[Array, Array]]
) -> float:
    """Macro F1 of all clips pooled, each predicted as stored by a fit without its subject."""
    held_out = np.empty_like(labels)
    for train, rest in splits:
        weight, bias = _regress(reduced[:, train], labels[train], strength)
        scores = reduced[0, rest] @ weight.T + bias
        held_out[rest] = np.unique(labels[train])[scores.argmax(axis=1)]
    return float(f1_score(labels, held_out, average="macro", zero_division=0))


def _regress(reduced: Array, labels: Array, strength: float) -> tuple[Array, Array]:
    """Weights [C, F] and bias [C] on unscaled features, from [V, N, F] and labels [N]."""
    rows = rearrange(reduced, "v n f -> (v n) f")
    present = np.unique(labels)
    if len(present) == 1:
        return np.zeros((1, rows.shape[1])), np.zeros(1)
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=MOST_ITERATIONS)
    model.fit(scaler.transform(rows), np.tile(labels, len(reduced)))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:
        # scikit-learn gives one row for two classes: the log odds of the second.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = coefficients / scaler.scale_
    return weight, intercepts - weight @ scaler.mean_
