"""Writes and prints what may be quoted of a whole grid search, one set of figures a rule."""

import shutil
from pathlib import Path

import pandas as pd
from rich.console import Console

from common.files import write_text
from evaluation.epoch_rules import rules_for
from evaluation.metrics import Metrics
from evaluation.predictions import metrics_per_dataset
from evaluation.result_files import write_result_files
from evaluation.selection import rule_title
from evaluation.tables import print_metrics
from training.configuration import Configuration, short_hash
from training.configuration_results import fold_rows
from training.grid_choice import NOTES, Grid, choose_in_grid, joined_folds
from training.run_record import Run

FOLDER = "chosen"
CHOICES_NAME = "choices.csv"
SUMMARY_NAME = "grid_summary.txt"
WARNING = (
    "The search itself looked at test subjects: do not quote the best line of result_summary.txt, "
    "whatever its epoch rule."
)


def remove_grid_report(results: Path) -> None:
    """Remove what ``report_grid`` wrote: it is not of a search that goes on."""
    if (results / FOLDER).is_dir():
        shutil.rmtree(results / FOLDER)
    (results / SUMMARY_NAME).unlink(missing_ok=True)


def report_grid(
    results: Path, run: Run, configurations: list[Configuration], grid: Grid, console: Console
) -> None:
    """Write ``chosen/<rule>/`` and ``grid_summary.txt`` and print them.

    Args:
        configurations: at least two.
        grid: their stored folds, every fold of the run in each.
    """
    rules = rules_for(joined_folds(grid))
    figures = {rule: _write_rule(results, run, configurations, grid, rule) for rule in rules}
    notes = [NOTES[rule] for rule in rules]
    title = ", ".join([f"chosen among {len(configurations)} configurations", *run.notes])
    named = {rule_title(rule): own for rule, own in figures.items()}
    print_metrics(console, named, title, footnote="\n".join(notes))
    console.print(WARNING, highlight=False)
    lines = [
        f"{rule_title(rule)} | UF1={own['full'].uf1:.4f}, UAR={own['full'].uar:.4f}"
        for rule, own in figures.items()
    ]
    write_text(results / SUMMARY_NAME, "\n".join([title, *lines, *notes, WARNING]) + "\n")


def _write_rule(
    results: Path, run: Run, configurations: list[Configuration], grid: Grid, rule: str
) -> dict[str, Metrics]:
    """Result files of one rule, and which configuration and epoch it took for each fold."""
    searched = short_hash([run.configuration_hash(c) for c in configurations])
    parts, choices = [], []
    for fold, (place, choice) in zip(grid[0], choose_in_grid(rule, grid), strict=True):
        parts.append(fold_rows(run, fold, choice, rule, searched))
        choices.append((fold.identity.name, configurations[place].name, choice.epoch + 1))
    rows = pd.concat(parts, ignore_index=True)
    folder = results / FOLDER / rule
    title = f"chosen among {len(configurations)} configurations, rule {rule}"
    write_result_files(folder, rows, title=title, note="; ".join(run.notes))
    table = pd.DataFrame(choices, columns=["fold", "configuration", "epoch"])
    write_text(folder / CHOICES_NAME, table.to_csv(index=False, lineterminator="\n"))
    return metrics_per_dataset(rows, len(run.class_names))
