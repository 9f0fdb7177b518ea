"""Reads annotation sheets as text: finds the header row by its names, runs no formula or macro."""

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from common.errors import UserError, name_list

# Real sheets hold at most a few thousand rows and unpack to a few megabytes.
MOST_BYTES = 64 * 2**20
MOST_ROWS = 20_000
MOST_COLUMNS = 200
HEADER_WITHIN = 60
WHOLE_NUMBER = re.compile(r"^(\d+)\.0+$")
# What zip, inflating, XML and openpyxl raise at a damaged workbook.
DAMAGE = (
    AttributeError,
    EOFError,
    InvalidFileException,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Row = tuple[str, ...]


@dataclass(frozen=True)
class SheetRow:
    """One filled row below the header: its number in the spreadsheet, its text by column name.

    Column names are reduced to small letters and digits ("Onset Frame" -> "onsetframe").
    """

    number: int
    cells: dict[str, str]


def read_sheet(path: Path, header_names: Iterable[str]) -> list[SheetRow]:
    """Read the first worksheet that has the wanted header.

    Args:
        path: an .xlsx file or a comma-separated .csv file.
        header_names: reduced names that the header row must have, all of them.

    Raises:
        UserError: not such a file, too large, no such header, or no row below it.
    """
    wanted = set(header_names)
    seen: list[str] = []
    for rows in _worksheets(path):
        for number, row in enumerate(rows[:HEADER_WITHIN], start=1):
            names = [reduce_name(cell) for cell in row]
            if wanted <= set(names):
                return _rows_below(path, rows, number, names)
            seen.extend(cell for cell in row if cell)
    found = f"its first cells are {name_list(seen[:12])}" if seen else "it is empty"
    raise UserError(
        f"{path} has no row with the column names {name_list(sorted(wanted))}: {found}. "
        "Give the annotation sheet of this dataset."
    )


def reduce_name(text: str) -> str:
    """A column name without case, blanks and signs."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _rows_below(path: Path, rows: list[Row], header: int, names: list[str]) -> list[SheetRow]:
    table = []
    for number, row in enumerate(rows[header:], start=header + 1):
        if any(row):
            # Rows end at their last filled cell. A column without a header is skipped; of two
            # columns with one name the first counts.
            pairs = [pair for pair in zip_longest(names, row, fillvalue="") if pair[0]]
            table.append(SheetRow(number, dict(reversed(pairs))))
    if not table:
        raise UserError(f"{path} has a header in row {header} and no row below it.")
    return table


def _worksheets(path: Path) -> Iterator[list[Row]]:
    if path.is_dir():
        raise UserError(f"{path} is a folder. Give the sheet itself, an .xlsx or .csv file.")
    if not path.is_file():
        raise UserError(f"{path} does not exist. Give the dataset's annotation sheet.")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MB: not an annotation sheet.")
    if path.suffix.lower() == ".csv":
        yield _csv_rows(path)
    elif path.suffix.lower() in (".xlsx", ".xlsm"):
        yield from _workbook_rows(path)
    else:
        raise UserError(f"{path} is neither .xlsx nor .csv. Save the sheet as one of them.")


def _csv_rows(path: Path) -> list[Row]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text. Save the sheet as UTF-8 csv.") from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise UserError(f"{path} is not a comma-separated table: {error}.") from None
    return _limited(path, rows)


def _workbook_rows(path: Path) -> Iterator[list[Row]]:
    _refuse_bomb(path)
    with _damage_named(path):
        workbook = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in workbook.worksheets:
            with _damage_named(path):
                # Some writers declare a million rows; the cells themselves are what counts.
                sheet.reset_dimensions()
                rows = _limited(path, sheet.iter_rows(values_only=True))
            yield rows
    finally:
        workbook.close()


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise UserError(
            f"{path} is not a readable .xlsx workbook: {error}. Get it anew, or save it again."
        ) from None


def _refuse_bomb(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not an .xlsx workbook (an old .xls renamed?). Save it as .xlsx or .csv."
        )
    with _damage_named(path), zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > MOST_BYTES:
        raise UserError(
            f"{path} unpacks to {unpacked >> 20} MB, more than {MOST_BYTES >> 20} MB: "
            "not an annotation sheet."
        )


def _limited(path: Path, rows: Iterable[Iterable[object]]) -> list[Row]:
    """All rows as text up to the last filled one; too many are refused."""
    table: list[Row] = []
    filled = 0
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise UserError(f"{path} has more than {MOST_ROWS} rows: not an annotation sheet.")
        cells = tuple(_cell_text(cell) for cell in row)[:MOST_COLUMNS]
        table.append(cells)
        filled = number if any(cells) else filled
    return table[:filled]


def _cell_text(cell: object) -> str:
    """What a spreadsheet shows: 46.0 is the frame 46, an empty cell is no text."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).strip()
    # pandas writes a column with an empty cell so, as text.
    return WHOLE_NUMBER.sub(r"\1", text)
