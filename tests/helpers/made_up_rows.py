"""Prediction rows written down by hand, and drawn ones, as folders of results."""

from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.expected_clips import write_expected_clips
from evaluation.predictions import RECORDED, prediction_rows, write_predictions
from evaluation.results_folder import PREDICTIONS_NAME

Pairs = list[tuple[int, int]]


def rows_of_subjects(
    subjects: dict[tuple[str, str], Pairs],
    *,
    seed: int = 1,
    configuration: str = "abc",
    rule: str = "last",
    scores: np.ndarray | None = None,
) -> pd.DataFrame:
    """Rows of (dataset, subject) -> its (true, predicted) pairs; the score of a prediction is 1.

    Args:
        scores: float [clips, 3] in place of those ones and zeros.
    """
    parts, place = [], 0
    for (dataset, subject), pairs in subjects.items():
        own = slice(place, place + len(pairs))
        place += len(pairs)
        logits = np.eye(3)[[predicted for _, predicted in pairs]]
        parts.append(
            prediction_rows(
                dataset=dataset,
                subjects=[subject] * len(pairs),
                clips=[f"clip{number}" for number in range(len(pairs))],
                true=[true for true, _ in pairs],
                logits=logits if scores is None else scores[own],
                class_names=("negative", "positive", "surprise"),
                fold=f"{dataset}_{subject}",
                seed=seed,
                epoch=1,
                epoch_rule=rule,
                configuration=configuration,
                source=RECORDED,
            )
        )
    return pd.concat(parts, ignore_index=True)


def write_folder(folder: Path, rows: pd.DataFrame) -> Path:
    """A complete results folder of these rows."""
    write_predictions(folder / PREDICTIONS_NAME, rows)
    counts = rows.groupby(["dataset", "subject", "fold"]).size().reset_index(name="clips")
    counts = counts.rename(columns={"fold": "file"}).assign(source=RECORDED, note="")
    write_expected_clips(folder, counts)
    return folder
