"""How far a series of steps is: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

Result = TypeVar("Result")
SECONDS_PER_HOUR, SECONDS_PER_MINUTE = 3600, 60


class Progress:
    """The display of one series of steps; a context manager.

    Args:
        total: steps in all; 0 where nobody knows.
        what: what is done, shown in front.
        seconds_between_lines: where there is no terminal, a line is printed after so long.
    """

    def __init__(self, total: int, what: str, seconds_between_lines: float = 10) -> None:
        self._total, self._what, self._between = total, what, seconds_between_lines
        self._started = self._last_line = time.monotonic()
        console = Console(highlight=False)
        self._live = console.is_terminal
        # The text is cut where the line ends, so that the bar stays.
        text = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        description = TextColumn("{task.description}", markup=False, table_column=text)
        columns = (BarColumn(bar_width=16), description)
        self._bar = RichProgress(*columns, console=console, disable=not self._live, expand=True)
        self._task = self._bar.add_task(what, total=total or None)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def update(self, done: float, text: str = "", print_line: bool = False) -> None:
        """Show that ``done`` of the steps are done; a part of a step counts as a fraction.

        Args:
            done: steps done so far.
            text: what else is shown, such as loss and UF1.
            print_line: where there is no terminal, print a line although none is due.
        """
        now = time.monotonic()
        # What was announced can be too little: headers of videos are at times wrong.
        known = done <= self._total
        words = [f"{self._what}: {int(done)}{f' of {self._total}' if known else ''}", text]
        if done > 0 and known:
            seconds = (now - self._started) / done * (self._total - done)
            words.insert(1, f"{duration(seconds)} left")
        line = ", ".join(filter(None, words))
        self._bar.update(self._task, description=line, completed=done)
        if not self._live and (print_line or now - self._last_line >= self._between):
            print(line, flush=True)
            self._last_line = now


def with_progress(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    """Pass the results on, and show how many there are and how long the rest will take."""
    with Progress(total, what) as progress:
        for done, result in enumerate(results, start=1):
            yield result
            progress.update(done)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss; days from two of them on, where minutes mean nothing."""
    if seconds >= 48 * SECONDS_PER_HOUR:
        return f"{seconds / (24 * SECONDS_PER_HOUR):.0f} days"
    whole = round(seconds)
    minutes = whole // SECONDS_PER_MINUTE % SECONDS_PER_MINUTE
    return f"{whole // SECONDS_PER_HOUR}:{minutes:02d}:{whole % SECONDS_PER_MINUTE:02d}"
