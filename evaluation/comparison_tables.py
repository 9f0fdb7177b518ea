"""Methods and their comparison as tables: on the terminal and as LaTeX."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluation.comparison import TESTED, Comparison, p_text
from evaluation.methods import Method
from evaluation.metrics import METRICS, compute_class_f1
from evaluation.selection import ORACLE_FOOTNOTE
from evaluation.statistics import (
    Interval,
    bootstrap_interval,
    fold_means,
    spread_over_seeds,
)

FIGURES_NOTE = (
    "[low, high]: 95 % interval, bootstrap over subjects; +-: standard deviation over seeds. "
    "Several seeds: the figure is the mean of the seeds' figures."
)
DETAILS_NOTE = (
    "Per-class F1 of the pooled predictions. Per-fold means average figures of single subjects; "
    "they are other quantities than UF1 and UAR."
)
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "%&#_${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
COMPARISON_NOTE = (
    "Difference to the reference with its 95 % interval (bootstrap over subjects); p: paired "
    "permutation test over subjects, adjusted by Holm; several seeds: class scores averaged over "
    "them. McNemar (clips): right with the reference alone : right with the method alone, p "
    "adjusted by Holm, Cohen's g; it takes clips for independent and is too ready to differ."
)


def metrics_table(methods: Sequence[Method]) -> pd.DataFrame:
    """Pooled UF1, UAR and ACC with interval and spread over seeds, as text."""
    rows = []
    for method in methods:
        confusions = method.confusions(method.predicted)
        row = {"method": method.title}
        for figure in METRICS:
            row[figure] = _interval_text(bootstrap_interval(confusions, figure))
            if method.seeds > 1:
                row[figure] += f" +-{spread_over_seeds(confusions, figure).deviation:.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def details_table(methods: Sequence[Method]) -> pd.DataFrame:
    """Per-class F1, per-fold means, and the range of UF1 over the seeds, as text."""
    rows = []
    for method in methods:
        confusions = method.confusions(method.predicted)
        class_f1 = compute_class_f1(confusions.sum(axis=1)).mean(axis=0)
        names = [f"F1 {name}" for name in method.class_names]
        means, spread = fold_means(confusions), spread_over_seeds(confusions, "UF1")
        many = f"{spread.low:.3f} to {spread.high:.3f}"
        rows.append(
            {
                "method": method.title,
                **{name: f"{f1:.3f}" for name, f1 in zip(names, class_f1, strict=True)},
                "per-fold mean F1": f"{means.f1:.3f}",
                "per-fold mean recall": f"{means.recall:.3f}",
                "UF1 of seeds": many if method.seeds > 1 else "one seed",
            }
        )
    return pd.DataFrame(rows)


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Differences, p values and McNemar's counts, as text."""
    rows = []
    for comparison in comparisons:
        row = {"method": comparison.method.title}
        for name in TESTED:
            difference = comparison.differences[name]
            interval = _interval_text(difference.interval, sign="+")
            row[f"{name} minus reference"] = f"{interval} p {p_text(difference.p_holm)}"
        clips = comparison.clips
        row["McNemar (clips)"] = (
            f"{clips.only_first}:{clips.only_second} p {p_text(comparison.clips_p_holm)} "
            f"g = {clips.cohens_g:+.2f}"
        )
        rows.append(row)
    return pd.DataFrame(rows)


def print_table(console: Console, table: pd.DataFrame, title: str, note: str) -> None:
    """Print a table of text; the first column is left-aligned."""
    drawn = Table(
        title=escape(title), title_justify="left", caption=escape(note), caption_justify="left"
    )
    for place, name in enumerate(table.columns):
        drawn.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for row in table.itertuples(index=False):
        drawn.add_row(*map(escape, row))
    console.print(drawn)


def latex_tables(tables: Sequence[tuple[pd.DataFrame, str]]) -> str:
    """Tables (with booktabs) and their captions as LaTeX; every character is escaped."""
    return "\n".join(_latex(table, _escaped(caption)) for table, caption in tables)


def notes_of(methods: Sequence[Method]) -> list[str]:
    """What must stand under every table of these methods, a sentence each."""
    notes = ["The clips are SYNTHETIC."] if any(method.synthetic for method in methods) else []
    if any(method.chosen_on_test_subjects for method in methods):
        notes.append(f"{ORACLE_FOOTNOTE}.")
    return notes


def _latex(table: pd.DataFrame, caption: str) -> str:
    columns = "l" + "r" * (len(table.columns) - 1)
    text = table.to_latex(index=False, escape=True, column_format=columns, caption=caption)
    return str(text).replace("+-", r"$\pm$").replace("<", "$<$")


def _escaped(text: str) -> str:
    """A caption for LaTeX; ``DataFrame.to_latex`` escapes cells only."""
    return text.translate(_LATEX)


def _interval_text(interval: Interval, sign: str = "") -> str:
    value = f"{interval.value:{sign}.3f}"
    if np.isnan(interval.low):
        return value
    return f"{value} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"
