"""Pooled metrics with their intervals, by dataset and epoch rule, and their picture."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from evaluation.epoch_rules import Rule
from evaluation.metrics import METRICS
from evaluation.report.contents import ConfigurationResults
from evaluation.report.drawing import (
    Picture,
    canvas,
    finish,
    line_style,
    point_style,
    shorten,
)
from evaluation.statistics import Interval, bootstrap_interval
from evaluation.tables import DATASET_TITLES

DRAWN = ("UF1", "UAR")


@dataclass(frozen=True)
class MetricRow:
    """UF1, UAR and ACC of one dataset under one rule; intervals by bootstrap over subjects."""

    dataset: str
    rule: Rule
    clips: int
    subjects: int
    intervals: dict[str, Interval]


def compute_rows(configuration: ConfigurationResults, datasets: list[str]) -> list[MetricRow]:
    """A row for each of the datasets and each rule."""
    rows = []
    for dataset in datasets:
        for results in configuration.rules:
            stack = configuration.confusions(results, dataset)
            intervals = {name: bootstrap_interval(stack[np.newaxis], name) for name in METRICS}
            clips = int(stack.sum())
            rows.append(MetricRow(dataset, results.rule, clips, len(stack), intervals))
    return rows


def dataset_title(dataset: str) -> str:
    """The dataset's name as printed."""
    return DATASET_TITLES.get(dataset, dataset)


def format_interval(interval: Interval) -> str:
    """The bounds; a dash where a lone subject gives none."""
    if not np.isfinite(interval.low):
        return "–"
    return f"{interval.low:.3f}–{interval.high:.3f}"


def draw_intervals(rows: list[MetricRow], name: str, title: str, notice: str) -> Picture:
    """UF1 and UAR of every dataset and rule as points with interval bars."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    rules = list({row.rule.name: row.rule for row in rows}.values())
    height = 0.5 + 0.15 * len(rows) + 0.15 * len(datasets)
    starred = any(rule.starred for rule in rules)
    heading = f"{title}: metrics with 95 % intervals"
    legend = [Line2D([], [], label=shorten(rule.title), **point_style(rule)) for rule in rules]
    with canvas(height, heading, notice, legend, starred) as figure:
        panels = figure.subplots(1, len(DRAWN), sharey=True)
        for axes, kind in zip(panels, DRAWN, strict=True):
            for row in rows:
                _draw_row(axes, row, kind, _place(row, datasets, rules))
            axes.set(title=kind, xlim=(0, 1))
            axes.set_xticks(np.linspace(0, 1, 5), ["0", ".25", ".5", ".75", "1"])
            axes.set_yticks(
                range(len(datasets)), [shorten(dataset_title(name)) for name in datasets]
            )
            axes.grid(axis="x")
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
        panels[0].set_ylim(len(datasets) - 0.5, -0.5)
        caption = (
            "Pooled UF1 and UAR with 95 % intervals: the subjects are resampled 9,999 times "
            "(bootstrap, percentiles), since clips of one face are not independent."
        )
        return finish(figure, name, caption, _describe(rows))


def _place(row: MetricRow, datasets: list[str], rules: list[Rule]) -> float:
    """A row's place on the vertical axis: datasets one apart, rules close together."""
    offset = rules.index(row.rule) - (len(rules) - 1) / 2
    return datasets.index(row.dataset) + 0.64 * offset / max(len(rules), 2)


def _draw_row(axes: Axes, row: MetricRow, metric: str, height: float) -> None:
    interval = row.intervals[metric]
    axes.plot([interval.low, interval.high], [height] * 2, linewidth=1.4, **line_style(row.rule))
    axes.plot(interval.value, height, clip_on=False, **point_style(row.rule))


def _describe(rows: list[MetricRow]) -> str:
    parts = []
    for row in rows:
        metrics = (f"{name} {_words(row.intervals[name])}" for name in DRAWN)
        parts.append(f"{dataset_title(row.dataset)}, {row.rule.title}: {', '.join(metrics)}")
    return f"Points with interval bars. {'; '.join(parts)}."


def _words(interval: Interval) -> str:
    if not np.isfinite(interval.low):
        return f"{interval.value:.3f} without an interval"
    return f"{interval.value:.3f}, {interval.low:.3f} to {interval.high:.3f}"
