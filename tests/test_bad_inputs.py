"""Bad inputs, generated: each ends in one line of at most 300 characters and exit code 2, nothing
on disk is changed, and no process hangs, crashes or takes all memory.

make test-hostile
"""

import dataclasses
import importlib
import io
import json
import os
import shutil
import stat
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from safetensors.torch import save as save_safetensors

from common.errors import LONGEST_LINE
from tests.helpers.forked import run_forked
from tests.helpers.scripts import run_main

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
pytestmark = pytest.mark.slow

SCRIPTS = (
    "app",
    "build_inputs",
    "calculate_all_results",
    "calculate_all_results_CASMEII",
    "calculate_all_results_SAMM",
    "calculate_all_results_SMIC",
    "compare_results",
    "eval",
    "main_train_for_parameter_tuning",
    "make_report",
    "make_synthetic",
    "measure_robustness",
    "predict_video",
    "training.au_network",
    "training.fit_all",
    "training.pretrain_on_motion",
)
CALCULATORS = tuple(name for name in SCRIPTS if name.startswith("calculate"))
IMPORTED_LATE = (
    "evaluation.report.contents",
    "evaluation.report.page",
    "openpyxl",
    "scipy.stats",
    "statsmodels.stats.multitest",
    "training.grid_run",
    "training.run_settings",
)
"""What scripts import when they need it: here once, not in every forked process."""

NO_GRADIO = "needs Gradio"
"""What the page says last, where it has found nothing wrong and Gradio is not installed."""
PARTIAL = "PARTIAL"
NO_NUMBER = ("x", "true", "1,2", "\u0663", "1_0", "", "0x10", "1 2", "--", "9" + "0" * 400 + "x")
NO_WHOLE = (*NO_NUMBER, "1.5", "1e3", "9" + "0" * 400, "-" + "9" * 17)
NO_FLOAT = (*NO_NUMBER, "nan", "-1e308", "9" * 41)
NO_NAME = ("a\x1bb", "x" * 5000, os.fsdecode(b"na\xffme"), "a\nb")
NO_CHOICE = ("maybe", "", "\u0663", "1")
SETTINGS_FILES = {
    "deep": "a: " + "[" * 500 + "]" * 500,
    "aliases": "\n".join(
        ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    ),
    "digits": "seed: " + "9" * 6000,
    "code": "!!python/object/apply:os.system [ls]",
    "list": "- 1\n- 2",
    "open": "seed: [1, 2",
    "own": "a: &a [*a]",
    "unknown": "no_such_setting: 1",
    "tab": "seed:\t- 1\n\tx",
    "two": "seed: 1\n---\nseed: 2",
    "keys": "[1, 2]: 3\n{a: 1}: 4",
    "date": "2020-01-01: 2020-99-99",
    "merges": "\n".join(
        ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40))]
    ),
    "sixties": "seed: 1" + ":1" * 100_000,
    "hex": "seed: 0x" + "f" * 6000,
    "twice": "seed: 1\nseed: 2",
    "large": "seed: " + "9" * 40,
    "many": "a: [" + "1," * 600_000 + "]",
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "one bit": lambda content: _flipped(content, len(content) // 2),
    "zeros": lambda content: bytes(len(content)),
    "a web page": lambda content: b"<!DOCTYPE html><html>404</html>\n",
    "not UTF-8": lambda content: b"\xff\xfe\x00" + content,
    "a pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "doubled": lambda content: content + content + b"x",
}


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@dataclass(frozen=True)
class Place:
    """A folder with inputs, finished runs, weights, an evaluation, and a raw dataset with what was
    built and measured of it."""

    root: Path

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    @property
    def inputs(self) -> tuple[object, ...]:
        return "--inputs", self / "inputs"

    @property
    def raw(self) -> tuple[object, ...]:
        sheet = self / "raw" / "casme2" / "CASME2-coding-20140508.xlsx"
        frames = self / "raw" / "casme2"
        return "--dataset", "casme2", "--sheet", sheet, "--frames", frames, "--registered"

    def command(self, script: str) -> tuple[object, ...]:
        """A command of a script that works, with a place of its own to write to."""
        new = self / "new"
        network = ("--method", "causalnet_compact", "--epochs", 1)
        commands: dict[str, tuple[object, ...]] = {
            "app": ("--port", 0, "--weights", self / "fitted"),
            "build_inputs": (*self.raw, "--flow", "dis", "--out", new),
            "compare_results": (self / "run" / "0.3_1_1_2", self / "run" / "0.5_1_1_2"),
            "eval": (*self.inputs, "--weights", self / "weights" / "run-0.5_1_1_2"),
            "main_train_for_parameter_tuning": (*self.inputs, *network, "--results", new),
            "make_report": (self / "run", "--out", new),
            "make_synthetic": ("--out", new),
            "measure_robustness": (
                *(*self.raw, "--flow", "dis", "--results", new, "--methods", "majority"),
                *("--epochs", 1, "--noise-seeds", 1, "--training-moved", "--workers", 1),
            ),
            "predict_video": (self / "raw" / "casme2", "--out", new),
            "training.au_network": ("--samples", 0, "--out", new),
            "training.fit_all": (*self.inputs, *network, "--gammas", 0.3, "--out", new),
            "training.pretrain_on_motion": ("--samples", 0, "--out", new),
        }
        if script == "eval":
            return (*commands[script], "--results", new)
        return commands.get(script, (self / "run" / "0.3_1_1_2",))

    @property
    def own_table(self) -> tuple[object, ...]:
        """The same clips as a user's own table."""
        named = "--dataset", "table", "--name", "mine", "--sheet", self / "own.csv"
        return (*named, "--registered", "--flow", "dis")

    def write_own_table(self) -> None:
        rows = ["subject,clip,folder,onset,apex,offset,label"]
        for number, clip in enumerate(sorted((self / "raw" / "casme2" / "Cropped").glob("*/*"))):
            frames = sorted(int(path.stem.removeprefix("reg_img")) for path in clip.iterdir())
            keys = f"{frames[0]},{frames[len(frames) // 2]},{frames[-1]}"
            folder = clip.relative_to(self.root)
            rows.append(f"{clip.parent.name},{clip.name},{folder},{keys},{'abc'[number % 3]}")
        (self / "own.csv").write_text("\n".join(rows) + "\n")

    @property
    def resume(self) -> tuple[object, ...]:
        """The command of the grid again."""
        grid = "--method", "causalnet_compact", "--epochs", 1, "--gammas", 0.3, 0.5
        weights = "--save-weights", "--weights", self / "weights", "--results", self / "run"
        return (*self.inputs, *grid, *weights)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Place:
    for name in (*SCRIPTS, *IMPORTED_LATE):
        importlib.import_module(name)
    place = Place(tmp_path_factory.mktemp("bad"))
    shutil.copytree(tiny_folder, place / "inputs")
    linear = ("--method", "linear", "--save-weights", "--weights", place / "weights")
    svc = "--method", EXAMPLES / "my_svc.py", *linear[2:]
    raw = "--what", "raw", "--out", place / "raw", "--datasets", "casme2", "--n-subjects", 2
    quick = "--methods", "majority", "linear", "--noise-seeds", 1, "--training-noise-seeds", 1
    few = "--moved", "all", "--levels", 0.1, "--frame-levels", "--training-levels", "--workers", 1
    works: list[tuple[object, ...]] = [
        ("main_train_for_parameter_tuning", *place.resume),
        ("main_train_for_parameter_tuning", *place.inputs, *linear, "--results", place / "lin"),
        ("eval", *place.command("eval")[:-1], place / "evaluated"),
        ("main_train_for_parameter_tuning", *place.inputs, *svc, "--results", place / "svc"),
        ("training.fit_all", *place.inputs, "--method", "linear", "--out", place / "fitted"),
        ("make_synthetic", *raw, "--n-clips", 3, "--frame-kind", "registered"),
        ("build_inputs", *place.raw, "--flow", "dis", "--out", place / "built"),
        ("measure_robustness", *place.raw, "--flow", "dis", *quick, *few, "--results",
         place / "robust"),
    ]  # fmt: skip
    # In this process, so that what scripts import late is there in every fork.
    for script, *flags in works:
        run_main(importlib.import_module(str(script)).main, [*map(str, flags)])
    place.write_own_table()
    own = *place.own_table, "--out", place / "own"
    run_main(importlib.import_module("build_inputs").main, [*map(str, own)])
    return place


class Judge:
    """Runs scripts with bad input, and keeps what is wrong with how they end."""

    def __init__(self, place: Place) -> None:
        self.place, self.cases, self.faults = place, 0, list[str]()
        self.before = state(place.root)

    def __call__(self, script: str, *flags: object, what: str = "", **limits: int) -> None:
        self.cases += 1
        name = f"{script} {' '.join(ascii(str(flag)[-40:]) for flag in flags[-4:])} {what}"
        ended = run_forked(script, flags, self.place.root, **limits)
        line = ended.errors
        lines = [own for own in line.splitlines() if not own.startswith("warning: ")]
        if script == "app" and NO_GRADIO in line:
            self.fault(f"{name}: was served, but for Gradio")
        elif ended.code != 2:
            self.fault(f"{name}: ended with {ended.code}: {line[-300:]!r}")
        elif len(lines) != 1 or len(lines[0]) > LONGEST_LINE or not lines[0].startswith("error: "):
            self.fault(f"{name}: said {line[-400:]!r}")
        if script == "eval" and PARTIAL in ended.output:
            # The weights of one subject are refused; what the others give is written, and says so.
            shutil.rmtree(self.place / "new")
        after = state(self.place.root)
        if after != self.before:
            changed = sorted(dict(after.items() ^ self.before.items()))
            self.fault(f"{name}: changed the disk: {changed[:3]}")
            shutil.rmtree(self.place / "new", ignore_errors=True)
            self.before = state(self.place.root)

    def fault(self, text: str) -> None:
        """Keep what is wrong, and say it at once."""
        print(text, flush=True)
        self.faults.append(text)

    def damaged(
        self, path: Path, content: bytes, commands: Iterator[Any] | list[Any], what: str
    ) -> None:
        """Run commands while a file holds something else; then put back what it was."""
        own = path.read_bytes()
        path.write_bytes(content)
        self.before = state(self.place.root)
        for script, *flags in commands:
            self(script, *flags, what=f"{path.name}: {what}")
        path.write_bytes(own)
        self.before = state(self.place.root)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below a folder; a lock is no change."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        is_kept = not stat.S_ISDIR(status.st_mode) and path.name != ".lock"
        if is_kept or (path.parent == folder and path.name != ".lock"):
            kept = (status.st_size, status.st_mtime_ns) if is_kept else (0, 0)
            found[str(path.relative_to(folder))] = kept
    return found


@pytest.fixture
def judge(place: Place) -> Iterator[Judge]:
    own = Judge(place)
    yield own
    print(f"{own.cases} cases")
    assert not own.faults, f"{len(own.faults)} of {own.cases}:\n" + "\n".join(own.faults)


def fields_of(script: str) -> Iterator[tuple[str, set[Any]]]:
    """The flags of a script with the types, or the words, of their single values."""
    module = importlib.import_module(script)
    config = getattr(module, "Config", None)
    if config is None:
        config = importlib.import_module("evaluation.calculator").CalculatorConfig
    hints = typing.get_type_hints(config)
    for own in dataclasses.fields(config):
        yield own.name, set(_leaves(hints[own.name]))


def _leaves(hint: Any) -> Iterator[Any]:
    parts = [part for part in typing.get_args(hint) if part not in (Ellipsis, type(None))]
    if typing.get_origin(hint) is typing.Literal:
        yield str
    elif parts:
        for part in parts:
            yield from _leaves(part)
    else:
        yield hint


def is_choice(script: str, name: str) -> bool:
    """Whether a flag has a closed list of words."""
    config = getattr(importlib.import_module(script), "Config", None)
    return config is not None and "Literal[" in str(typing.get_type_hints(config)[name])


def number_flags() -> Iterator[tuple[str, str, str]]:
    """Script, flag and a text that is no value of it, for every flag that is a number."""
    for script in SCRIPTS:
        for name, kinds in fields_of(script):
            bad: tuple[str, ...] = NO_WHOLE if int in kinds else NO_FLOAT if float in kinds else ()
            if is_choice(script, name):
                bad = NO_CHOICE
            for text in bad:
                yield script, f"--{name.replace('_', '-')}", text


@pytest.mark.parametrize("script", SCRIPTS)
def test_numbers_and_words(script: str, judge: Judge, place: Place) -> None:
    for own, flag, text in number_flags():
        if own == script:
            judge(script, *place.command(script), f"{flag}={text}")


def test_names(judge: Judge, place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    loop = tmp_path / "loop"
    files = tmp_path / "pipe", tmp_path / "folder", tmp_path / "none.yaml", "", "/dev/zero", loop
    for script in SCRIPTS:
        for name in (*NO_NAME, *files):
            judge(script, "--config", name)
        judge(script, "--no-such-flag", "1")
        for name, kinds in fields_of(script):
            if Path in kinds and name not in ("folder", "folders", "videos"):
                for text in (*NO_NAME, loop, loop / "x"):
                    judge(script, *place.command(script), f"--{name.replace('_', '-')}", text)


def test_settings_files(judge: Judge, tmp_path: Path) -> None:
    for script in SCRIPTS:
        for what, text in SETTINGS_FILES.items():
            (tmp_path / "settings.yaml").write_text(text)
            judge(script, "--config", tmp_path / "settings.yaml", what=what)
        for name, kinds in fields_of(script):
            wrong = [{"a": 1}, [[1]], True] if bool not in kinds else ["yes please", [True], 1]
            for value in wrong:
                (tmp_path / "settings.yaml").write_text(yaml.safe_dump({name: value}))
                judge(script, "--config", tmp_path / "settings.yaml", what=f"{name} {value}")


def test_damaged_files_of_a_run(judge: Judge, place: Place) -> None:
    run, one = place / "run", place / "run" / "0.3_1_1_2"
    weights = place / "weights" / "run-0.5_1_1_2"
    resume = ("main_train_for_parameter_tuning", *place.resume)
    report, evaluate = (
        ("make_report", run, "--out", place / "new"),
        ("eval", *place.command("eval")),
    )
    start = ("main_train_for_parameter_tuning", *place.command("main_train_for_parameter_tuning"))
    start = (*start, "--init-weights", weights)
    linear = (*place.inputs, "--weights", place / "weights" / "lin-linear")
    svc = (*place.inputs, "--weights", place / "weights" / "svc-my_svc")
    readers: dict[Path, list[tuple[object, ...]]] = {
        run / "config.yaml": [resume, report],
        run / "expected_clips.csv": [resume],
        run / "result_summary.txt": [resume],
        run / "chosen" / "last" / "choices.csv": [resume],
        one / "folds" / "sub01.npz": [
            resume, report, ("calculate_all_results", one, "--published"),
        ],
        one / "predictions.csv": [resume],
        one / "losses.csv": [resume],
        one / "CausalNet.xlsx": [resume, ("calculate_all_results", one)],
        one / "sub01_acc.txt": [resume],
        weights / "sub01.safetensors": [resume, evaluate, start],
        weights / "sub01.json": [resume, evaluate, start],
        weights / "description.json": [resume, evaluate],
        weights / "clips.csv": [resume, evaluate, start],
        place / "weights" / "lin-linear" / "sub01.safetensors": [
            ("eval", *linear, "--results", place / "new")
        ],
        place / "weights" / "svc-my_svc" / "sub01.skops": [
            ("eval", *svc, "--results", place / "new")
        ],
        place / "robust" / "robustness.csv": [
            ("make_report", place / "robust", "--out", place / "new"),
        ],
    }  # fmt: skip
    for path, commands in readers.items():
        for what, damage in DAMAGES.items():
            is_told = path.name != "robustness.csv" or what != "one bit"
            if is_told:
                judge.damaged(path, damage(path.read_bytes()), commands, what)
    for what, text in SETTINGS_FILES.items():
        judge.damaged(run / "config.yaml", text.encode(), [resume, report], what)
        judge.damaged(weights / "description.json", text.encode(), [evaluate], what)


def test_damaged_inputs(judge: Judge, place: Place) -> None:
    folder = place / "inputs"
    train = ("main_train_for_parameter_tuning", *place.command("main_train_for_parameter_tuning"))
    built = list(train)
    built[built.index(folder)] = place / "built"
    both = [train, ("eval", *place.command("eval"))]
    table = next(folder.glob("*.csv"))
    path = next(folder.glob("*/*.png"))
    own = np.asarray(cv2.imread(str(path)))
    pictures = {
        "grey": own[..., 0],
        "16 bits": own.astype(np.uint16),
        "small": own[:14, :14],
        "large": np.zeros((4096, 28, 3), np.uint8),
        "four channels": np.dstack([own, own[..., :1]]),
    }
    for what, pixels in pictures.items():
        judge.damaged(path, cv2.imencode(".png", pixels)[1].tobytes(), both, what)
    judge.damaged(path, cv2.imencode(".jpg", own)[1].tobytes()[:300], both, "JPEG")
    for what, damage in DAMAGES.items():
        # What lies behind the end of a PNG is not read.
        if what != "doubled":
            judge.damaged(path, damage(path.read_bytes()), both, what)
        if what not in ("one bit", "doubled"):
            judge.damaged(table, damage(table.read_bytes()), both, what)
    for name in ("STSNet_whole_norm_u_v_os", "flows"):
        stored = next((place / "built" / name).iterdir())
        method = "off_tanet" if name == "flows" else "causalnet_compact"
        command = [method if own == "causalnet_compact" else own for own in built]
        for what, damage in DAMAGES.items():
            judge.damaged(stored, damage(stored.read_bytes()), [command], what)
    record = place / "built" / "inputs.yaml"
    for what, text in SETTINGS_FILES.items():
        judge.damaged(record, text.encode(), [built], what)
    for what, classes in CLASSES.items():
        text = yaml.safe_dump({"casme2": {"classes": classes}})
        judge.damaged(record, text.encode(), [built], what)


CLASSES: dict[str, Any] = {
    "one": ["a"],
    "none": [],
    "twice": ["a", "b", "a"],
    "lists": [["a"], ["b"], ["c"]],
    "numbers": [1, 2, 3],
    "1,500": [f"class {number}" for number in range(1500)],
    "blank": ["a", " ", "c"],
    "a text": "abc",
    "a mapping": {"a": 1},
    "nothing": [None, "b", "c"],
    "line ends": ["a\nb", "c", "d"],
}
CELLS = {
    "label": ("", "3", "-1", "1.5", "nan", "x", "9" * 5000, "1e308", "\u0661", "true", "0x1"),
    "sub": ("", "../x", "a/b", "\x1b[0m", "a\tb", ".", "x" * 300),
    "filename_o": ("", "/etc/passwd", "a\\b", "\u202e", "x" * 5000),
    "dataset": ("", "a/b", "\x07"),
}
PREDICTION_CELLS = {
    "true": ("", "-1", "7", "nan", "9" * 5000, "\u0661", "true", "1.5"),
    "predicted": ("", "-1", "7", "inf", "1e308"),
    "subject": ("",),
    "clip": ("",),
    "score_negative": ("", "nan", "inf", "1e999", "x", "\u0661"),
}
OWN_CELLS = {
    "subject": ("", "../x", "a/b", "\x1b[0m", "x" * 300),
    "clip": ("", "..", "a\tb", "x" * 5000),
    "folder": ("", "no", "/etc", "..", "x" * 5000, "own.csv", "~nobody_of_this_name/x"),
    "onset": ("", "x", "-1", "1.5", "nan", "9" * 5000, "1e308", "\u0661", "99999999"),
    "apex": ("x", "0", "9" * 17, "inf"),
    "offset": ("", "0", "960000000", "true"),
    "label": ("", "\x07"),
}
COUNT_CELLS = {
    "clips": ("", "-1", "0", "1.5", "nan", "9" * 5000, "1e308", "99999999", "\u0661"),
    "subject": ("",),
    "dataset": ("",),
}
ROBUSTNESS_CELLS = {
    "uf1": ("", "nan", "2", "-1", "x", "1e308", "\u0661"),
    "level": ("x", "nan", "9" * 5000 + "x"),
    "seed": ("x",),
}


def with_cell(path: Path, column: str, text: str) -> bytes:
    """A table with another text in a column of its second row."""
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[2].split(",")
    cells[lines[0].split(",").index(column)] = text
    return "\n".join([*lines[:2], ",".join(cells), *lines[3:]]).encode("utf-8") + b"\n"


def test_cells_of_tables(judge: Judge, place: Place, tmp_path: Path) -> None:
    train = ("main_train_for_parameter_tuning", *place.command("main_train_for_parameter_tuning"))
    copy, one = place / "copy", place / "run" / "0.3_1_1_2"
    shutil.copytree(one, copy)
    shutil.copy(place / "run" / "expected_clips.csv", copy)
    shutil.copytree(place / "robust", place / "robust2")
    (place / "robust2" / "files.sha256").unlink()
    of_copy = [
        ("calculate_all_results", copy),
        ("compare_results", one, copy),
        ("make_report", copy, "--out", place / "new"),
    ]
    page = ("make_report", place / "robust2", "--out", place / "new")
    tables: list[tuple[Path, dict[str, tuple[str, ...]], list[Any]]] = [
        (next((place / "inputs").glob("*.csv")), CELLS, [train]),
        (copy / "predictions.csv", PREDICTION_CELLS, of_copy),
        (copy / "expected_clips.csv", COUNT_CELLS, of_copy),
        (place / "robust2" / "robustness.csv", ROBUSTNESS_CELLS, [page]),
    ]
    judge.before = state(place.root)
    for path, columns, commands in tables:
        for column, texts in columns.items():
            for text in texts:
                what = f"{column} is {text[:20]!a}"
                judge.damaged(path, with_cell(path, column, text), commands, what)
    for folder in (copy, place / "robust2"):
        shutil.rmtree(folder)


def test_cells_of_an_own_table(judge: Judge, place: Place) -> None:
    """A row that cannot be used is left out and named; the others are built."""
    path, own = place / "own.csv", (place / "own.csv").read_bytes()
    for column, texts in OWN_CELLS.items():
        for text in texts:
            path.write_bytes(with_cell(path, column, text))
            ended = run_forked(
                "build_inputs", (*place.own_table, "--out", place / "new"), place.root
            )
            path.write_bytes(own)
            judge.cases += 1
            lines = (ended.output + ended.errors).splitlines()
            is_named = any(line.startswith(("excluded: row 3", "error: ")) for line in lines)
            # A clip without a name has that of its folder.
            is_good = is_named or (column == "clip" and not text)
            is_short = all(len(line) <= LONGEST_LINE and line.isprintable() for line in lines)
            if ended.code not in (0, 2) or not is_short or not is_good:
                judge.fault(f"own.csv: {column} is {text[:20]!a}: {ended}"[:600])
            if ended.code == 2 and (place / "new").exists():
                judge.fault(f"own.csv: {column} is {text[:20]!a}: changed the disk")
            shutil.rmtree(place / "new", ignore_errors=True)
    judge.before = state(place.root)


ACC_FILES = {
    "class 999999999": "best epoach: 1\nbest acc: 0.0\nmatrix_acc: [[0, 999999999]]\n",
    "digits": f"best epoach: {'9' * 5000}\nbest acc: 1.0\nmatrix_acc: [[0, 0]]\n",
    "deep": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: " + "[" * 5000 + "]" * 5000,
    "power": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[9**9**9, 0]]\n",
    "call": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[__import__('os'), 0]]\n",
    "contradiction": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[0, 1], [1, 1]]\n",
    "class 7": "best epoach: 1\nbest acc: 0.0\nmatrix_acc: [[7, 1]]\n",
    "negative": "best epoach: 1\nbest acc: 0.0\nmatrix_acc: [[-1, 1]]\n",
    "truths": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[True, True]]\n",
    "triples": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[1, 1, 1]]\n",
    "nothing": "best epoach: 1\nbest acc: 0\nmatrix_acc: []\n",
    "twice": "best epoach: 1\nbest acc: 1.0\nmatrix_acc: [[0, 0]]\n" * 2,
    "Arabic": "best epoach: \u0661\nbest acc: 1.0\nmatrix_acc: [[0, 0]]\n",
    "zeros": "\0" * 50,
}


def test_result_files(judge: Judge, place: Place) -> None:
    folder = place / "published"
    folder.mkdir()
    for what, text in ACC_FILES.items():
        (folder / "sub01_acc.txt").write_text(text)
        judge.before = state(place.root)
        for script in ("calculate_all_results", "calculate_all_results_CASMEII"):
            judge(script, folder, what=what)
            judge(script, folder, "--partial", what=what)
    shutil.rmtree(folder)


def bad_tensors() -> Iterator[tuple[str, Any]]:
    """What no training gives in place of a weight."""
    good = torch.ones(4, 4)
    yield "NaN", torch.full((4, 4), torch.nan)
    yield "complex", good.to(torch.complex64)
    yield "sparse", good.to_sparse()
    yield "sparse rows", good.to_sparse_csr()
    yield "quantized", torch.quantize_per_tensor(good, 0.1, 0, torch.qint8)
    yield "empty", torch.empty(0)
    yield "expanded", torch.zeros(1).expand(10**11)
    yield "meta", torch.empty(4, 4, device="meta")
    yield "float8", good.to(torch.float8_e4m3fn)
    yield "a list", [1.0, 2.0]
    yield "a number", 7
    yield "nothing", None
    yield "an array", np.ones(3)


def weights_contents(state_dict: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Weights files that must be refused, made of a good one."""
    name = next(key for key in state_dict if key.endswith("weight"))
    for what, tensor in bad_tensors():
        yield what, _saved({**state_dict, name: tensor})
    first = state_dict[name]
    yield "infinite", _saved({**state_dict, name: torch.full_like(first, torch.inf)})
    large = torch.full_like(first, 1e300, dtype=torch.float64)
    yield "too large for its type", _saved({**state_dict, name: large})
    yield "whole numbers", _saved({**state_dict, name: torch.ones_like(first, dtype=torch.int64)})
    yield "another shape", _saved({**state_dict, name: first[..., :1]})
    yield "one more", _saved({**state_dict, "more": first})
    yield "one less", _saved({key: own for key, own in state_dict.items() if key != name})
    yield "a module", _saved(torch.nn.Linear(1, 1))
    yield "a tensor", _saved(first)
    yield "nothing in it", _saved({})
    yield "two states", _saved({"state_dict": state_dict, "model": state_dict})
    yield "numbers as names", _saved({1: first})
    yield "safetensors", save_safetensors({"a": torch.ones(1)})
    yield "text", b"weights"


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_weights(judge: Judge, place: Place) -> None:
    folder, own = place / "downloaded", place / "weights" / "run-0.5_1_1_2"
    folder.mkdir()
    shutil.copy(own / "description.json", folder)
    state_dict = load_file(own / "sub01.safetensors")
    command = (*place.inputs, "--weights", folder, "--results", place / "new")
    for what, content in weights_contents(state_dict):
        (folder / "sub01.pth").write_bytes(content)
        judge.before = state(place.root)
        judge("eval", *command, what=what)
    (folder / "sub01.pth").unlink()
    shutil.copy(own / "sub01.safetensors", folder)
    description = yaml.safe_load((folder / "description.json").read_text())
    for key, values in DESCRIPTIONS.items():
        for value in values:
            text = yaml.safe_dump({**description, key: value})
            (folder / "description.json").write_text(text)
            judge.before = state(place.root)
            judge("eval", *command, what=f"description: {key} is {value!r}"[:80])
    shutil.rmtree(folder)


DESCRIPTIONS: dict[str, tuple[Any, ...]] = {
    "settings": ({"gamma": "much"}, {"gamma": True}, {"gamma": [1]}, {"no": 1}, 7, [1], "x"),
    "preparation": ({"no": 1}, {"shift": 900}, {"mirror": "maybe"}, 7, None, [1]),
    "training": ({"epochs": 0}, {"no": 1}, 7, [1], "x"),
    "class_names": ([], ["a"], "abc", [1, 2, 3], None, 7, ["a", "b", "c"]),
    "method": ("no_such", 7, ["x"], "../x", None, "linear"),
    "method_sha256": ("0", 7),
    "seed": ("x", None, [1], 1.5),
    "epoch": ("x", None, 1.5),
    "threads": (0, -1, 1_000_000, "x", 1.5),
    "protocol": ("no", 7),
    "synthetic": ("maybe", 7),
    "configuration": (7, None, ["x"]),
    "epoch_rule": (7, None),
    "inputs_sha256": (7,),
}
NETWORK = """from torch import nn
training = {"epochs": 1, "batch_size": 9, "learning_rate": 0.001}
def build(classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 3 * 28 * 28, classes))
"""
METHODS = {
    "no Python": "this is no Python",
    "deep": "x = " + "(" * 500 + ")" * 500,
    "deeper": "training = " + "[" * 150 + "]" * 150,
    "zeros": "\0",
    "no build": "training = {}",
    "build is a number": "build = 7",
    "build fails": "def build(classes):\n    return 1 / 0",
    "build gives nothing": "def build(classes):\n    return None",
    "needs another package": "import no_such_package",
    "fails when read": "raise SystemError('no')",
    **{
        f"{name} is {value}": NETWORK.replace("def build", f"{name} = {value}\ndef build")
        for name, values in {
            "training": ("7", "{}", '{"epochs": "x"}', '{"epochs": 0}', "{1: 2}", "[1]", "None"),
            "input": ("7", '"no"', "None", "[1]"),
            "phases": ('"x"', "None", "[2]"),
            "preparation": ("7", '{"no": 1}', '{"scale": "x"}', "{1: 2}", '{"shift": 10**9}'),
            "grid": ("7", '{"gamma": 0.3}', '{"no": [1]}', "[1]"),
            "group_size": ('"x"', "0", "-1", "None", "1.5"),
            "stackable": ("7", '"no"'),
            "sees_clips": ('"no"',),
            "cost": ("7",),
            "loss": ("7",),
            "prepare": ("7",),
            "optimizer": ("7",),
            "augment": ("7",),
        }.items()
        for value in values
    },
    "loss fails": NETWORK + "def loss(logits, labels):\n    return 1 / 0\n",
    "logits of two classes": NETWORK.replace("28, classes", "28, 2"),
    "ends the program": "raise SystemExit",
    "base exception": "class E(BaseException): pass\nraise E",
    "error without a text": "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E",
    "endless": "def f(): return f()\nf()",
    **{f"build = {value}": f"build = {value}\n" for value in ("dict", "print", "int", "lambda: 1")},
    "build ends": "def build(classes):\n    raise SystemExit\n",
    "build generates": "def build(classes):\n    yield 1\n",
    "many digits": NETWORK.replace('"batch_size": 9', '"batch_size": 9, "decay": -1.0'),
}
RETURNS: dict[str, tuple[str, ...]] = {
    "augment(clips, generator)": ("None", "clips[:, :1]", "1 / 0"),
    "epoch_order(labels, size, generator)": (
        *("None", "[]", "[[10**6]]", "[[0.5]]", "[[]]", "1 / 0"),
    ),
    "loss(logits, labels)": ("None", "1", "logits.sum(1)", "torch.tensor(1.0)", "1 / 0", "exit()"),
    "name_configuration(settings)": (
        *("None", "('../../x', 'y')", "('', '')", "('a\\nb', 'y')", "1 / 0", "exit()"),
    ),
    "optimizer(parameters)": ("None", "1 / 0", "exit()"),
    "prepare(stored, clips, generator)": (
        *("None", "1.0", "stored[:1]", "[None] * len(stored)", "1 / 0", "exit()"),
        "torch.empty(len(stored), 9408, device='meta')",
    ),
    "training_step(network, clips, labels, generator)": (
        *("None", "'x'", "network(clips).sum(1)", "1 / 0", "exit()"),
    ),
}
"""What functions of a method file return that they must not."""
FORWARDS = (
    *("1 / 0 if self.training else y", "(y, y) if self.training else y", "y.round().int()"),
    *("y.to(torch.complex64)", "y > 0", "y.detach()", "y.to_sparse()", "y[:, :2]", "None"),
    *("y[:, :2] if self.training else y", "y * float('nan')", "exit() if self.training else y"),
)
ESTIMATORS: dict[str, tuple[str, ...]] = {
    "fit(self, x, y)": ("1 / 0", "exit()"),
    "predict(self, x)": ("None", "1 / 0", "exit()", "np.full(len(x), np.nan)", "np.zeros(1)"),
    "predict_proba(self, x)": (
        *("'x'", "None", "np.ones((len(x), 3), complex)", "np.full((len(x), 3), -1.0)", "1 / 0"),
        "np.full((len(x), 3), np.nan)",
    ),
    "decision_function(self, x)": ("1 / 0", "np.ones((len(x), 3, 1))", "None"),
}
ESTIMATOR = """import numpy as np
class E:
    classes_ = [0, 1, 2]
    def fit(self, x, y):
        return self
    def predict(self, x):
        return np.zeros(len(x), int)
"""


def method_texts() -> Iterator[tuple[str, str]]:
    """Method files that must be refused."""
    yield from METHODS.items()
    for function, values in RETURNS.items():
        for value in values:
            body = f"import torch\ndef {function}:\n    return {value}\n"
            yield f"{function}: {value}", NETWORK + body
    for value in FORWARDS:
        network = "import torch\nclass X(nn.Module):\n    def __init__(self):\n"
        network += "        super().__init__()\n        self.linear = nn.Linear(9408, 3)\n"
        network += "    def forward(self, clips):\n        y = self.linear(clips.flatten(1))\n"
        network += f"        return {value}\ndef build(classes=3):\n    return X()\n"
        yield f"forward: {value}", NETWORK.split("def build")[0] + network
    build = "def build(classes=3):\n    return E()\n"
    for function, values in ESTIMATORS.items():
        for value in values:
            body = f"    def {function}:\n        return {value}\n"
            yield f"{function}: {value}", ESTIMATOR + body + build
    for classes in ("['a', 'b', 'c']", "[0, 1, 99]", "None", "[[0]]"):
        yield f"classes_ = {classes}", ESTIMATOR.replace("[0, 1, 2]", classes) + build
    for value in ("None", "1 / 0", "exit()"):
        body = f"def features(clips):\n    return {value}\n"
        yield f"features: {value}", ESTIMATOR + build + body


def test_method_files(judge: Judge, place: Place, tmp_path: Path) -> None:
    path = tmp_path / "my_method.py"
    command = (*place.inputs, "--results", place / "new", "--method", path)
    for what, text in method_texts():
        path.write_text(text)
        judge("main_train_for_parameter_tuning", *command, what=what)
    path.write_bytes(b"x = '\xff\xfe'")
    judge("main_train_for_parameter_tuning", *command, what="not UTF-8")
    path.unlink()
    os.mkfifo(path)
    judge("main_train_for_parameter_tuning", *command, what="a pipe")
    path.unlink()
    path.mkdir()
    judge("main_train_for_parameter_tuning", *command, what="a folder")
    for name in ("no_such", "no_such.py", "", ".py", "/", "..", "linear.txt"):
        judge("main_train_for_parameter_tuning", *command[:-1], name)
        judge("measure_robustness", *place.command("measure_robustness"), "--methods", name)


def test_settings_that_do_not_go_together(judge: Judge, place: Place) -> None:
    train = "main_train_for_parameter_tuning"
    ones: list[tuple[object, ...]] = [
        ("--gammas", "2.5"), ("--gammas", "-0.1"), ("--gammas", "0.1,0.3"), ("--gammas", "nan"),
        ("--gammas", "0.3", "0.3"), ("--gammas", "inf"), ("--layer1", "0"), ("--layer1", "9" * 12),
        ("--set", "gamma"), ("--set", "gamma="), ("--set", "=1"), ("--set", "gamma=much"),
        ("--set", "gamma=[1,2"), ("--set", "no=1"), ("--set", "gamma=true"), ("--set", "dim=0"),
        ("--set", "dim=-5"), ("--set", "dim=1e9"), ("--set", "dim=99999999999999"),
        ("--set", "heads=0"), ("--set", "gamma=&a [*a]"), ("--subjects", "nobody"),
        ("--subjects", ""), ("--device", "cuda"), ("--epochs", "0"), ("--epochs", "-1"),
        ("--epochs", "1" + "0" * 400), ("--threads", "10000"), ("--threads", "0"),
        ("--learning-rate", "0"), ("--learning-rate", "-1"), ("--learning-rate", "inf"),
        ("--label-smoothing", "1"), ("--label-smoothing", "nan"), ("--averaging", "1"),
        ("--scale", "0"), ("--scale", "1e308"), ("--shift", "4"), ("--shift", "-1"),
        ("--mirror", "False"), ("--mirror", "False", "--shift", "1"),
        ("--workers", "0"), ("--workers", "9999"), ("--group-size", "0"),
        ("--ray-address", "x"), ("--cpus-per-task", "2"), ("--gpus-per-task", "nan"),
        ("--executor", "ray", "--workers", "2"), ("--init-weights", "no"), ("--precision", "tf32"),
        ("--method", "linear", "--epochs", "3"), ("--method", "linear", "--gammas", "0.3"),
        ("--weights",), ("--results",), ("extra",), ("--inner", "yes"), ("--seed",),
        ("--set", "gamma=0x" + "f" * 4000), ("--set", "gamma=1" + ":1" * 2000),
        ("--set", "gamma=.nan"), ("--set", "gamma=-.inf"), ("--set", "gamma=!!binary aGk="),
        ("--set", "gamma=!!set {a}"), ("--set", "gamma={a: 1}"), ("--set", "gamma=2020-01-01"),
        ("--set", 'gamma="\\0"'), ("--set", 'gamma="\\ud800"'), ("--set", "gamma=<<"),
        ("--set", "gamma=null"), ("--set", "gamma=[[0.3]]"), ("--set", "gamma=*a"),
        ("--set", "gamma=0.3", "gamma=0.4"), ("--set", "gamma=0.3", "--gammas", "0.4"),
        ("--set", "ablation=none", "--ablation", "no_cab"), ("--set", "block_repeats=x"),
        ("--set", "block_repeats=[0,0,0]"), ("--set", "block_repeats=[1,1,999999999]"),
        ("--layer1", *range(1, 999), "--layer2", *range(1, 999), "--layer3", *range(1, 999)),
    ]  # fmt: skip
    for flags in ones:
        judge(train, *place.command(train), *flags)
    for flags in (
        ("--levels", "1e308"), ("--levels", "-1"), ("--levels", "0.1", "0.1"), ("--methods",),
        ("--methods", "linear", "linear"), ("--frame-levels", "1e308"),
        ("--training-levels", "nan"),
        ("--noise-seeds", "0"), ("--method-epochs", "linear=3"), ("--method-epochs", "x"),
        ("--methods", "ststnet", "--method-epochs", "ststnet=\u0663"),
        ("--methods", "ststnet", "--method-epochs", "ststnet=1_0"),
        ("--set", "x"), ("--moved", "nose"),
        ("--dataset", "no"), ("--scheme", "no"), ("--frames", "no"), ("--sheet", "no"),
        ("--methods", "ststnet", "--method-epochs", "ststnet=" + "9" * 400),
        ("--frame-size", "0"),
    ):  # fmt: skip
        judge("measure_robustness", *place.command("measure_robustness"), *flags)
    for flags in (
        ("--size", "0"), ("--size", "99999"), ("--margin", "-1"), ("--frame-rate", "nan"),
        ("--frame-rate", "0"), ("--frame-rate", "-5"), ("--frame-rate", "1e308"),
        ("--keep", "nothing"), ("--pictures", "nobody/clip"), ("--pictures", "../x"),
        ("--corrections", "no"), ("--workers", "0"), ("--flow", "no"), ("--dataset", ""),
    ):  # fmt: skip
        judge("build_inputs", *place.command("build_inputs"), *flags)
    for flags in (
        ("--datasets", "no"), ("--n-subjects", "0"), ("--n-clips", "0"), ("--what", "no"),
        ("--what", "picture"), ("--what", "picture", "--clip", "no"), ("--workers", "0"),
        ("--what", "raw", "--faults", "--n-subjects", "1"), ("--what", "video"),
        ("--what", "video", "--out", "x.avi"), ("--what", "motion", "--n-samples", "0"),
        ("--what", "motion", "--n-samples", "9" * 12), ("--what", "motion", "--n-samples", "-1"),
        ("--what", "motion", "--key-frame-errors", "1.5"),
        ("--what", "motion", "--key-frame-errors", "-1"), ("--what", "motion", "--seed", "-1"),
        ("--what", "video", "--seed", "-1", "--out", "x.mp4"),
    ):  # fmt: skip
        judge("make_synthetic", *place.command("make_synthetic"), *flags)
    for flags in (
        ("--frame-rate", "0"), ("--frame-rate", "inf"), ("--frame-rate", "nan"),
        ("--camera-seconds", "nan"), ("--camera-seconds", "inf"), ("--camera", "-1"),
        ("--onset", "1"), ("--onset", "x", "--apex", "2", "--offset", "3"), ("--landmarks", "7"),
        ("--onset", "\u0661", "--apex", "2", "--offset", "3"), ("no.mp4",),
        ("--onset", "nans", "--apex", "2", "--offset", "3"),
        ("--onset", "9" * 400, "--apex", "2", "--offset", "3"),
        *(("--onset", text, "--apex", "2", "--offset", "3") for text in ("infs", "1e400s", "1_0")),
    ):  # fmt: skip
        judge("predict_video", *place.command("predict_video"), *flags)
    one = place / "run" / "0.3_1_1_2"
    for flags in (
        (), ("no",), (one, "no"), (one, one), (one, "--rules", "no"), (one, "--names", "a", "b"),
        (one, "--dataset", "no"), (one, "--table", "x.doc"), (one, "--inputs", "no"),
        (place / "inputs",), (one, place / "evaluated", "--names", "a"), (place / "run",),
        (one, place / "run" / "0.5_1_1_2", "--names", "a", "a"),
        (one, place / "run" / "0.5_1_1_2", "--names", "", "a"),
        (one, "--table", "x.md", "--markdown", "x.md"), (f"{one}+",), ("+",), (f"{one}+no",),
    ):  # fmt: skip
        judge("compare_results", *flags)
    for folder in ("no", place / "inputs", place / "run", "/dev/null", place.root):
        for script in CALCULATORS:
            judge(script, folder)
    both = one, place / "run" / "0.5_1_1_2"
    weights = place / "weights" / "run-0.3_1_1_2"
    for flags in (
        ("no",), (place / "inputs",), (one, "--configurations", "no"), ("/dev/null",),
        (one, "no"), (one, one), (*both, "--names", "a"), (one, "--names", "a"),
        (*both, "--configurations", "x"), (one, "--explain", "no"), (one, "--clips", "x/y"),
        (one, "--explain", weights), (*both, "--explain", weights, *place.inputs),
        (one, "--explain", "no", *place.inputs), (one, place / "evaluated" / "no"),
        (place / "run", "--explain", place / "inputs", *place.inputs),
        (one, "--explain", weights, *place.inputs, "--clips", "nobody/clip"),
        (one, "--disagreements", "--inputs", "no"), ("no", "--disagreements"),
        (*both, "--disagreements", "--inputs", place / "built"),
        (*both, place / "robust"), (*both, "--names", "a", "a"),
    ):  # fmt: skip
        judge("make_report", *flags, "--out", place / "new")


def test_settings_of_the_new_scripts_that_do_not_go_together(judge: Judge, place: Place) -> None:
    sets: tuple[tuple[object, ...], ...] = (
        ("--host", "no host"), ("--host", ""), ("--host", "256.0.0.1"), ("--host", "1.1.1.1"),
        ("--host", "::g"), ("--host", "x" * 300), ("--host", "\u0663"), ("--port", "65536"),
        ("--port", "-1"), ("--max-megabytes", "0"), ("--max-megabytes", "9" * 12),
        ("--weights", "no"), ("--weights", place / "inputs"), ("--weights", "/dev/null"),
        ("--weights", place / "weights" / "run-0.3_1_1_2"), ("--landmarks", "7"),
        ("--flow", "no"), ("extra",),
    )  # fmt: skip
    for flags in sets:
        judge("app", *place.command("app"), *flags)
    sets = (
        ("--gammas", "0.3", "0.5"), ("--inner",), ("--protocol", "single_dataset"),
        ("--method", "no"), ("--epochs", "0"), ("--set", "no=1"), ("--inputs", "no"),
        ("--inputs", place / "raw"), ("--results", place / "lin"),
        ("--results", "/dev/null"), ("--out", "/dev/null"), ("--subject-share", "0"),
        ("--subject-share", "1.5"), ("--learning-rate", "1e9"), ("extra",),
        ("--method", "linear", "--epochs", "2"),
        ("--out", place / "fitted"), ("--init-weights", "no"),
    )  # fmt: skip
    for flags in sets:
        judge("training.fit_all", *place.command("training.fit_all"), *flags)
    pretrain = "training.pretrain_on_motion"
    sets = (
        ("--samples", "1"), ("--samples", "-256"), ("--samples", str(256 * 10**14)),
        ("--seed", "-1"), ("--key-frame-errors", "1.5"), ("--key-frame-errors", "nan"),
        ("--network", "no"), ("--network", "au_network", "--parts", "cmplm"),
        ("--network", "au_network", "--key-frame-errors", "0.5"),
        ("--ablation", "no_cab"), ("--parts", "no"), ("--out", "/dev/null"), ("extra",),
    )  # fmt: skip
    for flags in sets:
        judge(pretrain, *place.command(pretrain), *flags)
    for flag, text in (("--samples", "1"), ("--seed", "-1"), ("--samples", str(256 * 10**14))):
        judge("training.au_network", *place.command("training.au_network"), flag, text)
    train = "main_train_for_parameter_tuning"
    for share in ("0", "-1", "1.5", "nan"):
        judge(train, *place.command(train), "--subject-share", share)
    sets = (
        ("--name", ""), ("--name", "a/b"), ("--name", ".."), ("--name", "casme2"),
        ("--name", "x" * 300), ("--classes", "a"), ("--classes", "a", "a"),
        ("--classes", ""),
        ("--frames", "no"), ("--frames", place / "own.csv"), ("--scheme", "megc2019"),
        ("--sheet", place / "inputs"), ("--corrections", "no"),
    )  # fmt: skip
    for flags in sets:
        judge("build_inputs", *place.own_table, "--out", place / "new", *flags)


CARDS: dict[str, tuple[Any, ...]] = {
    "figure": (7, "x", [1], {"full": 7}, {"full": {"accuracy": "x", "uf1": 1}}, {"protocol": 1}),
    "clips": (7, None, ["a"], {"casme2": "x"}),
    "notes": (7, "x", [{"a": 1}]),
    "note": ([1], {"a": 1}),
}
FIGURE = {"protocol": "x", "full": {"accuracy": 0.5, "uf1": 0.5, "uar": 0.5}}


def test_weights_of_all_clips(judge: Judge, place: Place) -> None:
    """What app.py, predict_video.py and fit_all read of fitted weights."""
    folder = place / "fitted"
    weights = "--weights", folder
    readers = [
        ("app", *place.command("app")),
        ("predict_video", *place.command("predict_video"), *weights),
    ]
    again = "training.fit_all", *place.inputs, "--method", "linear", "--out", folder
    for path in sorted(folder.iterdir()):
        if path.name in ("files.sha256", ".lock"):
            continue
        for what, damage in DAMAGES.items():
            judge.damaged(path, damage(path.read_bytes()), [*readers, again], what)
    card = yaml.safe_load((folder / "card.json").read_text())
    # Without the record of what was written, as a folder may be passed on.
    record = (folder / "files.sha256").read_bytes()
    (folder / "files.sha256").unlink()
    for name, values in CARDS.items():
        for value in values:
            text = yaml.safe_dump({**card, "figure": FIGURE, name: value})
            content = json.dumps(yaml.safe_load(text)).encode()
            judge.damaged(folder / "card.json", content, readers, f"{name} is {value!r}")
    (folder / "files.sha256").write_bytes(record)


def test_weights_that_methods_begin_with(judge: Judge, place: Place, tmp_path: Path) -> None:
    """Of networks that have learned from drawn motion, given as a setting."""
    shipped = Path(__file__).resolve().parent.parent / "weights"
    own = {
        "au_kernel": shipped / "au_network" / "au_network.safetensors",
        "au_rule": shipped / "au_network" / "au_network.safetensors",
        "causalnet_pretrained": shipped / "causalnet_pretrained" / "causalnet.safetensors",
        "causalnet_spatial": shipped / "causalnet_spatial" / "cab" / "causalnet.safetensors",
    }
    path = tmp_path / "own.safetensors"
    for method, good in own.items():
        epochs = ("--epochs", 1) if method == "causalnet_pretrained" else ()
        start = (*place.inputs, "--method", method, *epochs, "--results", place / "new", "--set")
        train = "main_train_for_parameter_tuning"
        for what, damage in DAMAGES.items():
            # Nothing says what a user's own file held before; zeros are weights.
            if what != "one bit":
                path.write_bytes(damage(good.read_bytes()))
                judge(train, *start, f"weights={path}", what=f"{method}: {what}")
        for what, content in weights_contents(load_file(good)):
            path.write_bytes(content)
            judge(train, *start, f"weights={path}", what=f"{method}: {what}")
        for name in ("no", tmp_path, "/dev/null", "7", "[1]", "true", "''x"):
            judge(train, *start, f"weights={name}")


WRITERS: dict[str, tuple[str, ...]] = {
    "build_inputs": ("--out",),
    "compare_results": ("--latex", "--markdown", "--table"),
    "eval": ("--results",),
    "main_train_for_parameter_tuning": ("--results", "--weights"),
    "make_report": ("--out",),
    "make_synthetic": ("--out",),
    "measure_robustness": ("--results",),
    "predict_video": ("--out",),
    "training.au_network": ("--out",),
    "training.fit_all": ("--out", "--results"),
    "training.pretrain_on_motion": ("--out",),
}


def test_places_that_cannot_be_written_to(judge: Judge, place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    names = (
        *(tmp_path / "file", tmp_path / "file" / "below", tmp_path / "pipe", "/proc/none/x"),
        *(tmp_path / "round" / "x", tmp_path / ("x" * 300), f"{tmp_path}/\ufffd/" + "y" * 300),
        *("/dev/null", "/dev/full", "/proc/self/mem", "/sys/x", f"{tmp_path}/" + "z/" * 3000),
    )
    before = state(tmp_path)
    for script, flags in WRITERS.items():
        for flag in flags:
            more = ("--save-weights",) if flag == "--weights" else ()
            for name in names:
                if flag == "--table":
                    name = f"{name}/x.md"
                judge(script, *place.command(script), *more, flag, name)
    for name in (tmp_path / "link", place / "inputs", "/dev/stdout"):
        judge("compare_results", *place.command("compare_results"), "--markdown", name)
    assert state(tmp_path) == before


def test_the_corpus_is_large() -> None:
    """The other tests have more; this counts what is there without running it."""
    flags = sum(1 for _ in number_flags())
    files = len(SCRIPTS) * len(SETTINGS_FILES) + 20 * len(DAMAGES)
    places = 13 * sum(map(len, WRITERS.values()))
    tables = sum(len(t) for c in (CELLS, PREDICTION_CELLS, COUNT_CELLS) for t in c.values())
    others = sum(1 for _ in method_texts()) + len(ACC_FILES) + sum(map(len, DESCRIPTIONS.values()))
    assert flags + files + places + tables + others >= 600
