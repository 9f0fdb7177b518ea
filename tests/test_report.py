"""The report page: its figures, what it says of them, and that it is whole, safe and repeatable."""

import base64
import re
import shlex
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import main_train_for_parameter_tuning as grid_script
import make_report
from common.command_line import parse_settings
from common.errors import UserError
from datasets import Inputs
from evaluation.acc_files import write_acc_file
from evaluation.expected_clips import PROTOCOL_TABLE
from evaluation.metrics import compute_metrics, compute_uf1
from evaluation.predictions import SYNTHETIC, read_predictions
from evaluation.report.contents import ConfigurationResults, RuleResults, read_contents
from evaluation.report.grid import grid_of
from evaluation.report.pictures import epoch_picture
from evaluation.report.robustness import (
    over_seeds,
    read_curves,
    read_robustness,
    read_settings,
    read_summary,
)
from evaluation.results_folder import Results
from evaluation.selection import ORACLE_FOOTNOTE
from evaluation.statistics import bootstrap_interval
from tests.helpers.made_up_rows import Pairs, rows_of_subjects
from tests.helpers.report_pages import (
    SUBJECTS,
    read_page,
    report,
    tables_of,
    text_of,
    write_results,
    write_robustness,
)
from tests.helpers.scripts import folder_bytes, run_here, start
from training.configuration import Configuration
from training.presets import get_preset

FLAGS = ("--preset", "compact", "--epochs", 3, "--threads", 1, "--group-size", 4, "--inner")
GRID = ("--gammas", 0.3, 0.5)
DETAILED = ("--configurations", "0.5_1_1_2")
RULES = ["last", "inner", "inner_refit", "cross_fitted", "oracle*"]


@pytest.fixture(scope="module")
def grid_results(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of two configurations with every epoch rule, and its page."""
    folder = tmp_path_factory.mktemp("report") / "search"
    with pytest.MonkeyPatch.context() as monkeypatch:
        arguments = ("--inputs", tiny_folder, "--results", folder, *FLAGS, *GRID)
        assert run_here(monkeypatch, grid_script.main, *arguments) == 0
        report(monkeypatch, folder, *DETAILED)
    return folder


@pytest.fixture(scope="module")
def lone_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up results of one configuration, and their page."""
    folder = write_results(tmp_path_factory.mktemp("lone"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        report(monkeypatch, folder)
    return folder


def page_of(folder: Path) -> Path:
    return folder / "report" / "report.html"


def test_the_table_holds_the_pooled_figures_and_their_intervals(lone_results: Path) -> None:
    tables = tables_of(read_page(page_of(lone_results)))
    head, *rows = tables["Pooled figures with 95 % intervals, by dataset and epoch rule"]
    assert [name.split()[0] for name in head] == ["Dataset", "Epoch", "Clips", "UF1", "UAR", "ACC"]
    assert [row[:2] for row in rows] == [
        [dataset, rule]
        for dataset in ("full", "CASME II", "SAMM", "SMIC")
        for rule in ("last", "oracle*")
    ]
    pairs = np.array([pair for subject in SUBJECTS.values() for pair in subject])
    figures = compute_metrics(pairs[:, 0], pairs[:, 1], 3)
    whole = [cell.split()[0] for cell in rows[0][2:]]
    expected = (figures.uf1, figures.uar, figures.accuracy)
    assert whole == ["12", *(f"{value:.3f}" for value in expected)]
    # One subject's dataset has no bounds.
    s01 = np.array(SUBJECTS["smic", "s01"])
    smic = next(row for row in rows if row[:2] == ["SMIC", "last"])
    assert smic[3] == f"{compute_metrics(s01[:, 0], s01[:, 1], 3).uf1:.3f} –"
    confusions = np.zeros((1, 2, 3, 3), int)
    for subject, name in enumerate(("sub01", "sub02")):
        for true, predicted in SUBJECTS["casme2", name]:
            confusions[0, subject, true, predicted] += 1
    interval = bootstrap_interval(confusions, "UF1")
    assert rows[2][3] == f"{interval.value:.3f} {interval.low:.3f}–{interval.high:.3f}"


def test_a_grid_shows_what_may_be_quoted_every_rule_and_every_configuration(
    grid_results: Path,
) -> None:
    page = read_page(page_of(grid_results))
    headings = [text_of(heading) for heading in page.iter("h2")]
    assert headings == [
        "What may be quoted of this search",
        "All configurations",
        "gamma=0.5, layer1=1, layer2=1, layer3=2",
        "How to read this page",
        "How to repeat this",
    ]
    assert "1 of 2 configurations have a section of their own" in text_of(page)
    overview = tables_of(page)["Pooled UF1 of every configuration with 95 % intervals"]
    assert [name.removeprefix("UF1, ") for name in overview[0][2:]] == RULES
    for row, name in zip(overview[1:], ("0.3_1_1_2", "0.5_1_1_2"), strict=True):
        for cell, rule in zip(row[2:], RULES, strict=True):
            place = grid_results / name / ("" if rule == "last" else rule.rstrip("*"))
            rows = read_predictions(place / "predictions.csv")
            uf1 = compute_metrics(rows["true"].to_numpy(), rows["predicted"].to_numpy(), 3).uf1
            assert cell.split()[0] == f"{uf1:.3f}"


def test_the_curve_is_that_of_the_stored_folds(grid_results: Path) -> None:
    contents = read_contents(grid_results, {}, make_report.epoch_predictions)
    configuration = contents.configurations[0]
    assert configuration.by_epoch is not None and len(configuration.by_epoch) == 3
    curve = compute_uf1(configuration.confusions_by_epoch())
    last, oracle = configuration.rules[0], configuration.rules[-1]
    assert curve[-1] == pytest.approx(configuration.figures(last).uf1, abs=1e-12)
    # The oracle's prediction of a clip is the one of the epoch that it names for the clip's fold.
    chosen = oracle.rows["epoch"].to_numpy() - 1
    own = configuration.by_epoch[chosen, np.arange(len(chosen))]
    np.testing.assert_array_equal(own, oracle.rows["predicted"])


def test_results_without_every_fold_have_no_curve(
    lone_results: Path, grid_results: Path, tmp_path: Path
) -> None:
    rows = read_predictions(grid_results / "0.3_1_1_2" / "predictions.csv")
    assert make_report.epoch_predictions(tmp_path, rows) is None
    assert "There is no curve" in text_of(read_page(page_of(lone_results)))


def test_rows_that_do_not_tell_their_fold_have_no_curve(grid_results: Path) -> None:
    folder = grid_results / "0.3_1_1_2"
    rows = read_predictions(folder / "predictions.csv")
    assert make_report.epoch_predictions(folder, rows) is not None
    for column in ("fold", "seed", "configuration"):
        assert make_report.epoch_predictions(folder, rows.drop(columns=column)) is None
    blank = rows.assign(fold=rows["fold"].where(rows.index > 0))
    assert make_report.epoch_predictions(folder, blank) is None
    words = rows.assign(seed="first")
    assert make_report.epoch_predictions(folder, words) is None


def test_a_curve_is_drawn_of_rows_that_do_not_tell_their_epochs(grid_results: Path) -> None:
    (configuration, _) = read_contents(
        grid_results, {}, make_report.epoch_predictions
    ).configurations
    rules = [
        replace(r, results=replace(r.results, rows=r.rows.drop(columns="epoch")))
        for r in configuration.rules
    ]
    assert epoch_picture(configuration, "").caption.endswith("number of subjects.")
    without = epoch_picture(replace(configuration, rules=rules), "")
    assert "chosen epochs" not in without.caption


def test_the_page_is_the_same_in_another_process(
    grid_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder_bytes(grid_results / "report")
    process = start("make_report.py", grid_results, *DETAILED)
    output, error = process.communicate()
    assert process.returncode == 0, error
    assert "report.html" in output and folder_bytes(grid_results / "report") == before


def test_a_reader_without_eyes_or_network_finds_everything(grid_results: Path) -> None:
    page = read_page(page_of(grid_results))
    levels = [int(e.tag[1]) for e in page.iter() if re.fullmatch("h[1-6]", str(e.tag))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.get("lang") == "en"
    images = list(page.iter("img"))
    assert len(images) == 8
    assert all(len(image.get("alt", "")) > 60 for image in images)
    assert all(table.find("caption") is not None for table in page.iter("table"))
    assert all(cell.get("scope") in ("col", "row") for cell in page.iter("th"))
    names = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for element in page.iter():
        for attribute in ("src", "href"):
            target = element.get(attribute)
            assert target is None or target.startswith("data:") or target[1:] in names
    assert not list(page.iter("link"))


def test_pictures_lie_beside_the_page_and_are_those_in_it(grid_results: Path) -> None:
    images = [image.get("src", "") for image in read_page(page_of(grid_results)).iter("img")]
    inside = sorted(base64.b64decode(source.split(",")[1]) for source in images)
    folder = grid_results / "report" / "pictures"
    beside = sorted(path.read_bytes() for path in folder.glob("*.svg"))
    assert inside == beside
    svg, png = ({path.stem for path in folder.glob(kind)} for kind in ("*.svg", "*.png"))
    assert svg == png
    kinds = ("figures", "epochs", "confusion", "subjects")
    assert all(any(name.startswith(kind) for name in svg) for kind in kinds)
    assert {"grid", "chosen"} <= svg


def test_oracle_is_marked_wherever_it_stands(grid_results: Path) -> None:
    page = read_page(page_of(grid_results))
    text = text_of(page.find("body"))  # type: ignore[arg-type]
    assert len(re.findall(r"\boracle\*", text)) > 10 and not re.findall(r"\boracle\b(?!\*)", text)
    for image in page.iter("img"):
        source = base64.b64decode(image.get("src", "").split(",")[1]).decode()
        assert ("oracle*" in source) == (ORACLE_FOOTNOTE in source)
        assert not re.findall(r"\boracle\b(?!\*)", image.get("alt", ""))


def test_an_oracle_alone_has_the_last_epoch_beside_it_or_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_results(tmp_path / "run")
    caption = "Pooled figures with 95 % intervals, by dataset and epoch rule"
    page = read_page(report(monkeypatch, folder / "oracle"))
    assert [row[1] for row in tables_of(page)[caption][1:3]] == ["last", "oracle*"]
    warning = "nothing stands beside them that was not so chosen"
    assert "Epoch rule last, with" in text_of(page) and warning not in text_of(page)

    alone = (folder / "oracle").rename(tmp_path / "oracle")
    text = text_of(read_page(report(monkeypatch, alone)))
    assert warning in text
    assert f"Epoch rule oracle*, with 95 % intervals over 4 subjects. {ORACLE_FOOTNOTE}." in text


def test_the_last_epoch_stands_beside_what_the_oracle_chose_in_a_search(grid_results: Path) -> None:
    for folder in (grid_results / "chosen" / "oracle", grid_results / "0.3_1_1_2" / "oracle"):
        (configuration,) = read_contents(folder, {}, make_report.epoch_predictions).configurations
        assert [rule.rule for rule in configuration.rules] == ["last", "oracle"]
    run, record = make_report._find_record(grid_results / "0.3_1_1_2" / "oracle")
    assert run == grid_results and record["preset"] == "compact"


def test_synthetic_and_partial_results_say_so_beside_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_results(tmp_path, source=SYNTHETIC)
    for place in (folder, folder / "oracle"):
        rows = pd.read_csv(place / "predictions.csv", dtype=str)
        rows[rows["subject"] != "s01"].to_csv(place / "predictions.csv", index=False)
    page = read_page(report(monkeypatch, folder))
    body = text_of(page.find("body"))  # type: ignore[arg-type]
    assert text_of(page.find("head/title")).startswith("SYNTHETIC CLIPS, PARTIAL:")  # type: ignore[arg-type]
    assert "1 of 4 subjects missing: s01" in body
    assert "no figure on this page holds for real ones" in body
    mark = "SYNTHETIC CLIPS, PARTIAL: 3 clips missing"
    assert all(text_of(caption).startswith(mark) for caption in page.iter("figcaption"))
    assert all(text_of(caption).startswith(mark) for caption in page.iter("caption"))
    for image in page.iter("img"):
        assert mark in base64.b64decode(image.get("src", "").split(",")[1]).decode()
        assert image.get("alt", "").startswith(mark)


def test_shuffled_labels_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_results(tmp_path)
    record = {"label_shuffle": 1, "protocol": "single_dataset"}
    (folder / "config.yaml").write_text(yaml.safe_dump(record))
    page = read_page(report(monkeypatch, folder))
    mark = "SHUFFLED LABELS, protocol single_dataset"
    assert all(text_of(caption).startswith(mark) for caption in page.iter("figcaption"))


def test_moved_key_frames_are_marked_and_no_grid_search_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_results(tmp_path)
    record = {"preset": "linear", "key_frames": "spotted"}
    (folder / "config.yaml").write_text(yaml.safe_dump(record))
    page = read_page(report(monkeypatch, folder))
    captions = [text_of(caption) for caption in page.iter("figcaption")]
    assert captions and all(caption.startswith("KEY FRAMES spotted") for caption in captions)
    assert "main_train_for_parameter_tuning.py" not in text_of(page)
    assert "measure_robustness.py trained this run" in text_of(page)


HOSTILE = (
    "<script>hacked()</script>",
    '"><img src=x onerror=hacked()>',
    r"$\frac$ --> & %s {{ 1 }}",
)


def test_names_are_escaped_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, image, formula = HOSTILE
    subjects = {
        (image, script): [(0, 0), (1, 2)],
        (image, formula): [(1, 1), (2, 0)],
        ("samm", "006"): [(0, 1)],
    }
    folder = write_results(tmp_path / "<u>run", subjects)
    path = report(monkeypatch, folder)
    page = read_page(path)
    assert len(list(page.iter("script"))) == 1 and not list(page.iter("u"))
    assert all(image.get("src", "").startswith("data:") for image in page.iter("img"))
    assert not [e for e in page.iter() if any(name.startswith("on") for name in e.attrib)]
    text = text_of(page)
    assert all(name in text for name in (*HOSTILE, "Results of <u>run"))
    names = {p.name for p in (path.parent / "pictures").iterdir()}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_a_published_folder_says_that_the_rule_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for row in pd.read_csv(PROTOCOL_TABLE, dtype={"subject": str}).itertuples():
        labels = np.arange(row.clips) % 3
        write_acc_file(tmp_path / f"{row.subject}_acc.txt", 7, labels, labels)
    page = read_page(report(monkeypatch, tmp_path))
    text = text_of(page)
    assert "The files do not say how the epoch was chosen" in text
    rows = tables_of(page)["Pooled figures with 95 % intervals, by dataset and epoch rule"]
    assert rows[1][1:4] == ["unknown", "442 68 subjects", "1.000 1.000–1.000"]


RUNS = {
    "a grid": ("--preset", "compact", "--gammas", 0.5, 0.3, "--layer3", 1, 2, "--seed", 3),
    "the published grid": ("--preset", "published", "--epochs", 2, "--group-size", 4),
    "an ablation": ("--preset", "compact", "--ablation", "no_cab", "--inner", "--batch-size", 8),
    "no epochs": ("--preset", "linear", "--protocol", "leave_one_dataset_out"),
    "shuffled labels": ("--preset", "ststnet", "--label-shuffle", 4, "--learning-rate", 0.01),
    "a preparation": (
        "--preset",
        "linear",
        "--scale",
        0.5,
        "--strain",
        "False",
        "--mirror",
        "False",
    ),
}


def resolve(
    monkeypatch: pytest.MonkeyPatch, inputs: Inputs, *flags: object
) -> tuple[dict[str, object], list[Configuration]]:
    """The record and the configurations that the grid search makes of these flags."""
    monkeypatch.setattr(sys, "argv", ["script", *map(str, flags)])
    config = parse_settings(grid_script.Config, None)
    grid = grid_script.configurations(config, get_preset(config.preset))
    return grid_script.resolve_run(config, inputs).record(), grid


@pytest.mark.parametrize("flags", RUNS.values(), ids=RUNS)
def test_the_command_on_the_page_gives_the_recorded_run(
    flags: tuple[object, ...], tiny_inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = (*flags, "--threads", 3, "--device", "cpu")
    record, grid = resolve(monkeypatch, tiny_inputs, *flags)
    labels = {configuration.name: configuration.label for configuration in grid}
    (line,) = make_report.training_flags({**record, "configurations": labels})
    assert resolve(monkeypatch, tiny_inputs, *shlex.split(line)) == (record, grid)


def test_configurations_of_several_grids_get_a_command_each(
    tiny_inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, grid = resolve(monkeypatch, tiny_inputs, "--preset", "compact", "--threads", 1)
    _, ablated = resolve(monkeypatch, tiny_inputs, "--preset", "compact", "--ablation", "no_cab")
    _, other = resolve(monkeypatch, tiny_inputs, *RUNS["a grid"])
    configurations = [*grid, *ablated, other[0], other[-1]]
    labels = {configuration.name: configuration.label for configuration in configurations}
    lines = make_report.training_flags({**record, "configurations": labels})
    given = [resolve(monkeypatch, tiny_inputs, *shlex.split(line))[1] for line in lines]
    names = {configuration.name for own in given for configuration in own}
    assert names == set(labels)


def configuration_of(label: str, pairs: Pairs) -> ConfigurationResults:
    """Results of one subject under ``last``."""
    rows = rows_of_subjects({("samm", "006"): pairs})
    rule = RuleResults("last", Results(rows, 0, False, [], []))
    return ConfigurationResults(label, label, [rule], None)


def test_a_grid_is_laid_out_by_what_differs() -> None:
    first = configuration_of("gamma=0.3, layer1=1, layer2=2", [(0, 0), (1, 1)])
    second = configuration_of("gamma=0.5, layer1=1, layer2=3", [(0, 1), (1, 0)])
    grid = grid_of([first, second])
    assert grid is not None
    assert (grid.column_name, grid.columns) == ("gamma", ["0.3", "0.5"])
    assert (grid.row_name, grid.rows) == ("layer2", ["2", "3"])
    nan = np.nan
    np.testing.assert_array_equal(grid.uf1["last"], [[1, nan], [nan, 0]])
    assert grid_of([first]) is None
    assert grid_of([first, replace(second, label="linear")]) is None
    assert grid_of([first, replace(second, label=first.label)]) is None


def test_robustness_rows_are_described_over_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_robustness(tmp_path)
    rows = read_robustness(tmp_path)
    assert rows is not None
    described = over_seeds(rows)
    own = table[(table["model"] == "linear") & (table["level"] == 0.3)]["uf1"]
    row = described[(described["model"] == "linear") & (described["level"] == 0.3)].iloc[0]
    assert row["seeds"] == 3
    assert row["uf1_mean"] == pytest.approx(own.mean(), abs=1e-12)
    assert row["uf1_std"] == pytest.approx(np.std(own, ddof=1), abs=1e-12)
    page = read_page(report(monkeypatch, tmp_path))
    cells = tables_of(page)["Mean over noise seeds; beside it the lowest and the highest seed"]
    assert len(cells) == 1 + 8 and cells[3][:5] == ["linear", "test", "apex", "0.3", "3"]
    assert cells[3][5] == f"{own.mean():.3f} {own.min():.3f}–{own.max():.3f}"
    # One seed has no range.
    assert cells[4] == ["linear", "spotter", "all", "–", "1", "0.400", "0.500"]
    (image,) = page.iter("img")
    assert "linear, test, apex" in image.get("alt", "")


def test_bounds_of_the_curves_stand_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_robustness(tmp_path)
    curves = table.groupby(["model", "condition", "frames", "level"], dropna=False, sort=False)
    bounds = {"uf1_low": 0.31, "uf1_high": 0.52, "uar_low": 0.33, "uar_high": 0.61}
    curves.size().reset_index().assign(**bounds).to_csv(
        tmp_path / "robustness_curves.csv", index=False
    )
    page = read_page(report(monkeypatch, tmp_path))
    caption = "Mean over noise seeds; beside it the 95 % interval, bootstrap over subjects"
    rows = tables_of(page)[caption]
    spotter = ["linear", "spotter", "all", "–", "1", "0.400 0.310–0.520", "0.500 0.330–0.610"]
    assert len(rows) == 1 + 8 and rows[4] == spotter


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("configurations: [a, b]", "config.yaml: configurations is ['a', 'b'] ("),
        ("configurations:", "config.yaml: configurations is None ("),
        ("configurations: {run: 3}", "config.yaml: configurations.run is 3 ("),
        ("training: abc", "config.yaml: training is 'abc' ("),
        ("preparation: 3", "config.yaml: preparation is 3 ("),
        ("versions: x", "config.yaml: versions is 'x' ("),
        ("label_shuffle: no", "config.yaml: label_shuffle is False ("),
        (
            "{preset: compact, configurations: {run: gamma=x}}",
            "a configuration in config.yaml has a gamma that is no number",
        ),
    ],
)
def test_a_damaged_record_is_refused_in_one_line(
    record: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_results(tmp_path / "run")
    (folder / "config.yaml").write_text(record)
    assert run_here(monkeypatch, make_report.main, folder) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("uf1", 1.5, "numbers in 0..1, but not so in line 2"), ("level", None, "no column level")],
)
def test_a_robustness_file_that_cannot_be_used_is_refused(
    column: str, value: float | None, reason: str, tmp_path: Path
) -> None:
    table = write_robustness(tmp_path)
    if value is None:
        table = table.drop(columns=column)
    else:
        table.loc[0, column] = value
    table.to_csv(tmp_path / "robustness.csv", index=False)
    with pytest.raises(UserError, match=reason):
        read_robustness(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- dataset\n- casme2\n", "does not hold settings by name"),
        (b"sheet: \xe9\n", "cannot be read"),
        (b"a: [\n", "cannot be read"),
        (b"1: casme2\n", "does not hold settings by name"),
    ],
)
def test_damaged_settings_of_the_noise_benchmark_are_refused(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "robustness.yaml").write_bytes(content)
    with pytest.raises(UserError, match=f"robustness.yaml {reason}"):
        read_settings(tmp_path)


def test_a_noise_benchmark_without_its_settings_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_robustness(tmp_path)
    without = "These results came without a record of their run."
    assert without in text_of(read_page(report(monkeypatch, tmp_path)))
    (tmp_path / "robustness.yaml").write_text("dataset: casme2\nmethods: [linear]\n")
    text = text_of(read_page(report(monkeypatch, tmp_path)))
    assert without not in text
    assert "measure_robustness.py --dataset casme2 --methods linear --results" in text


READERS = {
    "robustness.csv": read_robustness,
    "robustness_curves.csv": read_curves,
    "robustness_summary.csv": read_summary,
}


@pytest.mark.parametrize(
    ("name", "lines", "reason"),
    [
        (
            "robustness.csv",
            ["model,condition,frames,level,seed,uf1,uar", "a,t,all,0.1,1,.5,.5", "a,t,all,x,2,1,1"],
            "level 'x' in line 3 is not a number",
        ),
        (
            "robustness.csv",
            ["model,condition,frames,level,seed,uf1,uar", "a,t,all,,1,.5,.5", "a,t,all,,1,.6,.5"],
            "line 3 has the same model, condition, frames, level, seed as a line above",
        ),
        (
            "robustness_curves.csv",
            ["model,condition,frames,level,uf1_low,uf1_high,uar_low,uar_high", "a,t,,1,,inf,,"],
            "uf1_high 'inf' in line 2 is not a number",
        ),
        (
            "robustness_summary.csv",
            ["model,condition,frames,uf1_without_noise,area,level_of_loss", "a,t,all,.5,.9,z"],
            "level_of_loss 'z' in line 2 is not a number",
        ),
        (
            "robustness_summary.csv",
            ["model,condition,frames,uf1_without_noise,area,level_of_loss", *["a,t,all,0,,"] * 2],
            "line 3 has the same model, condition, frames as a line above",
        ),
    ],
)
def test_damaged_values_of_the_noise_benchmark_are_refused_by_line(
    name: str, lines: list[str], reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=f"{name}: .*{reason}"):
        READERS[name](tmp_path)
    # The line before the damaged one is usable: an empty cell is a value that there is not.
    (tmp_path / name).write_text("\n".join(lines[:2]).replace("z", "").replace("inf", "") + "\n")
    rows = READERS[name](tmp_path)
    assert rows is not None and len(rows) == 1


def test_a_damaged_table_beside_the_robustness_rows_is_refused(tmp_path: Path) -> None:
    write_robustness(tmp_path)
    curves = tmp_path / "robustness_curves.csv"
    curves.write_text("model,condition,frames,level\nlinear,test,apex,0.1\n")
    with pytest.raises(UserError, match="has no column uf1_low, uf1_high"):
        read_curves(tmp_path)
    (tmp_path / "robustness_summary.csv").write_text("model\nlinear\n")
    with pytest.raises(UserError, match="has no column condition, frames, uf1_without_noise"):
        read_summary(tmp_path)


def test_what_cannot_be_reported_is_refused_by_name(
    lone_results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(folder: Path, *more: object) -> str:
        assert run_here(monkeypatch, make_report.main, folder, *more) == 2
        return capsys.readouterr().err

    assert "is not a folder" in refused(tmp_path / "none")
    assert "holds no results" in refused(tmp_path)
    write_results(tmp_path / "several" / "deep" / "one" / "linear")
    write_robustness(tmp_path / "several" / "two")
    deep = tmp_path / "several" / "deep"
    assert f"{deep} holds folders of results. Give one: {deep / 'one'}." in refused(deep)
    two = tmp_path / "several" / "two"
    assert f"holds folders of results. Give one: {two}." in refused(tmp_path / "several")
    two.rename(tmp_path / "noise")
    assert f"Give one: {deep / 'one'}." in refused(tmp_path / "several")
    assert "--configurations x: not among" in refused(lone_results, "--configurations", "x")
    folder = write_results(tmp_path / "two")
    rows = pd.read_csv(folder / "oracle" / "predictions.csv", dtype=str)
    rows[1:].to_csv(folder / "oracle" / "predictions.csv", index=False)
    assert "last and oracle are not of the same clips" in refused(folder)
