"""The tables of docs/results.md: every method, epoch rule and dataset, against ``linear``.

    python -m benchmarks.results_tables results

Reads the folders that ``make results`` fills; a method or rule that is not there has no row. Prints
two Markdown tables for each rule, the methods and the ablations of ``compact``: UF1 with its 95 %
interval (bootstrap over subjects) and standard deviation over seeds, UAR, ACC, and the difference
to a reference with p (paired permutation over subjects, Holm over the methods of the table that are
compared with this reference on this dataset). A rule that selects on the test subject is not
compared: the figures of the same networks under ``last`` stand beside. Prints one JSON object.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from common.errors import UserError, name_list, run_script
from evaluation.comparison import TESTED, compare, p_text
from evaluation.methods import Method, read_methods
from evaluation.metrics import METRICS
from evaluation.results_folder import PREDICTIONS_NAME
from evaluation.selection import DEFAULT_RULE, SELECTED_ON_TEST_SUBJECT, rules_footnote
from evaluation.statistics import bootstrap_interval, spread_over_seeds

RULES = ("last", "inner", "inner_refit", "cross_fitted", "oracle")
DATASETS = {None: "full", "casme2": "CASME II", "smic": "SMIC", "samm": "SAMM"}
LINEAR = "linear/linear"
COMPACT = "0.5_1_1_2"


@dataclass(frozen=True)
class Family:
    """Methods that stand in one table and are adjusted for their number together.

    Attributes:
        methods: title -> pattern of the folders of its seeds, under the results folder.
        references: title -> the same of what the methods are compared with.
    """

    title: str
    methods: dict[str, str]
    references: dict[str, str]


FAMILIES = [
    Family(
        "methods",
        {
            "majority": "majority/majority",
            "ststnet": "ststnet-seed*/ststnet",
            "compact": f"compact-seed*/{COMPACT}",
        },
        {"linear": LINEAR},
    ),
    Family(
        "ablations of `compact`, seed 1",
        {
            title: f"compact-{name}/{COMPACT}_{name}"
            for title, name in {
                "no CMPLM": "no_cmplm",
                "no CAB": "no_cab",
                "no direction maps": "no_direction",
                "contraction only": "contraction_only",
            }.items()
        },
        {"linear": LINEAR, "compact": f"compact-seed1/{COMPACT}"},
    ),
]


@dataclass(frozen=True)
class Config:
    """What to read."""

    results: tyro.conf.Positional[Path] = Path("results")
    """The folder that ``make results`` fills."""


def main() -> None:
    """Read, compare and print."""
    config = tyro.cli(Config, description=__doc__)
    if not (config.results / LINEAR / PREDICTIONS_NAME).is_file():
        raise UserError(f"{config.results / LINEAR} holds no results. Run `make results` first.")
    rows = []
    for rule in RULES:
        for family in FAMILIES:
            own = [
                row
                for dataset in DATASETS
                for row in rows_of(config.results, family, rule, dataset)
            ]
            if own:
                print(f"\n### Rule `{rule}`: {family.title}\n\n{rules_footnote([rule])}\n")
                print(markdown(own, list(family.references)))
            rows += own
    print(json.dumps({"benchmark": "results_tables", "rows": rows}))


def rows_of(
    results: Path, family: Family, rule: str, dataset: str | None
) -> list[dict[str, object]]:
    """One row a method, and above them one for every reference.

    ``linear`` has no epochs: it is compared with under every rule and shown under the first.
    """
    folders = {title: _folders(results, at, rule) for title, at in family.methods.items()}
    found = {title: own for title, own in folders.items() if own}
    if not found:
        return []
    methods = _read(results, found, dataset)
    rows = {title: _row(title, family, rule, dataset, method) for title, method in methods.items()}
    if rule in SELECTED_ON_TEST_SUBJECT:
        honest = {title: _folders(results, family.methods[title], DEFAULT_RULE) for title in found}
        for title, method in _read(results, honest, dataset).items():
            for figure in ("UF1", "UAR"):
                of_last = bootstrap_interval(method.confusions(method.predicted), figure).value
                rows[title][f"{figure} of {DEFAULT_RULE}"] = of_last
        return list(rows.values())
    above = []
    for name, at in family.references.items():
        own = _folders(results, at, DEFAULT_RULE if at == LINEAR else rule)
        if not own:
            continue
        # One call reads all, so that they are checked to hold the same clips.
        reference, *others = _read(results, {name: own, **found}, dataset).values()
        for title, comparison in zip(found, compare(reference, others), strict=True):
            for figure, difference in comparison.differences.items():
                rows[title][f"{figure} minus {name}"] = difference.interval.value
                rows[title][f"{figure} minus {name}, p"] = difference.p_holm
        if at != LINEAR or (rule == DEFAULT_RULE and len(family.references) == 1):
            above.append(_row(name, family, rule, dataset, reference))
    return [*above, *rows.values()]


def _read(results: Path, folders: dict[str, list[Path]], dataset: str | None) -> dict[str, Method]:
    """The methods by title; the seeds of each must be one configuration's.

    Raises:
        UserError: they are not.
    """
    methods = read_methods([folder for own in folders.values() for folder in own], dataset)
    if len(methods) != len(folders):
        titles = name_list(folders)
        raise UserError(
            f"{results}: {len(methods)} configurations where {len(folders)} were expected "
            f"({titles}). Run all seeds of a method with the same settings."
        )
    return dict(zip(folders, methods, strict=True))


def _folders(results: Path, pattern: str, rule: str) -> list[Path]:
    places = sorted(results.glob(pattern))
    if rule != DEFAULT_RULE:
        places = [place / rule for place in places]
    return [place for place in places if (place / PREDICTIONS_NAME).is_file()]


def _row(
    title: str, family: Family, rule: str, dataset: str | None, method: Method
) -> dict[str, object]:
    confusions = method.confusions(method.predicted)
    row: dict[str, object] = {
        "family": family.title,
        "dataset": DATASETS[dataset],
        "method": title,
        "rule": rule,
        "seeds": method.seeds,
    }
    for figure in METRICS:
        interval = bootstrap_interval(confusions, figure)
        row[figure] = interval.value
        row[f"{figure} interval"] = [interval.low, interval.high]
        if method.seeds > 1:
            row[f"{figure} deviation"] = spread_over_seeds(confusions, figure).deviation
    return row


def markdown(rows: Sequence[dict], references: Sequence[str]) -> str:
    """A table of rows of one rule; what is not compared has a dash."""
    of_last = any(f"UF1 of {DEFAULT_RULE}" in row for row in rows)
    beside = (
        [f"{figure} of `{DEFAULT_RULE}`" for figure in TESTED]
        if of_last
        else [f"{figure} minus {name}" for name in references for figure in TESTED]
    )
    names = ["dataset", "method", "seeds", *METRICS, *beside]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [row["dataset"], row["method"], str(row["seeds"])]
        cells += [_figure_text(row, figure) for figure in METRICS]
        if of_last:
            cells += [_short(row[f"{figure} of {DEFAULT_RULE}"]) for figure in TESTED]
        else:
            cells += [_difference_text(row, name) for name in beside]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure_text(row: dict, figure: str) -> str:
    low, high = row[f"{figure} interval"]
    text = f"{_short(row[figure])} [{_short(low)}, {_short(high)}]"
    return text if row["seeds"] == 1 else f"{text} ± {_short(row[f'{figure} deviation'])}"


def _difference_text(row: dict, name: str) -> str:
    return f"{row[name]:+.3f}, p {p_text(row[f'{name}, p'])}" if name in row else "–"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.3f}"


if __name__ == "__main__":
    run_script(main)
