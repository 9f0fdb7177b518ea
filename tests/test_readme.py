"""The README: its scripts, flags, files and make targets exist, and its three jobs run."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import common.command_line
from tests.helpers.scripts import ROOT, run_here

README = (ROOT / "README.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
BLOCKS, MORE = (re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL) for page in (README, METHODS))
LINES = [line for block in (*BLOCKS, *MORE) for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("python ")]


class Parsed(Exception):
    """Raised in place of running a script whose settings were accepted."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accepted(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script, *arguments = shlex.split(command, comments=True)[1:]
    module = importlib.import_module(Path(script).stem)
    tyro_cli = common.command_line.tyro.cli

    def parse_only(*positional: object, **named: object) -> object:
        tyro_cli(*positional, **named)  # type: ignore[call-overload]
        raise Parsed

    monkeypatch.setattr("tyro.cli", parse_only)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(Parsed):
        module.main()


def test_every_linked_file_exists() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_make_targets_that_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {
        line.split()[1] for block in BLOCKS for line in block.splitlines() if line[:5] == "make "
    }
    assert {"demo", "test"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []


def test_the_three_jobs_run_one_after_the_other(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    section = README.split("## The three jobs")[1].split("## Honest figures")[0]
    commands = [line for line in section.splitlines() if line.startswith("python ")]
    scripts = [shlex.split(command)[1] for command in commands]
    assert scripts[:3] == [
        "main_train_for_parameter_tuning.py",
        "eval.py",
        "calculate_all_results.py",
    ]
    for command in commands:
        script, *arguments = shlex.split(command)[1:]
        arguments = [str(tiny_folder) if word == "demo/inputs" else word for word in arguments]
        if script == "main_train_for_parameter_tuning.py":
            arguments += ["--epochs", "1", "--threads", "1"]
        module = importlib.import_module(Path(script).stem)
        assert run_here(monkeypatch, module.main, *arguments) == 0, capsys.readouterr().err
    assert (tmp_path / "results/one/ststnet/CausalNet_SMIC.xlsx").is_file()
    assert (tmp_path / "results_eval/predictions.csv").is_file()


PAGE = (ROOT / "docs" / "your_own_method.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["my_cnn.py", "my_svc.py"])
def test_the_page_on_own_methods_shows_the_example_files(name: str) -> None:
    assert f"```python\n{(ROOT / 'docs' / 'examples' / name).read_text()}```" in PAGE


def test_the_page_on_own_methods_runs(
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    block = re.search(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    assert block is not None
    for command in block[1].splitlines():
        script, *arguments = shlex.split(command)[1:]
        arguments = [str(tiny_folder) if word == "demo/inputs" else word for word in arguments]
        arguments += ["--epochs", "1"] if "docs/examples/my_cnn.py" in arguments else []
        module = importlib.import_module(Path(script).stem)
        assert run_here(monkeypatch, module.main, *arguments) == 0, capsys.readouterr().err
    trained, again = (
        tmp_path / "results" / place / "predictions.csv"
        for place in ("my_cnn/my_cnn", "my_cnn_again")
    )
    assert trained.read_bytes() == again.read_bytes()


def test_the_notebook_runs(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(ROOT / "docs" / "own_method.ipynb", as_version=4)
    monkeypatch.setenv("NOTEBOOK_INPUTS", str(tiny_folder))
    resources = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    assert "text/html" in notebook.cells[2].outputs[-1]["data"]
