"""A finished fold on disk: its test logits of every epoch, so that any epoch rule can be applied.

One ``.npz`` a fold below ``<results>/<configuration>/folds/``, written in one step: a fold is there
whole or not at all. The files hold no time stamps; equal content gives equal bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import write_bytes

FOLDER = "folds"


@dataclass(frozen=True)
class InnerTraining:
    """What a fold's training without its validation subjects gave.

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
    """What a stored fold is of; compared before it is trusted."""

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

    ``inner`` is there where the run trained the fold without validation subjects too.
    """

    identity: FoldIdentity
    logits: np.ndarray
    losses: np.ndarray
    inner: InnerTraining | None = None


def fold_path(folder: Path, name: str) -> Path:
    """Where a configuration's folder keeps that fold."""
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
    path = fold_path(folder, expected.name)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            identity = FoldIdentity(**json.loads(file["identity"].tobytes()))
            fold = StoredFold(identity, file["logits"], file["losses"], _read_inner(file))
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is damaged ({error}). Delete it; the fold is then trained again."
        ) from error
    if identity != expected:
        raise UserError(
            f"{path} belongs to another run (other clips, seed or configuration). "
            "Give this run a results folder of its own."
        )
    return fold


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
