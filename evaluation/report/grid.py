"""A grid of configurations, as a heat map for every epoch rule."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle

from evaluation.epoch_rules import get_rule, rule_title
from evaluation.report.contents import ConfigurationResults
from evaluation.report.drawing import INK, SHADES, Picture, bare, canvas, finish, text_color


def parse_label(label: str) -> dict[str, str]:
    """The values in a label such as "gamma=0.5, layer1=3"; empty for other labels."""
    parts = [part.split("=") for part in label.split(", ")]
    return dict(parts) if all(len(part) == 2 for part in parts) else {}


def lay_out_grid(configurations: list[ConfigurationResults]) -> dict[str, pd.DataFrame] | None:
    """UF1 by epoch rule: the first value that differs across, the others down.

    None where fewer than two differ, their labels do not name the same parameters, or two have the
    same values. A configuration that is missing is nan.
    """
    points = pd.DataFrame([parse_label(configuration.label) for configuration in configurations])
    varying = [name for name in points if points[name].nunique() > 1]
    if not varying or points.isna().any(axis=None) or points.duplicated().any():
        return None
    across, *down = varying
    cells = pd.DataFrame(
        {"column": points[across], "row": [", ".join(row) for row in points[down].to_numpy()]}
    )
    tables = {}
    for rule in dict.fromkeys(r.rule.name for c in configurations for r in c.rules):
        cells["uf1"] = [
            next((c.score(r).uf1 for r in c.rules if r.rule.name == rule), np.nan)
            for c in configurations
        ]
        table = cells.pivot(index="row", columns="column", values="uf1")
        table = table.loc[cells["row"].unique(), cells["column"].unique()]
        tables[rule] = table.rename_axis(index=", ".join(down), columns=across)
    return tables


def draw_grid(tables: dict[str, pd.DataFrame], notice: str) -> Picture:
    """A heat map for every rule; all share one scale of shades."""
    first = next(iter(tables.values()))
    values = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    scale = Normalize(low, max(high, low + 0.01))
    columns = min(len(tables), 2)
    lines = -(-len(tables) // columns)
    starred = any(get_rule(rule).starred for rule in tables)
    height = lines * (0.6 + 0.27 * len(first))
    with canvas(height, "UF1 of every configuration", notice, footnote=starred) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(tables) :]:
            axes.set_visible(False)
        for axes, (rule, table) in zip(panels.flat, tables.items(), strict=False):
            _draw_cells(axes, table.to_numpy(), scale)
            axes.set_title(rule_title(rule))
            axes.set_xticks([])
            axes.set_yticks([])
        for axes in panels[:, 0]:
            axes.set_yticks(range(len(first)), first.index)
            axes.set_ylabel(first.index.name)
        for axes in panels.flat[max(len(tables) - columns, 0) : len(tables)]:
            axes.set_xticks(range(len(first.columns)), first.columns)
            axes.set_xlabel(first.columns.name)
        caption = (
            "Pooled UF1 on the test subjects. Choosing the highest cell is a selection on the test "
            "subjects, whatever the epoch rule. Framed: each rule's highest."
        )
        return finish(figure, "grid", caption, _describe(tables))


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


def _describe(tables: dict[str, pd.DataFrame]) -> str:
    parts = []
    for rule, table in tables.items():
        values = table.stack()
        row, column = values.idxmax()
        where = f"{table.columns.name} {column}"
        where += f", {table.index.name} {row}" if table.index.name else ""
        title = rule_title(rule)
        parts.append(f"{title} from {values.min():.3f} to {values.max():.3f}, highest at {where}")
    return f"Heat map of pooled UF1 over the grid. {'; '.join(parts)}."
