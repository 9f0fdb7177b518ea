"""The one reader of tables: encodings, separators, workbooks, and files of another kind."""

import math
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import Workbook

from common.errors import UserError
from common.tables import LONGEST_CELL, MERGED, MOST_BYTES, number, numbers, read_table, undress

TEXT = "name,value\n007,NA\nnull,1.5\n"
EXPECTED = pd.DataFrame({"name": ["007", "null"], "value": ["NA", "1.5"]}, index=[2, 3], dtype=str)
ADVICE = "Give another."


def read(path: Path) -> pd.DataFrame:
    return read_table(path, ["name", "value"], ADVICE)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_text_file_is_read_however_it_was_saved(
    separator: str, encoding: str, end: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes(TEXT.replace(",", separator).replace("\n", end).encode(encoding))
    pd.testing.assert_frame_equal(read(path), EXPECTED)


def test_chinese_text_is_read_as_gbk(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("name,value,备注\n007,NA,受试者\n".encode("gbk"))
    assert read(path)["备注"].tolist() == ["受试者"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("sep=;\n" + TEXT.replace(",", ";"), [3, 4]),
        ("\n,\nname,value\n\n007,NA\n,,\nnull,1.5\n\n", [5, 7]),
        ('name,value\n007,NA\nnull,"1.5"\n', [2, 3]),
        (" name , value\xa0\n007, NA\nnull ,1.5\n", [2, 3]),
        ("name,value,,\n007,NA,,\nnull,1.5\n", [2, 3]),
    ],
)
def test_rows_keep_their_numbers_and_empty_ones_do_not_count(
    text: str, lines: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    pd.testing.assert_frame_equal(read(path), EXPECTED.set_axis(lines))


@pytest.mark.parametrize("name", ["table.xlsx", "table.csv"])
def test_a_workbook_gives_the_same_whatever_its_name(name: str, tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for row in (["name", "value"], ["007", "NA"], ["null", 1.5]):
        sheet.append(row)
    hidden = workbook.create_sheet("old", 0)
    hidden.append(["name", "value"])
    hidden.sheet_state = "hidden"
    workbook.active = 1
    workbook.save(tmp_path / name)
    pd.testing.assert_frame_equal(read(tmp_path / name), EXPECTED)


def test_merged_cells_are_filled_and_formulas_without_a_value_stay_text(tmp_path: Path) -> None:
    workbook = Workbook()
    sheet = workbook.worksheets[0]
    for row in (["name", "value", "next"], ["a", 1, "=B2+1"], [None, 2, 3], ["b", 4, None]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")
    sheet.merge_cells("B4:C4")
    workbook.save(tmp_path / "t.xlsx")
    table = read(tmp_path / "t.xlsx")
    assert table.to_numpy().tolist() == [["a", "1", "=B2+1"], ["a", "2", "3"], ["b", "4", "4"]]


def archive(**members: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)

    return write


def content(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


OLE = bytes.fromhex("d0cf11e0a1b11ae1")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (content(b"version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer.*lfs pull"),
        (content(b"\xef\xbb\xbf\n<!DOCTYPE html><html>"), "is a web page, not a table"),
        (content(b"<HTML><body>"), "is a web page"),
        (content("<html>".encode("utf-16")), "is a web page"),
        (content(b"MIME-Version: 1.0\r\n"), "is a web page"),
        (content(b"404: Not Found"), "is a server's error message"),
        (content(b'{"url": "https://docs.google.com/"}'), "is a link to a page"),
        (content(bytes(200)), "is a file of zero bytes"),
        (content(b"SQLite format 3\0"), "is a database"),
        (content(b"<?xml version='1.0'?>"), "is an XML file"),
        (content(b"%PDF-1.7"), "is a PDF"),
        (content(OLE + bytes(4000)), "is an encrypted or an old"),
        (content(OLE + "EncryptedPackage".encode("utf-16-le")), "is an encrypted workbook"),
        (content(OLE + "Workbook".encode("utf-16-le")), r"is an old workbook \(.xls\)"),
        (archive(xl__workbook_xml="xmlns='http://purl.oclc.org/ooxml/x'"), "Strict Open XML"),
        (archive(content_xml=""), "is an OpenDocument file"),
        (archive(readme=""), "is an archive .*Unpack it"),
        (content(b"<meta charset='utf-8'><table>"), "is a web page"),
        (content(b"/annex/objects/SHA256E-s9--1.xlsx\n"), "is a git-annex pointer"),
        (content(b'{"message": "Not Found"}'), "is a server's error message"),
        (content(b"[InternetShortcut]\r\nURL=x"), "is a link to a page"),
        (content(b"\x1f\x8b\x08" + bytes(40)), "is a gzip archive"),
        (content(b"\x89PNG\r\n\x1a\n" + bytes(40)), "is a picture, not a table"),
        (content(b"\0\x05\x16\x07\0\2" + bytes(40)), "what macOS keeps beside a file"),
        (content(b"name,value\n\0\1\2"), "is no text in UTF-8, UTF-16 or GBK"),
        (content(b"\xff\xff\xff\xff"), "is no text in UTF-8, UTF-16 or GBK"),
        (content(b""), "is empty. Give another."),
        (content(b"name;val\n1;2\n"), "has no column value; its closest row is name, val."),
        (content(b"name,value\n1,2,3\n"), "more cells than columns in line 2"),
        (content(b'name,value\n1,"2\n'), "is no table separated by commas after line"),
        (content(b"a" * (MOST_BYTES + 1)), "is larger than 64 MB"),
        (Path.mkdir, "is a folder"),
        (lambda path: None, "does not exist"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.xlsx"
    make(path)
    with pytest.raises(UserError, match=reason) as caught:
        read(path)
    assert len(str(caught.value)) <= 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["~$sheet.xlsx", ".~lock.sheet.xlsx#"])
def test_a_lock_file_is_called_so(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\4user" + bytes(160))
    with pytest.raises(UserError, match="is the lock file of a workbook that is open"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("1.0", 1), ("1.", 1), ("-2.5e-3", -0.0025), ("np.int64(3)", 3),
        ("numpy.float32(0.5)", 0.5), ("tensor(2)", 2), ("tensor(2, device='cuda:0')", 2),
        ("tensor([2])", 2), ("tensor([2], device='cuda:0')", 2),
        ("array(2)", 2), ("0.1", 0.1), (" 7 ", 7), ("-1,5", -1.5),
    ],
)  # fmt: skip
def test_a_number_is_read_in_any_dress(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "inf",
        "true",
        "١٢",
        "1_000",
        "1,5,2",
        "9" * 400,
        "1e999",
        "0x1",
        "int(x)",
        "tensor([3, 4])",
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    assert math.isnan(number(text))


def test_scores_are_read_to_the_last_bit() -> None:
    values = pd.Series([0.1, 1 / 3, 2**-1074, 1.7976931348623157e308, -5e-324])
    assert numbers(values.map(repr)).tolist() == values.tolist()


def test_lists_of_scalars_become_lists_of_numbers() -> None:
    assert undress("[[np.int64(0), tensor(1)], (2.0, 1)]") == "[[0, 1], (2.0, 1)]"


def test_long_runs_of_blanks_and_unclosed_tags_take_no_time() -> None:
    started = time.process_time()
    assert undress("int([1" + " " * 100_000).startswith("int([1")
    assert MERGED.findall(b"<mergeCell " * 100_000) == []
    assert time.process_time() - started < 5


def test_of_a_cell_of_a_megabyte_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1," + "x" * 100_000 + "\n")
    [cell] = read_table(path, ["a", "b"], "Correct it.")["b"]
    assert cell == "x" * LONGEST_CELL + "…"
