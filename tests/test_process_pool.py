"""Worker processes: each job is done once, deaths and errors are known by their job."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import Pipe
from pathlib import Path

import cv2
import pytest

from common import process_pool
from common.errors import UserError
from common.process_pool import ProcessPool, WorkerDied, run_jobs
from tests.helpers.scripts import ROOT


class Notes:
    """The state of a process: notes every job that is begun in a folder."""

    def __init__(self, folder: Path, place: int) -> None:
        self.folder, self.place = folder, place

    def begin(self, job: str) -> int:
        """Note the job; how often it has been begun."""
        with (self.folder / job).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return len(begun(self.folder, job))


def begun(folder: Path, job: str) -> list[int]:
    return [int(line) for line in (folder / job).read_text().split()]


def work(state: Notes, job: str) -> str:
    count = state.begin(job)
    if job == "deadly" or (job == "deadly once" and count == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "endless":
        time.sleep(3600)
    if job == "wrong":
        raise ValueError("this job is wrong")
    return f"{job} by {state.place}"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ProcessPool[Notes]]:
    """Two processes that try a job twice."""
    pool = ProcessPool(partial(Notes, tmp_path), workers=2, attempts=2)
    yield pool
    pool.close()


def test_every_job_is_done_once_by_few_processes(pool: ProcessPool[Notes], tmp_path: Path) -> None:
    jobs = ["a", "b", "deadly once", "c", "d"]
    found = dict(pool.map(work, jobs))
    assert {job: result.rpartition(" by ")[0] for job, result in found.items()} == {
        job: job for job in jobs
    }
    assert {job: len(begun(tmp_path, job)) for job in jobs} == {
        job: 2 if job == "deadly once" else 1 for job in jobs
    }
    assert len({pid for job in jobs for pid in begun(tmp_path, job)}) <= 3


def test_errors_and_deaths_name_their_job_and_the_pool_goes_on(
    pool: ProcessPool[Notes], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="this job is wrong") as raised:
        list(pool.map(work, ["wrong"]))
    assert "test_process_pool.py" in raised.value.__notes__[0]
    with pytest.raises(WorkerDied, match="exit code -9") as died:
        list(pool.map(work, ["deadly"]))
    assert (died.value.job, died.value.attempts) == ("deadly", 2)
    assert len(begun(tmp_path, "deadly")) == 2
    assert [job for job, _ in pool.map(work, ["e"])] == ["e"]


def test_stopping_early_ends_the_jobs_at_work(pool: ProcessPool[Notes], tmp_path: Path) -> None:
    found = pool.map(work, ["f", "endless"])
    assert next(found)[0] == "f"
    while not (tmp_path / "endless").is_file() or not begun(tmp_path, "endless"):
        time.sleep(0.02)
    found.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(begun(tmp_path, "endless")[0], 0)
    # Nothing of the old jobs is taken for a result of the new one.
    assert dict(pool.map(work, ["g"])).keys() == {"g"}


def thread_count(job: int) -> tuple[int, int]:
    return job, cv2.getNumThreads()


def end_process(job: int) -> None:
    os._exit(3)


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_run_with_one_opencv_thread_whatever_the_workers(workers: int) -> None:
    before = cv2.getNumThreads()
    assert sorted(run_jobs(thread_count, [1, 2, 3], workers)) == [(1, 1), (2, 1), (3, 1)]
    assert cv2.getNumThreads() == before
    assert list(run_jobs(thread_count, [], workers)) == []


def test_a_killed_worker_is_said_with_what_to_do() -> None:
    with pytest.raises(UserError, match=r"killed \(exit code 3\).*with fewer workers"):
        list(run_jobs(end_process, [1, 2], 2))


def test_a_worker_whose_driver_died_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for unread in ([b"a result"], []):
        driver, worker = Pipe()
        for message in unread:
            worker.send_bytes(message)
        driver.close()
        process_pool._serve(worker)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "from functools import partial; from pathlib import Path\n"
        "from common.process_pool import ProcessPool\n"
        "from tests.test_process_pool import Notes, work\n"
        "if __name__ == '__main__':\n"
        f"    pool = ProcessPool(partial(Notes, Path({str(tmp_path)!r})), 1)\n"
        "    list(pool.map(work, ['endless']))\n"
    )
    driver = os.spawnve(
        os.P_NOWAIT, sys.executable, [sys.executable, "-c", script],
        {**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (tmp_path / "endless").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    (worker,) = begun(tmp_path, "endless")
    os.kill(driver, signal.SIGKILL)
    os.waitpid(driver, 0)
    while Path(f"/proc/{worker}").is_dir() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").is_dir()
