"""A grid of configurations, as a heat map for every epoch rule."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from evaluation.epoch_rules import get_rule, rule_title
from evaluation.report.contents import ConfigurationResults
from evaluation.report.drawing import INK, SHADES, Picture, bare, canvas, finish, text_color


@dataclass(frozen=True)
class Grid:
    """UF1 of configurations that differ in named values.

    Attributes:
        column_name, row_name: what differs along an axis.
        columns, rows: the values, in the order of the configurations.
        uf1: by rule, float [rows, columns]; nan where a configuration is missing.
    """

    column_name: str
    row_name: str
    columns: list[str]
    rows: list[str]
    uf1: dict[str, np.ndarray]


def parse_label(label: str) -> dict[str, str]:
    """The values in a label such as "gamma=0.5, layer1=3"; empty for other labels."""
    parts = [part.split("=") for part in label.split(", ")]
    return dict(parts) if all(len(part) == 2 for part in parts) else {}


def lay_out_grid(configurations: list[ConfigurationResults]) -> Grid | None:
    """The grid that configurations span: the first value that differs across, the others down.

    None where fewer than two differ, their labels do not name the same parameters, or two have the
    same values.
    """
    points = [parse_label(configuration.label) for configuration in configurations]
    if len(points) < 2 or any(point.keys() != points[0].keys() for point in points):
        return None
    varying = [key for key in points[0] if len({point[key] for point in points}) > 1]
    if not varying:
        return None
    across, *down = varying
    columns = list(dict.fromkeys(point[across] for point in points))
    tuples = [", ".join(point[key] for key in down) for point in points]
    rows = list(dict.fromkeys(tuples))
    cells = [
        (rows.index(row), columns.index(point[across]))
        for row, point in zip(tuples, points, strict=True)
    ]
    if len(set(cells)) < len(cells):
        return None
    rules = list(dict.fromkeys(r.rule.name for c in configurations for r in c.rules))
    uf1 = {rule: np.full((len(rows), len(columns)), np.nan) for rule in rules}
    for cell, configuration in zip(cells, configurations, strict=True):
        for results in configuration.rules:
            uf1[results.rule.name][cell] = configuration.score(results).uf1
    return Grid(across, ", ".join(down), columns, rows, uf1)


def draw_grid(grid: Grid, notice: str) -> Picture:
    """A heat map for every rule; all share one scale of shades."""
    values = np.concatenate([panel[np.isfinite(panel)] for panel in grid.uf1.values()])
    scale = Normalize(values.min(), max(values.max(), values.min() + 0.01))
    columns = min(len(grid.uf1), 2)
    lines = -(-len(grid.uf1) // columns)
    starred = any(get_rule(rule).starred for rule in grid.uf1)
    height = lines * (0.6 + 0.27 * len(grid.rows))
    heading = "UF1 of every configuration"
    with canvas(height, heading, notice, footnote=starred) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(grid.uf1) :]:
            axes.set_visible(False)
        for axes, (rule, uf1) in zip(panels.flat, grid.uf1.items(), strict=False):
            _draw_cells(axes, uf1, scale)
            axes.set_title(rule_title(rule))
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in panels[:, 0]:
            axes.set_yticks(range(len(grid.rows)), grid.rows)
            axes.set_ylabel(grid.row_name)
        for axes in panels.flat[max(len(grid.uf1) - columns, 0) : len(grid.uf1)]:
            axes.set_xticks(range(len(grid.columns)), grid.columns)
            axes.set_xlabel(grid.column_name)
        caption = (
            "Pooled UF1 on the test subjects. Choosing the highest cell is a selection on the test "
            "subjects, whatever the epoch rule. Framed: each rule's highest."
        )
        return finish(figure, "grid", caption, _describe(grid))


def _draw_cells(axes: Axes, uf1: np.ndarray, scale: Normalize) -> None:
    axes.imshow(uf1, cmap=SHADES, norm=scale, aspect="auto")
    for (row, column), value in np.ndenumerate(uf1):
        if np.isfinite(value):
            color = text_color(float(scale(value)))
            text = f"{value:.3f}"
            axes.text(column, row, text, ha="center", va="center", color=color, size=8.5)
    row, column = np.unravel_index(np.nanargmax(uf1), uf1.shape)
    frame: Any = {"fill": False, "edgecolor": INK, "linewidth": 1.4, "clip_on": False}
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))
    bare(axes)


def _describe(grid: Grid) -> str:
    parts = []
    for rule, uf1 in grid.uf1.items():
        row, column = np.unravel_index(np.nanargmax(uf1), uf1.shape)
        where = f"{grid.column_name} {grid.columns[column]}"
        where += f", {grid.row_name} {grid.rows[row]}" if grid.row_name else ""
        low, high = np.nanmin(uf1), np.nanmax(uf1)
        parts.append(f"{rule_title(rule)} from {low:.3f} to {high:.3f}, highest at {where}")
    return f"Heat map of pooled UF1 over the grid. {'; '.join(parts)}."
