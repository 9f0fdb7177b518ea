"""Runs the root scripts as a user does: in a process of their own, or in this one where that saves
the seconds of importing torch."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import run_script

ROOT = Path(__file__).parent.parent.parent


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a script as a process; its output is read as text."""
    command = [sys.executable, "-u", str(ROOT / script), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def run_here(
    monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], *arguments: object
) -> int | str | None:
    """Run a script's ``main`` with these arguments; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    try:
        run_script(main)
    except SystemExit as stop:
        return stop.code
    return 0


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but its lock and log, by relative name."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (".lock", "log.txt")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def run_main(main: Callable[[], None], flags: list[str], refused: bool = False) -> str:
    """What the script prints; or its error, where it must end with exit code 2."""
    printed, errors = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", ["script.py", *flags])
        if not refused:
            run_script(main)
            return printed.getvalue()
        with pytest.raises(SystemExit) as exit_code:
            run_script(main)
    assert exit_code.value.code == 2
    return errors.getvalue()
