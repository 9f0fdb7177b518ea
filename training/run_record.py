"""``config.yaml``: what a results folder is of. One folder holds one run; a run is the same inputs,
preset, preparation, settings, seed and whatever else its bytes depend on."""

import reprlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import UserError
from common.files import write_text
from datasets import Preparation, Protocol
from evaluation.predictions import SYNTHETIC_NOTE
from training.configuration import Configuration, TrainingSettings, short_hash
from training.group_task import GroupTask
from training.short_memory import UsedSizes

FILE_NAME = "config.yaml"
# What is learnt during a run: which configurations it holds, and smaller groups than asked for.
CONFIGURATIONS, USED_SIZES = "configurations", "used_group_sizes"
KEY_FRAMES = "key_frames"
_WITHOUT_IT = "Move it away or choose another --results."


@dataclass(frozen=True)
class Run:
    """A resolved run: everything that decides its bytes."""

    inputs_sha256: str
    synthetic: bool
    clips: int
    subjects: int
    class_names: tuple[str, ...]
    preset: str
    preparation: Preparation
    training: TrainingSettings | None
    """None where the model is fitted at once."""
    network: dict[str, Any]
    seed: int
    device: str
    threads: int
    group_size: int
    protocol: Protocol = "composite"
    """Which clips each fold is trained and tested on."""
    inner: bool = False
    """Whether each fold is trained without validation subjects too, to choose the epoch on them."""
    label_shuffle: int | None = None
    """Seed with which the labels were shuffled, for a check that chance comes out; else None."""
    key_frames: str | None = None
    """How the key frames differ from the annotated ones, as words; None where they are those."""

    @property
    def notes(self) -> list[str]:
        """What must stand beside every figure of this run."""
        notes = [SYNTHETIC_NOTE] if self.synthetic else []
        if self.label_shuffle is not None:
            notes.append("LABELS SHUFFLED: chance is the right result")
        if self.protocol != "composite":
            notes.append(f"protocol {self.protocol}")
        if self.key_frames is not None:
            notes.append(f"KEY FRAMES {self.key_frames}")
        return notes

    @property
    def epochs(self) -> int:
        """Epochs of a fold; a model fitted at once has one."""
        return 1 if self.training is None else self.training.epochs

    @property
    def batch_size(self) -> int:
        """Clips in a step; a model fitted at once sees all clips together."""
        return self.clips if self.training is None else self.training.batch_size

    def record(self) -> dict[str, Any]:
        """The run as plain YAML types, with the versions that its bytes depend on."""
        versions = {
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        }
        record = {**asdict(self), "class_names": list(self.class_names), "versions": versions}
        if self.key_frames is None:
            # Left out, so that the records of finished runs, which lack it, stay as they are.
            del record[KEY_FRAMES]
        return record

    def configuration_hash(self, configuration: Configuration) -> str:
        """Identifies a configuration of this run, whatever its seed and machine."""
        return short_hash(
            {
                "inputs": self.inputs_sha256,
                "model": configuration.model,
                "settings": configuration.settings,
                "preparation": asdict(self.preparation),
                "protocol": self.protocol,
                "training": None if self.training is None else asdict(self.training),
            }
        )


class _Record(BaseModel):
    """The types of a record's entries; a record may lack some and hold others."""

    model_config = ConfigDict(strict=True, extra="allow")

    inputs_sha256: str = ""
    synthetic: bool = False
    clips: int = 0
    subjects: int = 0
    class_names: list[str] = []
    preset: str = ""
    preparation: dict[str, Any] = {}
    training: dict[str, Any] | None = None
    network: dict[str, Any] = {}
    seed: int = 0
    device: str = ""
    threads: int = 1
    group_size: int = 1
    protocol: str = ""
    inner: bool = False
    label_shuffle: int | None = None
    key_frames: str | None = None
    versions: dict[str, str] = {}
    configurations: dict[str, str] = {}
    used_group_sizes: dict[str, dict[int, int]] = {}


def read_record(results: Path) -> dict[str, Any] | None:
    """The record of a results folder, or None when it has none.

    Raises:
        UserError: it cannot be read, or an entry is of a wrong type.
    """
    path = results / FILE_NAME
    if not path.is_file():
        return None
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(record, dict):
        raise UserError(f"{path} is not a run's record. {_WITHOUT_IT}")
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, p['loc']))} is {reprlib.repr(p['input'])} ({p['msg']})"
            for p in error.errors()
        ]
        raise UserError(f"{path}: {'; '.join(problems)}. {_WITHOUT_IT}") from error
    return record


def claim_results_folder(results: Path, run: Run, configurations: list[Configuration]) -> None:
    """Write the record, or check that the folder's own record is this run's.

    Configurations may be added to a run; they are recorded in the order in which they came.

    Raises:
        UserError: the folder holds another run; the differences are named.
    """
    record, found = run.record(), read_record(results) or {}
    recorded = found.pop(CONFIGURATIONS, {})
    used_sizes = found.pop(USED_SIZES, {})
    if found and run.key_frames is not None:
        # A record from before this entry: that the maps are the same, their hash tells.
        found.setdefault(KEY_FRAMES, run.key_frames)
    differences = _differences(found, record) if found else []
    if differences:
        raise UserError(
            f"{results} holds another run: {'; '.join(differences)}. Give another --results "
            "folder, or repeat the recorded run."
        )
    record[CONFIGURATIONS] = {**recorded, **{c.name: c.label for c in configurations}}
    if used_sizes:
        record[USED_SIZES] = used_sizes
    _write_record(results, record)


def release_results_folder(results: Path) -> None:
    """Forget a run that has nothing in the folder yet, so that another may have it."""
    (results / FILE_NAME).unlink(missing_ok=True)


def read_used_sizes(results: Path) -> UsedSizes:
    """The group sizes that a run went down to where memory was short."""
    return (read_record(results) or {}).get(USED_SIZES, {})


def note_used_size(results: Path, task: GroupTask, size: int) -> None:
    """Record that a group was trained in parts of at most ``size`` folds; a resumed run does so."""
    record = read_record(results) or {}
    own = record.setdefault(USED_SIZES, {}).setdefault(task.configuration.name, {})
    if own.get(len(task.folds)) != size:
        own[len(task.folds)] = size
        _write_record(results, record)


def _write_record(results: Path, record: dict[str, Any]) -> None:
    write_text(results / FILE_NAME, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))


def _differences(found: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """One phrase for every key whose values differ."""
    phrases = []
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            phrases += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            phrases.append(f"{prefix}{key} is {old} there and {new} here")
    return phrases
