"""Writes everything a results folder holds, from its prediction rows."""

from pathlib import Path

import pandas as pd

from evaluation.acc_files import SUFFIX, write_acc_file
from evaluation.confusion_picture import write_confusion_picture
from evaluation.predictions import (
    list_epoch_rules,
    metrics_of_rows,
    read_class_names_column,
    write_predictions,
)
from evaluation.results_folder import PREDICTIONS_NAME
from evaluation.selection import selection_warnings
from evaluation.spreadsheet import write_spreadsheet

SPREADSHEET_NAME = "CausalNet.xlsx"
PICTURE_NAME = "confusion_matrix.png"


def write_result_files(folder: Path, rows: pd.DataFrame, *, title: str, note: str) -> None:
    """Write ``<fold>_acc.txt``, ``predictions.csv``, the spreadsheet and the confusion picture.

    Files of folds that are not among the rows are removed: a folder tells of one set of rows.

    Args:
        rows: prediction rows with their origin columns.
        title: stands over the picture.
        note: what a reader must know of the inputs ("synthetic", a partial run); may be empty. A
            rule that selects on the test subject is told after it.
    """
    note = "; ".join(filter(None, [note, *selection_warnings(list_epoch_rules(rows))]))
    class_names = read_class_names_column(rows)
    figures = metrics_of_rows(rows, len(class_names))
    kept = set()
    for fold, part in rows.groupby("fold", sort=True):
        path = folder / f"{fold}{SUFFIX}"
        write_acc_file(path, int(part["epoch"].iloc[0]), part["predicted"], part["true"])
        kept.add(path)
    for path in set(folder.glob(f"*{SUFFIX}")) - kept:
        path.unlink()
    write_predictions(folder / PREDICTIONS_NAME, rows)
    write_spreadsheet(folder / SPREADSHEET_NAME, figures, class_names, note)
    full_title = f"{title} ({note})" if note else title
    write_confusion_picture(folder / PICTURE_NAME, figures, class_names, full_title)
