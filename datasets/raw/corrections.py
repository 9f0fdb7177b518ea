"""Corrections of sheets: a small table keyed by (dataset, subject, clip), each with its reason.

A sheet is never repaired silently. ``corrections.csv`` beside this file holds the known faults. A
user's table has the same columns and adds lines; of two lines on the same field the user's counts.

Fields: ``onset``, ``apex``, ``offset`` (a frame number; ``middle`` for the apex takes the middle
frame), ``emotion``, ``action_units``, ``exclude`` (value: a label scheme, or ``all``), ``include``
(the same values; lifts an exclusion of the shipped table), ``note``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.dataset_names import dataset_name
from common.errors import UserError, name_list
from common.refusals import Refusal
from common.tables import read_table, whole
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.label_schemes import ALL_SCHEMES, SCHEMES

COLUMNS = ("dataset", "subject", "clip", "field", "value", "reason")
FRAME_FIELDS = ("onset", "apex", "offset")
SCHEME_FIELDS = ("exclude", "include")
FIELDS = (*FRAME_FIELDS, "emotion", "action_units", *SCHEME_FIELDS, "note")
MIDDLE = "middle"
FRAME_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
SHIPPED = Path(__file__).with_name("corrections.csv")

ClipKey = tuple[str, str]


@dataclass(frozen=True)
class Correction:
    """One line of the table; ``shipped`` says whether it is of the shipped table."""

    subject: str
    clip: str
    field: str
    value: str
    reason: str
    shipped: bool

    def lifts(self, other: "Correction") -> bool:
        """Whether this line lets a clip into a scheme from which ``other`` excludes it."""
        is_pair = (self.field, other.field) == ("include", "exclude")
        return is_pair and other.shipped and self.value in (other.value, ALL_SCHEMES)


def exclusions(lines: Iterable[Correction]) -> dict[str, str]:
    """Label scheme (or ``all``) -> why one clip is left out of it."""
    lines = list(lines)
    return {
        line.value: line.reason
        for line in lines
        if line.field == "exclude" and not any(other.lifts(line) for other in lines)
    }


def read_corrections(
    dataset: DatasetFormat, user_table: Path | None = None
) -> dict[ClipKey, list[Correction]]:
    """The corrections of one dataset by (subject, clip).

    Raises:
        UserError: a table is missing, has other columns, or a line makes no sense.
    """
    lines = _read_table(SHIPPED, dataset, shipped=True)
    if user_table is not None:
        lines += _read_table(user_table, dataset, shipped=False)
    # Of two lines on one field of a clip the later, the user's, is kept.
    by_field = {}
    for line in lines:
        scheme = line.value if line.field in SCHEME_FIELDS else ""
        by_field[line.subject, line.clip, line.field, scheme] = line
    by_clip = defaultdict(list)
    for line in by_field.values():
        by_clip[line.subject, line.clip].append(line)
    return dict(by_clip)


def frame_number(text: str) -> int | None:
    """The number of a frame; None for any other text."""
    return int(text) if FRAME_NUMBER.fullmatch(text) else None


def _read_table(path: Path, dataset: DatasetFormat, shipped: bool) -> list[Correction]:
    table = read_table(path, COLUMNS, f"It needs {name_list(COLUMNS)}.")
    lines = []
    table["field"] = table["field"].str.lower()
    table["value"] = table["value"].map(whole)
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        problem = _fault(row, dataset)
        if problem:
            raise Refusal(path, f"line {number}: {problem}")
        if _owner(row["dataset"], dataset) == dataset.name:
            lines.append(_correction(dataset, row, shipped))
    return lines


def _correction(dataset: DatasetFormat, cells: dict[str, str], shipped: bool) -> Correction:
    subject, clip = dataset.subject_name(cells["subject"]), dataset.written_clip(cells["clip"])
    return Correction(subject, clip, cells["field"], cells["value"], cells["reason"], shipped)


def _owner(text: str, dataset: DatasetFormat) -> str:
    """The name of a line's dataset; a user's own one is known by the name that it was given."""
    return dataset.name if text == dataset.name else dataset_name(text)


def _fault(cells: dict[str, str], dataset: DatasetFormat) -> str:
    """What is wrong with a line; empty where it is right."""
    try:
        _owner(cells["dataset"], dataset)
    except UserError as error:
        return str(error)
    name, value = cells["field"], cells["value"]
    if name not in FIELDS:
        return f"unknown field {name!r}. Choose one of {name_list(FIELDS)}."
    if not cells["reason"]:
        return "a correction needs a reason."
    is_middle = name == "apex" and value == MIDDLE
    if name in FRAME_FIELDS and frame_number(value) is None and not is_middle:
        return f"{name} {value!r} is not a frame number."
    own = () if dataset.own_scheme is None else (dataset.own_scheme.name,)
    known = (*own, *SCHEMES, ALL_SCHEMES)
    if name in SCHEME_FIELDS and value not in known:
        return f"{value!r} is no label scheme. Choose one of {name_list(known)}."
    return ""
