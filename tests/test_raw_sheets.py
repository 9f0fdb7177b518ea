"""Sheets as text: header found by its names, nothing run, absurd files refused; action units."""

import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from common.errors import UserError
from datasets.raw.action_units import ActionUnit, format_action_units, parse_action_units
from datasets.raw.sheets import read_sheet
from tests.helpers.raw_fixtures import SAMM_HEADER, write_sheet


def test_header_is_found_below_prose_and_rows_keep_their_spreadsheet_numbers(
    tmp_path: Path,
) -> None:
    rows = [["006", "006_1_2", "E", 5562.0, 5588, None], [], ["007", "007_3_1", "E", 1, 2, 3]]
    path = write_sheet(tmp_path / "samm.xlsx", SAMM_HEADER, rows, text_rows=13)
    table = read_sheet(path).rows
    assert [row.number for row in table] == [15, 17]
    assert table[0].cells["subject"] == "006"
    assert table[0].cells["onsetframe"] == "5562"
    assert table[0].cells["offsetframe"] == ""


def test_csv_with_other_spellings_reads_as_the_workbook_does(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("﻿Subject,File Name,Onset Frame\n01,EP02_01f,46\n,,\n", encoding="utf-8")
    (row,) = read_sheet(path).rows
    assert row.cells == {"subject": "01", "filename": "EP02_01f", "onsetframe": "46"}


def test_the_worksheet_with_the_header_is_taken(tmp_path: Path) -> None:
    workbook = Workbook()
    assert workbook.active is not None
    workbook.active.append(["About"])
    second = workbook.create_sheet("clips")
    second.append(["Subject", "Filename"])
    second.append([1, "a"])
    workbook.save(tmp_path / "sheet.xlsx")
    assert read_sheet(tmp_path / "sheet.xlsx").rows[0].cells == {"subject": "1", "filename": "a"}


def _folder(path: Path) -> None:
    path.mkdir()


def _empty(path: Path) -> None:
    write_sheet(path, [], [])


def _header_only(path: Path) -> None:
    write_sheet(path, ["Subject", "Filename"], [])


def _not_a_workbook(path: Path) -> None:
    path.write_bytes(b"\xd0\xcf\x11\xe0 an old .xls")


def _other_columns(path: Path) -> None:
    write_sheet(path, ["Name", "Age"], [["a", 3]])


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (70 << 20))


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no workbook")


def _cut_worksheet(path: Path) -> None:
    write_sheet(path, ["Subject", "Filename"], [["1", "a"]] * 50)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            cut = name.endswith("sheet1.xml")
            archive.writestr(name, content[: len(content) // 2] if cut else content)


def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path) -> None:
    whole = tmp_path / "whole.xlsx"
    write_sheet(whole, ["Subject", "Filename"], [["1", f"a{n}"] for n in range(50)])
    content = whole.read_bytes()
    refused = 0
    for place in range(0, len(content), len(content) // 150):
        spoilt = bytearray(content)
        spoilt[place : place + 4] = bytes(byte ^ 0xA5 for byte in spoilt[place : place + 4])
        path = tmp_path / "spoilt.xlsx"
        path.write_bytes(spoilt)
        try:
            read_sheet(path)
        except UserError:
            refused += 1
    assert refused > 20


def test_whole_numbers_of_a_csv_file_are_those_of_the_workbook(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("Subject,Filename,Onset,Apex\n006,1.5a,24.0,\n")
    (row,) = read_sheet(path).rows
    assert row.cells == {"subject": "006", "filename": "1.5a", "onset": "24", "apex": ""}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_folder, "is a folder"),
        (_empty, "is empty"),
        (_header_only, "no row below it"),
        (_not_a_workbook, "an encrypted or an old"),
        (_other_zip, r"is an archive \(readme.txt\). Unpack it"),
        (_other_columns, "has no column subject, filename; its closest row is Name, Age"),
        (_cut_worksheet, "not a readable .xlsx"),
        (_bomb, "unpacks to 70 MB"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_no_sheet_is_refused(make, reason: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "sheet.xlsx"
    make(path)
    with pytest.raises(UserError, match=reason):
        read_sheet(path)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("4+L10", "4+L10"),
        ("R12", "R12"),
        ("R2+15", "R2+15"),
        ("AU1, AU2; au26", "1+2+26"),
        ("l14B + 17", "L14+17"),
        ("4+L 10", "4+L10"),
        ("AU 12 R2", "12+R2"),
        ("", ""),
    ],
)
def test_action_units_have_sides_and_numbers(text: str, units: str) -> None:
    cell = parse_action_units(text)
    assert format_action_units(cell.units) == units
    assert not cell.unreadable


def test_alternatives_and_unreadable_parts_of_a_cell_are_named() -> None:
    cell = parse_action_units("12 or R14+?")
    assert cell.units == (ActionUnit(12), ActionUnit(14, "right"))
    assert cell.has_alternatives
    assert cell.unreadable == ("?",)


@pytest.mark.parametrize("text", ["12or14", "12 or14", "12Bor AU14", "12 OR 14"])
def test_alternatives_need_no_blanks(text: str) -> None:
    cell = parse_action_units(text)
    assert format_action_units(cell.units) == "12+14"
    assert cell.has_alternatives
    assert not cell.unreadable
