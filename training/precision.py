"""The arithmetic of a training step; evaluation is always in float32, so eval.py gives its bits."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from common.choices import Precision
from common.errors import UserError


def check_precision(precision: Precision, device: str) -> None:
    """Refuse what a device cannot do.

    Raises:
        UserError: ``tf32`` on a CPU.
    """
    if precision == "tf32" and device == "cpu":
        raise UserError("--precision tf32 needs a GPU. On a CPU use float32 or bf16.")


@contextmanager
def matrix_products(precision: Precision) -> Iterator[None]:
    """Both passes of a step: how products of float32 matrices are computed."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    # cuDNN rounds convolutions to tf32 unless it is told not to.
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def activations(precision: Precision, device: torch.device) -> torch.autocast:
    """The forward pass of a step."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
