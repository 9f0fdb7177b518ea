"""Curves of metrics over the level of key-frame noise, and values read off them.

Shape legend: P points of the benchmark, R noise seeds, S subjects, C classes.
"""

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from evaluation.metrics import compute_uar, compute_uf1
from evaluation.statistics import bootstrap_difference, bootstrap_interval

ROBUSTNESS_NAME, CURVES_NAME = "robustness.csv", "robustness_curves.csv"
SUMMARY_NAME, SETTINGS_NAME = "robustness_summary.csv", "robustness.yaml"
"""Files of ``measure_robustness.py``, which the report reads."""
CURVE = ["model", "condition", "frames"]
"""Rows that agree in these are one curve over the levels."""
LOST = ("uf1_lost", "uf1_lost_low", "uf1_lost_high")
ANNOTATED = "test: annotated"
"""The condition that losses are counted from: nothing is moved."""
LOSS = 0.05
"""The loss of UF1 whose level is read off a curve: five points."""


def robustness_rows(points: pd.DataFrame, confusions: np.ndarray) -> pd.DataFrame:
    """The points with their metrics.

    Args:
        points: P rows with the columns of ``CURVE``, level and seed.
        confusions: int [P, S, C, C].
    """
    pooled = confusions.sum(axis=1)
    return points.assign(uf1=compute_uf1(pooled), uar=compute_uar(pooled))


def curve_points(points: pd.DataFrame, confusions: np.ndarray) -> pd.DataFrame:
    """UF1 and UAR at every level of every curve: mean over the noise seeds with its 95 % interval.

    The interval is that of the bootstrap over subjects, all seeds resampled together.
    ``uf1_lost`` is what is lost against the model's own ``ANNOTATED``, with the interval of that
    difference over the same subjects; nan where the points lack it.
    """
    rows = []
    annotated = points["condition"] == ANNOTATED
    for names, places in points.groupby(
        [*CURVE, "level"], sort=False, dropna=False
    ).indices.items():
        row = dict(zip([*CURVE, "level"], names, strict=True), seeds=len(places))
        for metric in ("UF1", "UAR"):
            interval = bootstrap_interval(confusions[places], metric)
            name = metric.lower()
            row |= {
                name: interval.value,
                f"{name}_low": interval.low,
                f"{name}_high": interval.high,
            }
        reference = np.flatnonzero(annotated & (points["model"] == row["model"]))
        rows.append({**row, **_lost(confusions[reference], confusions[places])})
    return pd.DataFrame(rows)


def _lost(reference: np.ndarray, moved: np.ndarray) -> dict[str, float]:
    if not len(reference):
        return dict.fromkeys(LOST, np.nan)
    difference = bootstrap_difference(moved, reference, "UF1")
    return dict(zip(LOST, (difference.value, difference.low, difference.high), strict=True))


def losses(curves: pd.DataFrame) -> pd.DataFrame:
    """UF1 lost at every level, a column for each of them, as text.

    Args:
        curves: what ``curve_points`` gives.

    Returns:
        A row for each curve: ``0.044 [0.012, 0.081]``, the 95 % interval in brackets.
    """
    moved = curves[curves["condition"] != ANNOTATED].copy()
    moved["cell"] = [
        f"{row.uf1_lost:.3f} [{row.uf1_lost_low:.3f}, {row.uf1_lost_high:.3f}]"
        for row in moved.itertuples()
    ]
    moved["level"] = ["no level" if np.isnan(level) else f"{level:g}" for level in moved["level"]]
    kept = moved[moved["level"] != "0"]
    table = kept.pivot(index=CURVE, columns="level", values="cell").fillna("")
    order = kept[CURVE].drop_duplicates()
    return table.loc[pd.MultiIndex.from_frame(order), kept["level"].unique()].reset_index()


def without_levels(curves: pd.DataFrame) -> pd.DataFrame:
    """UF1 under the conditions that have no level, annotated or spotted, as text.

    Args:
        curves: what ``curve_points`` gives.

    Returns:
        A row for each model, a column for each condition: ``0.444 [0.312, 0.581]``, the 95 %
        interval in brackets; a lone subject gives none.
    """
    bare = curves[curves["level"].isna()]
    texts = [
        f"{row.uf1:.3f}"
        + ("" if np.isnan(row.uf1_low) else f" [{row.uf1_low:.3f}, {row.uf1_high:.3f}]")
        for row in bare.itertuples()
    ]
    table = bare.assign(uf1=texts).pivot(index="model", columns="condition", values="uf1")
    table = table.loc[bare["model"].unique(), bare["condition"].unique()]
    return table.rename_axis(columns=None).reset_index()


def curve_summary(curves: pd.DataFrame) -> pd.DataFrame:
    """One row a curve of at least two levels.

    Columns: UF1 without noise; ``area``, the area under the curve relative to no loss at any level;
    ``level_of_loss``, the lowest level at which ``LOSS`` is lost (linear between the levels; nan
    where it is not lost).
    """
    rows = []
    for names, curve in curves.groupby(CURVE, sort=False):
        ordered = curve.sort_values("level")
        levels, uf1 = ordered["level"].to_numpy(float), ordered["uf1"].to_numpy(float)
        if len(ordered) < 2:
            continue
        unchanged = uf1[0] * (levels[-1] - levels[0])
        rows.append(
            {
                **dict(zip(CURVE, names, strict=True)),
                "uf1_without_noise": uf1[0],
                "area": trapezoid(uf1, levels) / unchanged if unchanged else np.nan,
                "level_of_loss": _level_of_loss(levels, uf1),
            }
        )
    return pd.DataFrame(rows, columns=[*CURVE, "uf1_without_noise", "area", "level_of_loss"])


def _level_of_loss(levels: np.ndarray, uf1: np.ndarray) -> float:
    target = uf1[0] - LOSS
    for number in range(1, len(levels)):
        if uf1[number] <= target:
            share = (uf1[number - 1] - target) / (uf1[number - 1] - uf1[number])
            return float(levels[number - 1] + share * (levels[number] - levels[number - 1]))
    return float("nan")
