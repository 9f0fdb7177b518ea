"""The published spreadsheet layout, with the class names on the right rows and columns.

A1 ``col is pre``; B1.. and A2.. the class names; below them the confusion counts (row = true,
column = predicted); one column free; then ``all_war`` (weighted recall, which is the accuracy),
``all_uar``, ``all_f1`` (weighted F1), ``all_uf1``, ``all_acc``. The published code writes
happiness, surprise, negative where the classes are negative, positive, surprise.
"""

import io
from datetime import datetime
from pathlib import Path

import xlsxwriter

from common.files import write_bytes
from evaluation.metrics import Metrics

_NO_TIME_STAMP = datetime(1980, 1, 1)


def write_spreadsheet(
    path: Path, metrics: Metrics, class_names: tuple[str, ...], note: str
) -> None:
    """Write the sheet; ``note`` (for example "synthetic") is written below the table."""
    buffer = io.BytesIO()
    # A class name such as "=1+1" is a text, and no formula.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    workbook = xlsxwriter.Workbook(buffer, options)
    workbook.set_properties({"created": _NO_TIME_STAMP})
    sheet = workbook.add_worksheet()
    classes = len(class_names)
    sheet.write(0, 0, "col is pre")
    sheet.write_row(0, 1, class_names)
    sheet.write_column(1, 0, class_names)
    for row, counts in enumerate(metrics.confusion.tolist(), start=1):
        sheet.write_row(row, 1, counts)
    sheet.write_row(0, classes + 2, ["all_war", "all_uar", "all_f1", "all_uf1", "all_acc"])
    values = [metrics.accuracy, metrics.uar, metrics.weighted_f1, metrics.uf1, metrics.accuracy]
    sheet.write_row(1, classes + 2, values)
    if note:
        sheet.write(classes + 2, 0, note)
    workbook.close()
    write_bytes(path, buffer.getvalue())
