"""The page of several runs: methods under every epoch rule, and tests against the first one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from evaluation.comparison import Comparison, claim, compare
from evaluation.comparison_tables import comparison_table, split_by_dataset
from evaluation.epoch_rules import RULES, Rule, get_rule
from evaluation.methods import Method, folders_under_rules, read_methods
from evaluation.metrics import METRICS
from evaluation.report.contents import configuration_folders, refuse_several_runs
from evaluation.report.drawing import (
    MARKERS,
    SERIES,
    Picture,
    canvas,
    draw_confusion,
    finish,
    shorten,
)
from evaluation.report.intervals import MetricRow
from evaluation.report.pictures import file_name
from evaluation.report.tables import metrics_table
from evaluation.statistics import bootstrap_interval


@dataclass(frozen=True)
class RuleTests:
    """Tests of methods against the first one under an epoch rule, by the dataset's title."""

    rule: Rule
    by_dataset: dict[str, list[Comparison]]

    def table(self, dataset: str) -> pd.DataFrame:
        """Differences and p values, as text."""
        return comparison_table(self.by_dataset[dataset])

    @property
    def claim(self) -> str:
        """What may be said, on all clips."""
        return claim(next(iter(self.by_dataset.values())))


def find_folders(folders: Sequence[Path]) -> list[Path]:
    """The configurations' folders of runs; whatever is no folder stays as it is.

    Raises:
        UserError: a folder holds several runs, or a run several configurations.
    """
    found: list[Path] = []
    for folder in folders:
        own = []
        if folder.is_dir():
            refuse_several_runs(folder)
            own = configuration_folders(folder)
        if len(own) > 1:
            raise UserError(f"{folder} holds several configurations. Give one: {name_list(own)}.")
        found += own or [folder]
    return found


def read_compared(folders: Sequence[Path], names: Sequence[str] = ()) -> list[Method]:
    """Methods under every epoch rule on disk; seeds of one configuration are one method."""
    found = find_folders(folders)
    return read_methods(folders_under_rules(found, list(RULES)), names=names)


def metric_rows(methods: Sequence[Method]) -> list[MetricRow]:
    """UF1, UAR and ACC with intervals, a row for each dataset and method.

    A row's rule carries the method's name and a color of its own; its star stays.
    """
    rules = [
        replace(
            get_rule(method.rule),
            name=_name_with_rule(method),
            color=SERIES[number % len(SERIES)],
            marker=MARKERS[number // len(SERIES) % len(MARKERS)],
        )
        for number, method in enumerate(methods)
    ]
    rows = []
    for title, in_dataset in split_by_dataset(methods).items():
        for method, rule in zip(in_dataset, rules, strict=True):
            confusions = method.confusions(method.predicted)
            values = {name: bootstrap_interval(confusions, name) for name in METRICS}
            clips, subjects = len(method.clips), confusions.shape[1]
            rows.append(MetricRow(title, rule, clips, subjects, values))
    return rows


def _name_with_rule(method: Method) -> str:
    seeds = [f"{method.seeds} seeds"] if method.seeds > 1 else []
    return f"{method.name} ({', '.join([*seeds, method.rule])})"


def methods_table(rows: Sequence[MetricRow]) -> pd.DataFrame:
    """The rows as a table."""
    return metrics_table(list(rows)).rename(columns={"Epoch rule": "Method"})


def run_tests(methods: Sequence[Method]) -> list[RuleTests]:
    """Every method against the first, rule by rule; a method without epochs takes part in all.

    Rules that chose on test subjects, or of which nothing is known, are not tested.
    """
    by_name: dict[str, dict[str, Method]] = {method.name: {} for method in methods}
    honest = [method for method in methods if get_rule(method.rule).honesty == "honest"]
    for method in honest:
        by_name[method.name][method.rule] = method
    first, *others = by_name.values()
    tests = []
    for rule in dict.fromkeys(method.rule for method in honest):
        against = [_under(rule, own) for own in others if rule in own or len(own) == 1]
        if against and (rule in first or len(first) == 1):
            split = split_by_dataset([_under(rule, first), *against])
            compared = {title: compare(own[0], own[1:]) for title, own in split.items()}
            tests.append(RuleTests(get_rule(rule), compared))
    return tests


def _under(rule: str, by_rule: dict[str, Method]) -> Method:
    return by_rule[rule] if rule in by_rule else next(iter(by_rule.values()))


def notice_of(methods: Sequence[Method]) -> str:
    """What a reader of any number must know of the data."""
    notes = ["SYNTHETIC CLIPS"] if any(method.synthetic for method in methods) else []
    return ", ".join(dict.fromkeys([*notes, *(n for method in methods for n in method.notes)]))


def draw_confusions_of(methods: Sequence[Method], dataset: str, notice: str) -> Picture:
    """The pooled confusion matrices of one dataset side by side; seeds are added up.

    Args:
        dataset: title, as ``split_by_dataset`` names it.
    """
    own = split_by_dataset(methods)[dataset]
    matrices = [method.confusions(method.predicted).sum(axis=(0, 1)) for method in own]
    lines = -(-len(own) // 2)
    with canvas(2.35 * lines, f"{dataset}: confusion matrices", notice) as figure:
        panels = figure.subplots(lines, 2, squeeze=False).flat
        for axes, method, matrix in zip(panels, own, matrices, strict=False):
            draw_confusion(axes, matrix, method.class_names)
            axes.set_title(shorten(method.title), size=8)
        for axes in list(panels)[len(own) :]:
            axes.set_visible(False)
        words = [
            f"{method.title}: {np.trace(matrix)} of {matrix.sum()} right"
            for method, matrix in zip(own, matrices, strict=True)
        ]
        caption = "Rows true, columns predicted; seeds of a method are added up."
        name = file_name("confusions", dataset)
        return finish(figure, name, caption, f"Confusion matrices. {'; '.join(words)}.")
