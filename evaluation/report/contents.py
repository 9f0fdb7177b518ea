"""What a page tells of: a results folder's configurations, each under every epoch rule on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from evaluation.acc_files import SUFFIX
from evaluation.metrics import Metrics, confusion_stack, subject_confusions
from evaluation.predictions import SYNTHETIC, metrics_of_rows, read_class_names_column
from evaluation.report.robustness import (
    read_curves,
    read_robustness,
    read_settings,
    read_summary,
)
from evaluation.results_folder import PREDICTIONS_NAME, Results, read_results
from evaluation.robustness import ROBUSTNESS_NAME
from evaluation.selection import SELECTED_ON_TEST_SUBJECT

LAST = "last"
RULES = (LAST, "inner", "inner_refit", "cross_fitted", "oracle")
"""The order in which rules stand on the page; others follow."""
UNKNOWN_RULE = "unknown"
CHOSEN_FOLDER = "chosen"
"""Where a grid search leaves what its rules choose among the configurations."""
WHOLE = "full"
"""Names all clips together, beside the names of datasets."""

EpochPredictions = Callable[[Path, pd.DataFrame], np.ndarray | None]
"""A configuration's folder and its rows -> predicted class at every epoch, int [epochs, rows]."""


@dataclass(frozen=True)
class RuleResults:
    """A configuration's predictions under one epoch rule."""

    rule: str
    results: Results

    @property
    def rows(self) -> pd.DataFrame:
        """Prediction rows, one a clip."""
        return self.results.rows

    @property
    def selected_on_test(self) -> bool:
        """Whether the labels that are scored chose the epoch."""
        return self.rule in SELECTED_ON_TEST_SUBJECT

    def part(self, dataset: str) -> pd.DataFrame:
        """The rows of a dataset, or all of them for ``WHOLE``."""
        return self.rows if dataset == WHOLE else self.rows[self.rows["dataset"] == dataset]


@dataclass(frozen=True)
class ConfigurationResults:
    """A configuration under every rule.

    Attributes:
        rules: at least one; all have the same classes and the same clips in the same order.
        by_epoch: int [epochs, clips], the classes predicted at every epoch; None where they are
            not stored.
    """

    name: str
    label: str
    rules: list[RuleResults]
    by_epoch: np.ndarray | None

    @property
    def first(self) -> RuleResults:
        """The rule that stands first; ``last`` wherever there is one."""
        return self.rules[0]

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return read_class_names_column(self.first.rows)

    @property
    def datasets(self) -> list[str]:
        """``WHOLE``, then the datasets; a lone dataset is the whole."""
        names = sorted(self.first.rows["dataset"].unique())
        return [WHOLE, *names] if len(names) > 1 else [WHOLE]

    @property
    def problems(self) -> list[str]:
        """What is missing or wrong, each thing once."""
        return list(dict.fromkeys(p for rule in self.rules for p in rule.results.problems))

    def figures(self, rule: RuleResults, dataset: str = WHOLE) -> Metrics:
        """Pooled figures of a rule on a dataset."""
        return metrics_of_rows(rule.part(dataset), len(self.class_names))

    def confusions(self, rule: RuleResults, dataset: str = WHOLE) -> np.ndarray:
        """Subjects' confusion matrices, int [subjects, classes, classes]."""
        return subject_confusions(rule.part(dataset), len(self.class_names))

    def confusions_by_epoch(self) -> np.ndarray:
        """Pooled confusion matrices, int [epochs, classes, classes]."""
        if self.by_epoch is None:
            raise ValueError("no predictions of single epochs")
        true, classes = self.first.rows["true"].to_numpy(), len(self.class_names)
        stacks = confusion_stack(np.zeros_like(true), true, self.by_epoch, (1, classes))
        return stacks[:, 0]


@dataclass(frozen=True)
class Contents:
    """A results folder.

    Attributes:
        name: the folder's name.
        record: the run's ``config.yaml``; empty for results without one.
        chosen: what the rules choose among all configurations; None where nothing was chosen.
        robustness: rows of ``robustness.csv`` where there is one.
        robustness_curves: the same curves with intervals; None where they are not there.
        robustness_summary: what was read off each curve; None where it is not there.
        robustness_settings: what these tables were measured with; None where that is not there.
        synthetic: whether any of the clips is synthetic.
    """

    name: str
    record: dict[str, Any]
    configurations: list[ConfigurationResults]
    chosen: ConfigurationResults | None
    robustness: pd.DataFrame | None
    synthetic: bool
    robustness_curves: pd.DataFrame | None = None
    robustness_summary: pd.DataFrame | None = None
    robustness_settings: dict[str, Any] | None = None

    @property
    def partial(self) -> bool:
        """Whether expected clips are missing anywhere."""
        return any(configuration.problems for configuration in self.configurations)


def read_contents(
    folder: Path, record: dict[str, Any], epoch_predictions: EpochPredictions
) -> Contents:
    """Read a run's folder, a configuration's, or any folder of result files.

    Args:
        record: the run's record; may be empty.
        epoch_predictions: finds what a configuration predicted at every epoch.

    Raises:
        UserError: no such folder, nothing in it, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the results.")
    labels = record.get("configurations", {})
    configurations = [
        _read_configuration(place, labels.get(place.resolve().name), epoch_predictions)
        for place in _configuration_folders(folder, list(labels))
    ]
    robustness = read_robustness(folder)
    if not configurations and robustness is None:
        raise _nothing_here(folder)
    return Contents(
        name=folder.resolve().name,
        record=record,
        configurations=configurations,
        chosen=_read_chosen(folder / CHOSEN_FOLDER),
        robustness=robustness,
        synthetic=_any_synthetic(record, configurations, robustness),
        robustness_curves=read_curves(folder),
        robustness_summary=read_summary(folder),
        robustness_settings=read_settings(folder),
    )


def _nothing_here(folder: Path) -> UserError:
    """The error for a folder without results; folders up to two levels below are named."""
    for pattern in ("*", "*/*"):
        below = sorted(path for path in folder.glob(pattern) if path.is_dir())
        found = [
            path
            for path in below
            if _configuration_folders(path, []) or (path / ROBUSTNESS_NAME).is_file()
        ]
        if found:
            return UserError(f"{folder} holds folders of results. Give one: {name_list(found)}.")
    return UserError(
        f"{folder} holds no results. Give a folder with {PREDICTIONS_NAME}, *{SUFFIX} or "
        f"{ROBUSTNESS_NAME} in it or in its folders."
    )


def _any_synthetic(
    record: dict[str, Any],
    configurations: list[ConfigurationResults],
    robustness: pd.DataFrame | None,
) -> bool:
    """Whether the record, any clip or any robustness row says so: one is enough."""
    rules = [rule for configuration in configurations for rule in configuration.rules]
    tables = [rule.rows for rule in rules] + ([] if robustness is None else [robustness])
    in_rows = any("source" in rows and (rows["source"] == SYNTHETIC).any() for rows in tables)
    in_counts = any(rule.results.synthetic for rule in rules)
    return bool(record.get("synthetic")) or in_counts or in_rows


def _configuration_folders(folder: Path, recorded: list[str]) -> list[Path]:
    """The folder itself where it holds results; else those below it, in the record's order."""
    if _holds_results(folder):
        return [folder]
    found = sorted(path for path in folder.iterdir() if path.is_dir() and _holds_results(path))
    order = {name: place for place, name in enumerate(recorded)}
    return sorted(found, key=lambda path: order.get(path.name, len(order)))


def _holds_results(folder: Path) -> bool:
    return (folder / PREDICTIONS_NAME).is_file() or any(folder.glob(f"*{SUFFIX}"))


def _read_configuration(
    folder: Path, label: str | None, epoch_predictions: EpochPredictions
) -> ConfigurationResults:
    own = _read_rule(folder)
    rules = _in_order(folder, [own, *_read_last_near(folder, own), *_read_rules_below(folder)])
    name = folder.resolve().name
    return ConfigurationResults(name, label or name, rules, epoch_predictions(folder, own.rows))


def _read_last_near(folder: Path, own: RuleResults) -> list[RuleResults]:
    """The rule ``last`` of the same networks, for a rule's folder that the test subject chose.

    It lies in the folder above, or beside it in a grid's folder of choices.
    """
    place = folder.resolve()
    if own.selected_on_test and own.rule == place.name:
        for near in (place.parent, place.parent / LAST):
            if _holds_results(near) and (found := _read_rule(near)).rule == LAST:
                return [found]
    return []


def _read_chosen(folder: Path) -> ConfigurationResults | None:
    """What the grid search left in its folder of choices, a folder for each rule."""
    rules = _read_rules_below(folder) if folder.is_dir() else []
    if not rules:
        return None
    return ConfigurationResults(CHOSEN_FOLDER, CHOSEN_FOLDER, _in_order(folder, rules), None)


def _read_rules_below(folder: Path) -> list[RuleResults]:
    """The results in folders that are named after their rule."""
    places = sorted(path for path in folder.iterdir() if path.is_dir() and _holds_results(path))
    return [rule for place in places if (rule := _read_rule(place)).rule == place.name]


def _in_order(folder: Path, rules: list[RuleResults]) -> list[RuleResults]:
    """Rules as they stand on the page.

    Raises:
        UserError: they do not have the same classes, clips and labels.
    """
    for rule in rules[1:]:
        for what, same in _comparison(rules[0], rule):
            if not same:
                raise UserError(
                    f"{folder}: the epoch rules {rules[0].rule} and {rule.rule} are not of the "
                    f"same {what}. Run the grid search again; it writes both from what is stored."
                )
    return sorted(rules, key=lambda r: RULES.index(r.rule) if r.rule in RULES else len(RULES))


def _comparison(first: RuleResults, second: RuleResults) -> list[tuple[str, bool]]:
    """What two rules must share, and whether they do."""
    columns = ["dataset", "subject", "clip", "true"]
    return [
        ("classes", read_class_names_column(first.rows) == read_class_names_column(second.rows)),
        ("clips", first.rows[columns].equals(second.rows[columns])),
    ]


def _read_rule(folder: Path) -> RuleResults:
    results = read_results(folder)
    if results.rows.empty:
        raise UserError(f"{folder} holds no usable result: {'; '.join(results.problems)}.")
    rules = results.rows.get("epoch_rule", pd.Series([UNKNOWN_RULE])).unique()
    if len(rules) > 1:
        raise UserError(f"{folder} mixes epoch rules: {name_list(rules)}. Keep one in a folder.")
    return RuleResults(str(rules[0]), results)
