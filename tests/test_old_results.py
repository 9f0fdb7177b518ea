"""Results folders written before methods were files: finished runs are still read.

``golden/results_of_c75b94d`` holds two runs on 12 synthetic clips of three subjects, as commit
c75b94d wrote them (without spreadsheets and pictures): ``--preset linear`` and ``--preset ststnet
--epochs 2``. Their records have entries of other names, such as ``preset`` and ``optimiser``.
"""

import shutil
from pathlib import Path

import pytest

import calculate_all_results
import compare_results
import make_report
from tests.helpers.report_pages import read_page, tables_of, text_of
from tests.helpers.scripts import run_here

STORED = Path(__file__).parent / "golden" / "results_of_c75b94d"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return shutil.copytree(STORED, tmp_path / "results")


@pytest.mark.parametrize("name", ["linear", "ststnet"])
def test_calculators_give_the_metrics_that_the_run_printed(
    name: str, results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, calculate_all_results.main, results / name / name) == 0
    label, metrics, rule, note = (
        (results / name / "result_summary.txt").read_text().split(" | ")[:4]
    )
    assert (label, rule, note.split("\n")[0]) == (name, "last", "SYNTHETIC clips")
    output = capsys.readouterr().out
    assert metrics.replace(",", "") in output and "12 clips, 3 subjects (SYNTHETIC clips)" in output


def test_per_subject_files_give_the_same(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results / "ststnet" / "ststnet"
    outputs = []
    for name in ("predictions.csv", "none"):
        assert run_here(monkeypatch, calculate_all_results.main, folder) == 0
        outputs.append(capsys.readouterr().out)
        (folder / name).unlink(missing_ok=True)
    assert outputs[0] == outputs[1]


def test_the_runs_are_compared(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = (results / "linear" / "linear", results / "ststnet" / "ststnet")
    rules = ("--rules", "last", "cross_fitted", "oracle")
    assert run_here(monkeypatch, compare_results.main, *folders, *rules) == 0
    sentence = " ".join(capsys.readouterr().out.split())
    assert "On these 12 SYNTHETIC clips of 3 subjects, against linear (last): " in sentence
    for words in ("claimed for ststnet (last)", "claimed for ststnet (cross_fitted)"):
        assert f"no difference may be {words}" in sentence
    assert "no claim about ststnet (oracle*)" in sentence


def test_the_page_shows_epochs_rules_and_the_old_record(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = results / "ststnet"
    assert run_here(monkeypatch, make_report.main, folder) == 0
    page = read_page(folder / "report" / "report.html")
    tables = tables_of(page)
    pairs = [(div.find("dt"), div.find("dd")) for div in page.iter("div")]
    facts = {text_of(dt): text_of(dd) for dt, dd in pairs if dt is not None and dd is not None}
    assert (facts["preset"], facts["epochs"], facts["seed"]) == ("ststnet", "2", "2025")
    assert facts["training.optimiser"] == "adamw"
    assert facts["versions.torch"] == "2.14.1+cu130"
    epochs = tables["SYNTHETIC CLIPS: Pooled test metrics when every fold stops at that epoch"]
    assert [row[0] for row in epochs] == ["Epoch", "1", "2"] and epochs[2][1] == "0.579"
    published = tables["SYNTHETIC CLIPS: The same predictions under published rules"]
    assert [row[0] for row in published[1:3]] == ["last", "htnet*"]
