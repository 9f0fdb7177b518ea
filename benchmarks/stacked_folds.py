"""Folds of ``compact`` trained as stacked weights beside folds trained one by one, in one run.

    python -m benchmarks.stacked_folds

Reads nothing; as many clips and subjects as the released samples, the maps random. Each way trains
the same folds for a few epochs with ``compact`` as it is, the ways in turn, several times; starting
the workers is not timed. Prints a table and one JSON object, with the minutes that 68 folds of 30
epochs would take at that speed.
"""

import json
import statistics
import time
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.scheduling import CLIPS, SUBJECTS, made_up_inputs
from training.executor import ExecutorSettings, create_executor
from training.group_task import GroupTask, group_folds
from training.run_settings import plan_search
from training.settings import RunSettings
from training.worker import Worker

EPOCHS_OF_COMPACT = 30


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    folds: int = 16
    """Folds that each way trains; a multiple of the group size times the workers."""
    epochs: int = 2
    """Epochs of each fold."""
    rounds: int = 3
    """How often each way is timed; the median counts."""
    group_size: int = 8
    """Folds of a stack."""


@dataclass(frozen=True)
class Way:
    """How folds are trained."""

    name: str
    group_size: int
    threads: int
    workers: int


def main() -> None:
    """Measure in turn and print."""
    config = tyro.cli(Config, description=__doc__)
    ways = [
        Way("one by one", 1, threads=2, workers=1),
        Way("one by one, two workers", 1, threads=1, workers=2),
        Way("stacked", config.group_size, threads=2, workers=1),
        Way("stacked, two workers", config.group_size, threads=1, workers=2),
    ]
    rounds = [[seconds_of(way, config) for way in ways] for _ in range(config.rounds)]
    report(config, ways, rounds)


def seconds_of(way: Way, config: Config) -> float:
    """Seconds of an epoch of a fold."""
    inputs = made_up_inputs()
    random = np.random.default_rng(0)
    inputs = replace(inputs, maps=random.integers(0, 256, inputs.maps.shape, dtype=np.uint8))
    flags = RunSettings(
        method="causalnet_compact",
        epochs=config.epochs,
        threads=way.threads,
        group_size=way.group_size,
    )
    search = plan_search(flags, inputs, Path("unused"))
    (configuration,) = search.configurations
    groups = group_folds(search.folds, way.group_size, search.run.batch_size)
    tasks = [GroupTask(configuration, group) for group in groups]
    tasks = tasks[: config.folds // way.group_size]
    start_worker = partial(Worker, search.run, search.method, inputs, search.folds)
    settings = ExecutorSettings(workers=way.workers)
    with closing(create_executor(settings, start_worker, search.run)) as executor:
        # As many short tasks as workers, so that all have started.
        executor.measure_step(tasks[0])
        for _ in executor.run(tasks[: way.workers], lambda task, epoch: None):
            pass
        start = time.perf_counter()
        for _ in executor.run(tasks, lambda task, epoch: None):
            pass
        seconds = time.perf_counter() - start
    return seconds / (sum(len(task.folds) for task in tasks) * config.epochs)


def report(config: Config, ways: list[Way], rounds: list[list[float]]) -> None:
    """A table for people, then one JSON object for programs."""
    seconds = [statistics.median(column) for column in zip(*rounds, strict=True)]
    # Ratios within a round: the machine's speed changes between rounds.
    gains = [statistics.median(own[0] / own[place] for own in rounds) for place in range(len(ways))]
    table = Table(title=f"compact, {config.folds} folds x {config.epochs} epochs, {CLIPS} clips")
    for name in ("", "group", "threads", "workers", "s a fold-epoch", "gain", "min of 68 x 30"):
        table.add_column(name, justify="right" if name else "left")
    rows = []
    for way, own, gain in zip(ways, seconds, gains, strict=True):
        minutes = own * SUBJECTS * EPOCHS_OF_COMPACT / 60
        sizes = (str(way.group_size), str(way.threads), str(way.workers))
        table.add_row(way.name, *sizes, f"{own:.3f}", f"{gain:.2f}", f"{minutes:.1f}")
        rows.append({**asdict(way), "seconds": own, "gain": gain, "minutes_of_68_x_30": minutes})
    Console().print(table)
    result = {"benchmark": "stacked_folds", "torch": str(torch.__version__), **asdict(config)}
    print(json.dumps({**result, "ways": rows, "rounds": rounds}))


if __name__ == "__main__":
    main()
