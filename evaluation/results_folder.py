"""Reads a folder of results: this suite's ``predictions.csv``, or published ``*_acc.txt`` files.

Whatever is missing, doubled or unreadable is named; nothing vanishes from the totals silently.
Where a folder holds both forms, ``predictions.csv`` is read, because it names the clips.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, name_list
from evaluation.acc_files import SUFFIX, read_acc_file
from evaluation.expected_clips import expected_clips
from evaluation.predictions import SYNTHETIC, SYNTHETIC_NOTE, read_predictions

PREDICTIONS_NAME = "predictions.csv"


@dataclass(frozen=True)
class Results:
    """Prediction rows of a folder, and what is wrong with it.

    Attributes:
        rows: columns dataset, subject, clip, true, predicted (and more where the file has them).
        missing_clips: how many expected clips have no row.
        synthetic: whether any of the clips is synthetic.
        notes: what the run's record wants printed with every metric.
        problems: one sentence each; empty when the folder is complete.
    """

    rows: pd.DataFrame
    missing_clips: int
    synthetic: bool
    notes: list[str]
    problems: list[str]


def holds_results(folder: Path) -> bool:
    """Whether results lie in this folder itself."""
    return (folder / PREDICTIONS_NAME).is_file() or any(folder.glob(f"*{SUFFIX}"))


def read_results(
    folder: Path, dataset: str | None = None, clips: pd.DataFrame | None = None
) -> Results:
    """Read a folder, or one dataset's part of it, and compare it with what is expected.

    Args:
        clips: the clips that the results were made from, one row each: columns dataset, subject,
            clip, true, file (stem of the subject's result file) and source. They give the clips of
            ``*_acc.txt`` files their names, and the expected counts where the folder has no record.

    Raises:
        UserError: no such folder, no results in it, a table that cannot be read, or a dataset that
            these results do not have.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds the results.")
    counts, source = expected_clips(folder, clips)
    if dataset is not None:
        known = sorted(counts["dataset"].unique())
        if dataset not in known:
            raise UserError(f"{folder} has no dataset {dataset!r}; it has {name_list(known)}.")
        counts = counts[counts["dataset"] == dataset]
    problems: list[str] = []
    if (folder / PREDICTIONS_NAME).is_file():
        rows = read_predictions(folder / PREDICTIONS_NAME)
        if dataset is not None:
            rows = rows[rows["dataset"] == dataset]
    else:
        rows, problems = _read_acc_files(folder, counts, clips, whole=dataset is None)
    return _compare(rows, counts, problems, source)


def _read_acc_files(
    folder: Path, counts: pd.DataFrame, clips: pd.DataFrame | None, whole: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of every expected subject's file; a file that cannot be used becomes a problem."""
    files = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}
    if not files:
        raise _nothing_here(folder)
    parts, problems = [], []
    for subject in counts.itertuples():
        path = files.pop(str(subject.file), None)
        if path is None:
            continue
        names = {"dataset": subject.dataset, "subject": subject.subject}
        try:
            _, predicted, true = read_acc_file(path)
            clip = _name_clips(path, true, names, clips)
        except UserError as error:
            problems.append(str(error))
            continue
        parts.append(pd.DataFrame({**names, "clip": clip, "true": true, "predicted": predicted}))
    if whole and files:
        problems.append(f"files of subjects that are not expected: {name_list(files)}")
    columns = ["dataset", "subject", "clip", "true", "predicted"]
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    ), problems


def _name_clips(
    path: Path, true: np.ndarray, subject: dict[str, object], clips: pd.DataFrame | None
) -> list[str]:
    """Names for the clips of an ``*_acc.txt`` file, which holds none.

    The n-th clip of a class in the file is taken for the n-th clip of that class in ``clips``.
    The published code lists a subject's clips class by class, so their order is another one.
    """
    if clips is None:
        return [f"#{number}" for number in range(len(true))]
    known = clips[(clips[list(subject)] == pd.Series(subject)).all(axis=1)]
    if sorted(true) != sorted(known["true"]):
        raise UserError(
            f"{path.name} has the true classes {name_list(sorted(true))}, but the inputs have "
            f"{name_list(sorted(known['true']))}"
        )
    names = np.empty(len(true), dtype=object)
    names[np.argsort(true, kind="stable")] = known["clip"].iloc[
        np.argsort(known["true"].to_numpy(), kind="stable")
    ]
    return list(names)


def _nothing_here(folder: Path) -> UserError:
    """The error for a folder without results; run folders below it are listed."""
    below = sorted(
        path
        for pattern in ("*", "*/*")
        for path in folder.glob(pattern)
        if path.is_dir() and holds_results(path)
    )
    if not below:
        return UserError(
            f"{folder} holds no results. Give a folder with {PREDICTIONS_NAME} or *{SUFFIX} files."
        )
    return UserError(f"{folder} holds folders of results; name one of them: {name_list(below)}.")


def _compare(rows: pd.DataFrame, counts: pd.DataFrame, problems: list[str], source: str) -> Results:
    """Add to ``problems`` the differences from the expected clip counts."""
    expected = counts.set_index(["dataset", "subject"])["clips"]
    found = rows.groupby(["dataset", "subject"]).size().reindex(expected.index, fill_value=0)
    absent = [subject for (_, subject), clips in found.items() if clips == 0]
    if absent:
        problems.append(f"{len(absent)} of {len(expected)} subjects missing: {name_list(absent)}")
    wrong = found[(found > 0) & (found != expected)]
    for (dataset, subject), clips in wrong.items():
        wanted = expected[(dataset, subject)]
        problems.append(f"{dataset}/{subject} has {clips} clips, {wanted} expected by {source}")
    pairs = pd.MultiIndex.from_frame(rows[["dataset", "subject"]])
    known = pairs.isin(expected.index)
    if not known.all():
        names = sorted({f"{dataset}/{subject}" for dataset, subject in pairs[~known]})
        problems.append(f"subjects that are not expected: {name_list(names)}")
    missing = int((expected - found).clip(lower=0).sum())
    synthetic = bool((counts["source"] == SYNTHETIC).any())
    notes = [note for joined in counts["note"].unique() for note in joined.split("; ") if note]
    if synthetic and not notes:
        notes = [SYNTHETIC_NOTE]
    return Results(rows[known].reset_index(drop=True), missing, synthetic, notes, problems)
