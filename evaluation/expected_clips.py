"""Which subjects, and how many clips of each, a results folder must hold.

A run of this suite records its counts beside its results. For other results they come from the
table of clips that the caller gives, else from the 68 subjects of the MEGC2019 composite.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.files import write_text
from common.owned_folder import changed_files
from common.refusals import Refusal, few
from common.tables import numbers, read_table
from evaluation.predictions import RECORDED

FILE_NAME = "expected_clips.csv"
PROTOCOL_TABLE = Path(__file__).with_name("protocol_clip_counts.csv")
PROTOCOL = "the MEGC2019 protocol"
_NEEDED = ("dataset", "subject", "clips", "file", "source")
"""Columns of every record; the records of early runs have no ``note``."""
MOST_CLIPS = 1_000_000
"""Of one subject; more is a slip of the pen."""
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
            subject, file, source and, where there is one, note, one row per clip.

    Returns:
        Columns dataset, subject, clips, file, source, note; one row per subject.

    Raises:
        UserError: the record lacks a column, names a subject twice, or a count is no whole number.
    """
    path = find_expected_clips(folder)
    if path is not None:
        return _read(path, _NEEDED), "the run's own record"
    if clips is not None:
        keys = ["dataset", "subject", "file", "source", "note"]
        noted = clips if "note" in clips else clips.assign(note="")
        return noted.groupby(keys).size().rename("clips").reset_index(), "the inputs"
    counts = _read(PROTOCOL_TABLE, _NEEDED[:3])
    return counts.assign(file=counts["subject"], source=RECORDED), PROTOCOL


def find_expected_clips(folder: Path) -> Path | None:
    """The record of a results folder, in it or in one above; None where there is none.

    Raises:
        UserError: it was written, and is not there any more.
    """
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents[:_LEVELS_ABOVE]):
        path = candidate / FILE_NAME
        if path.is_file():
            return path
        if changed_files(candidate, [path]):
            raise Refusal(
                path,
                "is missing, which says what must be known of these results. Restore it, or run "
                "the grid search or eval.py again.",
            )
    return None


def _read(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    advice = "Correct it, or run the grid search or eval.py again."
    counts = read_table(path, needed, advice)
    faults = _find_faults(counts, needed)
    if faults:
        raise Refusal(path, f"{faults}. {advice}")
    notes = counts.get("note", "")
    clips = numbers(counts["clips"]).astype(int)
    return counts.assign(note=notes, clips=clips).reset_index(drop=True)


def _find_faults(counts: pd.DataFrame, needed: Sequence[str]) -> str:
    """What is wrong with a table of counts, as the rest of a sentence; empty when it is right."""
    if counts.empty:
        return "has no rows"
    names = counts["dataset"] + "/" + counts["subject"]
    blank = counts.index[(counts[list(needed)] == "").any(axis=1)]
    if len(blank):
        return f"has an empty cell in line {few(blank)}"
    values = numbers(counts["clips"])
    wrong = ~(values.between(1, MOST_CLIPS) & (values % 1 == 0))
    if wrong.any():
        pairs = names[wrong] + ": " + counts["clips"][wrong]
        return f"holds counts of clips that are no whole numbers from 1 ({few(pairs)})"
    twice = names[names.duplicated()].unique()
    return f"holds these subjects more than once: {few(twice)}" if len(twice) else ""
