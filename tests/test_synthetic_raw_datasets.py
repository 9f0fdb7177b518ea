"""Synthetic raw datasets: sheets and frames as the five datasets have them, faults as recorded."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pandas as pd
import pytest
from PIL import Image

from common.dataset_names import DATASETS
from common.errors import UserError
from datasets.synthetic.clips import draw_clip, list_synthetic_clips
from datasets.synthetic.faults import FAULTS_FILE, fault_kinds, plan_faults
from datasets.synthetic.raw_datasets import MOTION_FOLDER, FrameKinds, write_raw_datasets
from datasets.synthetic.sheets import FORMATS, make_rows
from datasets.synthetic.specs import ClipSpec

ROOT = Path(__file__).resolve().parent.parent


def specs_of(*datasets: str, subjects: int = 1, clips: int = 2) -> list[ClipSpec]:
    return list_synthetic_clips(subjects, clips, 1, datasets, with_others=True)


def write(
    folder: Path, specs: list[ClipSpec], kinds: FrameKinds = "registered", faults: bool = False
) -> None:
    assert list(write_raw_datasets(folder, specs, kinds, faults, workers=1)) == specs


def read_cells(folder: Path, dataset: str) -> pd.DataFrame:
    path = folder / dataset / FORMATS[dataset].file_name
    rows = list(openpyxl.load_workbook(path)["Sheet1"].iter_rows(values_only=True))
    top = FORMATS[dataset].text_rows
    return pd.DataFrame(rows[top + 1 :], columns=[str(name) for name in rows[top]])


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All five datasets, one subject each, registered frames."""
    folder = tmp_path_factory.mktemp("clean")
    write(folder, specs_of(*DATASETS))
    return folder


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAMM with every kind of fault, registered frames."""
    folder = tmp_path_factory.mktemp("faulty")
    write(folder, specs_of("samm", subjects=3, clips=7), faults=True)
    return folder


@pytest.mark.parametrize(
    ("dataset", "frame"),
    [
        ("casme2", r"Cropped/sub01/EP01_01/reg_img[1-9]\d*\.jpg"),
        ("samm", r"registered/SAMM/001/001_1_1/001_\d{5}\.jpg"),
        ("smic", r"SMIC_all_cropped/HS/s1/micro/(negative|positive|surprise)/s1_(ne|po|sur)_01/"
                 r"reg_image\d{6}\.bmp"),
        ("mmew", r"registered/Micro_Expression/[a-z]+/S01-01-001/\d+\.jpg"),
        ("casme3", r"registered/part_A/spNO\.1/a/color/\d+\.jpg"),
    ],
)  # fmt: skip
def test_frames_lie_where_the_dataset_has_them(clean: Path, dataset: str, frame: str) -> None:
    below = clean / dataset
    found = [path.relative_to(below).as_posix() for path in below.rglob("*") if path.is_file()]
    assert sum(re.fullmatch(frame, name) is not None for name in found) >= 16
    row = make_rows(specs_of("casme2"))[0]
    assert row.frame(7, registered=False).as_posix() == "CASME2_RAW_selected/sub01/EP01_01/img7.jpg"


def test_frames_are_those_of_the_drawn_clip(clean: Path) -> None:
    for dataset in DATASETS:
        row = make_rows(specs_of(dataset))[0]
        drawn = draw_clip(row.spec).frames
        for number in (row.first, row.last):
            picture = Image.open(clean / dataset / row.frame(number, registered=True))
            assert picture.mode == ("L" if dataset == "samm" else "RGB")
            grey = np.asarray(picture.convert("L"), dtype=np.float32)
            difference = grey - drawn[number - row.first]
            # Tint and JPEG change grey values a little; another frame would differ by far more.
            assert np.abs(difference).mean() < 5


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_sheet_names_the_key_frames_and_says_synthetic(clean: Path, dataset: str) -> None:
    cells = read_cells(clean, dataset)
    names = {field: header for header, field in FORMATS[dataset].columns if field}
    rows = make_rows(specs_of(dataset))
    assert set(cells["source"]) == {"synthetic"}
    assert all(isinstance(subject, str) for subject in cells["Subject"])
    assert cells["Filename"].tolist() == [row.file for row in rows]
    assert ("apex" in names) == (dataset != "smic")
    for row, (_, sheet_row) in zip(rows, cells.iterrows(), strict=True):
        clip = draw_clip(row.spec)
        assert sheet_row[names["onset"]] == row.first + clip.onset
        assert sheet_row[names["offset"]] == row.first + clip.offset
        assert "apex" not in names or sheet_row[names["apex"]] == row.first + clip.apex
        if "action_units" in names:
            assert sheet_row[names["action_units"]] == "+".join(clip.action_units)


def test_clips_of_one_casme3_recording_follow_each_other(clean: Path) -> None:
    first, second, others = make_rows(specs_of("casme3"))
    assert (first.file, second.file, others.file) == ("a", "a", "z")
    assert second.first == first.last + 1
    assert others.first == 1
    assert {row.clip for row in (first, second)} == {f"a_{first.onset}", f"a_{second.onset}"}
    folder = (clean / "casme3" / first.frame(1, registered=True)).parent
    assert len(list(folder.iterdir())) == second.last


def test_the_true_motion_lies_beside(clean: Path) -> None:
    row = make_rows(specs_of("smic"))[1]
    with np.load(clean / MOTION_FOLDER / "smic" / f"s01_{row.clip}.npz") as motion:
        assert motion.files == ["registered"]
        assert np.abs(motion["registered"] - draw_clip(row.spec).motion).max() < 0.01


def test_raw_frames_show_the_whole_head_and_their_own_motion(tmp_path: Path) -> None:
    specs = specs_of("casme2", clips=1)[:1]
    write(tmp_path, specs, kinds="raw")
    row = make_rows(specs)[0]
    picture = cv2.imread(str(tmp_path / "casme2" / row.frame(row.onset, registered=False)))
    assert picture is not None
    assert min(picture.shape[:2]) > 200
    assert not (tmp_path / "casme2" / row.frame(row.onset, registered=True)).exists()
    with np.load(tmp_path / MOTION_FOLDER / "casme2" / f"sub01_{row.clip}.npz") as motion:
        assert motion["raw"].shape == (2, *picture.shape[:2], 2)


def test_every_kind_of_fault_is_planted_once_and_recorded(faulty: Path) -> None:
    record = pd.read_csv(faulty / FAULTS_FILE, dtype=str, keep_default_na=False)
    clip_faults = record[record["clip"] != ""]
    expected = {kind.name for kind in fault_kinds("samm", with_raw=False)}
    assert sorted(clip_faults["kind"]) == sorted(expected)
    assert not clip_faults.duplicated(["dataset", "subject", "clip"]).any()
    assert len(expected) >= 18
    sheets = record[record["clip"] == ""].set_index("kind")["value"]
    assert (faulty / sheets["folder_for_the_sheet"]).is_dir()
    assert len(sheets) == 5
    assert all((faulty / path).exists() for path in sheets)


def test_planted_faults_are_really_there(faulty: Path) -> None:
    record = pd.read_csv(faulty / FAULTS_FILE, dtype=str, keep_default_na=False)
    planted = record[record["clip"] != ""].set_index("kind")["clip"]
    rows = {row.clip: row for row in make_rows(specs_of("samm", subjects=3, clips=7))}
    cells = read_cells(faulty, "samm").set_index("Filename")

    def frame(kind: str, number: int) -> Path:
        return faulty / "samm" / rows[planted[kind]].frame(number, registered=True)

    assert cells.loc[planted["apex_no_number"], "Apex Frame"] == "/"
    assert cells.loc[planted["unknown_emotion"], "Estimated Emotion"] == "joyful"
    assert cells.index.tolist().count(planted["duplicate_row"]) == 2
    backwards = cells.loc[planted["onset_after_offset"]]
    assert backwards["Onset Frame"] > backwards["Offset Frame"]
    assert not frame("missing_folder", 1).parent.exists()
    assert not frame("missing_key_frame", rows[planted["missing_key_frame"]].offset).exists()
    truncated = frame("truncated_frame", rows[planted["truncated_frame"]].onset)
    with pytest.raises(OSError, match="truncated"):
        Image.open(truncated).load()
    small = frame("frame_of_other_size", rows[planted["frame_of_other_size"]].offset)
    assert Image.open(small).size == (64, 64)
    colored = frame("frame_of_other_color", rows[planted["frame_of_other_color"]].offset)
    assert Image.open(colored).mode == "RGB"
    deep = frame("sixteen_bit_frame", rows[planted["sixteen_bit_frame"]].onset)
    assert not deep.exists()
    assert Image.open(deep.with_suffix(".png")).mode == "I;16"


def test_clips_without_a_fault_are_as_in_a_clean_dataset(faulty: Path) -> None:
    record = pd.read_csv(faulty / FAULTS_FILE, dtype=str, keep_default_na=False)
    rows = make_rows(specs_of("samm", subjects=3, clips=7))
    sound = [row for row in rows if row.clip not in set(record["clip"])]
    cells = read_cells(faulty, "samm").set_index("Filename")
    assert sound
    for row in sound:
        assert cells.loc[row.file, "Apex Frame"] == row.apex
        folder = (faulty / "samm" / row.frame(row.first, registered=True)).parent
        assert len(list(folder.iterdir())) == row.frame_count


def test_a_rerun_replaces_everything_and_gives_the_same_bytes(
    clean: Path, faulty: Path, tmp_path: Path
) -> None:
    """On two processes, from the command line, over a folder of other datasets."""
    write(tmp_path, specs_of("mmew", clips=1))
    command = [sys.executable, "make_synthetic.py", "--what", "raw", "--out", str(tmp_path)]
    command += ["--datasets", "CASMEII", *DATASETS[1:], "--n-subjects", "1", "--n-clips", "2"]
    command += ["--frame-kind", "registered", "--workers", "2"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1].startswith("synthetic: 14 clips of 5 drawn datasets")
    assert contents(tmp_path) == contents(clean)


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "casme2").mkdir()
    (tmp_path / "casme2" / "img1.jpg").write_bytes(b"somebody's")
    with pytest.raises(UserError, match="something else"):
        list(write_raw_datasets(tmp_path, specs_of("casme2")))
    assert contents(tmp_path).keys() == {"casme2/img1.jpg"}


def test_too_few_clips_for_the_faults_are_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more subjects or clips"):
        list(write_raw_datasets(tmp_path / "new", specs_of("casme2"), with_faults=True))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_default_size_has_room_for_all_faults_and_sound_clips(dataset: str) -> None:
    rows = make_rows(specs_of(dataset, subjects=3, clips=8))
    planned = plan_faults(rows, with_raw=True)
    assert len(planned) == len(fault_kinds(dataset))
    assert len(rows) - len(planned) >= 6
