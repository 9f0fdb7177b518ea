"""Prediction rows: one row per clip, with the run, fold, epoch and rule that it came from.

``docs/predictions.md`` describes the columns of ``predictions.csv``."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from common.files import write_text
from evaluation.metrics import Metrics, compute_metrics

IDENTITY_COLUMNS = ("dataset", "subject", "clip", "true", "predicted")
ORIGIN_COLUMNS = ("fold", "seed", "epoch", "epoch_rule", "configuration", "source")
SCORE_PREFIX = "score_"
TEXT_COLUMNS = ("dataset", "subject", "clip", "fold", "epoch_rule", "configuration", "source")

MOST_CLASSES = 1000
"""Limit of class numbers where no score columns say how many classes there are."""

SYNTHETIC, RECORDED = "synthetic", "recorded"
"""Where clips come from; metrics of the two are never mixed."""
SYNTHETIC_NOTE = "SYNTHETIC clips"
"""Printed with every metric of synthetic clips."""


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
    try:
        rows = pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table of predictions: {error}") from error
    missing = [name for name in IDENTITY_COLUMNS if name not in rows]
    if missing or rows.empty:
        what = f"has no column {name_list(missing)}" if missing else "has no rows"
        raise UserError(
            f"{path} {what}. It needs {name_list(IDENTITY_COLUMNS)} (docs/predictions.md)."
        )
    _check_classes(path, rows)
    _check_scores(path, rows)
    twice = rows[rows.duplicated(["dataset", "subject", "clip"])]
    if len(twice):
        names = twice["dataset"] + "/" + twice["subject"] + "/" + twice["clip"]
        raise UserError(f"{path} holds these clips more than once: {name_list(names)}.")
    return rows


def _check_classes(path: Path, rows: pd.DataFrame) -> None:
    """Refuse anything but the class numbers 0, 1, ..."""
    classes = len(score_columns(rows)) or MOST_CLASSES
    for column in ("true", "predicted"):
        # As text first: True is no class number.
        numbers = pd.to_numeric(rows[column].astype(str), errors="coerce")
        wrong = ~numbers.isin(range(classes))
        if wrong.any():
            raise UserError(
                f"{path}: column {column} must hold class numbers from 0 to {classes - 1}, and "
                f"does not in {_lines(wrong)}. Correct them, or write the file again."
            )
        rows[column] = numbers.astype(int)


def _check_scores(path: Path, rows: pd.DataFrame) -> None:
    """Refuse scores that are not finite, and predictions that are not the highest score."""
    columns = score_columns(rows)
    if not columns:
        return
    scores = rows[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~np.isfinite(scores).all(axis=1)
    if wrong.any():
        raise UserError(
            f"{path}: the scores in {_lines(wrong)} are not all finite numbers. Write the file "
            "again, or leave the score columns out."
        )
    wrong = scores.argmax(axis=1) != rows["predicted"].to_numpy()
    if wrong.any():
        raise UserError(
            f"{path}: the predicted class in {_lines(wrong)} is not the one with the highest "
            "score (the lower number on a tie). Correct the class or the scores."
        )
    rows[columns] = scores


def _lines(wrong: pd.Series | np.ndarray) -> str:
    """The lines of a file, below its header, where bool [N] is true."""
    numbers = np.flatnonzero(wrong) + 2
    return f"line{'s' if len(numbers) > 1 else ''} {name_list(numbers)}"


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
