"""Kernel classifier on summed phases: linear, orientation, features of a network of drawn motion.

Paper: none; found by measurement on the released maps of the MEGC2019 composite.
Source of facts: this suite's own measurements.
Licence of the original: none; this file is under the suite's.

Three kernels compare two clips' motion, each in four ways, as stored or mirrored, so that a face
and its mirror image are the same face:

1. linear: inner products of the motion at 14 x 14 pixels.
2. orientation: how much moves in each of 8 directions, roughly where; Gaussian kernel.
3. au_network: features of a network that reads facial muscles (``models/au_network.py``) and has
   seen drawn motion only; Gaussian kernel.

Each is scaled to a mean diagonal of 1 over the training clips; their mean goes to a multinomial
logistic regression, whose strength is chosen inside the fold. Nothing sees a test clip.

A fitted estimator holds the prepared motion of its training clips, at 28 x 28 pixels: who may not
pass on the clips' maps may not pass on the fitted estimator.

Legend of dimensions: N, M clips, W ways of seeing a clip (as stored, mirrored), F features,
C classes, E eigenvectors.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from einops import rearrange
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances

from common.errors import UserError
from models.au_network import (
    SHIPPED,
    Weights,
    area_half,
    load_weights,
    mirrored,
    one_thread,
    read_features,
    read_units,
    summed_motion,
)

input = "maps"
preparation = {"affine": True, "rms": True, "phase_sum": True}
cost = "under a minute for the 442 released clips, one core"
features = summed_motion

ORIENTATIONS, SHARPNESS = 8, 3
ORIENTATION_SIDE, ORIENTATION_BLUR = 10, 1.5
"""Places along a side, and the blur in pixels."""
MOST_EIGENVECTORS = 300
SMALLEST_EIGENVALUE = 1e-9
"""Relative to the largest; smaller ones are rounding."""
STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
INNER_FOLDS = 4
ABSENT_LOGIT = -1e4
"""Of a class that the other inner folds lack: below all others."""
MOST_ITERATIONS, TOLERANCE = 5_000, 1e-5

Array = NDArray[np.floating]


def build(
    linear: bool = True,
    orientation: bool = True,
    au_network: bool = True,
    weights: str = "",
) -> "AuKernel":
    """The classifier; see ``AuKernel``. Given weights are read once, to refuse them early."""
    if weights and au_network:
        load_weights(Path(weights))
    return AuKernel(linear, orientation, au_network, weights)


class AuKernel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Mean of mirror-invariant kernels, and logistic regression in its feature space.

    Args:
        linear, orientation, au_network: which kernels take part; at least one.
        weights: file of the AU network's weights; empty for the shipped ones.

    Attributes:
        classes_: the labels seen in training, [C].
        strength_: the chosen C of the logistic regression.
        inner_losses_: held-out class-balanced log loss of each strength; empty where there was
            nothing to choose by.
        motion_: of the training clips, [M, 2, 28, 28].
        features_: of the training clips, by kernel [W, M, F]; ``bandwidths_`` of the Gaussian
            kernels and ``scales_``. Made of ``motion_``, and not stored.
        dual_: [M, C], and ``intercept_`` [C]: a clip's logits are its kernel with the training
            clips times these.
        network_: weights of the AU network.
    """

    def __init__(
        self,
        linear: bool = True,
        orientation: bool = True,
        au_network: bool = True,
        weights: str = "",
    ) -> None:
        self.linear, self.orientation, self.au_network = linear, orientation, au_network
        self.weights = weights

    def fit(
        self, X: NDArray[np.float32], y: NDArray[np.integer], groups: NDArray[np.str_]
    ) -> "AuKernel":
        """Fit on a fold's training clips.

        Args:
            X: motion [M, 2, 28, 28]: u and v of the summed phases, of RMS 1.
            y: labels, [M].
            groups: "dataset/subject" of each clip; the strength is chosen on subjects that the
                regression was not fitted on, drawn evenly from the datasets.

        Raises:
            UserError: no kernel takes part, or the network's weights cannot be read.
        """
        names = self._members()
        self.classes_, labels = np.unique(y, return_inverse=True)
        with one_thread():
            self.network_ = load_weights(Path(self.weights or SHIPPED)) if self.au_network else {}
            self.motion_ = np.asarray(X)
            self.features_ = both_ways(X, names, self.network_)
            fitted = fit_in_kernel_space(self._fit_kernel(), labels, groups)
        self.inner_losses_, self.strength_ = fitted.inner_losses, fitted.strength
        self.dual_, self.intercept_ = fitted.dual, fitted.intercept
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "features_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "motion_" in state:
            with one_thread():
                self.features_ = both_ways(self.motion_, self._members(), self.network_)

    def read_units(self, X: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """What the AU network reads from motion [N, 2, 28, 28], [N, 16]; None without a network."""
        if not self.network_:
            return None
        with one_thread():
            return read_units(X, self.network_)

    def decision_function(self, X: NDArray[np.float32]) -> Array:
        """Logits [N, C] of motion [N, 2, 28, 28]."""
        with one_thread():
            features = both_ways(X, list(self.features_), self.network_)
            kernel = np.mean([self._kernel(*named) for named in features.items()], axis=0)
            logits: Array = kernel @ self.dual_ + self.intercept_
        return logits

    def predict_proba(self, X: NDArray[np.float32]) -> Array:
        """Probabilities [N, C]."""
        return np.asarray(softmax(self.decision_function(X), axis=1))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:
        """The likeliest class of each clip, [N]."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])

    def _members(self) -> list[str]:
        names = [name for name in ("linear", "orientation", "au_network") if getattr(self, name)]
        if not names:
            raise UserError(
                "au_kernel has no kernel left: leave in linear, orientation or au_network."
            )
        return names

    def _fit_kernel(self) -> Array:
        """Set bandwidths and scales from the training clips; their mean kernel [M, M]."""
        self.bandwidths_ = {
            name: float(np.square(features, dtype=np.float64).sum(axis=-1).mean())
            for name, features in self.features_.items()
            if name != "linear"
        }
        self.scales_ = dict.fromkeys(self.features_, 1.0)
        kernels = {name: self._kernel(name, own) for name, own in self.features_.items()}
        for name, kernel in kernels.items():
            self.scales_[name] = float(np.diag(kernel).mean()) or 1.0
        return np.mean([kernel / self.scales_[name] for name, kernel in kernels.items()], axis=0)

    def _kernel(self, name: str, features: NDArray[np.float32]) -> Array:
        """One kernel [N, M] of clips, from their features [W, N, F], with the training clips."""
        bandwidth = self.bandwidths_.get(name, 0.0)
        return invariant_kernel(features, self.features_[name], bandwidth) / self.scales_[name]


def both_ways(
    motion: Array, names: Sequence[str], network: Weights
) -> dict[str, NDArray[np.float32]]:
    """Features [W, N, F] of motion [N, 2, 28, 28] for the named kernels."""
    readers = {
        "linear": lambda seen: area_half(seen).reshape(len(seen), -1),
        "orientation": read_orientations,
        "au_network": lambda seen: read_features(seen, network),
    }
    ways = motion, mirrored(motion)
    return {name: np.stack([readers[name](seen) for seen in ways]) for name in names}


def read_orientations(motion: Array) -> NDArray[np.float32]:
    """How much moves in each of 8 directions at 10 x 10 places, [N, 800].

    Magnitude times max(cos(angle - direction), 0)^3, blurred and sampled every 2.8 pixels.
    """
    angles = 2 * np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = np.einsum("oc,ncyx->noyx", directions, motion).clip(min=0)
    magnitude = np.linalg.norm(motion, axis=1)[:, None].clip(min=np.finfo(np.float32).tiny)
    maps = along * (along / magnitude) ** (SHARPNESS - 1)
    blur = blur_matrix(motion.shape[-1], ORIENTATION_SIDE, ORIENTATION_BLUR)
    return rearrange(blur @ maps @ blur.T, "n o y x -> n (o y x)").astype(np.float32)


def blur_matrix(length: int, places: int, deviation: float) -> Array:
    """Gaussian means of ``length`` pixels around ``places`` evenly spread points, [places, length].

    The points are the centers of equal stretches; at the border the weights still add to 1.
    """
    centers = (np.arange(places) + 0.5) * length / places - 0.5
    weights = np.exp(-0.5 * ((np.arange(length) - centers[:, None]) / deviation) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def invariant_kernel(
    first: NDArray[np.float32], second: NDArray[np.float32], bandwidth: float
) -> Array:
    """Mean over the ways of seeing both clips, [W, N, F] and [W, M, F] -> [N, M].

    exp(-d^2 / (2 bandwidth)) of the distance d; with bandwidth 0 the inner product.
    """
    rows, columns = (
        rearrange(features, "w n f -> (w n) f").astype(np.float64) for features in (first, second)
    )
    if bandwidth:
        kernel = np.exp(euclidean_distances(rows, columns, squared=True) / (-2 * bandwidth))
    else:
        kernel = rows @ columns.T
    ways = rearrange(kernel, "(w n) (v m) -> w v n m", w=len(first), v=len(second))
    # Equal ways first, so that mirroring a clip swaps summands and changes no bit.
    return ((ways[0, 0] + ways[1, 1]) + (ways[0, 1] + ways[1, 0])) / 4


class KernelFit(NamedTuple):
    """A logistic regression in a kernel's space; a clip's logits are its kernel with the N training
    clips times ``dual`` [N, C], plus ``intercept`` [C]. ``strength`` is the chosen C."""

    dual: Array
    intercept: Array
    strength: float
    inner_losses: Array


def fit_in_kernel_space(
    kernel: Array, labels: NDArray[np.integer], groups: NDArray[np.str_]
) -> KernelFit:
    """Fit on the training clips' kernel [N, N], the strength chosen on inner folds of the subjects.

    Args:
        labels: 0 to C - 1, each of which occurs, [N].
        groups: "dataset/subject" of each clip, [N].
    """
    basis = kernel_basis(kernel)
    coordinates = kernel @ basis
    losses, strength = choose_strength(coordinates, labels, inner_folds(groups))
    weight, intercept = regress(coordinates, labels, strength, len(np.unique(labels)))
    return KernelFit(basis @ weight.T, intercept, strength, losses)


def kernel_basis(kernel: Array) -> Array:
    """[M, E] such that kernel [N, M] times it are coordinates whose inner products are the kernel.

    The eigenvectors of the training clips' kernel [M, M], by the roots of their eigenvalues.
    """
    values, vectors = np.linalg.eigh(kernel)
    values, vectors = values[::-1][:MOST_EIGENVECTORS], vectors[:, ::-1][:, :MOST_EIGENVECTORS]
    kept = values > SMALLEST_EIGENVALUE * max(values[0], SMALLEST_EIGENVALUE)
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]))


def inner_folds(groups: NDArray[np.str_]) -> NDArray[np.int64]:
    """The inner fold of each clip, [M]; a subject's clips share one.

    In each dataset the subject with the most clips goes first, each to the fold that has the
    fewest clips of the dataset (then of all), so that every fold holds its part of every dataset.
    """
    clips = Counter(map(str, groups))
    own: Counter[tuple[str, int]] = Counter()
    total: Counter[int] = Counter()
    fold_of = {}
    for group, count in sorted(clips.items(), key=lambda item: (-item[1], item[0])):
        dataset = group.partition("/")[0]
        fold = min(range(INNER_FOLDS), key=lambda fold: (own[dataset, fold], total[fold], fold))
        own[dataset, fold] += count
        total[fold] += count
        fold_of[group] = fold
    return np.array([fold_of[str(group)] for group in groups])


def choose_strength(
    coordinates: Array, labels: NDArray[np.integer], folds: NDArray[np.int64]
) -> tuple[Array, float]:
    """Held-out loss of each strength, and the strength with the least; the smaller one on a tie.

    Labels are 0 to C - 1, and each occurs. With one training subject or one class nothing can be
    chosen: the middle one is taken.
    """
    held_out, classes = np.unique(folds), int(labels.max()) + 1
    if len(held_out) < 2 or classes < 2:
        return np.empty(0), STRENGTHS[len(STRENGTHS) // 2]
    losses = []
    for strength in STRENGTHS:
        logits = np.empty((len(labels), classes))
        for fold in held_out:
            train, rest = folds != fold, folds == fold
            weight, bias = regress(coordinates[train], labels[train], strength, classes)
            logits[rest] = coordinates[rest] @ weight.T + bias
        losses.append(balanced_log_loss(logits, labels))
    return np.array(losses), STRENGTHS[int(np.argmin(losses))]


def balanced_log_loss(logits: Array, labels: NDArray[np.integer]) -> float:
    """Mean over the classes that occur of the mean negative log probability of their clips."""
    losses = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
    return float(np.mean([losses[labels == label].mean() for label in np.unique(labels)]))


def regress(
    coordinates: Array, labels: NDArray[np.integer], strength: float, classes: int
) -> tuple[Array, Array]:
    """Weights W [C, E] and intercepts [C] of a class-weighted multinomial logistic regression.

    They minimize the sum over clips of n / (c n_c) times the cross entropy, plus |W|^2 / (2
    strength), where n_c of the n clips are of a clip's class and c classes occur.
    """
    present = np.unique(labels)
    weight, bias = np.zeros((classes, coordinates.shape[1])), np.full(classes, ABSENT_LOGIT)
    bias[present] = 0
    if len(present) == 1:
        return weight, bias
    # For two classes scikit-learn has one row of weights, w, that stands for the two rows w / 2 and
    # -w / 2; these have half its squared length, so that the same penalty takes twice the strength.
    two = len(present) == 2
    model = LogisticRegression(
        C=2 * strength if two else strength,
        class_weight="balanced",
        tol=TOLERANCE,
        max_iter=MOST_ITERATIONS,
    ).fit(coordinates, labels)
    coefficients, intercepts = model.coef_, model.intercept_
    if two:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight[present], bias[present] = coefficients, intercepts
    return weight, bias
