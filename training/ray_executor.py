"""Trains groups on a Ray cluster: one Ray task a group; Ray places, retries and ships the inputs.

Ray (https://docs.ray.io) is an optional extra; docs/scale.md tells how to start a cluster.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from common.errors import UserError, name_list
from training.cost import measure_step
from training.executor import EpochListener, StartWorker, train_task
from training.group_task import GroupTask
from training.worker import GroupOutcome, Worker

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise UserError(
        "--executor ray needs the package ray. Install it with "
        "`python -m pip install -r requirements-ray.txt`, or leave the flag out."
    ) from error

Result = TypeVar("Result")

# Of a task whose process or node dies; an error in the task itself is raised at once.
MOST_RETRIES = 3


class RayExecutor:
    """Hands every group to Ray at once.

    Args:
        start_worker: makes a worker; put into Ray's object store once, from where every node
            fetches it once.
        address: of the cluster; None: ``$RAY_ADDRESS``, else a cluster of this machine alone,
            which ends with the run.
        cpus, gpus: what a group in work takes of a node; parts of a GPU are possible.

    Raises:
        UserError: there is no cluster at the address, or no node of it has room for a group.
    """

    def __init__(
        self, start_worker: StartWorker, address: str | None, cpus: float, gpus: float
    ) -> None:
        _connect(address or os.environ.get("RAY_ADDRESS"))
        try:
            self.workers = _room({"CPU": cpus, "GPU": gpus})
        except UserError:
            self.close()
            raise
        # A task on a GPU gets a fresh process from Ray, so that its memory is given back.
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=MOST_RETRIES)(_on_worker)
        self._start_worker = ray.put(start_worker)

    def measure_step(self, task: GroupTask) -> float:
        """See ``Executor``."""
        return next(seconds for _, seconds in self._map(measure_step, [task]))

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: EpochListener
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``; epochs are not told, as several groups are in work at once."""
        return self._map(train_task, tasks)

    def close(self) -> None:
        """See ``Executor``; the cluster drops the tasks of a driver that has left."""
        ray.shutdown()

    def _map(
        self, function: Callable[[Worker, GroupTask], Result], tasks: Iterable[GroupTask]
    ) -> Iterator[tuple[GroupTask, Result]]:
        """``function`` of every task, as they are finished."""
        # In a list, the reference stays one: Ray would unpack the inputs again for every task.
        start = [self._start_worker]
        running = {self._task.remote(start, function, task): task for task in tasks}
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            task = running.pop(ready)
            yield task, _result(ready, task)


def _connect(address: str | None) -> None:
    """Join the cluster at the address, or start one on this machine."""
    # Ray itself waits for minutes for a head node that is not there.
    host, _, port = (address or "").rpartition(":")
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), timeout=10).close()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError) as error:
        raise UserError(
            f"Ray cluster {address}: {error}. Give --ray-address HOST:PORT of its head node, as "
            "`ray start --head` prints it."
        ) from error


def _room(needs: dict[str, float]) -> int:
    """How many groups with these needs the cluster, as it is now, trains at the same time."""
    needs = {name: need for name, need in needs.items() if need}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # The little that is added keeps rounding from taking 0.6 / 0.2 for 2.
    room = sum(
        min(int(node.get(name, 0) / need + 1e-9) for name, need in needs.items()) for node in nodes
    )
    if not room:
        wanted = " and ".join(f"{need:g} {name}" for name, need in needs.items())
        raise UserError(
            f"no node of the Ray cluster ({len(nodes)} alive) has {wanted} for a group. "
            "Lower --cpus-per-task, --threads or --gpus-per-task, or add a node that has."
        )
    return room


def _on_worker(
    start: list[Any], function: Callable[[Worker, GroupTask], Any], task: GroupTask
) -> Any:
    """What Ray runs: ``function`` with the worker of the process it finds itself in."""
    return function(_own_worker(start[0]), task)


@lru_cache(maxsize=1)
def _own_worker(start: Any) -> Worker:
    """The worker of this process, made for its first task."""
    return ray.get(start)()


def _result(reference: Any, task: GroupTask) -> Any:
    names = name_list(fold.name for fold in task.folds)
    try:
        return ray.get(reference)
    except RayTaskError as error:
        # The task's own error; Ray's has its whole traceback for a message.
        error.cause.add_note(str(error))
        raise error.cause from error
    except RayError as error:
        raise UserError(
            f"fold {names} of configuration {task.configuration.name}: Ray lost it "
            f"{MOST_RETRIES + 1} times ({type(error).__name__}). Finished folds are saved; repeat "
            "the command, with fewer groups on a node (--cpus-per-task, --gpus-per-task)."
        ) from error
