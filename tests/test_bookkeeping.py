"""The work beside training is linear in configurations, folds and clips."""

import pytest

from benchmarks.bookkeeping import Config, measure


@pytest.mark.slow
def test_seconds_grow_no_faster_than_what_is_done() -> None:
    """A quadratic part would show as four times and more; the machine may be busy."""
    figures = measure(Config(configurations=(5, 20), clips=(1000, 4000)))
    for kind in ("configurations", "resumed", "clips"):
        rows = figures[kind]
        assert isinstance(rows, list)
        assert rows[-1]["times_the_seconds"] < 2 * rows[-1]["times_the_size"]
