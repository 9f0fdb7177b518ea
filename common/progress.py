"""How far a series of jobs is: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Result = TypeVar("Result")
SECONDS_BETWEEN_LINES = 10


def with_progress(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    """Pass the results on, and show how many there are and how long the rest will take."""
    console = Console()
    if not console.is_terminal:
        yield from _with_lines(results, total, what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield from progress.track(results, total=total, description=what)


def _with_lines(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    started = last_line = time.monotonic()
    for done, result in enumerate(results, start=1):
        yield result
        now = time.monotonic()
        if now - last_line >= SECONDS_BETWEEN_LINES:
            left = (now - started) / done * (total - done)
            print(f"{what}: {done} of {total}, about {left:.0f} s left", flush=True)
            last_line = now
