"""What one system's files give another: refused in one line, and nothing computed is lost."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save

import calculate_all_results
import compare_results
import eval as eval_script
import main_train_for_parameter_tuning as training_script
from common.owned_folder import RECORD_NAME
from datasets import read_inputs
from datasets.arrays import PHASES, flow_path, frames_path, write_arrays, write_frames
from models import create_model
from models.pretrained import CLIPS_NAME
from tests.helpers.scripts import folder_bytes, run_main
from training.weights_folder import write_weights

SUBJECT = "sub01"


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs with flow and frames, a finished run with its weights, and other systems' weights."""
    place = tmp_path_factory.mktemp("systems")
    inputs = shutil.copytree(tiny_folder, place / "inputs")
    for stem in read_inputs(inputs).clips["stem"]:
        flow = np.zeros((32, 32, 2), np.float16)
        write_arrays(flow_path(inputs, stem), dict.fromkeys(PHASES, flow))
        write_frames(frames_path(inputs, stem), np.zeros((9, 32, 32, 3), np.uint8))
    flags = ["--inputs", inputs, "--method", "ststnet", "--epochs", "2", "--results", place / "run"]
    flags += ["--save-weights", "--weights", place / "weights", "--workers", "1"]
    run_main(training_script.main, list(map(str, flags)))
    for name, network in (
        ("off_tanet", create_model("off_tanet")),
        ("htnet", create_model("htnet", dim=32, block_repeats=(1, 1, 1))),
    ):
        content = save(network.state_dict())
        write_weights(place / name, SUBJECT, content, ["casme2/sub02"], None)
        shutil.copy(place / "weights" / "run-ststnet" / CLIPS_NAME, place / name)
    five = shutil.copytree(inputs, place / "five")
    names = ", ".join(f"class{number}" for number in range(5))
    (five / "inputs.yaml").write_text(f"casme2: {{classes: [{names}]}}\n")
    frames_path(five, f"{SUBJECT}_{SUBJECT}_ep1").unlink()
    return place


def refused(script: object, *flags: object) -> str:
    line = run_main(script.main, list(map(str, flags)), refused=True)  # type: ignore[attr-defined]
    assert line.count("\n") == 1 and line.startswith("error: ")
    return line


def test_weights_of_another_system_are_refused_and_the_others_are_evaluated(
    place: Path, tmp_path: Path
) -> None:
    line = refused(
        eval_script, "--inputs", place / "inputs", "--weights", place / "off_tanet",
        "--results", tmp_path / "none",
    )  # fmt: skip
    assert "the weights are not CausalNet's but Off-TANet's" in line
    weights = shutil.copytree(place / "weights" / "run-ststnet", tmp_path / "mixed")
    shutil.copy(place / "off_tanet" / f"{SUBJECT}.safetensors", weights)
    for name in (f"{SUBJECT}.json", RECORD_NAME):
        (weights / name).unlink()
    flags = ("--inputs", place / "inputs", "--weights", weights, "--results", tmp_path / "eval")
    assert f"{SUBJECT}.safetensors holds weights of Off-TANet" in refused(eval_script, *flags)
    assert "s01," in (tmp_path / "eval" / "predictions.csv").read_text()


@pytest.mark.parametrize(
    ("inputs", "flags", "reason"),
    [
        ("inputs", "--method off_tanet --init-weights weights/run-ststnet", "does not fit the mo"),
        ("inputs", "--method ststnet --init-weights off_tanet", "holds weights of Off-TANet"),
        (
            "five",
            "--method htnet --set dim=32 block_repeats=[1,1,1] --init-weights htnet",
            "tells 3 classes apart, but 5 are asked for",
        ),
        ("five", "--method mmnet", "holds no frames of 1 of 15 clips: sub01_sub01_ep1"),
        ("maps", "--method mmnet", "holds no frames of casme2, samm, smic"),
        ("maps", "--method srmcl", "holds no flow of casme2, samm, smic"),
        ("inputs", "--method off_tanet --set variant=nosuch", "variant 'nosuch' is unknown"),
    ],
)
def test_a_training_that_cannot_be_is_refused_before_it_writes(
    inputs: str,
    flags: str,
    reason: str,
    place: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(place)
    before = folder_bytes(place)
    folder = tiny_folder if inputs == "maps" else inputs
    known = ("--inputs", folder, "--results", "new", "--epochs", 1, "--subjects", SUBJECT)
    assert reason in refused(training_script, *known, *flags.split())
    assert folder_bytes(place) == before


def test_an_unknown_rule_is_refused_with_those_that_exist(place: Path) -> None:
    run = place / "run" / "ststnet"
    before = folder_bytes(place)
    assert "no such epoch rule. There are: last" in refused(compare_results, run, "--rules", "x")
    assert "needs. Give a configuration" in refused(
        calculate_all_results, run / "oracle", "--published"
    )
    assert folder_bytes(place) == before
