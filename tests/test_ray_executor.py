"""A Ray cluster of two nodes on this machine: one is killed in mid-run, the bytes stay the same."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import main_train_for_parameter_tuning as grid_script
import training.grid_run
from tests.helpers.scripts import folder_bytes, run_here, start
from training.group_task import GroupTask
from training.worker import GroupOutcome, Worker

ray = pytest.importorskip("ray", reason="Ray is not installed (requirements-ray.txt)")

SMALL = ("--method", "causalnet_compact", "--epochs", 2, "--group-size", 1, "--save-weights")
MOST_SECONDS = 120.0
# By default Ray takes half a minute to see that a node is gone.
QUICK_HEALTH_CHECK = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000}


class NotingWorker(Worker):
    """Notes on which node a task starts; on the doomed node it never comes to an end."""

    def __init__(self, notes: Path, doomed: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.notes, self.doomed = notes, doomed

    def train(self, task: GroupTask, *more: Any) -> GroupOutcome:
        node = ray.get_runtime_context().get_node_id()
        name = f"{task.configuration.name}-{task.folds[0].name}"
        (self.notes / f"{name}-{node}").touch()
        if node == self.doomed:
            time.sleep(2 * MOST_SECONDS)
        return super().train(task, *more)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": QUICK_HEALTH_CHECK}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.mark.slow
def test_a_node_killed_in_mid_run_changes_no_byte(
    cluster: Any, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(place: str, *more: object) -> object:
        kept = (
            "--results",
            tmp_path / place / "results",
            "--weights",
            tmp_path / place / "weights",
        )
        grid = ("--inputs", tiny_folder, *SMALL, "--gammas", 0.3, 0.5)
        return run_here(monkeypatch, grid_script.main, *grid, *kept, *more)

    def kill_the_node() -> None:
        stored = tmp_path / "cluster" / "results"
        wait_until(lambda: any(notes.glob(f"*-{doomed.node_id}")))
        wait_until(lambda: len(list(stored.rglob("*.npz"))) >= 3)
        cluster.remove_node(doomed, allow_graceful=False)

    assert search("local") == 0
    notes = tmp_path / "notes"
    notes.mkdir()
    doomed = cluster.add_node(num_cpus=1)
    noting = partial(NotingWorker, notes, doomed.node_id)
    monkeypatch.setattr(training.grid_run, "Worker", noting)
    killer = threading.Thread(target=kill_the_node)
    killer.start()
    assert search("cluster", "--executor", "ray", "--ray-address", cluster.address) == 0
    killer.join()
    lost = [
        path.name.removesuffix(f"-{doomed.node_id}") for path in notes.glob(f"*-{doomed.node_id}")
    ]
    assert len(lost) == 1
    assert len(list(notes.glob(f"{lost[0]}-*"))) == 2
    assert folder_bytes(tmp_path / "cluster") == folder_bytes(tmp_path / "local")


@pytest.mark.slow
def test_a_killed_driver_resumes_on_the_cluster(
    cluster: Any, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flags(place: str) -> tuple[object, ...]:
        folder = tmp_path / place
        kept = ("--results", folder / "results", "--weights", folder / "weights")
        return ("--inputs", tiny_folder, *SMALL, *kept)

    assert run_here(monkeypatch, grid_script.main, *flags("local")) == 0
    command = (*flags("cluster"), "--executor", "ray", "--ray-address", cluster.address)
    driver = start("main_train_for_parameter_tuning.py", *command)
    assert driver.stdout is not None
    for line in driver.stdout:
        if "folds: 2 of 4" in line:
            driver.kill()
    driver.communicate()
    assert 2 <= len(list((tmp_path / "cluster").rglob("*.npz"))) < 4
    assert run_here(monkeypatch, grid_script.main, *command) == 0
    assert folder_bytes(tmp_path / "cluster") == folder_bytes(tmp_path / "local")


@pytest.mark.slow
def test_a_cluster_without_room_for_a_group_is_refused(
    cluster: Any,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ("--inputs", tiny_folder, "--results", tmp_path, *SMALL, "--executor", "ray")
    more = ("--ray-address", cluster.address, "--gpus-per-task", 0.5)
    assert run_here(monkeypatch, grid_script.main, *run, *more) == 2
    assert "(1 alive) has 1 CPU and 0.5 GPU for a group" in capsys.readouterr().err


def test_a_missing_cluster_is_refused_at_once(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = ("--inputs", tiny_folder, "--results", tmp_path, *SMALL, "--executor", "ray")
    assert run_here(monkeypatch, grid_script.main, *run, "--ray-address", "127.0.0.1:1") == 2
    assert "Ray cluster 127.0.0.1:1: " in capsys.readouterr().err
