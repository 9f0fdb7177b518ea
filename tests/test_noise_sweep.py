"""A sweep over key-frame conditions: right maps, each frame pair computed once and reused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from common.files import claim_folder
from datasets.arrays import ClipArray, open_array
from datasets.frames import noise_sweep
from datasets.frames.build import InputSettings, build_clips, compute_clip, plan_clips
from datasets.frames.key_frame_noise import RELATIVE_LEVELS, KeyFrameNoise
from datasets.frames.noise_sweep import KeyFrameCondition, sweep_key_frames
from datasets.raw import RawClip, RawSource, read_raw_dataset
from tests.helpers.raw_fixtures import write_drawn_casme2
from tests.helpers.scripts import folder_bytes

SETTINGS = InputSettings("dis", registered=True)
LEVELS = [KeyFrameNoise("offset", level, seed=4) for level in RELATIVE_LEVELS]
CONDITIONS: list[KeyFrameCondition] = ["annotated", "spotted", *LEVELS]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[RawClip]:
    """Four drawn clips."""
    folder = tmp_path_factory.mktemp("raw")
    sheet = write_drawn_casme2(folder, subjects=2)
    return read_raw_dataset(RawSource("casme2", sheet, folder, registered=True)).clips


@pytest.fixture
def counted_flows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each flow that a sweep in this process computes for a map."""
    counted: list[int] = []
    original = noise_sweep.phase_flow

    def counting(*arguments):  # type: ignore[no-untyped-def]
        counted.append(1)
        return original(*arguments)

    monkeypatch.setattr(noise_sweep, "phase_flow", counting)
    return counted


def test_maps_are_those_of_the_moved_key_frames(clips: list[RawClip], tmp_path: Path) -> None:
    sweep = sweep_key_frames(clips, CONDITIONS, SETTINGS, tmp_path)
    table = sweep.key_frames.set_index(["condition", "subject", "clip"])
    for condition, maps in sweep.maps.items():
        name = condition if isinstance(condition, str) else condition.name
        for clip, clip_maps in zip(clips, maps, strict=True):
            row = table.loc[name, clip.subject, clip.clip]
            frames = {key: clip.frame_path(row[key]) for key in ("onset", "apex", "offset")}
            np.testing.assert_array_equal(clip_maps, compute_clip(frames, SETTINGS).maps)
    unmoved = table.loc["annotated", ["onset", "apex", "offset"]].to_numpy()
    assert (unmoved == [[c.onset, c.apex, c.offset] for c in clips]).all()
    spotted = table.loc["spotted"]
    assert (spotted["onset"] == [clip.frame_numbers[0] for clip in clips]).all()
    assert (spotted["offset"] == [clip.frame_numbers[-1] for clip in clips]).all()


def test_each_distinct_pair_is_computed_once_and_reused(
    clips: list[RawClip], tmp_path: Path, counted_flows: list[int]
) -> None:
    sweep = sweep_key_frames(clips, [*CONDITIONS, KeyFrameNoise("all", 0)], SETTINGS, tmp_path)
    by_clip = sweep.key_frames.groupby(["subject", "clip"])
    pairs = sum(
        len({*zip(t["onset"], t["apex"], strict=True), *zip(t["apex"], t["offset"], strict=True)})
        for _, t in by_clip
    )
    assert len(counted_flows) == pairs
    assert pairs < 2 * len(clips) * len(CONDITIONS) * 0.7
    sweep_key_frames(clips, CONDITIONS, SETTINGS, tmp_path)
    assert len(counted_flows) == pairs
    more = sweep_key_frames(clips, [KeyFrameNoise("offset", 8, "frames")], SETTINGS, tmp_path)
    moved = (more.key_frames["offset"] != [clip.offset for clip in clips]).sum()
    assert pairs < len(counted_flows) <= pairs + moved


def test_flow_and_frames_are_those_that_build_inputs_stores(
    clips: list[RawClip], tmp_path: Path
) -> None:
    settings = InputSettings("dis", registered=True, frame_size=64)
    names = ("flow", "frames")
    conditions: list[KeyFrameCondition] = ["annotated", KeyFrameNoise("all", 0.3, seed=2)]
    sweep = sweep_key_frames(clips, conditions, settings, tmp_path / "store", inputs=names)
    table = pd.DataFrame({"dataset": "casme2", "stem": [clip.stem for clip in clips]})
    for number, condition in enumerate(conditions):
        columns, arrays = sweep.columns(condition), sweep.arrays(condition)
        places: list[dict[str, Any]] = [
            {name: int(columns[name][place]) for name in ("onset", "apex", "offset")}
            for place in range(len(clips))
        ]
        moved = [replace(clip, **place) for clip, place in zip(clips, places, strict=True)]
        out = tmp_path / str(number)
        with claim_folder(out):
            list(build_clips(plan_clips(moved, out, settings)[0], out, settings))
        for name in names:
            assert isinstance(arrays[name], ClipArray)
            built = open_array(out, name, table)
            np.testing.assert_array_equal(arrays[name], built)
            np.testing.assert_array_equal(arrays[name][[2, 0]], built[[2, 0]])
    still, noisy = (sweep.arrays(condition)["flow"] for condition in conditions)
    assert (np.asarray(still) != np.asarray(noisy)).any()


def test_each_frame_is_kept_once_and_other_sizes_leave_the_flow(
    clips: list[RawClip], tmp_path: Path, counted_flows: list[int]
) -> None:
    settings = InputSettings("dis", registered=True, frame_size=64)
    names = ("flow", "frames")
    sweep_key_frames(clips[:1], CONDITIONS, settings, tmp_path, inputs=names)
    with np.load(tmp_path / "frames" / f"casme2_{clips[0].stem}.npz") as stored:
        assert 9 < len(stored.files) <= len(clips[0].frame_numbers)
    computed = len(counted_flows)
    sweep_key_frames(clips[:1], CONDITIONS, SETTINGS, tmp_path)
    larger = replace(settings, frame_size=80)
    sweep = sweep_key_frames(clips[:1], CONDITIONS, larger, tmp_path, inputs=names)
    assert len(counted_flows) == computed
    assert sweep.arrays("spotted")["frames"].shape == (1, 9, 80, 80, 3)


def test_an_input_that_frames_do_not_give_is_refused(clips: list[RawClip], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="frames give no input audio, but maps, flow, frames"):
        sweep_key_frames(clips, ["annotated"], SETTINGS, tmp_path, inputs=("maps", "audio"))


def test_two_workers_give_the_same_as_one(clips: list[RawClip], tmp_path: Path) -> None:
    settings, names = replace(SETTINGS, frame_size=64), ("flow", "frames")
    one = sweep_key_frames(clips, CONDITIONS, settings, tmp_path / "one", 1, names)
    two = sweep_key_frames(clips, CONDITIONS, settings, tmp_path / "two", 2, names)
    assert one.key_frames.equals(two.key_frames)
    for condition in CONDITIONS:
        np.testing.assert_array_equal(one.maps[condition], two.maps[condition])
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two")


def test_changed_frames_and_settings_are_computed_anew(
    clips: list[RawClip], tmp_path: Path, counted_flows: list[int]
) -> None:
    sweep_key_frames(clips[:1], ["annotated"], SETTINGS, tmp_path)
    path = clips[0].frame_path(clips[0].apex)
    before = path.read_bytes()
    try:
        path.write_bytes(clips[0].frame_path(clips[0].offset).read_bytes())
        changed = sweep_key_frames(clips[:1], ["annotated"], SETTINGS, tmp_path)
    finally:
        path.write_bytes(before)
    assert len(counted_flows) == 4
    assert not changed.maps["annotated"][0, 1].any()
    sweep_key_frames(clips[:1], ["annotated"], InputSettings("dis", 64, False, True), tmp_path)
    assert len(counted_flows) == 6
    next(tmp_path.iterdir()).write_bytes(b"damaged")
    sweep_key_frames(clips[:1], ["annotated"], SETTINGS, tmp_path)
    assert len(counted_flows) == 8


def test_clips_without_usable_frames_are_all_named(clips: list[RawClip], tmp_path: Path) -> None:
    paths = [clip.frame_path(clip.offset) for clip in clips[:2]]
    kept = [path.read_bytes() for path in paths]
    try:
        for path in paths:
            path.write_bytes(b"x")
        with pytest.raises(UserError, match=rf"2 clips.*{clips[0].stem}.*{clips[1].stem}"):
            sweep_key_frames(clips, ["annotated"], SETTINGS, tmp_path)
    finally:
        for path, content in zip(paths, kept, strict=True):
            path.write_bytes(content)
