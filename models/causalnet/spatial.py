"""A CausalNet with real places, trained on drawn motion and frozen, and a linear classifier.

Paper: none; the idea is CausalNet's (ICCV 2025, arXiv 2508.06640), with tokens that are places.
Source of facts: this suite's own measurements.
Licence of the original: none; this file is under the suite's.
Departures from CausalNet: see models/causalnet/places.py. By default CMPLM is left out.

The network has seen drawn motion only (``training/pretrain_on_motion.py``), no person. Its features
of a clip and of the mirrored clip are averaged, so that a face and its mirror image are the same
face. A multinomial logistic regression on them, whose strength is chosen inside the fold, is all
that is fitted. As both phases are summed first, the second map holds nothing of its own, and
what this method gains is no evidence for causal learning.

Legend of dimensions: N clips, F features, C classes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from common.errors import UserError
from common.owned_folder import check_unchanged
from models.au_kernel import fit_in_kernel_space
from models.au_network import one_thread
from models.causalnet.places import Parts, PlacesNetwork
from models.checkpoint import as_arrays, load_into, load_weights

input = "maps"
preparation = {"affine": True, "rms": True, "phase_sum": True}
cost = "a minute for the 442 released clips, one core"

SHIPPED = Path(__file__).resolve().parents[2] / "weights/causalnet_spatial"
WEIGHTS_NAME = "causalnet.safetensors"
BATCH = 64
"""Clips that go through the network together."""

Maps = NDArray[np.float32]
Array = NDArray[np.floating]


def build(parts: Parts = "cab", weights: str = "") -> "FrozenPlaces":
    """The classifier; see ``FrozenPlaces``. Given weights are read once, to refuse them early."""
    if weights:
        read_network(parts, weights)
    return FrozenPlaces(parts, weights)


def features(clips: Maps) -> Maps:
    """Prepared maps [N, 4, 3, 28, 28] as they are."""
    return clips


class FrozenPlaces(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on the features of a frozen network of places.

    Args:
        parts: which of CMPLM and CAB the network has; each has weights of its own.
        weights: file of the network's weights; empty for the shipped ones.

    Attributes:
        classes_: the labels seen in training, [C].
        strength_: the chosen C of the logistic regression.
        inner_losses_: held-out class-balanced log loss of each strength; empty where there was
            nothing to choose by.
        mean_, scale_: of the training clips' features, [F], and the root of the mean squared
            length of what is left.
        weight_: [F, C], and ``intercept_`` [C].
        network_: weights of the network.
    """

    def __init__(self, parts: Parts = "cab", weights: str = "") -> None:
        self.parts = parts
        self.weights = weights

    def fit(self, X: Maps, y: NDArray[np.integer], groups: NDArray[np.str_]) -> "FrozenPlaces":
        """Fit on a fold's training clips.

        Args:
            X: prepared maps [N, 4, 3, 28, 28].
            y: labels, [N].
            groups: "dataset/subject" of each clip; the strength is chosen on subjects that the
                regression was not fitted on, drawn evenly from the datasets.

        Raises:
            UserError: the network's weights cannot be read.
        """
        self.classes_, labels = np.unique(y, return_inverse=True)
        with one_thread():
            self.network_ = read_network(self.parts, self.weights)
            read = self._read(X)
            self.mean_ = read.mean(axis=0)
            centered = read - self.mean_
            self.scale_ = float(np.sqrt(np.square(centered).sum(axis=1).mean())) or 1.0
            centered /= self.scale_
            fitted = fit_in_kernel_space(centered @ centered.T, labels, groups)
            self.inner_losses_, self.strength_ = fitted.inner_losses, fitted.strength
            self.weight_, self.intercept_ = centered.T @ fitted.dual, fitted.intercept
        return self

    def decision_function(self, X: Maps) -> Array:
        """Logits [N, C] of prepared maps [N, 4, 3, 28, 28]."""
        with one_thread():
            centered = (self._read(X) - self.mean_) / self.scale_
            logits: Array = centered @ self.weight_ + self.intercept_
        return logits

    def predict_proba(self, X: Maps) -> Array:
        """Probabilities [N, C]."""
        return np.asarray(softmax(self.decision_function(X), axis=1))

    def predict(self, X: Maps) -> NDArray[np.int64]:
        """The likeliest class of each clip, [N]."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])

    def _read(self, maps: Maps) -> NDArray[np.float64]:
        """Features [N, F]: the mean over the clip and its mirror image."""
        network = PlacesNetwork(self.parts).eval()
        tensors = {name: torch.from_numpy(value) for name, value in self.network_.items()}
        network.load_state_dict(tensors)
        ways = [maps, mirrored_maps(maps)]
        with torch.inference_mode():
            read = [_features(network, way).astype(np.float64) for way in ways]
        return np.asarray((read[0] + read[1]) / 2)


def read_network(parts: Parts, weights: str = "") -> dict[str, NDArray[Any]]:
    """The network's weights by name, as stored; the shipped ones where no file is given.

    Raises:
        UserError: the file is absent or unreadable, or its weights are of other parts.
    """
    network = PlacesNetwork(parts)
    path = Path(weights) if weights else SHIPPED / parts / WEIGHTS_NAME
    if not weights and not path.is_file():
        raise UserError(
            f"{path} is missing, and only those of cab are shipped. Make it with python -m "
            f"training.pretrain_on_motion --network causalnet_spatial --parts {parts}."
        )
    check_unchanged(path.parent, [path])
    state = load_weights(path)
    load_into(network, state, path)
    return as_arrays(state)


def mirrored_maps(maps: Maps) -> Maps:
    """Prepared maps [N, 4, 3, 28, 28] of the mirrored face: columns reversed, u and cosine negated.

    Exact where u and v were changed (``affine``, ``rms``, ``phase_sum``).
    """
    turned = maps[..., ::-1].copy()
    turned[:, :2, 2] *= -1
    turned[:, 2:, 0] *= -1
    return turned


def _features(network: PlacesNetwork, maps: Maps) -> NDArray[np.float32]:
    batches = torch.from_numpy(np.ascontiguousarray(maps)).split(BATCH)
    read: NDArray[np.float32] = torch.cat([network.features(batch) for batch in batches]).numpy()
    return read
