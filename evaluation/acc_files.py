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

from common.files import write_text
from common.refusals import Refusal
from common.tables import number, read_text, undress
from evaluation.predictions import MOST_CLASSES

SUFFIX = "_acc.txt"
MOST_CHARACTERS = 2**20
"""Of some hundred thousand clips; a subject has at most a few hundred."""
_EPOCH = re.compile(r"best epoa?ch: *(\d{1,9})(?:\.0*)?", re.ASCII)
_ACCURACY = re.compile(r"best acc: *(\S+?) ?%?")
_MATRIX = re.compile(
    r"matrix_acc: *(?:[\w.]*(?:array|tensor)\()?(\[.*\])(?:(?:, *\w+=[\w.':]+)*\))?"
)
_PRINTED_GAP = re.compile(r"(?<=[\d\]])\s+(?=[\d\[])")
"""Between two numbers or rows where NumPy prints an array without commas."""


def write_acc_file(path: Path, epoch: int, predicted: np.ndarray, true: np.ndarray) -> None:
    """Write one subject's predictions; int [N] each, ``epoch`` counted from 1."""
    accuracy = float(np.mean(np.asarray(predicted) == np.asarray(true)))
    pairs = [[int(guess), int(truth)] for guess, truth in zip(predicted, true, strict=True)]
    write_text(path, f"best epoach: {epoch}\nbest acc: {accuracy!r}\nmatrix_acc: {pairs}\n")


def read_acc_file(path: Path) -> tuple[int, np.ndarray, np.ndarray]:
    """Epoch, predicted [N] and true [N] of one file.

    Whole numbers are read in any dress: ``np.int64(1)``, ``tensor(1)``, ``1.0``.

    Raises:
        UserError: several records, a line that cannot be parsed, an empty matrix, or one that
            contradicts ``best acc``.
    """
    text = read_text(path, "a result file")
    if len(text) > MOST_CHARACTERS:
        raise Refusal(path.name, f"has {len(text)} characters: too large for one subject's file.")
    lines = _records_lines(undress(text))
    if len(lines) > 3:
        raise Refusal(
            path.name,
            f"holds {len(lines) / 3:g} records (the published code appends on a rerun); keep the "
            "three lines of the run you mean.",
        )
    patterns = (_EPOCH, _ACCURACY, _MATRIX)
    matches = [pattern.fullmatch(line) for pattern, line in zip(patterns, lines, strict=False)]
    if len(matches) < 3 or not all(matches):
        bad = next(
            (line for line, match in zip(lines, matches, strict=True) if not match), "end of file"
        )
        raise Refusal(path.name, f"cannot be parsed at {bad[:60]!r}.")
    epoch, accuracy, matrix = (match[1] for match in matches if match)
    pairs = _parse_pairs(path.name, matrix)
    if not _agrees(accuracy, float(np.mean(pairs[:, 0] == pairs[:, 1]))):
        raise Refusal(path.name, "has a best acc that its matrix_acc contradicts.")
    return int(epoch), pairs[:, 0], pairs[:, 1]


def _records_lines(text: str) -> list[str]:
    """The filled lines; those of a matrix that is printed over several are one."""
    lines: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if lines and line.startswith("[") and lines[-1].startswith("matrix_acc"):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return [_PRINTED_GAP.sub(", ", line) for line in lines]


def _agrees(text: str, accuracy: float) -> bool:
    """Whether an accuracy as written, rounded or in percent, is that of the matrix."""
    value = number(text)
    share = value / 100 if value > 1 else value
    decimals = len(text.replace(",", ".").partition(".")[2]) or 6
    return abs(share - accuracy) <= max(0.51 * 10.0 ** -(decimals + 2 * (value > 1)), 1e-6)


def _parse_pairs(name: str, text: str) -> np.ndarray:
    """int [N, 2] from the list's text."""
    try:
        pairs = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise Refusal(name, f"has a matrix_acc that is not a list: {text[:60]!r}.") from None
    if pairs == []:
        raise Refusal(name, "has an empty matrix_acc: its clips are missing, not wrong.")
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise Refusal(name, "has a matrix_acc that is not a list of [predicted, true] pairs.")
    return np.array(pairs).astype(int)


def _is_pair(pair: object) -> bool:
    """Whether it is two class numbers; 1.0 is 1."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return False
    return all(type(x) in (int, float) and x in range(MOST_CLASSES) for x in pair)
