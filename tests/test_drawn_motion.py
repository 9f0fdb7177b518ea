"""Drawn motion fields: at the right places, of the right size, and the same for the same seed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import make_synthetic
from common.action_units import ACTION_UNITS
from datasets.synthetic import motion
from datasets.synthetic.faces import View, draw_face_of
from datasets.synthetic.motion import (
    EYES,
    MARGIN,
    MOST_OF_POOR,
    MUSCLES,
    ONE_SIDED,
    POOR_CHANCE,
    SIZE,
    USUAL,
    MotionFaces,
    draw_activations,
    draw_motion,
    draw_motion_faces,
    draw_muscle_motion,
    draw_two_phases,
    phase_shares,
    spoil,
)
from datasets.synthetic.muscles import Muscle, muscle_field
from tests.helpers.scripts import run_here


@pytest.fixture(scope="module")
def faces() -> MotionFaces:
    """Four faces."""
    return draw_motion_faces(1, count=4)


@pytest.fixture(scope="module")
def activations() -> NDArray[np.float32]:
    """Of 4,000 draws, by unit and side, [4000, 16, 2]."""
    generator = np.random.default_rng(1)
    draws = [draw_activations(generator).reshape(len(ACTION_UNITS), 2) for _ in range(4000)]
    return np.stack(draws)


def test_the_same_generator_gives_the_same_samples(faces: MotionFaces) -> None:
    first, again, other = (draw_motion(np.random.default_rng(n), faces, 3) for n in (1, 1, 2))
    for own, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(own, same)
    assert first[0].shape == (3, 2, SIZE, SIZE) and first[1].shape == (3, len(MUSCLES))
    assert not np.array_equal(first[0], other[0])


def test_a_pixel_of_28_lies_in_the_middle_of_the_pixels_of_128_that_it_averages(
    faces: MotionFaces,
) -> None:
    """A field of 448 pixels a side, reduced by area, gives the field drawn at 28, to .02 px."""
    face = draw_face_of(1, "motion", "0")
    fine = View(448, 448, 3.5, shift=(1.25, 1.25))
    np.testing.assert_allclose(fine.face_coordinates()[0, 0], (1 / 3.5 - 1) / 2, atol=1e-4)
    for muscle in (Muscle("12", 1), Muscle("1", -1), Muscle("26", 1)):
        expected = muscle_field(face, fine, muscle).reshape(28, 16, 28, 16, 2).mean(axis=(1, 3))
        drawn = faces.fields[0, MUSCLES.index(muscle), MARGIN:-MARGIN, MARGIN:-MARGIN]
        for ours, theirs in zip(middle_of(drawn), middle_of(expected), strict=True):
            assert ours == pytest.approx(theirs, abs=0.02)


def middle_of(field: NDArray[np.floating]) -> list[float]:
    """Row and column of the center of motion, in pixels."""
    length = np.linalg.norm(field, axis=-1)
    return [float((place * length).sum() / length.sum()) for place in np.indices(length.shape)]


def test_combinations_are_of_known_units_and_differ() -> None:
    assert {unit for combination in USUAL for unit in combination.split("+")} == set(
        ACTION_UNITS
    ) - set(EYES)
    assert len({frozenset(combination.split("+")) for combination in USUAL}) == len(USUAL) >= 40


def test_blinks_and_gaze_join_at_their_rate_in_either_sign(
    activations: NDArray[np.float32],
) -> None:
    for unit, chance in EYES.items():
        signs = np.sign(activations[:, ACTION_UNITS.index(unit)])
        assert (signs[:, 0] == signs[:, 1]).all()
        assert (signs != 0).mean() == pytest.approx(chance, abs=0.025)
        assert signs[signs != 0].mean() == pytest.approx(0, abs=0.12)
    others = [place for place, unit in enumerate(ACTION_UNITS) if unit not in EYES]
    assert (activations[:, others] >= 0).all()
    assert (activations[:, others].any(axis=2).sum(axis=1) >= 1).all()


def test_one_side_may_be_nearly_still(activations: NDArray[np.float32]) -> None:
    for unit in ("12", "2", "17"):
        pulls = activations[:, ACTION_UNITS.index(unit)]
        pulls = pulls[pulls.any(axis=1)]
        unequal = pulls.min(axis=1) < 0.3 * pulls.max(axis=1)
        assert unequal.mean() == pytest.approx(ONE_SIDED.get(unit, 0), abs=0.08)


def test_the_longest_vector_is_one_and_activations_have_its_unit(faces: MotionFaces) -> None:
    generator = np.random.default_rng(2)
    for _ in range(20):
        clean, oval, activations = draw_muscle_motion(generator, faces)
        longest = np.linalg.norm(clean, axis=-1).max()
        assert longest == pytest.approx(1, abs=1e-5) or np.abs(activations).max() > 3
        assert 0.5 < np.abs(activations).max() < 4
        assert oval.min() >= 0 and oval[13:15, 13:15].min() > 0.99


def test_a_view_moves_and_turns_the_motion_by_no_more_than_a_registered_face_may(
    faces: MotionFaces,
) -> None:
    """A smile's center of motion varies by the view's shift, and its direction by its angle."""
    generator = np.random.default_rng(3)
    alone = MotionFaces(faces.fields[:1], faces.ovals[:1])
    places: list[list[float]] = []
    angles: list[float] = []
    while len(places) < 60:
        clean, _, activations = draw_muscle_motion(generator, alone)
        if set(np.flatnonzero(activations)) != {16, 17}:
            continue
        places.append(middle_of(clean))
        angles.append(np.rad2deg(np.arctan2(*clean.mean(axis=(0, 1))[::-1])))
    assert 1 < np.std(places, axis=0).mean() < 4
    assert -110 < np.median(angles) < -70


def test_spoilt_motion_still_resembles_the_true_one(faces: MotionFaces) -> None:
    generator = np.random.default_rng(4)
    cosines = []
    for _ in range(200):
        clean, oval, _ = draw_muscle_motion(generator, faces)
        seen = spoil(generator, clean, oval)
        cosines.append((clean * seen).sum() / np.linalg.norm(clean) / np.linalg.norm(seen))
    assert 0.3 < np.median(cosines) < 0.8


def test_without_noise_the_relaxation_is_minus_the_contraction_or_a_part_of_it(
    faces: MotionFaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion, "spoil", lambda _, clean, oval: clean)
    fields, _ = draw_two_phases(np.random.default_rng(5), faces, 200)
    first, second = fields[:, 0], fields[:, 1]
    back = -(first * second).sum(axis=(1, 2, 3)) / np.square(first).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(second, -back[:, None, None, None] * first, atol=1e-6)
    whole = np.isclose(back, 1)
    assert whole.mean() == pytest.approx(1 - POOR_CHANCE, abs=0.1)
    assert back[~whole].min() >= 0 and back[~whole].max() < MOST_OF_POOR


def test_both_phases_are_spoilt_on_their_own(faces: MotionFaces) -> None:
    fields, activations = draw_two_phases(np.random.default_rng(6), faces, 60)
    assert fields.shape == (60, 2, 2, SIZE, SIZE) and activations.shape == (60, len(MUSCLES))
    first, second = fields.reshape(60, 2, -1).transpose(1, 0, 2)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = -(first * second).sum(axis=1) / lengths
    assert 0.1 < np.median(cosines) < 0.7 and cosines.max() < 0.99


def test_wrong_key_frames_take_from_their_own_phases() -> None:
    generator = np.random.default_rng(7)
    shares = np.array([phase_shares(generator, 0.5) for _ in range(2000)])
    assert shares[:, 0].min() >= 0 and shares[:, 0].max() < 1
    assert shares[:, 1].max() <= 0 and shares[:, 1].min() > -1
    assert shares[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    assert not np.isclose(shares[:, 0], -shares[:, 1]).any()


def test_motion_is_written_with_its_muscles_and_again_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--what", "motion", "--n-samples", 5, "--seed", 3, "--key-frame-errors", 0.4)
    monkeypatch.setattr("datasets.synthetic.inputs.draw_motion_faces", draw_few_faces)
    for name in "ab":
        assert run_here(monkeypatch, make_synthetic.main, *flags, "--out", tmp_path / name) == 0
    for name in ("fields.npy", "activations.csv", "README.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    fields = np.load(tmp_path / "a" / "fields.npy")
    assert fields.shape == (5, 2, 2, SIZE, SIZE) and fields.dtype == np.float16
    table = pd.read_csv(tmp_path / "a" / "activations.csv")
    assert list(table)[:3] == ["1L", "1R", "2L"] and table.shape == (5, len(MUSCLES))
    assert "SYNTHETIC" in (tmp_path / "a" / "README.txt").read_text()


def draw_few_faces(seed: int) -> MotionFaces:
    """Three, to be quick."""
    return draw_motion_faces(seed, 3)
