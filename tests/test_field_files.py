"""Files as users bring them: saved again, mixed up, exchanged, named otherwise. All rows invented.

Every message is one line of at most 300 characters with exit code 2.
"""

import csv
import io
import re
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

import build_inputs
import calculate_all_results
import main_train_for_parameter_tuning
from common.errors import UserError
from datasets import read_inputs
from datasets.arrays import flow_path, frames_path, open_array
from datasets.frames.reading import read_frame
from datasets.inputs import MAPS_FOLDER, TABLE_NAME, map_file_name
from datasets.raw import RawDataset, RawSource, clip_table, read_raw_dataset
from evaluation.acc_files import read_acc_file
from evaluation.expected_clips import PROTOCOL_TABLE
from evaluation.results_folder import read_results
from tests.helpers.made_up_rows import protocol_labels
from tests.helpers.raw_fixtures import write_drawn_casme2
from tests.helpers.scripts import run_main

Pairs = dict[str, list[tuple[int, int]]]
Row = list[Any]
Rows = list[Row]

CASME2: Row = [
    "Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
    "Estimated Emotion",
]  # fmt: skip
SAMM: Row = [
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
    "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
]  # fmt: skip
SMIC: Row = ["Subject", "Filename", "OnsetF", "OffsetF", "Emotion"]
UNKNOWN_NAME = "not used; its name is not known"
EMOTIONS = ("happiness", "disgust", "repression", "surprise", "others")


def casme2_rows(clips: int = 12) -> Rows:
    return [
        [f"{s:02d}", f"EP0{c}_0{s}f", 10 * c, 10 * c + 9, 10 * c + 20, 12, EMOTIONS[(s + c) % 5]]
        for s in (1, 2, 3)
        for c in (1, 2, 3, 4)
    ][:clips]


def samm_row(number: int, units: str = "4+7") -> Row:
    start = 100 * number
    frames = [start, start + 20, start + 60]
    return ["006", f"006_1_{number}", 1, *frames, 61, "Micro", units, "Anger", 3, None]


def book(path: Path, sheets: dict[str, Rows], hidden: Sequence[str] = ()) -> Path:
    workbook = Workbook()
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if title in hidden else "visible"
    del workbook["Sheet"]
    workbook.active = len(sheets) - 1
    workbook.save(path)
    return path


def table_text(rows: Rows, separator: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows(rows)
    return buffer.getvalue()


def read(dataset: str, sheet: Path, **more: object) -> RawDataset:
    return read_raw_dataset(RawSource(dataset, sheet, **more))  # type: ignore[arg-type]


def notes(raw: RawDataset, *rules: str) -> list[str]:
    return [f"{f.value}: {f.detail}" for f in raw.findings if f.rule in rules]


def refused(main: object, *flags: object) -> str:
    """The one line that a script ends with, exit code 2."""
    error = run_main(main, [str(flag) for flag in flags], refused=True)  # type: ignore[arg-type]
    assert error.count("\n") == 1 and len(error) <= len("error: ") + 301
    return error


def rename_maps(folder: Path, old: str, new: str) -> None:
    for path in (folder / MAPS_FOLDER).glob(f"{old}*"):
        path.rename(path.with_name(path.name.replace(old, new)))


# A. Tables that a spreadsheet program saved again.


@pytest.mark.parametrize("separator", [";", "\t", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk"])
def test_a_sheet_saved_again_gives_the_same_clips(
    separator: str, encoding: str, tmp_path: Path
) -> None:
    rows = [SAMM, *map(samm_row, (1, 2, 3)), [""] * len(SAMM)]
    again = tmp_path / "again.csv"
    again.write_bytes(table_text(rows, separator).encode(encoding))
    plain = clip_table(read("samm", book(tmp_path / "a.xlsx", {"MICRO": rows[:4]})).clips)
    pd.testing.assert_frame_equal(clip_table(read("samm", again).clips), plain)


@pytest.mark.parametrize(
    ("subject", "clip", "onset"),
    [
        ("'006", "'006_1_1", "'100"), ('="006"', '="006_1_1"', '="100"'),
        ("006", "6_1_1", "100.00"), ("6.0", "SAMM/006/006_1_1", "\u200b100"),
        ("006", "006_1_1.avi", "100,0"), ("", "006_1_1", "100"),
    ],
)  # fmt: skip
def test_cells_in_the_dress_of_other_programs_give_the_same_clip(
    subject: str, clip: str, onset: str, tmp_path: Path
) -> None:
    row = [subject, clip, 1, onset, *samm_row(1)[4:]]
    text = table_text([[*SAMM[:-1], "Anmerkung für später"], row], ";")
    for encoding in ("utf-8", "cp1252"):
        (tmp_path / "a.csv").write_text(text.replace("\u200b", ""), encoding=encoding)
        (found,) = read("samm", tmp_path / "a.csv").clips
        assert (found.subject, found.clip, found.onset) == ("006", "006_1_1", 100)


def test_what_may_be_thousands_is_no_frame_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table_text([SAMM, [*samm_row(1)[:3], "5.000"]], ";"))
    assert "onset '5.000'" in notes(read("samm", tmp_path / "a.csv"), "not a frame number")[0]


def test_dates_that_a_spreadsheet_program_made_are_called_so(tmp_path: Path) -> None:
    row = casme2_rows(1)[0]
    for cell in (datetime(2026, 4, 7), "07-Apr", "4月7日"):
        sheet = book(tmp_path / "a.xlsx", {"a": [CASME2, [*row[:5], cell, row[6]]]})
        raw = read("casme2", sheet)
        assert not raw.clips[0].action_units
        assert notes(raw, "action units")[0].endswith(
            "made a date of the units: they are left out."
        )
    sheet = book(tmp_path / "a.xlsx", {"a": [SAMM, ["006", datetime(2006, 1, 2)]]})
    with pytest.raises(UserError, match="has dates such as 2006-01-02 00:00:00 in column Filename"):
        read("samm", sheet)


def test_merged_cells_saved_as_text_are_named(tmp_path: Path) -> None:
    rows = [["" if k else row[0], *row[1:]] for k, row in enumerate(casme2_rows(4))]
    (tmp_path / "a.csv").write_text(table_text([CASME2, *rows]))
    raw = read("casme2", tmp_path / "a.csv")
    assert len(raw.clips) == 1
    assert notes(raw, "name")[0].startswith(": a cell is empty; of a merged one, text")


def test_decimal_commas_are_numbers(tmp_path: Path, protocol_folder: tuple[Path, Pairs]) -> None:
    rows = [[f"{cell},0" if isinstance(cell, int) else cell for cell in samm_row(1)]]
    (tmp_path / "a.csv").write_text(table_text([["", ""], [*SAMM, ""], *rows], ";"))
    (clip,) = read("samm", tmp_path / "a.csv").clips
    assert (clip.onset, clip.apex, clip.offset) == (100, 120, 160)
    folder, pairs = protocol_folder
    head = [name.title() for name in PREDICTIONS] + [f"score_{k}" for k in "abc"]
    scored = [
        [*row, *("0,9" if str(k) == row[4] else "5e-2" for k in range(3))]
        for row in prediction_rows(pairs)
    ]
    (folder / "predictions.csv").write_text(table_text([head, *scored], ";"))
    results = read_results(folder)
    assert len(results.rows) == 442 and results.rows["score_a"].isin([0.9, 0.05]).all()


@pytest.mark.parametrize(
    ("dataset", "clip", "cells", "name"),
    [
        ("casme2", "EP01_01f", ("1", "01", "sub01", "S01", "sub 1", "Subject_01", "1.0"), "sub01"),
        ("samm", "006_1_1", ("6", "006", "06", "sub006", "s6"), "006"),
        ("smic", "s1_ne_01", ("1", "s1", "S01", "sub01"), "s01"),
        ("mmew", "S01-03-001", ("1", "S01", "s1", "sub01"), "S01"),
    ],
)
def test_a_subject_is_known_in_every_spelling(
    dataset: str, clip: str, cells: tuple[str, ...], name: str, tmp_path: Path
) -> None:
    emotion = "negative" if dataset == "smic" else "surprise"
    for cell in cells:
        rows = [CASME2, [cell, clip, 1, 2, 3, "", emotion]]
        (found,) = read(dataset, book(tmp_path / "a.xlsx", {"a": rows})).clips
        assert found.subject == name


def test_corrections_are_read_as_a_spreadsheet_program_saves_them(tmp_path: Path) -> None:
    lines = [["dataset", "subject", "clip", "field", "value", "reason"]]
    lines += [["samm", "6", "6_1_1", "apex", "110,0", "seen"], [""] * 6]
    table = tmp_path / "mine.csv"
    table.write_bytes(table_text(lines, ";").encode("utf-16"))
    sheet = book(tmp_path / "a.xlsx", {"MICRO": [SAMM, samm_row(1)]})
    assert read("samm", sheet, corrections=table).clips[0].apex == 110


@pytest.fixture
def protocol_folder(tmp_path: Path) -> tuple[Path, Pairs]:
    """A folder for results, and (predicted, true) for every subject of the protocol."""
    random = np.random.default_rng(1)
    pairs = {
        subject: [(int(t) if random.random() < 0.7 else (int(t) + 1) % 3, int(t)) for t in labels]
        for subject, labels in protocol_labels().items()
    }
    return tmp_path, pairs


def write_acc(folder: Path, pairs: Pairs, encoding: str = "utf-8", text: str = "") -> None:
    folder.mkdir(exist_ok=True)
    for subject, own in pairs.items():
        accuracy = sum(p == t for p, t in own) / len(own)
        matrix = [list(pair) for pair in own]
        record = f"best epoach: 12\nbest acc: {text or accuracy}\nmatrix_acc: {matrix}\n"
        (folder / f"{subject}_acc.txt").write_bytes(record.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_acc_files_are_read_with_a_mark_in_front(
    encoding: str, protocol_folder: tuple[Path, Pairs]
) -> None:
    folder, pairs = protocol_folder
    write_acc(folder, pairs, encoding)
    results = read_results(folder)
    assert len(results.rows) == 442 and not results.problems


def prediction_rows(pairs: Pairs) -> Rows:
    protocol = pd.read_csv(PROTOCOL_TABLE, dtype=str)
    return [
        [dataset, subject, f"c{number}", str(true), str(predicted)]
        for dataset, subject in protocol[["dataset", "subject"]].itertuples(index=False)
        for number, (predicted, true) in enumerate(pairs[subject])
    ]


PREDICTIONS: Row = ["dataset", "subject", "clip", "true", "predicted"]


@pytest.mark.parametrize(
    ("separator", "encoding", "blank"),
    [(",", "utf-8-sig", 0), (",", "utf-8", 2), (";", "utf-8", 0), ("\t", "utf-16", 1)],
)
def test_predictions_saved_again_are_read(
    separator: str,
    encoding: str,
    blank: int,
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    text = table_text([PREDICTIONS, *prediction_rows(pairs), *[[""] * 5] * blank], separator)
    (folder / "predictions.csv").write_bytes(text.encode(encoding))
    results = read_results(folder)
    assert len(results.rows) == 442 and not results.problems


def test_lost_zeros_of_results_are_named(
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    rows = [[d, s.lstrip("0") if s.isdecimal() else s, *r] for d, s, *r in prediction_rows(pairs)]
    (folder / "predictions.csv").write_text(table_text([PREDICTIONS, *rows]))
    error = refused(calculate_all_results.main, folder)
    assert "zeros in front of subjects are lost: 10 for 010, 11 for 011, 12 for 012 and 25" in error
    (folder / "predictions.csv").unlink()
    write_acc(folder, {subject.lstrip("0"): own for subject, own in pairs.items()})
    assert "zeros in front of subjects are lost: " in refused(calculate_all_results.main, folder)


def test_lost_zeros_of_inputs_are_put_back_where_maps_prove_them(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    table = folder / TABLE_NAME
    table.write_text(table.read_text().replace("samm,006,", "samm,6,").replace(",", ";"))
    assert read_inputs(folder).sha256 == read_inputs(tiny_folder).sha256
    assert "zeros lost in front of subjects are put back: 006" in capsys.readouterr().err
    for path in (folder / MAPS_FOLDER).glob("006*"):
        path.rename(path.with_name(path.name.replace("006", "06", 1)))
    assert "06" in set(read_inputs(folder).clips["subject"])
    for path in (folder / MAPS_FOLDER).glob("06*"):
        path.unlink()
    with pytest.raises(UserError, match=r"missing: 6_006_ep0 \.png") as caught:
        read_inputs(folder)
    assert "emove" not in str(caught.value)


def test_names_that_look_like_nothing_are_names(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    table = folder / TABLE_NAME
    table.write_text(table.read_text().replace("samm,006,006_ep0", "samm,NA,null"))
    rename_maps(folder, "006_006_ep0", "NA_null")
    assert "NA" in set(read_inputs(folder).clips["subject"])
    rows = [["None", "nan", "null", "0", "0"], ["NA", "", "x", "0", "0"]]
    path = tmp_path / "predictions.csv"
    path.write_text(table_text([PREDICTIONS, rows[0]]))
    assert read_results(tmp_path).problems
    path.write_text(table_text([PREDICTIONS, *rows]))
    with pytest.raises(UserError, match="an empty cell in column subject, line 3"):
        read_results(tmp_path)


# B. Action units.


@pytest.mark.parametrize(
    ("cell", "units"),
    [
        ("A12", "12"), ("A12+A7", "12+7"), ("T23", "T23"), ("B18+25", "B18+25"),
        ("ref(7B)+43", "7+43"), ("10A/B", "10"), ("A/L12", "L12"),
        ("(R6 or R12)+R15", "R6+R12+R15"),
        ("R14A or 17A or 24A", "R14+17+24"), ("4?", "4"), ("AD19+M55", "19+55"),
        ("7B+ ref(43)", "7+43"),
        ("[L]12", "L12"), ("12+15 ", "12+15"), ("（12＋7）", "12+7"),
        ("L(6+7)", "L6+L7"), ("R(6)+12", "R6+12"), ("AU 6+12", "6+12"), ("(4)+7", "4+7"),
        ("R4A", "R4"), ("4C", "4"), ("M57", "57"), ("M 57", "57"), ("ref(4)", "4"),
        ("LR4", "4"), ("L/R12", "12"), ("T/B23", "23"), ("12L", "L12"), ("AU12R", "R12"),
        ("?4", "4"), ("U12", "12"), ("4(B)+7", "4+7"), ("4 and 7", "4+7"), ("4+7.", "4+7"),
        ("none", ""), ("-", ""), ("N/A", ""), ("12或14", "12+14"), ("n.a.", ""), ("—", ""),
        ("4|7", "4+7"), ("12(L)", "L12"), ("12 (right)", "R12"), ("L-12", "L12"), ("12-R", "R12"),
        ("AU12_L", "L12"), ("left 12", "L12"), ("12 L14", "12+L14"), ("12 L", "L12"),
        ("AU12 (A)", "12"), ("(ref)4", "4"), ("4 ref", "4"), ("4+7(?)", "4+7"), ("10AB", "10"),
        ("L/A12", "L12"), ("A/?12", "12"), ("{4}", "4"), ("'4+7'", "4+7"), ("bilateral 12", "12"),
        ("12 L/R", "12"), ("12(L/R)+4", "12+4"), ("RAU12", "R12"), ("Left AU12", "L12"),
        ("12 left side", "L12"), ("AU.12*", "12"), ("AU012", "12"), ("12T", "T12"), ("14 A", "14"),
        ("AU 4. AU 7.", "4+7"), ("12/?", "12"), ("4+7(L)", "4+L7"), ("12 A7", "12+7"),
    ],
)  # fmt: skip
def test_units_are_read_by_the_sheets_own_key(cell: str, units: str, tmp_path: Path) -> None:
    raw = read("samm", book(tmp_path / "a.xlsx", {"MICRO": [SAMM, samm_row(1, cell)]}))
    assert clip_table(raw.clips)["action_units"].tolist() == [units]
    found = notes(raw, "action units")
    alternatives = " or " in cell or "或" in cell
    assert found == ([f"{cell}: alternatives: all of them are listed."] if alternatives else [])


def test_one_line_says_what_of_a_cell_is_left_out(tmp_path: Path) -> None:
    raw = read("samm", book(tmp_path / "a.xlsx", {"MICRO": [SAMM, samm_row(1, "4 or x7")]}))
    (line,) = notes(raw, "action units")
    assert line.endswith("not understood and left out: x7; the other alternatives are listed.")


# C. Columns.


@pytest.mark.parametrize(
    "names",
    [
        ("OnsetF", "ApexF", "OffsetF"),
        ("onset", "apex", "offset"),
        ("Onset frame", "Apex Frame", "Offset_Frame"),
        ("Onset (frame no.)", "Apex (frame no.)", "Offset (frame no.)"),
        ("frame_onset", "frame_apex", "frame_offset"),
        ("OnsetIndex", "ApexIndex", "OffsetIndex"),
        ("OnsetF", "apex_spotted", "OffsetF"),
        ("起始帧", "顶点帧", "结束帧"),
    ],
)
def test_an_apex_that_somebody_added_is_used(names: tuple[str, ...], tmp_path: Path) -> None:
    head = ["Subject", "Filename", *names, "Emotion"]
    rows: Rows = [
        [s, f"s{s}_ne_01", 1000 * s, 1000 * s + 3, 1000 * s + 17, "negative"] for s in (1, 2)
    ]
    rows[1][3] = None
    raw = read("smic", book(tmp_path / "a.xlsx", {"HS": [head, *rows]}))
    found = [(clip.apex, clip.apex_source) for clip in raw.clips]
    assert found == [(1003, "annotated"), (2008, "middle")]
    assert notes(raw, "no apex") == [": this row has none: the middle frame is used."]
    rows[1][3] = "/"
    raw = read("smic", book(tmp_path / "a.xlsx", {"HS": [head, *rows]}))
    assert len(raw.clips) == 1 and "apex '/'" in notes(raw, "not a frame number")[0]


@pytest.mark.parametrize(
    "name", ["ApexF1", "our apex", "Apex (LBP, by hand)", "apex frame from 0", "ApexFrame2021"]
)
def test_the_only_column_of_an_apex_is_read_where_its_frames_prove_it(
    name: str, tmp_path: Path
) -> None:
    head = ["Subject", "Filename", "OnsetF", name, "OffsetF", "Emotion"]
    for apex, source in ((1003, "annotated"), (3, "middle"), ("", "middle")):
        rows: Rows = [[1, "s1_ne_01", 1000, apex, 1017, "negative"]]
        raw = read("smic", book(tmp_path / "a.xlsx", {"HS": [head, *rows]}))
        assert raw.clips[0].apex_source == source
        assert notes(raw, "column") == [
            f"{name}: this column is {'read as the apex' if apex == 1003 else UNKNOWN_NAME}."
        ]


@pytest.mark.parametrize(
    "head",
    [
        ("Subject_ID", "File_Name", "Onset_Frame", "Apex_Frame", "Offset_Frame", "Emotion_Label"),
        ("Subject No.", "Clip Name", "onset_frame_idx", "apexFrameNumber", "Offset F", "emo"),
        ("SUBJ", "video_id", "Onset:", "Apex:", "Offset:", "Expression type"),
        ("受试者编号", "文件名称", "Onset帧", "Apex帧", "Offset帧", "情感类别"),
        ("Sujet", "Fichier", "Début", "Apex", "Fin", "Émotion"),
        ("被験者", "ファイル名", "開始フレーム", "頂点", "終了", "感情"),
    ],
)
def test_columns_are_known_in_other_words(head: tuple[str, ...], tmp_path: Path) -> None:
    rows = [["1", "EP01_01f", 1, 2, 3, "Happy"], ["2", "ep01_02F", 1, 2, 3, "Other"]]
    raw = read("casme2", book(tmp_path / "a.xlsx", {"a": [list(head), *rows]}))
    found = [(clip.subject, clip.clip, clip.emotion) for clip in raw.clips]
    assert found == [("sub01", "EP01_01f", "happiness"), ("sub02", "EP01_02f", "others")]
    assert not notes(raw, "column")


def test_an_exact_column_name_comes_before_a_longer_one(tmp_path: Path) -> None:
    head = ["Subject", "Filename", "Onset", "Apex", "Offset", "Emotion Id", "Emotion"]
    sheet = book(tmp_path / "a.xlsx", {"a": [head, ["1", "EP01_01f", 1, 2, 3, 4, "happiness"]]})
    raw = read("casme2", sheet)
    assert raw.clips[0].emotion == "happiness"
    assert notes(raw, "column") == ["Emotion Id: this column is not used; Emotion is read."]


def test_columns_that_look_needed_and_are_not_used_are_named(tmp_path: Path) -> None:
    head = [*CASME2, "Emotion Id", "True Apex", "Onset2F", "remarks"]
    rows = [[*row, 1, 2, 3, "x"] for row in casme2_rows()]
    raw = read("casme2", book(tmp_path / "a.xlsx", {"a": [head, *rows]}))
    assert notes(raw, "column") == [
        "Emotion Id: this column is not used; Estimated Emotion is read.",
        "True Apex: this column is not used; ApexFrame is read.",
    ]


def test_an_absurd_frame_number_is_a_fault_of_its_row(tmp_path: Path) -> None:
    rows = casme2_rows(4)
    rows[0][4], rows[1][4], rows[2][3] = 960_000_000, "9" * 5000, "١٢"
    raw = read("casme2", book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]}))
    assert len(raw.clips) == 1
    assert "a clip of more than 100000 frames" in notes(raw, "order")[0]
    assert len(notes(raw, "not a frame number")) == 2


# D. Whose clip it is.


def test_rows_of_another_dataset_are_named_and_not_counted(tmp_path: Path) -> None:
    rows = casme2_rows()
    rows += [[s, f"{n}_1_1", 100, 120, 160, 4, "happiness"] for s, n in ((27, "006"), (28, "007"))]
    raw = read("casme2", book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]}))
    assert len(raw.clips) == 12 and notes(raw, "count")[0].startswith("12: ")
    assert [f.outcome for f in raw.findings if f.rule == "foreign clip"] == ["excluded"] * 2
    line = "006_1_1: this is a clip name of SAMM; CASME II has such as EP02_01f."
    assert notes(raw, "foreign clip")[0] == line


@pytest.mark.parametrize(
    ("dataset", "subject", "clip"),
    [("samm", "7", "006_1_2"), ("smic", "s2", "s1_ne_01"), ("mmew", "S02", "S01-03-001")],
)
def test_a_clip_of_another_subject_is_named(
    dataset: str, subject: str, clip: str, tmp_path: Path
) -> None:
    emotion = "negative" if dataset == "smic" else "surprise"
    row = [subject, clip, 1, 2, 3, "", emotion]
    raw = read(dataset, book(tmp_path / "a.xlsx", {"a": [CASME2, row]}))
    assert not raw.clips and "the clip's name says subject" in notes(raw, "subject")[0]


def test_an_emotion_that_the_clips_name_contradicts_is_named(tmp_path: Path) -> None:
    rows = [[1, "s1_ne_01", 1, 3, "po"], [1, "s1_sur_01", 1, 3, "surprise"]]
    raw = read("smic", book(tmp_path / "a.xlsx", {"HS": [SMIC, *rows]}))
    assert [clip.emotion for clip in raw.clips] == ["positive", "surprise"]
    (line,) = notes(raw, "emotion")
    assert line == "po: the clip's name says negative: correct the sheet if that is right."


@pytest.mark.parametrize("name", ["EP01_01f", "EP03_08_1", "EP07_4", "EP12f"])
def test_every_form_of_casme2_names_is_known(name: str, tmp_path: Path) -> None:
    rows = [["01", name, 1, 2, 3, "", "happiness"]]
    assert len(read("casme2", book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]})).clips) == 1


@pytest.mark.parametrize("dataset", ["casme2", "samm", "mmew", "casme3"])
def test_a_sheet_of_an_unknown_dataset_is_not_taken_for_another(
    dataset: str, tmp_path: Path
) -> None:
    names = [(f"sub{s:04d}", f"sub{s:04d}_{k:02d}") for s in (3, 5) for k in (1, 2)]
    rows = [[*name, 5, 25, 65, 12, "anger"] for name in names]
    sheet = book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]})
    error = refused(build_inputs.main, "--audit-only", "--dataset", dataset, "--sheet", sheet)
    assert "clip names such as sub0003_01, sub0003_02, sub0005_01 and 1 more are not" in error
    assert error.endswith("None of the datasets has them: --dataset table reads any.\n")


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ((0, 1, 4, 3, 2, 5, 6), "order: 12 of 12: most rows break this rule"),
        ((0, 1, 3, 2, 4, 5, 6), "order: 12 of 12: most rows break this rule"),
        ((0, 1, 2, 3, 4, 6, 5), "emotion: 12 of 12: most rows break this rule"),
    ],
)
def test_exchanged_columns_are_named_once(
    order: tuple[int, ...], reason: str, tmp_path: Path
) -> None:
    rows = [[row[place] for place in order] for row in casme2_rows()]
    raw = read("casme2", book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]}))
    assert notes(raw, "columns") == [f"{reason}: are columns exchanged?"]


def test_exchanged_names_and_the_first_casme_are_no_casme2(tmp_path: Path) -> None:
    rows = [[row[1], row[0], *row[2:]] for row in casme2_rows()]
    with pytest.raises(UserError, match="columns of subjects and clips look exchanged"):
        read("casme2", book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]}))
    head: Row = ["Subject", "Filename", "OnsetF", "ApexF1", "ApexF2", "OffsetF", "AU", "Emotion"]
    rows = [[1, "EP01_12", 73, 81, None, 91, 4, "happiness"]]
    with pytest.raises(UserError, match="no column for apex"):
        read("casme2", book(tmp_path / "a.xlsx", {"a": [head, *rows]}))


def test_datasets_of_results_and_inputs_are_known_in_every_spelling(
    protocol_folder: tuple[Path, Pairs], tiny_folder: Path, tmp_path: Path
) -> None:
    folder, pairs = protocol_folder
    titles = {"casme2": "CASME II", "samm": "SAMM", "smic": "SMIC-HS"}
    rows = [[titles[row[0]], *row[1:]] for row in prediction_rows(pairs)]
    (folder / "predictions.csv").write_text(table_text([PREDICTIONS, *rows]))
    assert not read_results(folder).problems
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    table = copy / TABLE_NAME
    table.write_text(table.read_text().replace("casme2,", "CASME II,"))
    assert read_inputs(copy).sha256 == read_inputs(tiny_folder).sha256


# E. Workbooks.


def smic_rows(step: int) -> Rows:
    return [SMIC, *([s, f"s{s}_ne_01", step * s, step * s + 9, "negative"] for s in (1, 2))]


def test_the_worksheet_that_fits_best_is_read_and_named(tmp_path: Path) -> None:
    raw = read("smic", book(tmp_path / "a.xlsx", {"VIS": smic_rows(4), "HS": smic_rows(17)}))
    assert raw.clips[0].onset == 17
    assert notes(raw, "worksheet") == ["HS: this one is read. Not read: VIS (2 rows)."]
    for name in ("SMIC_HS", "HS camera", "HS-E"):
        raw = read("smic", book(tmp_path / "a.xlsx", {"NIR": smic_rows(4), name: smic_rows(17)}))
        assert raw.clips[0].onset == 17
    new = [CASME2, *casme2_rows()]
    old = [CASME2, *([*row[:6], "others"] for row in new[1:])]
    few = [CASME2, *casme2_rows(3)]
    books: list[tuple[dict[str, Rows], int, list[str]]] = [
        ({"old": old, "new": few}, 3, ["new: this one is read. Not read: old (12 rows)."]),
        ({"few": few, "all": new}, 12, ["all: this one is read. Not read: few (3 rows)."]),
        ({"notes": [["About"]], "all": new}, 12, []),
        ({"notes": [["About"]], "old": old}, 12, ["old: this one is read. It is hidden."]),
    ]
    for sheets, clips, said in books:
        raw = read("casme2", book(tmp_path / "a.xlsx", sheets, ("old",)))
        assert (len(raw.clips), notes(raw, "worksheet")) == (clips, said)


def test_merged_subjects_are_filled(tmp_path: Path) -> None:
    rows = casme2_rows()
    for row in rows:
        row[0] = row[0] if str(row[1]).startswith("EP01") else None
    path = book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]})
    assert len(read("casme2", path).clips) == 3
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for row in (CASME2, *rows):
        sheet.append(row)
    for first in (2, 6, 10):
        sheet.merge_cells(f"A{first}:A{first + 3}")
    workbook.save(path)
    assert len(read("casme2", path).clips) == 12


def test_a_header_of_two_merged_rows_is_read(tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.append(["Subject", "Filename", "Frames", None, None, "Action Units", "Estimated Emotion"])
    sheet.append([None, None, "Onset", "Apex", "Offset", None, None])
    sheet.merge_cells("C1:E1")
    for column in "ABFG":
        sheet.merge_cells(f"{column}1:{column}2")
    for row in casme2_rows():
        sheet.append(row)
    workbook.save(tmp_path / "a.xlsx")
    assert len(read("casme2", tmp_path / "a.xlsx").clips) == 12


def test_formulas_without_stored_values_are_called_that(tmp_path: Path) -> None:
    rows = [[*row[:4], f"=C{i}+20", *row[5:]] for i, row in enumerate(casme2_rows(), 2)]
    sheet = book(tmp_path / "a.xlsx", {"a": [CASME2, *rows]})
    error = refused(build_inputs.main, "--audit-only", "--dataset", "casme2", "--sheet", sheet)
    assert "formulas without a stored value in column OffsetFrame (rows 2, 3, 4 and 9" in error


# F. Not what the name says (the kinds are in test_tables.py).


def test_a_text_file_with_a_workbooks_name_is_read_and_said(tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").write_text(table_text([CASME2, *casme2_rows()]))
    raw = read("casme2", tmp_path / "sheet.xlsx")
    assert len(raw.clips) == 12
    assert notes(raw, "file") == ["sheet.xlsx: this is text and no workbook, and is read as that."]


def test_maps_that_are_git_lfs_pointers_are_called_so(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    for path in (folder / MAPS_FOLDER).iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UserError, match=r"a Git LFS pointer \(run git lfs pull\): 006_006_ep0"):
        read_inputs(folder)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not"),
        (b"<html>", "a web page, not"),
        (b"/annex/objects/x", "a git-annex pointer, not"),
        (b'{"message":"Not Found"}', "a server's error message, not"),
    ],
)
def test_arrays_and_frames_that_are_something_else_are_called_so(
    content: bytes, what: str, tmp_path: Path
) -> None:
    clips = pd.DataFrame({"dataset": ["samm"], "stem": ["006_a"]})
    for name, path in (("flow", flow_path), ("frames", frames_path)):
        place = path(tmp_path, "006_a")
        place.parent.mkdir()
        place.write_bytes(content)
        with pytest.raises(UserError, match=what):
            open_array(tmp_path, name, clips)
    (tmp_path / "img1.jpg").write_bytes(content)
    with pytest.raises(UserError, match=what):
        read_frame(tmp_path / "img1.jpg")


# G. Contents against the protocol.


def test_the_protocols_classes_are_compared(
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    swapped = {subject: [(t, p) for p, t in own] for subject, own in pairs.items()}
    write_acc(folder, swapped)
    error = refused(calculate_all_results.main, folder)
    assert "true classes of casme2, samm, smic are " in error
    assert "not 88/32/25 negative/positive/surprise: predicted and true look exchanged" in error
    assert "PARTIAL: 442 clips, 0 missing; true classes" in run_main(
        calculate_all_results.main, [str(folder), "--partial"]
    )
    write_acc(folder, {s: [(2 - p, 2 - t) for p, t in own] for s, own in pairs.items()})
    error = refused(calculate_all_results.main, folder)
    assert "are 25/32/88, not 88/32/25" in error and "in another order" in error
    changed = {**pairs, "s01": [(0, 0)] * len(pairs["s01"])}
    write_acc(folder, changed)
    error = refused(calculate_all_results.main, folder)
    assert "true classes of smic are " in error and "labels differ" in error
    # A part of the clips may have any classes that the protocol has.
    write_acc(folder, pairs)
    (folder / "sub01_acc.txt").unlink()
    assert not any("true classes" in problem for problem in read_results(folder).problems)


def test_a_best_acc_that_the_matrix_contradicts_is_named_once(
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    write_acc(folder, pairs, text="0.0123")
    error = refused(calculate_all_results.main, folder)
    assert "68 refused: sub01_acc.txt, sub02_acc.txt, sub03_acc.txt and 65 more: each has" in error
    assert "a best acc that its matrix_acc contradicts" in error


def test_a_class_that_the_protocol_lacks_is_refused(
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    pairs["s01"][0] = (7, pairs["s01"][0][1])
    write_acc(folder, pairs)
    assert "s01_acc.txt holds class 7; the MEGC" in refused(calculate_all_results.main, folder)
    (folder / "predictions.csv").write_text(table_text([PREDICTIONS, *prediction_rows(pairs)]))
    for more in ([], ["--partial"]):
        error = refused(calculate_all_results.main, folder, *more)
        assert "holds class 7; the MEGC2019 protocol has 0 to 2. Other clips need" in error


# H. Result files of derived code.


@pytest.mark.parametrize(
    ("matrix", "accuracy", "epoch"),
    [
        ("[[0, 0], [1, 1], [2, 0]]", "0.6667", "12"),
        ("[[np.int64(0), np.int64(0)], [np.int64(1), 1], [2, 0]]", "np.float64(0.66666667)", "12"),
        ("[[tensor(0), tensor(0)], [tensor(1), 1], [2.0, 0.0]]", "tensor(0.6667)", "12.0"),
        ("[(0, 0), (1, 1), (2, 0)]", "66.67", "np.int64(12)"),
        ("[[tensor(0, device='cuda:0'), array(0)], [1, 1], [2, 0]]", "0.67", "tensor(12)"),
        ("[[Array(0, dtype=int32), 0], [1, 1], [2, 0]]", "66.67%", "12"),
        ("array([[0, 0], [1, 1], [2, 0]])", "0,667", "12"),
        ("torch.tensor([[0, 0], [1, 1], [2, 0]], device='cuda:0')", "0.667", "12"),
        ("[tensor([0, 0]), array([1, 1]), np.array([2, 0], dtype=int32)]", "2", "12"),
        ("tensor([[0, 0],\n [1, 1],\n [2, 0]], device='cuda:0', grad_fn=<X>)", "0.667", "12"),
        ("[[0. 0.]\n [1. 1.]\n [2. 0.]]", "0.667", "12"),
        ("((0, 0), (1, 1), (2, 0))", "0.667", "12"),
        ("[[0 0]\n [1 1]\n [2 0]]", "0.667", "12"),
    ],
)
def test_numbers_of_acc_files_are_read_in_any_dress(
    matrix: str, accuracy: str, epoch: str, tmp_path: Path
) -> None:
    path = tmp_path / "sub01_acc.txt"
    path.write_text(f"best epoach: {epoch}\nbest acc: {accuracy}\nmatrix_acc: {matrix}\n")
    number, predicted, true = read_acc_file(path)
    assert (number, predicted.tolist(), true.tolist()) == (12, [0, 1, 2], [0, 1, 0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[0, 1, 2], [0, 1, 1]]", "pairs: is it transposed"),
        ("[[3, 0, 0], [1, 2, 0], [0, 0, 4]]", "pairs: is it a confusion matrix"),
        ("[['a', 'b']]", "not a list of"),
    ],
)
def test_a_matrix_of_another_shape_is_called_so(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "sub01_acc.txt"
    path.write_text(f"Best Epoch = 1\nBest Acc：0.0\nMatrix_acc: {text}\n")
    with pytest.raises(UserError, match=reason):
        read_acc_file(path)


@pytest.mark.parametrize(
    "pair", ["[0, 999999999]", "[0, True]", "[0, 0.5]", "[0, -1]", "[0, '1']", "[0, 1e400]", "0"]
)
def test_what_is_no_class_number_is_refused(pair: str, tmp_path: Path) -> None:
    path = tmp_path / "sub01_acc.txt"
    path.write_text(f"best epoach: 1\nbest acc: 0.0\nmatrix_acc: [{pair}]\n")
    with pytest.raises(UserError, match="not a list of"):
        read_acc_file(path)


def test_results_of_other_subjects_are_computed_or_say_what_is_needed(tmp_path: Path) -> None:
    pairs = {f"S{k:02d}": [(0, 0), (3, 1), (2, 2), (1, 1)] for k in range(1, 6)}
    write_acc(tmp_path, pairs)
    error = refused(calculate_all_results.main, tmp_path)
    assert "no subject is of the MEGC2019 protocol (S01, S02, S03 and 2 more)" in error
    assert "a file expected_clips.csv must say how many clips each has" in error
    printed = run_main(calculate_all_results.main, [str(tmp_path), "--partial"])
    assert "20 clips, 5 subjects (PARTIAL" in printed and "ACC=0.7500" in printed
    counts = [["mmew", s, 4, s, "recorded"] for s in pairs]
    head = ["dataset", "subject", "clips", "file", "source"]
    (tmp_path / "expected_clips.csv").write_text(table_text([head, *counts], ";"))
    assert "5 subjects\n" in run_main(calculate_all_results.main, [str(tmp_path)])


def test_predictions_of_an_unknown_dataset_are_computed_or_say_what_is_needed(
    tmp_path: Path,
) -> None:
    rows = [
        ["MMEW", f"S{s:02d}", f"S{s:02d}-01-00{c}", c % 4, c % 3] for s in (1, 2) for c in (1, 3)
    ]
    (tmp_path / "predictions.csv").write_text(table_text([PREDICTIONS, *rows]))
    error = refused(calculate_all_results.main, tmp_path)
    assert "no subject is of the MEGC2019 protocol (S01, S02): a file expected_clips.csv" in error
    assert "4 clips, 2 subjects (PARTIAL" in run_main(
        calculate_all_results.main, [str(tmp_path), "--partial"]
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("SUB01", "SUB01 for sub01"), ("sub1", "sub1 for sub01"), ("s1", "s1 for s01"),
     ("sub006", "sub006 for 006"), ("6.0", "6.0 for 006")],
)  # fmt: skip
def test_subjects_in_another_spelling_are_named(
    name: str, said: str, protocol_folder: tuple[Path, Pairs]
) -> None:
    folder, pairs = protocol_folder
    owner = said.rpartition(" ")[2]
    write_acc(folder, {name if subject == owner else subject: p for subject, p in pairs.items()})
    (folder / "._sub01_acc.txt").write_bytes(b"\0\5\x16\7")
    assert any(f"spelled otherwise: {said}" in problem for problem in read_results(folder).problems)


def test_classes_in_the_order_of_other_scores_are_named(
    protocol_folder: tuple[Path, Pairs],
) -> None:
    folder, pairs = protocol_folder
    head = [*PREDICTIONS, "score_surprise", "score_negative", "score_positive"]
    rows = [[*row, *(float(k == int(row[4])) for k in range(3))] for row in prediction_rows(pairs)]
    (folder / "predictions.csv").write_text(table_text([head, *rows]))
    (problem,) = read_results(folder).problems
    assert "not 25/88/32 surprise/negative/positive" in problem and "another order" in problem


def test_rows_that_say_synthetic_keep_the_word(tmp_path: Path) -> None:
    rows = [["casme2", "sub01", "c", "0", "0", "synthetic"]]
    (tmp_path / "predictions.csv").write_text(table_text([[*PREDICTIONS, "source"], *rows]))
    assert read_results(tmp_path).synthetic


# K. Frames and maps.


def test_frames_that_are_not_found_say_what_is_there(tmp_path: Path) -> None:
    sheet = write_drawn_casme2(tmp_path / "raw")
    cropped, flags = tmp_path / "raw/Cropped", ["--dataset", "casme2", "--sheet", sheet]
    twice, lower, own, capital = (tmp_path / name for name in ("twice", "lower", "own", "capital"))
    shutil.copytree(cropped, twice / "Cropped/Cropped")
    shutil.copytree(cropped, lower / "cropped")
    shutil.copytree(cropped, own / "Cropped")
    for path in own.rglob("*.jpg"):
        path.rename(path.with_name(path.name.removeprefix("reg_")))
    shutil.copytree(cropped, capital / "Cropped")
    for path in (capital / "Cropped").iterdir():
        path.rename(path.with_name(path.name.capitalize()))
    clip = "sub01/EP01_01"
    wanted = "reg_img{number}.jpg; it holds"
    expected = {
        own: f"Cropped/{clip} holds no {wanted} img40.jpg",
        twice: f"Cropped holds no {clip}/{wanted} Cropped.",
        lower: f"the folder holds no Cropped/{clip}/{wanted} cropped.",
        capital: f"Cropped holds no {clip}/{wanted} Sub01, Sub02, Sub03.",
    }
    for folder, text in expected.items():
        more = ["--frames", folder, "--registered", "--audit-only"]
        assert text in refused(build_inputs.main, *flags, *more)


def test_maps_that_are_not_found_say_what_is_there(tiny_folder: Path, tmp_path: Path) -> None:
    for change, said in {
        "renamed": "beside the table is maps.",
        "twice": f"it holds {MAPS_FOLDER}.",
        "jpg": "it holds 006_006_ep0 .jpg",
    }.items():
        folder = shutil.copytree(tiny_folder, tmp_path / change)
        maps = folder / MAPS_FOLDER
        if change == "jpg":
            for path in maps.iterdir():
                path.rename(path.with_suffix(".jpg"))
        else:
            maps.rename(folder / "maps")
        if change == "twice":
            maps.mkdir()
            (folder / "maps").rename(maps / MAPS_FOLDER)
        with pytest.raises(UserError, match=re.escape(said)):
            read_inputs(folder)


def test_maps_of_one_phase_run_where_one_is_looked_at(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "htnet")
    for path in (folder / MAPS_FOLDER).iterdir():
        if not re.search(r"ep\d \.png", path.name):
            path.unlink()
    flags = ["--inputs", folder, "--results", tmp_path / "r", "--method"]
    error = refused(main_train_for_parameter_tuning.main, *flags, "causalnet_compact")
    assert "looks at both phases, but" in error and "the first map of each clip alone" in error
    run_main(main_train_for_parameter_tuning.main, [str(flag) for flag in (*flags, "majority")])
    assert (tmp_path / "r/majority").is_dir()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (MAPS_FOLDER, "Give the folder above it, copy."),
        ("..", "Give the folder in it that does: copy."),
        ("other", "this one holds notes.txt."),
    ],
)
def test_where_the_table_lies_is_said(
    place: str, said: str, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "x" / "copy")
    if place == "other":
        folder = tmp_path / "y"
        (folder / place).mkdir(parents=True)
        (folder / place / "notes.txt").touch()
    with pytest.raises(UserError, match=re.escape(said)):
        read_inputs(folder / place)


def test_maps_of_another_form_are_called_so(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for change, said in {
        "jpeg": "not a readable PNG but a JPEG: ",
        "grey": "28 x 28 uint8, not 28 x 28 x 3 uint8: ",
        "npy": ". Maps are PNG files of these names.",
    }.items():
        folder = shutil.copytree(tiny_folder, tmp_path / change)
        for path in list((folder / MAPS_FOLDER).iterdir()):
            pixels = cv2.imread(str(path))
            assert pixels is not None
            if change == "npy":
                path.rename(path.with_suffix(".npy"))
            elif change == "jpeg":
                path.write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
            else:
                cv2.imwrite(str(path), pixels[:, :, 0])
        with pytest.raises(UserError, match=re.escape(said)):
            read_inputs(folder)
    folder = shutil.copytree(tiny_folder, tmp_path / "suffix")
    for path in list((folder / MAPS_FOLDER).iterdir()):
        path.rename(path.with_name(re.sub(r"(_\d) \.png$", r" \1.png", path.name)))
    assert read_inputs(folder).phases == 1
    assert "read as maps of one phase, from onset to apex; not used: " in capsys.readouterr().err


def test_a_tree_of_leave_one_out_folders_is_no_folder_of_inputs(tmp_path: Path) -> None:
    (tmp_path / "006/u_train/0").mkdir(parents=True)
    with pytest.raises(UserError, match=f"holds no {TABLE_NAME}"):
        read_inputs(tmp_path)


# One clip under two names.


def test_the_same_map_under_two_subjects_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    first, second = ("sub01_sub01_ep0", "sub02_sub02_ep1")
    maps = folder / MAPS_FOLDER
    shutil.copy(maps / map_file_name(first, 0), maps / map_file_name(second, 0))
    with pytest.raises(UserError, match="two subjects: sub01/sub01_ep0 and sub02/sub02_ep1"):
        read_inputs(folder)
    assert len(read_inputs(folder, allow_doubles=True).clips) == 15
    shutil.copy(maps / map_file_name(first, 0), maps / map_file_name("sub01_sub01_ep1", 0))
    shutil.copy(maps / map_file_name("sub02_sub02_ep2", 0), maps / map_file_name(second, 0))
    assert len(read_inputs(folder).clips) == 15


def test_names_that_differ_in_zeros_alone_are_warned_about(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    table = folder / TABLE_NAME
    table.write_text(table.read_text().replace("samm,006,006_ep0", "samm,6,006_ep0"))
    rename_maps(folder, "006_006_ep0", "6_006_ep0")
    assert len(read_inputs(folder).clips) == 15
    assert "count as different subjects: 006 and 6 of samm." in capsys.readouterr().err


@pytest.mark.parametrize(
    "classes",
    ["[[a], [b]]", "[a, a]", "[1, 2]", "a", str(list(map(str, range(1500)))), '[a, "\\n"]'],
)
def test_class_names_of_inputs_are_a_few_different_words(
    classes: str, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    for content in (
        f"casme2: {{classes: {classes}}}",
        "[" * 3000,
        f"casme2: {'9' * 5000}",
        "1: {}",
    ):
        (folder / "inputs.yaml").write_text(content)
        with pytest.raises(UserError, match=r"inputs\.yaml (is|cannot be read)") as caught:
            read_inputs(folder)
        assert len(str(caught.value)) <= 300 and str(caught.value).isprintable()
