"""``compare_results.py``: what it prints and writes, and which folders it takes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import compare_results
from common.errors import UserError
from datasets import read_inputs
from evaluation.acc_files import write_acc_file
from evaluation.comparison import compare
from evaluation.methods import folders_under_rules, read_methods
from evaluation.metrics import METRICS
from evaluation.statistics import bootstrap_interval, spread_over_seeds
from tests.helpers.made_up_rows import drawn_rows, write_folder, write_methods
from tests.helpers.scripts import run_here

pytestmark = pytest.mark.usefixtures("few_resamples")
DATASETS = ("casme2", "samm", "smic")
TITLES = {"full": None, "CASME II": "casme2", "SMIC": "smic", "SAMM": "samm"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_methods(tmp_path_factory.mktemp("methods"), DATASETS)


@pytest.fixture
def arguments(folders: dict[str, Path]) -> list[object]:
    """A reference, three seeds of one method, and a worse one."""
    return [folders[name] for name in ("one/reference", *(f"seed{s}/noisy" for s in (4, 5, 6)))]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setenv("COLUMNS", "160")
    return run_here(monkeypatch, compare_results.main, *arguments)


def test_the_printed_tables_are_written_as_latex_and_markdown(
    arguments: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    latex, markdown = tmp_path / "table.tex", tmp_path / "table.md"
    written = ("--latex", latex, "--markdown", markdown)
    assert run(monkeypatch, *arguments, *written) == 0
    output = capsys.readouterr().out
    (reference, _) = read_methods([Path(str(folder)) for folder in arguments])
    interval = bootstrap_interval(reference.confusions(reference.predicted), "UF1")
    text = f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    assert text in output and text in latex.read_text() and text in markdown.read_text()
    assert "per-fold mean F1" in output and "On these 160 clips of 20 subjects" in output
    assert r"noisy (last, 3 seeds) &" in latex.read_text() and "$\\pm$" in latex.read_text()
    assert "| noisy (last, 3 seeds) |" in markdown.read_text()
    first = latex.read_bytes(), markdown.read_bytes()
    assert run(monkeypatch, *arguments, *written) == 0
    assert (latex.read_bytes(), markdown.read_bytes()) == first
    assert capsys.readouterr().out == output


def test_the_table_of_a_paper_holds_every_dataset_and_metric(
    arguments: list[object], folders: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "table.csv"
    more = (folders["one/worse"], folders["seed4/noisy/oracle"])
    names = ("--names", "Reference", "Noisy", "Worse")
    assert run(monkeypatch, *arguments, *more, *names, "--table", path) == 0
    table = pd.read_csv(path).set_index(["method", "epoch rule"])
    assert list(table.index) == [
        ("Reference", "last"), ("Noisy", "last"), ("Worse", "last"), ("Noisy", "oracle")
    ]  # fmt: skip
    assert list(table["seeds"]) == [1, 3, 1, 1]
    places = [Path(str(folder)) for folder in (*arguments, *more)]
    for title, dataset in TITLES.items():
        methods = read_methods(places, dataset)
        for row, method in zip(table.index, methods, strict=True):
            confusions = method.confusions(method.predicted)
            for metric in METRICS:
                interval = bootstrap_interval(confusions, metric)
                low_high = [table.loc[row, f"{title} {metric} {end}"] for end in ("low", "high")]
                assert table.loc[row, f"{title} {metric}"] == pytest.approx(interval.value)
                assert low_high == pytest.approx([interval.low, interval.high])
        noisy = methods[1].confusions(methods[1].predicted)
        deviation = table.loc[("Noisy", "last"), f"{title} UF1 deviation"]
        assert deviation == pytest.approx(spread_over_seeds(noisy, "UF1").deviation)
        # Holm counts the two honest methods; nothing is claimed of the other one.
        for comparison, name in zip(compare(methods[0], methods[1:3]), ("Noisy", "Worse"),
                                    strict=True):  # fmt: skip
            difference = comparison.differences["UAR"]
            row = (name, "last")
            assert table.loc[row, f"{title} UAR p"] == pytest.approx(difference.p_holm)
            value = table.loc[row, f"{title} UAR minus reference"]
            assert value == pytest.approx(difference.interval.value)
        empty = [("Reference", "last"), ("Noisy", "oracle")]
        assert table.loc[empty, [f"{title} UF1 p", f"{title} UAR p"]].isna().all(axis=None)
    assert "epoch selected on the test subject" in table.loc[("Noisy", "oracle"), "notes"]


def test_the_table_of_a_paper_as_latex_and_markdown(
    arguments: list[object], folders: dict[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    arguments.append(folders["seed4/noisy/oracle"])
    latex, markdown = tmp_path / "table.tex", tmp_path / "table.md"
    for path in (latex, markdown):
        assert run(monkeypatch, *arguments, "--names", "A_1", "50% | B", "--table", path) == 0
    text = latex.read_text()
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1
    assert text.startswith("% \\usepackage{booktabs}\n") and r"\label{tab:results}" in text
    for title in TITLES:
        assert rf"\multicolumn{{3}}{{c}}{{{title}}}" in text
    assert r"A\_1 (last) & \shortstack{" in text and r"50\% \textbar{} B (oracle*)" in text
    rows = markdown.read_text().splitlines()
    assert sum(line.startswith("| ") for line in rows) == 2 + 3
    assert {line.replace(r"\|", "").count("|") for line in rows if line[:2] == "| "} == {14}
    for content in (text, markdown.read_text()):
        assert "not an estimate for new subjects." in content


def test_one_dataset_has_no_second_set_of_columns(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.csv"
    flags = ("--dataset", "SAMM", "--table", path)
    assert run(monkeypatch, folders["one/reference"], *flags) == 0
    columns = list(pd.read_csv(path))
    assert "SAMM UF1" in columns and not [name for name in columns if "full" in name]


def test_rules_are_looked_for_below_every_folder(folders: dict[str, Path]) -> None:
    reference, noisy = folders["one/reference"], folders["seed4/noisy"]
    both = [reference, noisy]
    assert folders_under_rules(both, ["last"]) == both
    # The reference has no folder of this rule; last is listed next to a rule with a star.
    assert folders_under_rules(both, ["oracle"]) == [*both, noisy / "oracle"]
    # The reference has no rules at all; of the others, those without the rule are left out.
    assert folders_under_rules(both, ["cross_fitted"]) == [reference]
    missing = reference / "none"
    assert folders_under_rules([*both, missing], ["last", "oracle"]) == [
        *both, missing, noisy / "oracle"
    ]  # fmt: skip
    with pytest.raises(UserError, match="--rules inner: no folder has results of these rules"):
        folders_under_rules([noisy], ["inner"])


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--rules", "best"), "--rules best: no such epoch rule. There are: last, inner"),
        (("--rules", "htnet"), "calculate_all_results.py --published computes"),
        (("--names", "A"), "--names has 1 names for 2 methods: reference, noisy"),
        (("--table", "table.txt"), "give a name that ends in .tex, .md or .csv"),
        (("--table", "t.tex", "--latex", "./t.tex"), "--table name one file. Give each its own"),
        (("--dataset", "b"), "has no dataset 'b'; it has casme2, samm, smic"),
        (("--latex", "."), ". is a folder"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_printed(
    flags: tuple[str, ...],
    reason: str,
    arguments: list[object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments, *flags) == 2
    output = capsys.readouterr()
    assert reason in output.err and output.err.count("\n") == 1 and not output.out


def test_folders_must_be_given_and_hold_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 2
    assert "give the results folders" in capsys.readouterr().err
    for rules in ((), ("--rules", "last", "oracle")):
        assert run(monkeypatch, tmp_path, *rules) == 2
        assert "holds no results" in capsys.readouterr().err


@pytest.mark.parametrize("column", ["dataset", "subject", "clip", "true", "predicted"])
def test_a_missing_column_is_named_with_those_that_are_needed(
    column: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_folder(tmp_path, drawn_rows(1, 1, "r"))
    path = folder / "predictions.csv"
    pd.read_csv(path).drop(columns=column).to_csv(path, index=False)
    assert run(monkeypatch, folder) == 2
    error = capsys.readouterr().err
    assert f"predictions.csv has no column {column}; its closest row is " in error


@pytest.fixture
def published(tiny_folder: Path, tmp_path: Path) -> Path:
    """Per-subject files as published code writes them for the tiny inputs: class by class, in an
    order of its own within a class, everything right but the last clip of each subject."""
    clips = read_inputs(tiny_folder).clips
    for subject, part in clips.groupby("subject"):
        true = np.sort(part["label"].to_numpy())
        predicted = true.copy()
        predicted[-1] = 0
        write_acc_file(tmp_path / "published" / f"{subject}_acc.txt", 1, predicted, true)
    return tmp_path / "published"


@pytest.fixture
def own_run(tiny_folder: Path, tmp_path: Path) -> Path:
    """A run's folder on the tiny inputs, with every clip right."""
    clips = read_inputs(tiny_folder).clips.rename(columns={"label": "true"})
    rows = clips[["dataset", "subject", "clip", "true"]].assign(predicted=clips["true"])
    origin = {"fold": rows["subject"], "seed": 1, "epoch_rule": "last", "configuration": "r"}
    return write_folder(tmp_path / "run", rows.assign(**origin))


def test_published_files_are_compared_with_a_run_by_their_inputs(
    published: Path,
    own_run: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, own_run, published) == 2
    assert "is not a complete set of results" in capsys.readouterr().err
    assert run(monkeypatch, own_run, published, "--inputs", tiny_folder) == 0
    sentence = " ".join(capsys.readouterr().out.split())
    assert "no claim about published (unknown): how its epoch was chosen is not known" in sentence
    clips = compare_results.read_clips(tiny_folder)
    theirs = read_methods([own_run, published], clips=clips)[1]
    wrong = theirs.clips[theirs.predicted[0] != theirs.clips["true"]]
    # Only clips of the last class of a subject can be the wrong one.
    last = theirs.clips.groupby("subject")["true"].max()
    assert (wrong["true"].to_numpy() == last[wrong["subject"]].to_numpy()).all() and len(wrong) == 4


def test_published_files_of_other_labels_are_refused_by_name(
    published: Path, own_run: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_acc_file(published / "s01_acc.txt", 1, np.zeros(4, int), np.array([0, 0, 1, 1]))
    assert run(monkeypatch, own_run, published, "--inputs", tiny_folder) == 2
    error = capsys.readouterr().err
    assert "s01_acc.txt has the true classes 0, 0, 1, 1, but the inputs have 0, 0, 1, 2" in error


def test_predictions_from_elsewhere_are_counted_by_their_inputs(
    own_run: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = pd.read_csv(own_run / "predictions.csv", dtype=str)
    columns = ["dataset", "subject", "clip", "true", "predicted"]
    for name, kept in (("whole", rows), ("cut", rows[1:])):
        (tmp_path / name).mkdir()
        kept[columns].to_csv(tmp_path / name / "predictions.csv", index=False)
    inputs = ("--inputs", tiny_folder)
    assert run(monkeypatch, own_run, tmp_path / "whole", *inputs) == 0
    assert run(monkeypatch, own_run, tmp_path / "cut", *inputs) == 2
    assert "samm/006 has 2 clips, 3 expected by the inputs" in capsys.readouterr().err


def test_joined_folders_are_one_method_with_the_mean_of_the_scores(
    folders: dict[str, Path],
) -> None:
    first, second = folders["one/reference"], folders["one/worse"]
    (mean, *alone) = read_methods([Path(f"{first}+{second}"), first, second])
    assert mean.name == "reference+worse" and mean.rule == "last" and mean.seeds == 1
    assert alone[0].scores is not None and alone[1].scores is not None
    assert mean.scores is not None
    scores = (alone[0].scores + alone[1].scores) / 2
    np.testing.assert_allclose(mean.scores, scores)
    np.testing.assert_array_equal(mean.predicted, scores.argmax(axis=-1))
    assert any((mean.predicted != method.predicted).any() for method in alone)


def test_means_of_seeds_are_seeds_of_one_mean(folders: dict[str, Path]) -> None:
    joined = [Path(f"{folders[f'seed{s}/noisy']}+{folders['one/worse']}") for s in (4, 5, 6)]
    (mean,) = read_methods(joined)
    assert mean.seeds == 3
    with pytest.raises(UserError, match="hold the same configuration, epoch rule and seed"):
        read_methods([joined[0], joined[0]])


def test_a_mean_is_found_under_every_rule_that_its_folders_have(folders: dict[str, Path]) -> None:
    own = folders["seed4/noisy"]
    joined, below = Path(f"{own}+{own}"), Path(f"{own / 'oracle'}+{own / 'oracle'}")
    assert folders_under_rules([joined], ["oracle"]) == [joined, below]
    assert [method.name for method in read_methods([joined, below])] == ["noisy+noisy"] * 2
    with pytest.raises(UserError, match="epoch rules last, oracle: join folders of one rule"):
        read_methods([Path(f"{own}+{own / 'oracle'}")])
