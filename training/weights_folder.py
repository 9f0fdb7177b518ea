"""Trained weights on disk: a file a fold, what each of them has seen, and a description of all."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from common.errors import UserError, name_list
from common.files import write_bytes, write_text
from common.refusals import Refusal
from common.yaml_files import read_yaml
from datasets import Fold, Inputs
from datasets.preprocessing import Gains
from models.method import Method
from training.configuration import Configuration
from training.run_record import Run

DESCRIPTION_NAME = "description.yaml"
NETWORK_SUFFIX, ESTIMATOR_SUFFIX = ".pth", ".skops"


@dataclass(frozen=True)
class WeightsFile:
    """``<fold>.json`` beside a fold's weights.

    Attributes:
        fold: name of the fold.
        sha256: of the weights file.
        size: of the weights file, in bytes.
        trained_on: "dataset/subject" of every training subject.
        gains: of the fold, where the preparation has a phase sum.
    """

    fold: str
    sha256: str
    size: int
    trained_on: list[str]
    gains: dict[str, float] | None = None


def weights_folder(weights: Path, results: Path, configuration: Configuration) -> Path:
    """``weights/<run>``: the results folder's name and the configuration's."""
    return weights / f"{results.resolve().name}-{configuration.name}"


def weights_path(folder: Path, fold: str, trained: bool = True) -> Path:
    """Where a fold's weights are: a network's as published, or an estimator's."""
    return folder / f"{fold}{NETWORK_SUFFIX if trained else ESTIMATOR_SUFFIX}"


def note_path(folder: Path, fold: str) -> Path:
    """Where it is said what a fold's weights have seen."""
    return folder / f"{fold}.json"


def write_weights(
    path: Path, fold: str, content: bytes, trained_on: list[str], gains: Gains | None
) -> None:
    """Write a fold's weights, then what they have seen; a fold with both is complete."""
    write_bytes(path, content)
    kept = None if gains is None else dict(gains)
    sha256 = hashlib.sha256(content).hexdigest()
    note = WeightsFile(fold, sha256, len(content), trained_on, kept)
    write_text(note_path(path.parent, fold), json.dumps(asdict(note), indent=1) + "\n")


def read_weights_note(folder: Path, fold: str) -> WeightsFile | None:
    """What is recorded of a fold's weights; None for downloaded ones.

    Raises:
        UserError: the note is damaged.
    """
    path = note_path(folder, fold)
    if not path.is_file():
        return None
    try:
        return TypeAdapter(WeightsFile).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} cannot be read as a note on weights. Train again.") from error


def check_note(path: Path, fold: Fold, inputs: Inputs) -> WeightsFile | None:
    """What is recorded of a fold's weights, checked against the file and the fold's test clips.

    Raises:
        UserError: the file has changed since it was written, or has seen a test subject.
    """
    note = read_weights_note(path.parent, fold.name)
    if note is None:
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != note.sha256:
        raise Refusal(path, "has changed since it was written. Restore it or train again.")
    own = inputs.clips.iloc[fold.test_indices]
    tested = set(own[["dataset", "subject"]].agg("/".join, axis=1))
    seen = sorted(tested & set(note.trained_on))
    if seen:
        raise Refusal(
            path,
            f"was trained on {name_list(seen)}, on whom it would be tested. Give weights that "
            "have not seen the test subject.",
        )
    return note


def weights_paths(folder: Path, folds: list[Fold], trained: bool) -> list[Path]:
    """The files that a run may write or replace in a folder of weights."""
    names = [fold.name for fold in folds]
    weights = [weights_path(folder, name, trained) for name in names]
    return [folder / DESCRIPTION_NAME, *weights, *(note_path(folder, name) for name in names)]


def describe_weights(run: Run, configuration: Configuration) -> dict[str, Any]:
    """What ``eval.py`` must know to use the weights of a configuration."""
    description: dict[str, Any] = {
        "method": run.method,
        "method_sha256": run.method_sha256,
        "settings": plain(configuration.settings),
        "configuration": run.configuration_hash(configuration),
        "preparation": asdict(run.preparation),
        "training": None if run.training is None else asdict(run.training),
        "class_names": list(run.class_names),
        "inputs_sha256": run.inputs_sha256,
        "synthetic": run.synthetic,
        "seed": run.seed,
        "threads": run.threads,
        "protocol": run.protocol,
        "label_shuffle": run.label_shuffle,
        "epoch_rule": "last",
        "epoch": run.epochs,
    }
    if run.subject_share != 1:
        description["subject_share"] = run.subject_share
    if run.init_weights is not None:
        description["init_weights"] = run.init_weights
    return description


def check_description(folder: Path, description: dict[str, Any]) -> bool:
    """Whether the folder holds this description already.

    Raises:
        UserError: the folder holds another run's weights.
    """
    found = read_description(folder)
    if found not in (None, description):
        raise UserError(
            f"{folder} holds another run's weights. Give a --weights folder of its own."
        )
    return found is not None


def write_description(folder: Path, description: dict[str, Any], method: Method) -> None:
    """Write a description, and a copy of a user's method file."""
    keep_method(folder, method)
    write_text(folder / DESCRIPTION_NAME, yaml.safe_dump(description, sort_keys=False))


def keep_method(folder: Path, method: Method) -> None:
    """Write a copy of a user's method file into a folder; the suite's methods need none."""
    if not method.built_in:
        write_text(folder / method.path.name, method.source)


def read_description(folder: Path) -> dict[str, Any] | None:
    """The description beside the weights; None for downloaded weights, which have none.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / DESCRIPTION_NAME
    if not path.is_file():
        return None
    description = read_yaml(path)
    needed = ("settings", "preparation", "class_names", "configuration", "seed", "epoch")
    missing = [key for key in needed if not isinstance(description, dict) or key not in description]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: it does not describe weights.")
    return description


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as YAML types: tuples become lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()
    }
