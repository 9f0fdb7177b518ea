"""UF1, UAR and accuracy of a results folder, all datasets pooled.

    python calculate_all_results.py results/0.5_3_3_9

Reads predictions.csv or <subject>_acc.txt files (this suite's or the published code's); prints the
confusion matrix and the figures; writes CausalNet.xlsx into the folder.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from common.errors import run_script
from evaluation.calculator import calculate


@dataclass(frozen=True)
class Config:
    """What to read."""

    folder: tyro.conf.Positional[Path] = Path("results")
    """Folder that holds the result files."""
    partial: bool = False
    """Compute from what is there although clips are missing; the output then says how many."""


def run(description: str | None, dataset: str | None) -> None:
    """Parse the command line and compute; ``dataset`` limits it to one dataset's part."""
    config = tyro.cli(Config, description=description)
    calculate(config.folder, dataset=dataset, partial=config.partial)


def main() -> None:
    """All datasets pooled."""
    run(__doc__, dataset=None)


if __name__ == "__main__":
    run_script(main)
