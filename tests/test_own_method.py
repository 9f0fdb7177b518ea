"""A user's own method file: trained, saved, evaluated, compared; and what is wrong with it
said in one line."""

import math
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import compare_results
import eval as eval_script
import main_train_for_parameter_tuning as grid_script
from common.errors import UserError
from datasets import Inputs
from models import load_method
from models.method import user_code
from tests.helpers.scripts import ROOT, folder_bytes, run_here
from training import leave_one_subject_out
from training.configuration import configurations, read_training
from training.run_settings import grid_configurations
from training.settings import RunSettings

EXAMPLES = ROOT / "docs" / "examples"
HEADER = "from torch import nn\nimport torch\n"
SHORT = 'training = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-3}\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder outside the repository with the two example files."""
    for name in ("my_cnn.py", "my_svc.py"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    return tmp_path


def train(
    monkeypatch: pytest.MonkeyPatch, inputs: Path, method: Path, results: Path, *more: object
) -> object:
    arguments = ("--inputs", inputs, "--method", method, "--results", results, *more)
    return run_here(monkeypatch, grid_script.main, *arguments)


@pytest.mark.parametrize("name", ["my_cnn", "my_svc"])
def test_an_own_method_is_trained_saved_evaluated_to_the_last_bit_and_compared(
    name: str,
    own: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    epochs = ("--epochs", 2) if name == "my_cnn" else ()
    kept = ("--save-weights", "--weights", own / "weights", "--workers", 1)
    results = own / "results"
    assert train(monkeypatch, tiny_folder, own / f"{name}.py", results, *epochs, *kept) == 0
    # The original may change or go: the copies are what was run.
    (own / f"{name}.py").unlink()
    weights = own / "weights" / f"results-{name}"
    arguments = ("--inputs", tiny_folder, "--weights", weights, "--results", own / "evaluated")
    capsys.readouterr()
    assert run_here(monkeypatch, eval_script.main, *arguments) == 0
    assert f"runs the method file {weights / name}.py" in capsys.readouterr().out
    trained = results / name / "predictions.csv"
    assert (own / "evaluated" / "predictions.csv").read_bytes() == trained.read_bytes()
    assert train(monkeypatch, tiny_folder, Path("majority"), own / "majority") == 0
    compared = (own / "majority" / "majority", results / name)
    assert run_here(monkeypatch, compare_results.main, *compared) == 0


def test_a_network_with_batch_norm_is_the_same_alone_and_in_a_run_with_groups(
    own: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for size in (1, 4):
        more = ("--epochs", 2, "--group-size", size, "--workers", 1)
        assert train(monkeypatch, tiny_folder, own / "my_cnn.py", own / f"by{size}", *more) == 0
    printed = capsys.readouterr().out
    assert (
        "folds are trained one at a time, since training changes its buffer 2.running_mean"
        in printed
    )
    folders = [own / f"by{size}" / "my_cnn" for size in (1, 4)]
    assert folder_bytes(folders[0]) == folder_bytes(folders[1])


def test_running_statistics_are_those_of_the_training_clips(
    own: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ("--save-weights", "--weights", own / "weights", "--workers", 1)
    more = ("--epochs", 3, "--batch-size", 6, *kept)
    assert train(monkeypatch, tiny_folder, own / "my_cnn.py", own / "results", *more) == 0
    state = load_file(own / "weights" / "results-my_cnn" / "s01.safetensors")
    # Eleven training clips in batches of six, three epochs; no test clip was counted.
    assert state["2.num_batches_tracked"] == 6


def test_an_edited_file_is_another_run(
    own: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(monkeypatch, tiny_folder, own / "my_svc.py", own / "results") == 0
    file = own / "my_svc.py"
    file.write_text(file.read_text().replace("SVC(", "SVC(C=2.0, "))
    assert train(monkeypatch, tiny_folder, file, own / "results") == 2
    assert "method_sha256 is" in capsys.readouterr().err


def test_from_python_the_rows_come_as_a_table(own: Path, tiny_inputs: Inputs) -> None:
    rows = leave_one_subject_out(own / "my_svc.py", tiny_inputs, seed=1, workers=1)
    again = leave_one_subject_out(str(own / "my_svc.py"), tiny_inputs.folder, seed=1, workers=1)
    pd.testing.assert_frame_equal(rows, again)
    assert len(rows) == 15 and {"dataset", "subject", "clip", "true", "predicted"} <= set(rows)
    with pytest.raises(UserError, match="grid of 36 configurations"):
        leave_one_subject_out("causalnet", tiny_inputs)


def test_hooks_of_a_file_are_used(tmp_path: Path, tiny_inputs: Inputs) -> None:
    file = tmp_path / "hooked.py"
    file.write_text(
        HEADER
        + SHORT
        + "calls = []\n"
        + "def build(classes):\n"
        + "    return nn.Sequential(nn.Flatten(), nn.Linear(9408, classes))\n"
        + "def loss(logits, labels):\n"
        + "    calls.append('loss')\n"
        + "    return nn.functional.cross_entropy(logits, labels)\n"
        + "def optimizer(parameters):\n"
        + "    calls.append('optimizer')\n"
        + "    return torch.optim.SGD(parameters, lr=1e-9)\n"
        + "def augment(clips, generator):\n"
        + "    calls.append('augment')\n"
        + "    return clips + torch.randn(clips.shape, generator=generator)\n"
    )
    rows = leave_one_subject_out(file, tiny_inputs, workers=1)
    assert len(rows) == 15
    assert set(load_method(file).module.calls) == {"loss", "optimizer", "augment"}


BROKEN = {
    "def build(classes:\n": "is not Python (SyntaxError",
    "import no_such_package\n": "cannot be imported (ModuleNotFoundError: No module named 'no_such",
    SHORT: "has no function build(classes). Add one.",
    "def build(classes):\n    return 7\n": "build returned int. Return a torch.nn.Module or",
    "def build(classes):\n    raise KeyError('x')\n": "=3) failed (KeyError: 'x', line 2)",
    HEADER
    + "def build(classes):\n    return nn.Linear(3, classes)\n": "says nothing about its train",
    HEADER + SHORT + "def build(classes):\n    return nn.Linear(3, classes)\n": (
        "the network fails on clips of shape [2, 4, 3, 28, 28] (RuntimeError"
    ),
    HEADER
    + SHORT
    + "def build(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(9408, 5))\n": (
        "logits of shape [2, 5] for 2 clips of 3 classes; [2, 3] is needed"
    ),
    "training = {'epochs': 1, 'batch': 2}\ndef build(classes):\n    return 1\n": (
        "training, batch_size: Field required"
    ),
    "n = 3\ntraining = {'epochs': n}\ndef build(classes):\n    return 1\n": (
        "`training` must be written out as plain values"
    ),
    "input = 'sound'\nfrom sklearn.svm import SVC\ndef build():\n    return SVC()\n": (
        "input is 'sound'"
    ),
    "input = 'frames'\nfrom sklearn.svm import SVC\ndef build():\n    return SVC()\n": "frames",
    "preparation = {'blur': 3}\nfrom sklearn.svm import SVC\ndef build():\n    return SVC()\n": (
        "preparation has no step blur"
    ),
    "class E:\n    def fit(self, X, y):\n        raise ValueError('no')\n"
    "    def predict(self, X):\n        return X\ndef build():\n    return E()\n": (
        "fit failed (ValueError: no, line 3)"
    ),
}


SAID = {
    "import sys\nsys.exit(0)": "(SystemExit: 0, line 2)",
    "class E(BaseException): pass\nraise E('no')": "(E: no, line 2)",
    "class E(Exception):\n    def __str__(self): return 1 / 0\nraise E": "(E, line 3)",
    "def f(): f()\nf()": "(RecursionError: maximum recursion depth exceeded, line 1)",
}


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_whatever_a_file_raises_is_said_with_its_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(UserError, match="cannot be imported") as caught:
        load_method(file).module  # noqa: B018 - running the file is what is tried
    assert SAID[text] in str(caught.value)


def test_ctrl_c_and_a_lack_of_memory_are_no_faults_of_the_file() -> None:
    class OutOfMemoryError(Exception):
        """As torch calls it."""

    for kind in (KeyboardInterrupt, MemoryError, OutOfMemoryError):
        with pytest.raises(kind), user_code("own.py", "build failed"):
            raise kind


@pytest.mark.parametrize(
    "text",
    ["phases = 0", "group_size = 0", f"group_size = {10**30}", "training_by_classes = {'3': {}}"],
)
def test_a_literal_out_of_its_range_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(text)
    with pytest.raises(UserError, match=text.split()[0]):
        load_method(file)


@pytest.mark.parametrize("name", ["", ".", "..", "../../x", "a/b", "a\nb", "x" * 201])
def test_the_name_of_a_configuration_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"def build(): pass\ndef name_configuration(settings): return {name!r}, 'x'\n")
    with pytest.raises(UserError, match=r"name|printable"):
        configurations(load_method(file), {}, {})


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", {1}, date(2020, 1, 1), [math.nan]])
def test_a_setting_that_no_record_can_hold_is_refused(value: object, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def build(size=1): pass\n")
    with pytest.raises(UserError, match="finite number"):
        configurations(load_method(file), {"size": value}, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": True},
        {"learning_rate": "0.1"},
        {"decay": -1.0},
        {"step_factor": math.inf},
        {"decay_epochs": -1},
        {"class_weights": 1},
    ],
)
def test_training_settings_are_of_their_own_types(wrong: dict[str, object]) -> None:
    good = {"epochs": 1, "batch_size": 2, "learning_rate": 0.1}
    with pytest.raises(UserError, match=next(iter(wrong))):
        read_training({**good, **wrong}, "own.py")


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_ends_in_one_line_and_leaves_nothing_behind(
    text: str,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert train(monkeypatch, tiny_folder, file, tmp_path / "results") == 2
    error = capsys.readouterr().err
    assert BROKEN[text] in error and error.count("\n") == 1 and len(error) < 320
    left = [path.name for path in (tmp_path / "results").rglob("*") if path.name != ".lock"]
    assert left == []


def test_a_method_that_needs_both_phases_says_so_on_maps_of_one(
    tiny_inputs: Inputs, tmp_path: Path
) -> None:
    first = Inputs(tiny_inputs.maps[:, :1], tiny_inputs.clips, tmp_path, False)
    rows = leave_one_subject_out("linear", first, workers=1)
    whole = leave_one_subject_out("linear", tiny_inputs, workers=1)
    scores = [name for name in rows if name.startswith("score_")]
    np.testing.assert_array_equal(rows[scores], whole[scores])
    with pytest.raises(UserError, match="causalnet_compact looks at both phases"):
        leave_one_subject_out("causalnet_compact", first)


DECLARES = """from torch import nn
training = {"epochs": 1, "batch_size": 9, "learning_rate": 0.001}
def build(classes=3, start: str = "", widths: list[int] = (), deep: bool = False, free=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 3 * 28 * 28, classes))
"""


@pytest.mark.parametrize("good", ["start='no'", "widths=[1, 2]", "deep=true", "free=no", "free=x"])
def test_a_setting_of_the_declared_type_is_taken(tmp_path: Path, good: str) -> None:
    (tmp_path / "net.py").write_text(DECLARES)
    method = load_method(tmp_path / "net.py")
    assert len(grid_configurations(RunSettings(set=(good,)), method)) == 1


@pytest.mark.parametrize("bad", ["start=no", "start=7", "widths=3", "widths=[x]", "deep=1"])
def test_a_setting_of_another_type_is_refused(tmp_path: Path, bad: str) -> None:
    """``no`` is a truth value in YAML: without a word, the default would be taken."""
    (tmp_path / "net.py").write_text(DECLARES)
    with pytest.raises(UserError, match="takes another type"):
        grid_configurations(RunSettings(set=(bad,)), load_method(tmp_path / "net.py"))
