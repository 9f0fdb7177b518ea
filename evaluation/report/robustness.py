"""Metrics under key-frame errors, as ``robustness.csv`` holds them: a table and curves."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from common.errors import UserError, name_list
from evaluation.report.drawing import MARKERS, SERIES, Picture, canvas, finish, short
from evaluation.robustness import (
    CURVE,
    CURVES_NAME,
    ROBUSTNESS_NAME,
    SETTINGS_NAME,
    SUMMARY_NAME,
)

_BOUNDS = ("uf1_low", "uf1_high", "uar_low", "uar_high")
_WHAT_TO_GIVE = "Give the file that measure_robustness.py writes."


def read_robustness(folder: Path) -> pd.DataFrame | None:
    """The rows of a folder's ``robustness.csv``; None where there is none.

    Returns:
        Text columns model, condition, frames (a missing one is empty); float level (nan where a
        condition has none), seed, uf1 and uar; one row for each seed.

    Raises:
        UserError: a column is missing, a value is no number, a figure is not in 0..1, or a row is
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
            f"{path}: uf1 and uar must be numbers in 0..1, but not so in line {_lines(wrong)}."
        )
    return rows


def read_curves(folder: Path) -> pd.DataFrame | None:
    """The curves of ``robustness_curves.csv`` with their intervals; None where there are none.

    Raises:
        UserError: it cannot be read, a column is missing, a value is no number, or a row is there
            twice.
    """
    return _read_table(folder / CURVES_NAME, ("level", *_BOUNDS), identity=[*CURVE, "level"])


def read_summary(folder: Path) -> pd.DataFrame | None:
    """What was read off the curves, ``robustness_summary.csv``; None where there is none.

    Raises:
        UserError: as ``read_curves``.
    """
    numbers = ("uf1_without_noise", "area", "level_of_loss")
    return _read_table(folder / SUMMARY_NAME, numbers, identity=CURVE)


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What the tables were measured with, ``robustness.yaml``; None where there is none.

    Raises:
        UserError: it cannot be read, or does not hold settings by name.
    """
    path = folder / SETTINGS_NAME
    if not path.is_file():
        return None
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read: {reason}. {_WHAT_TO_GIVE}") from error
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise UserError(f"{path} does not hold settings by name. {_WHAT_TO_GIVE}")
    return settings


def _read_table(path: Path, numbers: tuple[str, ...], identity: list[str]) -> pd.DataFrame | None:
    """Text columns ``CURVE`` (a missing value is empty) and float ``numbers`` (an empty cell: nan).

    Args:
        identity: columns in which no two rows agree.
    """
    if not path.is_file():
        return None
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False).fillna("")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from error
    missing = [name for name in (*CURVE, *numbers) if name not in rows]
    if missing:
        raise UserError(f"{path} has no column {name_list(missing)}. {_WHAT_TO_GIVE}")
    for name in numbers:
        parsed = pd.to_numeric(rows[name], errors="coerce").astype(float)
        wrong = ~np.isfinite(parsed) & (rows[name].str.strip() != "")
        if wrong.any():
            value = rows.loc[wrong, name].iloc[0]
            raise UserError(
                f"{path}: {name} {value!r} in line {_lines(wrong)} is not a number. {_WHAT_TO_GIVE}"
            )
        rows[name] = parsed
    twice = rows.duplicated(identity)
    if twice.any():
        raise UserError(
            f"{path}: line {_lines(twice)} has the same {name_list(identity)} as a line above. "
            f"Keep one of them. {_WHAT_TO_GIVE}"
        )
    return rows


def _lines(marked: pd.Series) -> str:
    """Line numbers in the file of the rows that are True; the head is line 1."""
    return name_list(np.flatnonzero(marked) + 2)


def with_intervals(table: pd.DataFrame, curves: pd.DataFrame | None) -> pd.DataFrame:
    """The table of ``over_seeds`` with the bootstrap's ``uf1_low``, ``uf1_high``, ``uar_low`` and
    ``uar_high`` (nan where there is none); without curves as it is."""
    if curves is None:
        return table
    bounds = curves[[*CURVE, "level", *_BOUNDS]]
    return table.merge(bounds, how="left", on=[*CURVE, "level"])


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, spread and number of seeds at every level of every curve.

    Returns:
        Columns model, condition, frames, level, seeds and, for uf1 and uar, ``<figure>_mean``,
        ``_std`` (n - 1 in the denominator, nan for one seed), ``_min`` and ``_max``; curves in the
        order of their first row, levels rising.
    """
    grouped = rows.groupby([*CURVE, "level"], sort=False, dropna=False)
    parts = [grouped["uf1"].size().rename("seeds")]
    for figure in ("uf1", "uar"):
        described = grouped[figure].agg(["mean", "std", "min", "max"])
        parts.append(described.add_prefix(f"{figure}_"))
    table = pd.concat(parts, axis=1).reset_index()
    order = table.groupby(CURVE, sort=False).ngroup()
    return table.assign(order=order).sort_values(["order", "level"]).drop(columns="order")


def robustness_picture(table: pd.DataFrame, marks: str) -> Picture | None:
    """UF1 over the level of noise, a panel for each condition and frames, a line for each model.

    Args:
        table: what ``over_seeds`` gives, ``with_intervals`` where they are known.

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
    legend = [Line2D([], [], label=short(model), **_line(models, model)) for model in models]
    with canvas(2.0 * lines, "UF1 under key-frame errors", marks, legend) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (names, part) in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, part, models)
            title, unit = panel_texts(*map(str, names))
            axes.set_xlim(left=min(0, part["level"].min()))
            axes.set_title(short(title))
            axes.set_xlabel(short(unit))
        for axes in grid[:, 0]:
            axes.set_ylabel("UF1")
        known = "uf1_low" in table
        band = "95 % interval, bootstrap over subjects" if known else "lowest seed to the highest"
        caption = f"Line: mean over noise seeds. Band: {band}."
        return finish(figure, "robustness", caption, _alt(table[levelled]))


def _draw_panel(axes: Axes, part: pd.DataFrame, models: list[str]) -> None:
    for model, rows in part.groupby("model", sort=False):
        look = _line(models, str(model))
        axes.plot(rows["level"], rows["uf1_mean"], **look)
        band = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
        low, high = ("uf1_low", "uf1_high") if "uf1_low" in rows else ("uf1_min", "uf1_max")
        axes.fill_between(rows["level"], rows[low], rows[high], **band)
    axes.grid(axis="y")


def panel_texts(condition: str, frames: str) -> tuple[str, str]:
    """Title and x label: which frames move in which clips, and the unit of the level.

    The unit goes below the axis, because a title that holds it is cut before it names the frames.
    """
    clips, _, unit = condition.partition(": ")
    return ", ".join(filter(None, (frames, clips))), unit or "noise level"


def _line(models: list[str], model: str) -> dict[str, Any]:
    place = models.index(model)
    color, marker = SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
    return {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.4}


def _alt(table: pd.DataFrame) -> str:
    parts = []
    for names, rows in table.groupby(CURVE, sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        parts.append(
            f"{', '.join(filter(None, map(str, names)))}: {first['uf1_mean']:.3f} at level "
            f"{first['level']:g}, {last['uf1_mean']:.3f} at level {last['level']:g}"
        )
    return f"Lines of UF1 over the level of noise. {'; '.join(parts)}."
