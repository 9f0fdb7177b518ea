"""Faults planted on purpose in synthetic raw datasets, each with a record of where it is.

They are those of the real sheets and folders, and those of damaged files. A clip has one fault at
most. ``planted_faults.csv`` lists them, so that tests can compare the audit's findings with them.
"""

import io
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import write_bytes, write_text
from datasets.synthetic.faces import generator
from datasets.synthetic.sheets import FORMATS, SheetRow, workbook_bytes, write_sheet

FAULTS_FILE = "planted_faults.csv"
FAULTY_KINDS = ("empty", "without_rows", "no_workbook", "oversized")
SHEET_FAULTS = ("empty_sheet", "sheet_without_rows", "no_workbook", "oversized_sheet")
"""What is wrong with the sheets of ``FAULTY_KINDS``."""
FAULTY_SHEETS = "faulty_sheets"
# CAS(ME)3 clips of more than 60 frames are remarkable.
LONG_CLIP = 66
# More than any annotation sheet unpacks to, yet a small file.
ABSURD_SIZE = 80 * 2**20

# Which clips may have a fault: any; the last of its recording, so that no other clip uses the
# damaged frames; or one that is alone in its folder.
Place = Literal["any", "last", "alone"]
FrameFile = Callable[[int], Path]


@dataclass(frozen=True)
class PlantedFault:
    """One planted fault; subject and clip are empty where a whole sheet is faulty."""

    dataset: str
    subject: str
    clip: str
    kind: str
    value: str


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault of a clip.

    Attributes:
        name: as in the record.
        change_row: gives the rows of the sheet that replace the correct one.
        change_files: damages the clip's frames and says which; called once for the raw frames
            and once for the registered ones.
        place: which clips may have it.
        not_in, only_in: datasets that cannot have it; the only ones that can.
        raw_only: registered frames cannot have it.
    """

    name: str
    change_row: Callable[[SheetRow], Sequence[SheetRow]] | None = None
    change_files: Callable[[SheetRow, FrameFile], str] | None = None
    place: Place = "any"
    not_in: tuple[str, ...] = ()
    only_in: tuple[str, ...] = ()
    raw_only: bool = False


def plant_faults(
    folder: Path,
    rows: Sequence[SheetRow],
    planned: Mapping[int, FaultKind],
    registered: Sequence[bool],
) -> tuple[list[SheetRow], list[PlantedFault]]:
    """Damage clips of one dataset.

    Args:
        folder: of the dataset, its frames in place.
        rows: its clips, all correct.
        planned: row index -> what to plant.
        registered: the kinds of frames that are there: False raw ones, True registered ones.

    Returns:
        The rows to write into the sheet, and the record.
    """
    sheet_rows: list[SheetRow] = []
    record = []
    for index, row in enumerate(rows):
        kind = planned.get(index)
        changed = kind.change_row(row) if kind and kind.change_row else [row]
        sheet_rows += changed
        if kind:
            damage = "" if kind.change_files is None else _damage(folder, row, kind, registered)
            spec, value = row.spec, damage or _differences(row, changed)
            record.append(PlantedFault(spec.dataset, spec.subject, row.clip, kind.name, value))
    return sheet_rows, record


def plant_sheet_faults(root: Path, dataset: str, other: str) -> list[PlantedFault]:
    """Write sheets of a dataset that are wrong as a whole; the values are paths below ``root``.

    One of them is the sheet of ``other``, unless that is the same dataset.
    """
    own = [f"{FAULTY_SHEETS}/{dataset}_{kind}.xlsx" for kind in FAULTY_KINDS]
    paths = {
        **dict(zip(SHEET_FAULTS, own, strict=True)),
        "folder_for_the_sheet": dataset,
        "sheet_of_another_dataset": f"{other}/{FORMATS[other].file_name}",
    }
    if other == dataset:
        del paths["sheet_of_another_dataset"]
    write_bytes(root / paths["empty_sheet"], workbook_bytes([]))
    write_sheet(root / paths["sheet_without_rows"], dataset, [])
    write_text(root / paths["no_workbook"], "This was a web page.\n")
    write_bytes(root / paths["oversized_sheet"], _oversized_workbook())
    return [PlantedFault(dataset, "", "", kind, value) for kind, value in paths.items()]


def write_record(root: Path, faults: Sequence[PlantedFault]) -> None:
    """Write the machine-readable list of what was planted."""
    columns = [field.name for field in fields(PlantedFault)]
    table = pd.DataFrame([asdict(fault) for fault in faults], columns=columns)
    write_text(root / FAULTS_FILE, table.to_csv(index=False, lineterminator="\n"))


def fault_kinds(dataset: str, with_raw: bool = True) -> list[FaultKind]:
    """The kinds that clips of a dataset can have; ``with_raw``: its raw frames are there."""
    return [
        kind
        for kind in FAULT_KINDS
        if dataset not in kind.not_in
        and (not kind.only_in or dataset in kind.only_in)
        and (with_raw or not kind.raw_only)
    ]


def plan_faults(rows: Sequence[SheetRow], with_raw: bool) -> dict[int, FaultKind]:
    """Choose a clip of one dataset for each kind of fault: row index -> kind.

    Raises:
        UserError: too few clips for all kinds.
    """
    spec = rows[0].spec
    order = generator(spec.seed, spec.dataset, "faults").permutation(len(rows)).tolist()
    sharing = Counter((row.subject, row.file) for row in rows)
    last = {(row.subject, row.file): index for index, row in enumerate(rows)}
    eligible: dict[Place, set[int]] = {
        "any": set(order),
        "last": set(last.values()),
        "alone": {index for name, index in last.items() if sharing[name] == 1},
    }
    planned: dict[int, FaultKind] = {}
    kinds = fault_kinds(spec.dataset, with_raw)
    # The most demanding first, or the others would take their clips.
    for kind in sorted(kinds, key=lambda kind: ("alone", "last", "any").index(kind.place)):
        free = [index for index in order if index in eligible[kind.place] - planned.keys()]
        if not free:
            raise UserError(
                f"{len(rows)} clips of {spec.dataset} are too few for {len(kinds)} kinds of "
                "planted faults, one a clip. Ask for more subjects or clips."
            )
        planned[free[0]] = kind
    return planned


def _damage(folder: Path, row: SheetRow, kind: FaultKind, registered: Sequence[bool]) -> str:
    value = ""
    for is_registered in registered:
        if kind.change_files and not (is_registered and kind.raw_only):
            value = kind.change_files(row, partial(_frame_file, folder, row, is_registered))
    return value


def _frame_file(folder: Path, row: SheetRow, registered: bool, number: int) -> Path:
    return folder / row.frame(number, registered)


def _differences(row: SheetRow, changed: Sequence[SheetRow]) -> str:
    """The cells that are not as in the correct row, such as "apex=/"."""
    cells = [
        f"{field.name}={getattr(changed[-1], field.name)}"
        for field in fields(SheetRow)
        if getattr(changed[-1], field.name) != getattr(row, field.name)
    ]
    return " ".join(cells) or row.clip


def _cells(**values: Callable[[SheetRow], int | str]) -> Callable[[SheetRow], list[SheetRow]]:
    """A change of some cells of a row."""

    def change(row: SheetRow) -> list[SheetRow]:
        cells: dict[str, Any] = {name: value(row) for name, value in values.items()}
        return [replace(row, **cells)]

    return change


def _remove_folder(row: SheetRow, frame_file: FrameFile) -> str:
    folder = frame_file(row.onset).parent
    shutil.rmtree(folder)
    return folder.name


def _remove_offset(row: SheetRow, frame_file: FrameFile) -> str:
    frame_file(row.offset).unlink()
    return str(row.offset)


def _make_gap(row: SheetRow, frame_file: FrameFile) -> str:
    frame_file(row.onset + 1).unlink()
    return str(row.onset + 1)


def _double_frame(row: SheetRow, frame_file: FrameFile) -> str:
    path = frame_file(row.onset + 1)
    _write_picture(path.with_suffix(".png"), _read_picture(path))
    return str(row.onset + 1)


def _cut_onset(row: SheetRow, frame_file: FrameFile) -> str:
    path = frame_file(row.onset)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return str(row.onset)


def _shrink_offset(row: SheetRow, frame_file: FrameFile) -> str:
    path = frame_file(row.offset)
    picture = _read_picture(path)
    _write_picture(path, cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return str(row.offset)


def _change_color(row: SheetRow, frame_file: FrameFile) -> str:
    path = frame_file(row.offset)
    picture = _read_picture(path)
    swap = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_BGR2GRAY
    colored = cv2.cvtColor(picture, swap)
    if colored.ndim == 3:
        colored[..., 0] //= 2
    _write_picture(path, colored)
    return str(row.offset)


def _write_sixteen_bits(row: SheetRow, frame_file: FrameFile) -> str:
    path = frame_file(row.onset)
    picture = _read_picture(path)
    path.unlink()
    _write_picture(path.with_suffix(".png"), picture.astype(np.uint16) * 257)
    return str(row.onset)


def _hide_face(row: SheetRow, frame_file: FrameFile) -> str:
    for number in range(row.first, row.last + 1):
        path = frame_file(number)
        _write_picture(path, np.full_like(_read_picture(path), 128))
    return f"{row.first}..{row.last}"


def _hold_last_frame(row: SheetRow, frame_file: FrameFile) -> str:
    """The frames that a far offset needs."""
    for number in range(row.last + 1, row.onset + LONG_CLIP):
        shutil.copyfile(frame_file(row.last), frame_file(number))
    return str(LONG_CLIP)


def _read_picture(path: Path) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise RuntimeError(f"{path}, just written, cannot be read")
    return picture


def _write_picture(path: Path, picture: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def _oversized_workbook() -> bytes:
    """A workbook whose one worksheet unpacks to far more than a sheet can be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("xl/worksheets/sheet1.xml"), bytes(ABSURD_SIZE), 8)
    return buffer.getvalue()


FAULT_KINDS = (
    FaultKind("apex_no_number", _cells(apex=lambda _: "/"), not_in=("smic",)),
    FaultKind("apex_empty", _cells(apex=lambda _: ""), not_in=("smic",)),
    FaultKind("apex_before_onset", _cells(apex=lambda row: row.onset - 1), not_in=("smic",)),
    FaultKind("apex_after_offset", _cells(apex=lambda row: row.offset + 1), not_in=("smic",)),
    FaultKind("apex_is_onset", _cells(apex=lambda row: row.onset), not_in=("smic",)),
    FaultKind("onset_after_offset", _cells(offset=lambda row: row.onset - 1)),
    FaultKind("unknown_emotion", _cells(emotion=lambda _: "joyful")),
    FaultKind("unreadable_action_unit", _cells(action_units=lambda _: "4+AU?"), not_in=("smic",)),
    FaultKind(
        "alternative_action_units", _cells(action_units=lambda _: "12 or 14"), not_in=("smic",)
    ),
    FaultKind(
        "second_movement",
        _cells(second_onset=lambda row: row.offset + 5, second_offset=lambda row: row.offset + 15),
        only_in=("smic",),
    ),
    FaultKind("duplicate_row", lambda row: [row, row]),
    FaultKind(
        "long_clip",
        _cells(offset=lambda row: row.onset + LONG_CLIP - 1),
        _hold_last_frame,
        place="last",
        only_in=("casme3",),
    ),
    FaultKind("missing_folder", change_files=_remove_folder, place="alone"),
    FaultKind("missing_key_frame", change_files=_remove_offset),
    FaultKind("gap", change_files=_make_gap),
    FaultKind("frame_twice", change_files=_double_frame),
    FaultKind("truncated_frame", change_files=_cut_onset, place="last"),
    FaultKind("frame_of_other_size", change_files=_shrink_offset, place="last"),
    FaultKind("frame_of_other_color", change_files=_change_color, place="last"),
    FaultKind("sixteen_bit_frame", change_files=_write_sixteen_bits, place="last"),
    FaultKind("no_face", change_files=_hide_face, place="alone", raw_only=True),
)
