"""Metrics under key-frame errors: what ``measure_robustness.py`` wrote, as a table and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from common.errors import UserError, name_list
from common.owned_folder import changed_files
from common.refusals import Refusal, few
from common.tables import numbers as parse_numbers
from common.tables import read_table
from evaluation.report.drawing import MARKERS, SERIES, Picture, canvas, finish, shorten
from evaluation.robustness import CURVE, CURVES_NAME, ROBUSTNESS_NAME, SETTINGS_NAME, SUMMARY_NAME

_BOUNDS = ("uf1_low", "uf1_high", "uar_low", "uar_high")
_WHAT_TO_GIVE = "Give the file that measure_robustness.py writes."


@dataclass(frozen=True)
class Robustness:
    """The tables of a robustness benchmark.

    Attributes:
        rows: one row for each seed; text columns model, condition, frames (a missing one is empty);
            float level (nan where a condition has none), seed, uf1 and uar.
        curves: the intervals at every level; None where there is no such file.
        summary: what was read off each curve; None where there is no such file.
        settings: the file of settings; None where there is none.
        changed: files that have changed since they were written.
    """

    rows: pd.DataFrame
    curves: pd.DataFrame | None = None
    summary: pd.DataFrame | None = None
    settings: Path | None = None
    changed: Sequence[str] = ()


def read_robustness(folder: Path) -> Robustness | None:
    """The tables of a folder; None where it has no ``robustness.csv``.

    Raises:
        UserError: a column is missing, a value is no number, a metric is not in 0..1, or a row is
            there twice.
    """
    path = folder / ROBUSTNESS_NAME
    rows = _read_table(path, ("level", "seed", "uf1", "uar"), identity=[*CURVE, "level", "seed"])
    if rows is None:
        return None
    if rows.empty:
        raise UserError(f"{path} has no rows. {_WHAT_TO_GIVE}")
    wrong = ~(rows["uf1"].between(0, 1) & rows["uar"].between(0, 1))
    if wrong.any():
        raise UserError(
            f"{path}: uf1 and uar must be numbers in 0..1, but are not in line "
            f"{few(rows.index[wrong] + 2)}."
        )
    read_off = ("uf1_without_noise", "area", "level_of_loss")
    settings = folder / SETTINGS_NAME
    return Robustness(
        rows,
        _read_table(folder / CURVES_NAME, ("level", *_BOUNDS), identity=[*CURVE, "level"]),
        _read_table(folder / SUMMARY_NAME, read_off, identity=CURVE),
        settings if settings.is_file() else None,
        changed_files(
            folder, (folder / name for name in (ROBUSTNESS_NAME, CURVES_NAME, SUMMARY_NAME))
        ),
    )


def _read_table(path: Path, numbers: tuple[str, ...], identity: list[str]) -> pd.DataFrame | None:
    """Text columns ``CURVE`` (a missing value is empty) and float ``numbers`` (an empty cell: nan).

    Args:
        identity: columns in which no two rows agree.
    """
    if not path.is_file():
        return None
    rows = read_table(path, (*CURVE, *numbers), _WHAT_TO_GIVE)
    for name in numbers:
        parsed = parse_numbers(rows[name])
        wrong = parsed.isna() & (rows[name] != "")
        if wrong.any():
            value = rows.loc[wrong, name].iloc[0]
            raise Refusal(
                path,
                f"is refused: {name} {value!r} in line {few(rows.index[wrong])} is not a number. "
                f"{_WHAT_TO_GIVE}",
            )
        rows[name] = parsed
    twice = rows.duplicated(identity)
    if twice.any():
        raise Refusal(
            path,
            f"is refused: line {few(rows.index[twice])} has the same {name_list(identity)} as a "
            f"line above. Keep one of them. {_WHAT_TO_GIVE}",
        )
    return rows.reset_index(drop=True)


def describe_seeds(robustness: Robustness) -> pd.DataFrame:
    """Mean, spread and number of seeds at every level of every curve.

    Returns:
        Columns model, condition, frames, level, seeds and, for uf1 and uar, ``<metric>_mean``,
        ``_std`` (n - 1 in the denominator, nan for one seed), ``_low`` and ``_high``: the 95 %
        interval where the curves hold one, else the lowest and the highest seed. Curves in the
        order of their first row, levels rising.
    """
    grouped = robustness.rows.groupby([*CURVE, "level"], sort=False, dropna=False)
    parts = [grouped["uf1"].size().rename("seeds")]
    for metric in ("uf1", "uar"):
        described = grouped[metric].agg(["mean", "std", "min", "max"])
        names = {"min": "low", "max": "high"}
        parts.append(described.rename(columns=names).add_prefix(f"{metric}_"))
    table = pd.concat(parts, axis=1).reset_index()
    if robustness.curves is not None:
        bounds = robustness.curves[[*CURVE, "level", *_BOUNDS]]
        table = table.drop(columns=list(_BOUNDS)).merge(bounds, how="left", on=[*CURVE, "level"])
    order = table.groupby(CURVE, sort=False).ngroup()
    return table.assign(order=order).sort_values(["order", "level"]).drop(columns="order")


def draw_robustness(table: pd.DataFrame, band: str, notice: str) -> Picture | None:
    """UF1 over the level of noise, a panel for each condition and frames, a line for each model.

    Args:
        table: what ``describe_seeds`` gives.
        band: what its bounds are, as words.

    Returns:
        None where no condition has two levels.
    """
    levelled = table.groupby(["condition", "frames"])["level"].transform("nunique") > 1
    panels = list(table[levelled].groupby(["condition", "frames"], sort=False))
    if not panels:
        return None
    models = list(dict.fromkeys(table["model"]))
    columns = min(len(panels), 2)
    lines = -(-len(panels) // columns)
    legend = [Line2D([], [], label=shorten(model), **_style(models, model)) for model in models]
    with canvas(2.0 * lines, "UF1 under key-frame errors", notice, legend) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (names, part) in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, part, models)
            title, unit = panel_texts(*map(str, names))
            axes.set_xlim(left=min(0, part["level"].min()))
            axes.set_title(shorten(title))
            axes.set_xlabel(shorten(unit))
        for axes in grid[:, 0]:
            axes.set_ylabel("UF1")
        caption = f"Line: mean over noise seeds. Band: {band}."
        return finish(figure, "robustness", caption, _describe(table[levelled]))


def _draw_panel(axes: Axes, part: pd.DataFrame, models: list[str]) -> None:
    for model, rows in part.groupby("model", sort=False):
        style = _style(models, str(model))
        axes.plot(rows["level"], rows["uf1_mean"], **style)
        band = {"color": style["color"], "alpha": 0.15, "linewidth": 0}
        axes.fill_between(rows["level"], rows["uf1_low"], rows["uf1_high"], **band)
    axes.grid(axis="y")


def panel_texts(condition: str, frames: str) -> tuple[str, str]:
    """Title and x label: which frames move in which clips, and the unit of the level.

    The unit goes below the axis, because a title that holds it is cut before it names the frames.
    """
    clips, _, unit = condition.partition(": ")
    return ", ".join(filter(None, (frames, clips))), unit or "noise level"


def _style(models: list[str], model: str) -> dict[str, Any]:
    number = models.index(model)
    color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
    return {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.4}


def _describe(table: pd.DataFrame) -> str:
    parts = []
    for names, rows in table.groupby(CURVE, sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        parts.append(
            f"{', '.join(filter(None, map(str, names)))}: {first['uf1_mean']:.3f} at level "
            f"{first['level']:g}, {last['uf1_mean']:.3f} at level {last['level']:g}"
        )
    return f"Lines of UF1 over the level of noise. {'; '.join(parts)}."
