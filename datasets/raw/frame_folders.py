"""Frames on disk: a clip's folder in the raw or the registered layout, its frames by number."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.refusals import few
from datasets.raw.dataset_format import DatasetFormat, FrameLayout

PATH_FIELDS = ("folder", "video")
"""Columns in which a user's own table says where frames are."""


@dataclass(frozen=True)
class FrameFolder:
    """The frames of one folder, or of one video.

    Attributes:
        path: the folder or the video.
        names: frame number -> file name, by rising number.
        doubled: numbers that more than one file has.
    """

    path: Path
    names: Mapping[int, str]
    doubled: tuple[int, ...]


class Finder(Protocol):
    """Finds the frames of clips, and says why there are none.

    Attributes:
        takes_paths: rows say where their frames are, by the user's own paths.
    """

    takes_paths: bool

    def find(self, names: Mapping[str, str]) -> FrameFolder | None:
        """The frames of a row; None where there are none."""

    def explain(self, names: Mapping[str, str]) -> str:
        """Why a row has no frames, a sentence."""


class FrameFinder:
    """Finds clips' frames below the folder that the user gave, for one reading of a dataset.

    Args:
        dataset: whose layouts to try.
        root: the folder.
        registered: whether registered frames are wanted.
    """

    takes_paths = False

    def __init__(self, dataset: DatasetFormat, root: Path, registered: bool) -> None:
        self.root = root
        self.layouts = wanted_layouts(dataset, registered)
        # Many clips of a long recording share one folder of thousands of frames.
        self.last_place: tuple[Path, re.Pattern[str]] | None = None
        self.last = FrameFolder(root, {}, ())

    def find(self, names: Mapping[str, str]) -> FrameFolder | None:
        """The first folder of the layouts that holds frames; None if there is none.

        Args:
            names: what replaces the names in braces in the layouts' folders.
        """
        for layout in self.layouts:
            for template in layout.folders:
                place = (self.root / template.format_map(names), layout.file_name)
                if place != self.last_place:
                    self.last_place, self.last = place, list_frames(*place)
                if self.last.names:
                    return self.last
        return None

    def explain(self, names: Mapping[str, str]) -> str:
        """Where the frames of a clip without any were looked for and what is there, a sentence."""
        places = [
            (self.root / template.format_map(names), layout)
            for layout in self.layouts
            for template in layout.folders
        ]
        # The place of which most is there.
        place, layout = max(places, key=lambda pair: len(_existing(pair[0]).parts))
        there, file_name = _existing(place), layout.file_in_words
        wanted = file_name if there == place else f"{place.relative_to(there)}/{file_name}"
        try:
            entries = sorted(entry.name for entry in os.scandir(there))
        except OSError as error:
            return f"{there} cannot be read: {error.strerror}."
        holds = few(entries, 50) if entries else "nothing"
        where = "the folder" if there == self.root else there.relative_to(self.root)
        return f"{where} holds no {wanted}; it holds {holds}."


def _existing(place: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((above for above in (place, *place.parents) if above.is_dir()), place)


def wanted_layouts(dataset: DatasetFormat, registered: bool) -> list[FrameLayout]:
    """The layouts that hold registered frames, or those that hold raw ones."""
    kind = "registered" if registered else "raw"
    return [layout for layout in dataset.layouts if layout.kind in (kind, "both")]


def list_frames(folder: Path, file_name: re.Pattern[str]) -> FrameFolder:
    """The files of a folder whose names match; none where there is no such folder."""
    try:
        entries = [entry.name for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        entries = []
    names: dict[int, list[str]] = defaultdict(list)
    for entry in entries:
        match = file_name.fullmatch(entry)
        if match:
            names[int(match[1])].append(entry)
    doubled = tuple(sorted(number for number, files in names.items() if len(files) > 1))
    return FrameFolder(folder, {number: min(names[number]) for number in sorted(names)}, doubled)
