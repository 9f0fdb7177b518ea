"""Corrections of sheets: a small table keyed by (dataset, subject, clip), each with its reason.

A sheet is never repaired silently. ``corrections.csv`` beside this file holds the known faults. A
user's table has the same columns and adds lines; of two lines on the same field the user's counts.

Fields: ``onset``, ``apex``, ``offset`` (a frame number; ``middle`` for the apex takes the middle
frame), ``emotion``, ``action_units``, ``exclude`` (value: a label scheme, or ``all``), ``include``
(the same values; lifts an exclusion of the shipped table), ``note``.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.dataset_names import dataset_name
from common.errors import UserError, name_list
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.label_schemes import ALL_SCHEMES, SCHEMES

COLUMNS = ("dataset", "subject", "clip", "field", "value", "reason")
FRAME_FIELDS = ("onset", "apex", "offset")
SCHEME_FIELDS = ("exclude", "include")
FIELDS = (*FRAME_FIELDS, "emotion", "action_units", *SCHEME_FIELDS, "note")
MIDDLE = "middle"
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


def _read_table(path: Path, dataset: DatasetFormat, shipped: bool) -> list[Correction]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a table of corrections: {error}.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    lines = []
    try:
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise UserError(f"{path} must have the columns {name_list(COLUMNS)}.")
        for row in reader:
            cells = {name: (row[name] or "").strip() for name in COLUMNS}
            _check(f"{path}, line {reader.line_num}", cells)
            if dataset_name(cells["dataset"]) == dataset.name:
                lines.append(_correction(dataset, cells, shipped))
    except csv.Error as error:
        raise UserError(
            f"{path}, after line {reader.line_num}: not a comma-separated table: {error}. "
            "Correct the table."
        ) from None
    return lines


def _correction(dataset: DatasetFormat, cells: dict[str, str], shipped: bool) -> Correction:
    subject, clip = dataset.subject_name(cells["subject"]), dataset.written_clip(cells["clip"])
    return Correction(subject, clip, cells["field"], cells["value"], cells["reason"], shipped)


def _check(where: str, cells: dict[str, str]) -> None:
    try:
        dataset_name(cells["dataset"])
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if cells["field"] not in FIELDS:
        raise UserError(
            f"{where}: unknown field {cells['field']!r}. Choose one of {name_list(FIELDS)}."
        )
    if not cells["reason"]:
        raise UserError(f"{where}: a correction needs a reason.")
    value = cells["value"]
    is_middle = cells["field"] == "apex" and value == MIDDLE
    if cells["field"] in FRAME_FIELDS and not (value.isdecimal() or is_middle):
        raise UserError(f"{where}: {cells['field']} {value!r} is not a frame number.")
    if cells["field"] in SCHEME_FIELDS and value not in (*SCHEMES, ALL_SCHEMES):
        raise UserError(
            f"{where}: {value!r} is no label scheme. "
            f"Choose one of {name_list((*SCHEMES, ALL_SCHEMES))}."
        )
