"""The tables of docs/results.md, made of rows that can be checked by hand."""

import json
from pathlib import Path

import pytest
from sklearn.metrics import f1_score

from benchmarks import results_tables
from tests.helpers.made_up_rows import Pairs, rows_of_subjects, write_folder
from tests.helpers.scripts import run_main

DATASETS = ("casme2", "samm", "smic")
TRUE = [0, 0, 1, 2]
LONE_NEGATIVE = pytest.approx(f1_score(TRUE, [0] * 4, average="macro", zero_division=0), abs=1e-12)


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
    assert majority["UF1"] == LONE_NEGATIVE
    assert majority["UF1 minus linear"] == pytest.approx(majority["UF1"] - 1, abs=1e-12)
    assert majority["UF1 minus linear, p"] < 0.01
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
    assert not any("minus" in key for row in oracle for key in row)
    assert [row["UF1 of last"] for row in oracle] == [LONE_NEGATIVE] * len(oracle)
    assert "| UF1 of `last` |" in printed
    assert "epoch selected on the test subject" in printed


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "make results" in run_main(results_tables.main, [str(tmp_path)], refused=True)


def test_ablations_are_a_family_of_their_own(tmp_path: Path) -> None:
    fill(tmp_path / "linear/linear", [0, 0, 1, 2], "l", "last")
    fill(tmp_path / "majority/majority", [0, 0, 0, 0], "m", "last")
    fill(tmp_path / "compact-seed1/0.5_1_1_2", [0, 0, 1, 1], "c", "last")
    alone = table_rows(tmp_path)
    fill(tmp_path / "compact-no_cab/0.5_1_1_2_no_cab", [0, 0, 0, 0], "n", "last")
    rows = table_rows(tmp_path)
    assert [row for row in rows if row["family"] == "methods"] == alone
    first, second = [row for row in rows if row["family"] != "methods" and row["dataset"] == "full"]
    assert (first["method"], second["method"]) == ("compact", "no CAB")
    assert not any("minus" in key for key in first)
    assert second["UF1 minus compact"] == pytest.approx(second["UF1"] - first["UF1"], abs=1e-12)
    assert second["UF1 minus linear"] == pytest.approx(second["UF1"] - 1, abs=1e-12)


def test_seeds_of_two_configurations_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "linear/linear", [0, 0, 1, 2], "l", "last")
    for seed, configuration in ((1, "c"), (2, "d")):
        fill(tmp_path / f"compact-seed{seed}/0.5_1_1_2", [0, 0, 1, 1], configuration, "last", seed)
    said = run_main(results_tables.main, [str(tmp_path)], refused=True)
    assert "2 configurations where 1 were expected (compact)" in said
