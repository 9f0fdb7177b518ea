"""Annotation sheets: which worksheet is read, what its columns are, what is left unused."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.refusals import Refusal, few
from common.tables import Header, Worksheet, read_worksheets, reduce_name, whole
from datasets.raw.corrections import frame_number

EMOTIONS = (
    *("estimatedemotion", "emotion", "emotions", "expression", "emo", "emocion"),
    *("情绪", "情感", "表情", "感情", "감정", "label", "labels"),
)
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "subject": (
        *("subject", "subjects", "participant", "person", "sub", "subj", "proband"),
        *("versuchsperson", "sujet", "sujeto", "被试", "被试者", "受试者", "被験者", "피험자"),
    ),
    "clip": (
        *("filename", "clip", "sequence", "sample", "file", "datei", "fichier", "archivo"),
        *("文件", "片段", "样本", "ファイル", "파일", "video", "视频"),
    ),
    "onset": (
        *("onsetframe", "onset", "start", "onsettime", "onsetseconds", "beginn", "debut"),
        *("inicio", "起始", "开始", "起点", "開始", "시작"),
    ),
    "apex": (
        *("apexframe", "apex", "peak", "apextime", "apexseconds"),
        *("顶点", "峰值", "高潮", "頂点", "정점"),
    ),
    "offset": (
        *("offsetframe", "offset", "end", "offsettime", "offsetseconds", "ende", "fin"),
        *("结束", "终止", "终点", "終了", "끝"),
    ),
    "second_onset": ("onset2f",),
    "action_units": (
        *("actionunits", "actionunit", "au", "aus", "facs", "facscodes", "actionunitsau"),
        *("动作单元", "面部动作单元"),
    ),
    "emotion": EMOTIONS,
    "label": ("label", "labels", "class", "classname", "category", "标签", "类别", *EMOTIONS[:-2]),
    "folder": ("folder", "frames", "framefolder", "framesfolder", "directory", "dir", "文件夹"),
    "video": ("video", "videofile", "videopath", "movie", "视频", "视频文件"),
    "frame_rate": ("framerate", "fps", "framespersecond", "帧率"),
}
"""For each field its column names in all datasets, as ``column_name`` gives them; of several the
first is read."""
ALL_COLUMN_NAMES = {name for names in COLUMN_NAMES.values() for name in names}
LOOKS_NEEDED = re.compile(r"subject|filename|onset|apex|offset|emotion|actionunit|facs|^aus?$")
COLUMN_ENDING = re.compile(
    r"(?:ids?|no|nr|num|number|names?|codes?|index|idx|labels?|category|class|type|frames?|f"
    r"|编号|序号|编码|号|名称|名|类别|类型|标签|帧|フレーム|명|번호|프레임)$"
)
"""What may follow a column's name: "Subject No.", "emotion_label", "Onset帧"."""
LATER_MOVEMENT = re.compile(r"(?:onset|apex|offset)[2-9]f?")
FRAME_COLUMN = re.compile(
    r"(?:frame|f)?(onset|apex|offset)1?"
    r"(?:frame|frames|fr|f|no|nr|num|number|index|idx|id|pos|position|spotted|annotated)*"
)
FORMULA = re.compile(r"=\s*[\w(+\"'$-]")
WORKBOOK_ENDINGS = (".xlsx", ".xlsm")
CLIP_OR_PLACE = ("clip", "folder", "video")
SHEET_ADVICE = "Give the dataset's annotation sheet, or name the columns as there."


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


def column_name(header: str) -> str:
    """A header as in ``COLUMN_NAMES``: "Apex (frame no.)" and "frame_apex" are apexframe, and
    "Subject No." is subject."""
    name = _exact_name(header)
    shorter, before = name, ""
    while shorter not in ALL_COLUMN_NAMES and shorter != before:
        shorter, before = COLUMN_ENDING.sub("", shorter), shorter
    return shorter if shorter in ALL_COLUMN_NAMES else name


def _exact_name(header: str) -> str:
    name = reduce_name(header)
    match = FRAME_COLUMN.fullmatch(name)
    return f"{match[1]}frame" if match and match[1] != name else name


def _column_names(header: Sequence[str]) -> list[str]:
    """The names of all columns; a longer spelling gives way to the name itself."""
    exact = [_exact_name(cell) for cell in header]
    names = [column_name(cell) for cell in header]
    return [e if name in exact else name for e, name in zip(exact, names, strict=True)]


def read_sheet(
    path: Path,
    fits: Callable[[str], bool] = bool,
    preferred: str = "",
    own_table: bool = False,
) -> Sheet:
    """Read the worksheet that fits best: a visible one, one of a preferred name, most clips.

    Args:
        path: a workbook or a text file.
        fits: whether a cell is a clip's name of this dataset.
        preferred: what is found in the name of the right worksheet (a regular expression).
        own_table: a user's own table, whose clips may be named by their folders or videos.

    Raises:
        UserError: not such a file, no such header, no row below it, or needed cells that hold
            formulas without a stored value.
    """
    fields = CLIP_OR_PLACE if own_table else ("clip",)
    clip = tuple(name for field in fields for name in COLUMN_NAMES[field])
    header = Header([COLUMN_NAMES["subject"], clip], column_name, SHEET_ADVICE)
    found = [(sheet, _rows_of(sheet)) for sheet in read_worksheets(path, header)]

    def goodness(pair: tuple[Worksheet, list[SheetRow]]) -> tuple[bool, bool, int]:
        sheet, rows = pair
        clips = sum(fits(row.field("clip")) for row in rows)
        named = bool(preferred and re.search(preferred, sheet.name.lower()))
        return not sheet.hidden and bool(rows), named, clips

    best, rows = max(found, key=goodness)
    if not rows:
        raise Refusal(path, f"has a header and no row below it. {SHEET_ADVICE}")
    columns: dict[str, str] = {}
    for name, cell in zip(_column_names(best.header), best.header, strict=True):
        if name:
            columns.setdefault(name, cell)
    sheet = Sheet(rows, columns, [])
    _refuse_formulas(path, sheet)
    sheet.notes.extend(_apex_of_another_name(sheet))
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
    names = _column_names(sheet.header)
    rows = []
    for number, row in sheet.rows.items():
        padded = (*row, *[""] * (len(names) - len(row)))
        pairs = [(name, cell) for name, cell in zip(names, padded, strict=False) if name]
        # pandas writes the whole numbers of a column with an empty cell as 46.0, others as 46,0.
        cells = {name: whole(cell) for name, cell in reversed(pairs)}
        if any(cells.values()):
            rows.append(SheetRow(number, cells))
    return rows


def _refuse_formulas(path: Path, sheet: Sheet) -> None:
    for field in COLUMN_NAMES:
        column = sheet.column(field)
        rows = [row.number for row in sheet.rows if FORMULA.match(row.field(field))]
        if column and rows:
            raise Refusal(
                path,
                f"has formulas without a stored value in column {sheet.columns[column]} (rows "
                f"{few(rows)}). Open it in a spreadsheet program and save it once.",
            )


def _apex_of_another_name(sheet: Sheet) -> Iterator[tuple[str, str, str]]:
    """Read the only column that names an apex, where most of it lies from onset to offset."""
    names = [n for n in sheet.columns if "apex" in n and not LATER_MOVEMENT.fullmatch(n)]
    if sheet.column("apex") or len(names) != 1:
        return
    inside = 0
    for row in sheet.rows:
        cells = row.field("onset"), row.cells[names[0]], row.field("offset")
        frames = [number for cell in cells if (number := frame_number(cell)) is not None]
        inside += len(frames) == len(cells) and frames == sorted(frames)
    if 2 * inside > len(sheet.rows):
        sheet.columns["apex"] = sheet.columns.pop(names[0])
        for row in sheet.rows:
            row.cells["apex"] = row.cells.pop(names[0])
        yield "column", sheet.columns["apex"], "this column is read as the apex."


def _unused_columns(sheet: Sheet) -> Iterator[tuple[str, str, str]]:
    """Columns whose names look needed, but from which nothing is read."""
    used = {sheet.column(field): field for field in COLUMN_NAMES}
    for name, written in sheet.columns.items():
        word = LOOKS_NEEDED.search(name)
        if word and name not in used and not LATER_MOVEMENT.fullmatch(name):
            read = next((sheet.columns[c] for c in used if c and word[0] in c), None)
            instead = f"; {read} is read" if read else "; its name is not known"
            yield "column", written, f"this column is not used{instead}."
