"""The progress display: lines without a terminal, a bar that stays at 80 columns with one."""

import io
import re

import pytest
from rich.console import Console

from common import progress
from common.progress import Progress, duration, with_progress


def test_without_a_terminal_lines_come_when_due_or_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress(10, "training", seconds_between_lines=10) as display:
        now[0] = 5
        display.update(0.5)
        now[0] = 12
        display.update(2, "loss 0.5")
        now[0] = 15
        display.update(3)
        display.update(3.5, "UF1 .7", print_line=True)
    assert capsys.readouterr().out.splitlines() == [
        "training: 2 of 10, 0:00:48 left, loss 0.5",
        "training: 3 of 10, 0:00:28 left, UF1 .7",
    ]


def test_results_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress(iter("abc"), 3, "reading")) == ["a", "b", "c"]
    assert list(with_progress([], 0, "reading")) == []
    assert capsys.readouterr().out == ""


def test_where_the_number_is_not_known_no_time_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for total in (0, 2):
        with Progress(total, "reading") as display:
            now[0] += 20
            display.update(3)
    assert capsys.readouterr().out.splitlines() == ["reading: 3", "reading: 3"]


def test_on_a_terminal_of_80_columns_the_bar_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda highlight: console)
    with Progress(68, "training") as display:
        display.update(3, "configuration 2 of 36, [fold] sub07, epoch 12 of 200, loss 0.5, " * 3)
    (line,) = [part for part in re.split(r"\r\x1b\[2K|\n", screen.getvalue()) if "3 of 68" in part]
    assert len(line) <= 80
    assert line[0] in "━╸" and line[-1] == "…"
    assert "left, configuration 2 of 36, [fold]" in line


def test_durations() -> None:
    assert [duration(s) for s in (7, 3723, 47 * 3600, 100 * 3600)] == [
        "0:00:07", "1:02:03", "47:00:00", "4 days",
    ]  # fmt: skip
