"""``inputs.yaml`` in a folder of inputs: how each of its datasets was made."""

from pathlib import Path
from typing import Any

import yaml

from common.class_names import CLASS_NAMES
from common.errors import UserError

RECORD_NAME = "inputs.yaml"


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Dataset -> its record; empty where the folder has none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / RECORD_NAME
    if not path.exists():
        return {}
    try:
        records = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} is damaged: {error}. Remove it to build anew.") from None
    return dict(records or {})


def read_class_names(folder: Path) -> tuple[str, ...]:
    """Class names of the inputs in a folder; the usual protocol's where nothing is recorded.

    Raises:
        UserError: the record is damaged, or its datasets differ in their classes.
    """
    named = {tuple(record.get("classes", ())) for record in read_records(folder).values()}
    if not named:
        return CLASS_NAMES
    names = named.pop()
    if named or len(names) < 2:
        raise UserError(
            f"{folder / RECORD_NAME} must give all datasets the same list of at least two classes. "
            "Build the inputs anew."
        )
    return names
