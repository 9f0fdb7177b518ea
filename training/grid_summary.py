"""Writes and prints what may be quoted of a whole grid search, one set of metrics per rule."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from common.files import write_text
from common.owned_folder import remove_file
from evaluation.epoch_choices import Grid, join_configurations
from evaluation.epoch_rules import RULES, choose_in_grid, rule_title, rules_footnote, rules_for
from evaluation.metrics import Metrics
from evaluation.predictions import metrics_per_dataset
from evaluation.result_files import result_file_paths, write_result_files
from evaluation.tables import print_metrics
from training.configuration import Configuration, short_hash
from training.configuration_results import fold_rows
from training.run_record import Run

FOLDER = "chosen"
CHOICES_NAME = "choices.csv"
SUMMARY_NAME = "grid_summary.txt"
WARNING = (
    "The search itself looked at test subjects: do not quote the best line of result_summary.txt, "
    "whatever its epoch rule."
)


def grid_report_paths(results: Path) -> list[Path]:
    """The files that the report of a search may write, replace or remove."""
    folders = [results / FOLDER / rule for rule in RULES]
    own = [path for folder in folders for path in result_file_paths(folder)]
    return [results / SUMMARY_NAME, *own, *(folder / CHOICES_NAME for folder in folders)]


def remove_grid_report(results: Path) -> None:
    """Remove the report of the finished search before the search continues."""
    for path in grid_report_paths(results):
        remove_file(path)
    for folder in (*(results / FOLDER / rule for rule in RULES), results / FOLDER):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def report_grid(
    results: Path, run: Run, configurations: list[Configuration], grid: Grid, console: Console
) -> None:
    """Write ``chosen/<rule>/`` and ``grid_summary.txt`` and print them.

    Args:
        configurations: at least two.
        grid: their stored folds, every fold of the run in each.
    """
    rules = rules_for(join_configurations(grid))
    metrics = {rule: _write_rule(results, run, configurations, grid, rule) for rule in rules}
    notes = rules_footnote(rules, in_grid=True)
    title = ", ".join([f"chosen among {len(configurations)} configurations", *run.notes])
    named = {rule_title(rule): by_dataset for rule, by_dataset in metrics.items()}
    print_metrics(console, named, title, footnote=notes)
    console.print(WARNING, highlight=False)
    lines = [
        f"{rule} | UF1={pooled['full'].uf1:.4f}, UAR={pooled['full'].uar:.4f}"
        for rule, pooled in named.items()
    ]
    write_text(results / SUMMARY_NAME, "\n".join([title, *lines, notes, WARNING]) + "\n")


def _write_rule(
    results: Path, run: Run, configurations: list[Configuration], grid: Grid, rule: str
) -> dict[str, Metrics]:
    """Write the result files of one rule, and what it chose for each fold."""
    searched = short_hash([run.configuration_hash(c) for c in configurations])
    parts, choices = [], []
    for fold, (number, choice) in zip(grid[0], choose_in_grid(rule, grid), strict=True):
        parts.append(fold_rows(run, fold, choice, rule, searched))
        choices.append((fold.identity.name, configurations[number].name, choice.epoch + 1))
    rows = pd.concat(parts, ignore_index=True)
    folder = results / FOLDER / rule
    title = f"chosen among {len(configurations)} configurations, rule {rule}"
    write_result_files(folder, rows, title=title, note="; ".join(run.notes), lasting=run.notes)
    table = pd.DataFrame(choices, columns=["fold", "configuration", "epoch"])
    write_text(folder / CHOICES_NAME, table.to_csv(index=False, lineterminator="\n"))
    return metrics_per_dataset(rows, len(run.class_names))
