"""The weight recipe and the input that the stored CausalNet outputs were made with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datasets import Preparation, prepare, read_inputs

GOLDEN = Path(__file__).parent.parent / "golden"


def read_golden(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return content


def recipe_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """float32 weights for the entries of a CausalNet state dict, by place in the order."""
    return {name: _drawn(place, name, value) for place, (name, value) in enumerate(state.items())}


def _drawn(place: int, name: str, value: Tensor) -> Tensor:
    last = name.split(".")[-1]
    if last in ("M_mask", "P_matrix"):
        return value
    r = np.random.RandomState(1000 + place).standard_normal(size=tuple(value.shape))
    if last == "g" or (last == "weight" and value.ndim == 1):
        r = 1 + 0.1 * r
    elif last in ("b", "bias") or value.ndim <= 1:
        r = 0.1 * r
    else:
        r = r / np.sqrt(np.prod(value.shape[1:]))
    return torch.from_numpy(r.astype(np.float32))


def golden_maps() -> Tensor:
    """float32 [2, 4, 3, 28, 28]."""
    values = np.random.RandomState(7).uniform(0, 255, size=(2, 4, 3, 28, 28))
    return torch.from_numpy(values.astype(np.float32))


def real_maps(folder: Path, stems: list[str]) -> Tensor:
    """The published preparation of released clips, float64 [N, 4, 3, 28, 28]."""
    inputs = read_inputs(folder)
    places = [inputs.clips["stem"].tolist().index(stem) for stem in stems]
    prepared = prepare(inputs.maps[places], Preparation(regions=True))[0]
    return torch.from_numpy(prepared).double()
