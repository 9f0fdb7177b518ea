"""The style of all pictures, and their conversion to bytes that are the same on every run."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from common.class_names import CLASS_NAMES
from common.files import write_bytes
from evaluation.epoch_rules import STAR_NOTE, Rule

WIDTH = 4.8
"""Inches. Narrow, so that text of nine points can still be read when a phone shrinks it."""
LINE = 0.19
"""Inches from one line of the heading to the next."""
PNG_DPI = 200
LONGEST_NAME, LONGEST_LINE, LEGEND_LETTERS = 24, 62, 75
"""Letters; a mark in a legend takes the place of five."""
INK, MUTED, GRID, PALE, WARNING = "#1c2127", "#5c6670", "#dde2e7", "#cfd6dd", "#8a4b00"

# Okabe and Ito's colors, which color-blind readers can tell apart; shapes differ as well.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#a8568a", "#b8860b", "#56b4e9")
MARKERS = "osD^vP"
SHADES = LinearSegmentedColormap.from_list("shades", ["#f7fafc", "#8fbcd9", "#0b5a8e"])

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    # Names come from users: a dollar sign in one is not a formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "report",
}


def point_style(rule: Rule) -> dict[str, Any]:
    """Arguments of ``plot`` for a rule's lone marker; hollow where the test subject chose."""
    return {
        "color": rule.color,
        "marker": rule.marker,
        "markerfacecolor": rule.color if rule.honesty == "honest" else "white",
        "markersize": 5.5,
        "linestyle": "",
    }


def line_style(rule: Rule) -> dict[str, Any]:
    """Arguments of ``plot`` for a rule's line; dashed where the test subject chose."""
    return {"color": rule.color, "linestyle": "-" if rule.honesty == "honest" else "--"}


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        name: file name without extension.
        caption: what it shows, for the line below it.
        alt: its content in words, for readers who cannot see it.
        files: by ending: svg, png and pdf.
        size: width and height in CSS pixels.
    """

    name: str
    caption: str
    alt: str
    files: dict[str, bytes]
    size: tuple[int, int]


@contextmanager
def canvas(
    height: float, title: str, notice: str, legend: Sequence[Artist] = (), footnote: bool = False
) -> Iterator[Figure]:
    """A figure with a heading and a legend, to be drawn and finished within.

    Args:
        height: inches of the drawing; heading, legend and footnote are added to it.
        notice: what a reader must know of the data ("SYNTHETIC CLIPS"), printed above the title.
        legend: entries with labels.
        footnote: whether to explain a rule's star.
    """
    columns = 3 if len(legend) > 4 else 2 if len(legend) == 4 else max(len(legend), 1)
    longest = max((len(str(entry.get_label())) for entry in legend), default=0)
    columns = min(columns, max(1, LEGEND_LETTERS // (longest + 5)))
    notices = textwrap.wrap(notice, LONGEST_LINE)
    lines = 1 + len(notices) + -(-len(legend) // columns)
    top, bottom = LINE * lines + 0.13, LINE * footnote
    whole = top + height + bottom
    with mpl.rc_context(STYLE):
        engine = ConstrainedLayoutEngine(rect=(0, bottom / whole, 1, height / whole))
        figure = Figure(figsize=(WIDTH, whole), layout=engine)
        place = (1 - (0.05 + line * LINE) / whole for line in range(lines))
        text: Any = {"x": 0.01, "va": "top", "ha": "left"}
        for line in notices:
            figure.text(y=next(place), s=line, color=WARNING, weight="bold", size=8.5, **text)
        figure.text(y=next(place), s=title, weight="bold", **text)
        if legend:
            where: Any = {"loc": "upper left", "bbox_to_anchor": (0, next(place))}
            figure.legend(handles=legend, ncols=columns, borderaxespad=0.2, borderpad=0.1, **where)
        if footnote:
            figure.text(0.01, 0.03 / whole, STAR_NOTE, size=7.5, color=MUTED)
        yield figure


def finish(figure: Figure, name: str, caption: str, alt: str) -> Picture:
    """The figure as SVG, PNG and PDF, without time stamps; call within ``canvas``."""
    width, height = figure.get_size_inches() * 96
    return Picture(
        name=name,
        caption=caption,
        alt=alt,
        files={
            "svg": _save(figure, "svg", metadata={"Date": None, "Creator": None}),
            "png": _save(figure, "png", metadata={"Software": None}, dpi=PNG_DPI),
            "pdf": _save(figure, "pdf", metadata={"CreationDate": None, "Producer": None}),
        },
        size=(round(width), round(height)),
    )


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def shorten(name: str) -> str:
    """A name for a picture: a very long one would leave no room for the drawing."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def bare(axes: Axes) -> None:
    """Remove spines and tick marks, for matrices."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_color(share: float) -> str:
    """A text color that is readable on ``SHADES`` of that share in 0..1."""
    return "white" if share > 0.8 else INK


def draw_confusion(axes: Axes, confusion: np.ndarray, names: tuple[str, ...]) -> None:
    """Draw a confusion matrix: counts, and shares of the true class, which also shade the cells."""
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    size = 9 if len(names) <= len(CLASS_NAMES) + 1 else 7
    for (row, column), count in np.ndenumerate(confusion):
        share = shares[row, column]
        style: Any = {"ha": "center", "va": "center", "color": text_color(share), "size": size}
        axes.text(column, row, f"{count}\n{share:.0%}", **style)
    # Many names side by side are cut.
    longest = max(map(len, CLASS_NAMES)) if len(names) <= len(CLASS_NAMES) else 4
    short = [name if len(name) <= longest else f"{name[: longest - 1]}." for name in names]
    axes.set_xticks(range(len(names)), short, size=8)
    axes.set_yticks(range(len(names)), short, size=8, rotation=90, va="center")
    bare(axes)


def write_confusion_picture(
    path: Path, confusion: np.ndarray, names: tuple[str, ...], title: str, notice: str
) -> None:
    """Write one confusion matrix as PNG."""
    with canvas(3.6, title, notice) as figure:
        axes = figure.subplots()
        draw_confusion(axes, confusion, names)
        axes.set(xlabel="predicted class", ylabel="true class")
        write_bytes(path, _save(figure, "png", metadata={"Software": None}, dpi=PNG_DPI))
