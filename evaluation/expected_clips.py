"""Which subjects, and how many clips of each, a results folder must hold.

A run of this suite records its counts beside its results. For other results they come from the
table of clips that the caller gives, else from the 68 subjects of the MEGC2019 composite.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from common.files import write_text
from evaluation.predictions import RECORDED

FILE_NAME = "expected_clips.csv"
PROTOCOL_TABLE = Path(__file__).with_name("protocol_clip_counts.csv")
_NEEDED = ("dataset", "subject", "clips", "file", "source")
"""Columns of every record; the records of early runs have no ``note``."""
_LEVELS_ABOVE = 2
"""A folder such as ``<run>/<configuration>/oracle`` lies two levels below the run's record."""


def write_expected_clips(folder: Path, counts: pd.DataFrame) -> None:
    """Write columns dataset, subject, clips, file (stem of the subject's result files), source and
    note (printed with every metric)."""
    columns = ["dataset", "subject", "clips", "file", "source", "note"]
    write_text(folder / FILE_NAME, counts[columns].to_csv(index=False, lineterminator="\n"))


def expected_clips(folder: Path, clips: pd.DataFrame | None = None) -> tuple[pd.DataFrame, str]:
    """The counts for a results folder and where they come from, as words.

    Args:
        clips: for results without a record, the clips that they were made from: columns dataset,
            subject, file and source, one row per clip.

    Returns:
        Columns dataset, subject, clips, file, source, note; one row per subject.

    Raises:
        UserError: the record lacks a column, names a subject twice, or a count is no whole number.
    """
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents[:_LEVELS_ABOVE]):
        if (candidate / FILE_NAME).is_file():
            return _read(candidate / FILE_NAME, _NEEDED), "the run's own record"
    if clips is not None:
        keys = ["dataset", "subject", "file", "source"]
        counts = clips.groupby(keys).size().rename("clips").reset_index()
        return counts.assign(note=""), "the inputs"
    counts = _read(PROTOCOL_TABLE, _NEEDED[:3])
    return counts.assign(file=counts["subject"], source=RECORDED), "the MEGC2019 protocol"


def _read(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    try:
        counts = pd.read_csv(path, dtype=str)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table of clip counts: {error}") from error
    faults = _find_faults(counts, needed)
    if faults:
        raise UserError(f"{path} {faults}. Correct it, or run the grid search or eval.py again.")
    notes = counts["note"].fillna("") if "note" in counts else ""
    return counts.astype({"clips": int}).assign(note=notes)


def _find_faults(counts: pd.DataFrame, needed: Sequence[str]) -> str:
    """What is wrong with a table of counts, as the rest of a sentence; empty when it is right."""
    missing = [name for name in needed if name not in counts]
    if missing:
        return f"has no column {name_list(missing)}"
    if counts.empty:
        return "has no rows"
    names = counts["dataset"] + "/" + counts["subject"]
    blank = np.flatnonzero(counts[list(needed)].isna().any(axis=1)) + 2
    if len(blank):
        return f"has an empty cell in line {name_list(blank)}"
    wrong = ~counts["clips"].str.fullmatch(r"0*[1-9]\d{0,8}")
    if wrong.any():
        pairs = names[wrong] + ": " + counts["clips"][wrong]
        return f"holds counts of clips that are no whole numbers from 1 ({name_list(pairs)})"
    twice = names[names.duplicated()].unique()
    return f"holds these subjects more than once: {name_list(twice)}" if len(twice) else ""
