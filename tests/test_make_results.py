"""`make results` compares folders that its own runs write."""

import shlex
import shutil
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from models.method import BUILT_IN, load_method
from tests.helpers.scripts import ROOT
from training.run_settings import grid_configurations
from training.settings import RunSettings

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def commands(target: str) -> list[list[str]]:
    """What a target would run, in words; its first shuffle stands for all."""
    flags = ["-n", "-o", ".venv/.installed", target, "INPUTS=x"]
    printed = subprocess.run(["make", *flags], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = printed.stdout.replace("\\\n", " ").replace("$seed", "1").splitlines()
    return [shlex.split(line) for line in lines]


def values(words: list[str], flag: str) -> list[str]:
    """What stands behind a flag, up to the next one."""
    if flag not in words:
        return []
    return list(takewhile(lambda word: word[0] != "-", words[words.index(flag) + 1 :]))


def written_by(words: list[str]) -> str:
    """The folder of the one configuration that a training command writes."""
    (method,), given = values(words, "--method"), tuple(values(words, "--set"))
    ablation = (values(words, "--ablation") or ["none"])[0]
    settings = RunSettings(method=method, set=given, ablation=ablation)  # type: ignore[arg-type]
    (configuration,) = grid_configurations(settings, load_method(method))
    return f"{values(words, '--results')[0]}/{configuration.name}"


@pytest.mark.parametrize("target", ["results", "results-parts", "results-v1"])
def test_every_folder_that_is_compared_is_written_by_a_run(target: str) -> None:
    before = commands("results") if target == "results-parts" else []
    all_words = before + commands(target)
    trained = [words for words in all_words if "main_train_for_parameter_tuning.py" in words]
    built_in = [words for words in trained if values(words, "--method")[0] in BUILT_IN]
    written = {written_by(words) for words in built_in}
    assert len(written) == len(built_in) > 5
    later = tuple(values(w, "--results")[0] for w in trained if w not in built_in)
    readers = ("compare_results.py", "make_report.py", "benchmarks.oracle_by_epochs")
    read = {
        folder
        for words in all_words
        if set(readers) & set(words)
        for word in words
        if word.startswith("results/")
        and word not in values(words, "--out") + values(words, "--table")
        for folder in word.split("+")
        if not folder.startswith(later)
    }
    assert read <= written
    if target == "results":
        assert all("-null-" in folder for folder in written - read)


@pytest.mark.parametrize(("target", "count"), [("results", 8), ("results-parts", 4)])
def test_each_network_is_trained_before_it_is_used(target: str, count: int) -> None:
    trained, used = set(), []
    for words in commands(target):
        if "training.pretrain_on_motion" in words:
            trained.add(values(words, "--out")[0])
        given = [text for text in values(words, "--set") if text.startswith("weights=")]
        used += given
        assert all(str(Path(text.removeprefix("weights=")).parent) in trained for text in given)
    assert len(used) == len(set(used)) == len(trained) == count
