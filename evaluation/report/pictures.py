"""Pictures of one configuration: the curve over epochs, confusion matrices, subjects."""

import hashlib
import re

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from evaluation.metrics import compute_uf1
from evaluation.report.contents import ConfigurationResults, RuleResults
from evaluation.report.drawing import (
    INK,
    MUTED,
    PALE,
    SHADES,
    Picture,
    bare,
    canvas,
    finish,
    look_of,
    short,
    short_class_names,
    text_on,
)
from evaluation.report.intervals import dataset_title
from evaluation.selection import rule_title

SLOT = 0.05
"""Share of the epochs' axis between the marks of two rules."""
LARGEST_DISC = 220
"""Square points of the disc that stands for all subjects."""


def file_name(*parts: str) -> str:
    """A picture's name from user-supplied parts: letters, digits, dots, hyphens, underscores.

    Where a part holds anything else, a hash of the parts keeps names apart.
    """
    text = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", text)
    return safe if safe == text else f"{safe}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def epoch_picture(configuration: ConfigurationResults, marks: str) -> Picture:
    """Pooled test UF1 at every epoch, the rules' figures, and the epochs that rules chose."""
    curve = compute_uf1(configuration.confusions_by_epoch())
    rules = configuration.rules
    values = {rule.rule: configuration.figures(rule).uf1 for rule in rules}
    choosing = [rule for rule in rules if _names_several_epochs(rule.rows)]
    starred = any(rule.selected_on_test for rule in rules)
    title = f"{short(configuration.name)}: test UF1 over epochs"
    legend = [Line2D([], [], color=MUTED, label="at that epoch")]
    legend += [
        Line2D([], [], label=f"{rule_title(rule)} {value:.3f}", **look_of(rule).point)
        for rule, value in values.items()
    ]
    discs = 0.35 + 0.24 * len(choosing)
    height = 2.4 + (discs if choosing else 0)
    with canvas(height, title, marks, legend, starred) as figure:
        ratios = [2.4, discs] if choosing else [1]
        panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
        _draw_curve(panels[0, 0], curve, values)
        if choosing:
            _draw_chosen_epochs(panels[1, 0], choosing)
        panels[-1, 0].set_xlabel("epoch")
        ticks = MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]).tick_values(1, len(curve))
        panels[-1, 0].set_xticks([tick for tick in ticks if 1 <= tick <= len(curve)])
        caption = (
            "Line: pooled UF1 of the test predictions when every fold stops at that epoch. "
            "Level lines: the rules' figures."
        )
        if "inner" in values:
            caption += " The networks of the rule inner saw fewer subjects; the line is not theirs."
        if choosing:
            caption += " Below: the chosen epochs; a disc grows with the number of subjects."
        name = file_name("epochs", configuration.name)
        return finish(figure, name, caption, _epoch_alt(curve, values))


def _names_several_epochs(rows: pd.DataFrame) -> bool:
    """Whether the rows tell their epochs, and those differ; rows from elsewhere may not tell."""
    if "epoch" not in rows or not pd.api.types.is_integer_dtype(rows["epoch"]):
        return False
    return bool(rows["epoch"].nunique() > 1)


def _draw_curve(axes: Axes, curve: np.ndarray, values: dict[str, float]) -> None:
    epochs = len(curve)
    axes.plot(np.arange(1, epochs + 1), curve, color=MUTED, linewidth=1.5)
    for slot, (rule, value) in enumerate(values.items()):
        look = look_of(rule)
        # Side by side beyond the last epoch, so that close figures do not hide each other.
        place = epochs * (1 + SLOT * slot)
        axes.plot([1, place], [value] * 2, color=look.color, linestyle=look.line, linewidth=0.7)
        axes.plot(place, value, zorder=3, **look.point)
    axes.set(ylabel="UF1", xlim=(0.5, epochs * (1 + SLOT * len(values))))
    axes.margins(y=0.12)
    axes.grid(axis="y")
    if {"last", "oracle"} <= set(values):
        _draw_gap(axes, values["last"], values["oracle"])


def _draw_gap(axes: Axes, last: float, oracle: float) -> None:
    """What looking at the test subject seems to gain, right of all rules."""
    place = 1.02
    arrow = {"arrowstyle": "<->", "color": INK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    where = axes.get_yaxis_transform()
    axes.annotate("", (place, oracle), (place, last), xycoords=where, arrowprops=arrow)
    middle = (last + oracle) / 2
    axes.text(place + 0.02, middle, f"{oracle - last:+.3f}", transform=where, va="center")


def _draw_chosen_epochs(axes: Axes, rules: list[RuleResults]) -> None:
    """A row of discs for each rule; a disc's area is the number of subjects."""
    for row, rule in enumerate(rules):
        look = look_of(rule.rule)
        chosen = rule.rows.drop_duplicates(["dataset", "subject"])["epoch"]
        epochs, counts = np.unique(chosen, return_counts=True)
        areas = LARGEST_DISC * counts / len(chosen)
        axes.scatter(epochs, np.full(len(epochs), row), areas, color=look.color, alpha=0.75)
    axes.set_yticks(range(len(rules)), [rule_title(rule.rule) for rule in rules])
    axes.set_ylim(len(rules) - 0.3, -0.7)
    axes.set_title("epochs chosen", weight="normal")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _epoch_alt(curve: np.ndarray, values: dict[str, float]) -> str:
    best = int(curve.argmax())
    rules = ", ".join(f"{rule_title(rule)} {value:.3f}" for rule, value in values.items())
    return (
        f"Line of pooled test UF1 over {len(curve)} epochs: {curve[0]:.3f} at the first, "
        f"{curve[-1]:.3f} at the last, highest with {curve[best]:.3f} at epoch {best + 1}. "
        f"The rules' figures: {rules}."
    )


def confusion_picture(configuration: ConfigurationResults, marks: str) -> Picture:
    """The pooled confusion matrix of every rule, two side by side."""
    rules = configuration.rules
    columns = min(len(rules), 2)
    lines = -(-len(rules) // columns)
    starred = any(rule.selected_on_test for rule in rules)
    title = f"{short(configuration.name)}: confusion matrices"
    with canvas(2.35 * lines, title, marks, footnote=starred) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(rules) :]:
            axes.set_visible(False)
        for axes, rule in zip(panels.flat, rules, strict=False):
            confusion = configuration.figures(rule).confusion
            _draw_confusion(axes, confusion, configuration.class_names)
            axes.set_title(rule_title(rule.rule))
        for axes in panels[:, 0]:
            axes.set_ylabel("true class")
        for axes in panels.flat[max(len(rules) - columns, 0) : len(rules)]:
            axes.set_xlabel("predicted class")
        caption = "Clips of all datasets. Shade and per cent: share of the true class (recall)."
        name = file_name("confusion", configuration.name)
        return finish(figure, name, caption, _confusion_alt(configuration))


def _draw_confusion(axes: Axes, confusion: np.ndarray, names: tuple[str, ...]) -> None:
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
    size = 9 if len(names) <= 4 else 7
    for (row, column), count in np.ndenumerate(confusion):
        share = shares[row, column]
        text = f"{count}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=text_on(share), size=size)
    short = short_class_names(names)
    axes.set_xticks(range(len(names)), short, size=8)
    axes.set_yticks(range(len(names)), short, size=8, rotation=90, va="center")
    bare(axes)


def _confusion_alt(configuration: ConfigurationResults) -> str:
    parts = []
    for rule in configuration.rules:
        figures = configuration.figures(rule)
        right = [
            f"{name} {figures.confusion[place, place]} of {figures.support[place]}"
            for place, name in enumerate(configuration.class_names)
        ]
        parts.append(f"{rule_title(rule.rule)}: {', '.join(right)}")
    return f"Confusion matrices. Clips recognised by class: {'; '.join(parts)}."


def subject_picture(configuration: ConfigurationResults, dataset: str, marks: str) -> Picture:
    """A bar of clips for every subject of a dataset: right and wrong under the first rule.

    A rule that chose on the test subject stands as a mark where its number of right clips is.
    """
    table = subject_table(configuration)
    table = table[table["dataset"] == dataset]
    first, *others = configuration.rules
    starred = [rule for rule in others if rule.selected_on_test]
    title = f"{short(configuration.name)}: subjects of {short(dataset_title(dataset))}"
    legend: list[Artist] = [
        Patch(color=look_of(first.rule).color, label=f"right, {rule_title(first.rule)}"),
        Patch(color=PALE, label="wrong"),
    ]
    legend += [
        Line2D([], [], label=f"right, {rule_title(rule.rule)}", **look_of(rule.rule).point)
        for rule in starred
    ]
    with canvas(0.5 + 0.175 * len(table), title, marks, legend, bool(starred)) as figure:
        axes = figure.subplots()
        places = np.arange(len(table))
        right = table[first.rule]
        axes.barh(places, table["clips"], color=PALE, height=0.72)
        axes.barh(places, right, color=look_of(first.rule).color, height=0.72)
        for rule in starred:
            axes.plot(table[rule.rule], places, clip_on=False, **look_of(rule.rule).point)
        axes.set_yticks(places, [short(name) for name in table["subject"]])
        axes.set(ylim=(len(table) - 0.4, -0.6), xlabel="clips")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        caption = f"Clips of each subject of {dataset_title(dataset)}, and how many are recognised."
        name = file_name("subjects", configuration.name, dataset)
        return finish(figure, name, caption, _subject_alt(table, first.rule, dataset))


def subject_table(configuration: ConfigurationResults) -> pd.DataFrame:
    """Clips and, for every rule, right clips (under the rule's name) of each subject.

    Returns:
        Columns dataset, subject, clips and one a rule, ordered by dataset and subject.
    """
    keys = ["dataset", "subject"]
    columns = {"clips": configuration.first.rows.groupby(keys).size()}
    for rule in configuration.rules:
        right = rule.rows["true"] == rule.rows["predicted"]
        columns[rule.rule] = right.groupby([rule.rows[key] for key in keys]).sum()
    return pd.DataFrame(columns).rename_axis(keys).fillna(0).astype(int).reset_index()


def _subject_alt(table: pd.DataFrame, rule: str, dataset: str) -> str:
    parts = [f"{row['subject']} {row[rule]} of {row['clips']}" for _, row in table.iterrows()]
    return (
        f"Bars: right clips under {rule_title(rule)} for each subject of "
        f"{dataset_title(dataset)}: {', '.join(parts)}."
    )
