"""Tells how far a run is: one live line on a terminal, a plain line a group of folds elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 3600, 60


class RunProgress:
    """Progress of a run, counted in folds; a context manager.

    Args:
        folds: folds still to train, over all configurations.
        epochs: epochs of a fold.
    """

    def __init__(self, folds: int, epochs: int) -> None:
        self.console = Console(highlight=False)
        self.live = self.console.is_terminal
        self.epochs = epochs
        self.folds = folds
        self.finished = 0
        self.figures = ""
        self.started = time.monotonic()
        columns = (BarColumn(bar_width=16), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=self.console, disable=not self.live)
        self.task = self.bar.add_task("", total=folds * epochs)

    def __enter__(self) -> "RunProgress":
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def epoch(self, where: str, group: int, epoch: int) -> None:
        """An epoch of a group of that many folds is finished; ``where`` names the group."""
        done = self.finished + group * epoch / self.epochs
        text = f"{where}, epoch {epoch} of {self.epochs}, time left {self._time_left(done)}"
        text += f", {self.figures}" if self.figures else ""
        self.bar.update(self.task, description=text, completed=done * self.epochs)

    def group(self, where: str, group: int, figures: str) -> None:
        """A group is on disk; ``figures`` tells the running figures of its configuration."""
        self.finished += group
        self.figures = figures
        self.bar.update(self.task, completed=self.finished * self.epochs)
        if not self.live:
            print(f"{where}: {figures}, time left {self._time_left(self.finished)}", flush=True)

    def _time_left(self, done: float) -> str:
        elapsed = time.monotonic() - self.started
        return duration(elapsed / max(done, 1e-9) * (self.folds - done))


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss; days from two of them on, where minutes mean nothing."""
    if seconds >= 48 * SECONDS_PER_HOUR:
        return f"{seconds / (24 * SECONDS_PER_HOUR):.0f} days"
    whole = round(seconds)
    minutes = whole // SECONDS_PER_MINUTE % SECONDS_PER_MINUTE
    return f"{whole // SECONDS_PER_HOUR}:{minutes:02d}:{whole % SECONDS_PER_MINUTE:02d}"
