"""Jobs in worker processes of this machine, one job at a time in each.

Each process has a pipe of its own. In a pool with shared queues, a worker that is killed while it
sends a result leaves half a message, for which the driver waits forever, and nobody can tell which
job was lost. On a pipe of its own the death of a worker is the end of the file, and its job is
known.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2

from common.errors import UserError
from common.owned_folder import claim_for_good, claimed_roots

Job = TypeVar("Job")
Result = TypeVar("Result")
State = TypeVar("State")


class WorkerDied(Exception):
    """The process of a job ended before it gave a result, as often as the job is tried.

    Attributes:
        job: the job.
        attempts: how often it was tried.
    """

    def __init__(self, reason: str, job: Any = None, attempts: int = 1) -> None:
        super().__init__(reason)
        self.job, self.attempts = job, attempts


class ProcessPool(Generic[State]):
    """Processes that each make a state once and are then given one job after the other.

    Args:
        start: makes the state of a process from the process's number, 0 to ``workers`` - 1. It is
            sent to every process once, with all that it refers to.
        workers: number of processes; they are started when they are needed.
        attempts: how often a job is tried whose process dies.
    """

    def __init__(self, start: Callable[[int], State], workers: int, attempts: int = 1) -> None:
        self.workers = workers
        self._start, self._attempts = start, attempts
        self._processes: dict[int, _Process] = {}

    def map(
        self, function: Callable[[State, Job], Result], jobs: Iterable[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Each job with what ``function`` of the state and the job returns, as they are finished.

        Where the caller stops early or a job fails, the processes that are at work are ended.

        Raises:
            WorkerDied: the process of a job died in every attempt.
            Exception: whatever a job raised.
        """
        busy: dict[int, tuple[int, Job]] = {}
        try:
            yield from self._map(function, deque(enumerate(jobs)), busy)
        finally:
            self._stop(busy)

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        self._stop(list(self._processes))

    def _map(
        self,
        function: Callable[[State, Job], Result],
        waiting: deque[tuple[int, Job]],
        busy: dict[int, tuple[int, Job]],
    ) -> Iterator[tuple[Job, Result]]:
        """``busy`` says at any time which process does which job."""
        deaths: Counter[int] = Counter()
        while waiting or busy:
            free = [index for index in range(self.workers) if index not in busy][: len(waiting)]
            # All are started before the first is waited for, which takes what it is given late.
            for index in free:
                self._process(index)
            for index in free:
                busy[index] = waiting.popleft()
                self._process(index).give(function, busy[index][1])
            for index in self._ready(busy):
                number, job = busy.pop(index)
                result = self._result(index)
                if not isinstance(result, WorkerDied):
                    yield job, result
                    continue
                deaths[number] += 1
                if deaths[number] == self._attempts:
                    raise WorkerDied(str(result), job, self._attempts)
                waiting.appendleft((number, job))

    def _stop(self, indices: Iterable[int]) -> None:
        for index in indices:
            process = self._processes.pop(index, None)
            if process is not None:
                process.stop()

    def _process(self, index: int) -> "_Process":
        if index not in self._processes:
            self._processes[index] = _Process(self._start, index)
        return self._processes[index]

    def _ready(self, busy: Iterable[int]) -> list[int]:
        """The processes that have a result or have died; waits for the first one."""
        indices = {self._processes[index].connection: index for index in busy}
        return sorted(indices[connection] for connection in wait(list(indices)))  # type: ignore[index]

    def _result(self, index: int) -> Any:
        try:
            return self._processes[index].result()
        except WorkerDied as death:
            self._stop([index])
            return death


class _Process:
    """The driver's end of one worker process."""

    def __init__(self, start: Callable[[int], Any], index: int) -> None:
        # Spawned, not forked: a fork may inherit held locks of OpenCV, torch, CUDA or a folder.
        context = multiprocessing.get_context("spawn")
        self.connection, others_end = context.Pipe()
        self.process = context.Process(target=_serve, args=(others_end,), daemon=True)
        # Ctrl-C reaches every process of a terminal; the driver decides what it means. What is
        # blocked here stays so in the new process, from its first moment on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # With this copy open, the process's death would not end the pipe.
        others_end.close()
        self._first: list[Any] = [partial(start, index)]

    def give(self, function: Callable[[Any, Job], Any], job: Job) -> None:
        """Start on a job; what makes the state is sent ahead of the first."""
        # A process that has died is noticed, with its job, where the result is read.
        with suppress(ConnectionError):
            while self._first:
                _send(self.connection, self._first.pop())
            _send(self.connection, (function, job))

    def result(self) -> Any:
        """The result of the job in work.

        Raises:
            WorkerDied: the process ended without one.
            Exception: whatever the job raised.
        """
        try:
            result, error = _receive(self.connection)
        except (EOFError, OSError) as end:
            self.process.join()
            raise WorkerDied(f"exit code {self.process.exitcode}") from end
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection) -> None:
    """A worker process: do one job after the other until the driver ends it."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # The death of the driver is either, and nobody is left to tell.
    with suppress(EOFError, ConnectionError):
        state = cache(_receive(connection))
        while True:
            function, job = _receive(connection)
            _send(connection, _outcome(function, state, job))


def _outcome(
    function: Callable[[State, Job], Result], state: Callable[[], State], job: Job
) -> tuple[Result | None, Exception | None]:
    """What the function returns, or what it or the making of the state raised."""
    try:
        return function(state(), job), None
    except Exception as error:  # noqa: BLE001 - raised again in the driver
        error.add_note(traceback.format_exc())
        return None, error


def _leave_with_parent() -> None:
    """A killed driver must not leave workers behind that work for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _send(connection: Connection, message: Any) -> None:
    # Connection.send would put tensors into shared memory, which dies with its process.
    connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def _receive(connection: Connection) -> Any:
    return pickle.loads(connection.recv_bytes())


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """``function`` of every job with one OpenCV thread; results come as they are finished.

    Args:
        function: a function that processes can import, or a partial of one.
        jobs: its arguments.
        workers: processes; with one, or with one job, everything is done in this process.

    Raises:
        UserError: a worker process was killed.
    """
    if workers == 1 or len(jobs) <= 1:
        with _one_opencv_thread():
            yield from map(function, jobs)
        return
    pool = ProcessPool(partial(_start_worker, claimed_roots()), min(workers, len(jobs)))
    try:
        for _, result in pool.map(partial(_without_state, function), jobs):
            yield result
    except WorkerDied as death:
        raise UserError(
            f"a worker process was killed ({death}), perhaps for lack of memory. What is finished "
            "is kept: run the same command again, with fewer workers."
        ) from None
    finally:
        pool.close()


def _without_state(function: Callable[[Job], Result], _: None, job: Job) -> Result:
    return function(job)


def _start_worker(roots: Sequence[tuple[Path, str]], _: int) -> None:
    """What is claimed here is claimed there: writes of workers are recorded too."""
    cv2.setNumThreads(1)
    claim_for_good(roots)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
