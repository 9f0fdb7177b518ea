"""What handing out, fetching and storing a fold costs beside its training.

    python -m benchmarks.scheduling

Runs empty folds, which give random logits of the real size at once, through the executors: worker
processes and, where Ray is installed, a Ray cluster on this machine. Then the driver alone: what it
takes to write a group's folds and a configuration's result files. Prints one JSON object as its
last line.
"""

import contextlib
import importlib.util
import io
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import cast

import numpy as np
import pandas as pd
import tyro

from common.class_names import CLASS_NAMES
from datasets import Fold, Inputs
from training.executor import Executor, ExecutorSettings, StartWorker, create_executor
from training.fold_group import FoldOutcome
from training.grid_run import GridSearch, run_grid
from training.group_task import GroupTask, group_folds
from training.run_settings import plan_search
from training.settings import RunSettings
from training.worker import GroupOutcome, TrainedFold

SUBJECTS, CLIPS = 68, 442
EPOCHS = 200
WARM_UP_TASKS = 20


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    workers: int = 2
    """Worker processes; Ray takes one for each core of the machine."""
    configurations: int = 36
    """Configurations of the published grid whose folds are handed out."""
    group_sizes: tuple[int, ...] = (1, 4, 17, 68)
    """Folds of a group, for the driver's share."""


class EmptyWorker:
    """Gives a group's outcome at once."""

    def train(self, task: GroupTask) -> GroupOutcome:
        """Random logits and losses of the sizes that training gives."""
        return GroupOutcome([empty_outcome(fold) for fold in task.folds], len(task.folds))


class EmptyExecutor:
    """Trains nothing, here, and notes how long the caller is busy with each group.

    Attributes:
        seconds: (configuration, seconds) of every group.
    """

    workers = 1

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []

    def measure_step(self, task: GroupTask) -> float:
        """Nothing to measure."""
        return 1e-6

    def run(
        self, tasks: Iterable[GroupTask], on_epoch: object
    ) -> Iterator[tuple[GroupTask, GroupOutcome]]:
        """See ``Executor``."""
        worker = EmptyWorker()
        for task in tasks:
            outcome = worker.train(task)
            start = time.perf_counter()
            yield task, outcome
            self.seconds.append((task.configuration.name, time.perf_counter() - start))

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Measure and print."""
    config = tyro.cli(Config, description=__doc__)
    print(json.dumps(measure(config)))


def measure(config: Config) -> dict[str, object]:
    """All figures: folds a second and seconds."""
    run, tasks = published_search(Path("unused")).run, empty_tasks(config.configurations)
    start_worker = cast(StartWorker, EmptyWorker)
    local = ExecutorSettings(workers=config.workers)
    figures: dict[str, object] = {
        "folds": len(tasks),
        "workers": config.workers,
        "local": hand_out(partial(create_executor, local, start_worker, run), tasks),
    }
    if importlib.util.find_spec("ray"):
        ray = ExecutorSettings("ray")
        figures["ray"] = hand_out(partial(create_executor, ray, start_worker, run), tasks)
    figures["driver"] = [driver_seconds(size) for size in config.group_sizes]
    return figures


def hand_out(create: partial[Executor], tasks: list[GroupTask]) -> dict[str, float]:
    """Send empty folds through an executor: seconds to the first few, then folds a second."""
    start = time.perf_counter()
    with closing(create()) as executor:
        _drain(executor, tasks[:WARM_UP_TASKS])
        started = time.perf_counter()
        _drain(executor, tasks)
        seconds = time.perf_counter() - started
    return {
        "seconds_to_start": round(started - start, 2),
        "folds_per_second": round(len(tasks) / seconds, 1),
    }


def driver_seconds(group_size: int, configurations: int = 2) -> dict[str, float]:
    """Mean seconds that the driver is busy with a group, and with a configuration's result files.

    Both include writing to disk, flushed; the files go to the system's folder for temporary files.
    Where one group is a whole configuration, all of it counts as the latter.
    """
    executor = EmptyExecutor()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        search = published_search(Path(folder), group_size)
        search = replace(search, configurations=search.configurations[:configurations])
        run_grid(search, lambda cost: None, lambda *_: cast(Executor, executor))
    # A configuration's last group brings its result files with it.
    last = {name: place for place, (name, _) in enumerate(executor.seconds)}.values()
    ends = mean(executor.seconds[place][1] for place in last)
    others = [own for place, (_, own) in enumerate(executor.seconds) if place not in last]
    group = mean(others) if others else 0.0
    return {
        "group_size": group_size,
        "seconds_per_group": round(group, 4),
        "seconds_per_configuration": round(ends - group, 3),
    }


def empty_outcome(fold: Fold) -> TrainedFold:
    """What training a fold for the published epochs might give."""
    random = np.random.default_rng(len(fold.train_indices))
    logits = random.normal(size=(EPOCHS, len(fold.test_indices), len(CLASS_NAMES)))
    losses = np.linspace(1, 0, EPOCHS, dtype=np.float32)
    outcome = FoldOutcome(fold.name, logits.astype(np.float32), losses, None, None)
    return TrainedFold(outcome, None)


def empty_tasks(configurations: int) -> list[GroupTask]:
    """Every fold of the first configurations of the published grid as a group of its own."""
    search = published_search(Path("unused"))
    grid = search.configurations[:configurations]
    groups = group_folds(search.folds, 1, CLIPS)
    return [GroupTask(own, group) for own in grid for group in groups]


def published_search(results: Path, group_size: int = 1) -> GridSearch:
    """The published search on the made-up inputs."""
    flags = RunSettings(method="causalnet", group_size=group_size)
    return plan_search(flags, made_up_inputs(), results)


def made_up_inputs() -> Inputs:
    """As many clips and subjects as the released samples have; the maps are black."""
    subjects = [f"sub{number % SUBJECTS:02d}" for number in range(CLIPS)]
    clips = pd.DataFrame(
        {
            "dataset": "casme2",
            "subject": subjects,
            "clip": [f"clip{number}" for number in range(CLIPS)],
            "label": np.arange(CLIPS) % len(CLASS_NAMES),
        }
    )
    clips["stem"] = clips["subject"] + "_" + clips["clip"]
    return Inputs(np.zeros((CLIPS, 4, 28, 28, 3), np.uint8), clips, Path("made-up"), True)


def _drain(executor: Executor, tasks: list[GroupTask]) -> None:
    for _ in executor.run(tasks, lambda task, epoch: None):
        pass


if __name__ == "__main__":
    main()
