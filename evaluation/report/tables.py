"""The page's tables, as DataFrames; ``macros.html`` renders any of them.

A cell is text, a number (three digits after the point), an ``Interval`` (its value with the bounds
in small print), or a ``Share``.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.metrics import METRICS
from evaluation.report.contents import WHOLE, ConfigurationResults, RuleResults
from evaluation.report.intervals import MetricRow, dataset_title, format_interval
from evaluation.report.pictures import count_subjects
from evaluation.robustness import CURVE
from evaluation.statistics import Interval


class Share(NamedTuple):
    """Some of a whole: a count with its share in small print; sorted and shaded by the share."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.part / max(self.whole, 1)


class Cell(NamedTuple):
    """A cell as the template prints it; ``share`` shades it where it is not None."""

    text: str
    small: str = ""
    share: float | None = None


def format_cell(value: object) -> Cell:
    """The text of a table's cell."""
    if isinstance(value, Interval):
        return Cell(f"{value.value:.3f}", format_interval(value))
    if isinstance(value, Share):
        return Cell(str(value.part), f"{value.value:.0%}", value.value)
    if isinstance(value, float):
        return Cell("–" if math.isnan(value) else f"{value:.3f}")
    return Cell(str(value))


def metrics_table(rows: list[MetricRow]) -> pd.DataFrame:
    """UF1, UAR and ACC with intervals, a row for each dataset and rule."""
    return pd.DataFrame(
        {
            "Dataset": dataset_title(row.dataset),
            "Epoch rule": row.rule.title,
            "Clips": row.clips,
            "Subjects": row.subjects,
            **row.intervals,
        }
        for row in rows
    )


def overview_table(rows: dict[str, list[MetricRow]]) -> pd.DataFrame:
    """UF1 of all clips with its interval, a row for each configuration, a column for each rule.

    Args:
        rows: by configuration label.
    """
    table = pd.DataFrame(
        {"Configuration": label, "Clips": of_label[0].clips}
        | {f"UF1, {r.rule.title}": r.intervals["UF1"] for r in of_label if r.dataset == WHOLE}
        for label, of_label in rows.items()
    )
    return table.where(table.notna(), "–")


def confusion_table(
    configuration: ConfigurationResults, rule: RuleResults, dataset: str
) -> pd.DataFrame:
    """A confusion matrix with F1 and recall of each class."""
    metrics = configuration.score(rule, dataset)
    columns: dict[str, list] = {"True class": list(configuration.class_names)}
    for number, name in enumerate(configuration.class_names):
        pairs = zip(metrics.confusion[:, number], metrics.support, strict=True)
        columns[name] = [Share(int(part), int(whole)) for part, whole in pairs]
    return pd.DataFrame({**columns, "F1": metrics.class_f1, "Recall": metrics.class_recall})


def epoch_table(confusions: np.ndarray) -> pd.DataFrame:
    """Pooled test metrics at every epoch, from confusion matrices int [epochs, C, C]."""
    columns = {name: compute(confusions) for name, compute in METRICS.items()}
    return pd.DataFrame({"Epoch": range(1, len(confusions) + 1), **columns})


def subjects_table(configuration: ConfigurationResults) -> pd.DataFrame:
    """Right clips of every subject under every rule."""
    counts = count_subjects(configuration)
    table = pd.DataFrame(
        {
            "Dataset": counts["dataset"].map(dataset_title),
            "Subject": counts["subject"],
            "Clips": counts["clips"],
        }
    )
    for results in configuration.rules:
        pairs = zip(counts[results.rule.name], counts["clips"], strict=True)
        table[f"Right, {results.rule.title}"] = [Share(right, clips) for right, clips in pairs]
    return table


def robustness_summary_table(summary: pd.DataFrame) -> pd.DataFrame:
    """What was read off every curve: a row each, as ``robustness_summary.csv`` holds them."""
    lost = [
        "not lost" if math.isnan(level) else f"{level:.3g}" for level in summary["level_of_loss"]
    ]
    table = summary[[*CURVE, "uf1_without_noise", "area"]].assign(lost=lost)
    table.columns = [
        "Model",
        "Condition",
        "Frames",
        "UF1 without noise",
        "Area",
        "Five points lost at",
    ]
    return table


def robustness_table(described: pd.DataFrame) -> pd.DataFrame:
    """The mean over seeds at every level with its bounds (``describe_seeds``)."""
    table = described[[*CURVE, "seeds"]].copy()
    levels = ["–" if math.isnan(level) else f"{level:g}" for level in described["level"]]
    table.insert(len(CURVE), "level", levels)
    for metric in ("uf1", "uar"):
        bounds = zip(
            *(described[f"{metric}_{end}"] for end in ("mean", "low", "high")), strict=True
        )
        table[metric] = [
            # A lone seed's value twice would look like an interval without width.
            mean if low == high else Interval(mean, low, high)
            for mean, low, high in bounds
        ]
    table.columns = ["Model", "Condition", "Frames", "Level", "Seeds", "UF1", "UAR"]
    return table
