"""``inputs.yaml`` in a folder of inputs: how each of its datasets was made."""

from pathlib import Path
from typing import Any

from common.class_names import CLASS_NAMES, MOST_CLASSES, is_class_name
from common.refusals import Refusal
from common.yaml_files import read_yaml

RECORD_NAME = "inputs.yaml"
NEXT_STEP = "Restore it, or build the inputs into another folder."


def read_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Dataset -> its record; empty where the folder has none.

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    path = folder / RECORD_NAME
    if not path.exists():
        return {}
    records = read_yaml(path, NEXT_STEP)
    records = {} if records is None else records
    if not isinstance(records, dict) or not all(map(_is_record, records.items())):
        raise Refusal(path, f"is not a list of datasets with their settings. {NEXT_STEP}")
    return records


def _is_record(entry: tuple[object, object]) -> bool:
    """Whether it is a dataset's name and its settings, classes that are a few different words."""
    name, content = entry
    if not isinstance(name, str) or not isinstance(content, dict):
        return False
    classes = content.get("classes", [])
    if not isinstance(classes, list) or len(classes) > MOST_CLASSES:
        return False
    words = [word for word in classes if is_class_name(word)]
    return len(set(words)) == len(classes)


def describe_flow(folder: Path) -> str | None:
    """What computed the flow of the inputs in a folder, as words; None where nobody recorded it."""
    made = {
        f"{record.get('flow')} flow by OpenCV {record.get('opencv', 'of unknown version')}"
        for record in read_records(folder).values()
    }
    return " and ".join(sorted(made)) or None


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
        raise Refusal(
            folder / RECORD_NAME,
            "must give all datasets the same list of at least two classes. Build the inputs again.",
        )
    return names
