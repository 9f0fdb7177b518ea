"""Reads the record of a run, ``config.yaml``, for training and for reports."""

import reprlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.bounds import BOUNDS
from common.errors import UserError
from common.owned_folder import check_unchanged
from common.yaml_files import read_yaml

FILE_NAME = "config.yaml"
_WITHOUT_IT = "Restore it, move it away, or choose another folder."


class _Record(BaseModel):
    """The types of a record's entries; a record may lack some and hold others."""

    model_config = ConfigDict(strict=True, extra="allow")

    inputs_sha256: str = ""
    synthetic: bool = False
    clips: int = 0
    subjects: int = 0
    class_names: list[str] = []
    method: str = ""
    preset: str = ""
    preparation: dict[str, Any] = {}
    training: dict[str, Any] | None = None
    seed: int = 0
    device: str = ""
    threads: int = Field(1, ge=BOUNDS["threads"][0], le=BOUNDS["threads"][1])
    group_size: int = Field(1, ge=BOUNDS["group_size"][0], le=BOUNDS["group_size"][1])
    protocol: str = ""
    inner: bool = False
    label_shuffle: int | None = None
    subject_share: float = 1.0
    key_frames: str | None = None
    doubles: int = 0
    edited: bool = False
    init_weights: str | None = None
    flow_by: str | None = None
    command: str = ""
    versions: dict[str, str] = {}
    environment: dict[str, str] = {}
    configurations: dict[str, str] = {}
    used_group_sizes: dict[str, dict[int, int]] = {}
    setting_files: dict[str, dict[str, str]] = {}


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run's folder, or None when it has none.

    Raises:
        UserError: it cannot be read, or an entry has a wrong type.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    record = read_yaml(path, _WITHOUT_IT)
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


def find_record(folder: Path) -> dict[str, Any]:
    """The record of a folder of results: its own, or that of the run above whose configuration it
    is; empty where there is none.

    A configuration's folder lies below the run's, that of an epoch rule below the configuration's.

    Raises:
        UserError: see ``read_record``; or it has changed since it was written.
    """
    own = _read_unchanged(folder)
    if own is not None:
        return own
    folder = folder.resolve()
    for configuration in (folder, folder.parent):
        above = _read_unchanged(configuration.parent) or {}
        if configuration.name in above.get("configurations", {}):
            return above
    return {}


def _read_unchanged(folder: Path) -> dict[str, Any] | None:
    path = folder / FILE_NAME
    if path.is_file():
        check_unchanged(folder, [path])
    return read_record(folder)
