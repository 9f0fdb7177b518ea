"""The epoch rules, and everything that tables, pages and pictures say of them.

``RULES`` is the only list of rules: whoever adds one here finds it in every result folder, table,
page and grid search. ``PUBLISHED_RULES`` are those of other papers, with the papers' own arithmetic
where they do not pool the predictions of all folds; they have one table and no result files.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pandas as pd

from common.errors import UserError, name_list
from evaluation.epoch_choices import (
    Choice,
    Choose,
    Folds,
    Grid,
    GridChoice,
    choose_best,
    choose_by_other_folds,
    choose_first,
    choose_inner,
    choose_inner_refit,
    choose_jointly,
    choose_last,
    choose_on_test_clips,
    choose_on_test_clips_later,
    compute_fold_means,
    compute_mmnet_metrics,
    compute_pooled,
    compute_running_accuracy,
)
from evaluation.metrics import Metrics

DEFAULT_RULE = "last"
"""The rule that chooses nothing; its files lie in a configuration's own folder."""
UNKNOWN_RULE = "unknown"
STAR_NOTE = "* epoch selected on the test subject: not an estimate for new subjects"


@dataclass(frozen=True)
class Rule:
    """Which epoch of each fold counts, and what a reader must know of it.

    Attributes:
        name: as in the column ``epoch_rule`` and in the names of folders.
        note: how it picks the epoch, as the rest of a sentence.
        choose: the epoch of every fold; None for a rule that has no single one.
        honesty: whether its metrics estimate those of new subjects.
        grid_note: how it picks configuration and epoch in a grid.
        choose_in_grid: configuration and epoch of every fold of a grid.
        needs_inner: whether it needs a run with inner validation.
        needs_other_folds: whether it needs more than one fold.
        color, marker: how it is drawn, as in matplotlib.
        compute: a paper's own arithmetic, in place of pooling the chosen epochs' predictions.
    """

    name: str
    note: str
    choose: Choose | None
    honesty: Literal["honest", "selected on test subjects", "unknown"] = "honest"
    grid_note: str = "configuration and epoch chosen together"
    choose_in_grid: Callable[[Choose, Grid], list[GridChoice]] = choose_jointly
    needs_inner: bool = False
    needs_other_folds: bool = False
    color: str = "#5c6670"
    marker: str = "v"
    compute: Callable[[Folds], dict[str, float]] | None = None

    @property
    def starred(self) -> bool:
        """Whether the labels that are scored chose the epoch."""
        return self.honesty == "selected on test subjects"

    @property
    def title(self) -> str:
        """The name as printed, with a star where the test subject chose the epoch."""
        return f"{self.name}*" if self.starred else self.name

    def metrics(self, folds: Folds) -> dict[str, float]:
        """F1, recall and accuracy as this rule reports them; what it does not report is absent."""
        if self.compute is not None:
            return self.compute(folds)
        assert self.choose is not None, "a rule chooses an epoch or computes its own metrics"
        pooled = Metrics(compute_pooled(folds, self.choose(folds)))
        return {"F1": pooled.uf1, "recall": pooled.uar, "accuracy": pooled.accuracy}


def _by_name(*rules: Rule) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


RULES = _by_name(
    Rule(
        DEFAULT_RULE,
        "the last epoch; nothing is chosen",
        choose_last,
        grid_note="the first configuration of the grid at its last epoch; nothing is chosen",
        choose_in_grid=choose_first,
        color="#0072b2",
        marker="o",
    ),
    Rule(
        "inner",
        "epoch chosen on validation subjects that the networks were not trained on",
        choose_inner,
        grid_note="configuration and epoch chosen on each fold's validation subjects",
        needs_inner=True,
        color="#009e73",
        marker="s",
    ),
    Rule(
        "inner_refit",
        "the epoch of inner, in the training on all training subjects",
        choose_inner_refit,
        grid_note="the choice of inner, in the training on all training subjects",
        needs_inner=True,
        color="#56b4e9",
        marker="D",
    ),
    Rule(
        "cross_fitted",
        "epoch chosen on the other subjects' held-out predictions, of networks that were trained "
        "on the test subject",
        choose_by_other_folds,
        grid_note="configuration and epoch chosen on the other subjects' held-out predictions, of "
        "networks that were trained on the test subject",
        needs_other_folds=True,
        color="#a8568a",
        marker="^",
    ),
    Rule(
        "oracle",
        "each test subject's first epoch with the most right clips, as the published code chooses",
        choose_on_test_clips,
        honesty="selected on test subjects",
        grid_note="the configuration with the highest UF1, each epoch chosen on its test subject",
        choose_in_grid=choose_best,
        color="#d55e00",
        marker="o",
    ),
)
"""In the order in which they stand in tables."""

PUBLISHED_RULES = _by_name(
    Rule(
        "htnet",
        "HTNet: each test subject's last epoch with the most right clips; pooled",
        choose_on_test_clips_later,
        honesty="selected on test subjects",
    ),
    Rule(
        "mmnet",
        "MMNet: accuracy and F1 from different epochs of each test subject, each the best; pooled",
        None,
        honesty="selected on test subjects",
        compute=compute_mmnet_metrics,
    ),
    Rule(
        "off_tanet",
        "Off-TANet: one epoch for all subjects, with the highest mean recall of test subjects; "
        "means over subjects, not pooled. The published code looks at every 20th epoch, this rule "
        "at all",
        None,
        honesty="selected on test subjects",
        compute=compute_fold_means,
    ),
    Rule(
        "srmcl",
        "SRMCL: accuracy of all clips so far after each subject, then the mean; depends on the "
        "order of subjects. Of the last epoch, as it is not known how the published was chosen",
        None,
        compute=compute_running_accuracy,
    ),
)
"""What other papers report of the same predictions."""


def get_rule(name: str) -> Rule:
    """The rule of that name; for an unknown name a rule of which nothing may be claimed."""
    known = {**RULES, **PUBLISHED_RULES}.get(name)
    note = (
        "the files do not say how the epoch was chosen; published code chooses it on the test "
        "subject"
    )
    return known or Rule(name, note, None, honesty="unknown", grid_note=note)


def rules_for(folds: Folds) -> list[str]:
    """The rules that can differ on these folds (one or more), in the order of tables."""
    if len(folds[0].logits) == 1:
        return [DEFAULT_RULE]
    has_inner = all(fold.inner is not None for fold in folds)
    return [
        rule.name
        for rule in RULES.values()
        if (has_inner or not rule.needs_inner) and (len(folds) > 1 or not rule.needs_other_folds)
    ]


def choose(rule: str, folds: Folds) -> list[Choice]:
    """What a rule picks for every fold.

    Raises:
        UserError: no rule of that name picks epochs.
    """
    picks = get_rule(rule).choose
    if picks is None:
        raise UserError(f"There is no epoch rule {rule!r}. Choose one of: {name_list(RULES)}.")
    return picks(folds)


def choose_in_grid(rule: str, grid: Grid) -> list[GridChoice]:
    """For every fold the number of the configuration that a rule picks, and its epoch."""
    return get_rule(rule).choose_in_grid(partial(choose, rule), grid)


def pooled_uf1(rule: str, folds: Folds) -> float:
    """UF1 of all folds' test clips under a rule."""
    return Metrics(compute_pooled(folds, choose(rule, folds))).uf1


def published_table(folds: Folds, names: Sequence[str] = tuple(PUBLISHED_RULES)) -> pd.DataFrame:
    """What the same predictions score under published rules.

    Returns:
        A row for the default rule and one for each name; columns rule, F1, recall, accuracy (nan
        where the paper does not report it) and note.

    Raises:
        UserError: there is no published rule of that name.
    """
    unknown = [name for name in names if name not in PUBLISHED_RULES]
    if unknown:
        raise UserError(
            f"There is no published rule {name_list(unknown)}. There are: "
            f"{name_list(PUBLISHED_RULES)}."
        )
    rules = [RULES[DEFAULT_RULE], *(PUBLISHED_RULES[name] for name in names)]
    rows = [{"rule": rule.title, **rule.metrics(folds), "note": rule.note} for rule in rules]
    return pd.DataFrame(rows, columns=["rule", "F1", "recall", "accuracy", "note"])


def rule_title(name: str) -> str:
    """The rule's name as printed: a star where the test subject chose the epoch."""
    return get_rule(name).title


def selection_warnings(names: Iterable[str]) -> list[str]:
    """A sentence for each of the rules that look at the test subject."""
    return [
        f"epoch rule {name}: selected on the test subject, not an estimate for new subjects"
        for name in names
        if get_rule(name).starred
    ]


def rules_footnote(names: Iterable[str], *, in_grid: bool = False) -> str:
    """How each of the rules chooses, a line each."""
    rules = [get_rule(name) for name in names]
    notes = [f"{rule.title}: {rule.grid_note if in_grid else rule.note}" for rule in rules]
    return "\n".join([*notes, *([STAR_NOTE] if any(rule.starred for rule in rules) else [])])
