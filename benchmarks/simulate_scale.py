"""Where the published grid stops scaling: a discrete simulation of 1 to 512 workers.

    python -m benchmarks.simulate_scale

The whole grid for several seeds: 36 configurations x 68 folds x 5 seeds. Measured here first: what
a fold costs the driver, how long a worker takes to start, and how much the seconds of equal folds
differ. Assumed, by flag: the seconds of a fold on a worker. Draws a figure; prints one JSON object
as its last line.
"""

import io
import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import simpy
import tyro
from matplotlib.figure import Figure

from benchmarks.scheduling import (
    SUBJECTS,
    EmptyWorker,
    driver_seconds,
    empty_tasks,
    hand_out,
    made_up_inputs,
    published_grid,
    published_run,
)
from common.files import write_bytes
from datasets import loso_folds
from training.cost import parameter_count
from training.executors.base import ExecutorSettings, StartWorker, create_executor
from training.group_task import GroupTask
from training.presets import get_preset
from training.worker import Worker

Steps = Generator[simpy.Event, Any, None]

GOOD_EFFICIENCY = 0.8
REFERENCE_NETWORK = "0.5_3_3_9"

Row = dict[str, Any]
"""A simulation's workers, group_size, drivers, fresh, and what it gave."""
Curve = list[Row]
"""Simulations that differ in their number of workers alone."""


@dataclass(frozen=True)
class Config:
    """What to simulate, and what is assumed."""

    fold_seconds: float = 8.8
    """Assumed seconds of a fold of the network (3, 3, 9) on a worker; others by their size."""
    gpu_start_seconds: float = 3.0
    """Assumed seconds to start CUDA, on top of the measured start of a process."""
    workers: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    """Groups of folds that are trained at the same time."""
    group_sizes: tuple[int, ...] = (1, 4, 17, 68)
    """Folds of a group."""
    seeds: int = 5
    """Runs of the grid."""
    spread_folds: int = 16
    """Short folds of the compact preset whose seconds are compared."""
    figure: Path = Path("docs/pictures/scale.png")
    """Where to draw."""


@dataclass(frozen=True)
class Scenario:
    """One simulation.

    Attributes:
        drivers: runs at the same time, each of one seed and with a driver of its own.
        hand_out_seconds, store_seconds, report_seconds: that a driver is busy with a task before
            it is trained, with a trained group, and with a configuration's result files.
        start_seconds: of a process to train in.
        fresh: whether every group gets a process of its own, as groups on a GPU do from Ray; else
            a worker keeps its process.
        spread: standard deviation over mean of the seconds of equal groups.
    """

    workers: int
    group_size: int
    drivers: int
    fold_seconds: float
    hand_out_seconds: float
    store_seconds: float
    report_seconds: float
    start_seconds: float
    fresh: bool
    spread: float


@dataclass(frozen=True)
class Outcome:
    """What a simulation gave.

    Attributes:
        hours: until everything is on disk.
        efficiency: seconds of training over seconds that the workers were there.
        driver_busy: share of the time in which the busiest driver is at work.
    """

    hours: float
    efficiency: float
    driver_busy: float


def main() -> None:
    """Measure, simulate, draw and print."""
    config = tyro.cli(Config, description=__doc__)
    measured = measure(config)
    kinds = itertools.product((True, False), (config.seeds, 1), config.group_sizes)
    curves = [simulate_workers(scenario(config, measured, *kind), config) for kind in kinds]
    write_bytes(config.figure, draw(curves))
    figures = {
        "measured": measured,
        "fold_seconds": config.fold_seconds,
        "well_used": [limit_of(curve) for curve in curves],
        "curves": curves,
    }
    print(json.dumps(figures))


def measure(config: Config) -> dict[str, Any]:
    """What the simulation takes from this machine."""
    settings, empty = ExecutorSettings(workers=2), cast(StartWorker, EmptyWorker)
    create = partial(create_executor, settings, empty, published_run())
    local = hand_out(create, empty_tasks(4))
    return {
        "folds_per_second": local["folds_per_second"],
        "start_seconds": local["seconds_to_start"],
        "spread": round(measure_spread(config.spread_folds), 3),
        "driver": [driver_seconds(size) for size in config.group_sizes],
    }


def measure_spread(folds: int) -> float:
    """Standard deviation over mean of the seconds of short folds of the compact preset."""
    preset, inputs = get_preset("compact"), made_up_inputs()
    assert preset.training is not None
    run = replace(
        published_run(),
        preset="compact",
        preparation=preset.preparation,
        training=replace(preset.training, epochs=2),
    )
    (configuration,) = preset.configurations()
    all_folds = loso_folds(inputs.clips)
    worker = Worker(run, inputs, all_folds, False, {})
    seconds = []
    for fold in all_folds[: folds + 1]:
        start = time.perf_counter()
        worker.train(GroupTask(configuration, (fold,)))
        seconds.append(time.perf_counter() - start)
    # The first fold warms up.
    return statistics.stdev(seconds[1:]) / statistics.mean(seconds[1:])


def scenario(
    config: Config, measured: dict[str, Any], fresh: bool, drivers: int, size: int
) -> Scenario:
    """The measured and assumed seconds, for one worker."""
    driver = next(own for own in measured["driver"] if own["group_size"] == size)
    return Scenario(
        workers=1,
        group_size=size,
        drivers=drivers,
        fold_seconds=config.fold_seconds,
        hand_out_seconds=1 / measured["folds_per_second"],
        store_seconds=driver["seconds_per_group"],
        report_seconds=driver["seconds_per_configuration"],
        start_seconds=measured["start_seconds"] + config.gpu_start_seconds,
        fresh=fresh,
        spread=measured["spread"],
    )


def simulate_workers(one: Scenario, config: Config) -> Curve:
    """A scenario with every number of workers."""
    rows = []
    for workers in config.workers:
        own = replace(one, workers=workers)
        outcome = simulate(own, config.seeds)
        rows.append(
            {
                "workers": workers,
                "group_size": own.group_size,
                "drivers": own.drivers,
                "fresh": own.fresh,
                **{name: round(value, 4) for name, value in asdict(outcome).items()},
            }
        )
    return rows


def simulate(scenario: Scenario, seeds: int) -> Outcome:
    """All seeds: as many at once as there are drivers, and so often as it takes."""
    environment = simpy.Environment()
    workers, started = simpy.Store(environment), set[int]()
    workers.items.extend(range(scenario.workers))
    runs = [_Run(environment, workers, started, scenario, seed) for seed in range(scenario.drivers)]
    environment.run()
    rounds = seeds / scenario.drivers
    return Outcome(
        hours=rounds * environment.now / 3600,
        efficiency=sum(run.trained for run in runs) / (environment.now * scenario.workers),
        driver_busy=max(run.busy for run in runs) / environment.now,
    )


class _Run:
    """A run of the grid with one seed: a driver that shares the workers with the other runs.

    ``workers`` holds one number for each idle worker; ``started`` those that have a process.
    """

    def __init__(
        self,
        environment: simpy.Environment,
        workers: simpy.Store,
        started: set[int],
        scenario: Scenario,
        seed: int,
    ) -> None:
        self.environment, self.workers, self.started = environment, workers, started
        self.scenario, self.driver = scenario, simpy.Resource(environment, 1)
        self.busy = self.trained = 0.0
        self.left: Counter[str] = Counter()
        random = np.random.default_rng(seed)
        sigma = np.sqrt(np.log1p(scenario.spread**2))
        for name, seconds in self._groups():
            self.left[name] += 1
            own = seconds * random.lognormal(-(sigma**2) / 2, sigma)
            environment.process(self._group(name, own))

    def _groups(self) -> Iterator[tuple[str, float]]:
        """Configuration and mean seconds of every group, in the order in which they are handed out.

        The network (3, 3, 9) takes the assumed seconds, others in proportion to their parameters.
        """
        size = self.scenario.group_size
        for name, share in relative_costs().items():
            for start in range(0, SUBJECTS, size):
                yield name, self.scenario.fold_seconds * share * min(size, SUBJECTS - start)

    def _group(self, name: str, seconds: float) -> Steps:
        """A group from its hand-out to the disk."""
        yield from self._drive(self.scenario.hand_out_seconds)
        worker = yield self.workers.get()
        if self.scenario.fresh or worker not in self.started:
            self.started.add(worker)
            yield self.environment.timeout(self.scenario.start_seconds)
        yield self.environment.timeout(seconds)
        self.workers.put(worker)
        self.trained += seconds
        self.left[name] -= 1
        report = 0.0 if self.left[name] else self.scenario.report_seconds
        yield from self._drive(self.scenario.store_seconds + report)

    def _drive(self, seconds: float) -> Steps:
        with self.driver.request() as turn:
            yield turn
            yield self.environment.timeout(seconds)
        self.busy += seconds


@lru_cache(maxsize=1)
def relative_costs() -> dict[str, float]:
    """Parameters of every network of the published grid, over those of the reference."""
    parameters = {own.name: parameter_count(own) for own in published_grid()}
    return {name: own / parameters[REFERENCE_NETWORK] for name, own in parameters.items()}


def limit_of(curve: Curve) -> Row:
    """The most workers that spend enough of their time training, 0 for none, and what they give."""
    good = [row for row in curve if row["efficiency"] >= GOOD_EFFICIENCY]
    return good[-1] if good else {**curve[0], "workers": 0}


def draw(curves: Sequence[Curve]) -> bytes:
    """The efficiency over the number of workers as PNG, a panel for each way to start processes."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    sizes = list(dict.fromkeys(curve[0]["group_size"] for curve in curves))
    for curve in curves:
        kind = curve[0]
        several = kind["drivers"] > 1
        panels[0 if kind["fresh"] else 1].plot(
            [row["workers"] for row in curve],
            [row["efficiency"] for row in curve],
            color=f"C{sizes.index(kind['group_size'])}",
            linestyle="-" if several else "--",
            marker="o",
            markersize=3,
            label=f"groups of {kind['group_size']}, "
            + (f"{kind['drivers']} runs at once" if several else "one run at a time"),
        )
    titles = ("a fresh process for every group", "a process for every worker")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_xscale("log", base=2)
        axes.set_xticks([row["workers"] for row in curves[0]])
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set(title=title, xlabel="workers", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("share of the workers' time spent training")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()


if __name__ == "__main__":
    main()
