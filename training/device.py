"""The device to train on."""

import torch

from common.errors import UserError


def pick_device(name: str) -> str:
    """ "auto" takes a GPU where there is one.

    Raises:
        UserError: "cuda" is asked for where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch sees no CUDA device here. Use --device cpu.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def use_threads(count: int | None) -> None:
    """Compute on so many CPU threads from now on; None leaves torch's own number."""
    if count is not None:
        torch.set_num_threads(count)
