"""The confusion matrix as a picture."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from common.files import write_bytes
from evaluation.metrics import Metrics


def write_confusion_picture(
    path: Path, figures: Metrics, class_names: tuple[str, ...], title: str
) -> None:
    """Write a PNG: counts in the cells, color by recall (share of the true class)."""
    with plt.ioff():
        figure, axes = plt.subplots(figsize=(4.2, 4.0), dpi=120, layout="constrained")
    share = figures.confusion / figures.confusion.sum(axis=1, keepdims=True).clip(min=1)
    display = ConfusionMatrixDisplay(share, display_labels=class_names)
    display.plot(ax=axes, cmap="Blues", colorbar=False, include_values=False, im_kw={"vmax": 1.0})
    for (row, column), count in _cells(figures):
        color = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=color)
    axes.set_title(title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    write_bytes(path, buffer.getvalue())


def _cells(figures: Metrics) -> list[tuple[tuple[int, int], int]]:
    shape = figures.confusion.shape
    return [
        ((r, c), int(figures.confusion[r, c])) for r in range(shape[0]) for c in range(shape[1])
    ]
