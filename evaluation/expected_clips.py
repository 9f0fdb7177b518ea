"""Which subjects, and how many clips of each, a results folder ought to hold.

A run of this suite records its own counts beside its results; for results from elsewhere the 68
subjects of the MEGC2019 composite are shipped as a table.
"""

from pathlib import Path

import pandas as pd

from common.errors import UserError
from common.files import write_text
from evaluation.predictions import RECORDED

FILE_NAME = "expected_clips.csv"
PROTOCOL_TABLE = Path(__file__).with_name("protocol_clip_counts.csv")
_LEVELS_ABOVE = 2
"""An ``oracle`` folder lies two levels below the run's record."""


def write_expected_clips(folder: Path, counts: pd.DataFrame) -> None:
    """Write columns dataset, subject, clips, file (stem of the subject's result files), source and
    note (what must stand beside every figure)."""
    columns = ["dataset", "subject", "clips", "file", "source", "note"]
    write_text(folder / FILE_NAME, counts[columns].to_csv(index=False, lineterminator="\n"))


def expected_clips(folder: Path) -> tuple[pd.DataFrame, str]:
    """The counts for a results folder and where they come from, as words.

    Returns:
        Columns dataset, subject, clips, file, source, note; one row a subject.
    """
    resolved = folder.resolve()
    for place in (resolved, *resolved.parents[:_LEVELS_ABOVE]):
        if (place / FILE_NAME).is_file():
            return _read(place / FILE_NAME), "the run's own record"
    counts = _read(PROTOCOL_TABLE)
    return counts.assign(file=counts["subject"], source=RECORDED), "the MEGC2019 protocol"


def _read(path: Path) -> pd.DataFrame:
    try:
        counts = pd.read_csv(
            path, dtype=dict.fromkeys(("dataset", "subject", "file", "source", "note"), str)
        )
        notes = counts["note"].fillna("") if "note" in counts else ""
        return counts.astype({"clips": int}).assign(note=notes)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as a table of clip counts: {error}") from error
