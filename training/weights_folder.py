"""Trained weights on disk: one state dict a fold and a description beside them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from common.errors import UserError
from common.files import atomic_path, write_text
from training.configuration import Configuration
from training.run_record import Run

DESCRIPTION_NAME = "description.yaml"


def weights_folder(weights: Path, results: Path, configuration: Configuration) -> Path:
    """``weights/<run>``: the results folder's name and the configuration's."""
    return weights / f"{results.resolve().name}-{configuration.name}"


def weights_path(folder: Path, fold: str) -> Path:
    """Where a fold's weights are, here and in the published layout."""
    return folder / f"{fold}.pth"


def write_weights(folder: Path, fold: str, state: dict[str, Tensor]) -> None:
    """Write a state dict atomically."""
    with atomic_path(weights_path(folder, fold)) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def write_description(folder: Path, run: Run, configuration: Configuration) -> None:
    """Write what ``eval.py`` must know to use the weights.

    Raises:
        UserError: the folder holds another run's weights.
    """
    description = {
        "preset": run.preset,
        "model": configuration.model,
        "settings": plain(configuration.settings),
        "configuration": run.configuration_hash(configuration),
        "preparation": asdict(run.preparation),
        "class_names": list(run.class_names),
        "inputs_sha256": run.inputs_sha256,
        "synthetic": run.synthetic,
        "seed": run.seed,
        "threads": run.threads,
        "protocol": run.protocol,
        "epoch_rule": "last",
        "epoch": run.epochs,
    }
    if read_description(folder) not in (None, description):
        raise UserError(
            f"{folder} holds another run's weights. Give a --weights folder of its own."
        )
    write_text(folder / DESCRIPTION_NAME, yaml.safe_dump(description, sort_keys=False))


def read_description(folder: Path) -> dict[str, Any] | None:
    """The description beside the weights; None for downloaded weights, which have none.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / DESCRIPTION_NAME
    if not path.is_file():
        return None
    try:
        description = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    needed = ("model", "settings", "preparation", "class_names", "configuration", "seed", "epoch")
    missing = [key for key in needed if not isinstance(description, dict) or key not in description]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: it does not describe weights.")
    return description


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as YAML types: tuples become lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()
    }
