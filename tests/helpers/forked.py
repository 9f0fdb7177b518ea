"""Runs a root script in a forked process: as separate as a program of its own, without the seconds
that starting Python and importing torch take.

A crash, a hang or a hunger for memory ends the child alone. What a script imports late is imported
again in every child: tests that start many run each script once in their own process first.
"""

import fcntl
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import pytest

from common.errors import run_script
from tests.helpers.scripts import ROOT

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
                # Else every collection of garbage visits, and copies, all of the parent's objects.
                gc.freeze()
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

    def kill(self, workers: Sequence[int] = ()) -> None:
        """End it at once, and workers with it as a power cut would; others notice by themselves."""
        self.signal(signal.SIGKILL)
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._texts()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as to stop and to go on; not to its workers."""
        os.kill(self.pid, number)

    def _texts(self) -> list[str]:
        """What it has printed; a worker that outlives it may keep the other ends open."""
        texts = []
        for output in self._outputs:
            os.set_blocking(output, False)
            with os.fdopen(output, "rb") as file:
                texts.append((file.read() or b"").decode("utf-8", "replace"))
        return texts


class WorkerServer:
    """A process whose forks are the worker processes of all scripts that are forked from here.

    They are given what a new process would be given, in the same way, and nothing of the script is
    inherited; but they have imported what takes seconds.
    """

    def workers(self) -> list[int]:
        """The processes that are at work now."""
        server = str(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # The parent is the second number behind the name, which may hold anything.
                if path.read_text().rpartition(")")[2].split()[1] == server:
                    found.append(int(path.parent.name))
        return found


@contextmanager
def served_workers(modules: Sequence[str]) -> Iterator[WorkerServer]:
    """Within it, workers are forks of a server that has imported these modules."""
    server, start = forkserver._forkserver, multiprocessing.get_context  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        server.set_forkserver_preload([*modules, "tests.helpers.frozen"])
        server.ensure_running()
    with pytest.MonkeyPatch.context() as patch:
        # A forked script is not the server's parent, and cannot ask whether it runs.
        patch.setattr(server, "ensure_running", lambda: None)
        patch.setattr(multiprocessing, "get_context", lambda method: start("forkserver"))
        yield WorkerServer()
    server._stop()  # type: ignore[attr-defined]


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
