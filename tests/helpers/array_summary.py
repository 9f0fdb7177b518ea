"""Compares an array with the sums, extremes and single pixels that are stored of an original."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def assert_matches_summary(array: np.ndarray, stored: Mapping[str, Any], tolerance: float) -> None:
    """Pixels and extremes within ``tolerance``; sums within it on average over the array."""
    values = np.asarray(array, dtype=np.float64)
    assert list(values.shape) == stored["shape"]
    for place, expected in stored["pixels"].items():
        index = tuple(int(number) for number in place.split(","))
        assert abs(values[index] - expected) <= tolerance, place
    extent = max(abs(stored["min"]), abs(stored["max"]), 1)
    assert abs(values.min() - stored["min"]) <= tolerance
    assert abs(values.max() - stored["max"]) <= tolerance
    assert abs(values.sum() - stored["sum"]) <= tolerance * values.size
    assert abs(np.abs(values).sum() - stored["sum_abs"]) <= tolerance * values.size
    assert abs((values**2).sum() - stored["sum_sq"]) <= 2 * extent * tolerance * values.size


def assert_matches_moments(array: np.ndarray, stored: Mapping[str, Any], tolerance: float) -> None:
    """Sum, sum of squares and the first four entries, relative to the larger of them and 1."""
    values = np.asarray(array, dtype=np.float64).ravel()
    assert values.size == stored["n"]
    found = [values.sum(), (values**2).sum(), *values[:4]]
    expected = [stored["sum"], stored["sum_sq"], *stored["first4"]]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
