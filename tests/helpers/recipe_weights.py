"""The weight recipe that the stored outputs of the convolution networks were made with."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

SMALL_NAMES = ("pos_embed", "cls_token", "mask_token", "decoder_pos_embed", "timeembed")


def recipe_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights for the entries of a state dict, by place in the order."""
    return {name: _drawn(place, name, value) for place, (name, value) in enumerate(state.items())}


def _drawn(place: int, name: str, value: Tensor) -> Tensor:
    last = name.split(".")[-1]
    if last == "num_batches_tracked":
        return torch.zeros_like(value)
    r = np.random.RandomState(1000 + place).standard_normal(size=tuple(value.shape))
    if last == "running_var":
        r = 1 + 0.1 * np.abs(r)
    elif last == "g" or (last == "weight" and value.ndim == 1):
        r = 1 + 0.1 * r
    elif last in ("b", "bias", "running_mean", *SMALL_NAMES) or value.ndim <= 1:
        r = 0.1 * r
    else:
        r = r / np.sqrt(np.prod(value.shape[1:]))
    return torch.from_numpy(np.asarray(r, dtype=np.float32))
