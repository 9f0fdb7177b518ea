"""Killed at random moments and started again, the long scripts end with the same bytes.

CAUSALNET_KILLS=500 python -m pytest -m slow tests/test_kills.py
"""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT, folder_bytes, start

KILLS = int(os.environ.get("CAUSALNET_KILLS", "5"))
SHORTEST, LONGEST = 2.0, 12.0
"""Seconds after which a process is killed; starting alone takes some of them."""

Commands = dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def commands(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """The scripts, with their place to write to as the last argument but for ``--workers``."""
    raw = tmp_path_factory.mktemp("raw") / "raw"
    drawn = start(
        "make_synthetic.py",
        *("--what", "raw", "--out", raw, "--datasets", "casme2", "--n-subjects", 3),
        *("--n-clips", 4, "--frame-kind", "registered"),
    )
    assert drawn.wait() == 0, drawn.communicate()
    dataset = (
        *("--dataset", "casme2", "--sheet", raw / "casme2" / "CASME2-coding-20140508.xlsx"),
        *("--frames", raw / "casme2", "--registered", "--flow", "dis"),
    )
    return {
        "grid": (
            *("main_train_for_parameter_tuning.py", "--inputs", tiny_folder, "--epochs", 3),
            *("--method", "causalnet_compact", "--gammas", 0.3, 0.5, "--save-weights"),
        ),
        "build": ("build_inputs.py", *dataset),
        "robustness": (
            *("measure_robustness.py", *dataset, "--methods", "majority", "ststnet"),
            *("--epochs", 2, "--noise-seeds", 1, "--training-noise-seeds", 1),
        ),
    }


def run(script: str, commands: Commands, place: Path, workers: int) -> subprocess.Popen[str]:
    flags = {
        "grid": ("--results", place / "run", "--weights", place / "weights"),
        "build": ("--out", place / "inputs"),
        "robustness": ("--results", place / "run"),
    }
    return start(*map(str, commands[script]), *flags[script], "--workers", workers)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("script", ["grid", "build", "robustness"])
def test_random_kills_change_no_byte(
    script: str, workers: int, commands: Commands, tmp_path: Path
) -> None:
    whole = run(script, commands, tmp_path / "whole", workers)
    assert whole.communicate() and whole.returncode == 0
    expected = folder_bytes(tmp_path / "whole")
    moments, kills = random.Random(f"{script} {workers}"), 0
    while kills < KILLS:
        process = run(script, commands, tmp_path / "killed", workers)
        try:
            output = process.communicate(timeout=moments.uniform(SHORTEST, LONGEST))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        assert process.returncode == 0, output
        assert folder_bytes(tmp_path / "killed") == expected
        shutil.rmtree(tmp_path / "killed")
    process = run(script, commands, tmp_path / "killed", workers)
    output = process.communicate()
    assert process.returncode == 0, output
    assert folder_bytes(tmp_path / "killed") == expected


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_goes_on_to_the_same_bytes(
    commands: Commands, tmp_path: Path
) -> None:
    """A limit of the size of files stands in for the disk."""
    whole = run("grid", commands, tmp_path / "whole", 1)
    assert whole.communicate() and whole.returncode == 0
    place = tmp_path / "full"
    flags = "--results", place / "run", "--weights", place / "weights", "--workers", 1
    script, *more = map(str, commands["grid"])
    command = ["python", str(ROOT / script), *more, *map(str, flags)]
    limited = subprocess.run(
        ["bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "bash", *command],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert limited.returncode == 2, limited.stderr
    assert limited.stderr.startswith("error: ") and limited.stderr.count("\n") == 1
    again = run("grid", commands, place, 1)
    assert again.communicate() and again.returncode == 0
    assert folder_bytes(place) == folder_bytes(tmp_path / "whole")
