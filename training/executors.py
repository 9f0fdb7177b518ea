"""Who trains the groups: this process, here. Results come back to the caller, who writes them."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from training.group_task import GroupTask
from training.worker import GroupOutcome, Worker

EpochListener = Callable[[GroupTask, int], None]


class Executor(Protocol):
    """Trains groups of folds and hands them back as they are finished, in any order."""

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """Train every task; ``on_epoch`` may be told of finished epochs (from 1) of a task."""
        ...


class LocalExecutor:
    """Trains one group after the other in this process."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``; a group is trained when its turn comes."""
        for task in tasks:
            yield task, self.worker.train(task, partial(on_epoch, task))
