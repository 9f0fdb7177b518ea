"""Trains groups in worker processes of this machine, one group at a time in each.

Each process has a pipe of its own. In a pool with shared queues, a worker that is killed while it
sends a result leaves half a message that the driver waits on for ever, and nobody can tell which
task was lost; on a pipe of its own its death is the end of the file, and its task is known.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from common.errors import UserError, name_list
from training.cost import measure_step
from training.executors.base import EpochListener, StartWorker, train_task
from training.group_task import GroupTask
from training.worker import GroupOutcome, Worker

Result = TypeVar("Result")

MOST_ATTEMPTS = 3


class ProcessExecutor:
    """Worker processes that each hold the inputs and are handed one group after the other.

    Args:
        start_worker: makes a worker; it is sent to every process once, with the inputs in it.
        workers: number of processes; they are started as they are needed.
        gpus: worker i computes on GPU i modulo this number; 0 without GPUs.
    """

    def __init__(self, start_worker: StartWorker, workers: int, gpus: int = 0) -> None:
        self.workers = workers
        self._start_worker, self._gpus = start_worker, gpus
        self._processes: dict[int, _WorkerProcess] = {}

    def measure_step(self, task: GroupTask) -> float:
        """See ``Executor``; the others idle meanwhile."""
        return next(seconds for _, seconds in self._map(measure_step, [task]))

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``; epochs are not told, as several groups are in work at once."""
        return self._map(train_task, tasks)

    def close(self) -> None:
        """See ``Executor``."""
        for process in self._processes.values():
            process.stop()
        self._processes.clear()

    def _map(
        self, function: Callable[[Worker, GroupTask], Result], tasks: Iterable[GroupTask]
    ) -> Iterator[tuple[GroupTask, Result]]:
        """``function`` of every task, as they come; a task whose process dies runs again."""
        waiting = deque(enumerate(tasks))
        busy: dict[int, tuple[int, GroupTask]] = {}
        deaths: Counter[int] = Counter()
        while waiting or busy:
            for place in range(self.workers):
                if waiting and place not in busy:
                    busy[place] = waiting.popleft()
                    self._process(place).give(function, busy[place][1])
            for place in self._ready(busy):
                number, task = busy.pop(place)
                try:
                    result = self._process(place).result()
                except WorkerDied as death:
                    self._processes.pop(place).stop()
                    deaths[number] += 1
                    if deaths[number] == MOST_ATTEMPTS:
                        raise UserError(_gave_up(task, death)) from death
                    waiting.appendleft((number, task))
                    continue
                yield task, result

    def _process(self, place: int) -> "_WorkerProcess":
        if place not in self._processes:
            gpu = place % self._gpus if self._gpus else None
            self._processes[place] = _WorkerProcess(self._start_worker, gpu)
        return self._processes[place]

    def _ready(self, busy: Iterable[int]) -> list[int]:
        """The places whose process has a result or has died; waits for the first one."""
        places = {self._processes[place].connection: place for place in busy}
        return sorted(places[connection] for connection in wait(list(places)))  # type: ignore[index]


class WorkerDied(Exception):
    """A worker process ended before it gave its result."""


class _WorkerProcess:
    """The driver's end of one worker process."""

    def __init__(self, start_worker: StartWorker, gpu: int | None) -> None:
        # Not forked: a fork of a process that has used torch's threads or CUDA is not safe.
        context = multiprocessing.get_context("spawn")
        self.connection, others_end = context.Pipe()
        arguments = (others_end, start_worker, gpu)
        self.process = context.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        # With this copy open, the process's death would not end the pipe.
        others_end.close()

    def give(self, function: Callable[[Worker, GroupTask], Any], task: GroupTask) -> None:
        """Start on a task."""
        # A process that has died is noticed, with its task, where the result is read.
        with suppress(ConnectionError):
            _send(self.connection, (function, task))

    def result(self) -> Any:
        """The result of the task in work.

        Raises:
            WorkerDied: the process ended without one.
            Exception: whatever the task raised.
        """
        try:
            result = _receive(self.connection)
        except (EOFError, OSError) as error:
            self.process.join()
            raise WorkerDied(f"exit code {self.process.exitcode}") from error
        if isinstance(result, Exception):
            raise result
        return result

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, start_worker: StartWorker, gpu: int | None) -> None:
    """A worker process: do one task after the other until the driver ends it."""
    # Ctrl-C reaches every process of a terminal; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    worker = None
    while True:
        try:
            function, task = _receive(connection)
        except EOFError:
            return
        try:
            if worker is None:
                if gpu is not None:
                    torch.cuda.set_device(gpu)
                worker = start_worker()
            result = function(worker, task)
        except Exception as error:  # noqa: BLE001 - raised again in the driver
            error.add_note(traceback.format_exc())
            result = error
        _send(connection, result)


def _end_with_driver() -> None:
    """A killed driver must not leave workers that go on training for nobody."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def _send(connection: Connection, message: Any) -> None:
    # Connection.send would put tensors into shared memory, which dies with its process.
    connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())


def _gave_up(task: GroupTask, death: WorkerDied) -> str:
    names = name_list(fold.name for fold in task.folds)
    return (
        f"fold {names} of configuration {task.configuration.name}: its worker process died "
        f"{MOST_ATTEMPTS} times ({death}; -9 is a kill, often for want of memory). Finished folds "
        "are saved; repeat the command, with fewer --workers or a smaller --group-size."
    )
