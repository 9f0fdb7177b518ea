"""Prediction rows: one row per clip, with the run, fold, epoch and rule that it came from.

``docs/predictions.md`` describes the columns of ``predictions.csv``."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.class_names import CLASS_NAMES
from common.dataset_names import usual_name
from common.errors import name_list
from common.files import write_text
from common.refusals import Refusal, few
from common.tables import numbers, read_table
from evaluation.metrics import Metrics, compute_metrics

IDENTITY_COLUMNS = ("dataset", "subject", "clip", "true", "predicted")
ORIGIN_COLUMNS = ("fold", "seed", "epoch", "epoch_rule", "configuration", "source")
NOTE = "note"
"""A column of rows of which something must be said, such as that their labels were shuffled."""
SCORE_PREFIX = "score_"

MOST_CLASSES = 1000
"""Limit of class numbers where no score columns say how many classes there are."""

SYNTHETIC, RECORDED = "synthetic", "recorded"
"""Where clips come from; metrics of the two are never mixed."""
SYNTHETIC_NOTE = "SYNTHETIC clips"
"""Printed with every metric of synthetic clips."""


def source_of(synthetic: bool) -> str:
    """The word in a table's column source."""
    return SYNTHETIC if synthetic else RECORDED


def inputs_notes(doubles: int, edited: bool = False) -> list[str]:
    """What is printed with every metric of some inputs.

    Args:
        doubles: how many clips share their map with another subject's.
        edited: whether somebody edited the inputs' table, or a bit of it is another.
    """
    notes = [f"DOUBLED MAPS: {doubles} clips have another subject's"] if doubles else []
    return [*notes, "TABLE OF CLIPS CHANGED since it was written"] if edited else notes


def prediction_rows(
    *,
    dataset: str,
    subjects: list[str],
    clips: list[str],
    true: np.ndarray | list[int],
    logits: np.ndarray,
    class_names: tuple[str, ...],
    fold: str,
    seed: int,
    epoch: int,
    epoch_rule: str,
    configuration: str,
    source: str,
) -> pd.DataFrame:
    """Rows of one fold at one epoch.

    Args:
        true: int [N]; logits: float [N, C]. The predicted class is the highest logit, the lower
            class number on a tie.
        epoch: counted from 1.
        source: ``SYNTHETIC`` or ``RECORDED``.
    """
    rows = pd.DataFrame({"dataset": dataset, "subject": subjects, "clip": clips})
    # The highest of what is written: float64 logits may tie once they are rounded.
    scores = logits.astype(np.float32)
    rows["true"] = np.asarray(true, dtype=int)
    rows["predicted"] = scores.argmax(axis=1)
    for index, name in enumerate(class_names):
        rows[SCORE_PREFIX + name] = scores[:, index]
    origin = (fold, seed, epoch, epoch_rule, configuration, source)
    return rows.assign(**dict(zip(ORIGIN_COLUMNS, origin, strict=True)))


def write_predictions(path: Path, rows: pd.DataFrame) -> None:
    """Write rows as CSV; scores as the shortest text that gives the same float32 back."""
    write_text(path, rows.to_csv(index=False, lineterminator="\n"))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read rows written by ``write_predictions``.

    Raises:
        UserError: not a CSV file, a column is missing, a class is not a class number, a score is
            not a finite number, a prediction is not the highest score, or a clip occurs twice.
    """
    advice = f"It needs {name_list(IDENTITY_COLUMNS)} (docs/predictions.md)."
    rows = read_table(path, IDENTITY_COLUMNS, advice)
    if rows.empty:
        raise Refusal(path, f"has no rows. {advice}")
    for column in ("dataset", "subject", "clip"):
        if (rows[column] == "").any():
            lines = _lines(rows[column] == "")
            raise Refusal(path, f"has an empty cell in column {column}, {lines}. Correct it.")
    rows["dataset"] = rows["dataset"].map(usual_name)
    _check_classes(path, rows)
    _check_scores(path, rows)
    twice = rows[rows.duplicated(["dataset", "subject", "clip"])]
    if len(twice):
        names = twice["dataset"] + "/" + twice["subject"] + "/" + twice["clip"]
        raise Refusal(path, f"holds these clips more than once: {few(names)}. Keep one of each.")
    _read_origin_columns(rows)
    return rows.reset_index(drop=True)


def _read_origin_columns(rows: pd.DataFrame) -> None:
    """Numbers where the origin is a number; nothing (nan) where a cell is empty."""
    for column in set(ORIGIN_COLUMNS) & {*rows}:
        blank, values = rows[column] == "", numbers(rows[column])
        if column in ("seed", "epoch") and (values.notna() | blank).all():
            rows[column] = values if blank.any() or (values % 1).any() else values.astype(int)
        else:
            rows[column] = rows[column].mask(blank)


def _check_classes(path: Path, rows: pd.DataFrame) -> None:
    """Refuse anything but the class numbers 0, 1, ..."""
    classes = len(score_columns(rows)) or MOST_CLASSES
    for column in ("true", "predicted"):
        values = numbers(rows[column])
        wrong = ~values.isin(range(classes))
        if wrong.any():
            raise Refusal(
                path,
                f"is refused: column {column} must hold class numbers from 0 to {classes - 1}, and "
                f"does not in {_lines(wrong)}. Correct them, or write the file again.",
            )
        rows[column] = values.astype(int)


def _check_scores(path: Path, rows: pd.DataFrame) -> None:
    """Refuse scores that are not finite, and predictions that are not the highest score."""
    columns = score_columns(rows)
    if not columns:
        return
    scores = rows[columns].apply(numbers).to_numpy(float)
    wrong = pd.Series(~np.isfinite(scores).all(axis=1), rows.index)
    if wrong.any():
        raise Refusal(
            path,
            f"is refused: the scores in {_lines(wrong)} are not all finite numbers "
            "(0.5). Write the file again, or leave the score columns out.",
        )
    wrong = rows["predicted"] != scores.argmax(axis=1)
    if wrong.any():
        raise Refusal(
            path,
            f"is refused: the predicted class in {_lines(wrong)} is not the one with "
            "the highest score (the lower number on a tie). Correct the class or the scores.",
        )
    rows[columns] = scores


def _lines(wrong: pd.Series) -> str:
    """The lines of a file where a column of bool is true."""
    found = wrong.index[wrong]
    return f"line{'s' if len(found) > 1 else ''} {few(found)}"


def score_columns(rows: pd.DataFrame) -> list[str]:
    """The columns of class scores, in the order of the class numbers; may be empty."""
    return [name for name in rows if name.startswith(SCORE_PREFIX)]


def read_class_names_column(rows: pd.DataFrame) -> tuple[str, ...]:
    """Class names from the score columns; without them the usual three, then numbered ones."""
    names = [name.removeprefix(SCORE_PREFIX) for name in score_columns(rows)]
    most = int(rows[["true", "predicted"]].max(axis=None)) + 1
    beyond = [f"class {number}" for number in range(len(CLASS_NAMES), most)]
    return tuple(names) or (*CLASS_NAMES, *beyond)


def list_epoch_rules(rows: pd.DataFrame) -> list[str]:
    """The epoch rules that the rows name; empty where they name none."""
    return sorted(rows["epoch_rule"].dropna().unique()) if "epoch_rule" in rows else []


def score_rows(rows: pd.DataFrame, classes: int) -> Metrics:
    """Pooled metrics of prediction rows."""
    return compute_metrics(rows["true"].to_numpy(), rows["predicted"].to_numpy(), classes)


def metrics_per_dataset(rows: pd.DataFrame, classes: int) -> dict[str, Metrics]:
    """Pooled metrics of all rows ("full"), then of each dataset's rows."""
    result = {"full": score_rows(rows, classes)}
    for dataset, part in rows.groupby("dataset", sort=True):
        result[str(dataset)] = score_rows(part, classes)
    return result
