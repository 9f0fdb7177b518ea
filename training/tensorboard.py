"""Curves of each fold as TensorBoard event files: an extra that changes no byte of the results."""

from pathlib import Path
from typing import Any

from common.errors import UserError
from evaluation.fold_logits import StoredFold

FOLDER = "tensorboard"


class FoldCurves:
    """Writes loss and accuracy on the test clips by epoch, below ``<results>/tensorboard``.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self, results: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                "--tensorboard needs the package tensorboard. Install it with `python -m pip "
                "install -r requirements-tensorboard.txt`, or leave the flag out."
            ) from error
        self.folder = results / FOLDER
        self.create: Any = SummaryWriter

    def write(self, configuration: str, fold: StoredFold) -> None:
        """A finished fold."""
        name = fold.identity.name
        with self.create(str(self.folder / configuration / name)) as writer:
            for epoch, (loss, logits) in enumerate(zip(fold.losses, fold.logits, strict=True), 1):
                right = (logits.argmax(1) == fold.identity.labels).mean()
                writer.add_scalar("training loss", float(loss), epoch)
                writer.add_scalar("accuracy on the test subject", float(right), epoch)
