"""Pooled figures with their intervals, by dataset and epoch rule, and their picture."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from evaluation.metrics import METRICS
from evaluation.report.contents import ConfigurationResults, RuleResults
from evaluation.report.drawing import Picture, canvas, finish, look_of, rule_handles, short
from evaluation.selection import rule_title
from evaluation.statistics import Interval, bootstrap_interval
from evaluation.tables import DATASET_TITLES

DRAWN = ("UF1", "UAR")


@dataclass(frozen=True)
class FigureRow:
    """UF1, UAR and ACC of one dataset under one rule; intervals by bootstrap over subjects."""

    dataset: str
    rule: RuleResults
    clips: int
    subjects: int
    intervals: dict[str, Interval]


def figure_rows(configuration: ConfigurationResults, datasets: list[str]) -> list[FigureRow]:
    """A row for each of the datasets and each rule."""
    return [
        _figure_row(configuration, rule, dataset)
        for dataset in datasets
        for rule in configuration.rules
    ]


def _figure_row(configuration: ConfigurationResults, rule: RuleResults, dataset: str) -> FigureRow:
    confusions = configuration.confusions(rule, dataset)
    return FigureRow(
        dataset=dataset,
        rule=rule,
        clips=int(confusions.sum()),
        subjects=len(confusions),
        intervals={name: bootstrap_interval(confusions[np.newaxis], name) for name in METRICS},
    )


def dataset_title(dataset: str) -> str:
    """The dataset's printed name."""
    return DATASET_TITLES.get(dataset, dataset)


def interval_text(interval: Interval) -> str:
    """The bounds; a dash where a lone subject gives none."""
    if not np.isfinite(interval.low):
        return "–"
    return f"{interval.low:.3f}–{interval.high:.3f}"


def interval_picture(rows: list[FigureRow], name: str, title: str, marks: str) -> Picture:
    """UF1 and UAR of every dataset and rule as points with interval bars."""
    datasets = list(dict.fromkeys(row.dataset for row in rows))
    rules = list(dict.fromkeys(row.rule.rule for row in rows))
    height = 0.5 + 0.15 * len(rows) + 0.15 * len(datasets)
    starred = any(row.rule.selected_on_test for row in rows)
    heading = f"{title}: figures with 95 % intervals"
    with canvas(height, heading, marks, rule_handles(rules), starred) as figure:
        panels = figure.subplots(1, len(DRAWN), sharey=True)
        for axes, kind in zip(panels, DRAWN, strict=True):
            for row in rows:
                _draw_row(axes, row, kind, _height_of(row, datasets, rules))
            axes.set(title=kind, xlim=(0, 1))
            axes.set_xticks(np.linspace(0, 1, 5), ["0", ".25", ".5", ".75", "1"])
            axes.set_yticks(range(len(datasets)), [short(dataset_title(name)) for name in datasets])
            axes.grid(axis="x")
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
        panels[0].set_ylim(len(datasets) - 0.5, -0.5)
        caption = (
            "Pooled UF1 and UAR with 95 % intervals: the subjects are resampled 9,999 times "
            "(bootstrap, percentiles), since clips of one face are not independent."
        )
        return finish(figure, name, caption, _alt(rows))


def _height_of(row: FigureRow, datasets: list[str], rules: list[str]) -> float:
    """Where a row stands on the vertical axis: datasets one apart, rules close together."""
    offset = rules.index(row.rule.rule) - (len(rules) - 1) / 2
    return datasets.index(row.dataset) + 0.64 * offset / max(len(rules), 2)


def _draw_row(axes: Axes, row: FigureRow, kind: str, height: float) -> None:
    look, interval = look_of(row.rule.rule), row.intervals[kind]
    bounds = [interval.low, interval.high]
    axes.plot(bounds, [height] * 2, color=look.color, linestyle=look.line, linewidth=1.4)
    axes.plot(interval.value, height, **look.point)


def _alt(rows: list[FigureRow]) -> str:
    parts = []
    for row in rows:
        figures = (f"{name} {_words(row.intervals[name])}" for name in DRAWN)
        where = f"{dataset_title(row.dataset)}, {rule_title(row.rule.rule)}"
        parts.append(f"{where}: {', '.join(figures)}")
    return f"Points with interval bars. {'; '.join(parts)}."


def _words(interval: Interval) -> str:
    if not np.isfinite(interval.low):
        return f"{interval.value:.3f} without an interval"
    return f"{interval.value:.3f}, {interval.low:.3f} to {interval.high:.3f}"
