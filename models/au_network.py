"""The AU network: which facial muscles move, read from a motion field of 14 x 14 pixels.

It has been trained on drawn motion alone (``training/au_network.py``), never on a person, so that
its features are safe in every fold of every protocol. It is frozen: methods use its features or
its activations and train nothing of it.

Legend of dimensions: N clips, y and x places, F features (96 channels at 4 x 4 places).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from einops import reduce
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from common.action_units import ACTION_UNITS, ACTIVATIONS, GAZE_PLACE, SIDES
from common.owned_folder import check_unchanged
from models import checkpoint

WEIGHTS_NAME = "au_network.safetensors"
SHIPPED = Path(__file__).resolve().parent.parent / "weights/au_network" / WEIGHTS_NAME
SIDE = 14
"""Of the network's input in pixels."""
FEATURES = 96 * 4 * 4
DROPOUT = 0.1
U, V = 0, 1
"""Channels of a motion field: to the right, downwards."""

Weights = Mapping[str, NDArray[np.floating]]


class AuNetwork(nn.Module):
    """Three convolutions and two linear layers, 376,800 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(2, 32, kernel_size=5, padding="same"),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding="same"),
            nn.GELU(),
            nn.Conv2d(64, 96, kernel_size=3, padding="same"),
            nn.GELU(),
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Flatten(),
        )
        self.head = nn.Sequential(
            nn.Dropout(DROPOUT),
            nn.Linear(FEATURES, 192),
            nn.GELU(),
            nn.Dropout(DROPOUT),
            nn.Linear(192, ACTIVATIONS),
        )

    def forward(self, motion: Tensor) -> Tensor:
        """Motion [N, 2, 14, 14] of RMS 1 -> signed activations in units of their spread, [N, 32]:
        the first unit's left and right side (of the picture), then the second unit's."""
        activations: Tensor = self.head(self.convolutions(motion))
        return activations


def load_weights(path: Path = SHIPPED) -> dict[str, NDArray[np.floating]]:
    """The weights of a file made by ``training/au_network.py``, as stored (float16).

    Raises:
        UserError: the file is absent, unreadable, changed, or not of this network.
    """
    check_unchanged(path.parent, [path])
    state = checkpoint.load_weights(path)
    checkpoint.load_into(AuNetwork(), state, path)
    return checkpoint.as_arrays(state)


def summed_motion(clips: NDArray[np.float32]) -> NDArray[np.float32]:
    """u and v of the summed phases, [N, 2, 28, 28], from prepared maps [N, 4, 3, 28, 28], whose
    channels are strain, v, u."""
    return clips[:, 0, [2, 1]]


def area_half(motion: NDArray[np.floating]) -> NDArray[np.float32]:
    """Motion [N, 2, 28, 28] reduced by area to [N, 2, 14, 14]."""
    halved = reduce(motion, "n c (y s) (x t) -> n c y x", "mean", y=SIDE, x=SIDE)
    return np.ascontiguousarray(halved, dtype=np.float32)


def read_features(motion: NDArray[np.floating], weights: Weights) -> NDArray[np.float32]:
    """Motion [N, 2, 28, 28] (u, v) -> outputs of the last convolution, [N, F]."""
    return _run(_network(weights).convolutions, motion)


def read_activations(motion: NDArray[np.floating], weights: Weights) -> NDArray[np.float32]:
    """Motion [N, 2, 28, 28] (u, v) -> activations by unit and side of the picture, [N, 16, 2]."""
    return _run(_network(weights), motion).reshape(-1, len(ACTION_UNITS), len(SIDES))


def read_sides(motion: NDArray[np.floating], weights: Weights) -> NDArray[np.float32]:
    """``read_activations``, the mean of what is read from the face and from its mirror image."""
    own, turned = (read_activations(seen, weights) for seen in (motion, mirrored(motion)))
    swapped = turned[..., ::-1].copy()
    swapped[:, GAZE_PLACE] *= -1
    return np.float32(0.5) * (own + swapped)


def read_units(motion: NDArray[np.floating], weights: Weights) -> NDArray[np.float64]:
    """Activation of each action unit in motion [N, 2, 28, 28] (u, v), [N, 16]: both sides' mean."""
    return np.asarray(read_sides(motion, weights).mean(axis=-1, dtype=np.float64))


def mirrored(motion: NDArray[np.floating]) -> NDArray[np.floating]:
    """The motion [N, 2, y, x] of the mirrored face: columns reversed, u negated."""
    signs = np.array([-1, 1], dtype=motion.dtype)
    return motion[..., ::-1] * signs[:, None, None]


@contextmanager
def one_thread() -> Iterator[None]:
    """Arithmetic in one thread, so that its bytes depend on no setting; faster at these sizes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def _network(weights: Weights) -> AuNetwork:
    network = AuNetwork().eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return network


def _run(layers: nn.Module, motion: NDArray[np.floating]) -> NDArray[np.float32]:
    with torch.inference_mode():
        output: NDArray[np.float32] = layers(torch.from_numpy(area_half(motion))).numpy()
    return output
