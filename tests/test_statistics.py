"""Intervals, tests and claims: hand-computed cases, exact enumerations, and coverage."""

import itertools
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from evaluation.comparison import claim, compare
from evaluation.methods import read_methods
from evaluation.metrics import METRICS, compute_uf1, confusion_stack
from evaluation.statistics import (
    bootstrap_difference,
    bootstrap_interval,
    fold_means,
    holm,
    mcnemar_test,
    permutation_p,
    spread_over_seeds,
)
from tests.helpers.made_up_rows import drawn_rows, write_folder, write_methods


def drawn_pair(random: np.random.Generator, subjects: int, skill: float) -> np.ndarray:
    """Two methods on subjects of 1 to 12 clips: each gets the share ``skill`` right by itself and
    guesses the rest. int [2, S, 3, 3]."""
    numbers = np.repeat(np.arange(subjects), random.integers(1, 13, size=subjects))
    true = random.choice(3, size=len(numbers), p=[0.5, 0.3, 0.2])
    guesses = random.integers(0, 3, size=(2, len(true)))
    predicted = np.where(random.random(guesses.shape) < skill, true, guesses)
    return confusion_stack(numbers, true, predicted, (subjects, 3))


def drawn_confusions(random: np.random.Generator, subjects: int, skill: float) -> np.ndarray:
    """One such method, int [S, 3, 3]."""
    return drawn_pair(random, subjects, skill)[0]


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_is_the_percentiles_of_a_plain_bootstrap(metric: str) -> None:
    random = np.random.default_rng(1)
    stack = drawn_confusions(random, 30, 0.6)
    plain = [
        METRICS[metric](stack[random.integers(0, 30, size=30)].sum(axis=0)) for _ in range(10_000)
    ]
    interval = bootstrap_interval(stack[np.newaxis], metric)
    assert interval.value == pytest.approx(METRICS[metric](stack.sum(axis=0)))
    assert [interval.low, interval.high] == pytest.approx(
        np.percentile(plain, [2.5, 97.5]), abs=0.01
    )
    assert interval == bootstrap_interval(stack[np.newaxis], metric)


def test_intervals_cover_the_true_value_as_often_as_they_say() -> None:
    random = np.random.default_rng(2)
    truth = compute_uf1(drawn_confusions(random, 20_000, 0.6).sum(axis=0))
    held = 0
    for _ in range(100):
        interval = bootstrap_interval(drawn_confusions(random, 60, 0.6)[np.newaxis], "UF1")
        held += bool(interval.low <= truth <= interval.high)
    assert 87 <= held <= 99


def test_a_lone_subject_has_no_interval_and_no_evidence() -> None:
    stack = drawn_confusions(np.random.default_rng(3), 1, 0.5)
    interval = bootstrap_interval(stack[np.newaxis], "UAR")
    assert np.isnan([interval.low, interval.high]).all() and 0 <= interval.value <= 1
    assert permutation_p(stack, stack[:, ::-1], "UAR") == 1


def exact_p(first: np.ndarray, second: np.ndarray, metric: str) -> float:
    """Twice the smaller tail over all ways to swap the methods within subjects."""
    compute = METRICS[metric]
    differences = []
    for swaps in itertools.product([False, True], repeat=len(first)):
        chosen = np.array(swaps)[:, None, None]
        ours, theirs = np.where(chosen, second, first), np.where(chosen, first, second)
        differences.append(compute(theirs.sum(axis=0)) - compute(ours.sum(axis=0)))
    observed = compute(second.sum(axis=0)) - compute(first.sum(axis=0))
    low = np.mean(np.array(differences) <= observed + 1e-12)
    high = np.mean(np.array(differences) >= observed - 1e-12)
    return float(min(1, 2 * min(low, high)))


@pytest.mark.parametrize("metric", ["UF1", "UAR"])
def test_permutation_p_is_exact_for_few_subjects_and_close_for_many(metric: str) -> None:
    random = np.random.default_rng(4)
    for subjects, tolerance in ((6, 1e-12), (14, 0.02)):
        first = drawn_confusions(random, subjects, 0.3)
        second = first + 0
        # The same true labels: only columns, the predictions, may differ.
        second[: subjects // 2] = np.roll(second[: subjects // 2], 1, axis=2)
        expected = exact_p(first, second, metric)
        assert permutation_p(first, second, metric) == pytest.approx(expected, abs=tolerance)


def test_permutation_p_of_equal_methods_is_one() -> None:
    stack = drawn_confusions(np.random.default_rng(5), 20, 0.5)
    assert permutation_p(stack, stack, "UF1") == 1


def test_permutation_p_is_uniform_when_the_methods_are_equally_good() -> None:
    random = np.random.default_rng(6)
    pairs = (drawn_pair(random, 30, 0.5) for _ in range(100))
    p_values = np.array([permutation_p(first, second, "UF1") for first, second in pairs])
    assert np.mean(p_values < 0.05) <= 0.12
    assert 0.4 < p_values.mean() < 0.6


def test_mcnemar_is_the_binomial_test_of_the_clips_that_differ() -> None:
    first = np.array([1] * 50 + [1] * 3 + [0] * 10 + [0] * 7, bool)
    second = np.array([1] * 50 + [0] * 3 + [1] * 10 + [0] * 7, bool)
    result = mcnemar_test(first, second)
    assert (result.only_first, result.only_second) == (3, 10)
    assert result.p == pytest.approx(2 * sum(comb(13, k) for k in range(4)) / 2**13)
    assert result.cohens_g == pytest.approx(10 / 13 - 0.5)
    same = mcnemar_test(first, first)
    assert (same.only_first, same.p, same.cohens_g) == (0, 1, 0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_seeds_are_averaged_and_described() -> None:
    perfect, wrong = np.diag([2, 2, 2]), np.roll(np.diag([2, 2, 2]), 1, axis=1)
    confusions = np.stack([[perfect, perfect], [perfect, wrong]])
    spread = spread_over_seeds(confusions, "UF1")
    assert (spread.low, spread.mean, spread.high) == pytest.approx((0.5, 0.75, 1))
    assert spread.deviation == pytest.approx(0.5 / 2**0.5)
    assert bootstrap_interval(confusions, "UF1").value == pytest.approx(0.75)
    assert np.isnan(spread_over_seeds(confusions[:1], "UF1").deviation)


def test_means_over_folds_are_not_the_pooled_metrics() -> None:
    one_right = np.zeros((3, 3), int)
    one_right[0, 0] = 1
    half = np.array([[0, 0, 0], [0, 2, 2], [0, 0, 0]])
    means = fold_means(np.stack([[one_right, half]]))
    assert means.accuracy == pytest.approx((1 + 1 / 2) / 2)
    assert means.f1 == pytest.approx((1 + (2 / 3 + 0) / 2) / 2)
    assert means.recall == pytest.approx((1 + 1 / 2) / 2)


def test_the_interval_of_a_difference_is_paired() -> None:
    random = np.random.default_rng(7)
    first = drawn_confusions(random, 40, 0.6)
    same = bootstrap_difference(first[np.newaxis], first[np.newaxis], "UF1")
    assert (same.value, same.low, same.high) == (0, 0, 0)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return write_methods(tmp_path)


def test_claims_say_no_more_than_the_tests_do(folders: dict[str, Path]) -> None:
    names = ("one/reference", "one/equal", "one/worse", "seed4/noisy/oracle")
    methods = read_methods([folders[name] for name in names])
    sentence = claim(compare(methods[0], methods[1:]))
    start, equal, worse, oracle = sentence.replace("reference (last): ", "; ").split("; ")
    assert start == "On these 160 clips of 20 subjects, against "
    assert equal.startswith("no difference may be claimed for equal (last) (UF1 ")
    assert worse.startswith("worse (last) may be called worse in UF1 (UF1 -")
    assert "p < 0.001), and in UAR too (-" in worse
    assert oracle == "no claim about noisy (oracle*): its epoch was chosen on the test subjects."


@pytest.mark.parametrize("rule", ["", "best", "Oracle", "oracles"])
def test_no_claim_is_made_under_an_unknown_rule(
    rule: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """A blank, a foreign name, and spellings that would escape the star of the oracle."""
    rows = drawn_rows(3, 3.0, configuration="w", rule=rule)
    strange = [write_folder(tmp_path / name, rows) for name in ("x", "y")]
    methods = read_methods([folders["one/worse"], *strange])
    assert [method.title for method in methods[1:]] == ["x (unknown)", "y (unknown)"]
    sentence = claim(compare(methods[0], methods[1:]))
    assert "no claim about x (unknown): how its epoch was chosen is not known" in sentence
    assert "may be called" not in sentence
    with pytest.raises(UserError, match="Give each run once"):
        read_methods([strange[0], strange[0]])


@pytest.mark.parametrize(
    ("column", "value"),
    [("seed", None), ("seed", 1.5), ("seed", "one"), ("configuration", None)],
)
def test_runs_without_their_origin_are_not_taken_for_seeds(
    column: str, value: object, folders: dict[str, Path], tmp_path: Path
) -> None:
    rows = drawn_rows(3, 3.0, configuration="w").assign(**{column: value})
    strange = [write_folder(tmp_path / name, rows) for name in ("x", "y")]
    methods = read_methods([folders["one/reference"], *strange])
    assert [(method.rule, method.seeds) for method in methods[1:]] == [("unknown", 1)] * 2
    oracle = write_folder(tmp_path / "oracle", rows.assign(epoch_rule="oracle"))
    assert read_methods([oracle])[0].title.endswith("(oracle*)")
    with pytest.raises(UserError, match="Give each run once"):
        read_methods([strange[0], strange[0]])


def test_seeds_of_a_configuration_are_one_method_tested_on_mean_scores(
    folders: dict[str, Path],
) -> None:
    seeds = [folders[f"seed{seed}/noisy"] for seed in (4, 5, 6)]
    reference, noisy = read_methods([folders["one/reference"], *seeds])
    assert noisy.title == "noisy (last, 3 seeds)" and noisy.predicted.shape == (3, 160)
    assert noisy.scores is not None
    mean = noisy.scores.sum(axis=0)
    np.testing.assert_array_equal(noisy.mean_predicted(), mean.argmax(axis=1))
    singles = spread_over_seeds(noisy.confusions(noisy.predicted), "UF1")
    averaged = compute_uf1(noisy.confusions(noisy.mean_predicted()).sum(axis=0))
    assert averaged > singles.high
    (comparison,) = compare(reference, [noisy])
    own = compute_uf1(reference.confusions(reference.predicted[0]).sum(axis=0))
    assert comparison.differences["UF1"].interval.value == pytest.approx(averaged - own)
    # Averaging makes it better than any of its single runs; the sentence must not hide that.
    assert comparison.differences["UF1"].significant and singles.mean < own
    assert "single runs are not (UF1 of single runs: mean 0." in claim([comparison])


def test_a_sentence_without_a_claim_names_the_single_runs(
    folders: dict[str, Path],
) -> None:
    seeds = [folders[f"seed{seed}/noisy"] for seed in (4, 5)]
    reference, noisy = read_methods([folders["one/reference"], *seeds])
    comparisons = compare(reference, [noisy])
    difference = comparisons[0].differences["UF1"]
    assert difference.interval.value > 0 and not difference.significant
    ours, theirs = (
        bootstrap_interval(one.confusions(one.predicted), "UF1").value for one in (reference, noisy)
    )
    # Averaged scores are above the reference; the single runs in the table of metrics are not.
    assert theirs < ours
    singles = f"(UF1 of single runs: mean {theirs:.3f} against {ours:.3f})."
    assert claim(comparisons).endswith(f"), scores averaged over the seeds {singles}")
    lone = read_methods([folders["one/reference"], folders["one/equal"]])
    assert "single runs" not in claim(compare(lone[0], lone[1:]))


def test_holm_counts_the_methods_compared(folders: dict[str, Path]) -> None:
    names = ("one/reference", "one/equal", "one/worse")
    methods = read_methods([folders[name] for name in names])
    comparisons = compare(methods[0], methods[1:])
    raw = [comparison.differences["UAR"].p for comparison in comparisons]
    assert [c.differences["UAR"].p_holm for c in comparisons] == pytest.approx(holm(raw))
    assert comparisons[1].differences["UAR"].p_holm == pytest.approx(2 * raw[1])


def test_methods_are_only_compared_on_the_same_clips(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    rows = drawn_rows(8, 1.0, configuration="x")
    fewer = write_folder(tmp_path / "fewer", rows[:-1])
    with pytest.raises(UserError, match="do not share these clips: a/s19/clip7"):
        read_methods([folders["one/reference"], fewer])
    rows.loc[3, "true"] = (rows.loc[3, "true"] + 1) % 3
    other = write_folder(tmp_path / "other", rows)
    with pytest.raises(UserError, match="label these differently: a/s00/clip3"):
        read_methods([folders["one/reference"], other])
    with pytest.raises(UserError, match="same configuration, epoch rule and seed"):
        read_methods([folders["one/reference"], folders["one/reference"]])


def test_methods_are_only_compared_on_the_same_classes(tmp_path: Path) -> None:
    rows = drawn_rows(8, 1.0, configuration="x").assign(score_surprise=-100.0)
    rows["true"] = rows["true"].clip(upper=1)
    rows["predicted"] = rows[["score_negative", "score_positive"]].to_numpy().argmax(axis=1)
    reference = write_folder(tmp_path / "reference", rows)
    swapped = {"score_negative": "score_positive", "score_positive": "score_negative"}
    others = {
        "renamed": rows.rename(columns={"score_surprise": "score_fear"}),
        "swapped": rows.rename(columns=swapped),
        "more": rows.assign(score_fear=-100.0),
        "missing": rows.drop(columns="score_surprise"),
    }
    for name, part in others.items():
        place = write_folder(tmp_path / name, part.assign(seed=9))
        with pytest.raises(UserError, match=f"has the classes negative.*{name} has"):
            read_methods([reference, place])


def test_a_seed_without_scores_is_refused_by_name(folders: dict[str, Path]) -> None:
    place = folders["seed5/noisy"]
    rows = pd.read_csv(place / "predictions.csv")
    write_folder(place, rows[[c for c in rows if not c.startswith("score_")]])
    assert read_methods([folders["one/reference"], place])[1].scores is None
    for seeds in (("seed4/noisy", "seed5/noisy"), ("seed5/noisy", "seed6/noisy")):
        with pytest.raises(UserError, match=r"seed5/noisy is one of 2 seeds.*no scores"):
            read_methods([folders[seed] for seed in seeds])
