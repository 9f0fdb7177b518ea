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

from evaluation.epoch_rules import DEFAULT_RULE, Rule
from evaluation.metrics import compute_uf1
from evaluation.report.contents import ConfigurationResults, RuleResults
from evaluation.report.drawing import (
    INK,
    MUTED,
    PALE,
    Picture,
    canvas,
    draw_confusion,
    finish,
    line_style,
    point_style,
    shorten,
)
from evaluation.report.intervals import dataset_title

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


def draw_epochs(
    configuration: ConfigurationResults, confusions: np.ndarray, notice: str
) -> Picture:
    """Pooled test UF1 at every epoch, the rules' UF1, and the epochs that rules chose.

    Args:
        confusions: pooled, int [epochs, classes, classes].
    """
    curve = compute_uf1(confusions)
    values = [(results.rule, configuration.score(results).uf1) for results in configuration.rules]
    choosing = [results for results in configuration.rules if _names_several_epochs(results.rows)]
    title = f"{shorten(configuration.name)}: test UF1 over epochs"
    legend = [Line2D([], [], color=MUTED, label="at that epoch")]
    legend += [
        Line2D([], [], label=f"{rule.title} {value:.3f}", **point_style(rule))
        for rule, value in values
    ]
    discs = 0.35 + 0.24 * len(choosing)
    height = 2.4 + (discs if choosing else 0)
    with canvas(height, title, notice, legend, configuration.starred) as figure:
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
            "Level lines: the rules' UF1."
        )
        if any(rule.name == "inner" for rule, _ in values):
            caption += " The networks of the rule inner saw fewer subjects; the line is not theirs."
        if choosing:
            caption += " Below: the chosen epochs; a disc grows with the number of subjects."
        name = file_name("epochs", configuration.name)
        return finish(figure, name, caption, _describe_epochs(curve, values))


def _names_several_epochs(rows: pd.DataFrame) -> bool:
    """Whether the rows name epochs that differ; rows from elsewhere may name none."""
    if "epoch" not in rows or not pd.api.types.is_integer_dtype(rows["epoch"]):
        return False
    return bool(rows["epoch"].nunique() > 1)


def _draw_curve(axes: Axes, curve: np.ndarray, values: list[tuple[Rule, float]]) -> None:
    epochs = len(curve)
    axes.plot(np.arange(1, epochs + 1), curve, color=MUTED, linewidth=1.5)
    for slot, (rule, value) in enumerate(values):
        # One after the other beyond the last epoch, so that close values do not hide each other.
        end = epochs * (1 + SLOT * slot)
        axes.plot([1, end], [value] * 2, linewidth=0.7, **line_style(rule))
        axes.plot(end, value, zorder=3, **point_style(rule))
    axes.set(ylabel="UF1", xlim=(0.5, epochs * (1 + SLOT * len(values))))
    axes.margins(y=0.12)
    axes.grid(axis="y")
    by_name = {rule.name: value for rule, value in values}
    if {DEFAULT_RULE, "oracle"} <= set(by_name):
        _draw_gap(axes, by_name[DEFAULT_RULE], by_name["oracle"])


def _draw_gap(axes: Axes, last: float, oracle: float) -> None:
    """The apparent gain of looking at the test subject, right of all rules."""
    x = 1.02
    arrow = {"arrowstyle": "<->", "color": INK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    where = axes.get_yaxis_transform()
    axes.annotate("", (x, oracle), (x, last), xycoords=where, arrowprops=arrow)
    middle = (last + oracle) / 2
    axes.text(x + 0.02, middle, f"{oracle - last:+.3f}", transform=where, va="center")


def _draw_chosen_epochs(axes: Axes, rules: list[RuleResults]) -> None:
    """A row of discs for each rule; a disc's area is the number of subjects."""
    for row, results in enumerate(rules):
        chosen = results.rows.drop_duplicates(["dataset", "subject"])["epoch"]
        epochs, counts = np.unique(chosen, return_counts=True)
        areas = LARGEST_DISC * counts / len(chosen)
        color = results.rule.color
        axes.scatter(epochs, np.full(len(epochs), row), areas, color=color, alpha=0.75)
    axes.set_yticks(range(len(rules)), [results.rule.title for results in rules])
    axes.set_ylim(len(rules) - 0.3, -0.7)
    axes.set_title("epochs chosen", weight="normal")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _describe_epochs(curve: np.ndarray, values: list[tuple[Rule, float]]) -> str:
    best = int(curve.argmax())
    rules = ", ".join(f"{rule.title} {value:.3f}" for rule, value in values)
    return (
        f"Line of pooled test UF1 over {len(curve)} epochs: {curve[0]:.3f} at the first, "
        f"{curve[-1]:.3f} at the last, highest with {curve[best]:.3f} at epoch {best + 1}. "
        f"The rules' UF1: {rules}."
    )


def draw_confusions(configuration: ConfigurationResults, notice: str) -> Picture:
    """The pooled confusion matrix of every rule, two in a row."""
    rules = configuration.rules
    columns = min(len(rules), 2)
    lines = -(-len(rules) // columns)
    title = f"{shorten(configuration.name)}: confusion matrices"
    with canvas(2.35 * lines, title, notice, footnote=configuration.starred) as figure:
        panels = figure.subplots(lines, columns, squeeze=False)
        for axes in panels.flat[len(rules) :]:
            axes.set_visible(False)
        for axes, results in zip(panels.flat, rules, strict=False):
            confusion = configuration.score(results).confusion
            draw_confusion(axes, confusion, configuration.class_names)
            axes.set_title(results.rule.title)
        for axes in panels[:, 0]:
            axes.set_ylabel("true class")
        for axes in panels.flat[max(len(rules) - columns, 0) : len(rules)]:
            axes.set_xlabel("predicted class")
        caption = "Clips of all datasets. Shade and per cent: share of the true class (recall)."
        name = file_name("confusion", configuration.name)
        return finish(figure, name, caption, _describe_confusions(configuration))


def _describe_confusions(configuration: ConfigurationResults) -> str:
    parts = []
    for results in configuration.rules:
        metrics = configuration.score(results)
        right = [
            f"{name} {metrics.confusion[number, number]} of {metrics.support[number]}"
            for number, name in enumerate(configuration.class_names)
        ]
        parts.append(f"{results.rule.title}: {', '.join(right)}")
    return f"Confusion matrices. Clips recognized by class: {'; '.join(parts)}."


def draw_subjects(configuration: ConfigurationResults, dataset: str, notice: str) -> Picture:
    """A bar of clips for every subject of a dataset: right and wrong under the first rule.

    A rule that chose on the test subject is a mark at its number of right clips.
    """
    table = count_subjects(configuration)
    table = table[table["dataset"] == dataset]
    first, *others = [results.rule for results in configuration.rules]
    starred = [rule for rule in others if rule.starred]
    title = f"{shorten(configuration.name)}: subjects of {shorten(dataset_title(dataset))}"
    legend: list[Artist] = [
        Patch(color=first.color, label=f"right, {first.title}"),
        Patch(color=PALE, label="wrong"),
    ]
    legend += [
        Line2D([], [], label=f"right, {rule.title}", **point_style(rule)) for rule in starred
    ]
    with canvas(0.5 + 0.175 * len(table), title, notice, legend, bool(starred)) as figure:
        axes = figure.subplots()
        rows = np.arange(len(table))
        axes.barh(rows, table["clips"], color=PALE, height=0.72)
        axes.barh(rows, table[first.name], color=first.color, height=0.72)
        for rule in starred:
            axes.plot(table[rule.name], rows, clip_on=False, **point_style(rule))
        axes.set_yticks(rows, [shorten(name) for name in table["subject"]])
        axes.set(ylim=(len(table) - 0.4, -0.6), xlabel="clips")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        caption = f"Clips of each subject of {dataset_title(dataset)}, and how many are recognized."
        name = file_name("subjects", configuration.name, dataset)
        return finish(figure, name, caption, _describe_subjects(table, first, dataset))


def count_subjects(configuration: ConfigurationResults) -> pd.DataFrame:
    """Clips and, for every rule, right clips (under the rule's name) of each subject.

    Returns:
        Columns dataset, subject, clips and one per rule, ordered by dataset and subject.
    """
    keys = ["dataset", "subject"]
    columns = {"clips": configuration.first.rows.groupby(keys).size()}
    for results in configuration.rules:
        right = results.rows["true"] == results.rows["predicted"]
        columns[results.rule.name] = right.groupby([results.rows[key] for key in keys]).sum()
    return pd.DataFrame(columns).rename_axis(keys).fillna(0).astype(int).reset_index()


def _describe_subjects(table: pd.DataFrame, rule: Rule, dataset: str) -> str:
    parts = [f"{row['subject']} {row[rule.name]} of {row['clips']}" for _, row in table.iterrows()]
    return (
        f"Bars: right clips under {rule.title} for each subject of "
        f"{dataset_title(dataset)}: {', '.join(parts)}."
    )
