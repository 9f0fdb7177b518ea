"""The look of all pictures, and how a figure becomes bytes that are the same on every run."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from common.class_names import CLASS_NAMES
from evaluation.selection import ORACLE_FOOTNOTE, rule_title

WIDTH = 4.8
"""Inches. Narrow, so that text of nine points can still be read when a phone shrinks it."""
LINE = 0.19
"""Inches from one line of the heading to the next."""
PNG_DPI = 200
LONGEST_NAME = 24
INK, MUTED, GRID, PALE, WARNING = "#1c2127", "#5c6670", "#dde2e7", "#cfd6dd", "#8a4b00"

# Okabe and Ito's colors, told apart by color-blind readers; shapes differ as well.
BLUE, GREEN, PURPLE, VERMILION, SKY = "#0072b2", "#009e73", "#a8568a", "#d55e00", "#56b4e9"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, "#b8860b", SKY)
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


@dataclass(frozen=True)
class Look:
    """How an epoch rule is drawn; hollow and dashed where the test subject chose the epoch."""

    color: str
    marker: str
    hollow: bool = False

    @property
    def point(self) -> dict[str, Any]:
        """Arguments of ``plot`` for a lone marker."""
        return {
            "color": self.color,
            "marker": self.marker,
            "markerfacecolor": "white" if self.hollow else self.color,
            "markersize": 5.5,
            "linestyle": "",
        }

    @property
    def line(self) -> str:
        """Line style."""
        return "--" if self.hollow else "-"


_LOOKS = {
    "last": Look(BLUE, "o"),
    "inner": Look(GREEN, "s"),
    "inner_refit": Look(SKY, "D"),
    "cross_fitted": Look(PURPLE, "^"),
    "oracle": Look(VERMILION, "o", hollow=True),
}


def look_of(rule: str) -> Look:
    """The look of a rule; grey for one that is not known."""
    return _LOOKS.get(rule, Look(MUTED, "v", hollow=True))


def rule_handles(rules: Iterable[str]) -> list[Line2D]:
    """Legend entries of rules."""
    return [Line2D([], [], label=rule_title(rule), **look_of(rule).point) for rule in rules]


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        name: file name without extension.
        caption: what it shows; stands below it.
        alt: what it says, for who cannot see it.
        size: width and height in CSS pixels.
    """

    name: str
    caption: str
    alt: str
    svg: bytes
    png: bytes
    size: tuple[int, int]


@contextmanager
def canvas(
    height: float, title: str, marks: str, legend: Sequence[Artist] = (), footnote: bool = False
) -> Iterator[Figure]:
    """A figure with a heading and a legend, to be drawn and finished within.

    Args:
        height: inches of the drawing; heading, legend and footnote are added to it.
        marks: what a reader must know of the data ("SYNTHETIC CLIPS"); stands above the title.
        legend: entries with labels.
        footnote: whether to explain the star of a rule.
    """
    columns = 3 if len(legend) > 4 else 2 if len(legend) == 4 else max(len(legend), 1)
    lines = 1 + bool(marks) + -(-len(legend) // columns)
    top, bottom = LINE * lines + 0.13, LINE * footnote
    whole = top + height + bottom
    with mpl.rc_context(STYLE):
        engine = ConstrainedLayoutEngine(rect=(0, bottom / whole, 1, height / whole))
        figure = Figure(figsize=(WIDTH, whole), layout=engine)
        place = (1 - (0.05 + line * LINE) / whole for line in range(lines))
        text: Any = {"x": 0.01, "va": "top", "ha": "left"}
        if marks:
            figure.text(y=next(place), s=marks, color=WARNING, weight="bold", size=8.5, **text)
        figure.text(y=next(place), s=title, weight="bold", **text)
        if legend:
            where: Any = {"loc": "upper left", "bbox_to_anchor": (0, next(place))}
            figure.legend(handles=legend, ncols=columns, borderaxespad=0.2, borderpad=0.1, **where)
        if footnote:
            figure.text(0.01, 0.03 / whole, ORACLE_FOOTNOTE, size=7.5, color=MUTED)
        yield figure


def finish(figure: Figure, name: str, caption: str, alt: str) -> Picture:
    """The figure as SVG and PNG, without time stamps; call within ``canvas``."""
    width, height = figure.get_size_inches() * 96
    return Picture(
        name=name,
        caption=caption,
        alt=alt,
        svg=_bytes(figure, "svg", metadata={"Date": None, "Creator": None}),
        png=_bytes(figure, "png", metadata={"Software": None}, dpi=PNG_DPI),
        size=(round(width), round(height)),
    )


def _bytes(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def short(name: str) -> str:
    """A name as it stands in a picture: a very long one would leave no room for the drawing."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def bare(axes: Axes) -> None:
    """Remove spines and tick marks, for matrices."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def text_on(share: float) -> str:
    """A text color that can be read on ``SHADES`` of that share in 0..1."""
    return "white" if share > 0.8 else INK


def short_class_names(names: tuple[str, ...]) -> list[str]:
    """Class names for the sides of a matrix: cut where there are too many to stand side by side."""
    longest = max(map(len, CLASS_NAMES)) if len(names) <= len(CLASS_NAMES) else 4
    return [name if len(name) <= longest else f"{name[: longest - 1]}." for name in names]
