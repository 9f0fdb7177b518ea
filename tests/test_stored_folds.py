"""Stored folds that are damaged in any way are named; text in a sheet stays text."""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from common.errors import UserError
from evaluation.fold_logits import FoldIdentity, StoredFold, fold_path, read_fold, write_fold
from evaluation.metrics import compute_metrics
from evaluation.spreadsheet import write_spreadsheet

IDENTITY = FoldIdentity("samm", "006", ["006"] * 2, ["a", "b"], [0, 2], 1, "abc")
LOGITS = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
LOSSES = np.ones(2, dtype=np.float32)


def arrays(**other: object) -> dict[str, np.ndarray]:
    identity = other.pop("identity", json.dumps(asdict(IDENTITY)))
    text = np.frombuffer(str(identity).encode(), dtype=np.uint8)
    own = {"logits": LOGITS, "losses": LOSSES, "identity": text, **other}
    return {name: np.asarray(value) for name, value in own.items()}


@pytest.mark.parametrize(
    "content",
    [
        arrays(logits=LOGITS[0]),
        arrays(logits=LOGITS[:, :1]),
        arrays(logits=np.float32(3)),
        arrays(logits=LOGITS[:, :, :2]),
        arrays(logits=LOGITS * np.nan),
        arrays(logits=LOGITS[:0], losses=LOSSES[:0]),
        arrays(losses=LOSSES[:1]),
        arrays(losses=np.array(["a", "b"])),
        arrays(identity="{"),
        arrays(identity="[1]"),
        arrays(identity="[" * 5000),
        arrays(identity=json.dumps({**asdict(IDENTITY), "clips": ["a"]})),
        arrays(identity=json.dumps({**asdict(IDENTITY), "labels": [0, 7]})),
        arrays(logits=LOGITS + 1j),
        arrays(logits=LOGITS > 0),
        arrays(logits=np.zeros((2, 2, 200_000), dtype=np.float32)),
        arrays(identity=json.dumps({**asdict(IDENTITY), "labels": [0.5, 2]})),
        arrays(identity=json.dumps({**asdict(IDENTITY), "subjects": [1, 2]})),
        arrays(validation_rows=np.arange(2)),
        arrays(
            validation_rows=np.arange(2),
            validation_labels=np.arange(2),
            validation_logits=LOGITS[:1],
            inner_test_logits=LOGITS,
        ),
    ],
)
def test_a_fold_of_another_shape_is_damaged(content: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = fold_path(tmp_path, "006")
    path.parent.mkdir()
    np.savez(path, **content)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is damaged"):
        read_fold(tmp_path, IDENTITY)


def test_every_truncation_and_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    fold = StoredFold(IDENTITY, LOGITS, LOSSES)
    write_fold(tmp_path, fold)
    path = fold_path(tmp_path, "006")
    content = path.read_bytes()
    damaged = [content[:end] for end in range(0, len(content), 7)]
    for place in range(0, len(content), 3):
        damaged.append(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
    noticed = 0
    for own in damaged:
        path.write_bytes(own)
        try:
            found = read_fold(tmp_path, IDENTITY)
        except UserError as error:
            assert str(path) in str(error)
            noticed += 1
        else:
            assert found is not None and np.array_equal(found.logits, LOGITS)
    assert noticed > len(damaged) // 2


def test_an_absurd_shape_takes_no_memory(tmp_path: Path) -> None:
    path = fold_path(tmp_path, "006")
    path.parent.mkdir()
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    np.savez(path, **arrays())  # type: ignore[arg-type]
    with zipfile.ZipFile(path) as old:
        kept = {name: old.read(name) for name in old.namelist() if name != "logits.npy"}
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("logits.npy", header.getvalue())
        for name, own in kept.items():
            new.writestr(name, own)
    with pytest.raises(UserError, match="is damaged"):
        read_fold(tmp_path, IDENTITY)


def test_zeros_that_unpack_to_a_gigabyte_are_not_unpacked(tmp_path: Path) -> None:
    path = fold_path(tmp_path, "006")
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits.npy", b"")
        archive.infolist()[0].file_size = 2**30
    with pytest.raises(UserError, match="unpacks to 1024 MB"):
        read_fold(tmp_path, IDENTITY)


def test_class_names_that_look_like_formulas_are_text(tmp_path: Path) -> None:
    names = ("=1+1", "@x", "https://example.org")
    metrics = compute_metrics(np.arange(3), np.arange(3), 3)
    write_spreadsheet(tmp_path / "x.xlsx", metrics, names, "=note")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx").active
    assert sheet is not None
    cells = [sheet.cell(1, column) for column in (2, 3, 4)] + [sheet.cell(6, 1)]
    assert [cell.value for cell in cells] == [*names, "=note"]
    assert {cell.data_type for cell in cells} == {"s"}
