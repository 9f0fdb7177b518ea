"""Write synthetic clips as the five raw datasets: their sheets, layouts and, if asked, faults.

    python make_synthetic_raw_datasets.py --out demo/raw --faults

Reads nothing. Writes, below ``--out``, a folder for each dataset (sheet, raw and registered
frames), the clips' true motion, a README.txt that says synthetic and, with ``--faults``,
planted_faults.csv: what was planted and where.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import track

from common.errors import UserError, run_script
from datasets.synthetic.raw_datasets import FrameKinds, write_raw_datasets
from datasets.synthetic.specs import ALL_DATASETS, DatasetName, list_synthetic_clips


@dataclass(frozen=True)
class Config:
    """What to draw and where to put it."""

    out: Path
    """Folder to write to; synthetic datasets in it are replaced."""
    datasets: tuple[DatasetName, ...] = ALL_DATASETS
    """Which datasets."""
    subjects: int = 3
    """Subjects of each dataset."""
    clips: int = 8
    """Clips of each subject in the three classes; all datasets but SMIC add one of no class."""
    frames: FrameKinds = "both"
    """Camera pictures of a whole head (raw), registered 128 x 128 faces, or both."""
    faults: bool = False
    """Plant faults of every kind, one a clip."""
    seed: int = 1
    """Another seed gives other subjects and other clips."""
    workers: int = 2
    """Processes; the files do not depend on it."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: give at least 1.")
        if not self.datasets:
            raise UserError("datasets is empty: name at least one.")


def main() -> None:
    """Draw, write, and say that it is synthetic."""
    config = tyro.cli(Config, description=__doc__)
    datasets = tuple(dict.fromkeys(config.datasets))
    specs = list_synthetic_clips(
        config.subjects, config.clips, config.seed, datasets, with_others=True
    )
    written = write_raw_datasets(config.out, specs, config.frames, config.faults, config.workers)
    quiet = not sys.stdout.isatty()
    count = len(list(track(written, "Drawing synthetic clips", total=len(specs), disable=quiet)))
    faults = " with planted faults" if config.faults else ""
    print(f"synthetic: {count} clips of {len(datasets)} drawn datasets{faults} in {config.out}")


if __name__ == "__main__":
    run_script(main)
