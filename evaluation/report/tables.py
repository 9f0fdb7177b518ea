"""The page's tables."""

import math

import numpy as np
import pandas as pd

from evaluation.metrics import METRICS
from evaluation.report.blocks import Cell, Table
from evaluation.report.contents import ConfigurationResults, RuleResults
from evaluation.report.intervals import FigureRow, dataset_title, interval_text
from evaluation.report.pictures import subject_table
from evaluation.robustness import CURVE
from evaluation.selection import ORACLE_FOOTNOTE, rule_title
from evaluation.statistics import Interval


def figure_table(rows: list[FigureRow], marks: str) -> Table:
    """UF1, UAR and ACC with intervals, a row for each dataset and rule."""
    body = [
        [
            Cell(dataset_title(row.dataset)),
            Cell(rule_title(row.rule.rule)),
            Cell(str(row.clips), f"{row.subjects} subjects", value=row.clips),
            *(interval_cell(row.intervals[name]) for name in METRICS),
        ]
        for row in rows
    ]
    return Table(
        caption=_marked("Pooled figures with 95 % intervals, by dataset and epoch rule", marks),
        columns=["Dataset", "Epoch rule", "Clips", *METRICS],
        rows=body,
        words=2,
        note=_star_note([row.rule for row in rows]),
    )


def overview_table(rows: dict[str, list[FigureRow]], marks: str) -> Table:
    """UF1 with its interval, a row for each configuration, a column for each rule.

    Args:
        rows: configuration label -> its rows of all clips.
    """
    rules = {row.rule.rule: row.rule for own in rows.values() for row in own}
    body = []
    for label, own in rows.items():
        by_rule = {row.rule.rule: row.intervals["UF1"] for row in own}
        cells = [interval_cell(by_rule[r]) if r in by_rule else Cell("–") for r in rules]
        body.append([Cell(label), Cell(str(own[0].clips), value=own[0].clips), *cells])
    return Table(
        caption=_marked("Pooled UF1 of every configuration with 95 % intervals", marks),
        columns=["Configuration", "Clips", *(f"UF1, {rule_title(rule)}" for rule in rules)],
        rows=body,
        note=_star_note(list(rules.values())),
    )


def interval_cell(interval: Interval) -> Cell:
    """A figure with its interval beside it."""
    return Cell(f"{interval.value:.3f}", interval_text(interval), value=interval.value)


def confusion_table(
    configuration: ConfigurationResults, rule: RuleResults, dataset: str, marks: str
) -> Table:
    """A confusion matrix with F1 and recall of each class; shades as in the picture."""
    figures = configuration.figures(rule, dataset)
    names = configuration.class_names
    shares = figures.confusion / figures.confusion.sum(axis=1, keepdims=True).clip(min=1)
    body = []
    for row, name in enumerate(names):
        counts = [
            Cell(str(count), value=float(count), share=float(share))
            for count, share in zip(figures.confusion[row], shares[row], strict=True)
        ]
        rates = (figures.class_f1[row], figures.class_recall[row])
        body.append([Cell(name), *counts, *(number(float(rate)) for rate in rates)])
    caption = f"{dataset_title(dataset)}, {rule_title(rule.rule)}: rows true, columns predicted"
    return Table(
        caption=_marked(caption, marks),
        columns=["True class", *names, "F1", "Recall"],
        rows=body,
        note=_star_note([rule]),
    )


def epoch_table(configuration: ConfigurationResults, marks: str) -> Table:
    """Pooled test figures at every epoch."""
    confusions = configuration.confusions_by_epoch()
    figures = np.stack([compute(confusions) for compute in METRICS.values()], axis=1)
    body = [
        [Cell(str(epoch), value=epoch), *(number(float(value)) for value in values)]
        for epoch, values in enumerate(figures, start=1)
    ]
    caption = _marked("Pooled test figures when every fold stops at that epoch", marks)
    return Table(caption, ["Epoch", *METRICS], body, words=0)


def subjects_table(configuration: ConfigurationResults, marks: str) -> Table:
    """Right clips of every subject under every rule."""
    rules = configuration.rules
    body = []
    for _, row in subject_table(configuration).iterrows():
        clips = int(row["clips"])
        cells = [Cell(dataset_title(row["dataset"])), Cell(row["subject"])]
        cells.append(Cell(str(clips), value=clips))
        for rule in rules:
            share = row[rule.rule] / clips
            cells.append(Cell(f"{row[rule.rule]} ({share:.0%})", value=share))
        body.append(cells)
    return Table(
        caption=_marked("Right clips of every subject; sorted by their share", marks),
        columns=["Dataset", "Subject", "Clips", *(f"Right, {rule_title(r.rule)}" for r in rules)],
        rows=body,
        words=2,
        note=_star_note(rules),
    )


def robustness_summary_table(summary: pd.DataFrame, marks: str) -> Table:
    """What was read off every curve: a row each, as ``robustness_summary.csv`` holds them."""
    body = []
    for _, row in summary.iterrows():
        level = float(row["level_of_loss"])
        lost = Cell("not lost") if math.isnan(level) else Cell(f"{level:.3g}", value=level)
        figures = [number(float(row[name])) for name in ("uf1_without_noise", "area")]
        body.append([*(Cell(row[name]) for name in CURVE), *figures, lost])
    return Table(
        caption=_marked("Read off the curves of UF1", marks),
        columns=[
            "Model",
            "Condition",
            "Frames",
            "UF1 without noise",
            "Area",
            "Five points lost at",
        ],
        rows=body,
        words=3,
        note="Area: under the curve, 1 where no level loses anything. 5 points lost at: the lowest "
        "level at which UF1 is 0.05 below that without noise, linear between the levels.",
    )


def robustness_table(table: pd.DataFrame, marks: str) -> Table:
    """The mean over seeds at every level, beside it what is known of its spread.

    Args:
        table: what ``over_seeds`` gives, ``with_intervals`` where they are known.
    """
    known = "uf1_low" in table
    bounds = "95 % interval, bootstrap over subjects" if known else "lowest and the highest seed"
    body = []
    for _, row in table.iterrows():
        level = float(row["level"])
        cells = [Cell(row[name]) for name in ("model", "condition", "frames")]
        cells.append(Cell("–") if math.isnan(level) else Cell(f"{level:g}", value=level))
        cells.append(Cell(str(row["seeds"]), value=row["seeds"]))
        for name in ("uf1", "uar"):
            mean = row[f"{name}_mean"]
            if known:
                interval = Interval(mean, row[f"{name}_low"], row[f"{name}_high"])
                cells.append(interval_cell(interval))
            else:
                spread = f"{row[f'{name}_min']:.3f}–{row[f'{name}_max']:.3f}"
                # One seed's figure twice would read like an interval without width.
                cells.append(Cell(f"{mean:.3f}", spread if row["seeds"] > 1 else "", value=mean))
        body.append(cells)
    return Table(
        caption=_marked(f"Mean over noise seeds; beside it the {bounds}", marks),
        columns=["Model", "Condition", "Frames", "Level", "Seeds", "UF1", "UAR"],
        rows=body,
        words=3,
    )


def number(value: float) -> Cell:
    """A rate with three digits; a dash where there is none."""
    return Cell("–") if math.isnan(value) else Cell(f"{value:.3f}", value=value)


def _marked(caption: str, marks: str) -> str:
    return f"{marks}: {caption}" if marks else caption


def _star_note(rules: list[RuleResults]) -> str:
    return ORACLE_FOOTNOTE if any(rule.selected_on_test for rule in rules) else ""
