"""Compare results folders: intervals, paired tests, and what may be claimed.

    python compare_results.py results/linear/linear results/compact-seed*/0.5_1_1_2

Reads the prediction rows of each folder (docs/predictions.md); folders of one configuration and
epoch rule that differ in their seed count as one method. FOLDER+FOLDER counts as one folder: the
mean of their scores, clip by clip. The first method is the reference. Prints
UF1, UAR and ACC with 95 % intervals, the tests against the reference and one sentence; --latex FILE
and --markdown FILE write these tables. --table FILE writes one table for a paper, a row per method:
UF1, UAR and ACC of all clips and of each dataset, as .tex, .md or .csv.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import tyro
from rich.console import Console

from common.command_line import parse_settings
from common.errors import UserError, run_script
from common.files import check_output_file, write_text
from common.owned_folder import claimed_files
from evaluation.comparison import claim, compare
from evaluation.comparison_tables import (
    COMPARISON_NOTE,
    DETAILS_NOTE,
    METRICS_NOTE,
    TextTable,
    comparison_table,
    details_table,
    format_dataset_table,
    list_notes,
    metrics_table,
    to_latex,
    to_markdown,
)
from evaluation.methods import Method, folders_under_rules, read_methods
from evaluation.predictions import (
    inputs_notes,
    source_of,
)
from evaluation.tables import print_table

TABLE_ENDINGS = (".tex", ".md", ".csv")


@dataclass(frozen=True)
class Config:
    """What to compare."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Results folders, or FOLDER+FOLDER for the mean of their scores; the first one's method is the
    reference."""
    rules: tuple[str, ...] = ()
    """Compare every folder under these epoch rules, where it has them: last inner oracle ...
    Default: the folders as they are."""
    names: tuple[str, ...] = ()
    """Display names of the methods, in the order of their folders. Default: the folders' names."""
    dataset: str | None = None
    """Compare on this dataset's clips alone: casme2, samm or smic."""
    inputs: Path | None = None
    """Folder of the inputs that results without a record were made from, such as published
    *_acc.txt files: it gives their clips the names that a comparison with a run needs."""
    allow_doubles: bool = False
    """Take inputs in which two subjects have a clip with the same map; every table says so."""
    latex: Path | None = None
    """Also write the printed tables to this file, as LaTeX."""
    markdown: Path | None = None
    """Also write the printed tables to this file, as Markdown."""
    table: Path | None = None
    """Also write one table of all datasets to this file, by its ending: .tex, .md or .csv."""

    def __post_init__(self) -> None:
        for path in self.outputs:
            check_output_file(path)
        if len({path.resolve() for path in self.outputs}) < len(self.outputs):
            raise UserError("--latex, --markdown and --table name one file. Give each its own.")
        if self.table is not None and self.table.suffix.lower() not in TABLE_ENDINGS:
            raise UserError(f"--table {self.table}: give a name that ends in .tex, .md or .csv.")

    @property
    def outputs(self) -> list[Path]:
        """The files to write."""
        return [path for path in (self.latex, self.markdown, self.table) if path is not None]


def main() -> None:
    """Read, test, write, print."""
    config = parse_settings(Config, __doc__)
    if not config.folders:
        raise UserError("give the results folders to compare, such as results/linear/linear.")
    folders = folders_under_rules(config.folders, config.rules) if config.rules else config.folders
    with claimed_files(config.outputs, "compare_results.py"):
        clips = None if config.inputs is None else read_clips(config.inputs, config.allow_doubles)
        methods = read_methods(folders, config.dataset, clips, config.names)
        tables, sentence = build_tables(methods, config)
        write_files(config, methods, tables)
    console = Console()
    for one in tables:
        print_table(console, one.table, one.title, one.note)
    console.print(*list_notes(methods), sep="\n", highlight=False)
    if sentence:
        console.print(sentence, highlight=False, markup=False)
    for path in config.outputs:
        print(f"written: {path}")


def read_clips(folder: Path, allow_doubles: bool = False) -> pd.DataFrame:
    """The clips of a folder of inputs, in the order of its table, for ``read_results``."""
    # Imported here: it takes a second, and few comparisons need it.
    from datasets import loso_folds, read_inputs

    inputs = read_inputs(folder, allow_doubles)
    clips = inputs.clips.rename(columns={"label": "true"})
    for fold in loso_folds(inputs.clips):
        clips.loc[fold.test_indices, "file"] = fold.name
    notes = inputs_notes(inputs.doubles, inputs.edited)
    return clips.assign(
        source=source_of(inputs.synthetic),
        note="; ".join(notes),
        classes=len(inputs.class_names),
    )


def build_tables(methods: list[Method], config: Config) -> tuple[list[TextTable], str]:
    """The tables, and the sentence on what may be claimed."""
    scope = f"{len(methods[0].clips)} clips of {config.dataset or 'all datasets'}"
    tables = [
        TextTable(metrics_table(methods), f"pooled metrics, {scope}", METRICS_NOTE, "metrics"),
        TextTable(
            details_table(methods), f"per class and per fold, {scope}", DETAILS_NOTE, "details"
        ),
    ]
    if len(methods) > 1:
        comparisons = compare(methods[0], methods[1:])
        title = f"against {methods[0].title}, {scope}"
        tables.append(
            TextTable(comparison_table(comparisons), title, COMPARISON_NOTE, "comparison")
        )
        return tables, claim(comparisons)
    if len(config.folders) > 1:
        title = methods[0].title
        return tables, f"All folders are seeds of one method, {title}: nothing to compare."
    return tables, ""


def write_files(config: Config, methods: list[Method], tables: list[TextTable]) -> None:
    """Write what was asked for; done before printing, which the reader may cut off."""
    notes = " ".join(list_notes(methods))
    noted = [TextTable(t.table, t.title, f"{t.note} {notes}".strip(), t.label) for t in tables]
    texts = {config.latex: to_latex, config.markdown: to_markdown}
    files = {path: convert(noted) for path, convert in texts.items() if path is not None}
    if config.table is not None:
        files[config.table] = format_dataset_table(config.table.suffix.lower(), methods)
    for path, text in files.items():
        write_text(path, text)


if __name__ == "__main__":
    run_script(main)
