"""Reads a folder of results: this suite's ``predictions.csv``, or published ``*_acc.txt`` files.

Whatever is missing, doubled or unreadable is named; nothing vanishes from the totals silently.
Where a folder holds both forms, ``predictions.csv`` is read, because it names the clips.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.dataset_names import usual_name
from common.errors import UserError
from common.owned_folder import changed_files
from common.refusals import Refusal, few, one_line, summarize_refusals
from evaluation.acc_files import SUFFIX, read_acc_file
from evaluation.expected_clips import FILE_NAME, PROTOCOL, expected_clips, find_expected_clips
from evaluation.predictions import (
    NOTE,
    RECORDED,
    SYNTHETIC,
    SYNTHETIC_NOTE,
    read_predictions,
    score_columns,
)
from evaluation.protocol_classes import (
    PROTOCOL_CLASSES,
    check_true_classes,
    refuse_other_classes,
)
from evaluation.run_record import find_record

PREDICTIONS_NAME = "predictions.csv"
ACC_FILES = f"[!.]*{SUFFIX}"
"""Without those that macOS puts beside files, which begin with a point."""
UNKNOWN_DATASET = "unknown"
GUIDE = "docs/predictions.md"
ROOM_FOR_PROBLEMS = 145


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

    @property
    def complaint(self) -> str:
        """The problems as part of a line: the first ones, and how many more there are."""
        return describe_problems(self.problems)


def describe_problems(problems: Sequence[str], room: int = ROOM_FOR_PROBLEMS) -> str:
    """The problems that fit into so many characters, at least one, and how many more there are."""
    shown = [one_line(problems[0], room)] if problems else []
    for problem in problems[1:]:
        if len("; ".join([*shown, problem])) > room:
            break
        shown.append(problem)
    more = len(problems) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def holds_results(folder: Path) -> bool:
    """Whether results lie in this folder itself."""
    return (folder / PREDICTIONS_NAME).is_file() or any(folder.glob(ACC_FILES))


def read_results(
    folder: Path, dataset: str | None = None, clips: pd.DataFrame | None = None
) -> Results:
    """Read a folder, or one dataset's part of it, and compare it with what is expected.

    Args:
        clips: the clips that the results were made from, one row each: columns dataset, subject,
            clip, true, file (stem of the subject's result file), source and, where it is known,
            classes (their number). They give the clips of ``*_acc.txt`` files their names, and the
            expected counts where the folder has no record.

    Raises:
        UserError: no such folder, no results in it, a table that cannot be read, or a dataset that
            these results do not have.
    """
    if not folder.is_dir():
        raise Refusal(folder, "is not a folder. Give the folder that holds the results.")
    counts, source = expected_clips(folder, clips)
    if dataset is not None:
        dataset = usual_name(dataset)
        known = sorted(counts["dataset"].unique())
        if dataset not in known:
            raise Refusal(folder, f"has no dataset {dataset!r}; it has {few(known)}.")
        counts = counts[counts["dataset"] == dataset]
    problems: list[str] = []
    if (folder / PREDICTIONS_NAME).is_file():
        rows = read_predictions(folder / PREDICTIONS_NAME)
        if source == PROTOCOL and not score_columns(rows):
            part = rows[rows["dataset"].isin(PROTOCOL_CLASSES)]
            refuse_other_classes(folder / PREDICTIONS_NAME, part[["true", "predicted"]])
        if dataset is not None:
            rows = rows[rows["dataset"] == dataset]
        elif source == PROTOCOL and rows["dataset"].isin(counts["dataset"]).sum() == 0:
            known = rows[["dataset", "subject"]].drop_duplicates().assign(file="")
            counts, problems = _count_unknown(known)
    else:
        files = _list_acc_files(folder)
        if source == PROTOCOL and dataset is None and files.keys().isdisjoint(counts["file"]):
            counts, problems = _count_unknown(_subjects_of(files))
        of_protocol = source == PROTOCOL and not problems
        rows, more = _read_acc_files(files, counts, clips, of_protocol, whole=dataset is None)
        problems += more
    _check_classes(folder, rows, clips)
    results = _compare(rows, counts, problems, source)
    problems += check_true_classes(rows, counts)
    if changed := _changed(folder):
        results.notes.append(f"CHANGED since it was written: {few(changed)}")
    return results


def _changed(folder: Path) -> list[str]:
    """The names of the files read that have changed since they were written."""
    record = find_expected_clips(folder)
    own = [] if record is None else changed_files(record.parent, [record])
    return [*changed_files(folder, _read_from(folder)), *own]


def _check_classes(folder: Path, rows: pd.DataFrame, clips: pd.DataFrame | None) -> None:
    """Refuse classes beyond those of the run that the results are of, or of the clips given."""
    classes = len(find_record(folder).get("class_names", ()))
    if not classes and clips is not None and "classes" in clips:
        classes = int(clips["classes"].iloc[0])
    if (
        classes
        and len(rows)
        and (most := int(rows[["true", "predicted"]].max(axis=None))) >= classes
    ):
        raise Refusal(
            folder,
            f"holds class {most}, but the classes of these clips are 0 to {classes - 1}. Restore "
            "the results, or make them again.",
        )


def _read_from(folder: Path) -> list[Path]:
    """The files that the rows of a folder are made of."""
    predictions = folder / PREDICTIONS_NAME
    return [predictions] if predictions.is_file() else list(_list_acc_files(folder).values())


def _list_acc_files(folder: Path) -> dict[str, Path]:
    files = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(ACC_FILES))}
    if not files:
        raise _nothing_here(folder)
    return files


def _subjects_of(files: dict[str, Path]) -> pd.DataFrame:
    """The subjects of result files, of an unknown dataset."""
    return pd.DataFrame({"subject": list(files), "file": list(files), "dataset": UNKNOWN_DATASET})


def _count_unknown(subjects_found: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Subjects of whom none is expected, so that nobody knows how many clips each has."""
    counts = subjects_found.assign(clips=0, source=RECORDED, note="")
    subjects = f"no subject is of {PROTOCOL} ({few(counts['subject'], 30)})"
    return counts, [f"{subjects}: a file {FILE_NAME} must say how many clips each has ({GUIDE})"]


def _read_acc_files(
    files: dict[str, Path],
    counts: pd.DataFrame,
    clips: pd.DataFrame | None,
    of_protocol: bool,
    whole: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of every expected subject's file; a file that cannot be used becomes a problem.

    Args:
        of_protocol: whether the clips must have the protocol's classes.
        whole: no dataset was chosen, so that every file must be of an expected subject.
    """
    parts, refusals = [], []
    known = None if clips is None else dict(list(clips.groupby(["dataset", "subject"])))
    for subject in counts.itertuples():
        path = files.get(str(subject.file))
        if path is None:
            continue
        names = {"dataset": subject.dataset, "subject": subject.subject}
        try:
            _, predicted, true = read_acc_file(path)
            if of_protocol:
                refuse_other_classes(path.name, pd.DataFrame({"true": true, "pred": predicted}))
            clip = _name_clips(path, true, tuple(names.values()), known)
        except UserError as error:
            refusals.append(Refusal.of(path.name, error))
            continue
        parts.append(pd.DataFrame({**names, "clip": clip, "true": true, "predicted": predicted}))
    problems = [summarize_refusals(refusals).rstrip(".")] if refusals else []
    expected = set(counts["file"])
    unknown = [name for name in files if name not in expected]
    if whole and unknown:
        lost = _other_spelling(unknown, [str(n) for n in counts["file"] if n not in files])
        problems.append(lost or f"files of subjects that are not expected: {few(unknown)}")
    columns = ["dataset", "subject", "clip", "true", "predicted"]
    return (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    ), problems


def _other_spelling(unknown: Sequence[str], missing: Iterable[str]) -> str:
    """What to say where unknown names are missing ones in another spelling; else nothing."""
    wanted = {name.lstrip("0"): name for name in missing}
    pairs = [f"{name} for {wanted[name]}" for name in unknown if wanted.get(name, name) != name]
    if pairs:
        return f"zeros in front of subjects are lost: {few(pairs)}"
    spelled = {_plain_subject(name): name for name in wanted.values()}
    found = ((name, spelled.get(_plain_subject(name))) for name in unknown)
    pairs = [f"{name} for {right}" for name, right in found if right]
    return f"subjects are spelled otherwise: {few(pairs)}" if pairs else ""


def _plain_subject(name: str) -> str:
    """A subject without case, zeros in front, decimals and signs; of a number alone the number."""
    plain = re.sub(r"\.0$|[\W_]", "", name.lower())
    number = re.fullmatch(r"(?:sub|subject|s)?0*(\d+)", plain)
    is_letter = plain.startswith("s") and not plain.startswith("sub")
    return f"{'s' if is_letter else ''}{number[1]}" if number else plain


def _name_clips(
    path: Path,
    true: np.ndarray,
    subject: tuple[Any, ...],
    clips: Mapping[Any, pd.DataFrame] | None,
) -> list[str]:
    """Names for the clips of an ``*_acc.txt`` file, which holds none.

    The n-th clip of a class in the file is taken for the n-th clip of that class in ``clips``,
    which are given by dataset and subject. The published code lists a subject's clips class by
    class, so their order is another one.
    """
    if clips is None:
        return [f"#{number}" for number in range(len(true))]
    known = clips.get(subject, pd.DataFrame(columns=["clip", "true"]))
    if sorted(true) != sorted(known["true"]):
        found, wanted = (
            one_line(", ".join(map(str, sorted(classes))), 60) for classes in (true, known["true"])
        )
        raise Refusal(path.name, f"has the true classes {found}, but the inputs have {wanted}.")
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
        advice = f"Give a folder with {PREDICTIONS_NAME} or *{SUFFIX} files"
        held = few(sorted(path.name for path in folder.iterdir()), 60) or "nothing"
        return Refusal(folder, f"holds no results. {advice}; it holds {held}.")
    names = few(path.relative_to(folder) for path in below)
    return Refusal(folder, f"holds folders of results; give one of them: {names}.")


def _compare(rows: pd.DataFrame, counts: pd.DataFrame, problems: list[str], source: str) -> Results:
    """Add to ``problems`` the differences from the expected clip counts."""
    expected = counts.set_index(["dataset", "subject"])["clips"]
    found = rows.groupby(["dataset", "subject"]).size().reindex(expected.index, fill_value=0)
    absent = [subject for (_, subject), clips in found.items() if clips == 0]
    pairs = pd.MultiIndex.from_frame(rows[["dataset", "subject"]])
    known = pairs.isin(expected.index)
    unknown = sorted({f"{dataset}/{subject}" for dataset, subject in pairs[~known]})
    lost = _other_spelling([name.split("/", 1)[1] for name in unknown], absent)
    if lost:
        problems.append(lost)
    if absent:
        problems.append(f"{len(absent)} of {len(expected)} subjects missing: {few(absent)}")
    # Of a dataset that nobody knows no count is expected.
    wrong = found[(found > 0) & (found != expected) & (expected > 0)]
    if len(wrong):
        (dataset, subject), clips = next(iter(wrong.items()))
        first = f"{dataset}/{subject} has {clips} clips, {expected[wrong.index[0]]} expected"
        others = f" and {len(wrong) - 1} more subjects have other counts" if len(wrong) > 1 else ""
        problems.append(f"{first} by {source}{others}")
    if unknown and not lost:
        problems.append(f"subjects that are not expected: {few(unknown)}")
    missing = int((expected - found).clip(lower=0).sum())
    # One row that says so is enough, of a subject that is expected or not.
    said = "source" in rows and bool((rows["source"].astype(str).str.lower() == SYNTHETIC).any())
    synthetic = said or bool((counts["source"] == SYNTHETIC).any())
    joined = [*counts["note"].unique(), *(rows[NOTE].unique() if NOTE in rows else ())]
    notes = list(dict.fromkeys(note for text in joined for note in str(text).split("; ") if note))
    if synthetic and not any(note.startswith(SYNTHETIC_NOTE) for note in notes):
        notes.insert(0, SYNTHETIC_NOTE)
    return Results(rows[known].reset_index(drop=True), missing, synthetic, notes, problems)
