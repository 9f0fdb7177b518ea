"""Killed at random moments and started again, the long scripts end with the same bytes; so they do
after a full disk and after their folder was deleted under them.

make test-kills KILLS=500
"""

import importlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.helpers.forked import Ended, Forked, WorkerServer, served_workers
from tests.helpers.scripts import folder_bytes, run_main
from tests.test_silent_errors import NETWORK

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_resamples")]

KILLS = int(os.environ.get("CAUSALNET_KILLS", "5"))
"""Of each script with each number of workers."""
SCRIPTS = {
    "grid": "main_train_for_parameter_tuning",
    "build": "build_inputs",
    "robustness": "measure_robustness",
}
WORKER_MODULES = (*SCRIPTS.values(), "models.majority", "torch._dynamo")
FILE_SIZES = (0, 300, 2000, 10_000)
"""Bytes of a file that may be written while the disk is full."""

Flags = dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def flags(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Flags:
    """What each script works on; where it writes comes behind."""
    place = tmp_path_factory.mktemp("kills")
    (place / "net.py").write_text(GRID_NETWORK)
    (place / "one.py").write_text(NETWORK)
    drawn = ("--what", "raw", "--out", place / "raw", "--datasets", "casme2", "--n-subjects", 2,
             "--n-clips", 3, "--frame-kind", "registered", "--workers", 1)  # fmt: skip
    run_main(importlib.import_module("make_synthetic").main, [*map(str, drawn)])
    sheet = place / "raw" / "casme2" / "CASME2-coding-20140508.xlsx"
    raw = "--dataset", "casme2", "--sheet", sheet, "--frames", place / "raw" / "casme2"
    dataset = (*raw, "--registered", "--flow", "dis")
    few = "--moved", "all", "--levels", 0.1, 0.3, "--frame-levels", "--training-levels", 0.3
    seeds = "--noise-seeds", 2, "--training-noise-seeds", 1
    methods = "--methods", "majority", place / "one.py"
    return {
        "grid": ("--inputs", tiny_folder, "--method", place / "net.py", "--save-weights"),
        "build": (*dataset, "--keep", "frames", "--frame-size", 64),
        "robustness": (*dataset, *methods, *few, *seeds),
    }


GRID_NETWORK = """from torch import nn
training = {"epochs": 2, "batch_size": 9, "learning_rate": 0.001}
grid = {"hidden": (8, 9, 10)}
def build(classes=3, hidden=8):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4 * 3 * 28 * 28, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )
"""


class Scripts:
    """The long scripts, and the bytes of a run of each that nobody disturbed.

    Those runs are this process's own: so all that a script imports when it needs it is there when
    it is forked.
    """

    def __init__(self, flags: Flags, place: Path) -> None:
        self.flags, self.expected = flags, dict[str, dict[str, bytes]]()
        for kind, script in SCRIPTS.items():
            (place / kind).mkdir()
            words = map(str, self._command(kind, place / kind, 1))
            run_main(importlib.import_module(script).main, [*words])
            self.expected[kind] = folder_bytes(place / kind)

    def start(
        self, kind: str, place: Path, workers: int = 1, file_size: int | None = None
    ) -> Forked:
        place.mkdir(exist_ok=True, parents=True)
        command = self._command(kind, place, workers)
        return Forked(SCRIPTS[kind], command, place, file_size=file_size)

    def finish(self, kind: str, place: Path, workers: int = 1) -> None:
        """Run it to its end, which must be that of a run that nobody disturbed."""
        self.check_end(kind, place, self.start(kind, place, workers).wait())

    def check_end(self, kind: str, place: Path, ended: Ended | None) -> None:
        assert ended is not None and ended.code == 0, ended
        assert folder_bytes(place) == self.expected[kind]
        assert not list(place.rglob(".unfinished-*"))

    def _command(self, kind: str, place: Path, workers: int) -> tuple[object, ...]:
        outputs = {
            "grid": ("--results", place / "run", "--weights", place / "weights"),
            "build": ("--out", place / "inputs"),
            "robustness": ("--results", place / "run"),
        }
        return (*self.flags[kind], *outputs[kind], "--workers", workers)


def is_one_line(ended: Ended | None) -> bool:
    """Whether a script was refused in one line; what it says at work is none."""
    if ended is None or ended.code != 2:
        return False
    said = [line for line in ended.errors.splitlines() if not line.startswith("computing")]
    return len(said) == 1 and said[0].startswith("error: ") and len(said[0]) <= 300


@pytest.fixture(scope="module")
def scripts(flags: Flags, tmp_path_factory: pytest.TempPathFactory) -> Scripts:
    return Scripts(flags, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def server(scripts: Scripts) -> Iterator[WorkerServer]:
    with served_workers(WORKER_MODULES) as server:
        yield server


class Moments:
    """When to strike: drawn evenly from a span that is learned as it goes, since nobody knows who
    else uses the cores. Two of three kills come after something was written, and every few kills a
    run comes to its end."""

    def __init__(self, name: str) -> None:
        self.random, self.first, self.span = random.Random(name), 0.2, 1.0

    def strike(self, process: Forked, place: Path) -> tuple[Ended | None, bool]:
        """How the run ended before the moment, None where it is at work still; and whether it had
        written anything."""
        before = newest(place)
        ended = process.wait(self.random.uniform(self.first, self.first + self.span))
        wrote = newest(place) > before
        self.first *= 0.9 if wrote else 1.2
        self.span *= 1.05 if ended is None else 0.8
        return ended, wrote


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_random_kills_change_no_byte(
    kind: str, workers: int, scripts: Scripts, server: WorkerServer, tmp_path: Path
) -> None:
    """Of the script alone, whose workers then notice, or of all its processes at once."""
    moments, place, begin = Moments(f"{kind} {workers}"), tmp_path / "killed", time.monotonic()
    kills = writing = runs = 0
    while kills < KILLS:
        process = scripts.start(kind, place, workers)
        ended, wrote = moments.strike(process, place)
        if ended is None:
            process.kill(server.workers() if moments.random.random() < 0.5 else ())
            kills += 1
            writing += wrote
            if kills % 50 == 0:
                print(f"{kind}, {workers} workers: {kills} kills so far", flush=True)
            continue
        scripts.check_end(kind, place, ended)
        shutil.rmtree(place)
        runs += 1
    scripts.finish(kind, place, workers)
    seconds = (time.monotonic() - begin) / KILLS
    print(
        f"{kind}, {workers} workers: {kills} kills, {writing} of them after it had written, "
        f"{runs + 1} runs to the end, all bytes equal; {seconds:.2f} s a kill"
    )


def newest(folder: Path) -> int:
    """When anything below the folder was written last; 0 without anything."""
    times = [0]
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns * (path.name != ".lock"))
    return max(times)


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_disk_that_is_full(kind: str, scripts: Scripts, tmp_path: Path) -> None:
    """No file may grow beyond a few bytes: what was written before is kept whole and resumed."""
    place = tmp_path / "full"
    for size in FILE_SIZES:
        ended = scripts.start(kind, place, file_size=size).wait()
        assert is_one_line(ended), (size, ended)
        assert not list(place.rglob(".unfinished-*"))
    scripts.finish(kind, place)


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_small_file_system_that_is_full(kind: str, scripts: Scripts, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        ended = scripts.start(kind, place).wait()
        assert is_one_line(ended), ended
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        scripts.finish(kind, place)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert is_one_line(scripts.start(kind, place).wait())
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_folder_deleted_under_a_run_is_said(
    kind: str, workers: int, scripts: Scripts, server: WorkerServer, tmp_path: Path
) -> None:
    """Refused in one line, or begun anew where it had not claimed the folder yet: a run that ends
    well has written everything."""
    moments, place, deleted = Moments(f"{kind} {workers}"), tmp_path / "gone", 0
    while deleted < max(2, KILLS // 20):
        process = scripts.start(kind, place, workers)
        ended, _ = moments.strike(process, place)
        complete = False
        if ended is None:
            # Stopped, so that it cannot write its last file between the look and the deletion.
            process.signal(signal.SIGSTOP)
            complete = folder_bytes(place) == scripts.expected[kind]
            for folder in (place / "run", place / "inputs"):
                shutil.rmtree(folder, ignore_errors=True)
            process.signal(signal.SIGCONT)
            ended = process.wait()
        if is_one_line(ended):
            deleted += 1
            continue
        if not complete:
            scripts.check_end(kind, place, ended)
        shutil.rmtree(place)
    scripts.finish(kind, place, workers)
