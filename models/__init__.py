"""The registry of networks: ``create_model(name, **arguments)`` and ``list_models()``."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from common.errors import UserError, name_list
from models.causalnet.causalnet import CausalNet
from models.linear import LinearClassifier
from models.majority import MajorityClassifier
from models.ststnet import STSTNet


@dataclass(frozen=True)
class _Entry:
    """A network's constructor, and arguments that make a small one for tests and examples."""

    build: Callable[..., nn.Module]
    small: dict[str, Any] = field(default_factory=dict)


_MODELS = {
    "causalnet": _Entry(CausalNet, {"dim": 32, "block_repeats": (1, 1, 2)}),
    "linear": _Entry(LinearClassifier),
    "majority": _Entry(MajorityClassifier),
    "ststnet": _Entry(STSTNet),
}


def list_models() -> list[str]:
    """Names that ``create_model`` knows, sorted."""
    return sorted(_MODELS)


def create_model(name: str, **arguments: Any) -> nn.Module:
    """A freshly drawn network: float [N, 4, 3, 28, 28] of 0..255 -> logits [N, classes].

    The weights come from torch's global generator; seed it first.

    Raises:
        UserError: unknown name, unknown argument, or sizes that the network refuses.
    """
    build = _entry(name).build
    known = list(inspect.signature(build).parameters)
    unknown = [argument for argument in arguments if argument not in known]
    if unknown:
        raise UserError(
            f"model {name} has no argument {name_list(unknown)}; it has {name_list(known)}."
        )
    return build(**arguments)


def small_arguments(name: str) -> dict[str, Any]:
    """Arguments that make ``create_model(name, ...)`` small enough for tests and examples."""
    return dict(_entry(name).small)


def _entry(name: str) -> _Entry:
    if name not in _MODELS:
        raise UserError(f"model {name!r} is unknown; there is {name_list(list_models())}.")
    return _MODELS[name]
