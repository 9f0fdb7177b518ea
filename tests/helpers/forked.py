"""Runs a root script in a forked process: as separate as a program of its own, without the seconds
that starting Python and importing torch take.

A crash, a hang or a hunger for memory ends the child alone.
"""

import fcntl
import importlib
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import run_script

CPU_SECONDS = 30
SECONDS = 900.0
"""A script that waits for nothing ever is killed too; tests may share the cores with much else."""
MEMORY = 6 * 2**30
POLL = 0.005
PIPE_BYTES = 2**20
"""More than any script prints: nobody reads before it has ended."""


@dataclass(frozen=True)
class Ended:
    """How a script ended: its exit code, or the negative number of the signal that killed it."""

    code: int
    output: str
    errors: str


class Forked:
    """A script in a forked process, from its start to its end.

    Args:
        script: its module's name, such as ``eval``.
        flags: of its command line.
        folder: the working directory.
        memory: the most bytes of address space beyond this process's.
        file_size: the most bytes of a file that it writes; a stand-in for a full disk.
    """

    def __init__(
        self,
        script: str,
        flags: Sequence[object],
        folder: Path,
        memory: int = MEMORY,
        file_size: int | None = None,
    ) -> None:
        main = importlib.import_module(script).main
        # Pipes, since what a script prints must not count as a file that it writes.
        pipes = [_wide_pipe(), _wide_pipe()]
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            # Nothing of the parent may run in the child, whatever happens.
            code = 1
            try:
                os.setpgid(0, 0)
                os.chdir(folder)
                for number, (reading, writing) in enumerate(pipes, start=1):
                    os.dup2(writing, number)
                    os.close(reading)
                    os.close(writing)
                _limit(memory, file_size)
                code = _run(main, script, flags)
            finally:
                os._exit(code)
        self._outputs = [reading for reading, _ in pipes]
        for _, writing in pipes:
            os.close(writing)

    def wait(self, seconds: float = SECONDS) -> Ended | None:
        """How it ended; None where it is still at work after so many seconds."""
        end = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return Ended(os.waitstatus_to_exitcode(status), *self._texts())
            if time.monotonic() > end:
                return None
            time.sleep(POLL)

    def kill(self) -> None:
        """End it as a power cut would; its workers notice by themselves."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._texts()

    def _texts(self) -> list[str]:
        """What it has printed; a worker that outlives it may keep the other ends open."""
        texts = []
        for output in self._outputs:
            os.set_blocking(output, False)
            with os.fdopen(output, "rb") as file:
                texts.append((file.read() or b"").decode("utf-8", "replace"))
        return texts


def _wide_pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reading, writing


def run_forked(script: str, flags: Sequence[object], folder: Path, **limits: int) -> Ended:
    """Run a script to its end; one that hangs is killed. See ``Forked``."""
    process = Forked(script, flags, folder, **limits)
    ended = process.wait()
    if ended is None:
        process.kill()
        return Ended(-signal.SIGKILL, "", f"hung for {SECONDS:.0f} seconds")
    return ended


def _limit(memory: int, file_size: int | None) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    if file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


def _run(main: object, script: str, flags: Sequence[object]) -> int:
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [f"{script}.py", *map(str, flags)]
    code: object = 0
    try:
        run_script(main)  # type: ignore[arg-type]
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - the traceback is what is looked for
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)
