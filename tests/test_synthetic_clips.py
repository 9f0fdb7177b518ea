"""Synthetic clips: reproducible, moved as their true motion says, neither trivial nor hopeless."""

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.errors import UserError
from datasets import Preparation, loso_folds, prepare, read_inputs, write_table
from datasets.frames.flow import clip_maps, phase_flows
from datasets.pictures.clip import GAP, TILE, ClipPicture, draw_contact_sheet, flow_colors
from datasets.pictures.synthetic import draw_synthetic_clip
from datasets.synthetic.clips import (
    ClipSpec,
    draw_clip,
    find_synthetic_clip,
    list_synthetic_clips,
)
from datasets.synthetic.courses import ACTION_UNITS, AMPLITUDE
from datasets.synthetic.faces import View, draw_face_of
from datasets.synthetic.inputs import write_synthetic_inputs
from datasets.synthetic.muscles import muscle_field, muscles_of

ROOT = Path(__file__).resolve().parent.parent
UPWARDS, DOWNWARDS = -1, 1


def stretch_apart(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Grey values of mean 0 and deviation 1, so that flicker does not count as a difference."""
    return (pixels - pixels.mean()) / pixels.std()


def difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean absolute difference away from the border, in grey-value deviations."""
    inner = [picture[8:-8, 8:-8].astype(np.float32) for picture in (first, second)]
    return float(np.abs(stretch_apart(inner[0]) - stretch_apart(inner[1])).mean())


def test_a_clip_does_not_depend_on_the_clips_drawn_before_it() -> None:
    spec = list_synthetic_clips(2, 3)[4]
    alone = draw_clip(spec)
    after_others = [draw_clip(other) for other in reversed(list_synthetic_clips(2, 3)[:6])]
    again = next(clip for clip in after_others if clip.spec == spec)
    assert np.array_equal(alone.frames, again.frames)
    assert np.array_equal(alone.motion, again.motion)
    assert not np.array_equal(alone.frames[0], draw_clip(replace(spec, seed=2)).frames[0])


def test_a_longer_list_begins_each_subject_like_a_shorter_one() -> None:
    short, long = list_synthetic_clips(2, 3), list_synthetic_clips(4, 9)
    assert set(short) < set(long)
    assert len(short) == 3 * 2 * 3
    assert len({spec.stem for spec in long}) == len(long) == 3 * 4 * 9


def test_names_are_like_those_of_the_three_datasets() -> None:
    shapes = {
        "casme2": r"sub\d\d/EP\d\d_\d\d",
        "samm": r"(0\d\d)/\1_\d+_\d+",
        "smic": r"(s\d\d)/\1_(ne|po|sur)_\d\d",
    }
    for spec in list_synthetic_clips(3, 8):
        assert re.fullmatch(shapes[spec.dataset], f"{spec.subject}/{spec.clip}")
        if spec.dataset == "smic":
            assert ("ne", "po", "sur")[spec.label] in spec.clip
    assert find_synthetic_clip("s02/s02_ne_03") in list_synthetic_clips(2, 8)


def test_every_subject_shows_every_class() -> None:
    clips = pd.DataFrame(list_synthetic_clips(4, 8))
    counts = clips.groupby(["dataset", "subject"])["label"].value_counts().unstack()
    assert (counts == [4, 2, 2]).all(axis=None)


def test_key_frames_are_in_order_and_inside_the_clip() -> None:
    for spec in list_synthetic_clips(1, 8):
        clip = draw_clip(spec)
        assert 0 <= clip.onset < clip.apex < clip.offset < len(clip.frames)
        assert clip.frames.shape[1:] == (128, 128)
        assert 16 <= len(clip.frames) <= 25
        assert clip.action_units in ACTION_UNITS[spec.label]


def test_true_motion_brings_the_second_key_frame_back_onto_the_first() -> None:
    kept = []
    for spec in list_synthetic_clips(2, 4):
        clip = draw_clip(spec)
        for phase, (first, second) in enumerate(
            ((clip.onset, clip.apex), (clip.apex, clip.offset))
        ):
            target = View().pixels() + clip.motion[phase]
            brought_back = np.asarray(
                cv2.remap(clip.frames[second], target, None, cv2.INTER_CUBIC), dtype=np.uint8
            )
            before = difference(clip.frames[first], clip.frames[second])
            kept.append(difference(clip.frames[first], brought_back) / before)
    # Noise alone remains; a field with a wrong sign or swapped axes leaves more than before.
    assert np.median(kept) < 0.4
    assert max(kept) < 0.85


@pytest.mark.parametrize(
    ("unit", "direction", "highest", "lowest"),
    [("1", UPWARDS, 25, 50), ("12", UPWARDS, 90, 110), ("26", DOWNWARDS, 100, 128)],
)
def test_action_units_pull_the_right_way_in_the_right_place(
    unit: str, direction: int, highest: int, lowest: int
) -> None:
    face = draw_face_of(1, "casme2", "sub01")
    for muscle in muscles_of(unit):
        field = muscle_field(face, View(), muscle)
        row, column = np.unravel_index(np.abs(field[..., 1]).argmax(), field.shape[:2])
        assert np.sign(field[row, column, 1]) == direction
        assert highest < row < lowest
        assert (column > 64) == (muscle.side > 0)


def test_a_class_moves_its_muscles_by_one_to_three_pixels() -> None:
    """Seen in the motion, relative to its median, which is mostly the head's."""
    longest = []
    for spec in list_synthetic_clips(3, 8):
        motion = draw_clip(spec).motion[0]
        longest.append(np.linalg.norm(motion - np.median(motion, axis=(0, 1)), axis=-1).max())
    assert AMPLITUDE[0] < np.median(longest) < AMPLITUDE[1]


def test_a_turned_and_larger_view_shows_the_same_motion_turned_and_larger() -> None:
    spec = list_synthetic_clips(1, 1)[0]
    view = View(width=320, height=240, scale=1.4, angle=10.0, shift=(12.0, -7.0))
    registered, turned = draw_clip(spec), draw_clip(spec, view)
    at = view.face_coordinates()
    inside = ((at > 8) & (at < 120)).all(axis=-1)
    seen = cv2.remap(registered.motion[0], at, None, cv2.INTER_LINEAR)
    expected = view.scale * seen @ view.rotation().T
    error = np.linalg.norm(turned.motion[0] - expected, axis=-1)[inside]
    assert turned.frames.shape[1:] == (240, 320)
    assert error.max() < 0.05
    assert np.linalg.norm(expected, axis=-1)[inside].max() > 1


def uf1_of_logistic_regression(specs: list[ClipSpec], maps: NDArray[np.uint8]) -> float:
    """Leave-one-subject-out UF1 of a linear classifier on u and v of the onset to apex map."""
    views = prepare(maps, Preparation(regions=False, center=True, mirror=True))[:, :, 0, 1:]
    small = views.reshape(*views.shape[:3], 14, 2, 14, 2).mean(axis=(-3, -1))
    features = small.reshape(*small.shape[:2], -1)
    clips = pd.DataFrame(specs)
    labels = clips["label"].to_numpy()
    predicted = np.empty_like(labels)
    for fold in loso_folds(clips):
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
        )
        train = fold.train_indices
        model.fit(np.concatenate(features[:, train]), np.tile(labels[train], 2))
        predicted[fold.test_indices] = model.predict(features[0, fold.test_indices])
    return float(f1_score(labels, predicted, average="macro"))


def draw_maps(spec: ClipSpec) -> tuple[ClipSpec, NDArray[np.uint8]]:
    return spec, clip_maps(phase_flows(draw_clip(spec).key_frames, "dis"))


def test_a_linear_classifier_tells_the_classes_fairly_but_not_perfectly() -> None:
    specs = list_synthetic_clips()
    drawn = dict(map(draw_maps, specs))
    maps = np.stack([drawn[spec] for spec in specs])
    assert 0.6 < uf1_of_logistic_regression(specs, maps) < 0.85


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_script_writes_inputs_that_say_synthetic(tmp_path: Path) -> None:
    command = [sys.executable, "make_synthetic.py", "--n-subjects", "1", "--n-clips", "2"]
    command += ["--flow", "dis", "--out", str(tmp_path / "one"), "--workers", "1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1].startswith("synthetic: 6 clips of 3 drawn subjects")
    inputs = read_inputs(tmp_path / "one")
    assert inputs.synthetic
    assert len(inputs.clips) == 6
    assert "SYNTHETIC" in (tmp_path / "one" / "README.txt").read_text()
    specs = list_synthetic_clips(1, 2)
    assert set(write_synthetic_inputs(tmp_path / "two", specs, "dis", workers=2)) == set(specs)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_inputs_that_are_not_synthetic_are_never_overwritten(tmp_path: Path) -> None:
    specs = list_synthetic_clips(1, 1)
    write_table(tmp_path, pd.DataFrame(specs), synthetic=False)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="not synthetic"):
        list(write_synthetic_inputs(tmp_path, specs, "dis"))
    assert contents(tmp_path) == before


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(UserError, match="1 to 99"):
        list_synthetic_clips(0, 8)
    with pytest.raises(UserError, match="sub01/EP01_01"):
        find_synthetic_clip("sub01/EP99")


def test_the_picture_of_a_clip_is_the_same_png_each_time() -> None:
    clip = draw_clip(list_synthetic_clips(1, 1)[0])
    first, second = (draw_synthetic_clip(clip, "dis") for _ in range(2))
    assert first == second
    picture = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    # The true motion stands in a column of its own.
    without = draw_contact_sheet(ClipPicture("", "", clip.frames[:3], (0, 1, 2), clip.motion))
    narrower = cv2.imdecode(np.frombuffer(without, np.uint8), cv2.IMREAD_COLOR)
    assert narrower is not None
    assert picture.shape[1] == narrower.shape[1] + TILE + GAP


def test_flow_colors_are_white_without_motion_and_red_to_the_right() -> None:
    flow = np.zeros((1, 3, 2), dtype=np.float32)
    flow[0, 1], flow[0, 2] = (2.0, 0.0), (-2.0, 0.0)
    assert flow_colors(flow, 2.0)[0].tolist() == [[255, 255, 255], [255, 0, 0], [0, 255, 255]]
