"""The published layout of inputs: a table of clips and four small PNG maps for each of them.

The authors of CausalNet released the 442 samples of the MEGC2019 composite so; the scripts that
make inputs write the same. A map's file name has a space before the extension: `<stem> .png` (onset
to apex flow), `<stem>_1 .png` (apex to offset flow) and `<stem>_2 .png`, `<stem>_3 .png` (their
direction maps), with stem = subject + "_" + clip. HTNet's authors released the same table with the
first map alone.

Inputs are the table and named arrays: `maps`, and where the clips' frames were at hand `flow` and
`frames` (datasets/arrays.py).
"""

import hashlib
import re
import struct
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.class_names import CLASS_NAMES
from common.dataset_names import usual_name
from common.errors import UserError, name_list
from common.files import write_bytes, write_text
from common.first_bytes import impostor
from common.owned_folder import changed_files, check_unchanged
from common.refusals import Refusal, few
from common.tables import number, numbers, read_table, reduce_name
from datasets.arrays import READERS, StoredArray, open_array
from datasets.input_records import RECORD_NAME, describe_flow, read_class_names, read_records
from datasets.maps import DIRECTION_MAPS, FLOW_MAPS, MAP_SIZE, direction_map

TABLE_NAME = "combined_3_class2_for_optical_flow.csv"
MAPS_FOLDER = "STSNet_whole_norm_u_v_os"
# Where the maps may be, relative to the table: beside it, or as in a clone of the repository.
MAPS_PLACES = (Path(MAPS_FOLDER), Path("datasets") / MAPS_FOLDER)
# Where the table may be, relative to the folder that the user gives.
TABLE_PLACES = (Path(), Path("released_maps"))
TABLE_COLUMNS = ["dataset", "sub", "filename_o", "label", "apex", "imagename", "sub_filename"]
POINT_COLUMNS = [f"point{number}_{axis}" for number in range(1, 6) for axis in "xy"]
"""Left eye, right eye, nose, left and right mouth corner (of the picture), x to the right and y
down, in pixels of a 28 x 28 map."""
KNOWN_COLUMNS = ["onset", "apex", "offset", "frame_rate", *POINT_COLUMNS]
"""What a table may also say of a clip: frame numbers, frames per second, points of the face."""
HASH_DIGITS = 16
MAP_SUFFIXES = ("", "_1", "_2", "_3")
MAP_SHAPE = (MAP_SIZE, MAP_SIZE, 3)
MOST_MAP_BYTES = 2**20
PNG_START = b"\x89PNG\r\n\x1a\n"
OTHER_PICTURES = {b"\xff\xd8\xff": " but a JPEG", b"BM": " but a BMP", b"GIF8": " but a GIF"}
SYNTHETIC = "synthetic"
# Names become file names, so a name that could leave the folder is refused.
SAFE_NAME = re.compile(r"\w[\w.()+ -]*")
CORRECT = "Correct the table."


@dataclass(frozen=True)
class Inputs:
    """The stored inputs of one folder, in the order of the clips' stems.

    Attributes:
        maps: uint8 [N, 4, 28, 28, 3] as stored, channels B, G, R; map order flow 1 (onset to
            apex), flow 2 (apex to offset), direction 1, direction 2. Of a folder of one phase
            [N, 1, 28, 28, 3], flow 1 alone.
        clips: N rows with the text columns dataset, subject, clip, stem and the integer label
            (an index into ``class_names``); of ``KNOWN_COLUMNS`` those that are known of any clip,
            as float64 with NaN for the others.
        folder: where they were read.
        synthetic: whether the table says that its clips are drawn, not filmed.
        class_names: negative, positive, surprise, unless ``inputs.yaml`` beside the table says
            otherwise.
        arrays: arrays by name that are used instead of the stored ones.
        doubles: clips whose map another subject has too; taken only where they are asked for.
        flow_by: which method and OpenCV computed the flow, as words; None where it is not known.
        edited: whether the table or ``inputs.yaml`` has changed since the suite wrote it.
    """

    maps: NDArray[np.uint8]
    clips: pd.DataFrame
    folder: Path
    synthetic: bool
    class_names: tuple[str, ...] = CLASS_NAMES
    arrays: Mapping[str, StoredArray] = field(default_factory=dict)
    doubles: int = 0
    flow_by: str | None = None
    edited: bool = False

    @property
    def phases(self) -> int:
        """2 where the maps show onset to apex and apex to offset; 1 where only the first."""
        return 1 if self.maps.shape[1] == 1 else 2

    @cached_property
    def sha256(self) -> str:
        """The input hash: over the maps' bytes, then the clips' names and labels."""
        content = hashlib.sha256(self.maps.tobytes())
        # Without what is also known, so that finished runs keep their hash when a table says more.
        content.update(_csv_bytes(self.clips.drop(columns=KNOWN_COLUMNS, errors="ignore")))
        return content.hexdigest()

    @cached_property
    def subjects(self) -> frozenset[str]:
        """ "dataset/subject" of all clips."""
        return frozenset(self.clips["dataset"] + "/" + self.clips["subject"])

    @cached_property
    def clip_hashes(self) -> list[str]:
        """A hash of every clip's first map, whatever the clip is called; empty where it shows no
        motion, and so could be anybody's."""
        return [
            hashlib.sha256(own.tobytes()).hexdigest()[:HASH_DIGITS] if np.ptp(own) else ""
            for own in self.maps[:, 0]
        ]

    def array(self, name: str) -> StoredArray:
        """A named array, one entry a clip in the order of ``clips``.

        Args:
            name: ``maps``; ``flow``, float16 [N, 2, S, S, 2]: u to the right and v down in pixels,
                onset to apex and apex to offset; ``frames``, uint8 [N, F, S, S, 3]: registered
                frames, R, G, B, in the order ``datasets.arrays.FRAME_ORDER``.

        Returns:
            A NumPy array, or where it is large a ``ClipArray``, which reads the clips asked for.

        Raises:
            UserError: the folder lacks it; the message names the command that makes it.
        """
        if name == "maps":
            return self.maps
        if name in self.arrays:
            return self.arrays[name]
        if name not in READERS:
            known = name_list(["maps", *READERS])
            raise UserError(f"there is no input {name!r}. Choose one of: {known}.")
        return open_array(_find_table(self.folder).parent, name, self.clips)

    def holds(self, name: str) -> bool:
        """Whether every clip has its entry in a named array."""
        if name == "maps" or name in self.arrays:
            return True
        path_of, _ = READERS[name]
        folder = _find_table(self.folder).parent
        return all(path_of(folder, stem).is_file() for stem in self.clips["stem"])

    def sha256_of(self, name: str) -> str:
        """The hash over a named array and the table; that of ``maps`` is ``sha256``."""
        if name == "maps":
            return self.sha256
        stored = self.array(name)
        content = hashlib.sha256(f"{name} {stored.dtype} {stored.shape}\n".encode())
        for clip in stored:
            content.update(np.ascontiguousarray(clip).data)
        content.update(_csv_bytes(self.clips))
        return content.hexdigest()


def _csv_bytes(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode("utf-8")


def read_inputs(folder: Path, allow_doubles: bool = False) -> Inputs:
    """Read every clip of a folder in the published layout.

    Direction maps that are not stored are computed. Files that belong to no clip are ignored.

    Args:
        folder: holds the table and the folder of maps, or is a clone of the published repository.
        allow_doubles: take inputs in which two subjects have a clip with the same map. They are
            counted in ``doubles``, and every result of them says so.

    Raises:
        UserError: the folder, the table or a map is missing or cannot be used; the message lists
            the offending names.
    """
    table_path = _find_table(Path(folder))
    maps_folder = _find_maps(table_path)
    clips, synthetic = read_clip_table(table_path)
    present = {path.name for path in maps_folder.iterdir()}
    clips = _with_leading_zeros(table_path, clips, present)
    _warn_of_twin_names(table_path, clips)
    names = {*present} & {n for stem in clips["stem"] for n in _map_names(stem)}
    check_unchanged(table_path.parent, (maps_folder / name for name in sorted(names)))
    maps = _read_maps(maps_folder, present, clips["stem"].tolist())
    doubles = count_doubles(maps_folder, maps, clips, allow_doubles)
    classes, flow_by = read_class_names(table_path.parent), describe_flow(table_path.parent)
    edited = changed_files(table_path.parent, [table_path, table_path.with_name(RECORD_NAME)])
    if edited:
        _warn(f"{table_path.parent}: changed since this suite wrote it: {few(edited)}")
    return Inputs(
        maps,
        clips,
        Path(folder),
        synthetic,
        classes,
        doubles=doubles,
        flow_by=flow_by,
        edited=bool(edited),
    )


def map_file_name(stem: str, map_index: int) -> str:
    """The published file name of map 0..3 of a clip."""
    return f"{stem}{MAP_SUFFIXES[map_index]} .png"


def write_maps(folder: Path, stem: str, maps: NDArray[np.uint8]) -> None:
    """Write a clip's maps, uint8 [4, 28, 28, 3] in B, G, R, below ``folder`` as published."""
    for map_index, pixels in enumerate(maps):
        _, content = cv2.imencode(".png", pixels)
        write_bytes(Path(folder) / MAPS_FOLDER / map_file_name(stem, map_index), content.tobytes())


def write_table(folder: Path, clips: pd.DataFrame, synthetic: bool) -> None:
    """Write the published table for clips with columns dataset, subject, clip and label.

    Those of ``KNOWN_COLUMNS`` that the clips have are written too. Drawn clips get one more column,
    ``source``, so that no reader takes them for real ones.
    """
    table = clips.rename(columns={"subject": "sub", "clip": "filename_o"})
    table["imagename"] = table["sub"] + "_" + table["filename_o"] + ".jpg"
    known = [name for name in KNOWN_COLUMNS if name in table and table[name].notna().any()]
    columns = list(dict.fromkeys([*TABLE_COLUMNS, *known]))
    if synthetic:
        table["source"] = SYNTHETIC
        columns.append("source")
    text = table.reindex(columns=columns, fill_value="").to_csv(index=False, lineterminator="\n")
    write_text(Path(folder) / TABLE_NAME, text)


def _find_table(folder: Path) -> Path:
    """The table of clips below the folder that the user gave."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds {TABLE_NAME}.")
    tables = [folder / place / TABLE_NAME for place in TABLE_PLACES]
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        raise Refusal(folder, f"holds no {TABLE_NAME}. {_where_the_table_is(folder)}")
    return table


def _where_the_table_is(folder: Path) -> str:
    """Which folder to give instead, or what this one holds."""
    above = folder.resolve().parent
    if any((above / place / TABLE_NAME).is_file() for place in TABLE_PLACES):
        return f"Give the folder above it, {above.name}."
    below = sorted(path.parent.name for path in folder.glob(f"*/{TABLE_NAME}"))
    if below:
        return f"Give the folder in it that does: {few(below, 60)}."
    held = few(sorted(entry.name for entry in folder.iterdir()), 90) or "nothing"
    return f"Give the released maps, or what build_inputs.py made; this one holds {held}."


def _find_maps(table: Path) -> Path:
    maps_folders = [table.parent / place for place in MAPS_PLACES]
    maps_folder = next((path for path in maps_folders if path.is_dir()), None)
    if maps_folder is None:
        places = " or ".join(str(path) for path in MAPS_PLACES)
        held = few(sorted({entry.name for entry in table.parent.iterdir()} - {table.name}), 60)
        raise Refusal(
            table.parent,
            f"holds the table of clips but no maps: {places} is needed; beside the table is "
            f"{held or 'nothing'}.",
        )
    return maps_folder


def read_clip_table(path: Path) -> tuple[pd.DataFrame, bool]:
    """The clips of the published table sorted by stem, and whether they are synthetic."""
    columns = {"dataset": "dataset", "sub": "subject", "filename_o": "clip", "label": "label"}
    table = read_table(path, list(columns), "Give the published table of clips.")
    clips = table[list(columns)].rename(columns=columns)
    clips["dataset"] = clips["dataset"].map(usual_name)
    _check_rows(path, clips, read_class_names(path.parent))
    clips["label"] = numbers(clips["label"]).astype(np.int64)
    clips["stem"] = clips["subject"] + "_" + clips["clip"]
    for name in KNOWN_COLUMNS:
        if name in table and table[name].any():
            clips[name] = _numbers(path, table[name])
    _check_file_names(path, clips["stem"].tolist())
    said = "source" in table and bool((table["source"].str.lower() == SYNTHETIC).any())
    records = read_records(path.parent).values()
    synthetic = said or any(record.get("source") == SYNTHETIC for record in records)
    return clips.sort_values("stem", ignore_index=True), synthetic


def _numbers(path: Path, cells: pd.Series) -> pd.Series:
    """A column as float64, NaN where it is empty."""
    values = numbers(cells)
    wrong = cells[values.isna() & (cells != "")]
    if len(wrong):
        names = few(map(repr, wrong))
        raise Refusal(path, f"is refused: {cells.name} must be a number, not {names}. {CORRECT}")
    return values


def _check_rows(path: Path, clips: pd.DataFrame, class_names: tuple[str, ...]) -> None:
    """Refuse an empty table, names that cannot be file names, and unknown labels."""
    if clips.empty:
        raise Refusal(path, "lists no clip. Give a table with a row for each clip.")
    for column in ("dataset", "subject", "clip"):
        unsafe = [name for name in clips[column] if not SAFE_NAME.fullmatch(name)]
        if unsafe:
            raise Refusal(
                path,
                f"is refused: {column} names may hold letters, digits, spaces and _ - + . ( ) "
                f"only, not {few(map(repr, unsafe))}. {CORRECT}",
            )
    wrong = clips[[number(text) not in range(len(class_names)) for text in clips["label"]]]
    if len(wrong):
        pairs = wrong["subject"] + "_" + wrong["clip"] + " has " + wrong["label"].map(repr)
        labels = _label_list(class_names)
        raise Refusal(path, f"is refused: a label is {labels}, but {few(pairs)}. {CORRECT}")


def _label_list(class_names: tuple[str, ...]) -> str:
    """For example: 0 (negative), 1 (positive) or 2 (surprise)."""
    *most, last = (f"{label} ({name})" for label, name in enumerate(class_names))
    return f"{', '.join(most)} or {last}"


def _check_file_names(path: Path, stems: list[str]) -> None:
    """Refuse clips that would share a map file: the same stem, or one stem with a map's suffix."""
    owners = defaultdict(list)
    for stem in stems:
        for map_index in range(len(MAP_SUFFIXES)):
            owners[map_file_name(stem, map_index)].append(stem)
    shared = [" and ".join(names) for names in owners.values() if len(names) > 1]
    if shared:
        names = few(dict.fromkeys(shared))
        raise Refusal(
            path, f"is refused: these clips would share a map file: {names}. Rename one of each."
        )


def _with_leading_zeros(path: Path, clips: pd.DataFrame, present: set[str]) -> pd.DataFrame:
    """The clips with the zeros in front of subjects that a spreadsheet took, where maps prove them.

    A subject "6" whose clip has no map, while the same clip of exactly one of "06", "006" has one,
    is that one.
    """
    stored: dict[str, list[str]] = defaultdict(list)
    for name in present:
        if name.startswith("0"):
            stored[name.lstrip("0").replace(" .png", ".png")].append(name)
    found = {}
    for place, clip in clips.iterrows():
        if clip["subject"].isdecimal() and not _stored_name(present, clip["stem"], 0):
            names = stored.get(f"{clip['stem'].lstrip('0')}.png", [])
            lengths = {len(name) - len(name.lstrip("0")) for name in names}
            if len(lengths) == 1:
                found[place] = "0" * lengths.pop() + clip["subject"].lstrip("0")
    if not found:
        return clips
    clips = clips.copy()
    clips.loc[list(found), "subject"] = list(found.values())
    clips["stem"] = clips["subject"] + "_" + clips["clip"]
    _check_file_names(path, clips["stem"].tolist())
    _warn(f"{path}: zeros lost in front of subjects are put back: {few(sorted({*found.values()}))}")
    return clips.sort_values("stem", ignore_index=True)


def plain_subject(name: str) -> str:
    """A subject's name without case, signs and zeros in front of numbers: those who share it are
    most likely one person."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", reduce_name(name))


def _warn_of_twin_names(path: Path, clips: pd.DataFrame) -> None:
    """Name subjects of a dataset that are most likely one."""
    twins: dict[tuple[str, str], list[str]] = defaultdict(list)
    for dataset, subject in clips[["dataset", "subject"]].drop_duplicates().itertuples(index=False):
        twins[dataset, plain_subject(subject)].append(subject)
    pairs = [f"{' and '.join(names)} of {key[0]}" for key, names in twins.items() if names[1:]]
    if pairs:
        _warn(f"{path}: these count as different subjects: {few(pairs)}. Are they the same?")


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def count_doubles(
    folder: Path, maps: NDArray[np.uint8], clips: pd.DataFrame, allow_doubles: bool
) -> int:
    """How many clips have a flow map that a clip of another subject has too.

    A map without any motion says nothing, and is not compared.

    Args:
        folder: named where they are refused.
        maps: uint8 [N, 4 or 1, 28, 28, 3].
        clips: columns dataset, subject and clip.
        allow_doubles: they are asked for; then they are named as a warning.

    Raises:
        UserError: there are such clips: one of them would be tested on what it has seen.
    """
    owners: dict[bytes, list[int]] = defaultdict(list)
    for index in (index for index in FLOW_MAPS if index < maps.shape[1]):
        for place, pixels in enumerate(maps[:, index]):
            if np.ptp(pixels):
                owners[pixels.tobytes()].append(place)
    subjects = (clips["dataset"] + "/" + clips["subject"]).tolist()
    shared = [places for places in owners.values() if len({subjects[p] for p in places}) > 1]
    if not shared:
        return 0
    names = (clips["subject"] + "/" + clips["clip"]).tolist()
    found = few(dict.fromkeys(" and ".join(names[p] for p in places[:2]) for places in shared))
    what = f"holds the same map for clips of two subjects: {found}"
    if not allow_doubles:
        advice = "Correct the maps or the subjects of the table; --allow-doubles takes them"
        raise Refusal(folder, f"{what}. {advice}.")
    _warn(f"{folder} {what}")
    return len({place for places in shared for place in places})


def _read_maps(folder: Path, present: set[str], stems: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 [N, 4, 28, 28, 3], or [N, 1, 28, 28, 3] where no clip has more than its first map.

    Every problem in the folder is found before any is reported.
    """
    indices: tuple[int, ...] = (*FLOW_MAPS, *DIRECTION_MAPS)
    if not any(_stored_name(present, stem, index) for stem in stems for index in indices[1:]):
        indices = FLOW_MAPS[:1]
        _warn_of_other_maps(folder, present, stems)
    maps = np.zeros((len(stems), len(indices), *MAP_SHAPE), dtype=np.uint8)
    problems: dict[str, list[str]] = defaultdict(list)
    for clip_maps, stem in zip(maps, stems, strict=True):
        for index in indices:
            name = _stored_name(present, stem, index)
            if name is None and index in DIRECTION_MAPS:
                clip_maps[index] = direction_map(clip_maps[index - DIRECTION_MAPS[0]])
                continue
            pixels, problem = _read_map(folder / name) if name else (None, "missing")
            if pixels is None:
                problems[problem].append(name or map_file_name(stem, index))
            else:
                clip_maps[index] = pixels
    if problems:
        strangers = not any(_stored_name(present, stem, 0) for stem in stems)
        room = (100 if strangers else 140) // len(problems)
        parts = [f"{problem}: {few(names, room)}" for problem, names in problems.items()]
        advice = "Restore these files, or build them again"
        if strangers:
            parts.append(f"it holds {few(sorted(present), 50) or 'nothing'}")
            advice = "Maps are PNG files of these names"
        raise Refusal(folder, f"does not fit its table of clips. {'; '.join(parts)}. {advice}.")
    return maps


def _warn_of_other_maps(folder: Path, present: set[str], stems: Sequence[str]) -> None:
    """Name what lies beside maps of one phase and may be those of the other."""
    first = {_stored_name(present, stem, 0) for stem in stems}
    others = sorted(n for n in present - first if n.lower().endswith(".png") and n[0] != ".")
    if first != {None} and len(others) >= len(stems):
        _warn(f"{folder}: read as maps of one phase, from onset to apex; not used: {few(others)}")


def _stored_name(present: set[str], stem: str, map_index: int) -> str | None:
    """The name of a map's file, with or without the space; None where there is none."""
    name = map_file_name(stem, map_index)
    names = (name, name.replace(" .png", ".png"))
    return next((name for name in names if name in present), None)


def _map_names(stem: str) -> Iterator[str]:
    """What a clip's map files may be called."""
    for map_index in range(len(MAP_SUFFIXES)):
        name = map_file_name(stem, map_index)
        yield from (name, name.replace(" .png", ".png"))


def _read_map(path: Path) -> tuple[NDArray[np.uint8] | None, str]:
    """The pixels of a stored map, or None and what is wrong with the file."""
    if not path.is_file():
        return None, "not a file"
    content, pixels = b"", None
    try:
        with path.open("rb") as file:
            content = file.read(MOST_MAP_BYTES)
        # By its header: unpacked, a picture of zeros can take gigabytes.
        if content.startswith(PNG_START) and len(content) >= 24:
            width, height = struct.unpack(">II", content[16:24])
            if (height, width) != MAP_SHAPE[:2]:
                return None, f"{height} x {width} pixels, not {MAP_SIZE} x {MAP_SIZE}"
        # Before it is decoded: the decoder complains on the terminal by itself.
        if not _png_is_damaged(content):
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, OSError):
        pixels = None
    if pixels is None:
        found = impostor(content)
        other = (kind for start, kind in OTHER_PICTURES.items() if content.startswith(start))
        return None, " (".join(found) + ")" if found else f"not a readable PNG{next(other, '')}"
    if pixels.shape != MAP_SHAPE or pixels.dtype != np.uint8:
        shape = " x ".join(map(str, pixels.shape))
        return None, f"{shape} {pixels.dtype}, not {MAP_SIZE} x {MAP_SIZE} x 3 uint8"
    return pixels.astype(np.uint8, copy=False), ""


def _png_is_damaged(content: bytes) -> bool:
    """Whether it is no PNG file, or a checksum is not that of its data; OpenCV reads on then."""
    place, view = len(PNG_START), memoryview(content)
    if not content.startswith(PNG_START):
        return True
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if content[end : end + 4] != zlib.crc32(view[place + 4 : end]).to_bytes(4, "big"):
            return True
        if kind == b"IEND":
            return False
        place = end + 4
    return True
