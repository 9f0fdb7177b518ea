"""Who trains the groups of folds. Results come back to the caller, who alone writes them.

``local``: this process, or a worker process for each of ``--workers`` (``process_executor.py``).
``ray``: a Ray cluster (``ray_executor.py``). Who trains a fold changes no byte of its results.
"""

import os
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import torch

from common.errors import UserError
from training.cost import measure_step
from training.group_task import GroupTask
from training.run_record import Run
from training.worker import GroupOutcome, Worker

StartWorker = Callable[[], Worker]
EpochListener = Callable[[GroupTask, int], None]


class Executor(Protocol):
    """Trains groups of folds and hands them back as they are finished, in any order."""

    @property
    def workers(self) -> int:
        """How many groups are trained at the same time."""
        ...

    def measure_step(self, task: GroupTask) -> float:
        """Seconds of an optimizer step of a group, measured where groups are trained."""
        ...

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """Train every task; ``on_epoch`` may be told of finished epochs (from 1) of a task.

        Raises:
            UserError: a group's worker died again and again; the message names the folds.
        """
        ...

    def close(self) -> None:
        """Stop at once, whatever is in work."""
        ...


def train_task(worker: Worker, task: GroupTask) -> GroupOutcome:
    """What executors send to a worker elsewhere."""
    return worker.train(task)


class LocalExecutor:
    """Trains one group after the other in this process."""

    workers = 1

    def __init__(self, start_worker: StartWorker) -> None:
        self.worker = start_worker()

    def measure_step(self, task: GroupTask) -> float:
        """See ``Executor``."""
        return measure_step(self.worker, task)

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``; a group is trained when its turn comes."""
        for task in tasks:
            yield task, self.worker.train(task, partial(on_epoch, task))

    def close(self) -> None:
        """See ``Executor``; nothing runs beside the caller."""


@dataclass(frozen=True)
class ExecutorSettings:
    """Who trains; nothing here changes a byte of the results.

    Attributes:
        workers: local worker processes; None: one a GPU where there are several; on a CPU as
            many as pay and as memory allows.
        ray_address: of a Ray cluster; None: ``$RAY_ADDRESS``, else this machine alone.
        cpus_per_task: cores that Ray keeps for a group in work; None: the run's threads.
        gpus_per_task: GPUs, or the part of one, that Ray keeps for a group in work.
    """

    kind: Literal["local", "ray"] = "local"
    workers: int | None = None
    ray_address: str | None = None
    cpus_per_task: float | None = None
    gpus_per_task: float = 0.0

    def __post_init__(self) -> None:
        given = self.ray_address or self.cpus_per_task or self.gpus_per_task
        if self.kind == "ray" and self.workers is not None:
            raise UserError(
                "--workers works with --executor local only; a Ray cluster sets the number itself."
            )
        if self.kind == "local" and given:
            raise UserError("--ray-address, --cpus-per-task, --gpus-per-task need --executor ray.")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers {self.workers}: must be a whole number from 1.")
        if self.gpus_per_task < 0 or (self.cpus_per_task is not None and self.cpus_per_task <= 0):
            raise UserError("--cpus-per-task must be above 0 and --gpus-per-task not negative.")

    def local_workers(self, device: str) -> int:
        """Worker processes on this machine to begin with; 1 is this process."""
        return self.workers or max(1, gpu_count(device))

    def automatic_workers(self, device: str, groups: int) -> int:
        """Processes for a long run on a CPU where none are asked for: one a core, as far as there
        are groups and as this process's peak memory fits into what is free."""
        if self.workers is not None or self.kind != "local" or device != "cpu":
            return 1
        return max(1, min(len(os.sched_getaffinity(0)), groups, _processes_that_fit()))

    def with_workers(self, workers: int) -> "ExecutorSettings":
        """The same with that many local processes."""
        return replace(self, workers=workers)


def _processes_that_fit() -> int:
    """How many more processes of this one's peak memory fit into what is free (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)
    return free // resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def gpu_count(device: str) -> int:
    """GPUs of this machine that a run on that device uses."""
    return torch.cuda.device_count() if device == "cuda" else 0


CreateExecutor = Callable[[ExecutorSettings, StartWorker, Run], Executor]


def create_executor(settings: ExecutorSettings, start_worker: StartWorker, run: Run) -> Executor:
    """The executor that the settings ask for; close it at the end."""
    # Imported where used: both import this module's definitions, and Ray is an optional extra.
    if settings.kind == "ray":
        from training.ray_executor import RayExecutor

        cpus = run.threads if settings.cpus_per_task is None else settings.cpus_per_task
        return RayExecutor(start_worker, settings.ray_address, cpus, settings.gpus_per_task)
    workers = settings.local_workers(run.device)
    if workers == 1:
        return LocalExecutor(start_worker)
    from training.process_executor import ProcessExecutor

    return ProcessExecutor(start_worker, workers, gpu_count(run.device))
