"""What a page shows: a results folder's configurations, each under every epoch rule on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from common.refusals import Refusal, few
from evaluation.acc_files import SUFFIX
from evaluation.epoch_rules import DEFAULT_RULE, RULES, UNKNOWN_RULE, Rule, get_rule
from evaluation.fold_logits import StoredFold, predict_every_epoch, read_folds_of_rows
from evaluation.metrics import Metrics, count_pairs, subject_confusions
from evaluation.predictions import (
    SYNTHETIC,
    SYNTHETIC_NOTE,
    read_class_names_column,
    score_rows,
)
from evaluation.report.robustness import Robustness, read_robustness
from evaluation.results_folder import PREDICTIONS_NAME, Results, holds_results, read_results
from evaluation.robustness import ROBUSTNESS_NAME
from evaluation.run_record import FILE_NAME as RECORD_NAME
from evaluation.run_record import find_record

CHOSEN_FOLDER = "chosen"
"""Where a grid search writes what its rules choose among the configurations."""
_SAID_OF_RECORD = ("LABELS SHUFFLED", "protocol ", "KEY FRAMES ")
WHOLE = "full"
"""Names all clips together, as dataset names name a part of them."""


@dataclass(frozen=True)
class RuleResults:
    """A configuration's predictions under one epoch rule."""

    rule: Rule
    results: Results

    @property
    def rows(self) -> pd.DataFrame:
        """Prediction rows, one per clip."""
        return self.results.rows

    def part(self, dataset: str) -> pd.DataFrame:
        """The rows of a dataset, or all of them for ``WHOLE``."""
        return self.rows if dataset == WHOLE else self.rows[self.rows["dataset"] == dataset]


@dataclass(frozen=True)
class ConfigurationResults:
    """A configuration under every rule.

    Attributes:
        rules: at least one; all have the same classes and the same clips in the same order.
        folds: the stored folds; None where not every fold is stored.
    """

    name: str
    label: str
    rules: list[RuleResults]
    folds: list[StoredFold] | None = None

    @property
    def first(self) -> RuleResults:
        """The rule that stands first; ``last`` wherever there is one."""
        return self.rules[0]

    @property
    def starred(self) -> bool:
        """Whether any of the rules chose epochs on test subjects."""
        return any(results.rule.starred for results in self.rules)

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

    def score(self, rule: RuleResults, dataset: str = WHOLE) -> Metrics:
        """Pooled metrics of a rule on a dataset."""
        return score_rows(rule.part(dataset), len(self.class_names))

    def confusions(self, rule: RuleResults, dataset: str = WHOLE) -> np.ndarray:
        """Subjects' confusion matrices, int [subjects, classes, classes]."""
        return subject_confusions(rule.part(dataset), len(self.class_names))

    def confusions_by_epoch(self) -> np.ndarray | None:
        """Pooled confusion matrices, int [epochs, classes, classes]; None without stored folds."""
        if self.folds is None:
            return None
        predicted = predict_every_epoch(self.folds, self.first.rows)
        return count_pairs(self.first.rows["true"].to_numpy(), predicted, len(self.class_names))


@dataclass(frozen=True)
class Contents:
    """A results folder.

    Attributes:
        name: the folder's name.
        record: the run's ``config.yaml``; empty for results without one.
        chosen: what the rules choose among all configurations; None where nothing was chosen.
        robustness: metrics under key-frame errors; None where there are none.
        synthetic: whether any of the clips is synthetic.
    """

    name: str
    record: dict[str, Any]
    configurations: list[ConfigurationResults]
    chosen: ConfigurationResults | None
    robustness: Robustness | None
    synthetic: bool

    @property
    def problems(self) -> dict[str, list[str]]:
        """Every problem, and the labels of the configurations that have it."""
        labels: dict[str, list[str]] = {}
        for configuration in self.configurations:
            for problem in configuration.problems:
                labels.setdefault(problem, []).append(configuration.label)
        return labels

    @property
    def rules(self) -> list[Rule]:
        """The epoch rules of all configurations."""
        rules = (results.rule for c in self.configurations for results in c.rules)
        return list({rule.name: rule for rule in rules}.values())

    @property
    def identities(self) -> set[tuple[str, int]]:
        """Configuration hash and seed of every configuration that names them."""
        columns = ["configuration", "seed"]
        tables = [c.first.rows for c in self.configurations]
        known = [rows[columns] for rows in tables if set(columns) <= set(rows)]
        return {pair for rows in known for pair in rows.itertuples(index=False, name=None)}

    @property
    def data_notice(self) -> str:
        """What a reader of any number must know of the data, such as synthetic clips."""
        notices = ["SYNTHETIC CLIPS"] if self.synthetic else []
        if self.record.get("label_shuffle") is not None:
            notices.append("SHUFFLED LABELS")
        if self.record.get("protocol", "composite") != "composite":
            notices.append(f"protocol {self.record['protocol']}")
        if self.record.get("subject_share", 1) != 1:
            notices.append(f"{self.record['subject_share']:.1%} OF THE TRAINING SUBJECTS")
        if self.record.get("key_frames") is not None:
            notices.append(f"KEY FRAMES {self.record['key_frames']}")
        return ", ".join([*notices, *self._more_notes])

    @property
    def _more_notes(self) -> list[str]:
        """What the results themselves want said, but for what ``data_notice`` takes from the
        record or says elsewhere."""
        said = (SYNTHETIC_NOTE, *(_SAID_OF_RECORD if self.record else ()))
        results = [rule.results for c in self.configurations for rule in c.rules]
        notes = [note for one in results for note in one.notes if not note.startswith(said)]
        if self.robustness is not None and "note" in self.robustness.rows:
            notes += self.robustness.rows["note"].unique().tolist()
        if self.robustness is not None and self.robustness.changed:
            notes.append(f"CHANGED since it was written: {few(self.robustness.changed)}")
        return [note for note in dict.fromkeys(notes) if note and not note.endswith(" searched")]

    def notice(self, configuration: ConfigurationResults | None = None) -> str:
        """``data_notice`` and whether clips are missing, from all results or a configuration's."""
        partial = "PARTIAL" if self.problems else ""
        if configuration is not None:
            missing = max(rule.results.missing_clips for rule in configuration.rules)
            partial = f"PARTIAL: {missing} clips missing" if configuration.problems else ""
        return ", ".join(filter(None, [self.data_notice, partial]))


def read_contents(folder: Path) -> Contents:
    """Read a run's folder, a configuration's, or any folder of result files.

    Raises:
        UserError: no such folder, nothing in it, several runs, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the results.")
    refuse_several_runs(folder)
    record = find_record(folder)
    labels = record.get("configurations", {})
    configurations = [
        _read_configuration(path, labels.get(path.resolve().name))
        for path in configuration_folders(folder, list(labels))
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
    )


def _nothing_here(folder: Path) -> UserError:
    """The error for a folder without results; folders up to two levels below are named."""
    for pattern in ("*", "*/*"):
        below = sorted(path for path in folder.glob(pattern) if path.is_dir())
        found = [
            path
            for path in below
            if configuration_folders(path) or (path / ROBUSTNESS_NAME).is_file()
        ]
        if found:
            return UserError(_give_one(folder, found))
    return UserError(
        f"{folder} holds no results. Give a folder with {PREDICTIONS_NAME}, *{SUFFIX} or "
        f"{ROBUSTNESS_NAME} in it or in its folders."
    )


def _any_synthetic(
    record: dict[str, Any],
    configurations: list[ConfigurationResults],
    robustness: Robustness | None,
) -> bool:
    """Whether the record, any clip or any robustness row says so: one is enough."""
    results = [rule.results for configuration in configurations for rule in configuration.rules]
    tables = [r.rows for r in results] + ([] if robustness is None else [robustness.rows])
    said = [rows["source"].astype(str).str.lower() for rows in tables if "source" in rows]
    in_rows = any((source == SYNTHETIC).any() for source in said)
    return bool(record.get("synthetic")) or in_rows or any(r.synthetic for r in results)


def configuration_folders(folder: Path, recorded: Sequence[str] = ()) -> list[Path]:
    """The folder itself where it holds results; else those below it, in the record's order."""
    if holds_results(folder):
        return [folder]
    found = sorted(path for path in folder.iterdir() if path.is_dir() and holds_results(path))
    order = {name: number for number, name in enumerate(recorded)}
    return sorted(found, key=lambda path: order.get(path.name, len(order)))


def refuse_several_runs(folder: Path) -> None:
    """Refuse a folder above runs that holds results as well, such as those of ``eval.py``: they
    would be taken for the configurations of one run, and the runs left out.

    Raises:
        UserError: names them all.
    """
    results = configuration_folders(folder)
    if folder in results or not results or (folder / RECORD_NAME).is_file():
        return
    others = {path for path in folder.iterdir() if path.is_dir()} - {*results}
    others = {path for path in others if path.name != CHOSEN_FOLDER and configuration_folders(path)}
    if others:
        raise UserError(_give_one(folder, sorted({*results, *others})))


def _give_one(folder: Path, found: Sequence[Path]) -> str:
    return f"{folder} holds folders of results. Give one: {name_list(found)}."


def _read_configuration(folder: Path, label: str | None) -> ConfigurationResults:
    here = _read_rule(folder)
    rules = _in_order(folder, [here, *_read_default_rule(folder, here), *_read_rules_below(folder)])
    folds = read_folds_of_rows(folder, here.rows) if here.rule.name == DEFAULT_RULE else None
    name = folder.resolve().name
    return ConfigurationResults(name, label or name, rules, folds)


def _read_default_rule(folder: Path, here: RuleResults) -> list[RuleResults]:
    """The default rule of the same networks, for the folder of a rule that the test subject chose:
    in the folder above, or, in a grid's folder of choices, in the folder beside it."""
    above = folder.resolve().parent
    if here.rule.starred and here.rule.name == folder.resolve().name:
        for near in (above, above / DEFAULT_RULE):
            if holds_results(near) and (found := _read_rule(near)).rule.name == DEFAULT_RULE:
                return [found]
    return []


def _read_chosen(folder: Path) -> ConfigurationResults | None:
    """The results in a grid search's folder of choices, which has a folder for each rule."""
    rules = _read_rules_below(folder) if folder.is_dir() else []
    if not rules:
        return None
    return ConfigurationResults(CHOSEN_FOLDER, CHOSEN_FOLDER, _in_order(folder, rules))


def _read_rules_below(folder: Path) -> list[RuleResults]:
    """The results in folders that are named after their rule."""
    paths = sorted(path for path in folder.iterdir() if path.is_dir() and holds_results(path))
    return [results for path in paths if (results := _read_rule(path)).rule.name == path.name]


def _in_order(folder: Path, rules: list[RuleResults]) -> list[RuleResults]:
    """Rules in the order of tables; unknown ones last.

    Raises:
        UserError: they do not have the same classes, clips and labels.
    """
    columns = ["dataset", "subject", "clip", "true"]
    clips = [results.rows[columns] for results in rules]
    classes = [read_class_names_column(results.rows) for results in rules]
    for number, other in enumerate(rules):
        if classes[number] != classes[0] or not clips[number].equals(clips[0]):
            what = "clips" if classes[number] == classes[0] else "classes"
            raise UserError(
                f"{folder}: the epoch rules {rules[0].rule.name} and {other.rule.name} are not of "
                f"the same {what}. Repeat the run; it writes both from the stored folds."
            )
    order = {name: number for number, name in enumerate(RULES)}
    return sorted(rules, key=lambda results: order.get(results.rule.name, len(order)))


def _read_rule(folder: Path) -> RuleResults:
    results = read_results(folder)
    if results.rows.empty:
        raise Refusal(folder, f"holds no usable result: {results.complaint}.")
    names = results.rows.get("epoch_rule", pd.Series([UNKNOWN_RULE])).unique()
    if len(names) > 1:
        raise UserError(f"{folder} mixes epoch rules: {name_list(names)}. Keep one in a folder.")
    return RuleResults(get_rule(str(names[0])), results)
