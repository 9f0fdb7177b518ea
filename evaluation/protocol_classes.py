"""The true classes of the 442 clips of MEGC2019, against which results of them are checked.

Clip counts alone do not show that predicted and true are exchanged, that classes have other
numbers, or that a label differs.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from common.class_names import CLASS_NAMES
from common.refusals import Refusal
from evaluation.expected_clips import FILE_NAME, PROTOCOL
from evaluation.predictions import RECORDED, read_class_names_column

PROTOCOL_CLASSES = {"casme2": [88, 32, 25], "samm": [92, 26, 15], "smic": [70, 51, 43]}
"""Negative, positive and surprise clips of each dataset."""


def refuse_other_classes(file: object, classes: pd.DataFrame) -> None:
    """Refuse class numbers that the protocol does not have.

    Raises:
        Refusal: there is such a number.
    """
    highest, last = classes.max(axis=None), len(CLASS_NAMES) - 1
    if highest > last:
        raise Refusal(
            file,
            f"holds class {highest}; {PROTOCOL} has 0 to {last}. Other clips need {FILE_NAME}.",
        )


def check_true_classes(rows: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """A problem where clips that are said to be the protocol's have other true classes.

    Results with a record say so where it expects the protocol's number of clips; those on shuffled
    labels, synthetic clips or other classes do not.

    Args:
        rows: prediction rows.
        counts: the expected clips of each subject.
    """
    names = read_class_names_column(rows) if len(rows) else CLASS_NAMES
    claimed = (counts["source"] == RECORDED) & (counts["note"] == "")
    if not claimed.all() or {*names} != {*CLASS_NAMES}:
        return []
    order = [CLASS_NAMES.index(name) for name in names]
    wrong, hints = {}, set()
    for dataset, expected in counts.groupby("dataset")["clips"].sum().items():
        part, known = rows[rows["dataset"] == dataset], PROTOCOL_CLASSES.get(str(dataset), [])
        wanted = [known[place] for place in order] if known else []
        true, predicted = (_count_classes(part[column]) for column in ("true", "predicted"))
        if not wanted or expected != sum(wanted):
            continue
        # Of a part of the clips no class can have more than there are.
        if (len(part) == expected and true != wanted) or np.any(np.subtract(true, wanted) > 0):
            wrong[dataset] = f"{_joined(true)}, not {_joined(wanted)} {_joined(names)}"
            hints.add(_why(true, predicted, wanted))
    if not wrong:
        return []
    first = next(iter(wrong.values()))
    return [f"true classes of {', '.join(wrong)} are {first}: {'; '.join(sorted(hints))}"]


def _why(true: list[int], predicted: list[int], wanted: list[int]) -> str:
    if predicted == wanted:
        return "predicted and true look exchanged"
    if sorted(true) == sorted(wanted):
        return "the classes look to be in another order"
    return "labels differ"


def _count_classes(column: pd.Series) -> list[int]:
    return np.bincount(column.to_numpy(int), minlength=len(CLASS_NAMES)).tolist()


def _joined(parts: Iterable[object]) -> str:
    return "/".join(map(str, parts))
