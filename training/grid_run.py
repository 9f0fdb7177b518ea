"""A grid search over LOSO folds: what is not on disk yet is trained, then every figure is derived
from what is on disk. A kill at any moment loses at most the group of folds in work."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from common.errors import UserError, name_list
from common.files import lock_folder, remove_unfinished
from datasets import Fold, Inputs, loso_folds
from evaluation.epoch_rules import pooled_uf1, rule_title, rules_footnote, rules_for
from evaluation.expected_clips import write_expected_clips
from evaluation.fold_logits import StoredFold, fold_path, write_fold
from evaluation.predictions import metrics_per_dataset
from evaluation.tables import print_metrics
from training.configuration import Configuration
from training.configuration_results import (
    fold_identity,
    read_folds,
    replace_summary_lines,
    summary_line,
    write_configuration_results,
)
from training.cost import Cost, estimate_cost
from training.executors.base import (
    CreateExecutor,
    Executor,
    ExecutorSettings,
    StartWorker,
    create_executor,
)
from training.fold_counts import fold_counts
from training.grid_summary import remove_grid_report, report_grid
from training.group_task import GroupTask, group_folds
from training.progress import RunProgress
from training.run_record import (
    CONFIGURATIONS,
    Run,
    claim_results_folder,
    note_used_size,
    read_record,
    read_used_sizes,
    release_results_folder,
)
from training.weights_folder import weights_folder, weights_path, write_description, write_weights
from training.worker import GroupOutcome, Worker


@dataclass
class GridSearch:
    """A run with its inputs and places.

    Attributes:
        results: the run's folder.
        weights: folder for weights, or None to keep none.
        subjects: names of the subjects whose folds are run; empty for all. The training clips of a
            fold are all other subjects', whatever is named here.
        executor: who trains.
    """

    run: Run
    inputs: Inputs
    configurations: list[Configuration]
    results: Path
    weights: Path | None = None
    subjects: tuple[str, ...] = ()
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.all_folds = loso_folds(self.inputs.clips, self.run.protocol)
        self.folds = _select(self.all_folds, self.subjects)

    @property
    def keeps_weights(self) -> bool:
        """Whether weights are saved."""
        return self.weights is not None

    def folder(self, configuration: Configuration) -> Path:
        """A configuration's results folder."""
        return self.results / configuration.name

    def is_done(self, configuration: Configuration, fold: Fold) -> bool:
        """Whether everything that this run keeps of a fold is on disk."""
        if self.weights is not None:
            folder = weights_folder(self.weights, self.results, configuration)
            if not weights_path(folder, fold.name).is_file():
                return False
        return fold_path(self.folder(configuration), fold.name).is_file()

    def pending(self) -> list[GroupTask]:
        """The groups that hold a fold still to train, in order.

        Groups are cut from the folds asked for before the finished ones are left out, so that a
        resumed run trains the same groups.
        """
        size, batch = self.run.group_size, self.run.batch_size
        groups = group_folds(self.folds, size, batch)
        return [
            GroupTask(configuration, group)
            for configuration in self.configurations
            for group in groups
            if not all(self.is_done(configuration, fold) for fold in group)
        ]


def run_grid(
    search: GridSearch,
    confirm: Callable[[Cost], None],
    create: CreateExecutor = create_executor,
) -> None:
    """Train what is missing, write and print every configuration's results.

    Args:
        confirm: is shown the cost before anything is trained; raises to refuse it.
        create: makes the executor from the search's settings.

    Raises:
        UserError: the folder is in use or holds another run, or a fold's loss was not finite (all
            other folds are then finished and saved).
    """
    with lock_folder(search.results):
        fresh = read_record(search.results) is None
        claim_results_folder(search.results, search.run, search.configurations)
        remove_unfinished(search.results)
        _write_expected_clips(search)
        _read_what_is_there(search)
        remove_grid_report(search.results)
        _claim_weights_folders(search)
        tasks = search.pending()
        folds = sum(len(task.folds) for task in tasks)
        with RunProgress(folds, search.run.epochs) as progress:
            for configuration in search.configurations:
                if not any(task.configuration is configuration for task in tasks):
                    _report(search, configuration, progress.console)
            if tasks:
                who = create(search.executor, _start_worker(search), search.run)
                with closing(who) as executor:
                    seconds = executor.measure_step(tasks[0])
                    cost = estimate_cost(seconds, tasks, search.run, executor.workers)
                    _confirm(search, confirm, cost, fresh)
                    _train(search, executor, tasks, progress)
        _report_grid(search, progress.console)
    if search.failures:
        raise UserError(" ".join(search.failures))


def _confirm(search: GridSearch, confirm: Callable[[Cost], None], cost: Cost, fresh: bool) -> None:
    """A run that is refused before its first fold does not keep the folder that it found empty."""
    try:
        confirm(cost)
    except UserError:
        if fresh:
            release_results_folder(search.results)
        raise


def _select(folds: list[Fold], subjects: tuple[str, ...]) -> list[Fold]:
    """The folds of the named subjects, by subject or fold name; all of them without names."""
    known = {name for fold in folds for name in (fold.subject, fold.name)}
    unknown = [name for name in subjects if name not in known]
    if unknown:
        names = name_list(fold.name for fold in folds)
        raise UserError(f"no subject is called {name_list(unknown)}. There are: {names}.")
    return [fold for fold in folds if not subjects or {fold.subject, fold.name} & set(subjects)]


def _recorded(search: GridSearch) -> list[str]:
    """The names of all configurations that this folder's search has had, in order."""
    return list((read_record(search.results) or {}).get(CONFIGURATIONS, {}))


def _write_expected_clips(search: GridSearch) -> None:
    """What the folder's results must hold, and what must be said beside each of them."""
    notes, searched = list(search.run.notes), len(_recorded(search))
    if searched > 1:
        notes.append(f"{searched} configurations searched")
    counts = fold_counts(search.inputs.clips, search.all_folds, search.run.synthetic, notes)
    write_expected_clips(search.results, counts)


def _read_what_is_there(search: GridSearch) -> None:
    """Read every stored fold once, so that a damaged or foreign file stops the run at its start."""
    for configuration in search.configurations:
        _stored(search, configuration)


def _claim_weights_folders(search: GridSearch) -> None:
    if search.weights is None:
        return
    for configuration in search.configurations:
        folder = weights_folder(search.weights, search.results, configuration)
        write_description(folder, search.run, configuration)
        remove_unfinished(folder)


def _stored(search: GridSearch, configuration: Configuration) -> list[StoredFold]:
    folder = search.folder(configuration)
    return read_folds(folder, search.run, search.inputs, configuration, search.all_folds)


def _start_worker(search: GridSearch) -> StartWorker:
    """What every worker is made of: it gets the run and its inputs once."""
    return partial(
        Worker,
        search.run,
        search.inputs,
        search.all_folds,
        search.keeps_weights,
        read_used_sizes(search.results),
    )


def _train(
    search: GridSearch, executor: Executor, tasks: list[GroupTask], progress: RunProgress
) -> None:
    """Put every group on disk as it comes; report a configuration when its last group is there."""
    left = Counter(task.configuration.name for task in tasks)
    stored = {c.name: _stored(search, c) for c in search.configurations if c.name in left}

    def tell(task: GroupTask, epoch: int) -> None:
        where = _where(search, task, len(stored[task.configuration.name]))
        progress.epoch(where, len(task.folds), epoch)

    for task, outcome in executor.run(tasks, tell):
        own = stored[task.configuration.name]
        where = _where(search, task, len(own))
        own += _keep(search, task, outcome)
        progress.group(where, len(task.folds), _running_metrics(own))
        left[task.configuration.name] -= 1
        if not left[task.configuration.name]:
            _report(search, task.configuration, progress.console)


def _where(search: GridSearch, task: GroupTask, finished: int) -> str:
    """Words for the group in work."""
    first, last = finished + 1, finished + len(task.folds)
    span = f"fold {first}" if first == last else f"folds {first} to {last}"
    names = name_list(fold.name for fold in task.folds)
    place = search.configurations.index(task.configuration) + 1
    return (
        f"configuration {place} of {len(search.configurations)} ({task.configuration.name}), "
        f"{span} of {len(search.folds)} ({names})"
    )


def _keep(search: GridSearch, task: GroupTask, group: GroupOutcome) -> list[StoredFold]:
    """Write a group's folds, weights first: a fold on disk is complete."""
    if group.size < len(task.folds):
        note_used_size(search.results, task, group.size)
    kept = []
    for fold, trained in zip(task.folds, group.folds, strict=True):
        outcome = trained.outcome
        if outcome.failed_epoch is not None:
            search.failures.append(
                f"fold {fold.name} of configuration {task.configuration.name}: the loss was not "
                f"finite in epoch {outcome.failed_epoch}; try a lower --learning-rate. "
                "The other folds are saved."
            )
            continue
        if outcome.weights is not None and search.weights is not None:
            folder = weights_folder(search.weights, search.results, task.configuration)
            write_weights(folder, fold.name, outcome.weights)
        identity = fold_identity(search.run, search.inputs, task.configuration, fold)
        kept.append(StoredFold(identity, outcome.logits, outcome.losses, trained.inner))
        write_fold(search.folder(task.configuration), kept[-1])
    return kept


def _running_metrics(stored: list[StoredFold]) -> str:
    """UF1 of the folds so far under every rule, in a few words."""
    if not stored:
        return "no fold finished"
    parts = []
    for rule in rules_for(stored):
        parts.append(f"{pooled_uf1(rule, stored):.3f} {rule_title(rule)}")
    return f"UF1 so far {', '.join(parts)}"


def _report(search: GridSearch, configuration: Configuration, console: Console) -> None:
    """Write and print one configuration's results; its summary lines only when it is complete."""
    stored = _stored(search, configuration)
    if not stored:
        return
    folder, run = search.folder(configuration), search.run
    rows = write_configuration_results(folder, run, configuration, stored, len(search.all_folds))
    classes = len(run.class_names)
    figures = {rule_title(rule): metrics_per_dataset(part, classes) for rule, part in rows.items()}
    complete = len(stored) == len(search.all_folds)
    if complete:
        mark = "".join(f" | {note}" for note in run.notes)
        full = {rule: figures[rule_title(rule)]["full"] for rule in rows}
        lines = [summary_line(configuration, full[rule], rule) + mark for rule in rows]
        replace_summary_lines(search.results, configuration, lines)
    scope = "" if complete else f", PARTIAL: {len(stored)} of {len(search.all_folds)} folds"
    notes = "".join(f", {note}" for note in run.notes)
    title = f"{configuration.label} ({run.clips} clips{notes}, seed {run.seed}{scope})"
    print_metrics(console, figures, title, footnote=rules_footnote(rows))
    console.print(f"written: {folder}", soft_wrap=True)


def _report_grid(search: GridSearch, console: Console) -> None:
    """Write and print what may be quoted of the search, once every configuration is complete.

    The search is what the folder has ever been asked for, in that order: leaving configurations out
    of a later command, or naming them in another order, must not choose among them.
    """
    recorded = _recorded(search)
    asked = {configuration.name: configuration for configuration in search.configurations}
    if set(recorded) - set(asked):
        console.print(
            f"{len(recorded)} configurations were searched in {search.results}: name them all in "
            "one command to see what may be quoted of the search.",
            highlight=False,
        )
        return
    configurations = [asked[name] for name in recorded]
    grid = [_stored(search, configuration) for configuration in configurations]
    if len(grid) > 1 and all(len(folds) == len(search.all_folds) for folds in grid):
        report_grid(search.results, search.run, configurations, grid, console)
