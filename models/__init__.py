"""The methods of the suite: ``create_model(name, **settings)`` and ``list_models()``."""

from typing import Any

from models.method import BUILT_IN, Method, list_methods, load_method

__all__ = ["Method", "create_model", "list_methods", "list_models", "load_method"]


def list_models() -> list[str]:
    """Names that ``create_model`` knows, sorted."""
    return sorted(BUILT_IN)


def create_model(name: str, **settings: Any) -> Any:
    """A freshly drawn network in evaluation mode, or an estimator that is not fitted yet.

    The weights come from torch's global generator; seed it first. What a network takes and which
    settings it has, its file says; ``classes`` is the number of logits.

    Raises:
        UserError: unknown name, unknown setting, or sizes that the network refuses.
    """
    built = load_method(name).build(**settings)
    return built.eval() if hasattr(built, "eval") else built
