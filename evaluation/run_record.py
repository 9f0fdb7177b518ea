"""Reads the record of a run, ``config.yaml``, for reports; without the packages that wrote it."""

import reprlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import UserError
from common.owned_folder import check_unchanged
from common.yaml_files import read_yaml

FILE_NAME = "config.yaml"


class _Record(BaseModel):
    """The types of the entries that reports use; a record may lack some and hold others."""

    model_config = ConfigDict(strict=True, extra="allow")

    synthetic: bool = False
    protocol: str = ""
    label_shuffle: int | None = None
    subject_share: float = 1.0
    key_frames: str | None = None
    command: str | None = None
    preparation: dict[str, Any] = {}
    training: dict[str, Any] | None = None
    versions: dict[str, str] = {}
    configurations: dict[str, str] = {}


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run's folder, or None when it has none.

    Raises:
        UserError: it cannot be read, or an entry has a wrong type.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    check_unchanged(folder, [path])
    record = read_yaml(path)
    if not isinstance(record, dict):
        raise UserError(f"{path} is not a run's record. Correct it or move it away.")
    try:
        _Record.model_validate(record)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, p['loc']))} is {reprlib.repr(p['input'])} ({p['msg']})"
            for p in error.errors()
        ]
        raise UserError(f"{path}: {'; '.join(problems)}. Correct it or move it away.") from error
    return record


def find_record(folder: Path) -> dict[str, Any]:
    """The record of a folder of results: its own, or that of the run above whose configuration it
    is; empty where there is none.

    A configuration's folder lies below the run's, that of an epoch rule below the configuration's.
    """
    own = read_record(folder)
    if own is not None:
        return own
    folder = folder.resolve()
    for configuration in (folder, folder.parent):
        above = read_record(configuration.parent) or {}
        if configuration.name in above.get("configurations", {}):
            return above
    return {}
