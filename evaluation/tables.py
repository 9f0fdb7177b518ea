"""Metrics as tables on the terminal."""

from rich.console import Console
from rich.table import Table

from evaluation.metrics import Metrics

DATASET_TITLES = {"full": "full", "casme2": "CASME II", "samm": "SAMM", "smic": "SMIC"}


def print_metrics(
    console: Console, figures: dict[str, dict[str, Metrics]], title: str, footnote: str = ""
) -> None:
    """Print UF1, UAR and ACC, a row per dataset and epoch rule.

    Args:
        figures: epoch rule -> dataset -> figures; the same datasets under every rule.
    """
    table = Table(title=title, title_justify="left", caption=footnote, caption_justify="left")
    for name in ("dataset", "clips", "epoch rule", "UF1", "UAR", "ACC"):
        table.add_column(name, justify="left" if name in ("dataset", "epoch rule") else "right")
    for dataset in next(iter(figures.values())):
        for place, (rule, own) in enumerate(figures.items()):
            clips = str(own[dataset].clips)
            names = ("", "") if place else (DATASET_TITLES.get(dataset, dataset), clips)
            table.add_row(*names, rule, *(f"{value:.4f}" for value in _rates(own[dataset])))
        table.add_section()
    console.print(table)


def print_confusion(figures: Metrics, class_names: tuple[str, ...]) -> None:
    """Print the confusion matrix (row = true, column = predicted) with F1, recall and support."""
    # Numbers head the columns: seven class names beside each other would be cut.
    table = Table(title="row = true, column = predicted class number", title_justify="left")
    for name in ("", *map(str, range(len(class_names))), "F1", "recall", "support"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for index, name in enumerate(class_names):
        counts = [str(count) for count in figures.confusion[index]]
        rates = [f"{figures.class_f1[index]:.4f}", f"{figures.class_recall[index]:.4f}"]
        table.add_row(f"{index} {name}", *counts, *rates, str(figures.support[index]))
    Console().print(table)


def _rates(figures: Metrics) -> tuple[float, float, float]:
    return figures.uf1, figures.uar, figures.accuracy
