"""Preparation steps without labels: affine motion out, unit RMS, both phases summed."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datasets import read_inputs
from datasets.motion import (
    gains_of,
    phase_gain,
    phase_gains,
    phase_sum,
    remove_affine,
    unit_rms,
)

DATASETS = np.array(["a"] * 5 + ["b"] * 5)


def affine_fields(generator: np.random.Generator, *leading: int) -> NDArray[np.float64]:
    """Random a + b x + c y, up to some ten grey values."""
    places = (2 * np.arange(28) + 1) / 28 - 1
    a, b, c = generator.normal(0, 20, (3, *leading, 1, 1))
    return 120 + a + b * places + c * places[:, None]


def phases(seed: int = 1, count: int = 10) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random u and v of two phases that have nothing to do with each other."""
    first, second = np.random.default_rng(seed).standard_normal((2, count, 2, 28, 28))
    return first, second


def test_affine_motion_is_removed_and_sparse_outliers_are_left() -> None:
    generator = np.random.default_rng(1)
    fields = affine_fields(generator, 6, 2)
    outliers = np.where(generator.random(fields.shape) < 0.1, generator.normal(0, 80, 28), 0)
    left = remove_affine(fields + outliers)
    assert left.dtype == np.float32 and left.shape == fields.shape
    np.testing.assert_allclose(left, outliers, atol=0.01)


def test_a_moving_mouth_stays_where_least_squares_would_spread_it() -> None:
    """A patch of a twelfth of the face moves by 30 on top of head motion and noise."""
    generator = np.random.default_rng(2)
    motion = np.zeros((28, 28))
    motion[20:25, 8:20] = 30
    noise = generator.normal(0, 1, (28, 28))
    left = remove_affine(affine_fields(generator) + motion + noise)
    assert np.abs(left - motion - noise).max() < 1
    design = np.stack([np.ones(784), *np.indices((28, 28)).reshape(2, -1)], axis=1)
    fitted = design @ np.linalg.lstsq(design, (motion + noise).ravel(), rcond=None)[0]
    assert np.abs(fitted).max() > 4


def test_each_field_is_fitted_on_its_own() -> None:
    fields = np.random.default_rng(3).uniform(0, 255, (3, 2, 28, 28))
    together = remove_affine(fields)
    for field, left in zip(fields.reshape(-1, 28, 28), together.reshape(-1, 28, 28), strict=True):
        np.testing.assert_allclose(remove_affine(field), left, atol=1e-4)


def test_maps_without_motion_stay_still() -> None:
    still = np.stack([np.zeros((28, 28)), np.full((28, 28), 255), np.full((28, 28), 37)])
    assert np.abs(unit_rms(remove_affine(still))).max() < 1e-6


def test_every_field_has_root_mean_square_one() -> None:
    fields = np.random.default_rng(4).normal(3, 50, (4, 2, 2, 28, 28))
    scaled = unit_rms(fields)
    np.testing.assert_allclose(np.square(scaled).mean(axis=(-2, -1)), 1, rtol=1e-5)
    ratio = fields / scaled
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[..., :1, :1], ratio.shape), rtol=1e-4)


def test_the_gain_is_the_cosine_with_the_second_phase_turned_back() -> None:
    first, second = phases()
    np.testing.assert_allclose(phase_gain(first, -3 * first), 1)
    np.testing.assert_allclose(phase_gain(first, first), -1)
    assert np.abs(phase_gain(first, second)).max() < 0.3
    np.testing.assert_array_equal(phase_gain(first, np.zeros_like(first)), 0)


def test_a_dataset_has_the_median_gain_of_its_training_clips() -> None:
    first, noise = phases()
    share = np.linspace(-1, 1, 10).reshape(-1, 1, 1, 1)
    second = -share * first + 0.1 * noise
    train = np.array([0, 1, 2, 3, 5, 6, 7])
    cosines = phase_gain(first, second)
    gains = phase_gains(first, second, DATASETS, train)
    assert gains == {
        "a": 0.0,
        "b": pytest.approx(np.median(cosines[[5, 6, 7]])),
        "": pytest.approx(max(0.0, np.median(cosines[train]))),
    }


def test_test_clips_take_no_part_in_the_gains() -> None:
    first, second = phases()
    train = np.arange(4, 9)
    gains = phase_gains(first, second, DATASETS, train)
    second[[0, 1, 2, 3, 9]] = -first[[0, 1, 2, 3, 9]]
    assert phase_gains(first, second, DATASETS, train) == gains


def test_a_dataset_without_training_clips_has_the_gain_of_all_of_them() -> None:
    gains = {"a": 0.6, "b": 0.2, "": 0.4}
    np.testing.assert_array_equal(gains_of(gains, np.array(["b", "c", "a"])), [0.2, 0.4, 0.6])


def test_the_sum_subtracts_each_clips_share_and_has_root_mean_square_one() -> None:
    first, second = phases()
    gains = np.linspace(0, 1, 10)
    summed = phase_sum(first, second, gains)
    for clip, gain in enumerate(gains):
        expected = unit_rms(first[clip] - gain * second[clip])
        np.testing.assert_allclose(summed[clip], expected, rtol=1e-5)
    np.testing.assert_allclose(phase_sum(first, second, 0.0), unit_rms(first), rtol=1e-5)


def test_the_released_phases_undo_each_other_most_in_casme2(released_folder: Path) -> None:
    """Over all clips: about .61, .31 and .18."""
    inputs = read_inputs(released_folder)
    fields = np.moveaxis(inputs.maps[:, :2, :, :, 2:0:-1].astype(np.float32), -1, 2)
    first, second = np.moveaxis(unit_rms(remove_affine(fields)), 1, 0)
    datasets = inputs.clips["dataset"].to_numpy().astype(str)
    gains = phase_gains(first, second, datasets, np.arange(len(datasets)))
    for name, expected in (("casme2", 0.61), ("samm", 0.31), ("smic", 0.18)):
        assert gains[name] == pytest.approx(expected, abs=0.02)
