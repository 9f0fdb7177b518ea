"""Prediction rows written down by hand, and drawn ones, as folders of results."""

from pathlib import Path

import numpy as np
import pandas as pd

from evaluation.expected_clips import PROTOCOL_TABLE, write_expected_clips
from evaluation.predictions import RECORDED, prediction_rows, write_predictions
from evaluation.protocol_classes import PROTOCOL_CLASSES
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


def drawn_rows(
    seed: int,
    skill: float,
    configuration: str,
    rule: str = "last",
    datasets: tuple[str, ...] = ("a",),
) -> pd.DataFrame:
    """Eight clips for each of 20 subjects, with the same labels for every seed.

    Args:
        skill: is added to the score of the true class, beside noise of variance 1.
        datasets: the subjects are dealt out to these.
    """
    names = [(datasets[number % len(datasets)], f"s{number:02d}") for number in range(20)]
    true = np.random.default_rng(0).choice(3, size=8 * len(names), p=[0.5, 0.3, 0.2])
    scores = np.random.default_rng(seed).normal(size=(len(true), 3))
    scores[np.arange(len(true)), true] += skill
    pairs = list(zip(true.tolist(), scores.argmax(axis=1).tolist(), strict=True))
    subjects = {name: pairs[8 * i : 8 * i + 8] for i, name in enumerate(names)}
    origin = {"configuration": configuration, "rule": rule}
    return rows_of_subjects(subjects, seed=seed, scores=scores, **origin)


def protocol_labels() -> dict[str, np.ndarray]:
    """Subject -> true classes of its clips, with the protocol's number of each class a dataset."""
    counts = pd.read_csv(PROTOCOL_TABLE, dtype={"subject": str})
    labels: dict[str, np.ndarray] = {}
    for dataset, part in counts.groupby("dataset"):
        pool = np.repeat(np.arange(3), PROTOCOL_CLASSES[str(dataset)])
        np.random.default_rng(1).shuffle(pool)
        labels |= dict(zip(part["subject"], np.split(pool, part["clips"].cumsum()), strict=False))
    return labels


def write_methods(folder: Path, datasets: tuple[str, ...] = ("a",)) -> dict[str, Path]:
    """A reference, an equal, a worse one, three seeds of a fourth, and an oracle of its first."""
    rows = {
        "one/reference": drawn_rows(1, 1.5, "r", datasets=datasets),
        "one/equal": drawn_rows(2, 1.5, "e", datasets=datasets),
        "one/worse": drawn_rows(3, 0.3, "w", datasets=datasets),
        **{f"seed{s}/noisy": drawn_rows(s, 1.3, "n", datasets=datasets) for s in (4, 5, 6)},
        "seed4/noisy/oracle": drawn_rows(7, 3.0, "n", "oracle", datasets),
    }
    return {name: write_folder(folder / name, part) for name, part in rows.items()}
