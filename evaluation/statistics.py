"""Intervals and tests for pooled metrics. The unit that is resampled or swapped is the subject:
clips of one face are not independent of each other.

The trained networks are held fixed: an interval says how a metric varies with the subjects, not
with the training set or the seed. The networks of all folds share most of their training clips, so
the folds' errors are correlated and the intervals are too narrow; the spread over seeds shows a
part of that.

Shape legend: R seeds, S subjects, C classes. Confusion matrices are those of single subjects; the
two methods of a comparison have the same subjects in the same order. Every random draw has a fixed
seed, so the same predictions give the same output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics import METRICS

RESAMPLES = 9_999
CONFIDENCE = 0.95
ALPHA = 0.05
_BATCH = 1_000
_SEED = 20250


@dataclass(frozen=True)
class Interval:
    """A metric, or a difference of two, with its 95 % interval; nan bounds for a lone subject."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """One metric over several seeds; ``deviation`` (n - 1 in the denominator) is nan for one."""

    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class McNemar:
    """Clips that one method alone gets right, and their test.

    Attributes:
        p: exact McNemar test. It takes clips for independent, which clips of one subject are not,
            so its p is too small; the permutation test decides.
        cohens_g: share of ``only_second`` among both minus one half; -.5 to .5, .05 small, .15
            medium, .25 large (Cohen, 1988); 0 when the methods err on the same clips.
    """

    only_first: int
    only_second: int
    p: float
    cohens_g: float


@dataclass(frozen=True)
class FoldMeans:
    """Means over subjects of metrics computed subject by subject: not UF1, UAR and ACC.

    A subject's metrics follow the conventions for absent classes, so one right clip gives 1.
    """

    f1: float
    recall: float
    accuracy: float


def bootstrap_interval(confusions: np.ndarray, metric: str) -> Interval:
    """A pooled metric with its percentile bootstrap interval over subjects.

    Args:
        confusions: int [R, S, C, C]; several seeds are resampled together and averaged.
        metric: "UF1", "UAR" or "ACC".
    """
    return _bootstrap(len(confusions[0]), lambda chosen: _seed_mean(confusions, chosen, metric))


def bootstrap_difference(first: np.ndarray, second: np.ndarray, metric: str) -> Interval:
    """``second`` minus ``first`` with its interval; both see the same resampled subjects.

    Args:
        first, second: int [R, S, C, C]; R may differ, S must not.
    """

    def difference(chosen: np.ndarray) -> np.ndarray:
        return _seed_mean(second, chosen, metric) - _seed_mean(first, chosen, metric)

    return _bootstrap(len(first[0]), difference)


def permutation_p(first: np.ndarray, second: np.ndarray, metric: str) -> float:
    """Two-sided p of a pooled metric's difference: methods swapped subject by subject.

    Where there are fewer ways to swap than ``RESAMPLES``, all are tried and p is exact.

    Args:
        first, second: int [S, C, C].
    """
    compute = METRICS[metric]
    both = np.concatenate([first, second])
    places = np.arange(len(first))

    def difference(ours: np.ndarray, theirs: np.ndarray, axis: int) -> np.ndarray:
        return compute(_pooled(both, theirs)) - compute(_pooled(both, ours))

    if len(first) < 2:
        return 1.0
    import scipy.stats

    result = scipy.stats.permutation_test(
        (places, places + len(first)),
        difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        axis=-1,
        rng=np.random.default_rng(_SEED),
    )
    return float(result.pvalue)


def mcnemar_test(first_right: np.ndarray, second_right: np.ndarray) -> McNemar:
    """McNemar's exact test on clips; bool [N] each: which clips a method gets right."""
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    if discordant == 0:
        return McNemar(0, 0, 1.0, 0.0)
    # Imported here, as in the other tests: it takes a second, and most commands do not need it.
    import scipy.stats

    p = scipy.stats.binomtest(only_first, discordant).pvalue
    return McNemar(only_first, only_second, float(p), only_second / discordant - 0.5)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values adjusted for their number (Holm, 1979)."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, alpha=ALPHA, method="holm")[1]]


def spread_over_seeds(confusions: np.ndarray, metric: str) -> Spread:
    """A pooled metric of each seed, described; confusions int [R, S, C, C]."""
    values = METRICS[metric](confusions.sum(axis=1))
    deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(values.mean()), deviation, float(values.min()), float(values.max()))


def fold_means(confusions: np.ndarray) -> FoldMeans:
    """Means over subjects (and seeds) of per-subject metrics; confusions int [R, S, C, C]."""
    return FoldMeans(*(float(compute(confusions).mean()) for compute in METRICS.values()))


def _seed_mean(confusions: np.ndarray, chosen: np.ndarray, metric: str) -> np.ndarray:
    """[R, S, C, C] and subjects [..., S] -> pooled metric averaged over seeds, [...]."""
    return METRICS[metric](_pooled(confusions, chosen)).mean(axis=0)


def _pooled(confusions: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The sums of the chosen subjects' matrices: [..., S, C, C] and [*B, N] -> int [..., *B, C, C].

    A product with how often each is chosen, exact in float64, and faster than to index and add.
    """
    subjects, classes = confusions.shape[-3:-1]
    rows = chosen.reshape(-1, chosen.shape[-1])
    numbered = rows + subjects * np.arange(len(rows))[:, np.newaxis]
    counts = np.bincount(numbered.ravel(), minlength=subjects * len(rows))
    flat = confusions.reshape(*confusions.shape[:-3], subjects, classes**2).astype(float)
    sums = counts.reshape(-1, subjects).astype(float) @ flat
    shape = (*confusions.shape[:-3], *chosen.shape[:-1], classes, classes)
    return sums.astype(np.int64).reshape(shape)


def _bootstrap(subjects: int, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    value = float(statistic(np.arange(subjects)))
    if subjects < 2:
        return Interval(value, float("nan"), float("nan"))
    import scipy.stats

    result = scipy.stats.bootstrap(
        (np.arange(subjects),),
        lambda chosen, axis: statistic(chosen),
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    return Interval(value, *map(float, result.confidence_interval))
