"""How the work beside training grows with configurations, folds and clips.

    python -m benchmarks.bookkeeping

Runs a grid of empty folds, which give random logits of the real size at once, with a part of the
configurations and with all of them, and resumes each; then leave-one-subject-out of ``majority`` on
the protocol's number of clips and on more, with as many more subjects. Seconds depend on the
machine, so the ratios count: they are those of the configurations and the clips where the work is
linear. Prints one JSON object as its last line.
"""

import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import tyro

from benchmarks.scheduling import CLIPS, SUBJECTS, EmptyExecutor, made_up_inputs
from common.class_names import CLASS_NAMES
from datasets import Inputs
from training.executor import Executor, ExecutorSettings
from training.grid_run import run_grid
from training.run_settings import plan_search
from training.settings import RunSettings


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    configurations: tuple[int, ...] = (50, 200)
    """Sizes of the grid."""
    clips: tuple[int, ...] = (CLIPS, 5 * CLIPS, 20_000)
    """Numbers of clips."""


def main() -> None:
    """Measure and print."""
    config = tyro.cli(Config, description=__doc__)
    print(json.dumps(measure(config)))


def measure(config: Config) -> dict[str, object]:
    """Seconds, and what each is to the first of its kind."""
    # What is loaded at first use is no bookkeeping.
    time_grid(1)
    time_subjects(CLIPS)
    grids = [time_grid(count) for count in config.configurations]
    subjects = [time_subjects(count) for count in config.clips]
    return {
        "configurations": with_ratios(config.configurations, [first for first, _ in grids]),
        "resumed": with_ratios(config.configurations, [again for _, again in grids]),
        "clips": with_ratios(config.clips, subjects),
    }


def with_ratios(sizes: tuple[int, ...], seconds: list[float]) -> list[dict[str, float]]:
    """A row a size: seconds, and size and seconds as multiples of the first ones."""
    return [
        {
            "size": size,
            "seconds": round(own, 2),
            "times_the_size": round(size / sizes[0], 2),
            "times_the_seconds": round(own / seconds[0], 2),
        }
        for size, own in zip(sizes, seconds, strict=True)
    ]


def time_grid(configurations: int) -> tuple[float, float]:
    """Seconds of a search with all folds of each configuration, and of the same search again."""
    gammas = tuple(round(0.3 + 0.001 * number, 4) for number in range(configurations))
    settings = RunSettings(method="causalnet_compact", gammas=gammas, group_size=SUBJECTS)
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_time(settings, made_up_inputs(), Path(folder)) for _ in range(2))  # type: ignore[return-value]


def time_subjects(clips: int) -> float:
    """Seconds of leave-one-subject-out with as many clips a subject as in the protocol."""
    with tempfile.TemporaryDirectory() as folder:
        return _time(RunSettings(method="majority"), many_inputs(clips), Path(folder))


def many_inputs(clips: int) -> Inputs:
    """Black maps of many subjects."""
    subjects = max(2, clips * SUBJECTS // CLIPS)
    table = pd.DataFrame({"dataset": "casme2", "label": np.arange(clips) % len(CLASS_NAMES)})
    table["subject"] = [f"sub{number % subjects:05d}" for number in range(clips)]
    table["clip"] = [f"clip{number}" for number in range(clips)]
    table["stem"] = table["subject"] + "_" + table["clip"]
    columns = ["dataset", "subject", "clip", "label", "stem"]
    return Inputs(np.zeros((clips, 4, 28, 28, 3), np.uint8), table[columns], Path("x"), True)


def _time(settings: RunSettings, inputs: Inputs, results: Path) -> float:
    executor = cast(Executor, EmptyExecutor())
    own = settings.method != "majority"
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        search = plan_search(settings, inputs, results, executor=ExecutorSettings(workers=1))
        if own:
            run_grid(search, lambda cost: None, lambda *_: executor)
        else:
            run_grid(search, lambda cost: None)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
