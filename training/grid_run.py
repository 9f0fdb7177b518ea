"""Leave-one-subject-out over a grid: what is not on disk yet is trained, and every result is made
from what is on disk. A kill at any moment loses at most the groups of folds in work."""

import math
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial

from rich.console import Console

from common.errors import UserError, name_list
from common.progress import Progress
from training.configuration import Configuration
from training.cost import Cost, estimate_cost
from training.executor import CreateExecutor, Executor, LocalExecutor, create_executor
from training.group_task import GroupTask
from training.run_folder import GridSearch, RunFolder
from training.worker import Worker

__all__ = ["GridSearch", "run_grid"]

WORTH_PROCESSES_SECONDS = 30.0
"""A run that takes longer on one core is shared among processes; starting one takes seconds."""


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
        UserError: the folder is in use or holds another run, the method does not work, or a fold's
            loss was not finite (all other folds are then finished and saved).
    """
    with RunFolder(search) as folder:
        found = folder.found
        if found:
            folder.log(f"resumed: {found} folds are finished already")
        # Made once, and only where it is asked how the folds may be grouped.
        probe = cache(_start_worker(folder))
        tasks = folder.pending(partial(_group_size, folder, probe))
        folds = sum(len(task.folds) for task in tasks)
        console = Console(highlight=False)
        with ExitStack() as stack:
            # Whatever may refuse the start comes before anything is written.
            executor = None
            if tasks:
                executor = stack.enter_context(closing(_start(folder, tasks, confirm, create)))
            folder.begin()
            progress = Progress(folds, f"{search.run.method}, folds", math.inf)
            stack.enter_context(progress)
            pending = {task.configuration.name for task in tasks}
            for configuration in search.configurations:
                if configuration.name not in pending:
                    folder.report(configuration, console)
            if executor is not None:
                _train(folder, executor, tasks, progress, console)
        folder.report_grid(console)
        for failure in folder.failures:
            folder.log(failure)
        if folder.failures and not folder.found:
            # Nothing was kept: the folder is left as it was before, for a run that works.
            raise UserError(folder.failure)
    if folder.failures:
        raise UserError(folder.failure)


def _group_size(
    folder: RunFolder, probe: Callable[[], Worker], configuration: Configuration
) -> int:
    """Folds that are trained together: 1 where stacking them would change what they learn."""
    size = folder.search.run.group_size
    if size == 1 or folder.search.run.training is None:
        return 1
    reason = probe().why_alone(configuration)
    if reason is None:
        return size
    folder.log(f"{configuration.name}: folds are trained one at a time, since {reason}")
    return 1


def _start_worker(folder: RunFolder) -> Callable[[], Worker]:
    """What every worker is made of: it gets the run and its inputs once."""
    search = folder.search
    return partial(
        Worker,
        search.run,
        search.method,
        search.inputs,
        search.all_folds,
        search.weights is not None,
        folder.used_sizes,
        search.initial,
    )


def _start(
    folder: RunFolder,
    tasks: list[GroupTask],
    confirm: Callable[[Cost], None],
    create: CreateExecutor,
) -> Executor:
    """The executor, once the measured cost is confirmed."""
    search = folder.search
    print("measuring what a training step costs ...", flush=True)
    executor = create(search.executor, _start_worker(folder), search.run)
    try:
        seconds = executor.measure_step(tasks[0])
        cost = estimate_cost(seconds, tasks, search.run, search.method, executor.workers)
        if isinstance(executor, LocalExecutor) and cost.seconds > WORTH_PROCESSES_SECONDS:
            more = search.executor.automatic_workers(search.run.device, len(tasks))
            if more > 1:
                executor = create(
                    search.executor.with_workers(more), _start_worker(folder), search.run
                )
                cost = estimate_cost(seconds, tasks, search.run, search.method, more)
        confirm(cost)
    except BaseException:
        executor.close()
        raise
    return executor


def _train(
    folder: RunFolder,
    executor: Executor,
    tasks: list[GroupTask],
    progress: Progress,
    console: Console,
) -> None:
    """Put every group on disk as it comes; report a configuration when its last group is there."""
    left = Counter(task.configuration.name for task in tasks)
    finished, epochs, metrics = 0, folder.search.run.epochs, ""

    def tell(task: GroupTask, epoch: int) -> None:
        done = finished + len(task.folds) * epoch / epochs
        words = f"epoch {epoch} of {epochs}, {_where(folder, task)}"
        progress.update(done, ", ".join(filter(None, [metrics, words])))

    for task, outcome in executor.run(tasks, tell):
        where = _where(folder, task)
        folder.keep(task, outcome)
        finished += len(task.folds)
        metrics = folder.running_metrics(task.configuration)
        progress.update(finished, f"{metrics}, {where}", print_line=True)
        left[task.configuration.name] -= 1
        if not left[task.configuration.name]:
            folder.report(task.configuration, console)


def _where(folder: RunFolder, task: GroupTask) -> str:
    """Words for the group in work."""
    search = folder.search
    names = name_list(fold.name for fold in task.folds)
    if len(search.configurations) == 1:
        return names
    place = search.configurations.index(task.configuration) + 1
    return (
        f"{names} of configuration {place} of {len(search.configurations)} "
        f"({task.configuration.name})"
    )
