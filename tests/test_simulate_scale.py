"""The simulation of a cluster in cases whose outcome is known."""

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("simpy", reason="simpy is not installed (requirements-dev.txt)")

from benchmarks import simulate_scale
from benchmarks.simulate_scale import Scenario, simulate

FREE = Scenario(
    workers=1,
    group_size=17,
    drivers=1,
    fold_seconds=10.0,
    hand_out_seconds=0.0,
    store_seconds=0.0,
    report_seconds=0.0,
    start_seconds=0.0,
    fresh=True,
    spread=0.0,
)
# Of a run of two configurations in four groups of 17 folds each.
TRAINING_SECONDS, GROUPS, CONFIGURATIONS = 68 * 10 * 1.5, 8, 2


@pytest.fixture(autouse=True)
def two_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_scale, "relative_costs", lambda: {"large": 1.0, "small": 0.5})


def hours(seconds: float) -> object:
    return pytest.approx(seconds / 3600)


def test_without_overhead_all_time_is_training() -> None:
    outcome = simulate(FREE, seeds=3)
    assert outcome.hours == hours(3 * TRAINING_SECONDS)
    assert outcome.efficiency == pytest.approx(1) and outcome.driver_busy == 0


def test_more_workers_than_groups_wait_for_the_longest_group() -> None:
    outcome = simulate(replace(FREE, workers=100), seeds=1)
    assert outcome.hours == hours(170)
    assert outcome.efficiency == pytest.approx(TRAINING_SECONDS / (170 * 100))


@pytest.mark.parametrize(("fresh", "starts"), [(True, GROUPS), (False, 1)])
def test_a_kept_process_starts_once(fresh: bool, starts: int) -> None:
    outcome = simulate(replace(FREE, start_seconds=7.0, fresh=fresh), seeds=1)
    assert outcome.hours == hours(TRAINING_SECONDS + starts * 7)


def test_a_slow_driver_is_the_limit_and_a_second_one_doubles_it() -> None:
    slow: dict[str, Any] = {"workers": 100, "store_seconds": 1000.0, "report_seconds": 500.0}
    seconds = GROUPS * 1000 + CONFIGURATIONS * 500
    one = simulate(replace(FREE, **slow), seeds=2)
    two = simulate(replace(FREE, **slow, drivers=2), seeds=2)
    # The first group to be stored is one of the small network, after 85 s.
    assert one.hours == hours(2 * (85 + seconds)) and two.hours == hours(85 + seconds)
    assert one.driver_busy == pytest.approx(seconds / (85 + seconds))
