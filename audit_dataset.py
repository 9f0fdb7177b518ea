"""Audit a raw dataset: what is wrong with the sheet or the frames, and what would happen to it.

    python audit_dataset.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx --frames CASME2

Reads the annotation sheet and, if given, the folder of frames. Prints the findings and the clips
that each label scheme of the dataset would take; --out also writes the whole table of findings.
Nothing is changed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from common.errors import run_script
from common.files import check_output_file, write_text
from common.progress import with_progress
from datasets.raw import (
    SCHEMES,
    Finding,
    RawDataset,
    RawSource,
    exclusion_findings,
    findings_table,
    label_clips,
    read_raw_dataset,
)
from datasets.raw.audit_report import finding_lines, selection_line
from datasets.raw.frame_check import FrameChoice, check_clip_frames


@dataclass(frozen=True)
class Config:
    """What to look at."""

    dataset: Literal["casme2", "samm", "smic", "mmew", "casme3"]
    """Whose sheet and folders these are."""
    sheet: Path
    """The annotation sheet, .xlsx or .csv."""
    frames: Path | None = None
    """The folder of the frames, as the dataset comes; without it only the sheet is audited."""
    registered: bool = False
    """Look at the dataset's registered (cropped) frames."""
    corrections: Path | None = None
    """Your own table of corrections, in addition to the shipped one."""
    check_frames: FrameChoice = "key"
    """Frames to decode: those that inputs are built from (key), every one (all), or none."""
    out: Path | None = None
    """A .csv file for the whole table of findings."""

    def __post_init__(self) -> None:
        if self.out is not None:
            check_output_file(self.out)


def main() -> None:
    """Read, check, print, write."""
    config = tyro.cli(Config, description=__doc__)
    raw = read_raw_dataset(
        RawSource(
            config.dataset, config.sheet, config.frames, config.registered, config.corrections
        )
    )
    bad_frames = _check_frames(config, raw)
    bad_rows = {finding.row for finding in bad_frames}
    clips = [clip for clip in raw.clips if clip.row not in bad_rows]
    excluded = exclusion_findings(raw.clips, config.dataset)
    findings = [*raw.findings, *bad_frames, *excluded]
    print("\n".join(finding_lines(findings)))
    for scheme in SCHEMES.values():
        if config.dataset in scheme.emotions:
            print(selection_line(label_clips(clips, scheme)[0], scheme))
    if config.out is not None:
        table = findings_table(findings).to_csv(index=False, lineterminator="\n")
        write_text(config.out, table)
        print(f"written: {config.out}")


def _check_frames(config: Config, raw: RawDataset) -> list[Finding]:
    if config.frames is None or config.check_frames == "none":
        return []
    checks = (check_clip_frames(clip, config.check_frames, config.registered) for clip in raw.clips)
    results = with_progress(checks, len(raw.clips), "decoding frames")
    return [finding for finding in results if finding is not None]


if __name__ == "__main__":
    run_script(main)
