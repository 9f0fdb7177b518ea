"""The page of several runs, and the page of clips that every method gets wrong."""

from pathlib import Path

import pandas as pd
import pytest

import make_report
from evaluation.comparison import claim, compare
from evaluation.epoch_rules import STAR_NOTE
from evaluation.methods import read_methods
from evaluation.report.disagreements import always_wrong
from tests.helpers.made_up_rows import Pairs, rows_of_subjects, write_folder, write_methods
from tests.helpers.report_pages import read_page, tables_of, text_of
from tests.helpers.scripts import folder_bytes, run_here

FIRST: Pairs = [(0, 0), (1, 0), (2, 0), (1, 2)]
SECOND: Pairs = [(0, 1), (1, 0), (2, 1), (1, 1)]


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_methods(tmp_path_factory.mktemp("methods"), ("casme2", "smic"))


@pytest.fixture(scope="module")
def page(methods: dict[str, Path]) -> Path:
    """The page of three methods, one of three seeds and with an oracle."""
    folders = [methods[name] for name in ("one/reference", "one/worse")]
    folders += [methods[f"seed{seed}/noisy"] for seed in (4, 5, 6)]
    out = methods["one/reference"].parent.parent / "page"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run_here(monkeypatch, make_report.main, *folders, "--out", out) == 0
    return out / "report.html"


def test_it_holds_the_metrics_of_every_dataset_method_and_rule(page: Path) -> None:
    table = tables_of(read_page(page))["Pooled metrics with 95 % intervals, by dataset and method"]
    assert table[0] == ["Dataset", "Method", "Clips", "Subjects", "UF1", "UAR", "ACC"]
    names = ["reference (last)", "worse (last)", "noisy (3 seeds, last)", "noisy (oracle)*"]
    datasets = ["full", "CASME II", "SMIC"]
    assert [row[:2] for row in table[1:]] == [[d, name] for d in datasets for name in names]
    assert STAR_NOTE in text_of(read_page(page))


def test_its_tests_are_those_of_the_comparison(page: Path, methods: dict[str, Path]) -> None:
    noisy = [methods[f"seed{seed}/noisy"] for seed in (4, 5, 6)]
    read = read_methods([methods["one/reference"], methods["one/worse"], *noisy])
    expected = compare(read[0], read[1:])
    words = text_of(read_page(page))
    assert claim(expected) in words
    table = tables_of(read_page(page))["full, rule last"]
    interval = expected[0].differences["UF1"].interval
    assert table[1][1].startswith(f"{interval.value:+.3f} [{interval.low:+.3f}, ")
    # An epoch that was chosen on test subjects is shown, and never tested.
    assert not any("oracle" in caption for caption in tables_of(read_page(page)))


@pytest.mark.parametrize("rule", ["oracle", "unknown"])
@pytest.mark.parametrize("place", [0, 2])
def test_a_method_without_an_honest_rule_is_shown_and_not_tested(
    rule: str, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = two_runs(tmp_path)
    subjects = {("casme2", "sub01"): FIRST, ("smic", "s01"): FIRST}
    rows = rows_of_subjects(subjects, configuration="chosen", rule=rule)
    folders.insert(place, write_folder(tmp_path / "chosen", rows))
    assert run_here(monkeypatch, make_report.main, *folders, "--out", tmp_path / "page") == 0
    tables = tables_of(read_page(tmp_path / "page/report.html"))
    metrics = tables["Pooled metrics with 95 % intervals, by dataset and method"]
    assert any(row[1].startswith("chosen") for row in metrics)
    tested = [row[0] for caption, table in tables.items() if "rule" in caption for row in table[1:]]
    assert tested == ([] if place == 0 else ["second (last)"] * 3)


def test_its_pictures_are_files_too_and_the_same_again(
    page: Path, methods: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in (page.parent / "pictures").glob("*.pdf")}
    assert len(names) == 4
    assert names > {"methods.pdf", "confusions-full.pdf", "confusions-SMIC.pdf"}
    before = folder_bytes(page.parent)
    folders = [methods[name] for name in ("one/reference", "one/worse")]
    folders += [methods[f"seed{seed}/noisy"] for seed in (4, 5, 6)]
    assert run_here(monkeypatch, make_report.main, *folders, "--out", page.parent) == 0
    assert folder_bytes(page.parent) == before


def test_runs_of_other_clips_are_refused(
    methods: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_folder(tmp_path / "other", rows_of_subjects({("smic", "s77"): FIRST}))
    assert run_here(monkeypatch, make_report.main, methods["one/reference"], other) == 2
    assert run_here(monkeypatch, make_report.main, other, tmp_path / "absent") == 2
    assert not (other / "comparison").exists()


def two_runs(folder: Path) -> list[Path]:
    """Clips 1 and 2 of each subject are wrong in both, clip 1 with one and the same class."""
    return [
        write_folder(
            folder / name,
            rows_of_subjects(
                {("casme2", "sub01"): pairs, ("smic", "s01"): pairs}, configuration=name
            ),
        )
        for name, pairs in (("first", FIRST), ("second", SECOND))
    ]


def test_the_clips_that_every_method_gets_wrong(tmp_path: Path) -> None:
    table = always_wrong(read_methods(two_runs(tmp_path)))
    assert table.to_dict("list") == {
        "dataset": ["casme2", "casme2", "smic", "smic"],
        "subject": ["sub01", "sub01", "s01", "s01"],
        "clip": ["clip1", "clip2"] * 2,
        "true": ["positive", "surprise"] * 2,
        "agreed": ["negative", "–"] * 2,
        "first (last)": ["negative", "negative"] * 2,
        "second (last)": ["negative", "positive"] * 2,
    }


def test_their_page_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = two_runs(tmp_path)
    assert run_here(monkeypatch, make_report.main, *folders, "--disagreements") == 0
    out = folders[0] / "disagreements"
    table = pd.read_csv(out / "disagreements.csv")
    assert table["clip"].tolist() == ["clip1", "clip2"] * 2
    counts = tables_of(read_page(out / "report.html"))
    assert counts["Clips that every method gets wrong, by dataset"][1:] == [
        ["CASME II", "4", "2", "1", "1"],
        ["SMIC", "4", "2", "1", "1"],
    ]


def test_with_inputs_it_shows_motion_and_muscles(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: Pairs = [(0, 1), (1, 1), (2, 2), (0, 2)]
    rows = rows_of_subjects({("casme2", "sub01"): pairs})
    names = {f"clip{number}": f"sub01_ep{number}" for number in range(4)}
    folder = write_folder(tmp_path / "run", rows.assign(clip=rows["clip"].map(names)))
    flags = (folder, "--disagreements", "--inputs", tiny_folder)
    assert run_here(monkeypatch, make_report.main, *flags) == 0
    pictures = {path.name for path in (folder / "disagreements/pictures").glob("*.pdf")}
    assert len(pictures) == 2 and all(name.startswith("wrong-casme2-sub01") for name in pictures)
    assert "Strongest muscle: AU" in text_of(read_page(folder / "disagreements/report.html"))


def test_nothing_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, rows_of_subjects({("smic", "s01"): [(0, 0), (1, 1)]}))
    assert run_here(monkeypatch, make_report.main, folder, "--disagreements") == 0
    assert len(pd.read_csv(folder / "disagreements/disagreements.csv")) == 0


@pytest.mark.parametrize(
    "flags",
    [
        ("--explain", "weights"),
        ("--clips", "s01/x"),
        ("--names", "one"),
        ("--disagreements", "--configurations", "one"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path, rows_of_subjects({("smic", "s01"): [(0, 0), (1, 1)]}))
    assert run_here(monkeypatch, make_report.main, folder, *flags) == 2
