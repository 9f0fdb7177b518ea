"""Writes the files of a results folder from its prediction rows."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.owned_folder import remove_file
from evaluation.acc_files import SUFFIX, write_acc_file
from evaluation.epoch_rules import selection_warnings
from evaluation.predictions import (
    NOTE,
    SYNTHETIC_NOTE,
    list_epoch_rules,
    read_class_names_column,
    score_rows,
    write_predictions,
)
from evaluation.report.drawing import write_confusion_picture
from evaluation.results_folder import PREDICTIONS_NAME
from evaluation.spreadsheet import write_spreadsheet

SPREADSHEET_NAME = "CausalNet.xlsx"
PICTURE_NAME = "confusion_matrix.png"


def result_file_paths(folder: Path) -> list[Path]:
    """What ``write_result_files`` may replace or remove in a folder."""
    names = (PREDICTIONS_NAME, SPREADSHEET_NAME, PICTURE_NAME)
    return [*sorted(folder.glob(f"*{SUFFIX}")), *(folder / name for name in names)]


def acc_fold(path: Path) -> str | None:
    """The fold of a ``<fold>_acc.txt`` file; None for any other file."""
    return path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else None


def write_result_files(
    folder: Path, rows: pd.DataFrame, *, title: str, note: str, lasting: Sequence[str] = ()
) -> None:
    """Write ``<fold>_acc.txt``, ``predictions.csv``, the spreadsheet and the confusion picture.

    Files of folds that are not among the rows are removed: a folder holds one set of rows. Where
    there are such, the folder must be claimed (``common/owned_folder.py``).

    Args:
        rows: prediction rows with their origin columns.
        title: of the picture.
        note: what a reader must know of the inputs ("synthetic", a partial run); may be empty. A
            warning about a rule that selects on the test subject is added.
        lasting: what must be said of the rows wherever they lie; that clips are synthetic, their
            column source says.
    """
    said = "; ".join(own for own in lasting if own != SYNTHETIC_NOTE)
    rows = rows.assign(**{NOTE: said}) if said else rows
    note = "; ".join(filter(None, [note, *selection_warnings(list_epoch_rules(rows))]))
    class_names = read_class_names_column(rows)
    metrics = score_rows(rows, len(class_names))
    kept = set()
    for fold, part in rows.groupby("fold", sort=True):
        path = folder / f"{fold}{SUFFIX}"
        write_acc_file(path, int(part["epoch"].iloc[0]), part["predicted"], part["true"])
        kept.add(path)
    for path in set(folder.glob(f"*{SUFFIX}")) - kept:
        remove_file(path)
    write_predictions(folder / PREDICTIONS_NAME, rows)
    write_spreadsheet(folder / SPREADSHEET_NAME, metrics, class_names, note)
    write_confusion_picture(folder / PICTURE_NAME, metrics.confusion, class_names, title, note)
