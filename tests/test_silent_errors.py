"""Nothing gives a wrong figure without a word: damaged files, names that look like nothing, weights
under another subject's name, doubled maps, results that lost their record."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save

import calculate_all_results
import compare_results
import eval as eval_script
import main_train_for_parameter_tuning as grid_script
import make_report
from common.errors import UserError
from common.files import claim_folder, write_text
from common.owned_folder import RECORD_NAME, OwnedFolder, hash_file
from datasets import Inputs, read_inputs
from datasets.inputs import TABLE_NAME, count_doubles, write_maps, write_table
from evaluation.acc_files import write_acc_file
from evaluation.predictions import read_predictions
from evaluation.report.contents import read_contents
from models import au_network
from models.causalnet import pretrained, spatial
from models.checkpoint import load_into
from models.estimator import load_estimator
from models.method import load_method
from models.plain_state import dump_state
from models.pretrained import described_folder
from tests.conftest import write_tiny_inputs
from tests.helpers.scripts import ROOT, folder_bytes, run_here
from training import fit_all
from training.run_folder import GridSearch
from training.run_settings import plan_search
from training.settings import RunSettings

NOTHINGS = ("NA", "nan", "null", "None", "N-A", "true", "1e5", "007")
NETWORK = """from torch import nn
training = {"epochs": 1, "batch_size": 9, "learning_rate": 0.001}
def build(classes=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 3 * 28 * 28, classes))
"""
Run = Callable[..., object]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script here; gives its exit code."""

    def start(script: Callable[[], None], *flags: object) -> object:
        return run_here(monkeypatch, script, *flags)

    return start


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs, a method file, a run of it with weights."""
    place = tmp_path_factory.mktemp("trained")
    (place / "inputs").mkdir()
    write_tiny_inputs(place / "inputs")
    (place / "net.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        assert run_here(patch, grid_script.main, *training(place)) == 0
    return place


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def training(place: Path, *more: object) -> tuple[object, ...]:
    weights = "--save-weights", "--weights", place / "weights", "--results", place / "run"
    return ("--inputs", place / "inputs", "--method", place / "net.py", *weights, *more)


def evaluation(place: Path, *more: object) -> tuple[object, ...]:
    weights = place / "weights" / "run-net"
    return ("--inputs", place / "inputs", "--weights", weights, "--results", place / "eval", *more)


@pytest.mark.slow
def test_thirty_random_damages_are_all_noticed(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bit each, in weights, their notes, folds, records and maps."""
    places = ("weights/run-net", "run/net/folds", "inputs/STSNet_whole_norm_u_v_os")
    files = sorted(path for name in places for path in (copy / name).iterdir())
    files = [path for path in files if path.name not in (RECORD_NAME, ".lock")]
    moments = random.Random(17)
    for path in moments.sample(files, 30):
        content = bytearray(path.read_bytes())
        content[moments.randrange(len(content))] ^= 1 << moments.randrange(8)
        own = path.read_bytes()
        path.write_bytes(content)
        codes = [run(grid_script.main, *training(copy)), run(eval_script.main, *evaluation(copy))]
        error = capsys.readouterr().err
        assert 2 in codes and path.name.partition(".")[0] in error, (path, codes, error)
        if "folds" not in str(path):
            assert codes[1] == 2, (path, error)
        path.write_bytes(own)
        shutil.rmtree(copy / "eval", ignore_errors=True)
    assert run(grid_script.main, *training(copy)) == 0
    assert run(eval_script.main, *evaluation(copy)) == 0


def test_a_flipped_bit_of_a_downloaded_map_is_noticed(tmp_path: Path) -> None:
    """Without a record: by the checksums in the file."""
    write_tiny_inputs(tmp_path)
    path = sorted(tmp_path.glob("*/*.png"))[5]
    content = path.read_bytes()
    for place in range(9, len(content) - 5, len(content) // 20):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(UserError, match=path.name.partition(" ")[0]):
            read_inputs(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1j, 1])
def test_weights_that_no_training_gives_are_refused(
    value: complex, copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "weights" / "run-net" / "sub01.safetensors"
    state = load_file(path)
    name = max(state, key=lambda own: state[own].numel())
    whole = torch.full(state[name].shape, value)
    for tensor in (whole, torch.where(torch.rand(whole.shape) > 0.99, whole, state[name])):
        path.write_bytes(save({**state, name: tensor if value != 1 else whole}))
        for record in (RECORD_NAME, "sub01.json"):
            (path.parent / record).unlink(missing_ok=True)
        assert run(eval_script.main, *evaluation(copy)) == 2
        assert "sub01.safetensors" in capsys.readouterr().err


def test_weights_under_another_name_are_refused(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy / "weights" / "run-net"
    (folder / RECORD_NAME).unlink()
    for names in (["safetensors"], ["safetensors", "json"]):
        for ending in names:
            shutil.copy(folder / f"sub02.{ending}", folder / f"sub01.{ending}")
        assert run(eval_script.main, *evaluation(copy)) == 2
        assert "sub01.safetensors" in capsys.readouterr().err
    note = json.loads((folder / "sub01.json").read_text())
    (folder / "sub01.json").write_text(json.dumps({**note, "fold": "sub01"}))
    assert run(eval_script.main, *evaluation(copy)) == 2
    assert "was trained on casme2/sub01" in capsys.readouterr().err


def test_weights_without_a_note_say_so_in_the_files(copy: Path, run: Run) -> None:
    folder = copy / "weights" / "run-net"
    for name in (RECORD_NAME, "sub01.json"):
        (folder / name).unlink()
    assert run(eval_script.main, *evaluation(copy)) == 0
    assert "NOT KNOWN whom the weights of 1" in (copy / "eval" / "expected_clips.csv").read_text()


def test_subjects_who_are_called_otherwise_are_known_by_their_maps(
    copy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = read_inputs(copy / "inputs")
    for other, names in (("swapped", {"sub01": "sub02", "sub02": "sub01"}), ("new", {"s01": "z"})):
        clips = inputs.clips.assign(subject=inputs.clips["subject"].replace(names))
        for stem, maps in zip(clips["subject"] + "_" + clips["clip"], inputs.maps, strict=True):
            write_maps(tmp_path / other, stem, maps)
        write_table(tmp_path / other, clips, synthetic=False)
    weights = "--weights", copy / "weights" / "run-net"
    flags = *weights, "--results", tmp_path / "eval"
    assert run(eval_script.main, "--inputs", tmp_path / "swapped", *flags) == 2
    error = capsys.readouterr().err
    assert "was trained on the map of casme2/sub01" in error and "clip of casme2/sub02" in error
    start = "--init-weights", copy / "weights" / "run-net", "--method", copy / "net.py"
    renamed = "--inputs", tmp_path / "swapped", "--results", tmp_path / "run"
    assert run(grid_script.main, *renamed, *start) == 2
    assert "was trained on the map" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "eval", ignore_errors=True)
    assert run(eval_script.main, "--inputs", tmp_path / "new", *flags) == 0
    assert "OTHER INPUTS" in (tmp_path / "eval" / "expected_clips.csv").read_text()


def test_doubled_maps_are_taken_by_a_flag_and_marked(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = read_inputs(copy / "inputs")
    write_maps(copy / "inputs", "s01_s01_ep1", inputs.maps[0])
    new = "--results", copy / "doubled", "--weights", copy / "other"
    assert run(grid_script.main, *training(copy), *new) == 2
    error = capsys.readouterr().err
    assert "--allow-doubles" in error and "s01/s01_ep1" in error
    assert not (copy / "doubled").exists()
    assert run(grid_script.main, *training(copy), *new, "--allow-doubles") == 0
    weights = "--weights", copy / "other" / "doubled-net"
    assert run(eval_script.main, *evaluation(copy), *weights) == 2
    assert run(eval_script.main, *evaluation(copy), *weights, "--allow-doubles") == 0
    mark = "DOUBLED MAPS: 2 clips"
    assert yaml.safe_load((copy / "doubled" / "config.yaml").read_text())["doubles"] == 2
    capsys.readouterr()
    for folder in (copy / "doubled", copy / "eval"):
        assert mark in (folder / "expected_clips.csv").read_text()
        own = folder / "net" if folder.name == "doubled" else folder
        assert run(calculate_all_results.main, own) == 0
        assert mark in capsys.readouterr().out
        assert run(compare_results.main, own, "--markdown", copy / "table.md") == 0
        assert mark in (copy / "table.md").read_text()
        assert run(make_report.main, own, "--out", copy / "page") == 0
        assert mark in (copy / "page" / "report.html").read_text()
    assert run(compare_results.main, own, "--inputs", copy / "inputs") == 2


def test_names_that_look_like_nothing_are_names(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = np.random.default_rng(3)
    clips = pd.DataFrame(
        [
            ("nan" if number < 4 else "NA", subject, clip, label % 3)
            for number, subject in enumerate(NOTHINGS)
            for label, clip in enumerate(NOTHINGS[number:] + NOTHINGS[:number][:3])
        ],
        columns=["dataset", "subject", "clip", "label"],
    )
    inputs = tmp_path / "inputs"
    for stem in clips["subject"] + "_" + clips["clip"]:
        write_maps(inputs, stem, drawn.integers(0, 256, (4, 28, 28, 3), dtype=np.uint8))
    write_table(inputs, clips, synthetic=False)
    words = ["NA", "nan", "None"]
    records = {name: {"classes": words} for name in ("nan", "NA")}
    (inputs / "inputs.yaml").write_text(yaml.safe_dump(records))
    (tmp_path / "null.py").write_text(NETWORK)
    flags = "--inputs", inputs, "--method", tmp_path / "null.py", "--save-weights"
    places = "--results", tmp_path / "NA", "--weights", tmp_path / "nan"
    for _ in range(2):
        assert run(grid_script.main, *flags, *places) == 0, capsys.readouterr().err
    weights = "--weights", tmp_path / "nan" / "NA-null", "--results", tmp_path / "None"
    assert run(eval_script.main, "--inputs", inputs, *weights) == 0, capsys.readouterr().err
    for folder in (tmp_path / "NA" / "null", tmp_path / "None"):
        rows = read_predictions(folder / "predictions.csv")
        assert len(rows) == len(clips) and set(rows["subject"]) == set(NOTHINGS)
        assert set(rows["clip"]) == set(NOTHINGS) and set(rows["dataset"]) == {"nan", "NA"}
        assert f"score_{words[0]}" in rows
        for script in (calculate_all_results.main, make_report.main):
            assert run(script, folder) == 0, capsys.readouterr().err
    both = tmp_path / "NA" / "null", tmp_path / "None"
    assert run(compare_results.main, *both, "--table", tmp_path / "t.csv") == 0 or (
        "same configuration" in capsys.readouterr().err
    )
    assert run(compare_results.main, both[0], "--table", tmp_path / "t.csv") == 0
    assert "nan" in (tmp_path / "t.csv").read_text().lower()


def test_synthetic_rows_keep_the_word_whatever_the_record_says(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record's notes do not say it, there is no record, or the rows lie elsewhere."""
    folder = copy / "run" / "net"
    path, counts = folder / "predictions.csv", copy / "run" / "expected_clips.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.assign(source="synthetic").to_csv(path, index=False)
    table = pd.read_csv(counts, dtype=str, keep_default_na=False)
    table.assign(note="protocol single_dataset").to_csv(counts, index=False)
    elsewhere = copy / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(path, elsewhere)
    for place, more in ((folder, ()), (elsewhere, ("--partial",))):
        capsys.readouterr()
        assert run(calculate_all_results.main, place, *more) == 0, capsys.readouterr().err
        assert "SYNTHETIC" in capsys.readouterr().out
        assert run(make_report.main, place, "--out", copy / "page") == 0
        assert "SYNTHETIC CLIPS" in (copy / "page" / "report.html").read_text()
    assert run(compare_results.main, folder, "--markdown", copy / "t.md") == 0
    assert "synthetic" in (copy / "t.md").read_text().lower()
    records = {"casme2": {"source": "synthetic", "classes": ["negative", "positive", "surprise"]}}
    (copy / "inputs" / "inputs.yaml").write_text(yaml.safe_dump(records))
    assert read_inputs(copy / "inputs").synthetic


def test_predictions_that_changed_since_are_marked(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy / "run" / "net"
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace("sub01_ep0", "sub01_ep9"))
    assert run(calculate_all_results.main, folder) == 0
    assert "CHANGED since it was written: predictions.csv" in capsys.readouterr().out


NAMES_A_FILE = """from pathlib import Path
from torch import nn
training = {"epochs": 1, "batch_size": 9, "learning_rate": 0.001}
def build(classes=3, start="", bias=True):
    layer = nn.Linear(4 * 3 * 28 * 28, classes, bias=bias)
    nn.init.constant_(layer.weight, float(Path(start).read_text()))
    return nn.Sequential(nn.Flatten(), layer)
"""


def test_a_changed_file_that_a_setting_names_is_another_run(
    tmp_path: Path, tiny_folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path does not tell what it holds: folds of two networks would be mixed."""
    own, file, results = tmp_path / "net.py", tmp_path / "start.txt", tmp_path / "run"
    own.write_text(NAMES_A_FILE)
    file.write_text("0.5")
    flags = "--inputs", tiny_folder, "--method", own, "--results", results, "--set"
    start = f"start={file}"
    assert run(grid_script.main, *flags, start) == 0
    [folder] = (path.parent for path in results.rglob("predictions.csv"))
    record = yaml.safe_load((results / "config.yaml").read_text())
    assert record["setting_files"] == {folder.name: {"start": hash_file(file)}}
    (first,) = set(read_predictions(folder / "predictions.csv")["configuration"])
    before = folder_bytes(results)
    next((folder / "folds").iterdir()).unlink()
    file.write_text("0.25")
    assert run(grid_script.main, *flags, start) == 2
    assert f"the file {file} (start) has changed since" in capsys.readouterr().err
    # Another configuration of the same run may name it.
    assert run(grid_script.main, *flags, start, "bias=false") == 0
    file.write_text("0.5")
    assert run(grid_script.main, *flags, start) == 0
    kept = {name: content for name, content in before.items() if name.startswith(folder.name)}
    assert kept.items() <= folder_bytes(results).items()
    file.write_text("0.25")
    assert run(grid_script.main, *flags[:-2], tmp_path / "other", "--set", start) == 0
    rows = read_predictions(next((tmp_path / "other").rglob("predictions.csv")))
    assert set(rows["configuration"]).isdisjoint({first})


@pytest.mark.parametrize("method", ["au_kernel", "au_rule", "causalnet_pretrained"])
def test_weights_that_a_method_is_given_are_known_by_their_content(
    tmp_path: Path, tiny_inputs: Inputs, method: str
) -> None:
    def search() -> GridSearch:
        settings = RunSettings(method=method, set=(f"weights={tmp_path / 'own'}",))
        return plan_search(settings, tiny_inputs, tmp_path / "run")

    hashes = set()
    for content in (b"one", b"two"):
        (tmp_path / "own").write_bytes(content)
        planned = search()
        hashes.add(planned.run.configuration_hash(planned.configurations[0]))
    assert len(hashes) == 2


def test_values_that_overflow_in_the_model_are_refused(tmp_path: Path) -> None:
    """An infinite variance makes every activation 0, and the scores are finite."""
    network = torch.nn.BatchNorm1d(4)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    huge = torch.full((4,), 1e300, dtype=torch.float64)
    with pytest.raises(UserError, match="infinite values in running_var"):
        load_into(network, {**state, "running_var": huge}, "file")
    network.register_buffer("mask", torch.tensor([0.0, float("inf")]))
    state = {**state, "mask": torch.tensor([0.0, float("inf")])}
    load_into(network, state, "file")
    with pytest.raises(UserError, match="infinite values in mask"):
        load_into(network, {**state, "mask": torch.tensor([float("inf")] * 2)}, "file")


@pytest.mark.parametrize("network", ["au_network", "causalnet_pretrained", "causalnet_spatial/cab"])
def test_a_flipped_bit_of_shipped_weights_is_noticed(network: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "weights" / network, tmp_path / "copy")
    [path] = (tmp_path / "copy").glob("*.safetensors")
    read: dict[str, Callable[[], object]] = {
        "au_network": lambda: au_network.load_weights(path),
        "causalnet_pretrained": lambda: pretrained.build(weights=str(path)),
        "causalnet_spatial/cab": lambda: spatial.read_network("cab", str(path)),
    }
    read[network]()
    content = bytearray(path.read_bytes())
    content[-1000] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match="changed since this suite wrote it"):
        read[network]()


def test_what_must_be_said_of_results_is_not_lost_with_their_record(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(eval_script.main, *evaluation(copy)) == 0
    path = copy / "eval" / "expected_clips.csv"
    own = path.read_text()
    path.write_text(own.replace(",note", ",nose", 1))
    assert run(calculate_all_results.main, copy / "eval") == 0
    assert "CHANGED since it was written: expected_clips.csv" in capsys.readouterr().out
    path.unlink()
    for main in (calculate_all_results.main, make_report.main, compare_results.main):
        assert run(main, copy / "eval") == 2
        assert "expected_clips.csv is missing" in capsys.readouterr().err


def test_what_must_be_said_of_rows_goes_with_them(
    copy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "weights" / "run-net" / "sub01.json").unlink()
    shuffled = "--results", copy / "shuffled", "--label-shuffle", 3
    assert run(grid_script.main, *training(copy), *shuffled) == 0
    assert run(eval_script.main, *evaluation(copy)) == 0
    for folder, words in ((copy / "shuffled" / "net", "SHUFFLED"), (copy / "eval", "NOT KNOWN")):
        shutil.copy(folder / "predictions.csv", tmp_path)
        capsys.readouterr()
        assert run(calculate_all_results.main, tmp_path, "--partial") == 0
        assert words in capsys.readouterr().out
    rows = read_predictions(copy / "run" / "net" / "predictions.csv")
    assert "note" not in rows


def test_an_edited_table_of_clips_is_marked_wherever_it_leads(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    table = copy / "inputs" / TABLE_NAME
    with claim_folder(copy / "inputs"):
        OwnedFolder(copy / "inputs").adopt([table])
    text = table.read_text()
    table.write_text(text.replace("sub01_ep0,0,", "sub01_ep0,1,"))
    assert table.read_text() != text
    mark = "TABLE OF CLIPS CHANGED"
    assert run(grid_script.main, *training(copy), "--results", copy / "other") == 0
    assert run(eval_script.main, *evaluation(copy), "--allow-seen") == 0
    assert "changed since this suite wrote it" in capsys.readouterr().err
    for folder in (copy / "other", copy / "eval"):
        assert mark in (folder / "expected_clips.csv").read_text()
    assert run(grid_script.main, *training(copy)) == 2


def test_a_changed_table_of_robustness_is_marked(tmp_path: Path) -> None:
    row = "a,test: annotated,,,0,0.5,0.5,recorded\n"
    with claim_folder(tmp_path):
        write_text(
            tmp_path / "robustness.csv", "model,condition,frames,level,seed,uf1,uar,source\n" + row
        )
    assert "CHANGED" not in read_contents(tmp_path).notice()
    path = tmp_path / "robustness.csv"
    path.write_text(path.read_text().replace("0.5", "0.7", 1))
    assert "CHANGED since it was written: robustness.csv" in read_contents(tmp_path).notice()


def test_weights_of_all_clips_know_them_by_their_maps_and_likely_names(
    copy: Path, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    network = "--method", copy / "net.py", "--out", copy / "all"
    assert run(fit_all.main, "--inputs", copy / "inputs", *network) == 0, capsys.readouterr().err
    inputs = read_inputs(copy / "inputs")
    names = {"sub01": "P1", "sub02": "P2", "006": "P3", "s01": "P4"}
    alike = {"sub01": "Sub1", "sub02": "sub_02", "006": "6", "s01": "S-1"}
    for folder, new, changed in (("renamed", names, 0), ("alike", alike, 1), ("new", names, 1)):
        clips = inputs.clips.assign(subject=inputs.clips["subject"].replace(new))
        for stem, maps in zip(clips["subject"] + "_" + clips["clip"], inputs.maps, strict=True):
            write_maps(tmp_path / folder, stem, maps ^ np.uint8(changed))
        write_table(tmp_path / folder, clips, synthetic=False)
    flags = "--weights", copy / "all", "--results", tmp_path / "eval"
    for folder, reason in (
        ("renamed", "trained on the map of"),
        ("alike", "was trained on casme2/"),
    ):
        assert run(eval_script.main, "--inputs", tmp_path / folder, *flags) == 2
        assert reason in capsys.readouterr().err
    shutil.rmtree(tmp_path / "eval", ignore_errors=True)
    assert run(eval_script.main, "--inputs", tmp_path / "new", *flags) == 0
    said = (tmp_path / "eval" / "expected_clips.csv").read_text()
    assert "OTHER INPUTS" in said and "NOT KNOWN" not in said
    (copy / "all" / "clips.csv").unlink()
    assert run(eval_script.main, "--inputs", tmp_path / "new", *flags) == 0
    assert (
        "NOT KNOWN whom the weights of 4" in (tmp_path / "eval" / "expected_clips.csv").read_text()
    )


def test_one_map_in_two_datasets_is_one_map_of_two_people(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = read_inputs(copy / "inputs")
    clips = inputs.clips.iloc[[0, 1]].assign(dataset=["casme2", "samm"], clip=["a", "b"])
    assert clips["subject"].nunique() == 1
    maps = inputs.maps[[0, 0]]
    with pytest.raises(UserError, match="same map for clips of two subjects"):
        count_doubles(copy, maps, clips, allow_doubles=False)
    assert count_doubles(copy, maps, clips, allow_doubles=True) == 2


def test_a_description_is_of_the_weights_beside_it(copy: Path) -> None:
    """Not of others above it; and it is found as deep as the weights are."""
    own = copy / "weights" / "run-net"
    above, deep = copy / "above", copy / "deep" / "archive" / "v1"
    shutil.copytree(own, above / "run-net")
    shutil.copy(own / "sub01.safetensors", above / "sub01.safetensors")
    shutil.copytree(own, deep)
    assert described_folder(above) == above and described_folder(copy / "deep") == deep
    assert described_folder(copy / "weights") == own


@pytest.mark.parametrize("kind", ["acc", "predictions"])
def test_a_class_beyond_those_of_the_run_or_the_inputs_is_refused(
    kind: str, copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without scores nothing else tells how many classes there are."""
    folder = copy / "run" / "net"
    (copy / "run" / RECORD_NAME).unlink()
    rows = read_predictions(folder / "predictions.csv")
    (folder / "predictions.csv").unlink()
    rows.loc[0, "predicted"] = 7
    own = rows[rows["subject"] == rows["subject"][0]]
    if kind == "acc":
        write_acc_file(folder / f"{own['fold'].iloc[0]}_acc.txt", 1, own["predicted"], own["true"])
    else:
        columns = ["dataset", "subject", "clip", "true", "predicted"]
        rows[columns].to_csv(folder / "predictions.csv", index=False)
    for more in ((), ("--inputs", copy / "inputs")):
        if more:
            elsewhere = copy / "elsewhere"
            shutil.copytree(folder, elsewhere)
            folder = elsewhere
        assert run(compare_results.main, folder, *more) == 2
        assert "class 7" in capsys.readouterr().err


def test_derived_tables_say_that_clips_are_synthetic(
    copy: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    table = copy / "inputs" / TABLE_NAME
    lines = table.read_text().splitlines()
    marked = [f"{lines[0]},source", *(f"{line},Synthetic" for line in lines[1:])]
    table.write_text("\n".join(marked) + "\n")
    assert run(grid_script.main, *training(copy), "--results", copy / "s") == 0
    own, other = copy / "s" / "net", copy / "s2"
    assert run(grid_script.main, *training(copy), "--results", other, "--seed", 5) == 0
    assert run(calculate_all_results.main, own, "--published") == 0
    assert run(make_report.main, own, other / "net", "--disagreements", "--out", copy / "d") in (
        0,
        2,
    )
    for ending in ("csv", "md", "tex"):
        assert run(compare_results.main, own, "--table", copy / f"t.{ending}") == 0
    files = [own / "published_rules.csv", *(copy / f"t.{e}" for e in ("csv", "md", "tex"))]
    files += [copy / "s" / "result_summary.txt", copy / "weights" / "s-net" / "description.json"]
    files += list((copy / "d").glob("disagreements.csv"))
    for path in files:
        assert "synthetic" in path.read_text().lower(), path


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_estimators_of_the_suite_hold_finite_numbers(value: float, tmp_path: Path) -> None:
    """With an infinite spread all scores of a class would be 0, which is finite."""
    path = tmp_path / "sub01.safetensors"
    path.write_bytes(dump_state({"median_": np.zeros(3), "spread_": np.array([1, value, 1])}))
    method = load_method("au_rule")
    with pytest.raises(UserError, match="not finite numbers"):
        load_estimator(path, method, method.build())
