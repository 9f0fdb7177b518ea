"""A dataset of one's own: one table with a row a clip, paths to folders of frames or to videos.

Columns, in the usual spellings: subject; clip (else the name of the folder or video); folder or
video, relative to the table; onset, apex (may be empty), offset; label; and where known frame rate
and action units. The classes are the labels, in the order of their first appearance or as given.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Literal
from unicodedata import normalize

from common.class_names import LONGEST_NAME, MOST_CLASSES, is_class_name
from common.dataset_names import DATASETS
from common.errors import UserError, name_list
from common.refusals import Refusal, few
from common.tables import number
from datasets.frames.reading import video_frame_name
from datasets.raw.corrections import FRAME_FIELDS
from datasets.raw.dataset_format import DatasetFormat, frame_file
from datasets.raw.findings import RowReport
from datasets.raw.frame_folders import FrameFolder, list_frames
from datasets.raw.label_schemes import LabelScheme
from datasets.raw.sheets import Sheet
from datasets.video.decode import open_frames

Times = Literal["frames", "seconds"]
OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
FRAME_FILE = frame_file(".*?")
NO_APEX = ("", "/", "-", "-1", "?", "nan", "na", "n/a", "none", "null", "无")
"""How tables say that a clip's apex is not known."""
SECONDS = re.compile(r"(.*\d)\s*s(?:ec(?:onds?)?)?", re.IGNORECASE)


def label_key(cell: str) -> str:
    """Two labels that differ in case, width or blanks alone are one class."""
    return " ".join(normalize("NFKC", cell).casefold().split())


def own_format(name: str, path: Path, sheet: Sheet, wanted: Sequence[str]) -> DatasetFormat:
    """The format and the label scheme of a table.

    Args:
        name: of the dataset.
        path: the table, for messages.
        sheet: as read.
        wanted: the classes in their order; empty takes every label in the order of appearance.

    Raises:
        UserError: the name is another dataset's or no plain name, classes are given twice, or the
            table has fewer than two labels, or so many that the column holds something else.
    """
    if name in DATASETS or not OWN_NAME.fullmatch(name):
        raise UserError(
            f"--name {name!r}: give letters, digits, _ and -, and no name of a known dataset "
            f"({name_list(DATASETS)})."
        )
    labels = _distinct(row.field("label") for row in sheet.rows)
    classes = tuple(_distinct(wanted).values()) or tuple(labels.values())
    if len(classes) < max(2, len(wanted)) or "" in map(label_key, wanted):
        advice = "Give at least two different names." if wanted else "Is this the right column?"
        raise Refusal(path, f"gives {len(classes)} classes ({few(classes)}). {advice}")
    if len(classes) > MOST_CLASSES:
        reason = f"has {len(classes)} labels ({few(classes, 50)}), more than {MOST_CLASSES}"
        raise Refusal(path, f"{reason}. Give the classes with --classes, or correct the table.")
    unusable = [text for text in classes if not is_class_name(text)]
    if unusable:
        reason = f"has the label {unusable[0]!a:.60}"
        raise Refusal(path, f"{reason}. Give at most {LONGEST_NAME} printable characters.")
    by_key = {label_key(text): text for text in classes}
    emotions = {key: by_key.get(key, text) for key, text in labels.items()}
    return DatasetFormat(
        name=name,
        title=name,
        expected_rows=(),
        emotions=emotions,
        emotion_key=label_key,
        clip_pattern=re.compile(r".+"),
        clip_example="clip_01",
        subject_name=str,
        layouts=(),
        long_recordings=True,
        has_apex=False,
        spots_apex=True,
        own_scheme=LabelScheme(name, classes, {name: {text: text for text in classes}}),
    )


def _distinct(labels: Iterable[str]) -> dict[str, str]:
    """Key -> the first spelling of each label that is not empty."""
    found: dict[str, str] = {}
    for text in filter(None, labels):
        found.setdefault(label_key(text), text)
    return found


def sheet_notes(dataset: DatasetFormat, sheet: Sheet) -> Iterable[tuple[str, str, str]]:
    """Classes that were asked for and that no row has."""
    scheme = dataset.own_scheme
    for name in scheme.classes if scheme else ():
        if label_key(name) not in dataset.emotions:
            known = few(dataset.emotions.values(), 60)
            yield "class", name, f"no row has this label; the table has {known}."


class PathFinder:
    """Finds clips' frames by the paths in a table: folders of numbered frames, or videos.

    Args:
        base: the folder to which the paths are relative.
    """

    takes_paths = True

    def __init__(self, base: Path) -> None:
        self.base = base
        self.last_place: Path | None = None
        self.last = FrameFolder(base, {}, ())

    def find(self, cells: Mapping[str, str]) -> FrameFolder | None:
        """The frames of a row; None where there are none."""
        place = self._place(cells)
        if place is None:
            return None
        if place != self.last_place:
            self.last_place, self.last = place, self._read(place)
        return self.last if self.last.names else None

    def _read(self, place: Path) -> FrameFolder:
        if not place.is_file():
            return list_frames(place, FRAME_FILE)
        try:
            count = len(open_frames(place).times)
        except UserError:
            count = 0
        return FrameFolder(place, {n: video_frame_name(n) for n in range(count)}, ())

    def explain(self, cells: Mapping[str, str]) -> str:
        """Why a row has no frames, a sentence."""
        place = self._place(cells)
        if place is None:
            return "the row names no folder and no video."
        if place.is_dir():
            return f"{place} holds no picture whose name ends with a number."
        if not place.is_file():
            return f"{place} is not there. Paths are relative to {self.base}."
        try:
            open_frames(place)
        except UserError as error:
            return str(error)
        return f"{place} holds no frame that can be decoded."

    def seconds(self, folder: FrameFolder, rate: float | None) -> list[tuple[float, int]]:
        """Time and number of every frame; of a folder by its frame rate, empty if that is unknown.

        A folder's first frame is at 0 seconds.
        """
        if folder.path.is_file():
            return [(at, n) for n, at in enumerate(open_frames(folder.path).times)]
        first = next(iter(folder.names))
        return [((n - first) / rate, n) for n in folder.names] if rate else []

    def _place(self, cells: Mapping[str, str]) -> Path | None:
        text = cells.get("folder") or cells.get("video") or ""
        if not text:
            return None
        plain = PureWindowsPath(text).as_posix() if "\\" in text else text
        try:
            return self.base / Path(plain).expanduser()
        except RuntimeError:
            # There is no such user: the name means itself.
            return self.base / plain


def with_names(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells with a clip's name, that of its folder or video where the table gives none.

    A cell that says that there is no apex is made empty.
    """
    place = PureWindowsPath(cells.get("folder") or cells.get("video") or "")
    clip = cells["clip"]
    if not clip or clip == cells.get("video"):
        clip = place.stem if cells.get("video") else place.name
    apex = "" if cells["apex"].casefold() in NO_APEX else cells["apex"]
    return {**cells, "clip": clip, "apex": apex, "emotion": cells["label"]}


def frame_rate(cells: Mapping[str, str], given: float | None, report: RowReport) -> float | None:
    """Frames per second of a row, else those given for all."""
    text = cells["frame_rate"]
    rate = number(text)
    if text and not rate > 0:
        report.add("frame rate", text, "kept", "it is no positive number and is not used.")
    return rate if rate > 0 else given


def frames_of_seconds(
    cells: Mapping[str, str], times: Sequence[tuple[float, int]], report: RowReport
) -> dict[str, str]:
    """The cells with frame numbers in place of seconds: of each the frame nearest in time."""
    found = dict(cells)
    if not times:
        detail = "seconds need the frame rate: a column of the table, or --frame-rate."
        report.add("frame rate", cells["frame_rate"], "excluded", detail)
        return found
    for name in FRAME_FIELDS:
        match = SECONDS.fullmatch(cells[name])
        seconds = number(match[1] if match else cells[name])
        if math.isfinite(seconds):
            at, nearest = min(times, key=lambda pair: abs(pair[0] - seconds))
            beyond = abs(at - seconds) > 1
            found[name] = f"{cells[name]} s" if beyond else str(nearest)
    return found
