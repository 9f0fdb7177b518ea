"""Weights fitted on all clips: their folder, their bytes, who reads and who refuses them."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import eval as eval_script
from common.errors import UserError
from common.owned_folder import RECORD_NAME
from datasets import Inputs, Preparation, prepare, read_inputs
from datasets.inputs import write_maps
from models import create_model, from_pretrained, load_method
from models.pretrained import Pretrained, read_card
from tests.helpers.scripts import ROOT, folder_bytes, run_main
from training import fit_all
from training.movement_reader import SHIPPED, trust_sentence

NETWORK = """from torch import nn
training = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "shuffle": True}
def build(classes, width=4):
    layers = nn.Linear(9408, width), nn.Dropout(), nn.Linear(width, classes)
    return nn.Sequential(nn.Flatten(), *layers)
"""
PLAIN = """from sklearn.svm import SVC
phases = 1
def build():
    return SVC(kernel="linear")
"""
NESTED = """from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
phases = 1
def build():
    return make_pipeline(StandardScaler(), SVC())
"""


def fit(inputs: Path, out: Path, method: object, *more: object) -> str:
    flags = ["--inputs", inputs, "--out", out, "--method", method, *more]
    return run_main(fit_all.main, [str(flag) for flag in flags])


def scores(model: Pretrained, inputs: Inputs) -> np.ndarray:
    datasets = inputs.clips["dataset"].to_numpy(str)
    steps = Preparation(**model.preparation)
    return model(prepare(inputs.maps, steps, datasets, model.gains)[0])


@pytest.fixture(scope="module")
def fitted(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A method without choices, with the figure of its run on the card."""
    out = tmp_path_factory.mktemp("fitted") / "w"
    results = out.parent / "results"
    fit(tiny_folder, out, "au_kernel", "--results", results, "--note", "on noise")
    return out


@pytest.mark.parametrize(
    ("source", "suffix", "more"),
    [
        (NETWORK, "safetensors", ("--set", "width=3")),
        (PLAIN, "safetensors", ()),
        (NESTED, "skops", ()),
    ],
)
def test_the_same_command_gives_the_same_bytes_and_a_model_that_can_be_read(
    source: str, suffix: str, more: tuple[str, ...], tiny_folder: Path, tmp_path: Path
) -> None:
    method = tmp_path / "own.py"
    method.write_text(source)
    for name in ("a", "b"):
        printed = fit(tiny_folder, tmp_path / name, method, *more)
        assert "nothing was measured" in printed
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert (tmp_path / "a" / f"all.{suffix}").is_file()
    model, inputs = from_pretrained(tmp_path / "a"), read_inputs(tiny_folder)
    found = scores(model, inputs)
    assert found.shape == (15, 3) and np.isfinite(found).all()
    assert np.array_equal(found, scores(from_pretrained(tmp_path / "b"), inputs))
    assert model.trained_on == ("casme2/sub01", "casme2/sub02", "samm/006", "smic/s01")


def test_no_pickle_and_the_figure_of_the_run_on_the_card(fitted: Path) -> None:
    suffixes = {path.suffix for path in fitted.iterdir()}
    assert suffixes <= {".safetensors", ".json", ".csv", ".sha256", ""}
    card = read_card(fitted)
    rows = pd.read_csv(fitted.parent / "results" / "au_kernel" / "predictions.csv")
    right = (rows["true"] == rows["predicted"]).mean()
    assert card["figure"]["full"]["accuracy"] == pytest.approx(right, abs=1e-4)
    assert f"about {round(5 * right)} of 5 right" in trust_sentence("au_kernel", card)
    assert "on noise" in trust_sentence("au_kernel", card)
    assert "nobody has measured" in trust_sentence("au_kernel", {})
    assert trust_sentence("x", {"notes": ["SYNTHETIC clips"]}).startswith("SYNTHETIC clips: x: ")


def test_evaluating_on_a_training_subject_is_refused_or_marked(
    fitted: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    flags = ["--inputs", tiny_folder, "--weights", fitted, "--results", tmp_path / "r"]
    texts = [str(flag) for flag in flags]
    error = run_main(eval_script.main, texts, refused=True)
    assert "was trained on casme2/sub01" in error and "--allow-seen" in error
    printed = run_main(eval_script.main, [*texts, "--allow-seen"])
    assert "TESTED ON 4 SUBJECTS THAT THE WEIGHTS WERE TRAINED ON" in " ".join(printed.split())
    expected = (tmp_path / "r" / "expected_clips.csv").read_text(encoding="utf-8")
    assert "TRAINED ON" in expected


def test_a_new_subject_is_tested_and_the_known_ones_are_named(
    fitted: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "inputs"
    shutil.copytree(tiny_folder, folder)
    [table] = folder.glob("*.csv")
    table.write_text(table.read_text().replace("samm,006,", "samm,007,"))
    for path in (folder / table).parent.rglob("006_*"):
        path.rename(path.with_name(path.name.replace("006_", "007_", 1)))
    flags = ["--inputs", folder, "--weights", fitted, "--results", tmp_path / "r"]
    error = run_main(eval_script.main, [str(flag) for flag in flags], refused=True)
    assert "4 refused" in error, "a known subject by another name"
    inputs = read_inputs(folder)
    for row in np.flatnonzero(inputs.clips["subject"] == "007"):
        write_maps(folder, inputs.clips["stem"][row], inputs.maps[row] ^ np.uint8(1))
    error = run_main(eval_script.main, [str(flag) for flag in flags], refused=True)
    assert "3 refused" in error
    rows = pd.read_csv(tmp_path / "r" / "predictions.csv", dtype=str)
    assert set(rows["subject"]) == {"007"}


def test_changed_weights_and_several_folds_are_refused(fitted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(fitted, folder)
    for name in ("a", "b"):
        shutil.copy(folder / "all.safetensors", folder / f"{name}.safetensors")
    with pytest.raises(UserError, match="weights of 3 folds"):
        from_pretrained(folder)
    assert from_pretrained(folder, "a").trained_on is None
    with pytest.raises(UserError, match="no weights of 'c'"):
        from_pretrained(folder, "c")
    content = (folder / "all.safetensors").read_bytes()
    (folder / "all.safetensors").write_bytes(content[:-1] + b"?")
    with pytest.raises(UserError, match="changed since this suite wrote it"):
        from_pretrained(folder, "all")
    (folder / "a.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="cannot be read as a fitted estimator"):
        from_pretrained(folder, "a")
    (folder / "card.json").write_text("{")
    (folder / RECORD_NAME).unlink()
    with pytest.raises(UserError, match="cannot be read as a card"):
        read_card(folder)


def test_downloaded_weights_are_the_published_networks(tmp_path: Path, tiny_inputs: Inputs) -> None:
    network = create_model("causalnet", block_repeats=(1, 1, 2), gamma=0.4, dim=32)
    torch.save(network.state_dict(), tmp_path / "sub01.pth")
    model = from_pretrained(tmp_path)
    assert model.method.name == "causalnet" and model.trained_on is None and model.card == {}
    assert scores(model, tiny_inputs).shape == (15, 3)


def test_a_grid_and_a_protocol_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    common = ["--inputs", str(tiny_folder), "--out", str(tmp_path / "w"), "--method"]
    for flags, reason in (
        (["causalnet"], "one value of each setting"),
        (["linear", "--protocol", "single_dataset"], "leave out --inner and --protocol"),
    ):
        assert reason in run_main(fit_all.main, [*common, *flags], refused=True)
    assert not (tmp_path / "w").exists()


def test_the_shipped_card_has_the_figure_that_its_text_has() -> None:
    text, card = (SHIPPED / "README.md").read_text(encoding="utf-8"), read_card(SHIPPED)
    full = card["figure"]["full"]
    for name, value in (("UF1", "uf1"), ("UAR", "uar"), ("accuracy", "accuracy")):
        assert f"{name} {full[value]:.3f}".replace("0.", ".") in text
    assert card["note"] in text
    assert "about 4 of 5 right on new people" in trust_sentence("au_kernel", card)
    model = from_pretrained(SHIPPED)
    assert model.trained_on is not None and len(model.trained_on) == card["subjects"] == 68
    assert sum((SHIPPED / name).stat().st_size for name in ("all.safetensors",)) < 4e6
    assert json.loads((SHIPPED / "description.json").read_text())["method"] == "au_kernel"
    assert model.method.name == load_method("au_kernel").name


def test_the_command_gives_the_shipped_scores(released_folder: Path, tmp_path: Path) -> None:
    fit(released_folder, tmp_path / "w", "au_kernel")
    inputs = read_inputs(released_folder)
    again, shipped = (scores(from_pretrained(own), inputs) for own in (tmp_path / "w", SHIPPED))
    np.testing.assert_allclose(again, shipped, atol=1e-3)
    assert from_pretrained(tmp_path / "w").gains == pytest.approx(from_pretrained(SHIPPED).gains)


def test_the_snippet_of_the_page_runs() -> None:
    page = (ROOT / "docs" / "video.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet.replace('"weights/', f'"{ROOT}/weights/'), names)
    assert isinstance(names["model"], Pretrained)
