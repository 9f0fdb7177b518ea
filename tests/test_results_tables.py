"""The tables of docs/results.md, made of rows that can be checked by hand."""

import json
from pathlib import Path

import pytest
from sklearn.metrics import f1_score

from benchmarks import results_tables
from tests.made_up_rows import Pairs, rows_of_subjects, write_folder
from tests.scripts import run_main

DATASETS = ("casme2", "samm", "smic")
TRUE = [0, 0, 1, 2]


def pairs(predicted: list[int]) -> Pairs:
    return list(zip(TRUE, predicted, strict=True))


def fill(folder: Path, predicted: list[int], configuration: str, rule: str, seed: int = 1) -> None:
    subjects = {(dataset, f"s{n}"): pairs(predicted) for dataset in DATASETS for n in range(4)}
    rows = rows_of_subjects(subjects, seed=seed, configuration=configuration, rule=rule)
    write_folder(folder, rows)


def table_rows(results: Path) -> list[dict]:
    return json.loads(run_main(results_tables.main, [str(results)]).splitlines()[-1])["rows"]


def test_every_method_and_dataset_is_compared_with_linear(tmp_path: Path) -> None:
    fill(tmp_path / "linear/linear", [0, 0, 1, 2], "l", "last")
    fill(tmp_path / "majority/majority", [0, 0, 0, 0], "m", "last")
    for seed in (1, 2):
        folder = tmp_path / f"compact-seed{seed}/0.5_1_1_2"
        fill(folder, [0, 0, 1, seed], "c", "last", seed)
        fill(folder / "oracle", [0, 0, 1, 2], "c", "oracle", seed)
    rows = table_rows(tmp_path)
    names = [(row["dataset"], row["method"]) for row in rows if row["rule"] == "last"]
    expected = ["linear", "majority", "compact"]
    datasets = ("full", "CASME II", "SMIC", "SAMM")
    assert names == [(dataset, method) for dataset in datasets for method in expected]
    majority = rows[1]
    assert majority["UF1"] == pytest.approx(
        f1_score(TRUE, [0] * 4, average="macro", zero_division=0), abs=1e-12
    )
    assert majority["UF1 minus linear"] == pytest.approx(majority["UF1"] - 1, abs=1e-12)
    assert majority["UF1 p"] < 0.01
    wrong = f1_score(TRUE, [0, 0, 1, 1], average="macro", zero_division=0)
    assert (rows[2]["seeds"], rows[2]["UF1"]) == (2, pytest.approx((wrong + 1) / 2, abs=1e-12))


def test_nothing_is_claimed_of_the_oracle(tmp_path: Path) -> None:
    fill(tmp_path / "linear/linear", [0, 0, 0, 0], "l", "last")
    folder = tmp_path / "compact-seed1/0.5_1_1_2"
    fill(folder, [0, 0, 0, 0], "c", "last")
    fill(folder / "oracle", [0, 0, 1, 2], "c", "oracle")
    printed = run_main(results_tables.main, [str(tmp_path)])
    oracle = [
        row for row in json.loads(printed.splitlines()[-1])["rows"] if row["rule"] == "oracle"
    ]
    assert {row["method"] for row in oracle} == {"compact"}
    assert not any("p" in key.split() for row in oracle for key in row)
    assert "epoch selected on the test subject" in printed


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "make results" in run_main(results_tables.main, [str(tmp_path)], refused=True)
