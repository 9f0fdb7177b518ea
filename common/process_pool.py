"""Jobs in processes of one OpenCV thread each; one worker means this process."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2

from common.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    """``function`` of every job; results come as they are finished, in any order.

    Args:
        function: a function that processes can import, or a partial of one.
        jobs: its arguments.
        workers: processes; with one, or with one job, everything is done in this process.

    Raises:
        UserError: a worker process was killed.
    """
    if workers == 1 or len(jobs) <= 1:
        with _one_opencv_thread():
            for job in jobs:
                yield function(job)
        return
    # Spawned, not forked: a forked child would inherit the folder's lock and OpenCV's threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _prepare_worker)
    try:
        for future in as_completed([pool.submit(function, job) for job in jobs]):
            yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for lack of memory. What is finished is kept: "
            "run the same command again, with fewer workers."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """One OpenCV thread a process; and no process outlives a killed parent."""
    cv2.setNumThreads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
