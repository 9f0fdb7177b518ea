"""build_inputs.py: what it writes, what a rerun computes, kills, bad frames, composites."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import build_inputs
import main_train_for_parameter_tuning
import make_synthetic
import measure_robustness
from common.errors import UserError
from common.files import claim_folder, lock_folder, write_bytes
from common.owned_folder import RECORD_NAME
from datasets import direction_map, read_inputs
from datasets.arrays import flow_path, frames_path
from datasets.frames.build import InputSettings, compute_clip, make_job, plan_clips
from datasets.frames.flow import compute_flow, flow_map
from datasets.frames.folder import begin
from datasets.frames.registration import PUBLISHED_POINTS
from datasets.inputs import POINT_COLUMNS, TABLE_NAME
from datasets.raw import RawSource, read_raw_dataset
from datasets.synthetic.raw_datasets import write_raw_datasets
from datasets.synthetic.sheets import FORMATS
from datasets.synthetic.specs import list_synthetic_clips
from tests.helpers.raw_fixtures import (
    CASME2_HEADER,
    SMIC_HEADER,
    casme2_row,
    write_drawn_casme2,
    write_frames,
    write_sheet,
)
from tests.helpers.scripts import run_main

ROOT = Path(__file__).parent.parent
CASME2 = ("--dataset", "casme2", "--registered", "--flow", "dis")
# A clip of the drawn dataset.
FOLDER = "Cropped/sub01/EP01_01"


def arguments(raw: Path, out: Path, *flags: str) -> list[str]:
    places = ("--sheet", str(raw / "casme2.xlsx"), "--frames", str(raw), "--out", str(out))
    return [*CASME2, *places, *flags]


def run(flags: list[str], refused: bool = False) -> str:
    """The script in this process, with one worker unless the flags say otherwise."""
    return run_main(build_inputs.main, ["--workers", "1", *flags], refused)


def build(raw: Path, out: Path, *flags: str, refused: bool = False) -> str:
    """Run the script on the drawn dataset."""
    return run(arguments(raw, out, *flags), refused)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn clips as registered CASME II frames; tests that change them take a copy."""
    folder = tmp_path_factory.mktemp("drawn")
    write_drawn_casme2(folder)
    return folder


@pytest.fixture(scope="module")
def built(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs of the drawn clips."""
    out = tmp_path_factory.mktemp("built")
    build(drawn, out, "--workers", "2")
    return out


@pytest.fixture
def own_copy(drawn: Path, built: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the drawn dataset and of its inputs, to be changed."""
    raw, out = tmp_path / "raw", tmp_path / "out"
    shutil.copytree(drawn, raw)
    shutil.copytree(built, out)
    return raw, out


def test_the_folder_is_read_as_inputs_made_from_the_frames(drawn: Path, built: Path) -> None:
    inputs = read_inputs(built)
    assert inputs.synthetic
    assert len(inputs.clips) == 6
    clips = read_raw_dataset(RawSource("casme2", drawn / "casme2.xlsx", drawn, True)).clips
    clip = next(clip for clip in clips if clip.stem == inputs.clips["stem"][0])
    paths = [clip.frame_path(number) for number in (clip.onset, clip.apex, clip.offset)]
    onset, apex, offset = (np.asarray(Image.open(path)) for path in paths)
    flows = [compute_flow(onset, apex, "dis"), compute_flow(apex, offset, "dis")]
    flow_maps = np.stack([flow_map(flow) for flow in flows])
    np.testing.assert_array_equal(inputs.maps[0, :2], flow_maps)
    np.testing.assert_array_equal(inputs.maps[0, 2:], direction_map(flow_maps))
    with np.load(flow_path(built, clip.stem)) as stored:
        np.testing.assert_array_equal(stored["onset_apex"], flows[0].astype(np.float16))
        np.testing.assert_array_equal(stored["apex_offset"], flows[1].astype(np.float16))


def test_settings_from_a_file_give_the_same_bytes(drawn: Path, built: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"dataset: CASME II\nregistered: true\nflow: dis\nframes: {drawn}\n")
    flags = ["--config", str(settings), "--out", str(tmp_path / "out")]
    assert "--sheet" in run(flags, refused=True)
    run([*flags, "--sheet", str(drawn / "casme2.xlsx")])
    assert contents(tmp_path / "out") == contents(built)


def test_only_the_audit_works_without_frames_and_folder(drawn: Path) -> None:
    flags = ["--dataset", "casme2", "--sheet", str(drawn / "casme2.xlsx")]
    assert "--frames is missing" in run(flags, refused=True)
    assert "--out is missing" in run([*flags, "--frames", str(drawn)], refused=True)
    assert "megc2019: 6 clips of 3 subjects" in run([*flags, "--audit-only"])


def test_one_worker_gives_the_same_bytes_as_two(drawn: Path, built: Path, tmp_path: Path) -> None:
    build(drawn, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(built)


def jobs_left(raw: Path, out: Path, settings: InputSettings) -> list[str]:
    clips = read_raw_dataset(RawSource("casme2", raw / "casme2.xlsx", raw, True)).clips
    return [job.stem for job in plan_clips(clips, out, settings)[0]]


def test_only_what_changed_is_computed_again(own_copy: tuple[Path, Path]) -> None:
    raw, out = own_copy
    settings = InputSettings("dis", registered=True)
    assert jobs_left(raw, out, settings) == []
    assert len(jobs_left(raw, out, InputSettings("dis", 96, registered=True))) == 6
    assert len(jobs_left(raw, out, InputSettings("farneback", registered=True))) == 6

    clips = read_raw_dataset(RawSource("casme2", raw / "casme2.xlsx", raw, True)).clips
    other_frame = clips[1].frame_path(clips[1].onset + 1)
    other_frame.write_bytes(other_frame.read_bytes() + b"\0")
    assert jobs_left(raw, out, settings) == []
    apex = clips[0].frame_path(clips[0].apex)
    apex.write_bytes(clips[0].frame_path(clips[0].apex + 1).read_bytes())
    flow_path(out, clips[2].stem).write_bytes(b"damaged")
    (out / "STSNet_whole_norm_u_v_os" / f"{clips[3].stem}_2 .png").unlink()
    assert jobs_left(raw, out, settings) == [clips[n].stem for n in (0, 2, 3)]


def test_changed_settings_and_rows_leave_nothing_old_behind(
    own_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, out = own_copy
    table = pd.read_excel(raw / "casme2.xlsx", dtype=str).iloc[:4]
    table.columns = ["" if name.startswith("Unnamed") else name for name in table.columns]
    table.to_excel(raw / "casme2.xlsx", index=False)
    flags = ("--size", "64", "--remove-mean-flow")
    assert "4 of 4 clips to compute" in build(raw, out, *flags)
    build(raw, tmp_path / "fresh", *flags)
    assert contents(out) == contents(tmp_path / "fresh")
    for path in (out / "flows").iterdir():
        with np.load(path) as stored:
            flow = stored["onset_apex"]
        assert flow.shape == (64, 64, 2)
        assert np.abs(flow.astype(np.float32).mean(axis=(0, 1))).max() < 1e-3


def kill_when_half_done(flags: list[str], out: Path, files: int) -> None:
    """Start the script and kill -9 it once so many flow files are there."""
    script = [sys.executable, str(ROOT / "build_inputs.py"), *flags]
    running = subprocess.Popen(script, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while len(list((out / "flows").glob("*.npz"))) < files and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / TABLE_NAME).exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_goes_on_to_the_same_bytes(
    workers: str, drawn: Path, built: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kill_when_half_done(arguments(drawn, out, "--workers", workers), out, 2)
    before = {path: path.stat().st_mtime_ns for path in (out / "flows").glob("*.npz")}
    assert f"{6 - len(before)} of 6 clips to compute" in build(drawn, out)
    assert contents(out) == contents(built)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


def test_two_runs_into_one_folder_refuse_each_other(drawn: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"):
        assert "in use by another process" in build(drawn, tmp_path / "out", refused=True)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-800])


def other_size(path: Path) -> None:
    Image.open(path).resize((90, 100)).save(path)


def color(path: Path) -> None:
    Image.open(path).convert("RGB").save(path)


def sixteen_bits(path: Path) -> None:
    pixels = np.asarray(Image.open(path)).astype(np.uint16) * 256
    Image.fromarray(pixels).save(path, format="PNG")


BAD_FRAMES = {
    "cannot be decoded": truncate,
    "differ in size": other_size,
    "differ in color": color,
    "16 bits": sixteen_bits,
}


def test_clips_with_bad_frames_are_named_and_the_rest_is_built(
    own_copy: tuple[Path, Path],
) -> None:
    raw, out = own_copy
    clips = read_raw_dataset(RawSource("casme2", raw / "casme2.xlsx", raw, True)).clips
    for clip, spoil in zip(clips, BAD_FRAMES.values(), strict=False):
        spoil(clip.frame_path(clip.apex))
    clips[4].frame_path(clips[4].offset).unlink()
    printed = build(raw, out)
    for reason in (*BAD_FRAMES, "key frame missing"):
        assert reason in printed
    assert "not built, because of their frames: 4 clips" in printed
    assert read_inputs(out).clips["stem"].tolist() == [clips[5].stem]
    audit = pd.read_csv(out / "audit_casme2.csv")
    assert (audit["outcome"] == "excluded").sum() == 5
    assert [path.stem for path in (out / "flows").iterdir()] == [clips[5].stem]


def test_no_clip_at_all_is_an_error(own_copy: tuple[Path, Path]) -> None:
    raw, out = own_copy
    for path in (raw / "Cropped").rglob("*.jpg"):
        path.write_bytes(b"")
    printed = build(raw, out, refused=True)
    assert "no clip of casme2 could be built" in printed
    assert "audit_casme2.csv says why" in printed


def test_faces_are_looked_for_in_raw_frames(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    write_drawn_casme2(tmp_path, subjects=1, clips=2, registered=False)
    clips = read_raw_dataset(RawSource("casme2", tmp_path / "casme2.xlsx", tmp_path)).clips
    blank = Image.new("L", (240, 200), 128)
    blank.save(clips[1].frame_path(clips[1].frame_numbers[0]))
    printed = build(tmp_path, tmp_path / "out", "--no-registered")
    assert "sub01/EP01_02, no face" in printed
    with np.load(flow_path(tmp_path / "out", clips[0].stem)) as stored:
        angle = np.rad2deg(np.arctan2(stored["transform"][1, 0], stored["transform"][0, 0]))
    assert angle == pytest.approx(-5, abs=1.5)


def test_a_margin_adds_picture_around_the_face_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    write_drawn_casme2(tmp_path, subjects=1, clips=1, registered=False)
    (clip,) = read_raw_dataset(RawSource("casme2", tmp_path / "casme2.xlsx", tmp_path)).clips
    narrow, wide = InputSettings("dis"), InputSettings("dis", margin=8)
    results = [compute_clip(make_job(clip, s).frames, s) for s in (narrow, wide)]
    # The same pixels, but for the rounding of the interpolated places.
    apart = np.abs(results[0].frames.astype(int) - results[1].frames)
    assert apart.max() <= 1
    assert apart.mean() < 0.01
    assert results[1].flows.shape == (2, 128, 128, 2)
    difference = np.abs(results[0].flows - results[1].flows)[:, 30:-30, 30:-30]
    assert 0 < difference.mean() < 0.05
    with pytest.raises(UserError, match="give no margin"):
        InputSettings(registered=True, margin=8)


def paint_red(path: Path) -> None:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    Image.fromarray((pixels * [1, 0, 0]).astype(np.uint8)).save(path, format="PNG")


def test_frames_are_kept_in_color_in_their_order(own_copy: tuple[Path, Path]) -> None:
    raw, out = own_copy
    clips = read_raw_dataset(RawSource("casme2", raw / "casme2.xlsx", raw, True)).clips
    clip = next(clip for clip in clips if clip.stem == "sub02_EP01_01")
    for number in clip.frame_numbers:
        paint_red(clip.frame_path(number))
    clip.frame_path(clip.onset + 2).unlink()
    assert "6 of 6 clips to compute" in build(raw, out, "--keep", "frames", "--frame-size", "96")
    inputs = read_inputs(out)
    frames = inputs.array("frames")
    assert (frames.shape, frames.dtype) == ((6, 9, 96, 96, 3), np.uint8)
    kept = frames[inputs.clips["stem"].tolist().index(clip.stem)]
    onset, apex, offset = clip.onset, clip.apex, clip.offset
    numbers = [onset, apex, offset, onset + 1, onset + 1, onset + 3, apex - 1, apex - 2, apex - 3]
    for frame, number in zip(kept, numbers, strict=True):
        picture = Image.open(clip.frame_path(number))
        np.testing.assert_array_equal(frame, picture.resize((96, 96), Image.Resampling.BILINEAR))
    assert kept[..., 0].any() and not kept[..., 1:].any()
    grey = frames[(inputs.clips["stem"] != clip.stem).to_numpy()]
    assert (grey[..., :1] == grey).all()
    row = inputs.clips.set_index("stem").loc[clip.stem]
    assert (row["onset"], row["apex"], row["offset"]) == (onset, apex, offset)
    assert row["frame_rate"] == 200
    assert "point1_x" not in inputs.clips


def test_kept_frames_stay_up_to_date_until_they_are_no_longer_wanted(
    own_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, out = own_copy
    build(raw, out, "--keep", "frames", "--frame-size", "64")
    assert "0 of 6 clips to compute" in build(raw, out)
    clips = read_raw_dataset(RawSource("casme2", raw / "casme2.xlsx", raw, True)).clips
    shutil.copy(clips[0].frame_path(clips[0].onset), clips[0].frame_path(clips[0].apex - 1))
    frames_path(out, clips[1].stem).unlink()
    with pytest.raises(
        UserError, match=f"no frames of 1 of 6 clips: {clips[1].stem}.*--keep frames"
    ):
        read_inputs(out).array("frames")
    assert "2 of 6 clips to compute" in build(raw, out)
    frames = read_inputs(out).array("frames")
    np.testing.assert_array_equal(frames[0, 6], frames[0, 0])
    build(raw, tmp_path / "fresh", "--keep", "flow", "frames", "--frame-size", "64")
    assert contents(out) == contents(tmp_path / "fresh")
    assert "6 of 6 clips to compute" in build(raw, out, "--keep", "flow")
    assert not list((out / "frames").iterdir())


def test_frames_and_points_are_those_of_the_registered_face(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    write_drawn_casme2(tmp_path, subjects=1, clips=2, registered=False)
    build(tmp_path, tmp_path / "out", "--no-registered", "--keep", "frames")
    inputs = read_inputs(tmp_path / "out")
    frames = inputs.array("frames")
    assert frames.shape == (2, 9, 224, 224, 3)
    clips = read_raw_dataset(RawSource("casme2", tmp_path / "casme2.xlsx", tmp_path)).clips
    settings = InputSettings("dis", margin=8)
    for clip, kept in zip(clips, frames, strict=True):
        key_frames = compute_clip(make_job(clip, settings).frames, settings).frames
        for frame, expected in zip(kept, key_frames, strict=False):
            small = np.asarray(Image.fromarray(frame).convert("L").resize((128, 128)))
            assert np.abs(small.astype(int) - expected).mean() < 2
    points = inputs.clips[POINT_COLUMNS].to_numpy().reshape(2, 5, 2)
    assert 0 < np.abs(points - PUBLISHED_POINTS).max() < 1.5


def test_frames_of_one_folder_have_one_size(own_copy: tuple[Path, Path], tmp_path: Path) -> None:
    raw, out = own_copy
    mark_as_filmed(raw)
    build(raw, out, "--keep", "frames", "--frame-size", "64")
    flags = ("--keep", "frames", "--frame-size", "96")
    assert "frame_size is 64 there, 96 now" in build_smic(tmp_path / "s", out, *flags, refused=True)
    build_smic(tmp_path / "s", out)
    with pytest.raises(UserError, match="holds no frames of smic"):
        read_inputs(out).array("frames")


def build_smic(folder: Path, out: Path, *flags: str, refused: bool = False) -> str:
    """A second dataset: three clips of noise in SMIC's layout."""
    rows = []
    for number in range(1, 4):
        name = f"s1_ne_0{number}"
        where = folder / "HS/s1/micro/negative" / name
        write_frames(where, [f"reg_image{n:06d}.bmp" for n in range(10, 20)], seed=number)
        rows.append(["s1", name, 10, 19, 10, "", "", "", "negative", 1, 50, 50])
    sheet = write_sheet(folder / "smic.xlsx", SMIC_HEADER, rows)
    places = ["--sheet", str(sheet), "--frames", str(folder), "--out", str(out)]
    return run(["--dataset", "smic", "--registered", "--flow", "dis", *places, *flags], refused)


def mark_as_filmed(raw: Path) -> None:
    table = pd.read_excel(raw / "casme2.xlsx", dtype=str).drop(columns="source")
    table.columns = ["" if name.startswith("Unnamed") else name for name in table.columns]
    table.to_excel(raw / "casme2.xlsx", index=False)


def test_two_datasets_make_a_composite_if_made_alike(
    own_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, out = own_copy
    refused = build_smic(tmp_path / "smic", out, refused=True)
    assert "source is synthetic there, dataset now" in refused

    mark_as_filmed(raw)
    build(raw, out)
    refused = build_smic(tmp_path / "smic", out, "--size", "64", refused=True)
    assert "size is 128 there, 64 now" in refused
    assert len(read_inputs(out).clips) == 6

    build_smic(tmp_path / "smic", out)
    inputs = read_inputs(out)
    assert not inputs.synthetic
    assert inputs.clips.groupby("dataset").size().to_dict() == {"casme2": 6, "smic": 3}
    # The first dataset again: the second stays.
    build(raw, out)
    assert len(read_inputs(out).clips) == 9


def test_another_opencv_computes_anew_and_does_not_join(
    own_copy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = own_copy
    mark_as_filmed(raw)
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "__version__", "4.9.0")
        assert "dis flow by OpenCV 4.9.0" in build(raw, out)
    assert read_inputs(out).flow_by == "dis flow by OpenCV 4.9.0"
    refused = build_smic(tmp_path / "smic", out, refused=True)
    assert f"opencv is 4.9.0 there, {cv2.__version__} now" in refused
    printed = build(raw, out)
    assert "casme2 was built with OpenCV 4.9.0, whose dis flow differs" in printed
    assert "6 of 6 clips to compute" in printed
    build_smic(tmp_path / "smic", out)
    assert read_inputs(out).flow_by == f"dis flow by OpenCV {cv2.__version__}"
    run = ["--inputs", str(out), "--method", "majority", "--results", str(tmp_path / "run")]
    printed = run_main(main_train_for_parameter_tuning.main, run)
    assert f"inputs: dis flow by OpenCV {cv2.__version__}" in printed
    assert "flow_by: dis flow by OpenCV" in (tmp_path / "run/config.yaml").read_text()


def filmed_composite(own_copy: tuple[Path, Path], smic: Path) -> Path:
    """The folder of CASME II and SMIC inputs, both without a word of synthetic."""
    raw, out = own_copy
    mark_as_filmed(raw)
    build(raw, out)
    build_smic(smic, out)
    return out


def test_a_second_dataset_that_fails_leaves_the_first_as_it_was(
    own_copy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = filmed_composite(own_copy, tmp_path / "smic")
    whole = contents(out)
    frames = sorted((tmp_path / "smic/HS").rglob("*.bmp"))
    good = [path.read_bytes() for path in frames]

    # Without dlib nothing is begun.
    places = [
        "--sheet", str(tmp_path / "smic/smic.xlsx"), "--frames", str(tmp_path / "smic"),
        "--out", str(out), "--flow", "dis",
    ]  # fmt: skip
    raw_names = [path.with_name(path.name.removeprefix("reg_")) for path in frames]
    for path, raw_name in zip(frames, raw_names, strict=True):
        raw_name.write_bytes(path.read_bytes())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "dlib", None)
        assert "needs dlib" in run(["--dataset", "smic", *places], refused=True)
    assert contents(out) == whole

    for path in frames:
        truncate(path)
    printed = run(["--dataset", "smic", "--registered", *places], refused=True)
    assert "no clip of smic could be built" in printed
    assert read_inputs(out).clips["dataset"].tolist() == ["casme2"] * 6
    assert not read_inputs(out).synthetic

    for path, content in zip(frames, good, strict=True):
        path.write_bytes(content)
    run(["--dataset", "smic", "--registered", *places])
    assert contents(out) == whole


def test_what_breaks_off_a_run_takes_only_its_dataset_out(
    own_copy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = filmed_composite(own_copy, tmp_path / "smic")

    def broken(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build_inputs, "build_clips", broken)
    monkeypatch.setattr(sys, "argv", ["script.py", *arguments(own_copy[0], out)])
    shutil.rmtree(out / "flows")
    with pytest.raises(KeyboardInterrupt):
        build_inputs.main()
    assert set(read_inputs(out).clips["dataset"]) == {"smic"}


def test_files_of_a_killed_run_do_not_outlive_their_clips(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stems = ["sub01_EP01_01", "sub99_EP01_01"]
    with claim_folder(out, "build_inputs.py"):
        begin(out, "casme2", stems)
        for stem in stems:
            write_bytes(flow_path(out, stem), b"of a killed run")
    build(drawn, out)
    assert len(list((out / "flows").iterdir())) == 6
    assert not flow_path(out, "sub99_EP01_01").exists()
    assert not list(out.glob("unfinished*"))


@pytest.mark.parametrize("content", ["hello", "- a", "casme2: 3", "casme2: {classes: 3}", "a: [b"])
def test_a_damaged_record_is_refused_in_one_line(content: str, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "inputs.yaml").write_text(content)
    printed = build(drawn, tmp_path, refused=True)
    assert f"{tmp_path / 'inputs.yaml'} " in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "is missing"), ("", "is empty"), ("a,b\n1,2\n", "has no column")]
)
def test_another_datasets_clips_are_needed(
    content: str | None, reason: str, own_copy: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, out = own_copy
    records = (out / "inputs.yaml").read_text().replace("synthetic", "dataset")
    (out / "inputs.yaml").write_text(records)
    # As a version without records of files left it.
    (out / RECORD_NAME).unlink()
    clips = out / "clips_casme2.csv"
    clips.unlink() if content is None else clips.write_text(content)
    printed = build_smic(tmp_path / "smic", out, refused=True)
    assert f"{clips.name} {reason}" in printed
    clips.unlink(missing_ok=True)
    assert "written: " in build(raw, out)


RAW = ("--dataset", "casme2", "--sheet", "{sheet}", "--frames", "{folder}")
CLIP = ("--clip", "sub01/EP01_01")
# The scripts that write, and a name that each cannot write to.
NO_PLACES = {
    "build": (build_inputs.main, ("--out", "{file}", *RAW)),
    "pictures": (build_inputs.main, ("--out", "{file}/x", *RAW, "--pictures", "sub01/EP01_01")),
    "audit": (build_inputs.main, ("--out", "{file}/x.csv", *RAW[:4], "--audit-only")),
    "inputs": (make_synthetic.main, ("--out", "{file}", "--n-subjects", "1")),
    "raw": (make_synthetic.main, ("--out", "{file}", "--what", "raw", "--n-subjects", "1")),
    "picture": (make_synthetic.main, ("--out", "{folder}", "--what", "picture", *CLIP)),
    "spotter": (measure_robustness.main, ("--results", "{file}/x", *RAW, "--spotter-only")),
}


@pytest.mark.parametrize("script", NO_PLACES)
def test_a_file_for_a_folder_and_a_folder_for_a_file_are_refused_at_once(
    script: str, tmp_path: Path
) -> None:
    main, flags = NO_PLACES[script]
    sheet = write_sheet(tmp_path / "s.xlsx", CASME2_HEADER, [casme2_row()])
    write_frames(tmp_path / "sub01/EP02_01f", [f"img{n}.jpg" for n in (46, 59, 86)])
    places = {"folder": tmp_path, "sheet": sheet, "file": tmp_path / "file"}
    places["file"].write_text("mine")
    printed = run_main(main, [word.format_map(places) for word in flags], refused=True)
    assert f"{places['folder' if flags[1] == '{folder}' else 'file']} is a f" in printed
    assert printed.count("\n") == 1
    assert places["file"].read_text() == "mine"


def test_inputs_of_other_making_are_left_alone(drawn: Path, tiny_folder: Path) -> None:
    before = contents(tiny_folder)
    assert "were not built here" in build(drawn, tiny_folder, refused=True)
    assert contents(tiny_folder) == before


@pytest.mark.slow
def test_860_clips_killed_in_the_middle_lose_nothing(tmp_path: Path) -> None:
    """As many clips as CAS(ME)3 part A, in two processes, against a run without the kill."""
    count, raw = 860, tmp_path / "raw/casme3"
    specs = list_synthetic_clips(86, 10, datasets=("casme3",))
    list(write_raw_datasets(raw.parent, specs, "registered"))
    sheet, frames = raw / FORMATS["casme3"].file_name, raw / "registered"
    flags = ["--dataset", "casme3", "--sheet", str(sheet), "--frames", str(frames)]
    flags += ["--registered", "--flow", "dis", "--workers", "2"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    kill_when_half_done([*flags, "--out", str(killed)], killed, count // 2)
    done = {path: path.stat().st_mtime_ns for path in (killed / "flows").glob("*.npz")}
    assert count // 2 <= len(done) < count
    printed = run([*flags, "--out", str(killed)])
    assert f"{count - len(done)} of {count} clips to compute" in printed
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())
    run([*flags, "--out", str(whole)])
    assert contents(killed) == contents(whole)
    assert len(read_inputs(killed).clips) == count
