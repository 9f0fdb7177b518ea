"""The published per-subject result file, ``<subject>_acc.txt``.

Three lines, spelled as the published code spells them (its misspelling is part of the format)::

    best epoach: 12
    best acc: 0.9090909090909091
    matrix_acc: [[0, 0], [1, 1]]

``matrix_acc`` lists [predicted, true] per clip. The published code appends on a rerun and writes an
empty list for a subject without a correct clip; both lose clips without a word, so both are
refused here by name.
"""

import ast
import re
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import write_text

SUFFIX = "_acc.txt"
_EPOCH = re.compile(r"best epoach: (\d+)")
_ACCURACY = re.compile(r"best acc: (\S+)")
_MATRIX = re.compile(r"matrix_acc: (\[.*\])")


def write_acc_file(path: Path, epoch: int, predicted: np.ndarray, true: np.ndarray) -> None:
    """Write one subject's predictions; int [N] each, ``epoch`` counted from 1."""
    accuracy = float(np.mean(np.asarray(predicted) == np.asarray(true)))
    pairs = [[int(guess), int(truth)] for guess, truth in zip(predicted, true, strict=True)]
    write_text(path, f"best epoach: {epoch}\nbest acc: {accuracy!r}\nmatrix_acc: {pairs}\n")


def read_acc_file(path: Path) -> tuple[int, np.ndarray, np.ndarray]:
    """Epoch, predicted [N] and true [N] of one file.

    Raises:
        UserError: several records, a line that cannot be parsed, or an empty matrix.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} cannot be read: {error}") from error
    lines = [line for line in lines if line]
    if len(lines) > 3:
        raise UserError(
            f"{path.name} holds {len(lines) / 3:g} records (the published code appends on a "
            "rerun); keep the three lines of the run you mean"
        )
    patterns = (_EPOCH, _ACCURACY, _MATRIX)
    matches = [pattern.fullmatch(line) for pattern, line in zip(patterns, lines, strict=False)]
    if len(matches) < 3 or not all(matches):
        bad = next(
            (line for line, match in zip(lines, matches, strict=True) if not match), "end of file"
        )
        raise UserError(f"{path.name} cannot be parsed at {bad[:60]!r}")
    pairs = _parse_pairs(path.name, matches[2].group(1))  # type: ignore[union-attr]
    return int(matches[0].group(1)), pairs[:, 0], pairs[:, 1]  # type: ignore[union-attr]


def _parse_pairs(name: str, text: str) -> np.ndarray:
    """int [N, 2] from the list's text."""
    try:
        pairs = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"{name} has a matrix_acc that is not a list: {text[:60]!r}") from error
    if pairs == []:
        raise UserError(f"{name} has an empty matrix_acc: its clips are missing, not wrong")
    array = np.asarray(pairs, dtype=object)
    if (
        array.ndim != 2
        or array.shape[1] != 2
        or not all(type(x) is int and x >= 0 for x in array.flat)
    ):
        raise UserError(f"{name} has a matrix_acc that is not a list of [predicted, true] pairs")
    return array.astype(int)
