"""The published layout of inputs: a table of clips and four small PNG maps for each of them.

This is how the authors of CausalNet released the 442 samples of the MEGC2019 composite, and how
`make_synthetic_clips.py` and `build_inputs.py` write theirs. A map's file name has a space before
the extension: `<stem> .png` (onset to apex flow), `<stem>_1 .png` (apex to offset flow) and
`<stem>_2 .png`, `<stem>_3 .png` (their direction maps), with stem = subject + "_" + clip.
"""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from common.files import write_bytes, write_text
from datasets.direction_maps import direction_map
from datasets.input_records import read_class_names
from datasets.regions import MAP_SIZE

TABLE_NAME = "combined_3_class2_for_optical_flow.csv"
MAPS_FOLDER = "STSNet_whole_norm_u_v_os"
# Where the maps may be, seen from the table: beside it, or as in a clone of the repository.
MAPS_PLACES = (Path(MAPS_FOLDER), Path("datasets") / MAPS_FOLDER)
# Where the table may be, seen from the folder that the user gives.
TABLE_PLACES = (Path(), Path("released_maps"))
TABLE_COLUMNS = ["dataset", "sub", "filename_o", "label", "apex", "imagename", "sub_filename"]
MAP_SUFFIXES = ("", "_1", "_2", "_3")
FLOW_MAPS, DIRECTION_MAPS = (0, 1), (2, 3)
MAP_SHAPE = (MAP_SIZE, MAP_SIZE, 3)
SYNTHETIC = "synthetic"
# Names become file names, so nothing that could leave the folder is let through.
SAFE_NAME = re.compile(r"\w[\w.()+ -]*")


@dataclass(frozen=True)
class Inputs:
    """The stored inputs of one folder, in the order of the clips' stems.

    Attributes:
        maps: uint8 [N, 4, 28, 28, 3] as stored, channels B, G, R; map order flow 1 (onset to
            apex), flow 2 (apex to offset), direction 1, direction 2.
        clips: N rows with the text columns dataset, subject, clip, stem and the integer label
            (a place in ``class_names``).
        folder: where they were read.
        synthetic: whether the table says that its clips are drawn, not filmed.
        class_names: negative, positive, surprise, unless ``inputs.yaml`` beside the table says
            otherwise.
    """

    maps: NDArray[np.uint8]
    clips: pd.DataFrame
    folder: Path
    synthetic: bool
    class_names: tuple[str, ...] = CLASS_NAMES

    def array(self, name: str) -> NDArray[np.generic]:
        """A named array."""
        if name != "maps":
            raise UserError(f"{self.folder} holds no {name}.")
        return self.maps

    def sha256_of(self, name: str) -> str:
        """Hash of the table and that array."""
        return self.sha256

    @cached_property
    def sha256(self) -> str:
        """The input hash: over the maps' bytes, then the table of clips."""
        content = hashlib.sha256(self.maps.tobytes())
        content.update(self.clips.to_csv(index=False, lineterminator="\n").encode("utf-8"))
        return content.hexdigest()


def read_inputs(folder: Path) -> Inputs:
    """Read every clip of a folder in the published layout.

    Direction maps that are not stored are computed. Files that belong to no clip are ignored.

    Args:
        folder: holds the table and the folder of maps, or is a clone of the published repository.

    Raises:
        UserError: the folder, the table or a map is missing or cannot be used; the message lists
            the offending names.
    """
    table_path, maps_folder = _find_layout(Path(folder))
    clips, synthetic = read_table(table_path)
    maps = _read_maps(maps_folder, clips["stem"].tolist())
    return Inputs(maps, clips, Path(folder), synthetic, read_class_names(table_path.parent))


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

    Drawn clips get one more column, ``source``, so that no reader takes them for real ones.
    """
    table = clips.rename(columns={"subject": "sub", "clip": "filename_o"})
    table["imagename"] = table["sub"] + "_" + table["filename_o"] + ".jpg"
    columns = [*TABLE_COLUMNS, "source"] if synthetic else TABLE_COLUMNS
    if synthetic:
        table["source"] = SYNTHETIC
    text = table.reindex(columns=columns, fill_value="").to_csv(index=False, lineterminator="\n")
    write_text(Path(folder) / TABLE_NAME, text)


def _find_layout(folder: Path) -> tuple[Path, Path]:
    """The table and the folder of maps below the folder that the user gave."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Give the folder that holds {TABLE_NAME}.")
    tables = [folder / place / TABLE_NAME for place in TABLE_PLACES]
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        raise UserError(
            f"{folder} holds no {TABLE_NAME}. Give the folder of the released maps, a clone of "
            "the published repository, or a folder made by make_synthetic_clips.py."
        )
    maps_folders = [table.parent / place for place in MAPS_PLACES]
    maps_folder = next((path for path in maps_folders if path.is_dir()), None)
    if maps_folder is None:
        places = " or ".join(str(path) for path in MAPS_PLACES)
        raise UserError(f"{table.parent} holds the table of clips but no maps: {places} is needed.")
    return table, maps_folder


def read_table(path: Path) -> tuple[pd.DataFrame, bool]:
    """The clips of the published table sorted by stem, and whether they are synthetic."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path} is not a comma-separated UTF-8 table: {error}.") from None
    absent = [name for name in ("dataset", "sub", "filename_o", "label") if name not in table]
    if absent:
        raise UserError(f"{path} has no column {name_list(absent)}; it has {name_list(table)}.")
    columns = {"dataset": "dataset", "sub": "subject", "filename_o": "clip", "label": "label"}
    clips = table[list(columns)].rename(columns=columns).apply(lambda column: column.str.strip())
    _check_rows(path, clips, read_class_names(path.parent))
    clips["label"] = clips["label"].astype(np.int64)
    clips["stem"] = clips["subject"] + "_" + clips["clip"]
    _check_file_names(path, clips["stem"].tolist())
    synthetic = "source" in table and bool((table["source"] == SYNTHETIC).any())
    return clips.sort_values("stem", ignore_index=True), synthetic


def _check_rows(path: Path, clips: pd.DataFrame, class_names: tuple[str, ...]) -> None:
    """Refuse an empty table, names that cannot be file names, and unknown labels."""
    if clips.empty:
        raise UserError(f"{path} lists no clip.")
    for column in ("dataset", "subject", "clip"):
        unsafe = [name for name in clips[column] if not SAFE_NAME.fullmatch(name)]
        if unsafe:
            raise UserError(
                f"{path}: {column} names may hold letters, digits, spaces and _ - + . ( ) only, "
                f"not {name_list(map(repr, unsafe))}. Correct the table."
            )
    wrong = clips[~clips["label"].isin([str(label) for label in range(len(class_names))])]
    if len(wrong):
        pairs = wrong["subject"] + "_" + wrong["clip"] + " has " + wrong["label"].map(repr)
        raise UserError(
            f"{path}: a label is {_label_list(class_names)}, but {name_list(pairs)}. "
            "Correct the table."
        )


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
        raise UserError(
            f"{path}: every clip needs map files of its own, but these share one: "
            f"{name_list(dict.fromkeys(shared))}. Remove or rename the duplicates."
        )


def _read_maps(folder: Path, stems: list[str]) -> NDArray[np.uint8]:
    """uint8 [N, 4, 28, 28, 3]; every problem in the folder is found before any is reported."""
    present = {path.name for path in folder.iterdir()}
    maps = np.zeros((len(stems), len(MAP_SUFFIXES), *MAP_SHAPE), dtype=np.uint8)
    problems: dict[str, list[str]] = defaultdict(list)
    for clip_maps, stem in zip(maps, stems, strict=True):
        for map_index in (*FLOW_MAPS, *DIRECTION_MAPS):
            name = map_file_name(stem, map_index)
            without_space = name.replace(" .png", ".png")
            if name not in present and without_space in present:
                name = without_space
            if name not in present and map_index in DIRECTION_MAPS:
                clip_maps[map_index] = direction_map(clip_maps[map_index - DIRECTION_MAPS[0]])
                continue
            pixels, problem = _read_map(folder / name) if name in present else (None, "missing")
            if pixels is None:
                problems[problem].append(name)
            else:
                clip_maps[map_index] = pixels
    if problems:
        parts = [f"{problem}: {name_list(names)}" for problem, names in problems.items()]
        raise UserError(
            f"{folder} does not fit its table of clips. {'; '.join(parts)}. "
            "Restore these files or remove their clips from the table."
        )
    return maps


def _read_map(path: Path) -> tuple[NDArray[np.uint8] | None, str]:
    """The pixels of a stored map, or None and what is wrong with the file."""
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        return None, "not a readable PNG"
    if pixels.shape != MAP_SHAPE or pixels.dtype != np.uint8:
        return None, f"not {MAP_SIZE} x {MAP_SIZE} pixels of three 8-bit channels"
    return pixels.astype(np.uint8, copy=False), ""
