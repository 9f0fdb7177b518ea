"""Reads and writes finished folds: the test logits of every epoch, for any epoch rule.

One ``.npz`` per fold below ``<results>/<configuration>/folds/``, written in one step, so a fold is
there whole or not at all. The files hold no time stamps; equal content gives equal bytes.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from common.array_files import read_npz
from common.class_names import MOST_CLASSES
from common.errors import UserError
from common.files import write_bytes
from common.owned_folder import check_unchanged
from evaluation.metrics import count_pairs

FOLDER = "folds"
_BROKEN = (zipfile.BadZipFile, zlib.error)
_DAMAGE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(MemoryError, OverflowError, NotImplementedError, RecursionError),
)


@dataclass(frozen=True)
class InnerTraining:
    """The result of training a fold without its validation subjects.

    Attributes:
        rows: int [V]; row numbers of the validation clips in the table of clips.
        labels: int [V]; their classes.
        logits: float32 [epochs, V, C] of the validation clips.
        test_logits: float32 [epochs, T, C] of the fold's test clips.
    """

    rows: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    test_logits: np.ndarray


@dataclass(frozen=True)
class FoldIdentity:
    """Which clips, seed and configuration a stored fold belongs to; compared before it is used."""

    dataset: str
    name: str
    subjects: list[str]
    clips: list[str]
    labels: list[int]
    seed: int
    configuration: str


@dataclass(frozen=True)
class StoredFold:
    """A fold's identity with its logits, float32 [epochs, clips, classes], and losses [epochs].

    ``inner`` is None where the run trained no fold without validation subjects.
    """

    identity: FoldIdentity
    logits: np.ndarray
    losses: np.ndarray
    inner: InnerTraining | None = None

    @cached_property
    def confusions(self) -> np.ndarray:
        """Confusion matrices of the test clips at every epoch, int [epochs, classes, classes];
        counted once, since every figure of a run that is under way is made of them."""
        labels = np.asarray(self.identity.labels)
        return count_pairs(labels, self.logits.argmax(axis=2), self.logits.shape[2])


def fold_path(folder: Path, name: str) -> Path:
    """The file of a fold in a configuration's folder."""
    return folder / FOLDER / f"{name}.npz"


def write_fold(folder: Path, fold: StoredFold) -> None:
    """Store a finished fold atomically."""
    buffer = io.BytesIO()
    identity = json.dumps(asdict(fold.identity), sort_keys=True)
    np.savez_compressed(
        buffer,
        logits=fold.logits.astype(np.float32),
        losses=fold.losses.astype(np.float32),
        **_inner_arrays(fold.inner),
        identity=np.frombuffer(identity.encode(), dtype=np.uint8),
        allow_pickle=False,
    )
    write_bytes(fold_path(folder, fold.identity.name), buffer.getvalue())


def read_fold(folder: Path, expected: FoldIdentity) -> StoredFold | None:
    """The stored fold, or None when it is not there.

    Raises:
        UserError: the file is damaged or belongs to another run.
    """
    fold = _read(fold_path(folder, expected.name))
    if fold is not None and fold.identity != expected:
        raise UserError(
            f"{fold_path(folder, expected.name)} belongs to another run (other clips, seed or "
            "configuration). Give this run a results folder of its own."
        )
    return fold


def read_folds_of_rows(folder: Path, rows: pd.DataFrame) -> list[StoredFold] | None:
    """The stored folds that gave these prediction rows, in the order of the folds' names.

    Args:
        folder: a configuration's folder.
        rows: its prediction rows of the last epoch.

    Returns:
        None unless every fold of the rows is stored, and where the rows lack their fold.

    Raises:
        UserError: a stored fold is damaged, or did not give these rows.
    """
    if "fold" not in rows or rows["fold"].isna().any():
        return None
    folds: list[StoredFold] = []
    check_unchanged(folder, (fold_path(folder, str(name)) for name in rows["fold"].unique()))
    for name, part in rows.groupby("fold"):
        fold = _read(fold_path(folder, str(name)))
        if fold is None:
            return None
        _check_rows(fold_path(folder, str(name)), fold, part)
        folds.append(fold)
    return folds


def predict_every_epoch(folds: list[StoredFold], rows: pd.DataFrame) -> np.ndarray:
    """The class predicted for every row at every epoch, int [epochs, rows].

    Args:
        folds: what ``read_folds_of_rows`` gives for these rows.
    """
    parts = [
        pd.DataFrame(fold.logits.argmax(axis=2), columns=part.index)
        for fold, (_, part) in zip(folds, rows.groupby("fold"), strict=True)
    ]
    return pd.concat(parts, axis=1)[rows.index].to_numpy()


def _read(path: Path) -> StoredFold | None:
    if not path.is_file():
        return None
    try:
        file = read_npz(path)
        identity = _read_identity(file["identity"].tobytes())
        fold = StoredFold(identity, file["logits"], file["losses"], _read_inner(file))
        _check_shapes(fold)
        return fold
    except (*_DAMAGE, *_BROKEN) as error:
        raise UserError(
            f"{path} is damaged ({error}). Delete it; the fold is then trained again."
        ) from error


def _read_identity(content: bytes) -> FoldIdentity:
    """The identity in a fold's file.

    Raises:
        ValueError: it is no JSON, or an entry has a wrong type.
    """
    try:
        return TypeAdapter(FoldIdentity).validate_json(content, strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, ("identity", *problem["loc"])))
        raise ValueError(f"{place}: {problem['msg']}") from None


def _check_shapes(fold: StoredFold) -> None:
    """Refuse arrays that are not those of one fold.

    Raises:
        ValueError: a shape does not fit the others, or a value is not a finite number.
    """
    identity, logits = fold.identity, fold.logits
    lists = identity.subjects, identity.clips, identity.labels
    if {len(own) for own in lists} != {len(identity.labels)} or not identity.labels:
        raise ValueError("its clips, subjects and labels differ in number")
    shapes: dict[str, tuple[np.ndarray, tuple[int, ...]]]
    shapes = {"logits": (logits, (len(logits), len(identity.labels), logits.shape[-1]))}
    shapes["losses"] = fold.losses, (len(logits),)
    inner = fold.inner
    if inner is not None:
        validation = (len(logits), len(inner.rows), logits.shape[-1])
        shapes["validation logits"] = inner.logits, validation
        shapes["validation labels"] = inner.labels, (len(inner.rows),)
        shapes["inner test logits"] = inner.test_logits, logits.shape
    for name, (array, shape) in shapes.items():
        if array.shape != shape or not array.size:
            raise ValueError(f"{name} of shape {array.shape} for {len(identity.labels)} clips")
        if array.dtype.kind != ("i" if "labels" in name else "f"):
            raise ValueError(f"{name} of type {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} that are not finite")
        if "labels" in name and not (0 <= array.min() <= array.max() < logits.shape[-1]):
            raise ValueError(f"{name} that are not classes of its logits")
    if logits.shape[-1] > MOST_CLASSES:
        raise ValueError(f"{logits.shape[-1]} classes, more than {MOST_CLASSES}")
    if not 0 <= min(identity.labels) <= max(identity.labels) < logits.shape[-1]:
        raise ValueError("its labels are not classes of its logits")


def _check_rows(path: Path, fold: StoredFold, rows: pd.DataFrame) -> None:
    """Refuse a fold of other clips, or one whose last epoch does not give the predictions."""
    identity = fold.identity
    stored = [identity.subjects, identity.clips, identity.labels, fold.logits[-1].argmax(axis=1)]
    columns = ["subject", "clip", "true", "predicted"]
    if any(list(rows[name]) != list(own) for name, own in zip(columns, stored, strict=True)):
        raise UserError(
            f"{path} did not give the rows of predictions.csv (other clips, seed or "
            "configuration). Write both again with the command of the run."
        )


def _inner_arrays(inner: InnerTraining | None) -> dict[str, np.ndarray]:
    if inner is None:
        return {}
    return {
        "validation_rows": inner.rows.astype(np.int64),
        "validation_labels": inner.labels.astype(np.int64),
        "validation_logits": inner.logits.astype(np.float32),
        "inner_test_logits": inner.test_logits.astype(np.float32),
    }


def _read_inner(file: Mapping[str, np.ndarray]) -> InnerTraining | None:
    if "validation_rows" not in file:
        return None
    return InnerTraining(
        rows=file["validation_rows"],
        labels=file["validation_labels"],
        logits=file["validation_logits"],
        test_logits=file["inner_test_logits"],
    )
