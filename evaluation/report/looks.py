"""Pictures of where a method looks, and of single clips."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from evaluation.explanations import Explanations
from evaluation.report.drawing import (
    INK,
    SERIES,
    WIDTH,
    Picture,
    bare,
    canvas,
    finish,
    shorten,
    text_color,
)
from evaluation.report.pictures import file_name

SIGNED = LinearSegmentedColormap.from_list("signed", [SERIES[0], "#ffffff", SERIES[1]])
STRONGEST = 0.75
"""Opacity of the strongest color over a face."""
ARROW_STEP = 3
"""Pixels of a map from one arrow to the next."""


def draw_class_looks(looks: Explanations, notice: str) -> Picture:
    """The mean map of the clips that are taken for each class, over their mean background."""
    classes = [number for number in range(len(looks.class_names)) if looks.of_class(number).any()]
    means = [looks.maps[looks.of_class(number)].mean(axis=0) for number in classes]
    strongest = max(float(np.abs(own).max()) for own in means)
    with canvas(WIDTH / len(classes) + 0.2, "Where the method looks, by class", notice) as figure:
        panels = figure.subplots(1, len(classes), squeeze=False)[0]
        for axes, number, mean in zip(panels, classes, means, strict=True):
            own = looks.of_class(number)
            _draw_over(axes, looks.backgrounds[own].mean(axis=0), mean, strongest)
            axes.set_title(f"{shorten(looks.class_names[number])} ({own.sum()})")
        caption = (
            "Orange: covering the place costs the class that the clip is taken for; blue: it helps "
            f"that class. Mean of the clips taken for it (their number), over the mean "
            f"{looks.background}."
        )
        words = [
            f"{looks.class_names[number]}: most at {_place(mean)}"
            for number, mean in zip(classes, means, strict=True)
        ]
        return finish(figure, "looks-classes", caption, f"Heat maps. {'; '.join(words)}.")


def draw_activations(looks: Explanations, notice: str) -> Picture:
    """The mean activation of every muscle over the clips of each true class, as a matrix."""
    assert looks.activations is not None
    true = looks.clips["true"].to_numpy()
    numbers = [n for n in range(len(looks.class_names)) if (true == n).any()]
    means = np.stack([looks.activations[true == number].mean(axis=0) for number in numbers])
    title = "Muscles that the AU network reads, by true class"
    with canvas(0.35 * len(numbers) + 0.5, title, notice) as figure:
        axes = figure.subplots()
        most = float(np.abs(means).max()) or 1.0
        axes.imshow(means, cmap=SIGNED, vmin=-most, vmax=most, aspect="auto")
        for (row, column), value in np.ndenumerate(means):
            style: Any = {"ha": "center", "va": "center", "size": 7}
            color = text_color(abs(value) / most)
            axes.text(column, row, f"{value:.1f}", color=color, **style)
        axes.set_xticks(range(len(looks.units)), looks.units, size=8)
        axes.set_yticks(range(len(numbers)), [shorten(looks.class_names[n]) for n in numbers])
        axes.set_xlabel("action unit")
        bare(axes)
        words = [
            f"{looks.class_names[number]}: AU {looks.units[int(mean.argmax())]} most"
            for number, mean in zip(numbers, means, strict=True)
        ]
        caption = (
            "Mean activation, in units of its spread in drawn motion; both sides of the face. The "
            "network has seen drawn motion only, no person."
        )
        return finish(figure, "looks-muscles", caption, f"Matrix. {'; '.join(words)}.")


def draw_clip(looks: Explanations, place: int, notice: str) -> Picture:
    """One clip: where the method looked, and the muscles where there are any."""
    clip = looks.clips.iloc[place]
    name = f"{clip['subject']}/{clip['clip']}"
    true, predicted = (looks.class_names[clip[key]] for key in ("true", "predicted"))
    activations = None if looks.activations is None else looks.activations[place]
    with canvas(1.9, f"{shorten(name)}: {true}, taken for {predicted}", notice) as figure:
        panels = figure.subplots(1, 2 if activations is not None else 1, squeeze=False)[0]
        most = float(np.abs(looks.maps[place]).max())
        _draw_over(panels[0], looks.backgrounds[place], looks.maps[place], most)
        if activations is not None:
            draw_units(panels[1], activations, looks.units)
        truth = "" if looks.true_units is None else f" Moving: {'+'.join(looks.true_units[place])}."
        caption = f"Where the method looked, over the {looks.background}.{truth}"
        alt = f"Heat map of {name}, most at {_place(looks.maps[place])}."
        return finish(figure, file_name("clip", clip["dataset"], name), caption, alt)


def draw_units(axes: Axes, activations: NDArray[np.floating], units: tuple[str, ...]) -> None:
    """A bar for every muscle's activation [U]."""
    axes.bar(range(len(units)), activations, color=SERIES[0], width=0.7)
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.set_xticks(range(len(units)), units, size=6, rotation=90)
    axes.tick_params(axis="y", labelsize=6)
    axes.set_title("muscles (AU)", size=8, weight="normal")


def draw_flow(axes: Axes, background: NDArray[np.uint8], flow: NDArray[np.floating]) -> None:
    """Motion [H, W, 2] (u, v) as arrows over a picture [h, w]."""
    axes.imshow(background, cmap="gray", extent=(0, 1, 1, 0))
    rows, columns = (np.arange(ARROW_STEP // 2, side, ARROW_STEP) for side in flow.shape[:2])
    x, y = (columns + 0.5) / flow.shape[1], (rows + 0.5) / flow.shape[0]
    u, v = np.moveaxis(flow[np.ix_(rows, columns)], -1, 0)
    longest = float(np.hypot(u, v).max()) or 1.0
    style: Any = {"angles": "xy", "scale_units": "xy", "scale": longest / 0.12, "color": SERIES[1]}
    axes.quiver(x, y, u, v, width=0.012, **style)
    axes.set(xticks=[], yticks=[])
    bare(axes)


def _draw_over(
    axes: Axes, background: NDArray[Any], heat: NDArray[np.floating], strongest: float
) -> None:
    axes.imshow(background, cmap="gray", extent=(0, 1, 1, 0))
    scale = strongest or 1.0
    opacity = STRONGEST * np.abs(heat) / scale
    style: Any = {"extent": (0, 1, 1, 0), "interpolation": "nearest"}
    axes.imshow(heat, cmap=SIGNED, vmin=-scale, vmax=scale, alpha=opacity, **style)
    axes.set(xticks=[], yticks=[])
    bare(axes)


def _place(heat: NDArray[np.floating]) -> str:
    """Where a map is highest, as words."""
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    down = ("the top", "the middle", "the bottom")[3 * int(row) // heat.shape[0]]
    side = ("left", "middle", "right")[3 * int(column) // heat.shape[1]]
    return f"{down}, {side}"
