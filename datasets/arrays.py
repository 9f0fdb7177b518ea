"""The arrays of a folder of inputs beside its maps: signed flow and registered frames.

`build_inputs.py` writes a file for each clip. A killed build then loses single clips, a rerun
replaces single clips, and the datasets of a folder share nothing but the shape.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray

from common.array_files import read_npz
from common.errors import UserError, name_list
from common.files import atomic_path
from common.first_bytes import A_NUMPY_ARRAY, impostor_at
from common.owned_folder import check_unchanged
from common.refusals import Refusal, one_line
from datasets.input_records import RECORD_NAME

FLOWS_FOLDER, FRAMES_FOLDER = "flows", "frames"
PHASES = ("onset_apex", "apex_offset")
FRAME_ORDER = (
    ("onset", 0), ("apex", 0), ("offset", 0),
    ("onset", 1), ("onset", 2), ("onset", 3),
    ("apex", -1), ("apex", -2), ("apex", -3),
)  # fmt: skip
"""The frames that are stored of a clip: a key frame and how many frames from it. Where the clip has
no such frame, the nearest one from onset to offset is repeated."""
# Arrays that are smaller in all are read at once, larger ones clip by clip.
LARGE_BYTES = 2**28
DAMAGED = (BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError, MemoryError, TypeError)


def flow_path(folder: Path, stem: str) -> Path:
    """The file of a clip's signed flow: float16 [S, S, 2] for each of ``PHASES``."""
    return folder / FLOWS_FOLDER / f"{stem}.npz"


def frames_path(folder: Path, stem: str) -> Path:
    """The file of a clip's frames: uint8 [F, S, S, 3], R, G, B, in the order ``FRAME_ORDER``."""
    return folder / FRAMES_FOLDER / f"{stem}.npy"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays into one .npz file."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def write_frames(path: Path, frames: NDArray[np.uint8]) -> None:
    """Write a clip's frames, uint8 [F, S, S, 3]."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, frames)


class ClipArray:
    """An array [N, ...] with a file for each clip; an index along N reads only the files it names.

    An integer gives one clip; a slice, integers or a mask give an array of clips, as in NumPy.
    ``np.asarray`` reads everything.

    Args:
        paths: a file for each clip.
        read: gives a file's array, memory-mapped or read.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], NDArray[Any]]) -> None:
        self._paths, self._read = list(paths), read
        first = _read_or_refuse(self._paths[0], read)
        self.dtype = first.dtype
        self.shape = (len(self._paths), *first.shape)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        wanted = np.arange(len(self))[index]
        if np.ndim(wanted) == 0:
            return self._clip(int(wanted))
        clips = [self._clip(int(number)) for number in wanted]
        return np.stack(clips) if clips else np.empty((0, *self.shape[1:]), self.dtype)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map(self._clip, range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def _clip(self, number: int) -> NDArray[Any]:
        clip = _read_or_refuse(self._paths[number], self._read)
        if (clip.shape, clip.dtype) != (self.shape[1:], self.dtype):
            raise UserError(
                f"{self._paths[number]} holds {clip.dtype} {list(clip.shape)}, and "
                f"{self._paths[0]} {self.dtype} {list(self.shape[1:])}. Build all datasets of a "
                "folder with the same settings."
            )
        return np.array(clip)


StoredArray = NDArray[Any] | ClipArray


def open_array(folder: Path, name: str, clips: pd.DataFrame) -> StoredArray:
    """The array ``flow`` or ``frames`` of a folder of inputs, in the order of the clips.

    Args:
        folder: holds the table of clips.
        name: which array.
        clips: columns dataset and stem.

    Raises:
        UserError: a clip has no such file, or a damaged one; the message names the datasets and the
            command that makes it.
    """
    path_of, read = READERS[name]
    paths = [path_of(folder, stem) for stem in clips["stem"]]
    absent = [not path.is_file() for path in paths]
    if any(absent):
        raise UserError(_absent_message(folder, name, clips, clips[absent]))
    check_unchanged(folder, paths)
    return held_if_small(ClipArray(paths, read))


def held_if_small(stored: ClipArray) -> StoredArray:
    """The array itself where it is large, else all of it in memory."""
    is_large = math.prod(stored.shape) * stored.dtype.itemsize > LARGE_BYTES
    return stored if is_large else np.asarray(stored)


def _read_flow(path: Path) -> NDArray[Any]:
    stored = read_npz(path)
    return _checked(np.stack([stored[phase] for phase in PHASES]), "f", channels=2)


def _read_frames(path: Path) -> NDArray[Any]:
    return _checked(np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)), "u", channels=3)


def _checked(array: NDArray[Any], kind: str, channels: int) -> NDArray[Any]:
    """[n, S, S, channels] of floats ("f") or unsigned whole numbers ("u").

    Raises:
        ValueError: it is another array.
    """
    shape = array.shape
    is_square = array.ndim == 4 and shape[1] == shape[2] and shape[3] == channels
    if not is_square or not array.size or array.dtype.kind != kind:
        raise ValueError(f"it holds {array.dtype} {list(shape)}, and not [n, S, S, {channels}]")
    return array


READERS: dict[str, tuple[Callable[[Path, str], Path], Callable[[Path], NDArray[Any]]]] = {
    "flow": (flow_path, _read_flow),
    "frames": (frames_path, _read_frames),
}


def _read_or_refuse(path: Path, read: Callable[[Path], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read(path)
    except DAMAGED as error:
        found = impostor_at(path)
        if found and found[0] != A_NUMPY_ARRAY:
            raise Refusal(path, f"is {found[0]}, not an array; {found[1]}.") from None
        # Without NumPy's advice to load what may run code.
        reason = str(error).split(". ")[0]
        what = f"is damaged: {one_line(reason, 100)}. Remove it and build it again."
        raise Refusal(path, what) from None


def _absent_message(folder: Path, name: str, clips: pd.DataFrame, absent: pd.DataFrame) -> str:
    datasets = sorted(set(absent["dataset"]))
    is_whole = clips["dataset"].isin(datasets).sum() == len(absent)
    who = name_list(datasets)
    if not is_whole:
        who = f"{len(absent)} of {len(clips)} clips: {name_list(absent['stem'])}"
    # Inputs of other making, such as the released maps, are not built into.
    out = folder if (folder / RECORD_NAME).is_file() else "ANOTHER_FOLDER"
    keep = " --keep frames" if name == "frames" else ""
    return (
        f"{folder} holds no {name} of {who}. This command makes the {name}: python "
        f"build_inputs.py --dataset {datasets[0]} --sheet FILE --frames DIR{keep} --out {out} "
        "(without a dataset at hand, make_synthetic.py --what raw draws one)."
    )
