"""Nothing is replaced or deleted that this suite did not write and record."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import calculate_all_results
import compare_results
import eval as eval_script
import main_train_for_parameter_tuning as grid_script
import make_report
import make_synthetic
import predict_video
from common.errors import UserError
from common.files import atomic_path, claim_folder, remove_unfinished, write_text
from common.owned_folder import ANY_MAKER, RECORD_NAME, OwnedFolder, changed_files, claimed
from datasets.synthetic.clips import list_synthetic_clips
from datasets.synthetic.raw_datasets import write_raw_datasets
from evaluation.acc_files import write_acc_file
from tests.helpers.scripts import ROOT, folder_bytes, run_here
from training import fit_all, pretrain_on_motion

GRID = "--method", "causalnet_compact", "--epochs", 2, "--gammas", 0.3, 0.5


class Search:
    """Runs the grid search on the tiny inputs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, inputs: Path) -> None:
        self.monkeypatch, self.inputs = monkeypatch, inputs

    def __call__(self, results: Path, *more: object) -> int | str | None:
        flags = more or ("--method", "majority")
        places = "--inputs", self.inputs, "--results", results
        return run_here(self.monkeypatch, grid_script.main, *places, *flags)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> Search:
    return Search(monkeypatch, tiny_folder)


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished grid with weights."""
    place = tmp_path_factory.mktemp("finished_grid")
    with pytest.MonkeyPatch.context() as monkeypatch:
        weights = "--save-weights", "--weights", place / "weights"
        assert Search(monkeypatch, tiny_folder)(place / "run", *GRID, *weights) == 0
    return place


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, lock files too."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_record_names_every_file_with_its_hash(finished: Path) -> None:
    for folder in (finished / "run", *(finished / "weights").iterdir()):
        recorded = (folder / RECORD_NAME).read_text().splitlines()
        names = [line[66:] for line in recorded]
        there = set(folder_bytes(folder)) - {RECORD_NAME}
        assert names == sorted(there)
        command = ["sha256sum", "--check", "--quiet", RECORD_NAME]
        assert subprocess.run(command, cwd=folder, check=False).returncode == 0


def test_a_finished_run_in_chosen_stays(search: Search, tmp_path: Path) -> None:
    assert search(tmp_path / "R" / "chosen") == 0
    before = everything(tmp_path / "R" / "chosen")
    assert search(tmp_path / "R", *GRID) == 2
    assert everything(tmp_path / "R") == {f"chosen/{name}": own for name, own in before.items()}
    assert search(tmp_path / "R") == 0
    assert everything(tmp_path / "R" / "chosen") == before


@pytest.mark.parametrize(
    "name",
    [
        "majority/predictions.csv",
        "majority/foreign_acc.txt",
        "majority/CausalNet.xlsx",
        "majority/folds/sub01.npz",
        "majority/oracle/foreign_acc.txt",
        "majority/config.yaml",
        "result_summary.txt",
        "expected_clips.csv",
        "log.txt",
    ],
)
def test_a_run_into_a_folder_with_other_files_is_refused_before_anything_changes(
    name: str, search: Search, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "R" / name).parent.mkdir(parents=True)
    (tmp_path / "R" / name).write_text("mine\n")
    assert search(tmp_path / "R") == 2
    error = capsys.readouterr().err
    assert name in error and error.count("\n") == 1 and len(error) <= 301
    assert everything(tmp_path / "R") == {name: b"mine\n"}


def test_files_that_are_not_in_the_way_stay(search: Search, tmp_path: Path) -> None:
    for name in ("notes.txt", "majority/notes.txt", "chosen/last/predictions.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine\n")
    assert search(tmp_path) == 0
    assert (tmp_path / "chosen/last/predictions.csv").read_text() == "mine\n"
    assert (tmp_path / "majority/notes.txt").read_text() == "mine\n"


def test_what_changed_since_is_named_on_resume(
    copy: Path, search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = "--save-weights", "--weights", copy / "weights"
    for name in (
        "run/0.3_1_1_2/folds/s01.npz",
        "weights/run-0.5_1_1_2/s01.safetensors",
        "weights/run-0.5_1_1_2/s01.json",
        "run/chosen/last/choices.csv",
    ):
        content = (copy / name).read_bytes()
        for damaged in (content[:-1], content[:50] + bytes([content[50] ^ 1]) + content[51:]):
            (copy / name).write_bytes(damaged)
            before = everything(copy)
            assert search(copy / "run", *GRID, *weights) == 2
            assert Path(name).name in capsys.readouterr().err
            assert everything(copy) == before
        (copy / name).write_bytes(content)
    assert search(copy / "run", *GRID, *weights) == 0


def test_a_run_from_before_there_were_records_is_resumed(copy: Path, search: Search) -> None:
    whole = everything(copy)
    for folder in (copy / "run", *(copy / "weights").iterdir()):
        (folder / RECORD_NAME).unlink()
    (copy / "run/0.3_1_1_2/folds/s01.npz").unlink()
    assert search(copy / "run", *GRID, "--save-weights", "--weights", copy / "weights") == 0
    found = everything(copy)
    assert {name: found[name] for name in whole if "log" not in name} == {
        name: own for name, own in whole.items() if "log" not in name
    }


@pytest.mark.parametrize(
    "flags",
    [
        ("--method", "linear", "--executor", "ray", "--ray-address", "127.0.0.1:1"),
        ("--method", "causalnet_compact", "--epochs", 50_000_000),
        ("--method", "linear", "--seed", 3),
    ],
)
def test_a_start_that_is_refused_changes_nothing(
    flags: tuple[object, ...], search: Search, copy: Path
) -> None:
    before = everything(copy)
    assert search(copy / "run", *flags) == 2
    assert everything(copy) == before
    if "--seed" not in flags:
        new = copy / "new" / "run"
        assert search(new, *flags, "--save-weights", "--weights", copy / "w") == 2
        assert everything(copy) == before and not (copy / "new").exists()


def test_an_evaluation_leaves_the_results_of_others(
    finished: Path,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.array([0])
    write_acc_file(tmp_path / "published_acc.txt", 1, labels, labels)
    before = everything(tmp_path)
    weights = finished / "weights" / "run-0.5_1_1_2"
    flags = "--inputs", tiny_folder, "--weights", weights, "--results", tmp_path
    assert run_here(monkeypatch, eval_script.main, *flags) == 2
    assert "published_acc.txt" in capsys.readouterr().err and everything(tmp_path) == before
    (tmp_path / "published_acc.txt").unlink()
    for _ in range(2):
        assert run_here(monkeypatch, eval_script.main, *flags) == 0


def test_a_calculator_replaces_only_its_own_spreadsheet(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy / "run" / "0.3_1_1_2"
    assert run_here(monkeypatch, calculate_all_results.main, folder) == 0
    before = everything(copy)
    assert run_here(monkeypatch, calculate_all_results.main, folder) == 0
    assert everything(copy) == before
    (folder / "CausalNet.xlsx").write_bytes(b"mine")
    assert run_here(monkeypatch, calculate_all_results.main, folder) == 2
    assert "CausalNet.xlsx" in capsys.readouterr().err
    assert (folder / "CausalNet.xlsx").read_bytes() == b"mine"


def test_pages_tables_and_pictures_replace_only_their_own(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"r/report.html": b"mine", "t.md": b"mine", "clip.png": b"mine", "d/README.txt": b"mine"}
    for name, content in mine.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    run, out = copy / "run" / "0.3_1_1_2", tmp_path / "out"
    picture = "--what", "picture", "--clip", "sub01/EP01_01"
    commands: list[tuple[Callable[[], None], tuple[object, ...]]] = [
        (make_report.main, (copy / "run", "--out", out / "r")),
        (compare_results.main, (run, "--markdown", out / "t.md")),
        (make_synthetic.main, (*picture, "--out", out / "clip.png")),
        (make_synthetic.main, ("--out", out / "d", "--n-subjects", 1)),
    ]
    for main, flags in commands:
        assert run_here(monkeypatch, main, *flags) == 2
    assert everything(out) == mine
    shutil.rmtree(out)
    for main, flags in commands[1:3]:
        for _ in range(2):
            assert run_here(monkeypatch, main, *flags) == 0


def test_a_folder_of_raw_datasets_with_a_file_of_ones_own_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (
        "--what", "raw", "--out", tmp_path / "raw", "--datasets", "casme2", "--n-subjects", 1,
        "--n-clips", 2, "--frame-kind", "registered",
    )  # fmt: skip
    for _ in range(2):
        assert run_here(monkeypatch, make_synthetic.main, *flags) == 0
    (tmp_path / "raw" / "casme2" / "thesis.txt").write_text("mine\n")
    before = everything(tmp_path)
    assert run_here(monkeypatch, make_synthetic.main, *flags) == 2
    assert "thesis.txt" in capsys.readouterr().err and everything(tmp_path) == before


def test_a_link_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("mine\n")
    (tmp_path / "link.txt").symlink_to("real.txt")
    with pytest.raises(UserError, match=r"link\.txt is a symbolic link"):
        write_text(tmp_path / "link.txt", "other\n")
    assert (tmp_path / "link.txt").is_symlink()


def test_a_folder_that_vanishes_ends_a_run_with_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with pytest.raises(UserError, match="was removed while"), claim_folder(folder):
        write_text(folder / "one.txt", "1\n")
        shutil.rmtree(folder)
        write_text(folder / "two.txt", "2\n")
    assert not folder.exists()
    with pytest.raises(UserError, match=r"1 files vanished .* one\.txt"), claim_folder(folder):
        write_text(folder / "one.txt", "1\n")
        (folder / "one.txt").unlink()


def test_a_kill_between_record_and_file_leaves_an_own_file(tmp_path: Path) -> None:
    with claim_folder(tmp_path):
        write_text(tmp_path / "one.txt", "1\n")
    with (tmp_path / RECORD_NAME).open("a") as file:
        file.write(f"{'0' * 64}  one.txt\n{'1' * 30}")
    assert OwnedFolder(tmp_path).is_own(tmp_path / "one.txt")
    with claim_folder(tmp_path):
        write_text(tmp_path / "one.txt", "2\n")
    assert len((tmp_path / RECORD_NAME).read_text().splitlines()) == 1
    half = (tmp_path / RECORD_NAME).read_text() + "1" * 30
    (tmp_path / RECORD_NAME).write_text(half)
    OwnedFolder(tmp_path).adopt([tmp_path / "one.txt"])
    with claimed(OwnedFolder(tmp_path)):
        write_text(tmp_path / "two.txt", "2\n")
    assert OwnedFolder(tmp_path).is_own(tmp_path / "two.txt")


def test_temporary_files_are_removed_when_their_process_is_gone(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from common.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "deep" / "x"], cwd=ROOT, check=False)
    (tmp_path / ".unfinished-thesis.txt").write_text("mine\n")
    with atomic_path(tmp_path / "y") as own:
        assert len(list(tmp_path.rglob(".unfinished-*"))) == 3
        remove_unfinished(tmp_path)
        assert own.exists() and not list((tmp_path / "deep").iterdir())
        own.write_text("whole")
    assert (tmp_path / "y").read_text() == "whole"
    assert (tmp_path / ".unfinished-thesis.txt").exists()


def test_two_runs_one_below_the_other_and_with_one_weights_folder(
    search: Search, tmp_path: Path
) -> None:
    weights = "--save-weights", "--weights", tmp_path / "weights"
    with claim_folder(tmp_path / "R" / "inner"):
        with atomic_path(tmp_path / "R" / "inner" / "x") as temporary:
            assert search(tmp_path / "R", "--method", "linear", *weights) == 0
            temporary.write_text("alive")
        assert (tmp_path / "R" / "inner" / "x").read_text() == "alive"
    with claim_folder(tmp_path / "weights" / "R-linear"):
        assert search(tmp_path / "R", "--method", "linear", *weights) == 2


@pytest.mark.parametrize("place", ["0.3_1_1_2", "0.3_1_1_2/x", "0.5_1_1_2/folds", "chosen"])
def test_a_folder_that_is_a_part_of_a_run_is_no_folder_for_another(
    place: str,
    copy: Path,
    search: Search,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = copy / "run" / place
    (tmp_path / "link").symlink_to(folder)
    before = everything(copy)
    weights = copy / "weights" / "run-0.5_1_1_2"
    flags = "--inputs", search.inputs, "--weights", weights, "--results"
    for name in (folder, tmp_path / "link")[: 2 if folder.exists() else 1]:
        assert search(name) == 2
        assert "a part of" in capsys.readouterr().err
        assert run_here(monkeypatch, eval_script.main, *flags, name) == 2
    assert everything(copy) == before


@pytest.mark.parametrize("place", ["majority", "majority/oracle", "majority/folds"])
def test_a_run_does_not_write_into_the_folder_of_another(
    place: str, search: Search, tmp_path: Path
) -> None:
    """The outer run would hide what must be said of the inner one's results, or the other way."""
    with claim_folder(tmp_path / "R" / place):
        write_text(tmp_path / "R" / place / "config.yaml", "clips: 1\n")
    before = everything(tmp_path)
    assert search(tmp_path / "R") == 2
    assert everything(tmp_path) == before


def test_an_unfinished_runs_parts_are_its_own(
    search: Search, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run starts in the folder of a configuration before its first fold is there."""
    (tmp_path / "R").mkdir()
    record = "configurations: {majority: majority}\n"
    with claim_folder(tmp_path / "R"):
        write_text(tmp_path / "R" / "config.yaml", record)
        assert search(tmp_path / "R" / "majority", "--method", "linear") == 2
    assert "is a part of the run above it" in capsys.readouterr().err
    assert not (tmp_path / "R" / "majority").exists()


def test_only_the_command_that_wrote_a_file_replaces_it(
    copy: Path,
    search: Search,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, weights = copy / "run" / "0.3_1_1_2", copy / "weights" / "run-0.3_1_1_2"
    tested = "--inputs", search.inputs, "--weights", weights, "--results", copy / "E"
    assert run_here(monkeypatch, eval_script.main, *tested) == 0
    picture = "--what", "picture", "--clip", "sub01/EP01_01", "--out"
    video = "--what", "video", "--out"
    commands: list[tuple[Callable[[], None], tuple[object, ...]]] = [
        (compare_results.main, (run, "--table", run / "predictions.csv")),
        (compare_results.main, (run, "--latex", weights / "description.json")),
        (compare_results.main, (run, "--markdown", copy / "a", "--latex", copy / "E/../a")),
        (make_synthetic.main, (*picture, run / "confusion_matrix.png")),
        (make_synthetic.main, (*video, run / "predictions.mp4")),
        (pretrain_on_motion.main, ("--samples", 0, "--out", copy / "fitted")),
        (fit_all.main, (*fitted(search, weights),)),
        (grid_script.main, ("--inputs", search.inputs, "--method", "majority", *tested[-2:])),
    ]
    (copy / "fitted").mkdir()
    with claim_folder(copy / "fitted"):
        write_text(copy / "fitted" / "card.json", "{}")
    before = everything(copy)
    for main, flags in commands:
        assert run_here(monkeypatch, main, *flags) == 2, flags
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and len(error) <= 301, error
        assert everything(copy) == before, (flags, error)
    assert run_here(monkeypatch, calculate_all_results.main, copy / "E") == 0


def fitted(search: Search, out: Path) -> tuple[object, ...]:
    network = "--method", "causalnet_compact", "--epochs", 2, "--gammas", 0.3
    return ("--inputs", search.inputs, *network, "--out", out)


def test_a_record_says_who_wrote_a_file_and_keeps_its_form(tmp_path: Path) -> None:
    for maker in ("", "one.py", "two.py --x"):
        with claim_folder(tmp_path, maker):
            write_text(tmp_path / f"{maker[:3]}.txt", "1\n")
    for maker, name in (("two.py --x", "one.txt"), ("one.py", ".txt"), ("", "two.txt")):
        with pytest.raises(UserError, match=r"would be replaced, and is of"):
            OwnedFolder(tmp_path, maker).check([tmp_path / name])
    OwnedFolder(tmp_path, ANY_MAKER).check(tmp_path.glob("*.txt"))
    with claimed(OwnedFolder(tmp_path, ANY_MAKER)):
        write_text(tmp_path / "one.txt", "2\n")
    with claim_folder(tmp_path, "one.py") as owned:
        owned.check([tmp_path / "one.txt"])
    command = ["sha256sum", "--check", "--quiet", "--strict", RECORD_NAME]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


def test_what_another_process_wrote_and_somebody_deleted_is_missed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 files vanished .* one\.txt"), claim_folder(tmp_path):
        with claimed(OwnedFolder(tmp_path)):
            write_text(tmp_path / "one.txt", "1\n")
        (tmp_path / "one.txt").unlink()


def test_foreign_files_in_a_run_without_a_record_of_files_are_left(
    copy: Path, search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "run" / RECORD_NAME).unlink()
    (copy / "run" / "0.3_1_1_2" / "published_acc.txt").write_text("mine\n")
    before = everything(copy)
    assert search(copy / "run", *GRID) == 2
    assert "published_acc.txt" in capsys.readouterr().err and everything(copy) == before


def test_a_recording_and_tables_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused before a video or the weights are looked at."""
    for name, flags in (
        ("camera.mp4", ("--camera", 0)),
        ("events.csv", ("a.mp4",)),
        ("a.html", ("a.mp4",)),
        ("a_2_annotated.mp4", ("a.mp4", "b/a.mov")),
    ):
        (tmp_path / name).write_text("mine\n")
        assert run_here(monkeypatch, predict_video.main, *flags, "--out", tmp_path) == 2
        assert name in capsys.readouterr().err and everything(tmp_path) == {name: b"mine\n"}
        (tmp_path / name).unlink()


def test_what_a_user_adds_while_raw_datasets_are_drawn_stays_a_users(tmp_path: Path) -> None:
    specs = list_synthetic_clips(1, 2, datasets=("casme2",))
    for number, _ in enumerate(write_raw_datasets(tmp_path, specs, "registered", workers=1)):
        (tmp_path / "casme2" / f"notes{number}.txt").write_text("mine\n")
    assert not OwnedFolder(tmp_path).is_recorded(tmp_path / "casme2" / "notes0.txt")
    with pytest.raises(UserError, match=r"notes0\.txt"):
        list(write_raw_datasets(tmp_path, specs, "registered", workers=1))
    drawing = write_raw_datasets(tmp_path / "new", specs, "registered", workers=1)
    next(drawing)
    shutil.rmtree(tmp_path / "new" / "casme2")
    with pytest.raises(UserError, match="vanished while"):
        list(drawing)


def test_shipped_weights_are_what_their_records_say() -> None:
    for name in ("au_network", "causalnet_pretrained", "causalnet_spatial/cab"):
        folder = ROOT / "weights" / name
        files = [*folder.glob("*.json"), *folder.glob("*.safetensors")]
        assert len(files) == 2 and all(map(OwnedFolder(folder).is_recorded, files))
        assert not changed_files(folder, files)
