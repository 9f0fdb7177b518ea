"""Killed at random moments and started again, the long scripts end with the same bytes; so they do
after a full disk and after their folder was deleted under them.

make test-kills KILLS=500
"""

import importlib
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.forked import Ended, Forked
from tests.helpers.scripts import folder_bytes
from tests.test_silent_errors import NETWORK

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("CAUSALNET_KILLS", "5"))
"""Of each script with each number of workers."""
IMPORTED_LATE = ("training.grid_run", "training.run_settings")
SCRIPTS = {
    "grid": "main_train_for_parameter_tuning",
    "build": "build_inputs",
    "robustness": "measure_robustness",
}
FILE_SIZES = (0, 300, 2000, 10_000)
"""Bytes of a file that may be written while the disk is full."""
LAST_SECONDS = 1.5
"""In which a script that has checked its files ends."""

Flags = dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def flags(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Flags:
    """What each script works on; where it writes comes behind."""
    for name in (*SCRIPTS.values(), "make_synthetic", *IMPORTED_LATE):
        importlib.import_module(name)
    place = tmp_path_factory.mktemp("kills")
    (place / "net.py").write_text(GRID_NETWORK)
    (place / "one.py").write_text(NETWORK)
    drawn = Forked(
        "make_synthetic",
        ("--what", "raw", "--out", place / "raw", "--datasets", "casme2", "--n-subjects", 2,
         "--n-clips", 3, "--frame-kind", "registered", "--workers", 1),
        place,
    ).wait()  # fmt: skip
    assert drawn is not None and drawn.code == 0, drawn
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


def start(
    kind: str, flags: Flags, place: Path, workers: int = 1, file_size: int | None = None
) -> Forked:
    outputs = {
        "grid": ("--results", place / "run", "--weights", place / "weights"),
        "build": ("--out", place / "inputs"),
        "robustness": ("--results", place / "run"),
    }
    place.mkdir(exist_ok=True, parents=True)
    own = (*flags[kind], *outputs[kind], "--workers", workers)
    return Forked(SCRIPTS[kind], own, place, file_size=file_size)


def finish(process: Forked) -> None:
    ended = process.wait()
    assert ended is not None and ended.code == 0, ended


def is_one_line(ended: Ended | None) -> bool:
    """Whether a script was refused in one line; what it says at work is none."""
    if ended is None or ended.code != 2:
        return False
    said = [line for line in ended.errors.splitlines() if not line.startswith("computing")]
    return len(said) == 1 and said[0].startswith("error: ") and len(said[0]) <= 300


@pytest.fixture(scope="module")
def expected(
    flags: Flags, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, bytes], float]]:
    """The bytes of an uninterrupted run of each script, and the seconds that it took."""
    found = {}
    for kind in SCRIPTS:
        whole, begin = tmp_path_factory.mktemp(kind), time.monotonic()
        finish(start(kind, flags, whole))
        found[kind] = folder_bytes(whole), time.monotonic() - begin
    return found


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_random_kills_change_no_byte(
    kind: str,
    workers: int,
    flags: Flags,
    expected: dict[str, tuple[dict[str, bytes], float]],
    tmp_path: Path,
) -> None:
    content, seconds = expected[kind]
    # Worker processes start in seconds of their own.
    longest = seconds * (1 if workers == 1 else 3)
    moments, kills, rounds = random.Random(f"{kind} {workers}"), 0, 0
    place = tmp_path / "killed"
    while kills < KILLS:
        process = start(kind, flags, place, workers)
        ended = process.wait(moments.uniform(0, longest))
        if ended is None:
            process.kill()
            kills += 1
            continue
        assert ended.code == 0, ended
        assert folder_bytes(place) == content
        shutil.rmtree(place)
        rounds += 1
    finish(start(kind, flags, place, workers))
    assert folder_bytes(place) == content
    assert not list(place.rglob(".unfinished-*"))
    print(f"{kind}, {workers} workers: {kills} kills, {rounds + 1} runs to the end, bytes equal")


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_disk_that_is_full(
    kind: str,
    flags: Flags,
    expected: dict[str, tuple[dict[str, bytes], float]],
    tmp_path: Path,
) -> None:
    """No file may grow beyond a few bytes: what was written before is kept whole and resumed."""
    place = tmp_path / "full"
    for size in FILE_SIZES:
        ended = start(kind, flags, place, file_size=size).wait()
        assert is_one_line(ended), (size, ended)
        assert not list(place.rglob(".unfinished-*"))
    finish(start(kind, flags, place))
    assert folder_bytes(place) == expected[kind][0]


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_small_file_system_that_is_full(
    kind: str,
    flags: Flags,
    expected: dict[str, tuple[dict[str, bytes], float]],
    tmp_path: Path,
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs more rights")
    try:
        ended = start(kind, flags, place).wait()
        assert is_one_line(ended), ended
        subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        finish(start(kind, flags, place))
        assert folder_bytes(place) == expected[kind][0]
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert is_one_line(start(kind, flags, place).wait())
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_folder_deleted_under_a_run_is_said(
    kind: str,
    workers: int,
    flags: Flags,
    expected: dict[str, tuple[dict[str, bytes], float]],
    tmp_path: Path,
) -> None:
    content, seconds = expected[kind]
    moments, place = random.Random(f"{kind} {workers}"), tmp_path / "gone"
    deleted = 0
    while deleted < max(2, KILLS // 20):
        process = start(kind, flags, place, workers)
        ended = process.wait(moments.uniform(0, seconds))
        folder = next((p for p in (place / "run", place / "inputs") if p.exists()), None)
        if ended is not None or folder is None:
            ended = ended or process.wait()
            assert ended is not None and ended.code == 0, ended
            shutil.rmtree(place)
            continue
        shutil.rmtree(folder, ignore_errors=True)
        moment = time.monotonic()
        ended = process.wait()
        if ended is not None and ended.code == 0 and time.monotonic() - moment < LAST_SECONDS:
            continue
        assert is_one_line(ended), ended
        deleted += 1
    finish(start(kind, flags, place, workers))
    assert folder_bytes(place) == content
