"""A dataset of one's own: one table of folders or videos, audited, built, trained, measured."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import build_inputs
import main_train_for_parameter_tuning
import measure_robustness
from common.errors import UserError
from datasets import read_inputs
from datasets.frames.key_frame_spotter import spot_key_frames
from datasets.frames.reading import read_frame, video_frame_name
from datasets.raw import RawDataset, RawSource, read_raw_dataset
from datasets.synthetic.clips import SyntheticClip, draw_clip, list_synthetic_clips
from datasets.video.decode import open_frames, open_video, write_video
from tests.helpers.raw_fixtures import write_drawn_casme2
from tests.helpers.scripts import folder_bytes, run_main

av = pytest.importorskip("av", reason="needs requirements-video.txt")

HEAD = ("subject", "clip", "folder", "onset", "apex", "offset", "label")
LABELS = ("calm", "Glad", "struck")
RATE = 100


@pytest.fixture(scope="module")
def drawn() -> list[SyntheticClip]:
    """Two clips of each of three subjects."""
    specs = [spec for spec in list_synthetic_clips(3, 3) if spec.dataset == "casme2"]
    return [draw_clip(spec) for spec in specs]


def rows_of(clips: Iterable[SyntheticClip]) -> list[list[object]]:
    return [
        [
            clip.spec.subject,
            clip.spec.clip,
            f"clips/{clip.spec.subject}_{clip.spec.clip}",
            *(clip.onset, clip.apex, clip.offset),
            LABELS[clip.spec.label],
        ]
        for clip in clips
    ]


def write_table(path: Path, rows: Iterable[Iterable[object]], separator: str = ",") -> Path:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator).writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, drawn: list[SyntheticClip]) -> Path:
    """A laboratory's folder: frames and videos of the same clips."""
    place = tmp_path_factory.mktemp("lab")
    for clip in drawn:
        name = f"{clip.spec.subject}_{clip.spec.clip}"
        (place / "clips" / name).mkdir(parents=True)
        for number, frame in enumerate(clip.frames):
            Image.fromarray(frame).save(place / "clips" / name / f"frame_{number:04d}.png")
        timed = ((number / RATE, frame) for number, frame in enumerate(clip.frames))
        write_video(place / f"{name}.mp4", timed)
    return place


def read(sheet: Path, **more: object) -> RawDataset:
    return read_raw_dataset(RawSource("table", sheet, registered=True, **more))  # type: ignore[arg-type]


def found(raw: RawDataset, rule: str) -> list[str]:
    return [f"{f.value}: {f.detail}" for f in raw.findings if f.rule == rule]


def test_a_table_is_audited_built_trained_and_measured(
    lab: Path, drawn: list[SyntheticClip], tmp_path: Path
) -> None:
    sheet = write_table(lab / "all.csv", [HEAD, *rows_of(drawn)])
    flags = ["--dataset", "table", "--name", "mine", "--sheet", str(sheet), "--registered"]
    printed = run_main(build_inputs.main, [*flags, "--audit-only"])
    assert "mine: 9 clips of 3 subjects (struck 3, calm 3, Glad 3)" in printed
    assert "the audit finds nothing" in printed
    out = tmp_path / "inputs"
    more = ["--flow", "dis", "--workers", "1"]
    run_main(build_inputs.main, [*flags, *more, "--out", str(out)])
    inputs = read_inputs(out)
    first = dict.fromkeys(LABELS[clip.spec.label] for clip in drawn)
    assert inputs.class_names == tuple(first) and len(inputs.clips) == 9
    assert set(inputs.clips["dataset"]) == {"mine"}
    run = ["--inputs", str(out), "--method", "linear", "--results", str(tmp_path / "run")]
    run_main(main_train_for_parameter_tuning.main, run)
    predictions = pd.read_csv(next((tmp_path / "run").rglob("predictions.csv")))
    assert {f"score_{name}" for name in LABELS} < {*predictions} and len(predictions) == 9
    noise = ["--moved", "apex", "--levels", "0.1", "--frame-levels", "1", "--noise-seeds", "1"]
    noise += ["--training-moved", "--methods", "majority", "--workers", "1", "--flow", "dis"]
    run_main(measure_robustness.main, [*flags, *noise, "--results", str(tmp_path / "noise")])
    assert (tmp_path / "noise/robustness.csv").is_file()


def test_classes_are_the_users_in_the_users_order(lab: Path, drawn: list[SyntheticClip]) -> None:
    rows = rows_of(drawn)
    rows[0][-1] = " STRUCK "
    sheet = write_table(lab / "classes.csv", [HEAD, *rows])
    raw = read(sheet, classes=("glad", "Struck", "none of these"))
    assert raw.scheme().classes == ("glad", "Struck", "none of these")
    assert raw.clips[0].emotion == "Struck"
    assert (
        found(raw, "class")
        == ["none of these: no row has this label; the table has Struck, calm, glad."]
        or "no row has this label" in found(raw, "class")[0]
    )
    with pytest.raises(UserError, match="gives 1 classes"):
        read(sheet, classes=("glad", "GLAD"))
    with pytest.raises(UserError, match="no name of a known dataset"):
        read(sheet, name="casme2")
    with pytest.raises(UserError, match="label scheme 'megc2019'"):
        raw.scheme("megc2019")


def test_a_table_joins_a_composite(lab: Path, drawn: list[SyntheticClip], tmp_path: Path) -> None:
    words = dict(zip(LABELS, ("negative", "positive", "surprise"), strict=True))
    rows = [[*row[:-1], words[str(row[-1])], "synthetic"] for row in rows_of(drawn)]
    for row in rows:
        row[0] = f"m{row[0]}"
    sheet = write_table(lab / "composite.csv", [(*HEAD, "source"), *rows])
    casme2 = write_drawn_casme2(tmp_path / "raw", 2)
    common = ["--registered", "--flow", "dis", "--workers", "1", "--out", str(tmp_path / "in")]
    casme2_flags = ["--sheet", str(casme2), "--frames", str(casme2.parent)]
    run_main(build_inputs.main, ["--dataset", "casme2", *casme2_flags, *common])
    own = ["--dataset", "table", "--name", "mine", "--sheet", str(sheet), *common]
    if next(iter(dict.fromkeys(row[-2] for row in rows))) != "negative":
        assert "classes is" in run_main(build_inputs.main, own, refused=True)
    run_main(build_inputs.main, [*own, "--classes", "negative", "positive", "surprise"])
    inputs = read_inputs(tmp_path / "in")
    assert set(inputs.clips["dataset"]) == {"casme2", "mine"} and inputs.synthetic
    run_main(build_inputs.main, [*own, "--classes", "negative", "positive", "surprise"])


def test_videos_give_the_clips_of_their_frames(
    lab: Path, drawn: list[SyntheticClip], tmp_path: Path
) -> None:
    head = ("Subject", "video", "Onset Frame", "Apex Frame", "Offset Frame", "Emotion")
    rows = [[r[0], f"{r[0]}_{r[1]}.mp4", *r[3:]] for r in rows_of(drawn)]
    raw = read(write_table(lab / "videos.csv", [head, *rows]))
    assert [clip.clip for clip in raw.clips] == [f"{r[0]}_{r[1]}" for r in rows_of(drawn)]
    assert raw.clips[0].frame_rate == pytest.approx(RATE, rel=0.01)
    for clip, made in zip(raw.clips, drawn, strict=True):
        picture = read_frame(clip.frame_path(clip.apex)).pixels.astype(int)
        assert np.abs(picture - made.frames[made.apex]).mean() < 3
    outs = [tmp_path / "a", tmp_path / "b"]
    flags = ["--dataset", "table", "--sheet", str(lab / "videos.csv"), "--registered"]
    flags += ["--flow", "dis", "--keep", "frames", "--frame-size", "64"]
    for out, workers in zip(outs, "12", strict=True):
        run_main(build_inputs.main, [*flags, "--out", str(out), "--workers", workers])
    first, second = map(folder_bytes, outs)
    assert first == second
    assert "0 of 9 clips" in run_main(build_inputs.main, [*flags, "--out", str(outs[0])])


def test_seconds_are_the_nearest_frames(lab: Path, drawn: list[SyntheticClip]) -> None:
    head = ("subject", "clip", "video", "onset", "apex", "offset", "label", "fps")
    rows = [[r[0], r[1], f"{r[0]}_{r[1]}.mp4", *r[3:], ""] for r in rows_of(drawn)]
    for place, row in enumerate(rows):
        row[3:6] = [f"{int(str(n)) / RATE + 0.003:.3f}".replace(".", ",") for n in row[3:6]]
        if place % 2:
            row[2], row[7] = f"clips/{row[0]}_{row[1]}", RATE
    rows[0][3] = f"{rows[0][3]} s"
    raw = read(write_table(lab / "seconds.csv", [head, *rows], ";"), times="seconds")
    assert [(c.onset, c.apex, c.offset) for c in raw.clips] == [
        (c.onset, c.apex, c.offset) for c in drawn
    ]
    rows[1][7], rows[2][4] = "fast", "70,5"
    raw = read(write_table(lab / "seconds.csv", [head, *rows], ";"), times="seconds")
    assert len(raw.clips) == 7
    assert "seconds need the frame rate" in found(raw, "frame rate")[1]
    assert found(raw, "not a frame number")[0].startswith("apex '70,5 s'")


def test_an_empty_apex_is_spotted(lab: Path, drawn: list[SyntheticClip], tmp_path: Path) -> None:
    rows = rows_of(drawn)
    for row in rows:
        row[4] = "/" if row is rows[0] else ""
    sheet = write_table(lab / "apex.csv", [HEAD, *rows])
    assert found(read(sheet), "no apex")[0] == ": this row has none: the spotter finds it."
    flags = ["--dataset", "table", "--sheet", str(sheet), "--registered", "--flow", "dis"]
    run_main(build_inputs.main, [*flags, "--out", str(tmp_path), "--workers", "1"])
    table = pd.read_csv(tmp_path / "clips_table.csv")
    assert set(table["apex_source"]) == {"spotted"}
    squares = [list(clip.frames[clip.onset : clip.offset + 1]) for clip in drawn]
    own = [c.onset + spot_key_frames(f).apex for c, f in zip(drawn, squares, strict=True)]
    assert table["apex"].tolist() == own
    assert np.median(np.abs(table["apex"] - [clip.apex for clip in drawn])) <= 2


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        ("Subject", "Filename", "Folder", "OnsetFrame", "ApexFrame", "OffsetFrame", "Emotion"),
        ("被试", "片段", "文件夹", "起始帧", "顶点帧", "结束帧", "情绪"),
        ("participant", "clip name", "Frame Folder", "start frame", "Peak", "end frame", "class"),
    ],
)
def test_a_table_is_read_as_it_was_saved(
    head: tuple[str, ...],
    encoding: str,
    separator: str,
    lab: Path,
    drawn: list[SyntheticClip],
) -> None:
    rows = [[*row[:-1], {"calm": "平静", "Glad": "高兴"}.get(str(row[-1]), row[-1])]
            for row in rows_of(drawn)]  # fmt: skip
    path = lab / "saved.csv"
    write_table(path, [head, [""] * 7, *rows], separator)
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    raw = read(path)
    assert len(raw.clips) == 9 and {"平静", "高兴", "struck"} == set(raw.scheme().classes)


def test_faults_of_rows_are_named(lab: Path, drawn: list[SyntheticClip], tmp_path: Path) -> None:
    rows = rows_of(drawn)
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.mp4").write_text("version https://git-lfs.github.com/spec/v1\n")
    rows[0][2] = "nowhere"
    rows[1][2] = ""
    rows[2][2] = str(tmp_path / "empty")
    rows[3][2] = str(tmp_path / "no.mp4")
    rows[4][5] = 900
    rows[5][-1] = ""
    rows[6][2] = str(rows[6][2]).replace("/", "\\")
    rows[7][1], rows[7][0] = rows[8][1], rows[8][0]
    raw = read(write_table(lab / "faults.csv", [HEAD, *rows]))
    assert len(raw.clips) == 2
    absent = found(raw, "no frames")
    assert "nowhere is not there. Paths are relative to" in absent[0]
    assert absent[1].endswith("the row names no folder and no video.")
    assert absent[2].endswith("empty holds no picture whose name ends with a number.")
    assert "a Git LFS pointer" in absent[3]
    assert "offset 900" in found(raw, "key frame missing")[0]
    assert found(raw, "emotion")[0].startswith(": table has ")
    assert len(found(raw, "duplicate")) == 1


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (("subject", "clip", "onset", "apex", "offset", "label"), "no column for folder or video"),
        (("subject", "folder", "apex", "offset", "label"), "no column for onset"),
        (("subject", "folder", "onset", "offset"), "no column for label"),
        (("folder", "onset", "offset", "label"), "has no column subject"),
        (("subject", "folder", "onset", "offset", "label"), "gives 1 classes (x)"),
    ],
)
def test_tables_that_lack_something_are_refused(
    head: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    sheet = write_table(tmp_path / "a.csv", [head, ["x"] * len(head)])
    flags = ["--dataset", "table", "--sheet", str(sheet), "--audit-only"]
    error = run_main(build_inputs.main, flags, refused=True)
    assert reason in error and error.count("\n") == 1


def test_corrections_know_the_name_of_a_table(lab: Path, drawn: list[SyntheticClip]) -> None:
    rows = rows_of(drawn)
    sheet = write_table(lab / "corrected.csv", [HEAD, *rows])
    head = ("dataset", "subject", "clip", "field", "value", "reason")
    lines = [
        ("mine", *rows[0][:2], "exclude", "mine", "blinks"),
        ("mine", *rows[1][:2], "emotion", "struck", "seen"),
        ("casme2", "sub01", "EP01_01", "apex", "3", "of another dataset"),
    ]
    table = write_table(lab / "corrections.csv", [head, *lines])
    raw = read(sheet, name="mine", corrections=table)
    assert raw.clips[0].left_out_of == {"mine": "blinks"} and raw.clips[1].emotion == "struck"


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("avi", "mpeg4"),
        ("avi", "libx264"),
        ("mpg", "mpeg1video"),
    ],
)
def test_frames_of_a_video_are_read_in_any_order(ending: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"v.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "2", "g": "40"}
        for shade in range(10, 250, 2):
            picture = np.full((48, 64, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    opened = open_frames(path)
    one_by_one = list(open_video(path).frames())
    assert len(opened.times) == len(one_by_one) == 120
    for number in (3, 4, 117, 60, 61, 0, 119, 59):
        pixels = read_frame(path / video_frame_name(number)).pixels
        assert np.array_equal(pixels, one_by_one[number].grey)
        assert opened.times[number] == pytest.approx(one_by_one[number].seconds, abs=1e-6)
    with pytest.raises(UserError, match=r"frame 120 of .*has 120 frames, counted from 0"):
        read_frame(path / video_frame_name(120))


def test_the_record_names_the_scheme(lab: Path, drawn: list[SyntheticClip], tmp_path: Path) -> None:
    sheet = write_table(lab / "record.csv", [HEAD, *rows_of(drawn)])
    flags = ["--dataset", "table", "--sheet", str(sheet), "--registered", "--flow", "dis"]
    run_main(build_inputs.main, [*flags, "--out", str(tmp_path), "--workers", "1"])
    record = yaml.safe_load((tmp_path / "inputs.yaml").read_text())["table"]
    assert record["scheme"] == "table" and len(record["classes"]) == 3
