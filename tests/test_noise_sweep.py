"""A sweep over key-frame conditions: right maps, each frame pair computed once and reused."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from datasets.frames import noise_sweep
from datasets.frames.build import InputSettings, compute_clip
from datasets.frames.key_frame_noise import RELATIVE_LEVELS, KeyFrameNoise
from datasets.frames.noise_sweep import KeyFrameCondition, sweep_key_frames
from datasets.raw import RawClip, RawSource, read_raw_dataset
from tests.helpers.raw_fixtures import write_drawn_casme2

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


def test_two_workers_give_the_same_as_one(clips: list[RawClip], tmp_path: Path) -> None:
    one = sweep_key_frames(clips, CONDITIONS, SETTINGS, tmp_path / "one", 1)
    two = sweep_key_frames(clips, CONDITIONS, SETTINGS, tmp_path / "two", 2)
    assert one.key_frames.equals(two.key_frames)
    for condition in CONDITIONS:
        np.testing.assert_array_equal(one.maps[condition], two.maps[condition])
    files = [sorted((tmp_path / name).iterdir()) for name in ("one", "two")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


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
