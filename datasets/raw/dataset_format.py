"""What the reader must know about a dataset: columns, names, folders. One file per dataset."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Literal

from common.tables import reduce_name
from datasets.raw.label_schemes import LabelScheme

FrameKind = Literal["raw", "registered", "both"]
FILE_ENDING = re.compile(r"\.(?:avi|mp4|jpe?g|png|zip)$", re.IGNORECASE)


@dataclass(frozen=True)
class FrameLayout:
    """One way in which a dataset stores its frames.

    Attributes:
        kind: raw camera frames, registered (cropped) ones, or a layout that both come in.
        folders: a clip's folder below the folder that the user gives, with names in braces; the
            first that exists is taken.
        file_name: matches a frame's file name; its group is the frame number.
    """

    kind: FrameKind
    folders: tuple[str, ...]
    file_name: re.Pattern[str]

    @property
    def file_in_words(self) -> str:
        """A frame's file name for messages: reg_img{number}.jpg."""
        prefix = self.file_name.pattern.partition("(")[0].replace(r"\d+", "{digits}")
        return f"{prefix}{{number}}.jpg"


@dataclass(frozen=True)
class DatasetFormat:
    """One dataset as its users receive it.

    Attributes:
        name: its name on the command line and in tables.
        title: its name in sentences.
        expected_rows: row counts of the complete sheet, of all copies in circulation.
        emotions: reduced spelling in the sheet -> common name.
        emotion_key: how a spelling is reduced.
        clip_pattern: matches a file-name cell of this dataset, and not those of others; its group
            "subject", where it has one, is the subject in the clip's name.
        clip_example: such a cell.
        subject_name: a subject cell -> the subject's name in tables.
        clip_name: cells of a row -> the clip's name in tables.
        written_clip: a clip's name as users write it, in other case or without zeros -> its name
            in tables.
        folder_names: (cells, subject, clip, emotion) -> the names that folders may use.
        layouts: where frames are.
        frame_rate: frames per second; None where it is not known.
        long_recordings: whether a frame folder holds a long recording around the clip.
        longest: a clip of more frames than this is remarked; None for no limit.
        has_apex: whether a complete sheet names apex frames.
        spots_apex: whether the spotter, and not the middle frame, replaces an apex that is absent.
        own_scheme: the only label scheme, of a dataset whose labels are the user's.
        worksheets: what is found in the name of the right worksheet of a workbook, in small letters
            (a regular expression); empty for none.
    """

    name: str
    title: str
    expected_rows: tuple[int, ...]
    emotions: Mapping[str, str]
    clip_pattern: re.Pattern[str]
    clip_example: str
    subject_name: Callable[[str], str]
    layouts: tuple[FrameLayout, ...]
    clip_name: Callable[[Mapping[str, str]], str] = field(default=lambda cells: cells["clip"])
    written_clip: Callable[[str], str] = str
    folder_names: Callable[[Mapping[str, str]], Mapping[str, str]] = field(default=lambda _: {})
    frame_rate: float | None = None
    long_recordings: bool = False
    longest: int | None = None
    has_apex: bool = True
    spots_apex: bool = False
    emotion_key: Callable[[str], str] = reduce_name
    own_scheme: LabelScheme | None = None
    worksheets: str = ""

    def owns(self, clip: str) -> bool:
        """Whether a file-name cell has the form of this dataset."""
        return bool(self.clip_pattern.fullmatch(clip))

    def clip_cell(self, text: str) -> str:
        """A file-name cell in the form of this dataset, without folders and a file's ending; one
        that has no such form as it is."""
        plain = self.written_clip(FILE_ENDING.sub("", PureWindowsPath(text).name))
        return plain if self.owns(plain) else text

    def reads(self, clip: str) -> bool:
        """Whether a file-name cell is one of this dataset however it is written."""
        return self.owns(self.clip_cell(clip))


def numbered_subject(prefix: str, width: int) -> Callable[[str], str]:
    """From a cell a subject's name: with prefix s and width 2, "1", "S01" and "sub 1" are s01."""
    pattern = re.compile(r"(?:s|sub|subject)?[ _-]?0*(\d{1,9})", re.ASCII | re.IGNORECASE)

    def name(text: str) -> str:
        match = pattern.fullmatch(text)
        return f"{prefix}{int(match[1]):0{width}d}" if match else text

    return name


def frame_file(prefix: str) -> re.Pattern[str]:
    """File names ``<prefix><number>.<picture ending>``; the prefix is a regular expression."""
    return re.compile(rf"{prefix}(\d+)\.(?:jpe?g|png|bmp|tiff?)", re.IGNORECASE)
