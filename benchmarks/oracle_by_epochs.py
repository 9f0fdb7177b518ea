"""How much the rule ``oracle`` gains by looking, for each number of epochs that it may look at.

    python -m benchmarks.oracle_by_epochs results/compact-seed*/0.5_1_1_2

Reads the stored epochs of finished runs. For every number of epochs n: UF1 of epoch n (the rule
``last``, if the training had stopped there) and UF1 when each fold's best epoch among the first n
is picked on its test clips. Runs of equal length are averaged. Draws a picture, writes its curves
as CSV with the same name and prints one JSON object. Curves of other runs in the CSV are drawn too,
so that long runs can be measured one after another; delete it to start again.
"""

import io
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure

from common.errors import UserError, run_script
from common.files import write_bytes, write_text
from evaluation.epoch_choices import confusions_by_epoch
from evaluation.fold_logits import read_folds_of_rows
from evaluation.metrics import compute_uf1
from evaluation.predictions import read_predictions
from evaluation.results_folder import PREDICTIONS_NAME

PRINTED = (1, 5, 10, 20, 30, 50, 100, 150, 200)


@dataclass(frozen=True)
class Config:
    """What to read and where to draw."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders of configurations, such as results/compact-seed1/0.5_1_1_2."""
    figure: Path = Path("docs/pictures/oracle_by_epochs.png")
    """Where to draw."""


def main() -> None:
    """Read, score, draw and print."""
    config = tyro.cli(Config, description=__doc__)
    if not config.runs:
        raise UserError("give folders of finished runs, such as results/compact-seed1/0.5_1_1_2.")
    path = config.figure.with_suffix(".csv")
    if config.figure.exists() and not path.is_file():
        raise UserError(f"{config.figure} is of other making ({path} is missing). Move it away.")
    given = {run_name(folder): oracle_curves(folder) for folder in config.runs}
    table = with_measured(path, given)
    for run in table["run"].unique():
        if run not in given:
            print(f"drawn too, as measured before: {run} ({path})")
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
    by_length: dict[int, list[np.ndarray]] = defaultdict(list)
    for _, own in table.groupby("run"):
        by_length[len(own)].append(own[["epoch_n", "oracle"]].to_numpy().T)
    means = {epochs: np.mean(runs, axis=0) for epochs, runs in sorted(by_length.items())}
    seeds = {epochs: len(runs) for epochs, runs in by_length.items()}
    write_bytes(config.figure, draw(means, seeds))
    rows = [
        {"run_epochs": epochs, "seeds": seeds[epochs], "epochs": n,
         "epoch_n": round(float(curves[0, n - 1]), 4), "oracle": round(float(curves[1, n - 1]), 4)}
        for epochs, curves in means.items() for n in PRINTED if n <= epochs
    ]  # fmt: skip
    print(pd.DataFrame(rows).to_string(index=False))
    print(json.dumps({"benchmark": "oracle_by_epochs", "rows": rows}))


def run_name(folder: Path) -> str:
    """The run's results folder and configuration, such as ``compact-seed1/0.5_1_1_2``."""
    return "/".join(folder.resolve().parts[-2:])


def with_measured(path: Path, curves: dict[str, np.ndarray]) -> pd.DataFrame:
    """The curves given, and those of other runs that the file holds.

    Args:
        path: columns run, epoch, epoch_n, oracle; need not exist.
        curves: by name of run, what ``oracle_curves`` gives.

    Returns:
        Those columns, runs by name, epochs rising; UF1 to four places.

    Raises:
        UserError: the file cannot be read or lacks a column.
    """
    parts = [
        pd.DataFrame(
            {"run": run, "epoch": np.arange(1, plain.size + 1), "epoch_n": plain, "oracle": oracle}
        ).round(4)
        for run, (plain, oracle) in curves.items()
    ]
    if path.is_file():
        try:
            stored = pd.read_csv(path)[["run", "epoch", "epoch_n", "oracle"]]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{path} is no table of curves: {error}. Delete it.") from error
        parts.append(stored[~stored["run"].isin(list(curves))])
    return pd.concat(parts, ignore_index=True).sort_values(["run", "epoch"], ignore_index=True)


def oracle_curves(folder: Path) -> np.ndarray:
    """UF1 of epoch n and of the best of the first n on each fold's test clips, float [2, epochs].

    Raises:
        UserError: the folder holds no epochs of every fold.
    """
    folds = read_folds_of_rows(folder, read_predictions(folder / PREDICTIONS_NAME))
    if folds is None:
        raise UserError(f"{folder} lacks stored folds. Give a finished run of this suite.")
    confusions = confusions_by_epoch(folds)
    right = np.trace(confusions, axis1=-2, axis2=-1)
    # A tie goes to the first epoch, as in the rule itself.
    best = np.stack([right[:, : n + 1].argmax(axis=1) for n in range(right.shape[1])], axis=1)
    picked = confusions[np.arange(len(folds))[:, np.newaxis], best]
    return compute_uf1(np.stack([confusions.sum(axis=0), picked.sum(axis=0)]))


def draw(means: dict[int, np.ndarray], seeds: dict[int, int]) -> bytes:
    """A panel for each length of run, as PNG."""
    figure = Figure(figsize=(4.5 * len(means), 3.6), layout="constrained")
    panels = figure.subplots(1, len(means), sharey=True, squeeze=False)[0]
    for axes, (epochs, (plain, oracle)) in zip(panels, means.items(), strict=True):
        count = np.arange(1, epochs + 1)
        axes.plot(count, oracle, color="C3", label="oracle: best epoch so far on each test subject")
        axes.plot(count, plain, color="C0", label="the epoch itself: nothing is chosen")
        axes.fill_between(count, plain, oracle, color="C3", alpha=0.12, linewidth=0)
        many = "1 seed" if seeds[epochs] == 1 else f"mean of {seeds[epochs]} seeds"
        axes.set(title=f"runs of {epochs} epochs ({many})", xlabel="epochs looked at")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("UF1, all test clips")
    panels[0].legend(loc="lower right", fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, metadata={"Software": None})
    return picture.getvalue()


if __name__ == "__main__":
    run_script(main)
