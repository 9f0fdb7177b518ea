"""A method through every fold, from Python: prediction rows as a table."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import UserError
from datasets import Inputs, read_inputs
from evaluation.predictions import read_predictions
from evaluation.results_folder import PREDICTIONS_NAME
from training.cost import Cost
from training.executor import ExecutorSettings
from training.grid_run import run_grid
from training.run_settings import plan_search
from training.settings import RunSettings


def leave_one_subject_out(
    method: str | Path,
    inputs: Inputs | str | Path,
    *,
    results: str | Path | None = None,
    workers: int | None = None,
    allow_doubles: bool = False,
    **settings: Any,
) -> pd.DataFrame:
    """Train and test a method leave-one-subject-out.

    Args:
        method: name of a method of the suite, or path of a method file.
        inputs: a folder of inputs, or what ``datasets.read_inputs`` gave.
        results: keep the run in this folder, where it can be resumed; None keeps nothing.
        workers: processes; None: as many as pay.
        allow_doubles: as in ``datasets.read_inputs``.
        settings: of the run, by the names of the flags: ``seed=1``, ``epochs=10``, ...

    Returns:
        One row a clip under the epoch rule "last": dataset, subject, clip, true, predicted, a score
        for each class, fold, seed, epoch.

    Raises:
        UserError: a setting or method that cannot be used, or a grid of several configurations.
    """
    given = RunSettings(method=str(method), **settings)
    own = inputs if isinstance(inputs, Inputs) else read_inputs(Path(inputs), allow_doubles)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run" if results is None else Path(results)
        search = plan_search(given, own, folder, executor=ExecutorSettings(workers=workers))
        if len(search.configurations) > 1:
            raise UserError(
                f"{search.method.name} has a grid of {len(search.configurations)} configurations. "
                "Give one value of each setting, or use main_train_for_parameter_tuning.py."
            )
        run_grid(search, _say)
        return read_predictions(search.folder(search.configurations[0]) / PREDICTIONS_NAME)


def _say(cost: Cost) -> None:
    print(cost.sentence(), flush=True)
