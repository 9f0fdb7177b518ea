"""Writes the page as HTML, with its pictures as files in a folder.

This module computes tables and pictures; every word on the page is in ``template.html``.
"""

import base64
import hashlib
import platform
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from common.files import write_bytes, write_text
from evaluation.epoch_rules import STAR_NOTE, published_table
from evaluation.report.contents import WHOLE, ConfigurationResults, Contents
from evaluation.report.drawing import Picture
from evaluation.report.grid import draw_grid, lay_out_grid
from evaluation.report.intervals import (
    MetricRow,
    compute_rows,
    dataset_title,
    draw_intervals,
    format_interval,
)
from evaluation.report.pictures import draw_confusions, draw_epochs, draw_subjects, file_name
from evaluation.report.robustness import Robustness, describe_seeds, draw_robustness
from evaluation.report.tables import (
    confusion_table,
    epoch_table,
    format_cell,
    metrics_table,
    overview_table,
    robustness_summary_table,
    robustness_table,
    subjects_table,
)

PAGE_NAME = "report.html"
PICTURES_FOLDER = "pictures"
_HERE = Path(__file__).parent
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "matplotlib")
_FACTS = ("protocol", "method", "preset", "epochs", "seed", "device")
"""Entries of a run's record that stand below the title."""


def write_page(contents: Contents, detailed: list[str], folder: Path, source: Path) -> Path:
    """Write the page, and every picture as SVG, PNG and PDF, below ``folder``.

    The page holds its pictures itself and needs no other file.

    Args:
        detailed: names of the configurations that get a section of their own.
        source: the folder that the contents were read from, for the commands on the page.

    Returns:
        The page's path.
    """
    content = collect_content(contents, detailed, source)
    for picture in _list_pictures(content):
        for ending, data in picture.files.items():
            write_bytes(folder / PICTURES_FOLDER / f"{picture.name}.{ending}", data)
    write_text(folder / PAGE_NAME, _render(content))
    return folder / PAGE_NAME


def collect_content(contents: Contents, detailed: list[str], source: Path) -> dict[str, Any]:
    """Everything that the template prints, by name."""
    shown = [c for c in contents.configurations if c.name in detailed]
    rows = {c.name: compute_rows(c, c.datasets) for c in shown}
    lone = shown[0].name if len(contents.configurations) == 1 and shown else None
    return {
        "contents": contents,
        "record": contents.record,
        "notice": _notice(contents),
        "facts": _list_facts(contents),
        "problems": _list_problems(contents),
        "lone": lone,
        "headline": [] if lone is None else [row for row in rows[lone] if row.dataset == WHOLE],
        "chosen": None if contents.chosen is None else _draw_chosen(contents, contents.chosen),
        "overview": _draw_overview(contents, rows) if len(contents.configurations) > 1 else None,
        "shown": [_draw_configuration(contents, c, rows[c.name]) for c in shown],
        "robustness": _draw_benchmark(contents.robustness, _data_notice(contents)),
        "rules": {r.rule.name: r.rule for c in contents.configurations for r in c.rules},
        "settings": list(_flatten(contents.record, skipped=("versions", "configurations"))),
        "commands": _list_commands(contents, detailed, source),
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "star_note": STAR_NOTE,
        "whole": WHOLE,
    }


def _data_notice(contents: Contents) -> str:
    """What a reader of any number must know of the data, such as synthetic clips."""
    notices = ["SYNTHETIC CLIPS"] if contents.synthetic else []
    if contents.record.get("label_shuffle") is not None:
        notices.append("SHUFFLED LABELS")
    if contents.record.get("protocol", "composite") != "composite":
        notices.append(f"protocol {contents.record['protocol']}")
    if contents.record.get("key_frames") is not None:
        notices.append(f"KEY FRAMES {contents.record['key_frames']}")
    return ", ".join(notices)


def _notice(contents: Contents, configuration: ConfigurationResults | None = None) -> str:
    """``_data_notice`` and whether clips are missing, from all results or a configuration's."""
    partial = ["PARTIAL"] if contents.partial else []
    if configuration is not None:
        missing = max(rule.results.missing_clips for rule in configuration.rules)
        partial = [f"PARTIAL: {missing} clips missing"] if configuration.problems else []
    return ", ".join(filter(None, [_data_notice(contents), *partial]))


def _list_facts(contents: Contents) -> dict[str, str]:
    """Short facts below the title, from the record where there is one."""
    facts = {}
    if contents.configurations:
        rows = contents.configurations[0].first.rows
        labels = [configuration.label for configuration in contents.configurations]
        plural = len(labels) > 1
        facts["configurations" if plural else "configuration"] = (
            str(len(labels)) if plural else labels[0]
        )
        facts["clips"] = str(len(rows))
        facts["subjects"] = str(rows.groupby(["dataset", "subject"]).ngroups)
    recorded = {**contents.record, **(contents.record.get("training") or {})}
    return facts | {name: str(recorded[name]) for name in _FACTS if name in recorded}


def _list_problems(contents: Contents) -> dict[str, str]:
    """Every problem, and the configurations that have it; empty where all have it."""
    labels: dict[str, list[str]] = {}
    for configuration in contents.configurations:
        for problem in configuration.problems:
            labels.setdefault(problem, []).append(configuration.label)
    total = len(contents.configurations)
    return {p: "; ".join(found) if len(found) < total else "" for p, found in labels.items()}


def _draw_chosen(contents: Contents, chosen: ConfigurationResults) -> dict[str, Any]:
    notice, rows = _notice(contents, chosen), compute_rows(chosen, chosen.datasets)
    return {
        "notice": notice,
        "rules": [results.rule for results in chosen.rules],
        "picture": draw_intervals(rows, "chosen", "chosen among all configurations", notice),
        "table": metrics_table(rows),
        "starred": chosen.starred,
    }


def _draw_overview(contents: Contents, known: dict[str, list[MetricRow]]) -> dict[str, Any]:
    notice = _notice(contents)
    rows = {
        c.label: [r for r in known[c.name] if r.dataset == WHOLE]
        if c.name in known
        else compute_rows(c, [WHOLE])
        for c in contents.configurations
    }
    grid = lay_out_grid(contents.configurations)
    return {
        "notice": notice,
        "picture": None if grid is None else draw_grid(grid, notice),
        "table": overview_table(rows),
        "starred": any(c.starred for c in contents.configurations),
    }


def _draw_configuration(
    contents: Contents, configuration: ConfigurationResults, rows: list[MetricRow]
) -> dict[str, Any]:
    notice, name = _notice(contents, configuration), configuration.name
    datasets = sorted(configuration.first.rows["dataset"].unique())
    matrices = [
        (f"{dataset_title(dataset)}, {results.rule.title}", results.rule.starred,
         confusion_table(configuration, results, dataset))
        for dataset in configuration.datasets for results in configuration.rules
    ]  # fmt: skip
    return {
        "label": configuration.label,
        "anchor": lambda part: file_name(part, name),
        "notice": notice,
        "starred": configuration.starred,
        "metrics_picture": draw_intervals(rows, file_name("metrics", name), name, notice),
        "metrics": metrics_table(rows),
        **_draw_epochs(configuration, notice),
        "confusion_picture": draw_confusions(configuration, notice),
        "matrices": matrices,
        "subject_pictures": [draw_subjects(configuration, d, notice) for d in datasets],
        "subjects": subjects_table(configuration),
    }


def _draw_epochs(configuration: ConfigurationResults, notice: str) -> dict[str, Any]:
    """The curve over epochs with its tables; only their number where there is nothing to draw."""
    confusions = configuration.confusions_by_epoch()
    if confusions is None or configuration.folds is None:
        return {"n_epochs": 0}
    if len(confusions) == 1:
        return {"n_epochs": 1}
    published = published_table(configuration.folds)
    published.columns = ["Rule", "F1", "Recall", "Accuracy", "How it is computed"]
    return {
        "n_epochs": len(confusions),
        "epoch_picture": draw_epochs(configuration, confusions, notice),
        "epochs": epoch_table(confusions),
        "published": published[["Rule", "How it is computed", "F1", "Recall", "Accuracy"]],
    }


def _draw_benchmark(robustness: Robustness | None, notice: str) -> dict[str, Any] | None:
    if robustness is None:
        return None
    table = describe_seeds(robustness)
    known = robustness.curves is not None
    bounds = "95 % interval, bootstrap over subjects" if known else "lowest and the highest seed"
    summary = robustness.summary
    return {
        "notice": notice,
        "picture": draw_robustness(table, bounds, notice),
        "summary": None if summary is None else robustness_summary_table(summary),
        "table": robustness_table(table),
        "bounds": bounds,
    }


def _list_commands(contents: Contents, detailed: list[str], source: Path) -> list[str]:
    """Shell lines that repeat the run, print the metrics and make the page."""
    recorded = contents.record.get("command")
    commands = [recorded] if recorded else []
    if contents.robustness is not None and contents.robustness.settings is not None:
        settings = ["--config", contents.robustness.settings, "--results", source]
        commands.append(_join("measure_robustness.py", *settings))
    folders = [source / name if (source / name).is_dir() else source for name in detailed]
    commands += [_join("calculate_all_results.py", folder) for folder in folders]
    return [*commands, _join("make_report.py", source)]


def _join(*words: object) -> str:
    return shlex.join(["python", *map(str, words)])


def _flatten(
    values: dict[str, Any], prefix: str = "", skipped: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Nested settings as pairs with dotted names."""
    for name, value in values.items():
        if name in skipped or value is None:
            continue
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{name}", text


def _list_pictures(content: object) -> Iterator[Picture]:
    """All pictures below a tree of dictionaries and lists."""
    if isinstance(content, Picture):
        yield content
    elif isinstance(content, dict):
        yield from (p for value in content.values() for p in _list_pictures(value))
    elif isinstance(content, list):
        yield from (p for value in content for p in _list_pictures(value))


def _render(content: dict[str, Any]) -> str:
    """The page as HTML. Every text in it is escaped, and it allows no script but its own."""
    script = (_HERE / "sort.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data_uri": _data_uri,
        "cell": format_cell,
        "interval": format_interval,
        "sentence": lambda text: f"{text[0].upper()}{text[1:]}.",
    }
    return environment.get_template("template.html").render(
        **content,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(digest).decode(),
    )


def _data_uri(picture: Picture) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.files['svg']).decode()}"
