"""The rooms: which package may import which, and that scripts only wire packages together."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT

MAY_IMPORT = {
    "common": {"common"},
    "evaluation": {"evaluation", "common"},
    "models": {"models", "common"},
    "datasets": {"datasets", "common"},
    "training": {"training", "models", "datasets", "evaluation", "common"},
    "benchmarks": {"benchmarks", "training", "models", "datasets", "evaluation", "common"},
}
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
LIGHT = (
    "main_train_for_parameter_tuning",
    "calculate_all_results",
    "calculate_all_results_SMIC",
    "compare_results",
    "make_report",
)


def imported(path: Path) -> set[str]:
    """First names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    own = {*MAY_IMPORT, *SCRIPTS, "tests"}
    for path in (ROOT / room).rglob("*.py"):
        assert imported(path) & own <= MAY_IMPORT[room], path


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_script_imports_no_script_and_says_what_it_is_for(script: str) -> None:
    path = ROOT / f"{script}.py"
    assert not imported(path) & (SCRIPTS | {"tests", "benchmarks"})
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert f"python {script}.py" in docstring


@pytest.mark.parametrize("script", LIGHT)
def test_help_and_result_scripts_start_without_torch(script: str) -> None:
    code = f"import sys, {script}; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
