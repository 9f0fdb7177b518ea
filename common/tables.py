"""The one reader of tables: text files and workbooks, every cell as text.

What a file is, is told by its first bytes. Of a text file the encoding (UTF-8, UTF-16, GBK,
Windows-1252) and the separator (the one with which the header is found) are told from the content.
A byte-order mark, a line ``sep=;``, empty rows and what marks a cell as text (``'006``, ``="006"``)
are ignored. "NA" and "nan" are text. No formula or macro is run.
"""

import csv
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from common.errors import UserError
from common.first_bytes import refuse_impostor
from common.refusals import Refusal, few

# Real tables hold at most some ten thousand rows and unpack to a few megabytes.
MOST_BYTES = 64 * 2**20
MOST_ROWS = 200_000
MOST_COLUMNS = 200
LONGEST_CELL = 4096
"""Characters of a cell that are read; what is cut ends in a sign that makes it no name."""
LAST_ROW = 2**20
"""Of a worksheet in any spreadsheet program."""
HEADER_WITHIN = 60
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n?', re.IGNORECASE)
LOCK_FILE = re.compile(r"~\$.+|\.~lock\..+#")
OLD_WORKBOOK = bytes.fromhex("d0cf11e0a1b11ae1")
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM\x00")
SAVE_AGAIN = "Save it as .xlsx or .csv."
OTHER_ARCHIVES = {
    "xl/workbook.bin": "a binary workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
    "Index/Document.iwa": "a Numbers document",
    "word/document.xml": "a text document",
}
"""What a zip file is, by a name in it."""
STRICT = b"purl.oclc.org/ooxml"
FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^<>]*?ref="(\w+:\w+)"')
DRESS = re.compile(
    r"(?:\b(?:np|jnp|numpy|torch)\.)?\b(?:u?int|float|tensor|[Aa]rray)\d*"
    r"\(\s*+(?:\[\s*+([-+.\de]+)\s*+\]|([-+.\de]+))\s*+(?:,\s*+\w++\s*+=[^()]*)?\)"
)
WHOLE_NUMBER = re.compile(r"(\d+)(?:\.00?|\.0{4,}|,00?)", re.ASCII)
"""With decimals of nothing; three of them may be thousands."""
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d{1,3})?", re.ASCII)
DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?: 00:00:00)?|\d{1,2}-[A-Za-z]{3}|[A-Za-z]{3}-\d{2}|\d{1,2}月\d{1,2}日"
)
"""What spreadsheet programs make of texts such as 4-7."""
MARKED_TEXT = re.compile(r'\'(?=\d)(.*)|="([^"]*)"', re.DOTALL)
"""How a cell is kept from being taken for a number."""
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\ufeff"))
HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)

Row = tuple[str, ...]


@dataclass(frozen=True)
class Worksheet:
    """A worksheet with the header that was asked for, or a text file.

    Attributes:
        name: empty for a text file.
        hidden: a spreadsheet program does not show it.
        header: its cells.
        rows: the filled rows below the header, by their number in the file.
    """

    name: str
    hidden: bool
    header: Row
    rows: dict[int, Row]


def reduce_name(text: str) -> str:
    """A column name without case, blanks, signs and accents; letters of any script stay."""
    # Apart from its letter an accent is no letter, and is left out with the signs.
    plain = re.sub(r"[\W_]", "", normalize("NFKD", text))
    return normalize("NFC", plain).lower()


@dataclass(frozen=True)
class Header:
    """What makes a row the header of a table.

    Attributes:
        needed: for each column that there must be, its possible names.
        key: how a cell is brought to the form of these names.
        advice: what to do about a file without such a row, a sentence.
    """

    needed: Sequence[Sequence[str]]
    key: Callable[[str], str]
    advice: str

    def absent(self, row: Row) -> list[str]:
        """The needed columns that a row lacks, by their first name."""
        names = {self.key(cell) for cell in row}
        return [variants[0] for variants in self.needed if names.isdisjoint(variants)]


def read_worksheets(path: Path, header: Header) -> list[Worksheet]:
    """Every worksheet of a file that has the header; of a text file the one table.

    Args:
        path: a workbook (.xlsx) or a text file, whatever its name.
        header: what to look for in the first rows.

    Raises:
        UserError: not such a file, too large, damaged, or without such a header.
    """
    content = read_content(path, "a table")
    if content.startswith(b"PK"):
        tables = list(_workbook_tables(path, content))
    else:
        tables = [("", False, _text_rows(path, content, header))]
    found, heads = [], []
    for name, hidden, rows in tables:
        head = {number: header.absent(rows[number]) for number in islice(rows, HEADER_WITHIN)}
        heads += [(absent, rows[number]) for number, absent in head.items()]
        first = _last_header_row([number for number, absent in head.items() if not absent])
        if first is not None:
            below = {number: row for number, row in rows.items() if number > first}
            found.append(Worksheet(name, hidden, rows[first], below))
    if found:
        return found
    if not heads:
        raise Refusal(path, f"is empty. {header.advice}")
    absent, row = min(heads, key=lambda pair: len(pair[0]))
    cells = few(filter(None, row), 60)
    reason = f"has no column {few(absent)}; its closest row is {cells}"
    raise Refusal(path, f"{reason}. {header.advice}")


def _last_header_row(fitting: Sequence[int]) -> int | None:
    """Of header rows that follow each other the last: those above name groups of columns."""
    place = 0
    while fitting[place + 1 : place + 2] == [fitting[place] + 1] if fitting else False:
        place += 1
    return fitting[place] if fitting else None


def read_table(path: Path, needed: Sequence[str], advice: str) -> pd.DataFrame:
    """A table as text by column name, indexed by the rows' numbers in the file.

    Args:
        path: as in ``read_worksheets``; the first visible worksheet counts.
        needed: columns that there must be; the file may write them in other case.
        advice: what to do about another file, a sentence.

    Raises:
        UserError: as ``read_worksheets``; or a row is longer than the header.
    """
    header = Header([(name.lower(),) for name in needed], str.lower, advice)
    sheets = read_worksheets(path, header)
    sheet = min(sheets, key=lambda sheet: sheet.hidden)
    width = len(sheet.header)
    long = [number for number, row in sheet.rows.items() if any(row[width:])]
    if long:
        raise Refusal(path, f"has more cells than columns in line {few(long)}. Correct the table.")
    rows = [(*row, *repeat("", width - len(row)))[:width] for row in sheet.rows.values()]
    spelled = {name.lower(): name for name in needed}
    columns = [spelled.get(cell.lower(), cell) for cell in sheet.header]
    table = pd.DataFrame(rows, index=list(sheet.rows), columns=columns, dtype=str)
    named = [bool(name) for name in columns]
    return table.loc[:, named & ~table.columns.duplicated()]


def numbers(cells: pd.Series) -> pd.Series:
    """A column of text as float64; NaN where it is no number."""
    return pd.Series([number(text) for text in cells], cells.index, "float64")


def number(text: str) -> float:
    """The finite number that a text is, also as NumPy prints it or with a comma; else NaN."""
    plain = undress(text).strip()
    if DECIMAL_COMMA.fullmatch(plain):
        plain = plain.replace(",", ".")
    value = float(plain) if NUMBER.fullmatch(plain) else math.nan
    return value if math.isfinite(value) else math.nan


def whole(text: str) -> str:
    """46.0 and 46,0, as other programs write a whole number, as 46; any other text as it is."""
    return WHOLE_NUMBER.sub(r"\1", text) if WHOLE_NUMBER.fullmatch(text) else text


def undress(text: str) -> str:
    """The text with NumPy's and torch's scalars as plain numbers: ``np.int64(1)`` is ``1``."""
    return DRESS.sub(r"\1\2", text) if "(" in text else text


def read_text(path: Path, wanted: str) -> str:
    """The text of a file in UTF-8, UTF-16 or GBK, without a byte-order mark.

    Raises:
        UserError: it cannot be read, or is no text.
    """
    return _decode(path, read_content(path, wanted))


def read_content(path: Path, wanted: str) -> bytes:
    """The bytes of a file that may be what is wanted.

    Raises:
        UserError: no such file, too large, or its name or first bytes say that it is another thing.
    """
    if LOCK_FILE.fullmatch(path.name):
        raise Refusal(
            path,
            "is the lock file of a workbook that is open, not the workbook; close it and give the "
            "file without ~$ in front of its name.",
        )
    try:
        if path.is_dir():
            raise Refusal(path, f"is a folder, not {wanted}. Give the file itself.")
        if not path.is_file():
            raise Refusal(path, "does not exist or is no file. Give the right name.")
        if path.stat().st_size > MOST_BYTES:
            raise Refusal(path, f"is larger than {MOST_BYTES >> 20} MB: not {wanted}.")
        content = path.read_bytes()
    except OSError as error:
        raise Refusal(path, f"cannot be read: {error.strerror or error}.") from None
    refuse_impostor(path, content, wanted)
    if content.startswith(PICTURES):
        raise Refusal(path, f"is a picture, not {wanted}. Give the file that holds the text.")
    if content.startswith(OLD_WORKBOOK[:4]):
        raise Refusal(path, f"is {_old_workbook(content)}")
    return content


def _old_workbook(content: bytes) -> str:
    if "EncryptedPackage".encode("utf-16-le") in content:
        return "an encrypted workbook. Save it without a password."
    if "Workbook".encode("utf-16-le") in content:
        return f"an old workbook (.xls). {SAVE_AGAIN}"
    return "an encrypted or an old (.xls) workbook. Save it without a password as .xlsx."


def _decode(path: Path, content: bytes) -> str:
    encodings = ["utf-8-sig", *_older_encodings(content)]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\0" in content[:2]:
        encodings = ["utf-16-le" if content[1:2] == b"\0" else "utf-16-be"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Refusal(path, "is no text in UTF-8, UTF-16 or GBK. Save it as UTF-8.")


def _older_encodings(content: bytes) -> list[str]:
    """GBK, whose characters are mostly pairs of high bytes; before it Windows-1252, where most high
    bytes stand alone between ASCII letters, as umlauts do."""
    runs = HIGH_BYTES.findall(content)
    alone = sum(len(run) == 1 for run in runs)
    return ["cp1252", "gb18030"] if 2 * alone > len(runs) else ["gb18030"]


def is_date(text: str) -> bool:
    """Whether a cell is a date as spreadsheet programs make them of texts such as 4-7."""
    return bool(DATE.fullmatch(text))


def _text_rows(path: Path, content: bytes, header: Header) -> dict[int, Row]:
    """The filled rows, split at the separator with which there is a header, else at the best."""
    text = _decode(path, content)
    named = SEPARATOR_LINE.match(text)
    if named:
        # The line stays as an empty one, so that rows keep their numbers.
        return _split(path, "\n" + text[named.end() :], named[1])
    lacks = {
        s: min((len(header.absent(row)) for row in _head(text, s)), default=99) for s in SEPARATORS
    }
    return _split(path, text, min(lacks, key=lambda separator: lacks[separator]))


def _head(text: str, separator: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return [tuple(map(str.strip, row)) for row in islice(reader, HEADER_WITHIN)]
    except csv.Error:
        return []


def _split(path: Path, text: str, separator: str) -> dict[int, Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        return _filled(path, ((reader.line_num, row) for row in reader))
    except csv.Error as error:
        name = SEPARATORS.get(separator, repr(separator))
        place = f"after line {max(reader.line_num - 1, 1)}"
        raise Refusal(path, f"is no table separated by {name} {place}: {error}.") from None


def _filled(path: Path, rows: Iterable[tuple[int, Iterable[object]]]) -> dict[int, Row]:
    """The rows with any text, by number."""
    table: dict[int, Row] = {}
    for place, cells in rows:
        row = tuple(_cell_text(cell) for cell in islice(cells, MOST_COLUMNS))
        if any(row):
            table[place] = row
        if len(table) > MOST_ROWS or place > LAST_ROW:
            raise Refusal(path, f"has more than {MOST_ROWS} rows: not such a table.")
    return table


def _cell_text(cell: object) -> str:
    """What a spreadsheet shows: 46.0 is the frame 46, an empty cell is no text."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).translate(INVISIBLE).strip()
    marked = MARKED_TEXT.fullmatch(text)
    text = (marked[1] or marked[2] or "").strip() if marked else text
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _workbook_tables(path: Path, content: bytes) -> Iterator[tuple[str, bool, dict[int, Row]]]:
    """Name, whether it is hidden, and filled rows of every worksheet; merged cells are filled.

    A formula without a stored value is the text of the formula.
    """
    # Imported here: most scripts read no workbook.
    from openpyxl import load_workbook

    with _damage_named(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        _refuse_archive(path, archive)
        books = [
            load_workbook(io.BytesIO(content), read_only=True, data_only=stored, keep_links=False)
            for stored in (True, False)
        ]
        sheets = list(zip(*(book.worksheets for book in books), strict=True))
        for stored, formulas in sheets:
            part = archive.read(stored._worksheet_path)
            for sheet in (stored, formulas):
                # Some writers declare a million rows; the cells themselves are what counts.
                sheet.reset_dimensions()
            cells = stored.iter_rows(values_only=True)
            if FORMULA.search(part):
                cells = map(_or_formula, cells, formulas.iter_rows())
            rows = _filled(path, enumerate(cells, start=1))
            _fill_merged(rows, [match.decode() for match in MERGED.findall(part)])
            yield stored.title, stored.sheet_state != "visible", rows


def _or_formula(values: Iterable[object], cells: Iterable[object]) -> list[object]:
    """The stored values, and in place of those that are absent their formulas."""
    pairs = zip(values, cells, strict=True)
    return [
        f"={getattr(cell, 'value', '')}".replace("==", "=")
        if value is None and getattr(cell, "data_type", "") == "f"
        else value
        for value, cell in pairs
    ]


def _fill_merged(rows: dict[int, Row], ranges: Iterable[str]) -> None:
    """Give every cell of a merged range the text of its first one."""
    from openpyxl.utils import range_boundaries

    room = MOST_ROWS
    for place in ranges:
        left, top, right, bottom = (bound or 1 for bound in range_boundaries(place))
        text = rows.get(top, ())[left - 1 : left]
        right = min(right, MOST_COLUMNS)
        for number in range(top, min(bottom, LAST_ROW) + 1) if text else ():
            row = rows.get(number)
            room -= 1
            if row is not None and room > 0:
                padded = (*row, *repeat("", right - len(row)))
                rows[number] = (*padded[: left - 1], *text * (right - left + 1), *padded[right:])


def _refuse_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a zip file that is no workbook, or one that unpacks to an absurd size."""
    unpacked = sum(item.file_size for item in archive.infolist())
    if unpacked > MOST_BYTES:
        size = f"{unpacked >> 20} MB, more than {MOST_BYTES >> 20} MB"
        raise Refusal(path, f"unpacks to {size}: not such a table.")
    names = set(archive.namelist())
    other = next((what for name, what in OTHER_ARCHIVES.items() if name in names), None)
    if other:
        raise Refusal(path, f"is {other}. {SAVE_AGAIN}")
    if names.isdisjoint(("[Content_Types].xml", "xl/workbook.xml")):
        raise Refusal(path, f"is an archive ({few(sorted(names), 60)}). Unpack it.")
    if "xl/workbook.xml" in names and STRICT in archive.read("xl/workbook.xml"):
        raise Refusal(
            path, 'is a "Strict Open XML" workbook. Save it as a plain Excel workbook (.xlsx).'
        )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        yield
    except UserError:
        raise
    # What zip, inflating, XML and openpyxl raise at a damaged workbook.
    except (
        *(AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError),
        *(ValueError, struct.error, zipfile.BadZipFile, zlib.error, InvalidFileException),
    ) as error:
        raise Refusal(
            path, f"is not a readable .xlsx workbook ({error}). Get it anew, or save it again."
        ) from None
