"""Logistic regression on the onset-apex flow: the baseline that networks should be held against.

The u and v of the first map (which the preparation centers), reduced by area to s x s pixels and
standardised; the training clips in all their views (the preparation mirrors them); class weights.
Size s and strength C are chosen inside the fold: on subjects held out of the training clips, by
the pooled macro F1.

Area reduction and standardisation are linear, so the fitted model is one linear layer on the map.

Legend of dimensions: V views, N clips, y and x places of the map, s side after reduction, C
classes, F features (2 s s).
"""

from collections.abc import Sequence

import numpy as np
import torch
from einops import rearrange
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from models.fitted_model import FittedModel

FLOW_CHANNELS = slice(1, 3)
"""v and u; channel 0 is the strain."""
INNER_FOLDS = 5
MOST_ITERATIONS = 2_000
ABSENT_LOGIT = -1e4
"""Of a class without a training clip: below all others."""


class LinearClassifier(FittedModel):
    """One linear layer from the onset-apex flow to the logits.

    Args:
        classes: logits C.
        image_size: side of a map in pixels.
        sizes: sides s to choose from, in pixels.
        strengths: values of scikit-learn's C to choose from; smaller is smoother.
    """

    def __init__(
        self,
        classes: int = 3,
        image_size: int = 28,
        sizes: Sequence[int] = (7, 10, 14),
        strengths: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    ) -> None:
        super().__init__()
        self.classes, self.image_size = classes, image_size
        self.sizes, self.strengths = tuple(sorted(sizes)), tuple(sorted(strengths))
        self.layer = nn.Linear(2 * image_size**2, classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, 4, 3, y, x] -> logits [N, C]."""
        logits: Tensor = self.layer(maps[:, 0, FLOW_CHANNELS].flatten(1))
        return logits

    def fit(self, views: Tensor, labels: np.ndarray, subjects: np.ndarray) -> None:
        """See ``FittedModel``; with one training subject nothing can be chosen: the middle of each
        list is taken."""
        flow = views[:, :, 0, FLOW_CHANNELS].cpu().numpy().astype(np.float64)
        # On matrices this small more threads only take longer, and would change the bytes.
        with threadpool_limits(limits=1):
            size, strength = self._choose(flow, labels, subjects)
            weight, bias = _regress(_reduce(flow, size), labels, strength, self.classes)
        reduction = area_matrix(self.image_size, size)
        small = rearrange(weight, "c (m s1 s2) -> c m s1 s2", m=2, s1=size)
        full = np.einsum("cmst,sy,tx->cmyx", small, reduction, reduction)
        with torch.no_grad():
            self.layer.weight.copy_(torch.from_numpy(full).flatten(1))
            self.layer.bias.copy_(torch.from_numpy(bias))

    def _choose(
        self, flow: np.ndarray, labels: np.ndarray, subjects: np.ndarray
    ) -> tuple[int, float]:
        """Size and strength with the best held-out macro F1; the smaller of each on a tie."""
        folds = min(INNER_FOLDS, len(np.unique(subjects)))
        if folds < 2:
            return self.sizes[len(self.sizes) // 2], self.strengths[len(self.strengths) // 2]
        splits = list(GroupKFold(folds).split(labels, labels, subjects))
        best, chosen = -1.0, (self.sizes[0], self.strengths[0])
        for size in self.sizes:
            features = _reduce(flow, size)
            for strength in self.strengths:
                score = self._held_out_f1(features, labels, strength, splits)
                if score > best:
                    best, chosen = score, (size, strength)
        return chosen

    def _held_out_f1(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        strength: float,
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> float:
        """Macro F1 of all clips pooled, each predicted as stored by a fit without its subject."""
        held_out = np.empty_like(labels)
        for train, rest in splits:
            weight, bias = _regress(features[:, train], labels[train], strength, self.classes)
            held_out[rest] = (features[0, rest] @ weight.T + bias).argmax(axis=1)
        return float(f1_score(labels, held_out, average="macro", zero_division=0))


def area_matrix(length: int, size: int) -> np.ndarray:
    """float64 [size, length]: averages ``length`` pixels over ``size`` equal stretches of them.

    Pixels on a border count for the part of them that lies inside, as in OpenCV's INTER_AREA.
    """
    edges = np.linspace(0, length, size + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(min=0) * size / length


def _reduce(flow: np.ndarray, size: int) -> np.ndarray:
    """[V, N, 2, y, x] -> [V, N, F]."""
    matrix = area_matrix(flow.shape[-1], size)
    return rearrange(matrix @ flow @ matrix.T, "v n m s1 s2 -> v n (m s1 s2)")


def _regress(
    features: np.ndarray, labels: np.ndarray, strength: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [C, F] and bias [C] on unscaled features, from [V, N, F] and labels [N]."""
    rows = rearrange(features, "v n f -> (v n) f")
    weight, bias = np.zeros((classes, rows.shape[1])), np.full(classes, ABSENT_LOGIT)
    present = np.unique(labels)
    if len(present) == 1:
        bias[present] = 0
        return weight, bias
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=MOST_ITERATIONS)
    model.fit(scaler.transform(rows), np.tile(labels, len(features)))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:
        # scikit-learn gives one row for two classes: the log odds of the second.
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight[present] = coefficients / scaler.scale_
    bias[present] = intercepts - weight[present] @ scaler.mean_
    return weight, bias
