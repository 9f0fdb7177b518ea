"""What a run will cost, from a few measured training steps."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from common.progress import duration
from models.method import Method
from training.configuration import Configuration
from training.group_task import GroupTask
from training.run_record import Run
from training.stacking import state_size
from training.worker import Worker, build_model

BYTES_PER_PARAMETER = 4
GIGABYTE = 1e9
LONG_MEASUREMENT_SECONDS = 8.0
MEASURED_STEPS = 5


@dataclass(frozen=True)
class Cost:
    """The size of a run and the time it will take.

    Attributes:
        step_name: "optimizer step", or "fit" of an estimator.
        seconds_per_step: of the measured group; larger networks are scaled by their parameters.
        seconds: of all steps, shared evenly by the workers.
        workers: groups that are trained at the same time.
    """

    folds: int
    steps: int
    step_name: str
    seconds_per_step: float
    seconds: float
    weights_bytes: int
    workers: int

    def sentence(self) -> str:
        """For the terminal."""
        many = f" with {self.workers} groups at a time" if self.workers > 1 else ""
        disk = ""
        if self.weights_bytes:
            disk = f"; disk for weights if saved: {self.weights_bytes / GIGABYTE:.3g} GB"
        return (
            f"to train: {self.folds} folds, {self.steps} {self.step_name}s; "
            f"{self.seconds_per_step:.3g} s each, measured here: "
            f"about {duration(self.seconds)}{many}{disk}"
        )


def estimate_cost(
    per_step: float, tasks: Sequence[GroupTask], run: Run, method: Method, workers: int
) -> Cost:
    """Scale the measured seconds of a step of the first task to all tasks (at least one)."""
    sizes = {t.configuration.name: parameter_count(method, t.configuration, run) for t in tasks}
    measured = sizes[tasks[0].configuration.name]
    folds = steps = weights_bytes = 0
    seconds = 0.0
    # Inner validation trains every fold once more, at most as long.
    trainings = 2 if run.inner else 1
    for task in tasks:
        own_steps = trainings * count_steps(task, run)
        size = sizes[task.configuration.name]
        folds += len(task.folds)
        steps += own_steps * len(task.folds)
        # Estimators have no parameters to scale by: each configuration counts as the first.
        scale = size / measured if measured else 1.0
        parts = len(task.folds) if run.training is None else 1
        seconds += own_steps * per_step * scale * parts
        weights_bytes += size * BYTES_PER_PARAMETER * len(task.folds)
    step_name = "fit" if run.training is None else "optimizer step"
    return Cost(folds, steps, step_name, per_step, seconds / workers, weights_bytes, workers)


def count_steps(task: GroupTask, run: Run) -> int:
    """Optimizer steps of one training of a group; an estimator takes one."""
    clips = max(len(fold.train_indices) for fold in task.folds)
    return run.epochs * -(-clips // run.batch_size)


def parameter_count(method: Method, configuration: Configuration, run: Run) -> int:
    """Parameters of a configuration's network, counted without allocating them; 0 without any."""
    if run.training is None:
        return 0
    with torch.device("meta"), method.running("its parameters cannot be counted"):
        return state_size(build_model(method, configuration.settings, len(run.class_names)))


def measure_step(worker: Worker, task: GroupTask) -> float:
    """Median seconds of an optimizer step of a group (all of its folds together)."""
    return sum(
        seconds for _, seconds in worker.in_parts(task, lambda part: _measure_part(worker, part))
    )


def _measure_part(worker: Worker, task: GroupTask) -> float:
    worker.check(task.configuration)
    if worker.run.training is None:
        start = time.perf_counter()
        worker.train(task)
        return (time.perf_counter() - start) / len(task.folds)
    trainer = worker.trainer(task)
    trainer.networks.template.train()
    batches = trainer.draw_epoch()
    times: list[float] = []
    most = min(MEASURED_STEPS + 1, count_steps(task, worker.run))
    while len(times) < most and sum(times) < LONG_MEASUREMENT_SECONDS:
        start = time.perf_counter()
        with trainer.random[0]:
            trainer.step(*batches[len(times) % len(batches)]).cpu()
        times.append(time.perf_counter() - start)
    # The first step warms up; it counts only where it took all the time there was.
    return statistics.median(times[1:] or times)
