"""The key-frame-noise protocol: sizes, order, pairing, independence of other clips."""

import itertools

import numpy as np
import pytest

from common.errors import UserError
from datasets.frames.key_frame_noise import (
    FRAME_LEVELS,
    KEY_FRAMES,
    RELATIVE_LEVELS,
    KeyFrameNoise,
    KeyFrames,
    NoisyFrames,
    NoisyKeyFrames,
    add_key_frame_noise,
    noise_draw,
)

LONG = KeyFrames(onset=200, apex=300, offset=500)
LAST = 1000


def moved(noise: KeyFrameNoise, clip: str = "EP01", key_frames: KeyFrames = LONG) -> NoisyKeyFrames:
    return add_key_frame_noise(key_frames, LAST, noise, "casme2", "sub01", clip)


@pytest.mark.parametrize(("frame", "length"), [("onset", 100), ("apex", 300), ("offset", 200)])
@pytest.mark.parametrize("level", RELATIVE_LEVELS)
def test_relative_shift_is_the_draw_times_level_times_phase_length(
    frame: NoisyFrames, length: int, level: float
) -> None:
    for seed in range(20):
        noisy = moved(KeyFrameNoise(frame, level, seed=seed)).key_frames
        draw = noise_draw(seed, "casme2", "sub01", "EP01", frame)  # type: ignore[arg-type]
        # 0.3 of 300 frames can reach the onset's side of 200..500 but not cross 201..499.
        assert getattr(noisy, frame) == getattr(LONG, frame) + round(draw * level * length)


@pytest.mark.parametrize("level", FRAME_LEVELS)
def test_absolute_shift_is_at_most_the_level_and_all_three_use_their_own_draws(level: int) -> None:
    noises = [KeyFrameNoise("all", level, "frames", seed) for seed in range(60)]
    frames = np.array([list(vars(moved(noise).key_frames).values()) for noise in noises])
    shifts = frames - [LONG.onset, LONG.apex, LONG.offset]
    assert np.abs(shifts).max() == level
    assert abs(np.corrcoef(shifts.T)[np.triu_indices(3, 1)]).max() < 0.5


def test_levels_and_units_of_a_seed_share_their_draws() -> None:
    tenth_of_300_frames = moved(KeyFrameNoise("apex", 0.1, "relative", seed=3)).key_frames.apex
    thirty_frames = moved(KeyFrameNoise("all", 30, "frames", seed=3)).key_frames.apex
    assert tenth_of_300_frames == thirty_frames != LONG.apex


def test_draws_cover_the_interval_and_differ_between_clips_frames_and_seeds() -> None:
    draws = [
        noise_draw(seed, "samm", "006", f"006_1_{clip}", frame)
        for seed, clip, frame in itertools.product(range(5), range(100), KEY_FRAMES[:2])
    ]
    assert len(set(draws)) == len(draws)
    assert -1 <= min(draws) < -0.95
    assert 0.95 < max(draws) < 1
    assert abs(np.mean(draws)) < 0.06


def test_order_and_bounds_hold_for_short_clips() -> None:
    for onset, apex, offset, last in itertools.combinations_with_replacement(range(6), 4):
        key_frames = KeyFrames(onset, apex, offset)
        for frames, seed in itertools.product(("onset", "apex", "offset", "all"), range(8)):
            noise = KeyFrameNoise(frames, 8, "frames", seed)  # type: ignore[arg-type]
            noisy = add_key_frame_noise(key_frames, last, noise, "smic", "s01", "s01_ne_01")
            if noisy.too_short:
                assert noisy.key_frames == key_frames
                continue
            result = noisy.key_frames
            assert 0 <= result.onset < result.apex < result.offset <= last


def test_a_clip_without_room_keeps_its_frames_and_says_so() -> None:
    tight = KeyFrames(0, 1, 2)
    noise = KeyFrameNoise("all", 0.3)
    assert add_key_frame_noise(tight, 2, noise, "d", "s", "c") == NoisyKeyFrames(
        tight, ("onset", "apex", "offset")
    )
    apex_is_onset = KeyFrames(5, 5, 9)
    noisy = add_key_frame_noise(apex_is_onset, 20, KeyFrameNoise("offset", 0.3), "d", "s", "c")
    assert noisy == NoisyKeyFrames(apex_is_onset, ("offset",))
    assert moved(KeyFrameNoise("all", 0), key_frames=apex_is_onset).too_short == ()


@pytest.mark.parametrize("unit", ["relative", "frames"])
@pytest.mark.parametrize("frames", ["onset", "apex", "all"])
def test_an_apex_on_the_onset_moves_where_there_is_room(frames: NoisyFrames, unit: str) -> None:
    apexes = set()
    for seed in range(40):
        noise = KeyFrameNoise(frames, 0.3 if unit == "relative" else 8, unit, seed)  # type: ignore[arg-type]
        noisy = add_key_frame_noise(KeyFrames(2, 2, 20), 30, noise, "d", "s", "c")
        assert noisy.too_short == ()
        result = noisy.key_frames
        assert 0 <= result.onset < result.apex < result.offset <= 30
        apexes.add(result.apex)
    # The onset alone moves before the apex; the apex, which may not, goes through its draws.
    assert (apexes == {2}) if frames == "onset" else len(apexes) > 4


def test_the_only_other_place_is_taken_and_the_only_place_is_too_short() -> None:
    noise = KeyFrameNoise("apex", 8, "frames")
    noisy = add_key_frame_noise(KeyFrames(0, 0, 2), 2, noise, "d", "s", "c")
    assert noisy == NoisyKeyFrames(KeyFrames(0, 1, 2), ())
    for key_frames in (KeyFrames(0, 0, 1), KeyFrames(0, 1, 2)):
        noisy = add_key_frame_noise(key_frames, 2, noise, "d", "s", "c")
        assert noisy == NoisyKeyFrames(key_frames, ("apex",))


@pytest.mark.parametrize(
    ("frames", "level", "unit"), [("middle", 0.1, "relative"), ("apex", -1, "frames")]
)
def test_unknown_conditions_are_refused(frames: NoisyFrames, level: float, unit: str) -> None:
    with pytest.raises(UserError, match=r"middle|at least 0"):
        KeyFrameNoise(frames, level, unit)  # type: ignore[arg-type]


def test_key_frames_outside_the_clip_are_refused() -> None:
    with pytest.raises(UserError, match=r"sub01/EP01.*0\.\.1000"):
        moved(KeyFrameNoise("apex", 0.1), key_frames=KeyFrames(10, 20, 1001))
