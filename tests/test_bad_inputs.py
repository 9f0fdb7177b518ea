"""Bad inputs, generated: each ends in one line and exit code 2, and nothing on disk is changed.

python -m pytest -m slow tests/test_bad_inputs.py
"""

import importlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.scripts import run_here

SCRIPTS = (
    "build_inputs",
    "calculate_all_results",
    "compare_results",
    "eval",
    "main_train_for_parameter_tuning",
    "make_report",
    "make_synthetic",
    "measure_robustness",
)
NONSENSE = ("9" + "0" * 400, "-1", "0", "1.5", "true", "x", "1,2", "\u0663", "1e308", "1_0", "")
WHOLE_FLAGS = {
    "build_inputs": ("--workers", "--size", "--margin", "--frame-size"),
    "main_train_for_parameter_tuning": (
        *("--epochs", "--batch-size", "--threads", "--workers", "--group-size", "--label-shuffle"),
    ),
    "make_synthetic": ("--n-subjects", "--n-clips", "--workers"),
    "measure_robustness": ("--noise-seeds", "--threads", "--workers", "--training-noise-seeds"),
}
ZERO_IS_GOOD = ("--margin", "--label-shuffle")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "one bit": lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
    "zeros": lambda content: bytes(len(content)),
    "text": lambda content: b"This was a web page.\n",
    "not UTF-8": lambda content: b"\xff\xfe\x00" + content,
    "pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "appended": lambda content: content + content + b"x",
}
YAMLS = {
    "deep": "a: " + "[" * 500 + "]" * 500,
    "aliases": "\n".join(
        ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    ),
    "digits": "seed: " + "9" * 6000,
    "code": "!!python/object/apply:os.system [ls]",
    "list": "- 1\n- 2",
    "open": "seed: [1, 2",
    "own": "a: &a [*a]",
    "wrong": "seed: [1]\nthreads: {a: 1}\nclass_names: 7\nconfigurations: [x]",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Inputs, a finished grid of two configurations, weights, and an evaluation."""
    place = tmp_path_factory.mktemp("bad")
    shutil.copytree(tiny_folder, place / "inputs")
    grid = "--method", "causalnet_compact", "--epochs", 1, "--gammas", 0.3, 0.5
    weights = "--save-weights", "--weights", place / "weights"
    with pytest.MonkeyPatch.context() as patch:
        for script, *flags in (
            ("main_train_for_parameter_tuning", *grid, *weights, "--results", place / "run"),
            ("eval", "--weights", place / "weights" / "run-0.5_1_1_2", "--results", place / "e"),
        ):
            flags = ["--inputs", place / "inputs", *flags]
            assert run_here(patch, importlib.import_module(script).main, *flags) == 0
    return place


class Judge:
    """Runs a script with bad input and checks how it ends."""

    def __init__(self, place: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.capsys, self.monkeypatch = place, capsys, monkeypatch
        self.cases, self.faults = 0, list[str]()

    def __call__(self, script: str, *flags: object, what: str = "") -> None:
        self.cases += 1
        name = f"{script} {' '.join(str(flag)[:60] for flag in flags)} {what}"
        before = state(self.place)
        self.capsys.readouterr()
        try:
            code = run_here(self.monkeypatch, importlib.import_module(script).main, *flags)
        except BaseException as error:  # noqa: BLE001 - what is looked for
            code = f"{type(error).__name__}: {str(error)[:100]}"
        line = self.capsys.readouterr().err
        if code != 2:
            self.faults.append(f"{name}: ended with {code}")
        elif line.count("\n") != 1 or len(line) > 301 or not line.startswith("error: "):
            self.faults.append(f"{name}: said {line[:400]!r}")
        if state(self.place) != before:
            self.faults.append(f"{name}: changed the disk")


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below a folder."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir()
    }


@pytest.fixture
def judge(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Judge]:
    monkeypatch.chdir(place)
    own = Judge(place, capsys, monkeypatch)
    yield own
    assert not own.faults, "\n".join(own.faults)


def scripts_on(place: Path) -> dict[str, tuple[object, ...]]:
    """A command of each script that works, without its flags for numbers."""
    inputs, out = ("--inputs", place / "inputs"), place / "new"
    raw = "--dataset", "casme2", "--sheet", place / "no.xlsx", "--frames", place
    return {
        "build_inputs": (*raw, "--out", out),
        "main_train_for_parameter_tuning": (
            *(*inputs, "--method", "causalnet_compact", "--results", out),
        ),
        "make_synthetic": ("--out", out),
        "measure_robustness": (*raw, "--results", out),
    }


@pytest.mark.slow
def test_numbers(judge: Judge, place: Path) -> None:
    for script, flags in WHOLE_FLAGS.items():
        for flag, text in itertools.product(flags, NONSENSE):
            if text == "0" and flag in ZERO_IS_GOOD:
                continue
            judge(script, *scripts_on(place)[script], f"{flag}={text}")
    assert judge.cases >= 170


@pytest.mark.slow
def test_names_and_settings_files(judge: Judge, place: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    names = [
        *("\x1b[31m", "x" * 300, "x" * 5000, os.fsdecode(b"na\xffme"), "a\nb"),
        *(tmp_path / "pipe", tmp_path / "folder", tmp_path / "none.yaml"),
    ]
    for script, name in itertools.product(SCRIPTS, names):
        judge(script, "--config", name)
    for (what, text), script in itertools.product(YAMLS.items(), SCRIPTS):
        (tmp_path / "settings.yaml").write_text(text)
        judge(script, "--config", tmp_path / "settings.yaml", what=what)
    for script in SCRIPTS:
        judge(script, "--no-such-flag", "1")
    assert judge.cases >= 120


@pytest.mark.slow
def test_damaged_files_of_a_run(judge: Judge, place: Path) -> None:
    run, one = place / "run", place / "run" / "0.3_1_1_2"
    grid = (
        *("--inputs", place / "inputs", "--method", "causalnet_compact", "--epochs", 1),
        *("--gammas", 0.3, 0.5, "--save-weights", "--weights", place / "weights"),
    )
    readers: dict[Path, tuple[tuple[object, ...], ...]] = {
        run / "config.yaml": (
            ("main_train_for_parameter_tuning", *grid, "--results", run),
            ("make_report", run),
        ),
        one / "folds" / "sub01.npz": (
            ("main_train_for_parameter_tuning", *grid, "--results", run),
            ("calculate_all_results", one, "--published"),
        ),
        one / "predictions.csv": (("main_train_for_parameter_tuning", *grid, "--results", run),),
        place / "weights" / "run-0.3_1_1_2" / "sub01.safetensors": (
            ("main_train_for_parameter_tuning", *grid, "--results", run),
        ),
        place / "weights" / "run-0.3_1_1_2" / "description.json": (
            ("main_train_for_parameter_tuning", *grid, "--results", run),
        ),
        place / "weights" / "run-0.3_1_1_2" / "sub01.json": (
            ("main_train_for_parameter_tuning", *grid, "--results", run),
        ),
    }
    for path, commands in readers.items():
        content = path.read_bytes()
        for (what, damage), command in itertools.product(DAMAGES.items(), commands):
            if (what, command[0]) in (("one bit", "make_report"),):
                # A letter of a comment or of a text may be another one.
                continue
            path.write_bytes(damage(content))
            judge(str(command[0]), *command[1:], what=f"{path.name} {what}")
        path.write_bytes(content)
    for what, text in YAMLS.items():
        path, content = run / "config.yaml", (run / "config.yaml").read_bytes()
        path.write_text(text)
        judge("main_train_for_parameter_tuning", *grid, "--results", run, what=what)
        if what != "digits":
            judge("make_report", run, what=what)
        path.write_bytes(content)
    assert judge.cases >= 60


@pytest.mark.slow
def test_places_that_cannot_be_written_to(judge: Judge, place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    places = (
        *(tmp_path / "file", tmp_path / "file" / "below", tmp_path / "pipe", "/proc/none/x"),
        *(tmp_path / "link", tmp_path / ("x" * 300), f"{tmp_path}/\ufffd/" + "y" * 300),
    )
    inputs, weights = ("--inputs", place / "inputs"), place / "weights" / "run-0.5_1_1_2"
    for name in places:
        judge(
            *("main_train_for_parameter_tuning", *inputs, "--method", "majority"),
            *("--results", name),
        )
        judge("eval", *inputs, "--weights", weights, "--results", name)
        judge("make_synthetic", "--out", name, "--n-subjects", 1)
        judge("make_report", place / "run", "--out", name)
    for name in (*places[:5], place):
        judge("compare_results", place / "run" / "0.3_1_1_2", "--markdown", name)
    assert judge.cases >= 30
