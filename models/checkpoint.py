"""Weights on disk: read without running code, describe, and fit into a model, or say why not.

``read_geometry`` and ``read_gamma`` read names and shapes of the published CausalNet state dict.
"""

import pickle
from collections.abc import Mapping
from math import isclose, isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import UserError, name_list

GAMMA_TOLERANCE = 1e-6
NAMES_SHOWN = 3


def load_weights(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read a state dict onto ``device``; a file that wants to run code is not run.

    Raises:
        UserError: the file is missing, truncated, not torch's, would run code, or holds anything
            but named tensors.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file; give the weights of one subject, <subject>.pth.")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it holds more than tensors, so that reading it could run code, "
            f"or is not a weights file ({_first_sentence(error)}). Save its state dict alone."
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged file makes torch raise nearly anything
        raise UserError(
            f"{path} cannot be read as weights ({_first_sentence(error)}). It may be truncated; "
            "fetch or write it again."
        ) from None
    return _checked_state(content, path)


def _first_sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].split(". ")[0][:160]


def _checked_state(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise UserError(
            f"{path} is refused: it holds a {type(content).__name__}, not a state dict with "
            "entries. Save model.state_dict()."
        )
    other = [name for name, value in content.items() if not _is_named_tensor(name, value)]
    if other:
        raise UserError(
            f"{path} is refused: {_shortened(other)} is not a named tensor, so the file is not a "
            "state dict. Save model.state_dict() alone."
        )
    return dict(content)


def _is_named_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _shortened(names: list[Any]) -> str:
    shown = name_list(names[:NAMES_SHOWN])
    hidden = len(names) - NAMES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def read_gamma(state: Mapping[str, Tensor]) -> float:
    """The gamma that the checkpoint's ``P_matrix`` buffers were built with.

    Raises:
        UserError: no ``P_matrix``, or several that disagree or have another form.
    """
    gammas = [_gamma_of_penalty(value, name) for name, value in state.items() if _is_penalty(name)]
    if not gammas:
        raise UserError("the weights hold no P_matrix, so they tell no gamma.")
    if any(not isclose(gamma, gammas[0], abs_tol=GAMMA_TOLERANCE) for gamma in gammas):
        raise UserError(
            f"the weights' P_matrix entries disagree on gamma: {name_list(sorted(set(gammas)))}."
        )
    return gammas[0]


def _is_penalty(name: str) -> bool:
    return name.split(".")[-1] == "P_matrix"


def _gamma_of_penalty(penalty: Tensor, name: str) -> float:
    """P holds -(key + 1) * gamma on its anti-diagonal (specification, 2.3)."""
    if penalty.ndim != 2 or penalty.shape[0] != penalty.shape[1]:
        raise UserError(f"{name} has shape {list(penalty.shape)}, not a square; it tells no gamma.")
    side = penalty.shape[0]
    key = torch.arange(side, 0, -1, dtype=torch.float64) - 1
    anti_diagonal = penalty.detach().cpu().double().flip(1).diagonal()
    gammas = -anti_diagonal / (key + 1)
    if not bool((gammas - gammas[0]).abs().max() <= GAMMA_TOLERANCE):
        raise UserError(f"{name} is not of the form -(key + 1) * gamma, so it tells no gamma.")
    return round(float(gammas.mean()), 6)


def check_gamma(state: Mapping[str, Tensor], gamma: float, source: object) -> None:
    """Refuse weights that were trained with another gamma than the one asked for.

    Raises:
        UserError: the two differ, or the weights tell none.
    """
    stored = read_gamma(state)
    if not isclose(stored, gamma, abs_tol=GAMMA_TOLERANCE):
        raise UserError(
            f"{source} was trained with gamma {stored:g}, but gamma {gamma:g} is asked for. "
            f"Ask for gamma {stored:g}, or give weights trained with {gamma:g}."
        )


def read_geometry(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The ``create_model("causalnet", ...)`` arguments that names and shapes tell.

    ``heads`` is not among them: where a block holds one token the shapes do not tell it.

    Raises:
        UserError: an entry that is needed is missing, or has a shape of another kind.
    """
    embedding = _shape(state, "to_patch_embedding.1.weight", dimensions=4)
    hidden, classes = _shape(state, "mlp_head.1.weight", dimensions=2)[::-1]
    patch = isqrt(embedding[1] // 3)
    repeats = _block_repeats(state)
    return {
        "block_repeats": repeats,
        "gamma": read_gamma(state),
        "dim": embedding[0],
        "classes": classes,
        "image_size": patch * 2 ** (len(repeats) - 1),
        "patch_size": patch,
        "hidden": hidden,
    }


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int) -> list[int]:
    if name not in state or state[name].ndim != dimensions:
        found = f"has shape {list(state[name].shape)}" if name in state else "is missing"
        raise UserError(
            f"the weights are not CausalNet's: {name} {found}, where {dimensions} dimensions "
            "are expected."
        )
    return list(state[name].shape)


def _block_repeats(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Layers of each stage, from names ``layers.<stage>.0.layers.<layer>...``."""
    layers: dict[int, set[int]] = {}
    for name in state:
        match name.split("."):
            case ["layers", stage, "0", "layers", layer, *_] if (stage + layer).isdecimal():
                layers.setdefault(int(stage), set()).add(int(layer))
    if not layers or sorted(layers) != list(range(len(layers))):
        raise UserError(
            "the weights are not CausalNet's: entries layers.<stage>.0.layers.<layer> are missing."
        )
    return tuple(len(layers[stage]) for stage in sorted(layers))


def load_into(model: nn.Module, state: Mapping[str, Tensor], source_name: object) -> None:
    """Copy ``state`` into ``model``, which must have the same names and shapes.

    Raises:
        UserError: entries that are missing, unexpected or of another shape, by name.
    """
    expected = {name: list(value.shape) for name, value in model.state_dict().items()}
    missing = [name for name in expected if name not in state]
    unexpected = [name for name in state if name not in expected]
    misshapen = [
        f"{name} {list(state[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in state and list(state[name].shape) != shape
    ]
    reasons = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    said = [f"{reason}: {_shortened(names)}" for reason, names in reasons.items() if names]
    if said:
        raise UserError(
            f"{source_name} does not fit the model ({'; '.join(said)}). "
            "Check dim, block_repeats, heads and classes against the run that wrote it."
        )
    model.load_state_dict(state, strict=True)
