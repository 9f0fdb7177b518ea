"""The report page: its figures, what it says of them, and that it is whole, safe and repeatable."""

import base64
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import main_train_for_parameter_tuning as grid_script
import make_report
from common.errors import UserError
from evaluation.acc_files import write_acc_file
from evaluation.epoch_rules import PUBLISHED_RULES, STAR_NOTE, get_rule
from evaluation.fold_logits import predict_every_epoch
from evaluation.metrics import compute_metrics
from evaluation.predictions import SYNTHETIC, read_predictions
from evaluation.report import drawing
from evaluation.report.contents import ConfigurationResults, RuleResults, read_contents
from evaluation.report.grid import lay_out_grid
from evaluation.report.pictures import draw_epochs
from evaluation.report.robustness import describe_seeds, read_robustness
from evaluation.results_folder import Results
from evaluation.run_record import find_record
from evaluation.statistics import bootstrap_interval
from tests.conftest import save_picture
from tests.helpers.made_up_rows import Pairs, protocol_labels, rows_of_subjects
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

pytestmark = pytest.mark.usefixtures("few_resamples")
FLAGS = (
    "--method",
    "causalnet_compact",
    "--epochs",
    3,
    "--threads",
    1,
    "--group-size",
    4,
    "--inner",
)
GRID = ("--gammas", 0.3, 0.5)
DETAILED = ("--configurations", "0.5_1_1_2")
RULES = ["last", "inner", "inner_refit", "cross_fitted", "oracle*"]


@pytest.fixture(scope="module")
def grid_results(
    tiny_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    few_resamples: None,
) -> Path:
    """A finished search of two configurations with every epoch rule, and its page."""
    folder = tmp_path_factory.mktemp("report") / "search"
    with pytest.MonkeyPatch.context() as monkeypatch:
        arguments = ("--inputs", tiny_folder, "--results", folder, *FLAGS, *GRID)
        assert run_here(monkeypatch, grid_script.main, *arguments) == 0
        monkeypatch.setattr(drawing, "_save", save_picture)
        report(monkeypatch, folder, *DETAILED)
    return folder


@pytest.fixture(scope="module")
def lone_results(tmp_path_factory: pytest.TempPathFactory, few_resamples: None) -> Path:
    """Made-up results of one configuration, and their page."""
    folder = write_results(tmp_path_factory.mktemp("lone"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        report(monkeypatch, folder)
    return folder


def page_of(folder: Path) -> Path:
    return folder / "report" / "report.html"


def test_the_table_holds_pooled_metrics_and_intervals(lone_results: Path) -> None:
    tables = tables_of(read_page(page_of(lone_results)))
    head, *rows = tables["Pooled metrics with 95 % intervals, by dataset and epoch rule"]
    assert head == ["Dataset", "Epoch rule", "Clips", "Subjects", "UF1", "UAR", "ACC"]
    assert [row[:2] for row in rows] == [
        [dataset, rule]
        for dataset in ("full", "CASME II", "SAMM", "SMIC")
        for rule in ("last", "oracle*")
    ]
    pairs = np.array([pair for subject in SUBJECTS.values() for pair in subject])
    metrics = compute_metrics(pairs[:, 0], pairs[:, 1], 3)
    whole = [cell.split()[0] for cell in rows[0][2:]]
    expected = (metrics.uf1, metrics.uar, metrics.accuracy)
    assert whole == ["12", "4", *(f"{value:.3f}" for value in expected)]
    # One subject's dataset has no bounds.
    s01 = np.array(SUBJECTS["smic", "s01"])
    smic = next(row for row in rows if row[:2] == ["SMIC", "last"])
    assert smic[4] == f"{compute_metrics(s01[:, 0], s01[:, 1], 3).uf1:.3f} –"
    confusions = np.zeros((1, 2, 3, 3), int)
    for subject, name in enumerate(("sub01", "sub02")):
        for true, predicted in SUBJECTS["casme2", name]:
            confusions[0, subject, true, predicted] += 1
    interval = bootstrap_interval(confusions, "UF1")
    assert rows[2][4] == f"{interval.value:.3f} {interval.low:.3f}–{interval.high:.3f}"


def test_a_grid_shows_every_rule_and_configuration(
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
    configuration = read_contents(grid_results).configurations[0]
    confusions = configuration.confusions_by_epoch()
    assert confusions is not None and len(confusions) == 3
    last, oracle = configuration.rules[0], configuration.rules[-1]
    np.testing.assert_array_equal(confusions[-1], configuration.score(last).confusion)
    # The oracle's prediction of a clip is the one of the epoch that it names for the clip's fold.
    assert configuration.folds is not None
    predicted = predict_every_epoch(configuration.folds, last.rows)
    chosen = oracle.rows["epoch"].to_numpy() - 1
    picked = predicted[chosen, np.arange(len(chosen))]
    np.testing.assert_array_equal(picked, oracle.rows["predicted"])


def test_results_without_every_fold_have_no_curve(
    lone_results: Path, grid_results: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(grid_results / "0.3_1_1_2", tmp_path / "0.3_1_1_2")
    (folder / "folds" / "sub01.npz").unlink()
    (configuration,) = read_contents(folder).configurations
    assert configuration.confusions_by_epoch() is None
    assert "There is no curve" in text_of(read_page(page_of(lone_results)))


def test_published_rules_are_a_table_of_their_own(grid_results: Path) -> None:
    table = tables_of(read_page(page_of(grid_results)))[
        "The same predictions under published rules"
    ]
    assert [row[0] for row in table[1:]] == ["last", "htnet*", "mmnet*", "off_tanet*", "srmcl"]
    folds = read_contents(grid_results).configurations[-1].folds
    assert folds is not None
    assert table[2][-1] == f"{PUBLISHED_RULES['htnet'].metrics(folds)['accuracy']:.3f}"
    assert table[4][-1] == "–"


def test_chosen_epochs_are_drawn_where_the_rows_name_them(grid_results: Path) -> None:
    (configuration, _) = read_contents(grid_results).configurations
    confusions = configuration.confusions_by_epoch()
    assert confusions is not None
    caption = draw_epochs(configuration, confusions, "").caption
    assert caption.endswith("number of subjects.")
    rules = [
        replace(r, results=replace(r.results, rows=r.rows.drop(columns="epoch")))
        for r in configuration.rules
    ]
    without = draw_epochs(replace(configuration, rules=rules), confusions, "")
    assert "chosen epochs" not in without.caption


@pytest.mark.slow
def test_the_page_is_the_same_in_another_process(
    grid_results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder_bytes(grid_results / "report")
    process = start("make_report.py", grid_results, *DETAILED)
    output, error = process.communicate()
    assert process.returncode == 0, error
    assert "report.html" in output and folder_bytes(grid_results / "report") == before


def test_page_is_accessible_and_offline(grid_results: Path) -> None:
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
    svg, png, pdf = ({p.stem for p in folder.glob(f"*.{e}")} for e in ("svg", "png", "pdf"))
    assert svg == png == pdf
    kinds = ("metrics", "epochs", "confusion", "subjects")
    assert all(any(name.startswith(kind) for name in svg) for kind in kinds)
    assert {"grid", "chosen"} <= svg


def test_oracle_has_its_star_everywhere(grid_results: Path) -> None:
    page = read_page(page_of(grid_results))
    text = text_of(page.find("body"))  # type: ignore[arg-type]
    assert len(re.findall(r"\boracle\*", text)) > 10 and not re.findall(r"\boracle\b(?!\*)", text)
    for image in page.iter("img"):
        source = base64.b64decode(image.get("src", "").split(",")[1]).decode()
        assert ("oracle*" in source) == (STAR_NOTE in source)
        assert not re.findall(r"\boracle\b(?!\*)", image.get("alt", ""))


def test_an_oracle_folder_shows_last_or_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_results(tmp_path / "run")
    caption = "Pooled metrics with 95 % intervals, by dataset and epoch rule"
    page = read_page(report(monkeypatch, folder / "oracle"))
    assert [row[1] for row in tables_of(page)[caption][1:3]] == ["last", "oracle*"]
    warning = "the page has no others to show next to them"
    assert "Epoch rule last, with" in text_of(page) and warning not in text_of(page)

    alone = (folder / "oracle").rename(tmp_path / "oracle")
    text = text_of(read_page(report(monkeypatch, alone)))
    assert warning in text
    assert f"Epoch rule oracle*, with 95 % intervals over 4 subjects. {STAR_NOTE}." in text


def test_an_oracle_folder_of_a_search_shows_last(grid_results: Path) -> None:
    for folder in (grid_results / "chosen" / "oracle", grid_results / "0.3_1_1_2" / "oracle"):
        (configuration,) = read_contents(folder).configurations
        assert [results.rule.name for results in configuration.rules] == ["last", "oracle"]
    assert find_record(grid_results / "0.3_1_1_2" / "oracle")["method"] == "causalnet_compact"


def test_synthetic_and_partial_results_are_marked_everywhere(
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
    assert "nothing on this page holds for real ones" in body
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


def test_moved_key_frames_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_published_folder_has_an_unknown_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subject, labels in protocol_labels().items():
        write_acc_file(tmp_path / f"{subject}_acc.txt", 7, labels, labels)
    page = read_page(report(monkeypatch, tmp_path))
    text = text_of(page)
    assert "The files do not say how the epoch was chosen" in text
    rows = tables_of(page)["Pooled metrics with 95 % intervals, by dataset and epoch rule"]
    assert rows[1][1:5] == ["unknown", "442", "68", "1.000 1.000–1.000"]


def configuration_of(label: str, pairs: Pairs) -> ConfigurationResults:
    """Results of one subject under ``last``."""
    rows = rows_of_subjects({("samm", "006"): pairs})
    rule = RuleResults(get_rule("last"), Results(rows, 0, False, [], []))
    return ConfigurationResults(label, label, [rule])


def test_a_grid_is_laid_out_by_what_differs() -> None:
    first = configuration_of("gamma=0.3, layer1=1, layer2=2", [(0, 0), (1, 1)])
    second = configuration_of("gamma=0.5, layer1=1, layer2=3", [(0, 1), (1, 0)])
    grid = lay_out_grid([first, second])
    assert grid is not None
    table = grid["last"]
    assert (table.columns.name, list(table.columns)) == ("gamma", ["0.3", "0.5"])
    assert (table.index.name, list(table.index)) == ("layer2", ["2", "3"])
    nan = np.nan
    np.testing.assert_array_equal(table.to_numpy(), [[1, nan], [nan, 0]])
    assert lay_out_grid([first]) is None
    assert lay_out_grid([first, replace(second, label="linear")]) is None
    assert lay_out_grid([first, replace(second, label=first.label)]) is None


def test_robustness_rows_are_described_over_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_robustness(tmp_path)
    robustness = read_robustness(tmp_path)
    assert robustness is not None
    described = describe_seeds(robustness)
    own = table[(table["model"] == "linear") & (table["level"] == 0.3)]["uf1"]
    row = described[(described["model"] == "linear") & (described["level"] == 0.3)].iloc[0]
    assert row["seeds"] == 3
    assert row["uf1_mean"] == pytest.approx(own.mean(), abs=1e-12)
    assert row["uf1_std"] == pytest.approx(np.std(own, ddof=1), abs=1e-12)
    page = read_page(report(monkeypatch, tmp_path))
    cells = tables_of(page)["Mean over noise seeds with the lowest and the highest seed"]
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
    caption = "Mean over noise seeds with the 95 % interval, bootstrap over subjects"
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
    [("uf1", 1.5, "numbers in 0..1, but are not in line 2"), ("level", None, "no column level")],
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


def test_the_command_of_a_noise_benchmark_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_robustness(tmp_path)
    without = "These results came without a record of their run."
    assert without in text_of(read_page(report(monkeypatch, tmp_path)))
    (tmp_path / "robustness.yaml").write_text("dataset: casme2\nmethods: [linear]\n")
    text = text_of(read_page(report(monkeypatch, tmp_path)))
    assert without not in text
    flags = f"--config {tmp_path / 'robustness.yaml'} --results {tmp_path}"
    assert f"python measure_robustness.py {flags}" in text


def test_the_recorded_command_of_a_run_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_results(tmp_path / "run")
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 1}))
    text = text_of(read_page(report(monkeypatch, folder)))
    assert "holds its settings, but not its command" in text
    command = "python main_train_for_parameter_tuning.py --inputs maps --seed 1"
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 1, "command": command}))
    text = text_of(read_page(report(monkeypatch, folder)))
    assert f"{command} python calculate_all_results.py {folder}" in text


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
def test_damaged_noise_tables_are_refused_by_line(
    name: str, lines: list[str], reason: str, tmp_path: Path
) -> None:
    write_robustness(tmp_path)
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=f"{name} is refused: .*{reason}"):
        read_robustness(tmp_path)
    # The line before the damaged one is usable: an empty cell is a missing value.
    (tmp_path / name).write_text("\n".join(lines[:2]).replace("z", "").replace("inf", "") + "\n")
    tables = read_robustness(tmp_path)
    assert tables is not None
    assert 1 in [len(table) for table in (tables.rows, tables.curves, tables.summary)
                 if table is not None]  # fmt: skip


def test_a_damaged_table_beside_the_robustness_rows_is_refused(tmp_path: Path) -> None:
    write_robustness(tmp_path)
    curves = tmp_path / "robustness_curves.csv"
    curves.write_text("model,condition,frames,level\nlinear,test,apex,0.1\n")
    with pytest.raises(UserError, match="has no column uf1_low, uf1_high"):
        read_robustness(tmp_path)
    curves.unlink()
    (tmp_path / "robustness_summary.csv").write_text("model\nlinear\n")
    with pytest.raises(UserError, match="has no column condition, frames, uf1_without_noise"):
        read_robustness(tmp_path)


def test_folders_without_results_are_refused(
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
    evaluated = write_results(tmp_path / "several" / "evaluated")
    (deep / "one").rename(tmp_path / "several" / "one")
    # Relative, as a line is cut to 300 characters.
    monkeypatch.chdir(tmp_path)
    both = "several holds folders of results. Give one: several/evaluated, several/one."
    assert evaluated.is_dir() and both in refused(Path("several"))
    assert both in refused(Path("several"), lone_results)
    assert "--configurations x: not among" in refused(lone_results, "--configurations", "x")
    folder = write_results(tmp_path / "two")
    rows = pd.read_csv(folder / "oracle" / "predictions.csv", dtype=str)
    rows[1:].to_csv(folder / "oracle" / "predictions.csv", index=False)
    assert "last and oracle are not of the same clips" in refused(folder)
