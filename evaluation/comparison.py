"""Compares methods with a reference on the same clips, and says what can be claimed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.epoch_rules import UNKNOWN_RULE
from evaluation.methods import Method
from evaluation.predictions import SYNTHETIC_NOTE
from evaluation.statistics import (
    ALPHA,
    Interval,
    McNemar,
    bootstrap_difference,
    holm,
    mcnemar_test,
    permutation_p,
    spread_over_seeds,
)

TESTED = ("UF1", "UAR")
DECISIVE = "UF1"
"""The metric on which a claim rests; the sentence adds UAR."""


@dataclass(frozen=True)
class Difference:
    """A method's metric minus the reference's.

    Attributes:
        interval: bootstrap over subjects.
        p: paired permutation test over subjects.
        p_holm: adjusted for the number of methods compared with the reference.
    """

    interval: Interval
    p: float
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p is below 5 %."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class Comparison:
    """One method against the reference.

    Attributes:
        differences: by metric, "UF1" and "UAR".
        clips: McNemar's test, with the reference first.
        clips_p_holm: its p adjusted for the number of methods.
    """

    reference: Method
    method: Method
    differences: dict[str, Difference]
    clips: McNemar
    clips_p_holm: float


def compare(reference: Method, others: Sequence[Method]) -> list[Comparison]:
    """Compare every other method with the reference.

    A method of several seeds takes part with its class scores averaged over the seeds.
    """
    comparisons = [_compare_two(reference, method) for method in others]
    adjusted = {
        name: holm([comparison.differences[name].p for comparison in comparisons])
        for name in TESTED
    }
    clips_p = holm([comparison.clips.p for comparison in comparisons])
    return [
        replace(
            comparison,
            differences={
                name: replace(comparison.differences[name], p_holm=adjusted[name][number])
                for name in TESTED
            },
            clips_p_holm=clips_p[number],
        )
        for number, comparison in enumerate(comparisons)
    ]


def claim(comparisons: Sequence[Comparison]) -> str:
    """One plain sentence: what can be claimed of each method against the reference."""
    reference = comparisons[0].reference
    subjects = len(reference.confusions(reference.predicted[0]))
    kind = SYNTHETIC_NOTE if reference.synthetic else "clips"
    parts = "; ".join(_verdict(comparison) for comparison in comparisons)
    scope = f"On these {len(reference.clips)} {kind} of {subjects} subjects, against"
    return f"{scope} {reference.title}: {parts}."


def _compare_two(reference: Method, method: Method) -> Comparison:
    ours = reference.confusions(reference.mean_predicted())
    theirs = method.confusions(method.mean_predicted())
    differences = {}
    for name in TESTED:
        p = permutation_p(ours, theirs, name)
        interval = bootstrap_difference(ours[np.newaxis], theirs[np.newaxis], name)
        differences[name] = Difference(interval, p, p)
    clips = mcnemar_test(reference.right(), method.right())
    return Comparison(reference, method, differences, clips, clips.p)


def _verdict(comparison: Comparison) -> str:
    """What may be claimed of one method, as a part of a sentence."""
    method, difference = comparison.method, comparison.differences[DECISIVE]
    for one in (method, comparison.reference):
        whose = "its epoch" if one is method else f"the epoch of {one.title}"
        if one.chosen_on_test_subjects:
            return f"no claim about {method.title}: {whose} was chosen on the test subjects"
        if one.rule == UNKNOWN_RULE:
            return f"no claim about {method.title}: how {whose} was chosen is not known"
    interval = difference.interval
    numbers = (
        f"{DECISIVE} {interval.value:+.3f}, 95 % interval {interval.low:+.3f} to "
        f"{interval.high:+.3f}, p {format_p(difference.p_holm)}"
    )
    if not difference.significant:
        runs = _single_runs(comparison)
        return f"no difference may be claimed for {method.title} ({numbers}){runs}"
    word = "better" if interval.value > 0 else "worse"
    more = _say_uar(comparison) + _single_runs(comparison, word)
    return f"{method.title} may be called {word} in {DECISIVE} ({numbers}), {more}"


def _say_uar(comparison: Comparison) -> str:
    """Whether UAR says the same."""
    uf1, uar = (comparison.differences[name] for name in TESTED)
    same = uar.significant and (uar.interval.value > 0) == (uf1.interval.value > 0)
    start = "and in UAR too" if same else "but not in UAR"
    return f"{start} ({uar.interval.value:+.3f}, p {format_p(uar.p_holm)})"


def _single_runs(comparison: Comparison, word: str | None = None) -> str:
    """What averaging scores over seeds hides: single runs, which the table of metrics shows, may
    lie on the other side of the reference than the claimed ``word`` says."""
    reference, method = comparison.reference, comparison.method
    if reference.seeds == method.seeds == 1:
        return ""
    ours, theirs = (
        spread_over_seeds(one.confusions(one.predicted), DECISIVE).mean
        for one in (reference, method)
    )
    singles = f"{DECISIVE} of single runs: mean {theirs:.3f} against {ours:.3f}"
    if word is None or (theirs > ours) == (word == "better"):
        return f", scores averaged over the seeds ({singles})"
    return f", but only with scores averaged over the seeds: single runs are not ({singles})"


def format_p(p: float) -> str:
    """A p value with its sign of equality."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
