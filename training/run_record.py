"""What a run is, and its record ``config.yaml`` in a results folder: compared and written.

One folder holds one run: the same inputs, method, preparation, settings, seed and whatever else its
bytes depend on. Fields that have their default value are neither compared nor hashed, so a new
field disowns no finished run.
"""

import platform
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from common.errors import UserError
from common.files import write_text
from common.version import VERSION
from datasets import Preparation, Protocol
from evaluation.predictions import (
    SYNTHETIC_NOTE,
    inputs_notes,
)
from evaluation.run_record import FILE_NAME
from training.configuration import Configuration, TrainingSettings, non_defaults, short_hash

CONFIGURATIONS, USED_SIZES = "configurations", "used_group_sizes"
SETTING_FILES = "setting_files"
"""By configuration and setting: SHA-256 of the file that the setting names."""
_NOT_COMPARED = ("command", "environment", "flow_by", CONFIGURATIONS, USED_SIZES, SETTING_FILES)
"""Entries that no byte of the results depends on, or that grow during a run."""


@dataclass(frozen=True)
class Run:
    """A resolved run: everything that decides its bytes."""

    inputs_sha256: str
    synthetic: bool
    clips: int
    subjects: int
    class_names: tuple[str, ...]
    method: str
    preparation: Preparation
    training: TrainingSettings | None
    """None where the method is an estimator, fitted at once."""
    seed: int
    device: str
    threads: int
    group_size: int
    method_sha256: str | None = None
    """Of a user's method file; None for a method of the suite."""
    protocol: Protocol = "composite"
    """Which clips each fold is trained and tested on."""
    inner: bool = False
    """Whether each fold is trained without validation subjects too, to choose the epoch on them."""
    label_shuffle: int | None = None
    """Seed with which the labels were shuffled, for a check that chance comes out; else None."""
    subject_share: float = 1.0
    """Share of each dataset's training subjects that a fold is trained on."""
    key_frames: str | None = None
    """How the key frames differ from the annotated ones, as words; None where they are those."""
    init_weights: str | None = None
    """Folder's name and hash of the weights that the folds started from; None for fresh ones."""
    doubles: int = 0
    """Clips whose map another subject has too, which the run was asked to take."""
    flow_by: str | None = None
    """Which method and OpenCV computed the inputs' flow; None where it is not known."""
    edited: bool = False
    """Whether the inputs' table has changed since it was written."""
    command: str = field(default="", compare=False)
    """The settings of the first command, for readers."""

    @property
    def notes(self) -> list[str]:
        """What must be said beside every figure of this run."""
        notes = [SYNTHETIC_NOTE] if self.synthetic else []
        notes += inputs_notes(self.doubles, self.edited)
        if self.label_shuffle is not None:
            notes.append("LABELS SHUFFLED: chance is the right result")
        if self.protocol != "composite":
            notes.append(f"protocol {self.protocol}")
        if self.subject_share != 1:
            notes.append(f"trained on {self.subject_share:.1%} of the training subjects")
        if self.key_frames is not None:
            notes.append(f"KEY FRAMES {self.key_frames}")
        if self.init_weights is not None:
            notes.append(f"STARTED FROM WEIGHTS {self.init_weights}")
        return notes

    @property
    def epochs(self) -> int:
        """Epochs of a fold; an estimator has one."""
        return 1 if self.training is None else self.training.epochs

    @property
    def batch_size(self) -> int:
        """Clips in a step; an estimator sees all clips together."""
        return self.clips if self.training is None else self.training.batch_size

    def record(self) -> dict[str, Any]:
        """The run as plain YAML types, with the versions that its bytes depend on."""
        return {
            **asdict(self),
            "class_names": list(self.class_names),
            "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
            "environment": environment(),
        }

    def configuration_hash(self, configuration: Configuration) -> str:
        """Identifies a configuration of this run, whatever its seed and machine."""
        content: dict[str, Any] = {
            "inputs": self.inputs_sha256,
            "method": self.method,
            "settings": configuration.settings,
            "preparation": non_defaults(self.preparation),
            "training": None if self.training is None else non_defaults(self.training),
        }
        if self.method_sha256 is not None:
            content["method_sha256"] = self.method_sha256
        if self.protocol != "composite":
            content["protocol"] = self.protocol
        if self.subject_share != 1:
            content["subject_share"] = self.subject_share
        if self.init_weights is not None:
            content["init_weights"] = self.init_weights
        if configuration.files:
            content["files"] = configuration.files
        return short_hash(content)


@cache
def environment() -> dict[str, str]:
    """What else the last digits may depend on: recorded, and said where it differs."""
    return {
        "suite": VERSION,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "scikit-learn": version("scikit-learn"),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def merge_record(
    results: Path, found: dict[str, Any] | None, run: Run, configurations: list[Configuration]
) -> dict[str, Any]:
    """The record of a folder that this run writes to; what the folder recorded first is kept.

    Configurations may be added to a run; they are recorded in the order in which they came.

    Raises:
        UserError: the folder holds another run; the differences are named.
    """
    record, files = run.record(), {c.name: c.files for c in configurations if c.files}
    if found is None:
        record[CONFIGURATIONS] = {c.name: c.label for c in configurations}
        return record | ({SETTING_FILES: files} if files else {})
    differences = _differences(_comparable(found), _comparable(record))
    differences += _changed_files(found.get(SETTING_FILES, {}), configurations)
    if differences:
        raise UserError(
            f"{results} holds another run: {'; '.join(differences)}. Give another --results "
            "folder, or repeat the recorded run."
        )
    record |= {name: found[name] for name in _NOT_COMPARED if name in found}
    recorded = found.get(CONFIGURATIONS, {})
    record[CONFIGURATIONS] = {**recorded, **{c.name: c.label for c in configurations}}
    for name, own in files.items():
        known = record.setdefault(SETTING_FILES, {})
        known[name] = {**known.get(name, {}), **own}
    return record


def _changed_files(
    found: dict[str, dict[str, str]], configurations: list[Configuration]
) -> list[str]:
    """One phrase for every file that a recorded setting names and that holds something else now."""
    return [
        f"the file {configuration.settings[name]} ({name}) has changed since"
        for configuration in configurations
        for name, sha256 in configuration.files.items()
        if found.get(configuration.name, {}).get(name, sha256) != sha256
    ]


def write_record(results: Path, record: dict[str, Any]) -> None:
    """Write ``config.yaml`` atomically."""
    write_text(results / FILE_NAME, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))


def other_environment(found: dict[str, Any]) -> list[str]:
    """One phrase for every part of the recorded environment that differs here."""
    return _differences(found.get("environment", {}), environment())


def _comparable(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is not compared, and without values that are their field's default."""
    kept = {
        name: value
        for name, value in _without_defaults(record, Run).items()
        if name not in _NOT_COMPARED
    }
    kept["preparation"] = _without_defaults(record.get("preparation") or {}, Preparation)
    if record.get("training"):
        kept["training"] = _without_defaults(record["training"], TrainingSettings)
    return kept


def _without_defaults(values: dict[str, Any], kind: Any) -> dict[str, Any]:
    defaults = {own.name: own.default for own in fields(kind) if own.default is not MISSING}
    return {name: v for name, v in values.items() if name not in defaults or v != defaults[name]}


def _differences(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """One phrase for every key whose values differ."""
    phrases = []
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            phrases += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            there, here = ("unset" if value is None else value for value in (old, new))
            phrases.append(f"{prefix}{key} is {there} there and {here} here")
    return phrases
