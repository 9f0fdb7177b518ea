"""Whether frames, flow, axes and maps mean the same for drawn clips and for the released ones.

    python -m benchmarks.drawn_and_real --inputs ../CausalNet

Fits each method on the released clips and tests it on drawn clips of drawn people, and the other
way round. A method that has seen neither the people nor the kind of clip is far above chance (UF1
.33) only where both kinds have the same registration, directions and scaling. Prints a line for
each method, and one JSON object as its last line. A few minutes of one core.
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro

from common.dataset_names import COMPOSITE
from common.errors import UserError, run_script
from datasets import Fold, Inputs, read_inputs
from datasets.synthetic.clips import list_synthetic_clips
from datasets.synthetic.inputs import write_synthetic_inputs
from evaluation.metrics import compute_metrics
from training.group_task import GroupTask
from training.run_settings import plan_search
from training.settings import RunSettings
from training.worker import Worker

NEW_PREPARATION = {"affine": True, "rms": True, "phase_sum": True, "center": False}
METHODS: dict[str, dict[str, Any]] = {
    "linear": {"method": "linear"},
    "linear on the new preparation": {"method": "linear", **NEW_PREPARATION},
    "au_kernel": {"method": "au_kernel"},
}
REAL, DRAWN = "released", "drawn"


@dataclass(frozen=True)
class Config:
    """What to compare."""

    inputs: Path | None = None
    """Folder of the released maps (required)."""
    drawn: Path | None = None
    """Folder of drawn inputs, such as build_inputs.py makes of drawn frames. Default: 72 clips of
    12 people are drawn."""
    seed: int = 1
    """Another seed draws other people."""


def main() -> None:
    """Fit, test, print."""
    config = tyro.cli(Config, description=__doc__)
    if config.inputs is None:
        raise UserError("give --inputs, the folder of the released maps.")
    with tempfile.TemporaryDirectory() as temporary:
        drawn = config.drawn or _draw(Path(temporary), config.seed)
        both = _joined(read_inputs(config.inputs), read_inputs(drawn))
    origins = both.clips["dataset"].str.partition(" ")[0].to_numpy(str)
    figures = {}
    for name, settings in METHODS.items():
        found = {
            f"trained on {train}, tested on {test}": cross_uf1(both, origins, train, test, settings)
            for train, test in ((REAL, DRAWN), (DRAWN, REAL))
        }
        print(name, found, flush=True)
        figures[name] = found
    print(json.dumps({"synthetic": True, "chance": 0.33, **figures}))


def _draw(folder: Path, seed: int) -> Path:
    list(write_synthetic_inputs(folder, list_synthetic_clips(4, 6, seed, COMPOSITE), "tvl1", 1))
    return folder


def _joined(real: Inputs, drawn: Inputs) -> Inputs:
    """Both in one; the datasets' names say which clip is which."""
    tables = []
    for origin, own in ((REAL, real), (DRAWN, drawn)):
        table = own.clips[["dataset", "subject", "clip", "label", "stem"]].copy()
        tables.append(table.assign(dataset=f"{origin} " + table["dataset"]))
    clips = pd.concat(tables, ignore_index=True)
    return replace(real, maps=np.concatenate([real.maps, drawn.maps]), clips=clips, synthetic=True)


def cross_uf1(
    inputs: Inputs, origins: np.ndarray, train: str, test: str, settings: dict[str, Any]
) -> float:
    """UF1 on the clips of one origin of a method that was fitted on those of the other."""
    rows = [np.flatnonzero(origins == name) for name in (train, test)]
    search = plan_search(RunSettings(**settings), inputs, Path("results") / "none")
    fold = Fold(test, "", "cross", *rows)
    worker = Worker(search.run, search.method, inputs, [fold])
    [trained] = worker.train(GroupTask(search.configurations[0], (fold,))).folds
    predicted = trained.outcome.logits[-1].argmax(axis=1)
    true = inputs.clips["label"].to_numpy(np.int64)[rows[1]]
    return round(compute_metrics(true, predicted, len(inputs.class_names)).uf1, 3)


if __name__ == "__main__":
    run_script(main)
