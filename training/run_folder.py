"""Owns the results folder of a run: claims it, reads what is there once, keeps folds, reports."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from common.errors import UserError, name_list
from common.files import check_output_file, claim_folder
from common.owned_folder import OwnedFolder
from datasets import Fold, Inputs, loso_folds
from evaluation.epoch_rules import pooled_uf1, rule_title, rules_footnote, rules_for
from evaluation.expected_clips import FILE_NAME as EXPECTED_NAME
from evaluation.expected_clips import write_expected_clips
from evaluation.fold_logits import FOLDER as FOLDS
from evaluation.fold_logits import StoredFold, write_fold
from evaluation.predictions import metrics_per_dataset
from evaluation.result_files import acc_fold
from evaluation.results_folder import holds_results
from evaluation.run_record import FILE_NAME, find_record, read_record
from evaluation.tables import print_metrics
from models.method import Method
from models.pretrained import checked_note, read_weights_note, stored_weights
from training.configuration import Configuration
from training.configuration_results import (
    SUMMARY_NAME,
    configuration_paths,
    fold_identities,
    read_folds,
    replace_summary_lines,
    summary_line,
    write_configuration_results,
    write_losses,
)
from training.executor import ExecutorSettings
from training.fold_counts import fold_counts
from training.grid_summary import FOLDER as GRID_FOLDER
from training.grid_summary import grid_report_paths, remove_grid_report, report_grid
from training.group_task import GroupTask, group_folds
from training.initial_weights import InitialWeights
from training.run_record import (
    CONFIGURATIONS,
    USED_SIZES,
    Run,
    merge_record,
    other_environment,
    write_record,
)
from training.subject_share import with_subject_share
from training.tensorboard import FoldCurves
from training.weights_folder import (
    check_description,
    describe_weights,
    keep_method,
    weights_folder,
    weights_paths,
    write_clips,
    write_description,
    write_weights,
)
from training.worker import GroupOutcome, TrainedFold

LOG_NAME = "log.txt"
"""The story of a run, and so the only file that a resume changes."""


@dataclass
class GridSearch:
    """A run with its inputs and places.

    Attributes:
        results: the run's folder.
        weights: folder for weights, or None to keep none.
        subjects: names of the subjects whose folds are run; empty for all. The training clips of a
            fold are all other subjects', whatever is named here.
        executor: who trains.
        tensorboard: whether curves are also written as event files.
        initial: what the folds start from; None for fresh networks.
    """

    run: Run
    method: Method
    inputs: Inputs
    configurations: list[Configuration]
    results: Path
    weights: Path | None = None
    subjects: tuple[str, ...] = ()
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    tensorboard: bool = False
    initial: InitialWeights | None = None

    def __post_init__(self) -> None:
        clips, run = self.inputs.clips, self.run
        folds = loso_folds(clips, run.protocol)
        self.all_folds = [with_subject_share(f, clips, run.subject_share, run.seed) for f in folds]
        self.folds = _select(self.all_folds, self.subjects)

    def folder(self, configuration: Configuration) -> Path:
        """A configuration's results folder."""
        return self.results / configuration.name

    def sentence(self) -> str:
        """What is run, for the terminal."""
        run, grid, folds = self.run, len(self.configurations), len(self.folds)
        notes = "".join(f"; {note}" for note in run.notes)
        started = "" if self.initial is None else f"; {self.initial.sentence()}"
        threads = "1 thread" if run.threads == 1 else f"{run.threads} threads"
        return (
            f"{run.clips} clips of {run.subjects} subjects{notes}; {grid} configuration"
            f"{'s' if grid > 1 else ''} x {folds} folds = {grid * folds} trainings; "
            f"method {run.method}, seed {run.seed}, {run.device}, {threads} a worker{started}"
        )


def _select(folds: list[Fold], subjects: tuple[str, ...]) -> list[Fold]:
    """The folds of the named subjects, by subject or fold name; all of them without names."""
    known = {name for fold in folds for name in (fold.subject, fold.name)}
    unknown = [name for name in subjects if name not in known]
    if unknown:
        names = name_list(fold.name for fold in folds)
        raise UserError(f"no subject is called {name_list(unknown)}. There are: {names}.")
    return [fold for fold in folds if not subjects or {fold.subject, fold.name} & set(subjects)]


@dataclass(frozen=True)
class _Claim:
    """A folder of this run, the files in it that are from before there were records, and the
    description to write where it is one of weights."""

    owned: OwnedFolder
    adopted: list[Path]
    description: dict[str, Any] | None = None


class RunFolder:
    """The folder of one search on disk, and those of its weights; a context manager that claims
    them.

    On entry everything is read and checked, and nothing written; ``begin`` writes. A run that is
    refused before, or fails before its first fold, leaves nothing behind.

    Raises:
        UserError: on entry: a folder is in use or holds another run, a file in it is damaged, or
            one that is not this suite's own is in the way.
    """

    def __init__(self, search: GridSearch) -> None:
        self.search = search
        self.results = search.results
        self.record: dict[str, Any] = {}
        self.stored: dict[str, dict[str, StoredFold]] = {}
        self.failures: list[str] = []
        self.curves = FoldCurves(search.results) if search.tensorboard else None
        self.subjects = search.inputs.clips[["dataset", "subject"]].agg("/".join, axis=1).to_numpy()
        self._found: dict[str, Any] | None = None
        self._claims: list[_Claim] = []
        self._lines: list[str] | None = []

    def __enter__(self) -> "RunFolder":
        with ExitStack() as stack:
            self.owned = stack.enter_context(claim_folder(self.results))
            self._read()
            for configuration in self.search.configurations:
                folder = self.weights_folder(configuration)
                if folder is not None:
                    owned = stack.enter_context(claim_folder(folder))
                    self._claim_weights(folder, owned, configuration)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._found is None and not any(self.stored.values()):
            self._remove_all()
        self._stack.__exit__(kind, error, trace)

    def _read(self) -> None:
        """Read and check what is there; refuse what is in the way."""
        search = self.search
        self._found = read_record(self.results)
        self._check_folder()
        self.record = merge_record(self.results, self._found, search.run, search.configurations)
        paths = self._paths()
        check_output_file(self.results / LOG_NAME)
        adopted = []
        if self._found is not None and not self.owned.exists:
            folds = {fold.name for fold in search.all_folds}
            adopted = [path for path in paths if acc_fold(path) in (None, *folds)]
            self._claims.append(_Claim(self.owned, adopted))
        self.owned.check(path for path in paths if path not in set(adopted))
        identities = fold_identities(search.run, search.inputs, search.all_folds)
        self._identities = {identity.name: identity for identity in identities}
        for configuration in search.configurations:
            folder, own = search.folder(configuration), search.run.configuration_hash(configuration)
            read = read_folds(folder, identities, own)
            self.stored[configuration.name] = {fold.identity.name: fold for fold in read}

    def _check_folder(self) -> None:
        """Refuse a folder that is a part of another run, or holds results of another kind."""
        if self._found is not None:
            return
        if find_record(self.results):
            raise UserError(
                f"--results {self.results} is a part of the run above it. Give another folder."
            )
        if holds_results(self.results) or (self.results / FOLDS).is_dir():
            raise UserError(
                f"--results {self.results} holds other results. Give this run a folder of its own."
            )

    def _paths(self) -> list[Path]:
        """Everything that this run may write, replace or remove in its folder."""
        search, results = self.search, self.results
        names = [FILE_NAME, EXPECTED_NAME, SUMMARY_NAME]
        if not search.method.built_in:
            names.append(search.method.path.name)
        if self._found is None:
            names.append(LOG_NAME)
        paths = [results / name for name in names]
        # A part that holds a record is another run's folder.
        for configuration in search.configurations:
            folder = search.folder(configuration)
            paths += [folder / FILE_NAME, *configuration_paths(folder, search.all_folds)]
        if len(self.record[CONFIGURATIONS]) > 1:
            paths += [results / GRID_FOLDER / FILE_NAME, *grid_report_paths(results)]
        return paths

    def _claim_weights(
        self, folder: Path, owned: OwnedFolder, configuration: Configuration
    ) -> None:
        search = self.search
        description = describe_weights(search.run, configuration)
        is_known = check_description(folder, description)
        paths = weights_paths(folder, search.all_folds)
        if not search.method.built_in:
            paths.append(folder / search.method.path.name)
        adopts = is_known and not owned.exists
        if not adopts:
            owned.check(paths)
        for fold in search.all_folds if adopts else []:
            stored = stored_weights(folder, fold.name)
            if stored is not None:
                checked_note(stored, fold.name)
        self._claims.append(_Claim(owned, paths if adopts else [], description))

    def begin(self) -> None:
        """Write the record of the run, and what its results are of; called once, when nothing
        speaks against the start any more."""
        for claim in self._claims:
            claim.owned.adopt(claim.adopted)
        write_record(self.results, self.record)
        keep_method(self.results, self.search.method)
        self._write_expected_clips()
        if len(self.record[CONFIGURATIONS]) > 1:
            remove_grid_report(self.results)
        for claim in self._claims:
            if claim.description is not None:
                write_description(claim.owned.root, claim.description, self.search.method)
                write_clips(claim.owned.root, self.search.inputs)
        if self._found is not None:
            for phrase in other_environment(self._found):
                self.log(f"note: this run was begun elsewhere: {phrase}")
        lines, self._lines = self._lines or [], None
        self._write_log(lines)

    def _write_expected_clips(self) -> None:
        """What the folder's results must hold, and what must be said beside each of them."""
        run, searched = self.search.run, len(self.record[CONFIGURATIONS])
        notes = list(run.notes)
        if searched > 1:
            notes.append(f"{searched} configurations searched")
        counts = fold_counts(self.search.inputs.clips, self.search.all_folds, run.synthetic, notes)
        write_expected_clips(self.results, counts)

    def _remove_all(self) -> None:
        """Remove what a run that has kept nothing wrote, so that another may have the folder."""
        if self._lines is None:
            (self.results / LOG_NAME).unlink(missing_ok=True)
        for owned in (self.owned, *(claim.owned for claim in self._claims)):
            owned.remove_written()

    def log(self, line: str) -> None:
        """Print a line, and keep it in ``log.txt`` once the run has begun."""
        print(line, flush=True)
        if self._lines is None:
            self._write_log([line])
        else:
            self._lines.append(line)

    def _write_log(self, lines: list[str]) -> None:
        if lines:
            with (self.results / LOG_NAME).open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)

    def weights_folder(self, configuration: Configuration) -> Path | None:
        """Where a configuration's weights go; None where none are kept."""
        weights = self.search.weights
        return None if weights is None else weights_folder(weights, self.results, configuration)

    @property
    def failure(self) -> str:
        """What went wrong, with the first fold that it went wrong with."""
        more = len(self.failures) - 1
        return self.failures[0] + (f" So it was with {more} more folds." if more else "")

    @property
    def used_sizes(self) -> dict[str, dict[int, int]]:
        """The group sizes that the run went down to where memory was short."""
        sizes: dict[str, dict[int, int]] = self.record.get(USED_SIZES, {})
        return sizes

    @property
    def found(self) -> int:
        """Folds of this command that are finished."""
        search = self.search
        return sum(self.is_done(c, fold) for c in search.configurations for fold in search.folds)

    def folds(self, configuration: Configuration) -> list[StoredFold]:
        """The finished folds of a configuration, in the order of the protocol."""
        stored = self.stored[configuration.name]
        return [stored[fold.name] for fold in self.search.all_folds if fold.name in stored]

    def is_done(self, configuration: Configuration, fold: Fold) -> bool:
        """Whether everything that this run keeps of a fold is on disk."""
        folder = self.weights_folder(configuration)
        if folder is not None:
            note = read_weights_note(folder, fold.name)
            path = stored_weights(folder, fold.name)
            if note is None or path is None or path.stat().st_size != note.size:
                return False
        return fold.name in self.stored[configuration.name]

    def pending(self, group_size: Callable[[Configuration], int]) -> list[GroupTask]:
        """The groups that hold a fold still to train, in order.

        Groups are cut from the folds asked for before the finished ones are left out, so that a
        resumed run trains the same groups.
        """
        batch = self.search.run.batch_size
        return [
            GroupTask(configuration, group)
            for configuration in self.search.configurations
            for group in group_folds(self.search.folds, group_size(configuration), batch)
            if not all(self.is_done(configuration, fold) for fold in group)
        ]

    def keep(self, task: GroupTask, group: GroupOutcome) -> None:
        """Write a group's folds; one that failed is noted and not kept."""
        if group.size < len(task.folds):
            self._note_used_size(task, group.size)
        for fold, trained in zip(task.folds, group.folds, strict=True):
            if trained.outcome.failed_epoch is None:
                self._keep_fold(task.configuration, fold, trained)
            else:
                self.failures.append(
                    f"fold {fold.name} of configuration {task.configuration.name}: the loss was "
                    f"not finite in epoch {trained.outcome.failed_epoch}; try a lower "
                    "--learning-rate. The other folds are saved."
                )

    def _keep_fold(self, configuration: Configuration, fold: Fold, trained: TrainedFold) -> None:
        """Weights first: a fold whose logits are on disk is complete."""
        search, outcome = self.search, trained.outcome
        folder = self.weights_folder(configuration)
        if folder is not None and outcome.weights is not None:
            seen = set(self.subjects[fold.train_indices])
            if search.initial is not None:
                seen |= set(search.initial.folds[fold.name].trained_on)
            write_weights(folder, fold.name, outcome.weights, sorted(seen), trained.gains)
        own = search.run.configuration_hash(configuration)
        identity = replace(self._identities[fold.name], configuration=own)
        stored = StoredFold(identity, outcome.logits, outcome.losses, trained.inner)
        write_fold(search.folder(configuration), stored)
        self.stored[configuration.name][fold.name] = stored
        if self.curves is not None:
            self.curves.write(configuration.name, stored)

    def _note_used_size(self, task: GroupTask, size: int) -> None:
        """A resumed run trains the group in such parts at once."""
        own = self.record.setdefault(USED_SIZES, {}).setdefault(task.configuration.name, {})
        if own.get(len(task.folds)) != size:
            own[len(task.folds)] = size
            write_record(self.results, self.record)

    def running_metrics(self, configuration: Configuration) -> str:
        """Loss, and UF1 of the folds so far under every rule, in a few words."""
        stored = self.folds(configuration)
        if not stored:
            return "no fold finished"
        parts = [f"{pooled_uf1(rule, stored):.3f} {rule_title(rule)}" for rule in rules_for(stored)]
        words = f"UF1 so far {', '.join(parts)}"
        if self.search.run.training is None:
            return words
        loss = sum(float(fold.losses[-1]) for fold in stored) / len(stored)
        return f"loss {loss:.3g}, {words}"

    def report(self, configuration: Configuration, console: Console) -> None:
        """Write and print a configuration's results; its summary lines only when it is complete."""
        search, run = self.search, self.search.run
        stored, folds = self.folds(configuration), len(search.all_folds)
        if not stored:
            return
        folder = search.folder(configuration)
        rows = write_configuration_results(folder, run, configuration, stored, folds)
        if run.training is not None:
            write_losses(folder, stored)
        classes = len(run.class_names)
        metrics = {
            rule_title(rule): metrics_per_dataset(part, classes) for rule, part in rows.items()
        }
        if len(stored) == folds:
            mark = "".join(f" | {note}" for note in run.notes)
            full = {rule: metrics[rule_title(rule)]["full"] for rule in rows}
            lines = [summary_line(configuration, full[rule], rule) + mark for rule in rows]
            labels = list(self.record[CONFIGURATIONS].values())
            replace_summary_lines(self.results, configuration, lines, labels)
        scope = "" if len(stored) == folds else f", PARTIAL: {len(stored)} of {folds} folds"
        notes = "".join(f", {note}" for note in run.notes)
        title = f"{configuration.label} ({run.clips} clips{notes}, seed {run.seed}{scope})"
        footnote = rules_footnote(rows) + (f"\ninputs: {run.flow_by}" if run.flow_by else "")
        print_metrics(console, metrics, title, footnote=footnote)
        console.print(f"written: {folder}", soft_wrap=True)

    def report_grid(self, console: Console) -> None:
        """Write and print what may be quoted of the search, once every configuration is complete.

        The search is what the folder has ever been asked for, in that order: leaving
        configurations out of a later command, or naming them in another order, must not choose
        among them.
        """
        recorded = list(self.record[CONFIGURATIONS])
        asked = {configuration.name: configuration for configuration in self.search.configurations}
        if set(recorded) - set(asked):
            console.print(
                f"{len(recorded)} configurations were searched in {self.results}: name them all in "
                "one command to see what may be quoted of the search.",
                highlight=False,
            )
            return
        configurations = [asked[name] for name in recorded]
        grid = [self.folds(configuration) for configuration in configurations]
        if len(grid) > 1 and all(len(folds) == len(self.search.all_folds) for folds in grid):
            report_grid(self.results, self.search.run, configurations, grid, console)
