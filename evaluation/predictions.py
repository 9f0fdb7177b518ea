"""Prediction rows: one row a clip, with everything that tells where the prediction came from."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from common.files import write_text
from evaluation.metrics import Figures, compute_figures

IDENTITY_COLUMNS = ("dataset", "subject", "clip", "true", "predicted")
ORIGIN_COLUMNS = ("fold", "seed", "epoch", "epoch_rule", "configuration", "source")
SCORE_PREFIX = "score_"
TEXT_COLUMNS = ("dataset", "subject", "clip", "fold", "epoch_rule", "configuration", "source")

SYNTHETIC, RECORDED = "synthetic", "recorded"
"""Where clips come from; figures of the two are never mixed."""
SYNTHETIC_NOTE = "SYNTHETIC clips"
"""What stands beside every figure of synthetic clips."""


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
    rows["true"] = np.asarray(true, dtype=int)
    rows["predicted"] = logits.argmax(axis=1)
    for index, name in enumerate(class_names):
        rows[SCORE_PREFIX + name] = logits[:, index].astype(np.float32)
    origin = (fold, seed, epoch, epoch_rule, configuration, source)
    return rows.assign(**dict(zip(ORIGIN_COLUMNS, origin, strict=True)))


def write_predictions(path: Path, rows: pd.DataFrame) -> None:
    """Write rows as CSV; scores as the shortest text that gives the same float32 back."""
    write_text(path, rows.to_csv(index=False, lineterminator="\n"))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read rows written by ``write_predictions``.

    Raises:
        UserError: not a CSV of prediction rows, or a clip occurs twice.
    """
    try:
        rows = pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table of predictions: {error}") from error
    missing = [name for name in IDENTITY_COLUMNS if name not in rows]
    if missing or rows.empty:
        what = f"has no column {name_list(missing)}" if missing else "has no rows"
        raise UserError(f"{path} {what}. Give a predictions.csv written by this suite.")
    for column in ("true", "predicted"):
        if not pd.api.types.is_integer_dtype(rows[column]) or (rows[column] < 0).any():
            raise UserError(f"{path}: column {column} must hold class numbers from 0.")
    twice = rows[rows.duplicated(["dataset", "subject", "clip"])]
    if len(twice):
        names = twice["dataset"] + "/" + twice["subject"] + "/" + twice["clip"]
        raise UserError(f"{path} holds these clips more than once: {name_list(names)}.")
    return rows


def class_names_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """Class names from the score columns; without scores the protocol's three, numbered beyond."""
    names = [name.removeprefix(SCORE_PREFIX) for name in rows if name.startswith(SCORE_PREFIX)]
    most = int(rows[["true", "predicted"]].max(axis=None)) + 1
    beyond = [f"class {number}" for number in range(len(CLASS_NAMES), most)]
    return tuple(names) or (*CLASS_NAMES, *beyond)


def epoch_rules_of(rows: pd.DataFrame) -> list[str]:
    """The epoch rules that the rows name; none where they do not tell."""
    return sorted(rows["epoch_rule"].dropna().unique()) if "epoch_rule" in rows else []


def figures_of(rows: pd.DataFrame, classes: int) -> Figures:
    """Pooled figures of a set of rows."""
    return compute_figures(rows["true"].to_numpy(), rows["predicted"].to_numpy(), classes)


def figures_per_dataset(rows: pd.DataFrame, classes: int) -> dict[str, Figures]:
    """Pooled figures of all rows ("full"), then of each dataset's rows."""
    result = {"full": figures_of(rows, classes)}
    for dataset, part in rows.groupby("dataset", sort=True):
        result[str(dataset)] = figures_of(part, classes)
    return result
