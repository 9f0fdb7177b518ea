"""Hold the automatic key-frame spotter against a dataset's annotation.

    python measure_spotter.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx \\
        --frames CASME2 --out spotter.csv

Reads the annotation sheet and every frame of the clips. Prints how far the spotted apex is from the
annotated one, in frames and in percent of the clip, beside what the middle frame gives; --out also
writes a row for each clip.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from common.errors import UserError, run_script
from common.files import check_output_file, write_text
from datasets.frames.build import InputSettings
from datasets.frames.spotter_error import error_summary, spot_clips
from datasets.raw import RawSource, read_raw_dataset


@dataclass(frozen=True)
class Config:
    """What to measure on."""

    dataset: Literal["casme2", "samm", "mmew", "casme3"]
    """Whose sheet and folders these are; SMIC names no apex."""
    sheet: Path
    """The annotation sheet, .xlsx or .csv."""
    frames: Path
    """The folder of the frames, as the dataset comes."""
    registered: bool = False
    """Take the dataset's registered (cropped) frames as they are."""
    boundaries: bool = False
    """Also spot onset and offset; else they are the first and the last frame."""
    corrections: Path | None = None
    """Your own table of corrections."""
    out: Path | None = None
    """A .csv file for the clips' rows."""
    workers: int = 2
    """Processes; the figures do not depend on it."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: give at least 1.")
        if self.out is not None:
            check_output_file(self.out)


def main() -> None:
    """Read, spot, print, write."""
    config = tyro.cli(Config, description=__doc__)
    source = RawSource(
        config.dataset, config.sheet, config.frames, config.registered, config.corrections
    )
    raw = read_raw_dataset(source)
    settings = InputSettings(registered=config.registered)
    rows = spot_clips(raw.clips, settings, config.boundaries, config.workers)
    for row in rows[rows["problem"] != ""].itertuples():
        print(f"left out: {row.subject}/{row.clip}: {row.problem}")
    spotted = (rows["problem"] == "").sum()
    print(f"{'synthetic: ' if raw.synthetic else ''}{spotted} clips with an annotated apex")
    print(error_summary(rows).to_string(index=False, float_format="%.1f"))
    if config.out is not None:
        write_text(config.out, rows.to_csv(index=False, lineterminator="\n"))
        print(f"written: {config.out}")


if __name__ == "__main__":
    run_script(main)
