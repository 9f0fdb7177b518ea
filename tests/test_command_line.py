"""What cannot be meant is refused where it is read: one line, exit code 2, whatever the script."""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import main_train_for_parameter_tuning as grid_script
from common.bounds import check_bounds
from common.errors import UserError, run_script
from common.version import VERSION
from common.yaml_files import parse_yaml, read_yaml
from models import load_method
from tests.helpers.scripts import ROOT, run_here
from training.run_settings import grid_configurations
from training.settings import RunSettings

SCRIPTS = sorted(
    path.stem for path in ROOT.glob("*.py") if "run_script(main)" in path.read_text("utf-8")
)
ZEROS = "9" + "0" * 400
ALIASES = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
)


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> str:
    assert run_here(monkeypatch, grid_script.main, *arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and len(error) <= 301 and error.startswith("error: ")
    return error


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_its_version_and_refuses_an_unknown_flag_in_one_line(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = importlib.import_module(script).main
    assert run_here(monkeypatch, main, "--version") == 0
    assert capsys.readouterr().out == f"{VERSION}\n"
    assert run_here(monkeypatch, main, "--not-a-flag", "3") == 2
    error = capsys.readouterr().err
    assert ("--not-a-flag" in error or "Missing" in error) and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--epochs", ZEROS), "--epochs: '900000000000000000000000000000…' is not a whole number"),
        ((f"--epochs={ZEROS}",), "--epochs: "),
        (("--epochs", "1.5"), "--epochs: '1.5' is not a whole number"),
        (("--epochs", "true"), "--epochs: 'true' is not a whole number"),
        (("--seed", "\u0663"), "--seed: '\u0663' is not a whole number"),
        (("--seed", "1_000"), "--seed: '1_000'"),
        (("--gammas", "0.1,0.3"), "--gammas: '0.1,0.3' is not a number: separate values by blanks"),
        (("--gammas", "0.1", "x"), "--gammas: 'x' is not a number"),
        (("--learning-rate", "1" * 500), "--learning-rate: "),
        (("--threads", "10000"), "--threads 10000: give a whole number from 1 to 256"),
        (("--threads", "0"), "--threads 0"),
        (("--workers", "-1"), "--workers -1"),
        (("--scale", "1e308"), "--scale 1e+308"),
        (("--precision", "half"), "invalid choice 'half' for argument '--precision'"),
        # tyro before 1.0.14 has brackets around the name.
        (("--method",), "--method'"),
        (("--results", "a\x1bb"), "not printable"),
        (("--results", "x" * 5000), "has 5000 characters"),
        (("--results", os.fsdecode(b"na\xffme")), "is not UTF-8"),
    ],
)
def test_a_flag_beyond_sense_is_named(
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert words in refusal(monkeypatch, capsys, "--method", "linear", *arguments)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epochs: true", "epochs is True"),
        ("epochs: '3'", "epochs is '3'"),
        ("epochs: \u0663", "epochs is"),
        (f"epochs: {ZEROS}", "epochs"),
        (f"epochs: {'9' * 5000}", "cannot be read"),
        ("threads: 10000", "--threads 10000"),
        ("gammas: [0.1, [0.3]]", "gammas"),
        ("method: 3", "method is 3"),
        ('results: "a\\0b"', "not printable"),
        ("epochs: [", "cannot be read"),
        ("a: 1\n b: 2\n", "cannot be read"),
        ("[" * 3000, "cannot be read"),
        ("[" * 40 + "]" * 40, "deeper than"),
        (ALIASES, "multiplies itself"),
        ("a: &a [*a]", "multiplies itself"),
        ("!!python/object/apply:os.system [ls]", "cannot be read"),
        ("- 1", "not a YAML mapping"),
        ("3: 4", "unknown setting 3"),
    ],
)
def test_a_settings_file_beyond_sense_is_refused(
    content: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content, encoding="utf-8")
    error = refusal(monkeypatch, capsys, "--method", "linear", "--config", file)
    assert words in error


def test_a_pipe_in_place_of_a_settings_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        read_yaml(tmp_path / "pipe")


def test_plain_yaml_with_aliases_is_read() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "a/b.csv"), "a/b.csv cannot be read or written"),
        (OSError(28, "No space left on device", "c.csv"), "c.csv cannot be read or written: No sp"),
        (OSError(36, "File name too long", "d" * 5000), "File name too long"),
        (IsADirectoryError(21, "Is a directory", b"e"), "e cannot be read or written"),
        (OSError("no words"), "no words"),
        (MemoryError("Unable to allocate 9 TiB"), "not enough memory"),
        (UserError("two\nlines\tand " + "many words " * 100 + "the end."), "the end."),
    ],
)
def test_any_error_of_the_system_becomes_one_line(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        run_script(main)
    line = capsys.readouterr().err
    assert end.value.code == 2 and line.count("\n") == 1 and len(line) <= 301 and words in line


def test_a_reader_that_leaves_ends_a_script_without_a_word() -> None:
    code = (
        "from common.errors import run_script\n"
        "run_script(lambda: [print('x' * 1000, flush=True) for _ in range(1000)])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141
    process.stderr.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "merges mappings"),
        ("seed: 1" + ":1" * 100_000, "a number in it has 200001 characters"),
        ("seed: 0x" + "f" * 5000, "a number in it has 5002 characters"),
        ("seed: 1\na: 2\nseed: 3", "it gives 'seed' twice"),
        ('{"a": {"b": 1, "c": [{"b": 1}], "b": 2}}', "it gives 'b' twice"),
    ],
)
def test_yaml_that_takes_long_or_loses_a_value_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)


def test_equal_keys_of_different_mappings_are_no_doubles() -> None:
    assert parse_yaml("a: {b: 1}\nc: [{b: 1}, {b: 1}]\nd: b") == {
        "a": {"b": 1}, "c": [{"b": 1}, {"b": 1}], "d": "b"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"set": ("gamma=0.3", "gamma=0.4")}, "gamma is given twice"),
        ({"set": ("gamma=0.3",), "gammas": (0.4,)}, "given by --set and by a flag"),
        ({"set": ("ablation=none",), "ablation": "no_cab"}, "given by --set and by a flag"),
        (dict.fromkeys(("layer1", "layer2", "layer3"), range(1, 1000)), "more than 10000 config"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    given: dict[str, Any], reason: str
) -> None:
    settings = RunSettings(method="causalnet_compact", **given)
    with pytest.raises(UserError, match=reason):
        grid_configurations(settings, load_method("causalnet_compact"))


@pytest.mark.parametrize("seed", [10**18, -(10**18)])
def test_a_whole_number_without_bounds_of_its_own_has_18_digits(seed: int) -> None:
    with pytest.raises(UserError, match=r"--seed -?1000000000000000000: give a whole number from"):
        check_bounds(RunSettings(seed=seed))


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="leads to itself"):
        check_bounds(RunSettings(init_weights=tmp_path / "loop" / "x"))


def test_output_that_cannot_be_written_or_printed_is_no_traceback() -> None:
    code = (
        "from common.errors import run_script\n"
        "def main():\n"
        "    print('\u2026' * 9)\n"
        "run_script(main)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = f"exec {sys.executable} -c {shlex.quote(code)}"
    for redirected, expected in ((">&-", 0), ("> /dev/full", 2), ("> /dev/null", 0)):
        done = subprocess.run(
            f"{command} {redirected}", shell=True, cwd=ROOT, env=environment,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == expected and "Traceback" not in done.stderr, done.stderr
        assert "Exception ignored" not in done.stderr


def test_help_is_written_on_a_terminal_of_one_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    assert run_here(monkeypatch, grid_script.main, "--help") == 0
    assert "--learning-rate" in capsys.readouterr().out
    assert os.environ["COLUMNS"] == "1"
