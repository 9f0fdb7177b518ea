"""Writes a page as HTML, with its pictures as files in a folder.

``run.html``, ``comparison.html`` and ``disagreements.html`` hold the words of the pages, and call
this package's functions for their tables and pictures.
"""

import base64
import hashlib
import platform
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from common.files import write_bytes
from common.owned_folder import shared_record
from evaluation.epoch_rules import STAR_NOTE, published_table
from evaluation.explanations import Explanations, found_table
from evaluation.report import (
    comparison,
    disagreements,
    grid,
    intervals,
    looks,
    pictures,
    robustness,
    tables,
)
from evaluation.report.contents import WHOLE, Contents
from evaluation.report.drawing import Picture

PAGE_NAME = "report.html"
PICTURES_FOLDER = "pictures"
_HERE = Path(__file__).parent
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "matplotlib")
_FUNCTIONS = (
    comparison.draw_confusions_of,
    comparison.methods_table,
    disagreements.draw_wrong_clip,
    grid.draw_grid,
    grid.lay_out_grid,
    intervals.dataset_title,
    intervals.draw_intervals,
    pictures.draw_confusions,
    pictures.draw_epochs,
    pictures.draw_subjects,
    looks.draw_activations,
    looks.draw_class_looks,
    looks.draw_clip,
    pictures.file_name,
    published_table,
    found_table,
    robustness.describe_seeds,
    robustness.draw_robustness,
    tables.confusion_table,
    tables.epoch_table,
    tables.metrics_table,
    tables.overview_table,
    tables.robustness_summary_table,
    tables.robustness_table,
    tables.subjects_table,
)
"""What the template calls."""


def write_page(
    contents: Contents,
    detailed: list[str],
    folder: Path,
    source: Path,
    command: str,
    looks: Explanations | None = None,
) -> Path:
    """Write the page of a results folder, and every picture as SVG, PNG and PDF, below ``folder``.

    Args:
        detailed: names of the configurations that get a section of their own.
        source: the folder that the contents were read from, for the commands on the page.
        command: that makes this page.
        looks: where the method looks; None where nobody asked.

    Returns:
        The page's path.
    """
    shown = [c for c in contents.configurations if c.name in detailed]
    rows = {
        c.label: intervals.compute_rows(c, c.datasets if c in shown else [WHOLE])
        for c in contents.configurations
    }
    chosen = contents.chosen
    return write_template(
        "run.html",
        folder,
        title=f"Results of {contents.name}",
        notice=contents.notice(),
        contents=contents,
        record=contents.record,
        shown=shown,
        rows=rows,
        looks=looks,
        chosen_rows=None if chosen is None else intervals.compute_rows(chosen, chosen.datasets),
        commands=[*_list_commands(contents, detailed, source), command],
    )


def write_template(
    template: str, folder: Path, tables: Mapping[str, pd.DataFrame] | None = None, **words: Any
) -> Path:
    """Write a page and its pictures below ``folder``; the page holds them itself and needs no file.

    Args:
        template: file name in this package.
        tables: further tables, by the name of their CSV file.
        words: what the template is given; ``title`` and ``notice`` always.

    Returns:
        The page's path.
    """
    page_path = folder / PAGE_NAME
    with shared_record(folder, "make_report.py") as owned:
        owned.check([page_path])
        files = _files(template, folder, tables or {}, words)
        owned.check(files)
        for path, data in files.items():
            write_bytes(path, data)
    return page_path


def _files(
    template: str, folder: Path, tables: Mapping[str, pd.DataFrame], words: Mapping[str, Any]
) -> dict[Path, bytes]:
    """What a page consists of, the page last."""
    drawn: list[Picture] = []
    page = _render(template, drawn, words)
    files = {
        folder / PICTURES_FOLDER / f"{picture.name}.{ending}": data
        for picture in drawn
        for ending, data in picture.files.items()
    }
    for name, table in tables.items():
        files[folder / name] = table.to_csv(index=False, lineterminator="\n").encode("utf-8")
    files[folder / PAGE_NAME] = page.encode("utf-8")
    return files


def _render(template: str, drawn: list[Picture], words: Mapping[str, Any]) -> str:
    """The page as HTML. Every text in it is escaped, and it allows no script but its own.

    Args:
        drawn: the page's pictures are added to it.
    """

    def data_uri(picture: Picture) -> str:
        drawn.append(picture)
        return f"data:image/svg+xml;base64,{base64.b64encode(picture.files['svg']).decode()}"

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data_uri": data_uri,
        "cell": tables.format_cell,
        "bounds": intervals.format_interval,
        "sentence": lambda text: f"{text[0].upper()}{text[1:]}.",
        "flatten": lambda record: list(_flatten(record)),
    }
    environment.globals |= {function.__name__: function for function in _FUNCTIONS}
    script = (_HERE / "sort.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(script.encode()).digest()
    return environment.get_template(template).render(
        versions={"Python": platform.python_version()} | {n: version(n) for n in _LIBRARIES},
        star_note=STAR_NOTE,
        WHOLE=WHOLE,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(digest).decode(),
        **words,
    )


def _list_commands(contents: Contents, detailed: list[str], source: Path) -> list[str]:
    """Shell lines that repeat the run and print the metrics."""
    recorded = contents.record.get("command")
    commands = [recorded] if recorded else []
    if contents.robustness is not None and contents.robustness.settings is not None:
        settings = ("--config", contents.robustness.settings, "--results", source)
        commands.append(_join("measure_robustness.py", *settings))
    folders = [source / name if (source / name).is_dir() else source for name in detailed]
    return commands + [_join("calculate_all_results.py", folder) for folder in folders]


def _join(*words: object) -> str:
    return shlex.join(["python", *map(str, words)])


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as pairs with dotted names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{name}", text
