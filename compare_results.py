"""Compare results folders: intervals, paired tests, and what may be claimed.

    python compare_results.py results/linear/linear results/compact-seed*/0.5_1_1_2

Reads the prediction rows of each folder; folders of one configuration and epoch rule that differ in
their seed count as one method. The first method is the reference. Prints UF1, UAR and ACC with
95 % intervals, the tests against the reference and one sentence; --latex FILE writes the tables.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from common.errors import UserError, run_script
from common.files import check_output_file, write_text
from evaluation.comparison import claim, compare
from evaluation.comparison_tables import (
    COMPARISON_NOTE,
    DETAILS_NOTE,
    FIGURES_NOTE,
    comparison_table,
    details_table,
    latex_tables,
    metrics_table,
    notes_of,
    print_table,
)
from evaluation.methods import read_methods


@dataclass(frozen=True)
class Config:
    """What to compare."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Results folders; the first one's method is the reference."""
    dataset: str | None = None
    """Compare on this dataset's clips alone: casme2, samm or smic."""
    latex: Path | None = None
    """Also write the tables to this file."""

    def __post_init__(self) -> None:
        if self.latex is not None:
            check_output_file(self.latex)


def main() -> None:
    """Wire reader, tests and tables together."""
    config = tyro.cli(Config, description=__doc__)
    if not config.folders:
        raise UserError("give the results folders to compare, such as results/linear/linear.")
    methods = read_methods(config.folders, config.dataset)
    notes = notes_of(methods)
    scope = f"{len(methods[0].clips)} clips of {config.dataset or 'all datasets'}"
    tables = [
        (metrics_table(methods), f"pooled figures, {scope}", FIGURES_NOTE),
        (details_table(methods), f"per class and per fold, {scope}", DETAILS_NOTE),
    ]
    sentence = ""
    if len(methods) > 1:
        comparisons = compare(methods[0], methods[1:])
        title = f"against {methods[0].title}, {scope}"
        tables.append((comparison_table(comparisons), title, COMPARISON_NOTE))
        sentence = claim(comparisons)
    console = Console()
    for table, title, note in tables:
        print_table(console, table, title, note)
    console.print(*notes, sep="\n", highlight=False)
    if len(methods) == 1 and len(config.folders) > 1:
        sentence = f"All folders are seeds of one method, {methods[0].title}: nothing to compare."
    if sentence:
        console.print(sentence, highlight=False, markup=False)
    if config.latex is not None:
        captions = [
            (table, " ".join([f"{title}. {note}", *notes])) for table, title, note in tables
        ]
        write_text(config.latex, latex_tables(captions))
        print(f"written: {config.latex}")


if __name__ == "__main__":
    run_script(main)
