"""The tables of docs/results.md: every method, epoch rule and dataset, against ``linear``.

    python -m benchmarks.results_tables results

Reads the folders that ``make results`` fills; a method or rule that is not there has no row. Prints
one Markdown table for each rule: UF1 with its 95 % interval (bootstrap over subjects) and standard
deviation over seeds, UAR, ACC, and the difference to ``linear`` with p (paired permutation over
subjects, Holm over the methods of the table and dataset). Prints one JSON object.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from common.errors import UserError, run_script
from evaluation.comparison import Comparison, compare, p_text
from evaluation.methods import Method, read_methods
from evaluation.results_folder import PREDICTIONS_NAME
from evaluation.selection import SELECTED_ON_TEST_SUBJECT, rules_footnote
from evaluation.statistics import bootstrap_interval, spread_over_seeds
from training.configuration_results import DEFAULT_RULE

RULES = ("last", "inner", "inner_refit", "cross_fitted", "oracle")
DATASETS = {None: "full", "casme2": "CASME II", "smic": "SMIC", "samm": "SAMM"}
REFERENCE = "linear/linear"
METHODS = {
    "majority": "majority/majority",
    "ststnet": "ststnet-seed*/ststnet",
    "compact": "compact-seed*/0.5_1_1_2",
    "compact, no CMPLM": "compact-no_cmplm/0.5_1_1_2_no_cmplm",
    "compact, no CAB": "compact-no_cab/0.5_1_1_2_no_cab",
    "compact, no direction maps": "compact-no_direction/0.5_1_1_2_no_direction",
    "compact, contraction only": "compact-contraction_only/0.5_1_1_2_contraction_only",
}
"""Title and folder of every method, under the results folder."""


@dataclass(frozen=True)
class Config:
    """What to read."""

    results: tyro.conf.Positional[Path] = Path("results")
    """The folder that ``make results`` fills."""


def main() -> None:
    """Read, compare and print."""
    config = tyro.cli(Config, description=__doc__)
    if not (config.results / REFERENCE / PREDICTIONS_NAME).is_file():
        raise UserError(f"{config.results / REFERENCE} holds no results. Run `make results` first.")
    rows = []
    for rule in RULES:
        own = [row for dataset in DATASETS for row in rows_of(config.results, rule, dataset)]
        if own:
            print(f"\n### Epoch rule `{rule}`\n\n{rules_footnote([rule])}\n\n{markdown(own)}")
        rows += own
    print(json.dumps({"benchmark": "results_tables", "rows": rows}))


def rows_of(results: Path, rule: str, dataset: str | None) -> list[dict[str, object]]:
    """One row a method; ``linear`` and ``majority`` have no epochs and stand in the first table."""
    folders = {title: _folders(results, pattern, rule) for title, pattern in METHODS.items()}
    found = {title: own for title, own in folders.items() if own}
    if not found:
        return []
    # One call reads all, so that they are checked to hold the same clips.
    together = [results / REFERENCE, *(folder for own in found.values() for folder in own)]
    reference, *methods = read_methods(together, dataset)
    titled = list(zip(["linear", *found], [reference, *methods], strict=True))
    comparisons: list[Comparison | None] = [None, *compare(reference, methods)]
    kept = titled if rule == DEFAULT_RULE else titled[1:]
    against = comparisons if rule == DEFAULT_RULE else comparisons[1:]
    return [
        _row(title, rule, DATASETS[dataset], method, comparison)
        for (title, method), comparison in zip(kept, against, strict=True)
    ]


def _folders(results: Path, pattern: str, rule: str) -> list[Path]:
    places = sorted(results.glob(pattern))
    if rule != DEFAULT_RULE:
        places = [place / rule for place in places]
    return [place for place in places if (place / PREDICTIONS_NAME).is_file()]


def _row(
    title: str, rule: str, dataset: str, method: Method, comparison: Comparison | None
) -> dict[str, object]:
    confusions = method.confusions(method.predicted)
    row: dict[str, object] = {
        "dataset": dataset,
        "method": title,
        "rule": rule,
        "seeds": method.seeds,
    }
    for figure in ("UF1", "UAR", "ACC"):
        interval = bootstrap_interval(confusions, figure)
        row[figure] = interval.value
        row[f"{figure} interval"] = [interval.low, interval.high]
        if method.seeds > 1:
            row[f"{figure} deviation"] = spread_over_seeds(confusions, figure).deviation
    if comparison is not None and rule not in SELECTED_ON_TEST_SUBJECT:
        for figure, difference in comparison.differences.items():
            row[f"{figure} minus linear"] = difference.interval.value
            row[f"{figure} p"] = difference.p_holm
    return row


def markdown(rows: Sequence[dict]) -> str:
    """A table of rows; what is not tested has a dash."""
    lines = [
        "| dataset | method | seeds | UF1 | UAR | ACC | UF1 minus linear | UAR minus linear |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["dataset"], row["method"], str(row["seeds"])]
        cells += [_figure_text(row, figure) for figure in ("UF1", "UAR", "ACC")]
        cells += [_difference_text(row, figure) for figure in ("UF1", "UAR")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure_text(row: dict, figure: str) -> str:
    low, high = row[f"{figure} interval"]
    text = f"{_short(row[figure])} [{_short(low)}, {_short(high)}]"
    return text if row["seeds"] == 1 else f"{text} ± {_short(row[f'{figure} deviation'])}"


def _difference_text(row: dict, figure: str) -> str:
    if f"{figure} p" not in row:
        return "–"
    return f"{row[f'{figure} minus linear']:+.3f}, p {p_text(row[f'{figure} p'])}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else f"{value:.3f}"


if __name__ == "__main__":
    run_script(main)
