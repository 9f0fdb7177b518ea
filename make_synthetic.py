"""Draw synthetic clips and write them as inputs in the published layout.

    python make_synthetic_clips.py --out demo/inputs

Reads nothing. Writes, below the folder given by ``--out``, the table of clips (its column
``source`` says "synthetic"), four maps a clip, and a README.txt that says synthetic. The default
set of 144 clips takes about a minute on two cores.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import track

from common.errors import UserError, run_script
from datasets.frames.flow import FlowMethod
from datasets.synthetic.clips import list_synthetic_clips
from datasets.synthetic.inputs import write_synthetic_inputs


@dataclass(frozen=True)
class Config:
    """What to draw and where to put it."""

    out: Path
    """Folder to write to; made if absent."""
    subjects: int = 6
    """Subjects in each of the three parts (casme2, samm, smic)."""
    clips: int = 8
    """Clips of each subject; half of them negative, a quarter positive, a quarter surprise."""
    seed: int = 1
    """Another seed gives other subjects and other clips."""
    flow: FlowMethod = "tvl1"
    """Optical flow method; tvl1 is the published one."""
    workers: int = 2
    """Processes; the files do not depend on it."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: give at least 1.")


def main() -> None:
    """Draw, compute the maps, write, and say that they are synthetic."""
    config = tyro.cli(Config, description=__doc__)
    specs = list_synthetic_clips(config.subjects, config.clips, config.seed)
    written = write_synthetic_inputs(config.out, specs, config.flow, config.workers)
    quiet = not sys.stdout.isatty()
    count = len(list(track(written, "Drawing synthetic clips", total=len(specs), disable=quiet)))
    print(f"synthetic: {count} clips of {3 * config.subjects} drawn subjects in {config.out}")


if __name__ == "__main__":
    run_script(main)
