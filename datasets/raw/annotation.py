"""Corrects and parses the cells of a row, and names every cell that cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.refusals import few
from common.tables import is_date
from datasets.raw.action_units import ActionUnit, parse_action_units
from datasets.raw.corrections import FRAME_FIELDS, MIDDLE, Correction, frame_number
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.findings import RowReport
from datasets.raw.raw_clip import ApexSource

MOST_FRAMES = 100_000
"""Of one clip; more is a slip of the pen."""
EMOTION_SPELLINGS = {
    "happy": "happiness", "sad": "sadness", "angry": "anger", "fearful": "fear",
    "disgusted": "disgust", "repressed": "repression", "other": "others",
    "ne": "negative", "neg": "negative", "po": "positive", "pos": "positive",
    "sur": "surprise", "surprised": "surprise",
}  # fmt: skip
"""Other words for an emotion; read where the dataset has the emotion and not the word."""


@dataclass(frozen=True)
class Annotation:
    """The usable annotation of a row: frame numbers in order, a known emotion."""

    onset: int
    apex: int
    offset: int
    apex_source: ApexSource
    emotion: str
    action_units: tuple[ActionUnit, ...]


def read_annotation(
    dataset: DatasetFormat,
    has_apex: bool,
    cells: Mapping[str, str],
    corrections: list[Correction],
    report: RowReport,
) -> Annotation | None:
    """Correct and parse a row; None where a needed cell cannot be used.

    Args:
        dataset: the row's dataset.
        has_apex: whether the sheet has a column of apex frames.
        cells: its text by field.
        corrections: those that name its clip.
        report: takes a finding for every cell that is corrected or cannot be used.
    """
    cells = _corrected(cells, corrections, report)
    middle = next((c for c in corrections if (c.field, c.value) == ("apex", MIDDLE)), None)
    emotion = _emotion(dataset, cells, report)
    action_units = _action_units(cells.get("action_units", ""), report)
    _note_second_movement(cells.get("second_onset", ""), report)
    frames = _key_frames(dataset, has_apex, cells, middle, report)
    if frames is None or emotion is None:
        return None
    onset, apex, offset = frames
    if apex is None:
        source: ApexSource = "spotted" if dataset.spots_apex else "middle"
        return Annotation(onset, (onset + offset) // 2, offset, source, emotion, action_units)
    return Annotation(onset, apex, offset, "annotated", emotion, action_units)


def _corrected(
    cells: Mapping[str, str], corrections: list[Correction], report: RowReport
) -> dict[str, str]:
    """The cells with the corrected values; ``middle`` is applied after the check of the order."""
    corrected = dict(cells)
    for line in corrections:
        if line.field == "note":
            report.add("known fault", line.value, "kept", line.reason)
        elif line.field == "include":
            _note_inclusion(line, corrections, report)
        elif line.field != "exclude" and line.value not in (cells.get(line.field), MIDDLE):
            change = f"{line.field} {cells.get(line.field, '')} -> {line.value}"
            corrected[line.field] = line.value
            report.add("correction", change, "corrected", line.reason)
    return corrected


def _note_inclusion(line: Correction, corrections: list[Correction], report: RowReport) -> None:
    value = f"include {line.value}"
    if any(line.lifts(other) for other in corrections):
        report.add("correction", value, "corrected", line.reason)
    else:
        detail = "the shipped table does not exclude the clip; the correction does nothing."
        report.add("correction", value, "kept", detail)


def _key_frames(
    dataset: DatasetFormat,
    has_apex: bool,
    cells: Mapping[str, str],
    middle: Correction | None,
    report: RowReport,
) -> tuple[int, int | None, int] | None:
    """Onset, apex and offset, None for an apex that the middle frame replaces; None if unusable."""
    numbers = {name: frame_number(cells.get(name, "")) for name in FRAME_FIELDS}
    # Where the dataset has no apex, an empty cell of a column that somebody added is none either.
    no_apex = not dataset.has_apex and cells.get("apex", "") == ""
    needed = ("onset", "offset") if no_apex or middle is not None else FRAME_FIELDS
    for name in needed:
        if numbers[name] is None:
            report.add(
                "not a frame number",
                f"{name} {cells[name]!r}",
                "excluded",
                "correct the sheet, or give the frame in a table of corrections.",
            )
    onset, apex, offset = (numbers[name] for name in FRAME_FIELDS)
    if onset is None or offset is None:
        return None
    if onset > offset:
        report.add("order", f"{onset}..{offset}", "excluded", "the onset comes after the offset.")
        return None
    if offset - onset > MOST_FRAMES:
        detail = f"a clip of more than {MOST_FRAMES} frames: correct the sheet."
        report.add("order", f"{onset}..{offset}", "excluded", detail)
        return None
    if no_apex:
        owner = "this row" if has_apex else dataset.title
        instead = "the spotter finds it" if dataset.spots_apex else "the middle frame is used"
        report.add("no apex", "", "kept", f"{owner} has none: {instead}.")
        return onset, None, offset
    return _with_apex(onset, apex, offset, middle, report)


def _with_apex(
    onset: int, apex: int | None, offset: int, middle: Correction | None, report: RowReport
) -> tuple[int, int | None, int] | None:
    """Check onset <= apex <= offset; a correction may take the middle frame as the apex.

    A shipped correction does so only where the sheet's apex is out of order: other copies of the
    sheet may be right.
    """
    wanted = middle is not None and not middle.shipped
    if apex is not None and onset <= apex <= offset and not wanted:
        for name, number in (("onset", onset), ("offset", offset)):
            if apex == number:
                detail = f"the apex is the {name}: this phase has no motion."
                report.add("empty phase", apex, "kept", detail)
        return onset, apex, offset
    value = f"{onset}, {'none' if apex is None else apex}, {offset}"
    if middle is not None:
        detail = f"{middle.reason} The middle frame is used."
        report.add("correction", value, "corrected", detail)
        return onset, None, offset
    if apex is not None:
        report.add("order", value, "excluded", "the apex lies outside onset..offset.")
    return None


def emotion_name(dataset: DatasetFormat, cell: str) -> str | None:
    """The common name of an emotion as a sheet writes it; None for one that is not known."""
    key = dataset.emotion_key(cell)
    return dataset.emotions.get(key) or dataset.emotions.get(EMOTION_SPELLINGS.get(key, ""))


def _emotion(dataset: DatasetFormat, cells: Mapping[str, str], report: RowReport) -> str | None:
    emotion = emotion_name(dataset, cells["emotion"])
    if emotion is None:
        known = few(sorted(set(dataset.emotions.values())))
        report.add("emotion", cells["emotion"], "excluded", f"{dataset.title} has {known}.")
    match = dataset.clip_pattern.fullmatch(cells["clip"])
    named = emotion_name(dataset, (match and match.groupdict().get("emotion")) or "")
    if emotion and named and named != emotion:
        detail = f"the clip's name says {named}: correct the sheet if that is right."
        report.add("emotion", cells["emotion"], "kept", detail)
    return emotion


def _action_units(text: str, report: RowReport) -> tuple[ActionUnit, ...]:
    cell = parse_action_units(text)
    if is_date(text):
        detail = "a spreadsheet program made a date of the units: they are left out."
        report.add("action units", text, "kept", detail)
        return ()
    left_out = f"not understood and left out: {few(cell.unreadable)}" if cell.unreadable else ""
    others = "the other alternatives" if left_out else "alternatives: all of them"
    listed = f"{others} are listed" if cell.has_alternatives else ""
    if left_out or listed:
        detail = f"{'; '.join(filter(None, [left_out, listed]))}."
        report.add("action units", text, "kept", detail)
    return cell.units


def _note_second_movement(text: str, report: RowReport) -> None:
    """SMIC's sheet has columns for further movements in a clip."""
    if text not in ("", "0"):
        report.add("several movements", text, "kept", "the first of them is the clip.")
