"""Reads results folders as methods to compare: folders of one configuration and epoch rule that
differ in their seed are one method; folders joined by + are one run, the mean of their scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from common.refusals import Refusal
from evaluation.epoch_rules import (
    DEFAULT_RULE,
    PUBLISHED_RULES,
    RULES,
    UNKNOWN_RULE,
    get_rule,
    rule_title,
)
from evaluation.metrics import confusion_stack, subject_numbers
from evaluation.predictions import SYNTHETIC_NOTE, read_class_names_column, score_columns
from evaluation.results_folder import holds_results, read_results

CLIP_COLUMNS = ["dataset", "subject", "clip"]
JOINT = "+"
"""Between the folders of a mean of methods."""


@dataclass(frozen=True)
class Method:
    """The predictions of one configuration under one epoch rule, for one or several seeds.

    Shape legend: R seeds, N clips, S subjects, C classes.

    Attributes:
        folder: of the first seed.
        clips: N rows with dataset, subject, clip and true, in the order of the first three.
        predicted: int [R, N].
        scores: float [R, N, C]; None where the files hold no scores.
        synthetic: whether any of the clips is synthetic.
        notes: what else a reader must know, such as the protocol or shuffled labels.
    """

    name: str
    folder: Path
    rule: str
    clips: pd.DataFrame
    predicted: np.ndarray
    scores: np.ndarray | None
    class_names: tuple[str, ...]
    synthetic: bool
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name, epoch rule and, where there are several, the number of seeds."""
        seeds = [f"{self.seeds} seeds"] if self.seeds > 1 else []
        return f"{self.name} ({', '.join([rule_title(self.rule), *seeds, *self.notes])})"

    @property
    def seeds(self) -> int:
        """How many seeds R."""
        return len(self.predicted)

    @property
    def chosen_on_test_subjects(self) -> bool:
        """Whether the epoch rule looks at the labels that it is scored on."""
        return get_rule(self.rule).starred

    def part(self, dataset: str) -> "Method":
        """The same method on one dataset's clips."""
        chosen = (self.clips["dataset"] == dataset).to_numpy()
        return replace(
            self,
            clips=self.clips[chosen].reset_index(drop=True),
            predicted=self.predicted[:, chosen],
            scores=None if self.scores is None else self.scores[:, chosen],
        )

    def mean_predicted(self) -> np.ndarray:
        """int [N]: the class with the highest score after averaging scores over the seeds.

        The lower class number wins a tie, as in every single run.
        """
        if self.seeds == 1:
            return self.predicted[0]
        assert self.scores is not None, "seeds are only grouped where there are scores"
        return self.scores.mean(axis=0).argmax(axis=-1)

    def right(self) -> np.ndarray:
        """bool [N]: which clips ``mean_predicted`` gets right."""
        return self.mean_predicted() == self.clips["true"].to_numpy()

    def confusions(self, predicted: np.ndarray) -> np.ndarray:
        """int [..., N] predictions of these clips -> int [..., S, C, C], subjects in order."""
        numbers = subject_numbers(self.clips)
        shape = (int(numbers.max()) + 1, len(self.class_names))
        return confusion_stack(numbers, self.clips["true"].to_numpy(), predicted, shape)


@dataclass(frozen=True)
class _Run:
    """One folder's rows, in the order of the clips, with the key of its method and its seed."""

    folder: Path
    rows: pd.DataFrame
    synthetic: bool
    notes: tuple[str, ...]
    key: tuple[str, str]
    seed: object


def folders_under_rules(folders: Sequence[Path], rules: Sequence[str]) -> list[Path]:
    """The folders of each rule's results, rule by rule.

    A rule's results lie in a folder of its name below the configuration's, the default rule's in
    the configuration's folder itself. A folder without the results of a rule is left out; one
    without those of any (a model without epochs, results from elsewhere) is taken as it is. With
    a rule that selects on test subjects, the default rule is listed too.

    Raises:
        UserError: there is no such rule, or no folder has results of the rules.
    """
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown:
        hint = ""
        if set(unknown) & set(PUBLISHED_RULES):
            hint = " calculate_all_results.py --published computes the published ones."
        raise UserError(
            f"--rules {name_list(unknown)}: no such epoch rule. There are: "
            f"{name_list(RULES)}.{hint}"
        )
    starred = any(RULES[rule].starred for rule in rules)
    wanted = [DEFAULT_RULE] if starred and DEFAULT_RULE not in rules else []
    wanted += rules
    bare = [folder for folder in folders if not any(_holds(_below(folder, r)) for r in RULES)]
    found = [
        folder if rule == DEFAULT_RULE or folder in bare else _below(folder, rule)
        for rule in wanted
        for folder in folders
        if rule == (wanted[0] if folder in bare else rule)
    ]
    kept = [place for place in found if place in bare or _holds(place)]
    if not kept:
        raise UserError(f"--rules {name_list(rules)}: no folder has results of these rules.")
    return kept


def joined_folders(folder: Path) -> list[Path]:
    """The folders of a mean of methods, FOLDER+FOLDER; any other folder alone."""
    text = str(folder)
    return [folder] if JOINT not in text or folder.exists() else list(map(Path, text.split(JOINT)))


def _joined(folders: Iterable[Path]) -> Path:
    return Path(JOINT.join(map(str, folders)))


def _below(folder: Path, name: str) -> Path:
    return _joined(own / name for own in joined_folders(folder))


def _holds(folder: Path) -> bool:
    return all(map(holds_results, joined_folders(folder)))


def read_methods(
    folders: Sequence[Path],
    dataset: str | None = None,
    clips: pd.DataFrame | None = None,
    names: Sequence[str] = (),
) -> list[Method]:
    """The methods of some results folders, in the order of their first folder.

    Args:
        folders: a folder, or several joined by + whose scores are averaged clip by clip.
        dataset: only this dataset's clips.
        clips: the clips that results without a record were made from (``read_results``).
        names: display names of the methods' folders in their order; default: the folders' names.

    Raises:
        UserError: a folder is incomplete or unreadable, is given twice, the folders do not hold
            the same clips with the same labels and classes, one of several seeds has no scores, or
            there are more or fewer names than methods.
    """
    groups: dict[tuple[str, str], list[_Run]] = {}
    for folder in folders:
        run = _read_run(folder, dataset, clips)
        twin = next((r for r in groups.get(run.key, []) if r.seed == run.seed), None)
        if twin is not None:
            raise UserError(
                f"{twin.folder} and {folder} hold the same configuration, epoch rule and seed. "
                "Give each run once."
            )
        groups.setdefault(run.key, []).append(run)
    every = [run for runs in groups.values() for run in runs]
    _check_same_clips(every)
    _check_same_classes(every)
    for runs in groups.values():
        _check_scores_of_seeds(runs)
    first = [runs[0] for runs in groups.values()]
    titles = _display_names(first, names) if names else _folder_names(first)
    return [_build_method(name, runs) for name, runs in zip(titles, groups.values(), strict=True)]


def _read_run(folder: Path, dataset: str | None, clips: pd.DataFrame | None) -> _Run:
    parts = joined_folders(folder)
    if len(parts) > 1:
        return _mean_run([_read_run(part, dataset, clips) for part in parts])
    results = read_results(folder, dataset, clips)
    if results.problems:
        elsewhere = "" if clips is not None else "; for results from elsewhere give --inputs"
        raise Refusal(
            folder,
            f"is not a complete set of results: {results.complaint}. Finish the run "
            f"first{elsewhere}.",
        )
    rows = results.rows.sort_values(CLIP_COLUMNS, kind="stable", ignore_index=True)
    # Synthetic clips have their own line below the tables.
    notes = tuple(note for note in results.notes if not note.startswith(SYNTHETIC_NOTE))
    key, seed = _read_origin(folder, rows)
    return _Run(folder, rows, results.synthetic, notes, key, seed)


def _mean_run(runs: list[_Run]) -> _Run:
    """One run whose scores are the mean of those of the runs, clip by clip.

    Scores are logits or log probabilities, so that the mean's class is that of the geometric mean
    of the probabilities.
    """
    _check_same_clips(runs)
    _check_same_classes(runs)
    rules = list(dict.fromkeys(run.key[1] for run in runs))
    if len(rules) > 1:
        raise UserError(f"a mean of epoch rules {name_list(rules)}: join folders of one rule.")
    for run in runs:
        if not score_columns(run.rows):
            raise UserError(f"{run.folder} has no scores, so no mean can be taken. Leave it out.")
    columns = score_columns(runs[0].rows)
    mean = np.mean([run.rows[columns].to_numpy() for run in runs], axis=0)
    rows = runs[0].rows.assign(predicted=mean.argmax(axis=1))
    rows[columns] = mean
    return _Run(
        folder=_joined(run.folder for run in runs),
        rows=rows,
        synthetic=any(run.synthetic for run in runs),
        notes=tuple(dict.fromkeys(note for run in runs for note in run.notes)),
        key=(JOINT.join(run.key[0] for run in runs), rules[0]),
        seed=tuple(run.seed for run in runs),
    )


def _read_origin(folder: Path, rows: pd.DataFrame) -> tuple[tuple[str, str], object]:
    """The key and the seed of a run; a run that does not name them is a method by itself."""
    configuration, rule, seed = (
        _only(folder, rows, column) for column in ("configuration", "epoch_rule", "seed")
    )
    # A blank reads as nan, which is not equal to itself: twins would count as two seeds.
    complete = isinstance(configuration, str) and isinstance(seed, Integral)
    if complete and rule in RULES:
        return (str(configuration), str(rule)), seed
    # Even where the rest is unknown, metrics selected on test subjects keep their star.
    kept = str(rule) if get_rule(str(rule)).starred else UNKNOWN_RULE
    return (str(folder.resolve()), kept), None


def _only(folder: Path, rows: pd.DataFrame, column: str) -> object:
    """The one value of a column; None where there is no such column."""
    if column not in rows:
        return None
    values = rows[column].unique()
    if len(values) > 1:
        raise UserError(f"{folder} mixes runs: its rows have {column} {name_list(values)}.")
    return values[0]


def _check_same_clips(runs: list[_Run]) -> None:
    first = runs[0].rows.set_index(CLIP_COLUMNS)["true"]
    for run in runs[1:]:
        other = run.rows.set_index(CLIP_COLUMNS)["true"]
        alone = first.index.symmetric_difference(other.index)
        if len(alone):
            names = name_list("/".join(map(str, clip)) for clip in alone)
            raise UserError(f"{runs[0].folder} and {run.folder} do not share these clips: {names}.")
        if not first.equals(other):
            names = name_list("/".join(map(str, clip)) for clip in first[first != other].index)
            raise UserError(f"{runs[0].folder} and {run.folder} label these differently: {names}.")


def _check_same_classes(runs: list[_Run]) -> None:
    """Names and order: classes are compared by their numbers."""
    first = read_class_names_column(runs[0].rows)
    for run in runs[1:]:
        other = read_class_names_column(run.rows)
        if other != first:
            raise UserError(
                f"{runs[0].folder} has the classes {name_list(first)}, but {run.folder} has "
                f"{name_list(other)}. Compare runs of the same classes in the same order."
            )


def _check_scores_of_seeds(runs: list[_Run]) -> None:
    """Seeds are averaged by their scores."""
    for run in runs:
        if len(runs) > 1 and not score_columns(run.rows):
            raise UserError(
                f"{run.folder} is one of {len(runs)} seeds of a method and has no scores to "
                "average. Leave it out, or compare it alone."
            )


def _configuration_folder(run: _Run) -> Path:
    """The folder of the run's configuration, whose name is the method's."""
    folders = joined_folders(run.folder)
    return _joined(own.parent if own.name == run.key[1] else own for own in folders)


def _configuration_name(folder: Path) -> str:
    return JOINT.join(own.resolve().name for own in joined_folders(folder))


def _folder_names(runs: list[_Run]) -> list[str]:
    """The configuration folders' names; whole paths where two methods would share name and rule."""
    folders = [_configuration_folder(run) for run in runs]
    titles = [
        (_configuration_name(folder), run.key[1]) for folder, run in zip(folders, runs, strict=True)
    ]
    return [
        name if titles.count((name, rule)) == 1 else str(folder)
        for (name, rule), folder in zip(titles, folders, strict=True)
    ]


def _display_names(runs: list[_Run], names: Sequence[str]) -> list[str]:
    """The given names, one for each configuration in the order of the methods."""
    configurations = list(dict.fromkeys(run.key[0] for run in runs))
    if len(configurations) != len(names):
        raise UserError(
            f"--names has {len(names)} names for {len(configurations)} methods: "
            f"{name_list(dict.fromkeys(_folder_names(runs)))}. Give one name for each."
        )
    if "" in map(str.strip, names) or len(set(names)) < len(names):
        raise UserError(f"--names {name_list(map(repr, names))}: give each method its own name.")
    return [names[configurations.index(run.key[0])] for run in runs]


def _build_method(name: str, runs: list[_Run]) -> Method:
    first = runs[0].rows
    columns = score_columns(first)
    scores = np.stack([run.rows[columns].to_numpy() for run in runs]) if columns else None
    return Method(
        name=name,
        folder=runs[0].folder,
        rule=runs[0].key[1],
        clips=first[[*CLIP_COLUMNS, "true"]],
        predicted=np.stack([run.rows["predicted"].to_numpy() for run in runs]),
        scores=scores,
        class_names=read_class_names_column(first),
        synthetic=any(run.synthetic for run in runs),
        notes=runs[0].notes,
    )
