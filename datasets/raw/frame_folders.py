"""Frames on disk: a clip's folder in the raw or the registered layout, its frames by number."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from datasets.raw.dataset_format import DatasetFormat, FrameLayout


@dataclass(frozen=True)
class FrameFolder:
    """The frames of one folder.

    Attributes:
        path: the folder.
        names: frame number -> file name, by rising number (not by listing order).
        doubled: numbers that more than one file claims.
    """

    path: Path
    names: Mapping[int, str]
    doubled: tuple[int, ...]


def find_frames(
    dataset: DatasetFormat, root: Path, registered: bool, names: Mapping[str, str]
) -> FrameFolder | None:
    """The first folder of the dataset's layouts that holds frames of the wanted kind.

    Args:
        dataset: whose layouts to try.
        root: the folder that the user gave.
        registered: whether registered frames are wanted.
        names: what stands for the names in braces in the layouts' folders.
    """
    for layout in wanted_layouts(dataset, registered):
        for template in layout.folders:
            frames = _list_frames(root / template.format_map(names), layout.file_name)
            if frames is not None and frames.names:
                return frames
    return None


def wanted_layouts(dataset: DatasetFormat, registered: bool) -> list[FrameLayout]:
    """The layouts that hold registered frames, or those that hold raw ones."""
    kind = "registered" if registered else "raw"
    return [layout for layout in dataset.layouts if layout.kind in (kind, "both")]


# Many clips of a long recording share one folder of thousands of frames.
@lru_cache(maxsize=8)
def _list_frames(folder: Path, file_name: re.Pattern[str]) -> FrameFolder | None:
    try:
        entries = [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return None
    names: dict[int, list[str]] = defaultdict(list)
    for entry in entries:
        match = file_name.fullmatch(entry)
        if match:
            names[int(match[1])].append(entry)
    doubled = tuple(sorted(number for number, files in names.items() if len(files) > 1))
    return FrameFolder(folder, {number: min(names[number]) for number in sorted(names)}, doubled)
