"""Worker processes: they die, they raise, their driver dies; the results are the same bytes."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

import main_train_for_parameter_tuning as grid_script
from common.errors import UserError
from tests.helpers.noting_worker import NotingWorker, task_named
from tests.helpers.scripts import folder_bytes, run_here, start
from training.executor import StartWorker
from training.process_executor import ProcessExecutor

SMALL = ("--method", "causalnet_compact", "--epochs", 8, "--group-size", 1, "--save-weights")
CONFIGURATION = "0.5_1_1_2"


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers note what they start."""
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def executor(notes: Path) -> Iterator[ProcessExecutor]:
    """Two processes, shared by the tests: starting one takes seconds."""
    executor = ProcessExecutor(cast(StartWorker, partial(NotingWorker, notes)), workers=2)
    yield executor
    executor.close()


def results(executor: ProcessExecutor, *names: str) -> dict[str, object]:
    found = executor.run([task_named(name) for name in names], lambda task, epoch: None)
    return {task.folds[0].name: outcome for task, outcome in found}


def test_a_killed_worker_s_task_runs_again(executor: ProcessExecutor, notes: Path) -> None:
    names = ("a", "deadly once", "b", "c")
    assert results(executor, *names) == {name: f"{name} is trained" for name in names}
    starts = {name: len(NotingWorker(notes).processes(name)) for name in names}
    assert starts == {"a": 1, "deadly once": 2, "b": 1, "c": 1}


def test_an_error_in_a_worker_is_raised_here_with_its_place(executor: ProcessExecutor) -> None:
    with pytest.raises(ValueError, match="this fold is wrong") as caught:
        results(executor, "wrong")
    assert "noting_worker.py" in caught.value.__notes__[0]


def test_a_task_that_kills_every_worker_is_given_up_by_name(
    executor: ProcessExecutor, notes: Path
) -> None:
    with pytest.raises(UserError, match=r"fold deadly of configuration 0.5_1_1_2: .* died 3 times"):
        results(executor, "deadly")
    assert len(NotingWorker(notes).processes("deadly")) == 3


def test_closing_ends_workers_in_the_middle_of_a_task(
    executor: ProcessExecutor, notes: Path
) -> None:
    found = executor.run([task_named("d"), task_named("endless")], lambda task, epoch: None)
    next(found)
    while not (notes / "endless").is_file() or not NotingWorker(notes).processes("endless"):
        time.sleep(0.02)
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(NotingWorker(notes).processes("endless")[0], 0)


def children(process: int) -> list[int]:
    return [
        int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
def test_two_workers_and_a_killed_driver_give_the_bytes_of_one_process(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arguments(place: str) -> tuple[object, ...]:
        folder = tmp_path / place
        kept = ("--results", folder / "results", "--weights", folder / "weights")
        return ("--inputs", tiny_folder, *SMALL, *kept)

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
    stored = len(list((tmp_path / "two" / "results" / CONFIGURATION / "folds").glob("*.npz")))
    assert 2 <= stored < 4
    assert run_here(monkeypatch, grid_script.main, *arguments("two")) == 0
    assert folder_bytes(tmp_path / "two") == folder_bytes(tmp_path / "one")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workers", 0), "--workers 0: give a whole number"),
        (("--ray-address", "auto"), "need --executor ray"),
        (("--executor", "ray", "--workers", 2), "--workers works with --executor local only"),
        (("--executor", "ray", "--cpus-per-task", 0), "--cpus-per-task must be above 0"),
        (("--executor", "ray", "--device", "cuda"), "--device cuda with --gpus-per-task 0"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(
    arguments: tuple[object, ...],
    message: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = ("--inputs", tiny_folder, "--results", tmp_path, *SMALL)
    assert run_here(monkeypatch, grid_script.main, *kept, *arguments) == 2
    assert message in capsys.readouterr().err
