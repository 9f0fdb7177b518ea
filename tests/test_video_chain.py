"""From a drawn video to its movements: the face, the spotting, the script, the page."""

import csv
import json
import re
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import make_synthetic
import predict_video
from common.action_units import ACTION_UNITS
from common.class_names import CLASS_NAMES
from common.errors import UserError
from datasets.frames.build import ClipFlows
from datasets.frames.registration import find_face
from datasets.synthetic.faces import View
from datasets.video.analysis import NOTHING_TOLD, Verdicts, analyse, small_flows, verdict
from datasets.video.decode import VideoFrame, open_video, write_video
from datasets.video.face import FacedFrame, FaceFollower
from datasets.video.motion import EYES, REGIONS, Motion, measure_motion
from datasets.video.muscle_picture import draw_muscles
from datasets.video.page import COLUMNS
from datasets.video.planted import (
    EXPRESSIONS,
    PlantedEvent,
    draw_planted,
    plan_events,
    plant_in_frames,
    truth_csv,
)
from datasets.video.spotting import given_movement, spot_movements
from models import load_method
from tests.helpers.scripts import run_main
from training.movement_reader import Reader, read_muscles
from training.video import compare_with_truth

pytest.importorskip("av", reason="needs requirements-video.txt")
pytest.importorskip("dlib", reason="needs requirements-faces.txt")

SMALL = View(320, 240, 1.2)
SECONDS, RATE = 8.0, 30.0
EVENTS = [
    PlantedEvent("micro", ("1", "2"), 2, 1.0, 1.2, 1.4, 2.5, (1, 1, 1, 1)),
    PlantedEvent("blink", ("45",), -1, 2.5, 2.62, 2.75, 3.5, (1, 1)),
    PlantedEvent("long", ("12",), 1, 3.5, 4.2, 5.0, 3.0, (1, 1)),
    PlantedEvent("gaze", ("gaze",), -1, 5.7, 6.0, 6.4, 3.0, (1, 1)),
    PlantedEvent("head", ("turn",), -1, 6.8, 7.2, 7.6, 6.0, ()),
]


def drawn(events: list[PlantedEvent], seconds: float = SECONDS) -> list[tuple[float, Any]]:
    return list(draw_planted(events, seconds, RATE, 1, "test", SMALL))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds with one event of each kind."""
    path = tmp_path_factory.mktemp("video") / "drawn.mp4"
    write_video(path, drawn(EVENTS), synthetic=True)
    return path


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Less than two seconds, with the first of the events."""
    path = tmp_path_factory.mktemp("short") / "short.mp4"
    write_video(path, drawn(EVENTS[:1], 1.8))
    return path


def test_every_kind_is_found_where_it_was_planted(video: Path) -> None:
    analysis = analyse(open_video(video), flow="dis")
    assert [event.spotted.kind for event in analysis.events] == [e.kind for e in EVENTS]
    for event, planted in zip(analysis.events, EVENTS, strict=True):
        start, apex, end = event.spotted.seconds
        assert planted.onset - 0.1 < start < planted.apex < end < planted.offset + 0.1
        assert abs(apex - planted.apex) < 0.12
    assert analysis.warnings == []
    brows = analysis.events[0]
    assert "brow" in brows.spotted.region
    assert brows.clip.frames.shape == (3, 128, 128)
    # The brows go up, which is a negative v, and come down again.
    up, down = (np.median(flow[25:45, 35:110, 1]) for flow in brows.clip.flows)
    assert up < -0.5 < 0.5 < down


def test_a_resting_face_moves_not(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", drawn([], 4.0))
    assert analyse(open_video(tmp_path / "v.mp4")).events == []


def as_frames(pictures: list[Any]) -> list[VideoFrame]:
    return [VideoFrame(number, number / RATE, grey) for number, grey in enumerate(pictures)]


def test_a_face_that_leaves_and_one_that_jumps_are_told() -> None:
    here = [grey for _, grey in drawn([], 1.0)]
    nothing = [np.full((240, 320), 120, np.uint8)] * 45
    there = [np.roll(grey, 40, axis=1) for grey in here]
    follower = FaceFollower()
    followed = list(follower.follow(as_frames(here + nothing + here + there)))
    assert len(followed) == 135
    (start, end), *others = follower.report.absences
    assert others == []
    assert abs(start - 1.0) < 0.3
    assert abs(end - 2.5) < 0.3
    assert followed[60].transform is None
    assert followed[0].transform is not None
    assert followed[100].transform is not None
    first, last = followed[0], followed[-1]
    assert first.transform is not None
    assert last.transform is not None
    assert last.transform @ [200, 120, 1] == pytest.approx(first.transform @ [160, 120, 1], abs=2.0)
    assert follower.report.sentences()[0].startswith("no face from ")
    assert len(follower.report.transforms) >= 3


def test_within_a_stretch_no_jitter_of_landmarks_enters() -> None:
    follower = FaceFollower()
    stretch = [f.transform for f in follower.follow(as_frames([g for _, g in drawn([], 2.0)]))]
    assert all(transform is stretch[0] for transform in stretch)


def test_few_frames_are_held_however_long_the_video() -> None:
    grey = drawn([], 0.1)[0][1]
    alive: weakref.WeakSet[VideoFrame] = weakref.WeakSet()
    most = 0

    def endless(count: int) -> Iterator[VideoFrame]:
        nonlocal most
        for number in range(count):
            frame = VideoFrame(number, number / RATE, grey)
            alive.add(frame)
            most = max(most, len(alive))
            yield frame

    motion = measure_motion(FaceFollower().follow(endless(300)))
    assert len(motion.numbers) == 300
    assert most <= 3 * 8


def test_fast_video_is_thinned_out() -> None:
    grey = np.random.default_rng(1).integers(0, 255, (160, 160)).astype(np.uint8)
    faced = (FacedFrame(VideoFrame(n, n / 200, grey), np.eye(2, 3), 0) for n in range(40))
    assert measure_motion(faced).numbers.tolist() == list(range(0, 40, 4))


def test_of_several_faces_the_largest_is_followed_and_it_is_said() -> None:
    near = [grey for _, grey in drawn([], 1.0)]
    far = next(iter(draw_planted([], 1.0, RATE, 2, "far", View(200, 240, 0.8))))[1]
    follower = FaceFollower()
    both = [np.hstack([far, grey]) for grey in near]
    transform = [*follower.follow(as_frames(both))].pop().transform
    assert transform is not None
    assert np.abs(transform @ [200 + 160, 120, 1] - 64).max() < 15
    assert "several faces from 0.0 to" in follower.report.sentences()[0]


def test_a_gap_in_the_times_parts_the_runs_and_is_not_filled() -> None:
    grey = drawn([], 0.1)[0][1]
    times = [number / RATE + (1e8 if number >= 10 else 0) for number in range(20)]
    frames = (FacedFrame(VideoFrame(n, t, grey), np.eye(2, 3), 0) for n, t in enumerate(times))
    motion = measure_motion(frames)
    assert motion.runs.tolist() == [1] * 10 + [2] * 10
    assert len(spot_movements(motion)[1].seconds) == 20


def motion_of(places: np.ndarray, turns: np.ndarray | None = None, rate: float = 30) -> Motion:
    """A motion without a video: places [T, R, 2]."""
    count = len(places)
    one = np.ones(count, np.int64)
    turns = np.zeros((count, 2)) if turns is None else turns
    floats = places.astype(np.float32), turns.astype(np.float32)
    return Motion(np.arange(count), np.arange(count) / rate, *floats, one, 0 * one)


def pulse(count: int, middle: int, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((np.arange(count) - middle) / width) ** 2)


def test_kinds_by_pattern_and_length() -> None:
    names = list(REGIONS)
    places = np.zeros((600, len(names), 2))
    for name in EYES:
        places[:, names.index(name), 1] += 3 * pulse(600, 100, 2)
        places[:, names.index(name), 0] += 2 * pulse(600, 200, 8)
    places[:, names.index("mouth corner left"), 1] -= 2 * pulse(600, 300, 3)
    places[:, names.index("chin"), 1] += 2 * pulse(600, 400, 12)
    places[:, :, 0] += 0.5 * pulse(600, 500, 10)[:, None]
    turns = np.zeros((600, 2))
    turns[:, 0] = 2 * pulse(600, 500, 10)
    found, curve = spot_movements(motion_of(places, turns))
    assert [one.kind for one in found] == ["blink", "gaze", "micro", "long", "head"]
    assert [one.apex for one in found] == [100, 200, 300, 400, 500]
    assert found[2].region == "mouth corner left"
    assert len(curve.pixels) == 600


def test_slow_drift_is_no_movement_and_gaps_part_the_runs() -> None:
    places = np.zeros((600, len(REGIONS), 2))
    places += np.linspace(0, 6, 600)[:, None, None]
    motion = motion_of(places)
    assert spot_movements(motion)[0] == []
    # A cut: places begin anew at zero, which is no movement either.
    cut = np.where(np.arange(600) < 300, 1, 2)
    places[300:] = 0
    assert spot_movements(replace(motion, runs=cut))[0] == []


def test_given_key_frames_are_described_not_spotted() -> None:
    places = np.zeros((100, len(REGIONS), 2))
    places[:, 4, 0] = 2 * pulse(100, 50, 4)
    motion = motion_of(places)
    given = given_movement(motion, (44, 50, 56))
    assert (given.onset, given.apex, given.offset, given.given) == (44, 50, 56, True)
    assert given.kind == "micro"
    for wrong in ((40, 40, 60), (40, 50, 130)):
        with pytest.raises(UserError, match=r"order|onset < apex|no face"):
            given_movement(motion, wrong)


def test_planted_events_do_not_overlap_and_empty_videos_have_no_expression() -> None:
    events = plan_events(30, True, 1, "a")
    assert {event.kind for event in events} >= set(EXPRESSIONS)
    assert all(a.offset < b.onset for a, b in pairwise(events))
    assert events == plan_events(30, True, 1, "a")
    assert not {e.kind for e in plan_events(60, False, 1, "a")} & set(EXPRESSIONS)


def test_real_frames_are_warped_where_the_face_is() -> None:
    grey = drawn([], 0.1)[0][1]
    transform = find_face(grey, 128, 5)
    made = dict(plant_in_frames([grey, grey], transform, EVENTS[2:3], 5.0, 10))
    assert (made[0.0] == grey).all()
    changed = np.abs(made[4.2].astype(int) - grey)
    place = np.unravel_index(changed.argmax(), grey.shape)[::-1]
    x, y = transform @ [*place, 1]
    assert 90 < y < 120
    assert min(abs(x - 48.7), abs(x - 95.9)) < 25


def fake_classify(clips: Sequence[ClipFlows]) -> Verdicts:
    scores = np.tile([0.1, 0.7, 0.2], (len(clips), 1))
    activations = np.full((len(clips), len(ACTION_UNITS), 2), 0.25)
    return Verdicts(("negative", "positive", "surprise"), scores, activations, "Trust <nobody>.")


@pytest.fixture(scope="module")
def written(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script writes with a classifier."""
    out = tmp_path_factory.mktemp("out")
    flags = [str(video), "--out", str(out), "--flow", "dis", "--annotated-video"]
    printed = run_main(lambda: predict_video.main(Reader(fake_classify)), flags)
    assert "5 movements" in printed
    return out


def test_the_table_has_times_scores_and_activations(written: Path) -> None:
    with (written / "events.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == [
        "positive", "blink", "positive", "eyes move", "head turns",
    ]  # fmt: skip
    assert rows[0]["score_positive"] == "0.7"
    assert rows[0]["AU12_left"] == rows[0]["gaze_right"] == "0.25"
    assert [row["score_positive"] for row in rows] == ["0.7", "", "0.7", "", ""]
    assert float(rows[2]["apex_seconds"]) == pytest.approx(
        int(rows[2]["apex_frame"]) / RATE, abs=0.01
    )


def test_the_page_is_whole_escaped_and_says_synthetic(written: Path) -> None:
    page = (written / "drawn.html").read_text(encoding="utf-8")
    assert "<h1>SYNTHETIC: Movements in drawn</h1>" in page
    assert "Trust &lt;nobody&gt;." in page
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", page)) == page.count("<img ")
    assert page.count('<h2 id="movement-') == 2


def test_the_annotated_video_is_as_long(written: Path) -> None:
    read = list(open_video(written / "drawn_annotated.mp4").frames())
    assert len(read) == SECONDS * RATE


def test_classes_and_muscles_of_what_was_planted(short: Path, video: Path, tmp_path: Path) -> None:
    """Frames, registration, flow, maps and preparation as the shipped weights expect them."""
    truth = tmp_path / "short.csv"
    truth.write_text(truth_csv([*EVENTS[:1], EVENTS[4]]), encoding="utf-8")
    flags = [str(short), "--out", str(tmp_path), "--truth", str(truth)]
    printed = run_main(predict_video.main, flags)
    assert "found: micro (surprise) from 1.00 to 1.400 s, as micro, said to be: surprise" in printed
    assert "missed: head (head)" in printed
    assert "1 of 2 found, 0 false alarms; 1 of 1 found expressions classified right" in printed
    assert "about 4 of 5 right on new people" in printed
    [row] = pd.read_csv(tmp_path / "events.csv").to_dict("records")
    muscles = {name: row[name] for name in COLUMNS}
    assert {name[:3] for name in sorted(muscles, key=muscles.__getitem__)[-4:]} == {"AU1", "AU2"}
    page = (tmp_path / "short.html").read_text(encoding="utf-8")
    assert "about 4 of 5 right" in page and "Muscles as red and blue spots" in page


def test_the_demonstration_says_what_is_planted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.video.planted.DEMO_SECONDS", 0.2)
    path = tmp_path / "face.mp4"
    flags = ["--what", "video", "--out", str(path)]
    assert "SYNTHETIC" in run_main(make_synthetic.main, flags)
    assert open_video(path).synthetic
    rows = pd.read_csv(path.with_suffix(".csv"), keep_default_na=False).to_dict("records")
    assert [row["kind"] for row in rows] == ["micro", "blink", "long", "micro"]
    assert [row["label"] for row in rows] == ["surprise", "", "positive", "negative"]
    flags[-1] = str(tmp_path / "face.txt")
    assert "give the name of an MP4 file" in run_main(make_synthetic.main, flags, refused=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("kind,onset\nmicro,1\n", "offset"), ("kind,onset,offset\nmicro,a,2\n", "must be seconds")],
)
def test_a_faulty_truth_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=reason):
        compare_with_truth(pd.DataFrame(), tmp_path / "t.csv")


def test_the_side_of_a_smile_is_told(tmp_path: Path) -> None:
    smile = PlantedEvent("micro", ("L12",), 1, 1.0, 1.2, 1.4, 3.0, (1,))
    write_video(tmp_path / "v.mp4", drawn([smile], 1.8))
    [event] = analyse(open_video(tmp_path / "v.mp4")).events
    sides = read_muscles(small_flows([event.clip]))[0]
    # The subject's left is the picture's right.
    assert np.unravel_index(np.abs(sides).argmax(), sides.shape) == (ACTION_UNITS.index("12"), 1)
    mirrored = small_flows([event.clip])[:, :, :, ::-1] * np.array([-1, 1], np.float32)
    # Not to the last bit: the phases are compared at every second pixel, which are others here.
    np.testing.assert_allclose(read_muscles(mirrored)[0, :-1], sides[:-1, ::-1], atol=0.01)


def test_drawn_muscles_lie_where_they_pull() -> None:
    grey = np.full((128, 128), 100, np.uint8)
    activations = np.zeros((len(ACTION_UNITS), 2))
    activations[ACTION_UNITS.index("12")] = 1, -1
    picture = draw_muscles(grey, activations).astype(int)
    redder = picture[..., 0] - picture[..., 2]
    places = [np.unravel_index(one, redder.shape) for one in (redder.argmax(), redder.argmin())]
    (y_left, left), (y_right, right) = places
    assert left < 128 < right and min(y_left, y_right) > 170
    assert (draw_muscles(grey, 0 * activations) == 100).all()


def test_weights_that_videos_cannot_feed_are_refused(short: Path, tmp_path: Path) -> None:
    flags = [str(short), "--out", str(tmp_path), "--weights", str(tmp_path / "absent")]
    assert "is no folder of weights" in run_main(predict_video.main, flags, refused=True)
    method = load_method("mmnet")
    description = {
        "settings": {},
        "preparation": {},
        "class_names": list(CLASS_NAMES),
        "configuration": "",
        "seed": 1,
        "epoch": 1,
        "epoch_rule": "last",
        "method": method.name,
    }
    (tmp_path / "description.json").write_text(json.dumps(description))
    (tmp_path / "all.safetensors").write_bytes(b"")
    flags[-1] = str(tmp_path)
    assert "color frames" in run_main(predict_video.main, flags, refused=True)


def test_without_a_classifier_its_columns_are_absent(short: Path, tmp_path: Path) -> None:
    flags = [str(short), "--out", str(tmp_path), "--flow", "dis"]
    flags += ["--onset", "1.0s", "--apex", "1.2s", "--offset", "42"]
    run_main(lambda: predict_video.main(Reader()), flags)
    text = (tmp_path / "events.csv").read_text(encoding="utf-8")
    header, row = text.splitlines()
    assert "score" not in header
    assert row.startswith("short,micro,30,1.0,36,1.2,42,1.4,")
    assert row.endswith(",True,not classified")


def test_what_cannot_be_told_is_not_told(short: Path) -> None:
    spotted = analyse(open_video(short), flow="dis").events[0].spotted
    classes = ("a", "b")
    assert verdict(spotted, classes, np.array([0.45, 0.55])) == "b"
    assert verdict(spotted, ("a", "b", "c"), np.array([0.4, 0.3, 0.3])) == NOTHING_TOLD
    unclear = replace(spotted, quality=0.1)
    assert verdict(unclear, classes, np.array([0.0, 1.0])) == NOTHING_TOLD


def test_wrong_input_ends_with_one_line(short: Path, tmp_path: Path) -> None:
    write_video(
        tmp_path / "empty.mp4", [(n / 30, np.full((64, 96), 99, np.uint8)) for n in range(9)]
    )
    good, empty, out = str(short), str(tmp_path / "empty.mp4"), ["--out", str(tmp_path / "out")]
    cases = {
        "nothing to look at": [],
        "no face is found": [empty],
        "is not there": [str(tmp_path / "absent.mp4")],
        "as many --apex": [good, "--onset", "1"],
        "onset < apex < offset": [good, "--onset", "9", "--apex", "5", "--offset", "12"],
        "give a frame number": [good, "--onset", "a", "--apex", "5", "--offset", "12"],
        "no face is found at frame 9000": [
            good, "--onset", "1", "--apex", "5", "--offset", "9000",
        ],
        "belong to one video": [
            good, good, "--onset", "1", "--apex", "5", "--offset", "12",
        ],
    }  # fmt: skip
    for reason, flags in cases.items():
        error = run_main(predict_video.main, [*flags, *out], refused=True)
        assert reason in error, error
        assert error.count("\n") == 1


def test_one_bad_video_does_not_keep_the_others_from_it(short: Path, tmp_path: Path) -> None:
    flags = [str(tmp_path / "absent.mp4"), str(short), "--out", str(tmp_path), "--flow", "dis"]
    assert "absent.mp4 is not there" in run_main(predict_video.main, flags, refused=True)
    assert (tmp_path / "short.html").is_file()
    assert (tmp_path / "events.csv").is_file()
