"""Methods and their comparison as tables: on the terminal, as LaTeX, Markdown and CSV."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from evaluation.comparison import TESTED, Comparison, compare, format_p
from evaluation.epoch_rules import STAR_NOTE, get_rule, rules_footnote
from evaluation.methods import Method
from evaluation.metrics import METRICS, compute_class_f1
from evaluation.statistics import Interval, bootstrap_interval, fold_means, spread_over_seeds
from evaluation.tables import DATASET_TITLES

METRICS_NOTE = (
    "[low, high]: 95 % interval, bootstrap over subjects; +-: standard deviation over seeds. "
    "Several seeds: mean of the seeds' values."
)
DETAILS_NOTE = (
    "Per-class F1 of the pooled predictions. Per-fold means average the metrics of single "
    "subjects; they are other quantities than UF1 and UAR."
)
COMPARISON_NOTE = (
    "Difference to the reference with its 95 % interval (bootstrap over subjects); p: paired "
    "permutation test over subjects, adjusted by Holm; several seeds: class scores averaged over "
    "them. McNemar (clips): right with the reference alone : right with the method alone, p "
    "adjusted by Holm, Cohen's g; it takes clips for independent, so its p is too small."
)
PAPER_ORDER = ("casme2", "smic", "samm")
"""The order of datasets in the tables of papers; others follow."""
_PACKAGE = "% \\usepackage{booktabs}"
_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "%&#_${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": "$<$", ">": "$>$", "±": r"$\pm$", "|": r"\textbar{}"}
)


@dataclass(frozen=True)
class TextTable:
    """A table of text with its title and note.

    Attributes:
        label: names the table in LaTeX.
    """

    table: pd.DataFrame
    title: str
    note: str
    label: str


def metrics_table(methods: Sequence[Method]) -> pd.DataFrame:
    """Pooled UF1, UAR and ACC with interval and spread over seeds, as text."""
    return pd.DataFrame(
        {"method": method.title, **{metric: _format_metric(method, metric) for metric in METRICS}}
        for method in methods
    )


def details_table(methods: Sequence[Method]) -> pd.DataFrame:
    """Per-class F1, per-fold means, and the range of UF1 over the seeds, as text."""
    rows = []
    for method in methods:
        confusions = method.confusions(method.predicted)
        class_f1 = compute_class_f1(confusions.sum(axis=1)).mean(axis=0)
        names = [f"F1 {name}" for name in method.class_names]
        means, spread = fold_means(confusions), spread_over_seeds(confusions, "UF1")
        many = f"{spread.low:.3f} to {spread.high:.3f}"
        rows.append(
            {
                "method": method.title,
                **{name: f"{f1:.3f}" for name, f1 in zip(names, class_f1, strict=True)},
                "per-fold mean F1": f"{means.f1:.3f}",
                "per-fold mean recall": f"{means.recall:.3f}",
                "UF1 of seeds": many if method.seeds > 1 else "one seed",
            }
        )
    return pd.DataFrame(rows)


def comparison_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Differences, p values and McNemar's counts, as text."""
    rows = []
    for comparison in comparisons:
        row = {"method": comparison.method.title}
        for name in TESTED:
            difference = comparison.differences[name]
            interval = _format_interval(difference.interval, sign="+")
            row[f"{name} minus reference"] = f"{interval} p {format_p(difference.p_holm)}"
        clips = comparison.clips
        row["McNemar (clips)"] = (
            f"{clips.only_first}:{clips.only_second} p {format_p(comparison.clips_p_holm)} "
            f"g = {clips.cohens_g:+.2f}"
        )
        rows.append(row)
    return pd.DataFrame(rows)


def dataset_table(methods: Sequence[Method]) -> pd.DataFrame:
    """The table of a paper as numbers: every metric of all clips and of each dataset.

    Returns:
        One row per method with the columns method, epoch rule, seeds and notes, then for every
        dataset and metric ("full UF1") its value, "... low" and "... high" (95 % interval) and
        "... deviation" (over seeds; nan for one), and for UF1 and UAR "... minus reference" and
        "... p" (adjusted by Holm for the number of methods). The last two are nan for the first
        method, the reference, and wherever an epoch was chosen on test subjects or nobody knows
        how.
    """
    rows: list[dict[str, object]] = [
        {
            "method": method.name,
            "epoch rule": method.rule,
            "seeds": method.seeds,
            "notes": " ".join([*method.notes, *list_notes([method])]),
        }
        for method in methods
    ]
    for title, in_dataset in split_by_dataset(methods).items():
        differences = _test_against_first(in_dataset)
        for row, method, tested in zip(rows, in_dataset, differences, strict=True):
            columns = {**_describe(method), **tested}
            row |= {f"{title} {name}": value for name, value in columns.items()}
    return pd.DataFrame(rows)


def split_by_dataset(methods: Sequence[Method]) -> dict[str, list[Method]]:
    """The methods on all clips and on each dataset's, by the dataset's title."""
    names = set(methods[0].clips["dataset"])
    ordered = [name for name in PAPER_ORDER if name in names]
    ordered += sorted(names - set(ordered))
    parts = {"full": list(methods)} if len(ordered) > 1 else {}
    return parts | {
        DATASET_TITLES.get(name, name): [method.part(name) for method in methods]
        for name in ordered
    }


def _describe(method: Method) -> dict[str, float]:
    """Every metric with its interval and its deviation over seeds."""
    confusions = method.confusions(method.predicted)
    columns: dict[str, float] = {}
    for metric in METRICS:
        interval = bootstrap_interval(confusions, metric)
        columns |= {metric: interval.value, f"{metric} low": interval.low}
        columns[f"{metric} high"] = interval.high
        columns[f"{metric} deviation"] = spread_over_seeds(confusions, metric).deviation
    return columns


def _test_against_first(methods: Sequence[Method]) -> list[dict[str, float]]:
    """Difference and p of UF1 and UAR for each method; nan where there is no honest comparison."""
    names = [f"{metric} {what}" for metric in TESTED for what in ("minus reference", "p")]
    columns = [dict.fromkeys(names, math.nan) for _ in methods]
    honest = [get_rule(method.rule).honesty == "honest" for method in methods]
    if not honest[0]:
        return columns
    compared = [number for number in range(1, len(methods)) if honest[number]]
    comparisons = compare(methods[0], [methods[number] for number in compared])
    for number, comparison in zip(compared, comparisons, strict=True):
        for metric, difference in comparison.differences.items():
            columns[number][f"{metric} minus reference"] = difference.interval.value
            columns[number][f"{metric} p"] = difference.p_holm
    return columns


def format_dataset_table(ending: str, methods: Sequence[Method]) -> str:
    """The table of a paper as text, in the format of a file's ending: .csv, .md or .tex.

    The CSV file holds the numbers of ``dataset_table``; Markdown and LaTeX hold a value and its
    interval in each cell, with the notes below.
    """
    if ending == ".csv":
        return dataset_table(methods).to_csv(index=False, lineterminator="\n")
    texts = pd.DataFrame({"method": [method.title for method in methods]})
    for title, in_dataset in split_by_dataset(methods).items():
        for metric in METRICS:
            texts[f"{title} {metric}"] = [_format_metric(method, metric) for method in in_dataset]
    rules = dict.fromkeys(method.rule for method in methods)
    footnote = rules_footnote(rules).removesuffix(f"\n{STAR_NOTE}").splitlines()
    note = " ".join([METRICS_NOTE, *(f"{line}." for line in footnote), *list_notes(methods)])
    whole = TextTable(texts, f"Pooled metrics of {len(methods[0].clips)} clips", note, "results")
    return _to_wide_latex(whole) if ending == ".tex" else to_markdown([whole])


def list_notes(methods: Sequence[Method]) -> list[str]:
    """What must be said under every table of these methods, a sentence each."""
    notes = ["The clips are SYNTHETIC."] if any(method.synthetic for method in methods) else []
    if any(method.chosen_on_test_subjects for method in methods):
        notes.append(f"{STAR_NOTE}.")
    return notes


def to_latex(tables: Sequence[TextTable]) -> str:
    """Tables as LaTeX for the package booktabs; every character of theirs is escaped."""
    parts = []
    for one in tables:
        table = one.table.map(_escape_latex)
        table.columns = [_escape_latex(name) for name in table.columns]
        parts.append(_to_latex(one, table))
    return "\n".join([_PACKAGE, *parts])


def _to_wide_latex(one: TextTable) -> str:
    """One table over both columns of a paper, each interval on a line below its value."""
    table = one.table.map(lambda text: _stack(_escape_latex(text)))
    heads = [_escape_latex(name).rpartition(" ")[::2] for name in table.columns]
    table.columns = pd.MultiIndex.from_tuples(heads)
    text = _to_latex(one, table, multicolumn_format="c")
    text = text.replace(r"\begin{table}", "\\begin{table*}\n\\centering\\small")
    text = text.replace(r"\end{table}", r"\end{table*}")
    return f"{_PACKAGE}\n{text}"


def _to_latex(one: TextTable, table: pd.DataFrame, **options: str) -> str:
    named = {"caption": _escape_latex(f"{one.title}. {one.note}"), "label": f"tab:{one.label}"}
    columns = "l" + "r" * (len(table.columns) - 1)
    plain = {"index": False, "escape": False, "column_format": columns}
    return str(table.to_latex(**plain, **named, **options))


def _stack(text: str) -> str:
    value, bracket, interval = text.partition(" [")
    return rf"\shortstack{{{value}\\{{\scriptsize [{interval}}}}}" if bracket else text


def _escape_latex(text: str) -> str:
    return text.replace("+-", "±").translate(_LATEX)


def to_markdown(tables: Sequence[TextTable]) -> str:
    """Tables as Markdown, with their titles above and their notes below."""
    parts = []
    for one in tables:
        rows = [list(one.table.columns), *one.table.itertuples(index=False)]
        cells = [[_escape_markdown(cell) for cell in row] for row in rows]
        cells.insert(1, ["---"] * len(one.table.columns))
        lines = [f"| {' | '.join(row)} |" for row in cells]
        title, note = _escape_markdown(one.title), _escape_markdown(one.note)
        parts.append("\n".join([f"**{title}**", "", *lines, "", note, ""]))
    return "\n".join(parts)


def _escape_markdown(text: str) -> str:
    return text.translate({ord(character): f"\\{character}" for character in "|*_<\\`$~"})


def _format_metric(method: Method, metric: str) -> str:
    """A pooled metric with its interval and, for several seeds, its standard deviation."""
    confusions = method.confusions(method.predicted)
    text = _format_interval(bootstrap_interval(confusions, metric))
    if method.seeds == 1:
        return text
    return f"{text} +-{spread_over_seeds(confusions, metric).deviation:.3f}"


def _format_interval(interval: Interval, sign: str = "") -> str:
    value = f"{interval.value:{sign}.3f}"
    if math.isnan(interval.low):
        return value
    return f"{value} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"
