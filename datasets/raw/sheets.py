"""Annotation sheets: which worksheet is read, what its columns are, what is left unused."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from common.refusals import Refusal, few
from common.tables import Header, Worksheet, read_worksheets, reduce_name

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "subject": ("subject", "subjects", "subjectid", "subjectno", "participant"),
    "clip": ("filename", "clip", "clipname", "video", "videoname"),
    "onset": ("onsetframe", "onsetf", "onset1f", "onset", "onsetframenumber"),
    "apex": ("apexframe", "apexf", "apex1f", "apex", "apexframenumber"),
    "offset": ("offsetframe", "offsetf", "offset1f", "offset", "offsetframenumber"),
    "second_onset": ("onset2f",),
    "action_units": ("actionunits", "actionunit", "au", "aus", "facs", "facscodes"),
    "emotion": ("estimatedemotion", "emotion", "emotions", "emotionlabel"),
}
"""For each field its column names in all datasets, reduced; of several the first is read."""
LOOKS_NEEDED = re.compile(r"subject|filename|onset|apex|offset|emotion|actionunit|facs|^aus?$")
LATER_MOVEMENT = re.compile(r"(?:onset|apex|offset)[2-9]f?")
WORKBOOK_ENDINGS = (".xlsx", ".xlsm")
SHEET_ADVICE = "Give the annotation sheet of this dataset."
WHOLE_NUMBER = re.compile(r"(\d+)\.0+", re.ASCII)


@dataclass(frozen=True)
class SheetRow:
    """One filled row below the header: its number in the spreadsheet, its text by column name.

    Column names are reduced to small letters and digits ("Onset Frame" -> "onsetframe").
    """

    number: int
    cells: dict[str, str]

    def field(self, name: str) -> str:
        """The text of one of ``COLUMN_NAMES``; empty where the sheet has no such column."""
        names = (variant for variant in COLUMN_NAMES[name] if variant in self.cells)
        return self.cells.get(next(names, ""), "")


@dataclass(frozen=True)
class Sheet:
    """A sheet that was read.

    Attributes:
        rows: at least one.
        columns: reduced name -> the name as written.
        notes: (rule, value, sentence) of what a reader must know of the sheet as a whole.
    """

    rows: list[SheetRow]
    columns: dict[str, str]
    notes: list[tuple[str, str, str]]

    def column(self, field: str) -> str | None:
        """The reduced name of the column from which a field is read; None if there is none."""
        return next((name for name in COLUMN_NAMES[field] if name in self.columns), None)


def read_sheet(
    path: Path, fits: Callable[[str], bool] = bool, preferred: tuple[str, ...] = ()
) -> Sheet:
    """Read the worksheet that fits best: a visible one, one of a preferred name, most clips.

    Args:
        path: a workbook or a text file.
        fits: whether a cell is a clip's name of this dataset.
        preferred: reduced names of worksheets.

    Raises:
        UserError: not such a file, no such header, no row below it, or needed cells that hold
            formulas without a stored value.
    """
    header = Header([COLUMN_NAMES["subject"], COLUMN_NAMES["clip"]], reduce_name, SHEET_ADVICE)
    found = [(sheet, _rows_of(sheet)) for sheet in read_worksheets(path, header)]

    def goodness(pair: tuple[Worksheet, list[SheetRow]]) -> tuple[bool, bool, int]:
        sheet, rows = pair
        clips = sum(fits(row.field("clip")) for row in rows)
        return not sheet.hidden and bool(rows), reduce_name(sheet.name) in preferred, clips

    best, rows = max(found, key=goodness)
    if not rows:
        raise Refusal(path, f"has a header and no row below it. {SHEET_ADVICE}")
    columns: dict[str, str] = {}
    for cell in filter(reduce_name, best.header):
        columns.setdefault(reduce_name(cell), cell)
    sheet = Sheet(rows, columns, [])
    _refuse_formulas(path, sheet)
    others = [f"{s.name} ({len(r)} rows)" for s, r in found if s is not best]
    sheet.notes.extend([*_choice(path, best, others), *_unused_columns(sheet)])
    return sheet


def _choice(path: Path, best: Worksheet, others: list[str]) -> Iterator[tuple[str, str, str]]:
    """What was read, where that is not plain."""
    if bool(best.name) != (path.suffix.lower() in WORKBOOK_ENDINGS):
        kind = "a workbook" if best.name else "text and no workbook"
        yield "file", path.name, f"this is {kind}, and is read as that."
    if others or best.hidden:
        hidden = " It is hidden." if best.hidden else ""
        rest = f" Not read: {few(others)}." if others else ""
        yield "worksheet", best.name, f"this one is read.{hidden}{rest}"


def _rows_of(sheet: Worksheet) -> list[SheetRow]:
    """A column without a header is skipped; of two columns with one name the first counts."""
    names = [reduce_name(cell) for cell in sheet.header]
    rows = []
    for number, row in sheet.rows.items():
        padded = (*row, *[""] * (len(names) - len(row)))
        pairs = [(name, cell) for name, cell in zip(names, padded, strict=False) if name]
        # pandas writes the whole numbers of a column with an empty cell as 46.0.
        cells = {
            name: WHOLE_NUMBER.sub(r"\1", cell) if WHOLE_NUMBER.fullmatch(cell) else cell
            for name, cell in reversed(pairs)
        }
        if any(cells.values()):
            rows.append(SheetRow(number, cells))
    return rows


def _refuse_formulas(path: Path, sheet: Sheet) -> None:
    for field in COLUMN_NAMES:
        column = sheet.column(field)
        rows = [row.number for row in sheet.rows if row.field(field).startswith("=")]
        if column and rows:
            raise Refusal(
                path,
                f"has formulas without a stored value in column {sheet.columns[column]} (rows "
                f"{few(rows)}). Open it in a spreadsheet program and save it once.",
            )


def _unused_columns(sheet: Sheet) -> Iterator[tuple[str, str, str]]:
    """Columns whose names look needed, but from which nothing is read."""
    used = {sheet.column(field): field for field in COLUMN_NAMES}
    for name, written in sheet.columns.items():
        word = LOOKS_NEEDED.search(name)
        if word and name not in used and not LATER_MOVEMENT.fullmatch(name):
            read = next((sheet.columns[c] for c in used if c and word[0] in c), None)
            instead = f"; {read} is read" if read else "; its name is not known"
            yield "column", written, f"this column is not used{instead}."
