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
from unicodedata import normalize

import numpy as np

from common.files import write_text
from common.refusals import Refusal
from common.tables import number, read_text, undress
from evaluation.predictions import MOST_CLASSES

SUFFIX = "_acc.txt"
MOST_CHARACTERS = 2**20
"""Of some hundred thousand clips; a subject has at most a few hundred."""
_LINES = {
    "best epoach": re.compile(r"best epoa?ch *[:=] *(\d{1,9})(?:\.0*)?", re.ASCII | re.IGNORECASE),
    "best acc": re.compile(r"best acc *[:=] *(\S+?) ?%?", re.IGNORECASE),
    "matrix_acc": re.compile(r"matrix_acc *[:=] *([\[(].*[\])])", re.IGNORECASE),
}
_PRINTED_GAP = re.compile(r"(?<=[\d.\]])\s+(?=[\d\[])")
"""Between two numbers or rows where NumPy prints an array without commas."""
_OPTION = re.compile(r", *\w+=(?:<[^<>]*>|[\w.:']+)")
_ARRAY = re.compile(r"\b[A-Za-z_][\w.]*\(\s*(\[[^()]*\])\s*\)")
"""A list of lists, or one of its rows, as NumPy and torch print an array."""


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
    epoch, accuracy, matrix = _values(path.name, lines)
    pairs = _parse_pairs(path.name, matrix)
    if not _agrees(accuracy, pairs[:, 0] == pairs[:, 1]):
        raise Refusal(path.name, "has a best acc that its matrix_acc contradicts.")
    return int(epoch), pairs[:, 0], pairs[:, 1]


def _values(name: str, lines: list[str]) -> list[str]:
    """Epoch, accuracy and matrix as written."""
    records = sum(line.lower().startswith("matrix_acc") for line in lines)
    if records > 1:
        raise Refusal(
            name,
            f"holds {records} records (the published code appends on a rerun); keep the three "
            "lines of the run you mean.",
        )
    values = []
    for place, (start, pattern) in enumerate(_LINES.items()):
        line = lines[place] if place < len(lines) else ""
        match = pattern.fullmatch(line)
        if match is None:
            raise Refusal(name, _why_not(line, start))
        values.append(match[1])
    if lines[len(values) :]:
        raise Refusal(name, _why_not(lines[len(values)], "nothing"))
    return values


def _why_not(line: str, wanted: str) -> str:
    """Why a line is not the wanted one, the same words for all files where one is absent."""
    if not line:
        return f"lacks the line {wanted!r} at the end of file."
    if not line.lower().startswith(wanted) and line.lower().startswith(tuple(_LINES)):
        return f"lacks the line {wanted!r}."
    return f"cannot be parsed at {line[:60]!r}."


def _records_lines(text: str) -> list[str]:
    """The filled lines; those of a matrix that is printed over several are one, a plain list."""
    lines: list[str] = []
    for line in filter(None, map(str.strip, normalize("NFKC", text).splitlines())):
        if lines and line[0] in "[(" and lines[-1].lower().startswith("matrix_acc"):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return [_plain_list(line) if "[" in line else line for line in lines]


def _plain_list(line: str) -> str:
    plain = _OPTION.sub("", _PRINTED_GAP.sub(", ", line))
    while (shorter := _ARRAY.sub(r"\1", plain)) != plain:
        plain = shorter
    return plain


def _agrees(text: str, right: np.ndarray) -> bool:
    """Whether an accuracy as written, rounded, in percent or as a count, is that of the matrix."""
    value, accuracy = number(text), float(np.mean(right))
    if value == right.sum() and value > 1:
        return True
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
    if not isinstance(pairs, list | tuple) or not all(map(_is_pair, pairs)):
        raise Refusal(name, f"has a matrix_acc that is {_other_shape(pairs)}.")
    return np.array(pairs).astype(int)


def _other_shape(matrix: object) -> str:
    """What a matrix is that does not hold pairs."""
    wanted = "not a list of [predicted, true] pairs"
    rows = matrix if isinstance(matrix, list | tuple) else []
    lengths = {len(row) for row in rows if isinstance(row, list | tuple)}
    if len(rows) == 2 and len(lengths) == 1:
        return f"{wanted}: is it transposed?"
    if len(rows) > 2 and lengths == {len(rows)}:
        return f"{wanted}: is it a confusion matrix?"
    return wanted


def _is_pair(pair: object) -> bool:
    """Whether it is two class numbers; 1.0 is 1."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return False
    return all(type(x) in (int, float) and x in range(MOST_CLASSES) for x in pair)
