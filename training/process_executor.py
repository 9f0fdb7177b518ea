"""Trains groups in worker processes of this machine, one group at a time in each."""

from collections.abc import Iterable, Iterator

import torch

from common.errors import UserError, name_list
from common.process_pool import ProcessPool, WorkerDied
from training.cost import measure_step
from training.executor import EpochListener, StartWorker, train_task
from training.group_task import GroupTask
from training.worker import GroupOutcome, Worker

MOST_ATTEMPTS = 3


class ProcessExecutor:
    """Worker processes that each hold the inputs and are given one group after the other.

    Args:
        start_worker: makes a worker; it is sent to every process once, with the inputs in it.
        workers: number of processes; they are started as they are needed.
        gpus: worker i computes on GPU i modulo this number; 0 without GPUs.
    """

    def __init__(self, start_worker: StartWorker, workers: int, gpus: int = 0) -> None:
        self.workers = workers
        self._pool = ProcessPool(_StartOnGpu(start_worker, gpus), workers, MOST_ATTEMPTS)

    def measure_step(self, task: GroupTask) -> float:
        """See ``Executor``; the others idle meanwhile."""
        ((_, seconds),) = self._pool.map(measure_step, [task])
        return seconds

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``; epochs are not told, as several groups are in work at once."""
        try:
            yield from self._pool.map(train_task, tasks)
        except WorkerDied as death:
            raise UserError(_gave_up(death)) from death

    def close(self) -> None:
        """See ``Executor``."""
        self._pool.close()


class _StartOnGpu:
    """Makes the worker of a process, on its GPU where there are any."""

    def __init__(self, start_worker: StartWorker, gpus: int) -> None:
        self.start_worker, self.gpus = start_worker, gpus

    def __call__(self, index: int) -> Worker:
        if self.gpus:
            torch.cuda.set_device(index % self.gpus)
        return self.start_worker()


def _gave_up(death: WorkerDied) -> str:
    names = name_list(fold.name for fold in death.job.folds)
    return (
        f"fold {names} of configuration {death.job.configuration.name}: its worker process died "
        f"{death.attempts} times ({death}; -9 is a kill, often for want of memory). Finished folds "
        "are saved; repeat the command, with fewer --workers or a smaller --group-size."
    )
