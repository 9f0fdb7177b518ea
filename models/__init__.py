"""The methods of the suite: ``list_models()``, ``create_model(name, **settings)``, and with weights
``from_pretrained(folder)``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.method import BUILT_IN, Method, list_methods, load_method

if TYPE_CHECKING:
    from models.pretrained import Pretrained

__all__ = [
    "Method",
    "create_model",
    "from_pretrained",
    "list_methods",
    "list_models",
    "load_method",
]


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


def from_pretrained(folder: str | Path, fold: str = "") -> "Pretrained":
    """A trained model from a folder of weights; see ``models.pretrained.from_pretrained``."""
    # Imported here, so that scripts that only name methods start without torch.
    from models import pretrained

    return pretrained.from_pretrained(folder, fold)
