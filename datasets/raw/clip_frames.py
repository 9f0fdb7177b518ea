"""Finds the frames of a clip, and names key frames that are missing and other gaps."""

from collections.abc import Mapping
from dataclasses import replace

from common.errors import name_list
from datasets.inputs import SAFE_NAME
from datasets.raw.annotation import emotion_name
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.findings import RowReport
from datasets.raw.frame_folders import PATH_FIELDS, Finder, FrameFolder
from datasets.raw.raw_clip import RawClip


def attach_frames(
    dataset: DatasetFormat,
    clip: RawClip,
    finder: Finder,
    cells: Mapping[str, str],
    report: RowReport,
) -> RawClip:
    """The clip with its frames.

    A missing folder, a missing key frame and two files of one frame number exclude the clip; other
    gaps are named.

    Args:
        dataset: the clip's dataset.
        clip: as annotated.
        finder: looks below the folder of the dataset's frames.
        cells: the row's text by field, as the sheet has it.
        report: takes the findings.
    """
    names = {
        "subject": clip.subject,
        "clip": clip.clip,
        # Folders are named by the emotion in the sheet, whatever a correction says.
        "emotion": emotion_name(dataset, cells["emotion"]) or clip.emotion,
        **dataset.folder_names(cells),
    }
    if finder.takes_paths:
        names |= {name: cells[name] for name in PATH_FIELDS}
    # A cell such as "../.." must not lead out of the folder that the user gave.
    safe = finder.takes_paths or all(SAFE_NAME.fullmatch(name) for name in names.values())
    folder = finder.find(names) if safe else None
    if folder is None:
        detail = finder.explain(names) if safe else "these names lead out of the folder."
        report.add("no frames", clip.clip, "excluded", detail)
        return clip
    numbers = _numbers_of(dataset, clip, folder)
    inside = [number for number in numbers if clip.onset <= number <= clip.offset]
    if clip.apex_source != "annotated" and inside:
        clip = replace(clip, apex=inside[(len(inside) - 1) // 2])
    _check_key_frames(clip, folder, inside, report)
    _check_others(dataset, clip, folder, inside, report)
    frame_names = {number: folder.names[number] for number in numbers}
    return replace(clip, folder=folder.path, frame_names=frame_names)


def _numbers_of(dataset: DatasetFormat, clip: RawClip, folder: FrameFolder) -> list[int]:
    """All frames of the folder; of a long recording the clip, and its length before and after."""
    if not dataset.long_recordings:
        return list(folder.names)
    length = clip.offset - clip.onset + 1
    return [n for n in folder.names if clip.onset - length <= n <= clip.offset + length]


def _check_key_frames(
    clip: RawClip, folder: FrameFolder, inside: list[int], report: RowReport
) -> None:
    key_frames = {"onset": clip.onset, "apex": clip.apex, "offset": clip.offset}
    absent = [f"{name} {number}" for name, number in key_frames.items() if number not in inside]
    if absent:
        numbers = list(folder.names)
        detail = f"{folder.path} holds frames {numbers[0]} to {numbers[-1]}, but not this."
        report.add("key frame missing", name_list(absent), "excluded", detail)


def _check_others(
    dataset: DatasetFormat,
    clip: RawClip,
    folder: FrameFolder,
    inside: list[int],
    report: RowReport,
) -> None:
    expected = range(clip.onset, clip.offset + 1)
    gaps = sorted(set(expected) - {*inside, clip.onset, clip.apex, clip.offset})
    if gaps:
        detail = f"frames between the key frames are missing: {len(gaps)}."
        report.add("gap", name_list(gaps), "kept", detail)
    doubled = [number for number in folder.doubled if number in expected]
    if doubled:
        report.add("frame twice", name_list(doubled), "excluded", "several files have one number.")
    if dataset.longest is not None and len(expected) > dataset.longest:
        report.add("long clip", len(expected), "kept", f"over {dataset.longest} frames long.")
