"""Trains methods over folds: ``from training import leave_one_subject_out``."""

from typing import Any

import common  # noqa: F401 - so that Ctrl-C while torch is imported is no traceback

__all__ = ["leave_one_subject_out"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: settings, which --help needs, must not import torch.
    if name == "leave_one_subject_out":
        from training.loso import leave_one_subject_out

        return leave_one_subject_out
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
