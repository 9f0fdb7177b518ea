"""Worker processes: their driver dies, and the results are the same bytes."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import main_train_for_parameter_tuning as grid_script
from common.errors import UserError
from common.process_pool import ProcessPool, WorkerDied
from datasets import Fold
from tests.helpers.scripts import ROOT, folder_bytes, run_here, start
from training.configuration import Configuration
from training.executor import StartWorker
from training.group_task import GroupTask
from training.process_executor import ProcessExecutor


def test_a_task_that_kills_every_worker_is_given_up_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deaths themselves are tried in tests/test_process_pool.py."""

    def die(pool: ProcessPool[object], function: object, tasks: list[GroupTask]) -> Iterator[None]:
        raise WorkerDied("exit code -9", tasks[0], pool._attempts)
        yield

    monkeypatch.setattr(ProcessPool, "map", die)
    none = np.arange(0)
    task = GroupTask(Configuration("0.5_1_1_2", ""), (Fold("smic", "s1", "deadly", none, none),))
    executor = ProcessExecutor(cast(StartWorker, None), workers=2)
    with pytest.raises(UserError, match=r"fold deadly of configuration 0.5_1_1_2: .* died 3 times"):
        list(executor.run([task], lambda *_: None))


def children(process: int) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_two_workers_and_a_killed_driver_give_the_bytes_of_one_process(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a network that draws numbers in training; resumed here, by this process."""

    def arguments(place: str) -> tuple[object, ...]:
        folder = tmp_path / place
        kept = ("--results", folder / "results", "--weights", folder / "weights")
        own = ("--method", ROOT / "docs" / "examples" / "my_cnn.py", "--epochs", 40)
        return ("--inputs", tiny_folder, *own, "--save-weights", *kept)

    assert run_here(monkeypatch, grid_script.main, *arguments("one")) == 0
    command = (*arguments("two"), "--workers", 2)
    driver = start("main_train_for_parameter_tuning.py", *command)
    workers: list[int] = []
    assert driver.stdout is not None
    for line in driver.stdout:
        if "folds: 2 of 4" in line:
            workers = children(driver.pid)
            driver.kill()
    driver.communicate()
    assert len(workers) >= 2
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").is_dir() for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").is_dir() for pid in workers)
    stored = len(list((tmp_path / "two" / "results" / "my_cnn" / "folds").glob("*.npz")))
    assert 2 <= stored < 4
    assert run_here(monkeypatch, grid_script.main, *arguments("two")) == 0
    assert folder_bytes(tmp_path / "two") == folder_bytes(tmp_path / "one")
