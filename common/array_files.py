"""Reads .npz files of any origin: no code is run, and what unpacks to an absurd size is refused."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2**28
"""Of all arrays of a file; a file of zeros is a thousandth of its arrays."""


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name.

    Raises:
        ValueError: they are too large, or of objects.
        OSError, zipfile.BadZipFile, and others: the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MOST_BYTES:
        raise ValueError(f"it unpacks to {unpacked >> 20} MB, more than {MOST_BYTES >> 20}")
    with np.load(path, allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in file.files}
