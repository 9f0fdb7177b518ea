"""Prints tables on the terminal."""

import math

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.epoch_rules import STAR_NOTE
from evaluation.metrics import Metrics

DATASET_TITLES = {"full": "full", "casme2": "CASME II", "samm": "SAMM", "smic": "SMIC"}


def print_table(console: Console, table: pd.DataFrame, title: str, note: str) -> None:
    """Print a table of text; the first column is left-aligned."""
    drawn = Table(title=escape(title), title_justify="left")
    for number, name in enumerate(table.columns):
        drawn.add_column(escape(name), justify="right" if number else "left", overflow="fold")
    for row in table.itertuples(index=False):
        drawn.add_row(*map(escape, row))
    console.print(drawn)
    _print_note(console, note)


def print_metrics(
    console: Console, metrics: dict[str, dict[str, Metrics]], title: str, footnote: str = ""
) -> None:
    """Print UF1, UAR and ACC, a row for each dataset and epoch rule.

    Args:
        metrics: epoch rule -> dataset -> metrics; the same datasets under every rule.
    """
    table = Table(title=title, title_justify="left")
    for name in ("dataset", "clips", "epoch rule", "UF1", "UAR", "ACC"):
        table.add_column(name, justify="left" if name in ("dataset", "epoch rule") else "right")
    for dataset in next(iter(metrics.values())):
        for number, (rule, by_dataset) in enumerate(metrics.items()):
            pooled = by_dataset[dataset]
            printed = DATASET_TITLES.get(dataset, dataset)
            names = ("", "") if number else (printed, str(pooled.clips))
            rates = (pooled.uf1, pooled.uar, pooled.accuracy)
            table.add_row(*names, rule, *(f"{rate:.4f}" for rate in rates))
        table.add_section()
    console.print(table)
    _print_note(console, footnote)


def print_confusion(metrics: Metrics, class_names: tuple[str, ...]) -> None:
    """Print the confusion matrix (row = true, column = predicted) with F1, recall and support."""
    # Numbers head the columns: seven class names in a row would be cut.
    table = Table(title="row = true, column = predicted class number", title_justify="left")
    for name in ("", *map(str, range(len(class_names))), "F1", "recall", "support"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for index, name in enumerate(class_names):
        counts = [str(count) for count in metrics.confusion[index]]
        rates = [f"{metrics.class_f1[index]:.4f}", f"{metrics.class_recall[index]:.4f}"]
        table.add_row(f"{index} {name}", *counts, *rates, str(metrics.support[index]))
    Console().print(table)


def print_published(console: Console, table: pd.DataFrame, note: str) -> None:
    """Print what published rules give (``evaluation.epoch_rules.published_table``)."""
    texts = table.drop(columns="note")
    for name in ("F1", "recall", "accuracy"):
        texts[name] = ["–" if math.isnan(value) else f"{value:.4f}" for value in table[name]]
    title = "the same predictions under published rules" + (f" ({note})" if note else "")
    notes = [f"{row.rule}: {row.note}" for row in table.itertuples()]
    print_table(console, texts, title, "\n".join([*notes, STAR_NOTE]))


def _print_note(console: Console, note: str) -> None:
    """Below a table, not as its caption: that would be as narrow as the table."""
    if note:
        console.print(note, style="italic", highlight=False, markup=False)
