"""Puts the page together from what a results folder holds."""

import platform
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from evaluation.report.blocks import (
    Block,
    Commands,
    Drawing,
    Folded,
    Headline,
    Page,
    Paragraph,
    Section,
    Terms,
)
from evaluation.report.contents import WHOLE, ConfigurationResults, Contents
from evaluation.report.grid import grid_of, grid_picture
from evaluation.report.intervals import FigureRow, figure_rows, interval_picture, interval_text
from evaluation.report.pictures import (
    confusion_picture,
    epoch_picture,
    file_name,
    subject_picture,
)
from evaluation.report.robustness import over_seeds, robustness_picture, with_intervals
from evaluation.report.tables import (
    confusion_table,
    epoch_table,
    figure_table,
    overview_table,
    robustness_summary_table,
    robustness_table,
    subjects_table,
)
from evaluation.selection import (
    ORACLE_FOOTNOTE,
    RULE_NOTES,
    SELECTED_ON_TEST_SUBJECT,
    rule_title,
)

_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "matplotlib")
_SYNTHETIC_WARNING = (
    "Synthetic clips. The faces are drawn, not filmed: no figure on this page holds for real ones."
)
_SHUFFLE_WARNING = (
    "Shuffled labels. This run checks that chance comes out where there is nothing to learn."
)
_SELECTION_WARNING = (
    "Selected on the test subject. The labels that are scored chose the epoch of figures marked * "
    "below, and nothing stands beside them that was not so chosen: they are not an estimate for "
    "new subjects."
)
_CHOSEN_TEXT = (
    "Here the rules choose the configuration as well as the epoch. The rule last takes the first "
    "configuration, which was fixed before the search. inner and inner_refit choose on each fold's "
    "validation subjects, cross_fitted on the other subjects' held-out predictions. oracle* takes "
    "the configuration with the highest figure of the search. The search itself looked at test "
    "subjects: the highest figure among the configurations below must not be quoted, whatever its "
    "epoch rule."
)
_UNKNOWN_RULE_TEXT = (
    "the files do not say how the epoch was chosen; published code chooses it on the test subject"
)
_RECORDED_RUN = (
    "Put the folder of motion maps in place of INPUTS. The same command goes on with a run that "
    "was stopped."
)
_MOVED_RUN = (
    "measure_robustness.py trained this run on maps that it computed for it; the command of the "
    "whole benchmark stands on the page of its folder."
)
_TERMS = [
    (
        "UF1",
        "Unweighted F1: the mean over classes of F1, from the predictions of all folds pooled in "
        "one list. Classes that are neither true nor predicted are left out.",
    ),
    ("UAR", "Unweighted average recall: the mean recall of the classes that have a true clip."),
    ("ACC", "Share of clips that are recognised; it favours methods that prefer large classes."),
    (
        "95 % interval",
        "Percentile bootstrap over subjects. It tells how much the figure would vary with other "
        "subjects, not with another seed of training.",
    ),
]


def build_page(contents: Contents, commands: list[str], detailed: list[str]) -> Page:
    """The page of a results folder.

    Args:
        commands: shell lines that repeat the run.
        detailed: names of the configurations that get a section of their own.
    """
    chosen = [c for c in contents.configurations if c.name in detailed]
    rows = {c.name: figure_rows(c, c.datasets) for c in chosen}
    sections = []
    if contents.chosen is not None:
        sections.append(_chosen(contents, contents.chosen))
    if len(contents.configurations) > 1:
        sections.append(_overview(contents, rows))
    for configuration in chosen:
        section = _configuration(contents, configuration, rows[configuration.name])
        sections += section.parts if len(contents.configurations) == 1 else [section]
    if contents.robustness is not None:
        sections.append(_robustness(contents))
    sections += [_reading(contents), _repeating(contents, commands)]
    lone = rows[chosen[0].name] if len(contents.configurations) == 1 and chosen else []
    return Page(
        name=contents.name,
        marks=_marks(contents),
        facts=_facts(contents),
        warnings=_warnings(contents),
        headlines=_headlines(lone),
        remark=_remark(lone),
        sections=sections,
    )


def _marks(contents: Contents, configuration: ConfigurationResults | None = None) -> str:
    """What must stand beside every figure, such as synthetic clips or missing ones."""
    marks = ["SYNTHETIC CLIPS"] if contents.synthetic else []
    if contents.record.get("label_shuffle") is not None:
        marks.append("SHUFFLED LABELS")
    if contents.record.get("protocol", "composite") != "composite":
        marks.append(f"protocol {contents.record['protocol']}")
    if contents.record.get("key_frames") is not None:
        marks.append(f"KEY FRAMES {contents.record['key_frames']}")
    if configuration is None and contents.partial:
        marks.append("PARTIAL")
    elif configuration is not None and configuration.problems:
        missing = max(rule.results.missing_clips for rule in configuration.rules)
        marks.append(f"PARTIAL: {missing} clips missing")
    return ", ".join(marks)


def _warnings(contents: Contents) -> list[str]:
    warnings = [_SYNTHETIC_WARNING] if contents.synthetic else []
    if contents.record.get("label_shuffle") is not None:
        warnings.append(_SHUFFLE_WARNING)
    if any(configuration.first.selected_on_test for configuration in contents.configurations):
        warnings.append(_SELECTION_WARNING)
    problems: dict[str, list[str]] = {}
    for configuration in contents.configurations:
        for problem in configuration.problems:
            problems.setdefault(problem, []).append(configuration.label)
    for problem, labels in problems.items():
        everywhere = len(labels) == len(contents.configurations)
        where = "" if everywhere else f" ({'; '.join(labels)})"
        warnings.append(f"Partial results{where}: {problem}.")
    return warnings


def _facts(contents: Contents) -> list[tuple[str, str]]:
    """Short facts below the title, from the record where there is one."""
    record = contents.record
    if contents.configurations:
        rows = contents.configurations[0].first.rows
        subjects = rows.groupby(["dataset", "subject"]).ngroups
        facts = [("clips", str(len(rows))), ("subjects", str(subjects))]
        labels = [configuration.label for configuration in contents.configurations]
        facts.insert(
            0, ("configurations", str(len(labels))) if labels[1:] else ("configuration", labels[0])
        )
    else:
        facts = []
    recorded = {**record, **(record.get("training") or {})}
    for name in ("protocol", "preset", "epochs", "seed", "device"):
        if name in recorded:
            facts.append((name, str(recorded[name])))
    return facts


def _headlines(rows: list[FigureRow]) -> list[Headline]:
    """The first rule's figures on all clips."""
    return [
        Headline(name, f"{interval.value:.3f}", interval_text(interval))
        for row in rows[:1]
        for name, interval in row.intervals.items()
    ]


def _remark(rows: list[FigureRow]) -> str:
    """What the large figures are, and what the rules that look at the test subject would give."""
    if not rows:
        return ""
    first, *others = [row for row in rows if row.dataset == WHOLE]
    text = (
        f"Epoch rule {rule_title(first.rule.rule)}, with 95 % intervals over "
        f"{first.subjects} subjects."
    )
    if first.rule.selected_on_test:
        text += f" {ORACLE_FOOTNOTE}."
    for row in others:
        if row.rule.selected_on_test:
            gain = row.intervals["UF1"].value - first.intervals["UF1"].value
            text += (
                f" Selecting each subject's epoch on that very subject "
                f"({rule_title(row.rule.rule)}) moves UF1 by {gain:+.3f}; that is not an estimate "
                "for new subjects."
            )
    return text


def _chosen(contents: Contents, chosen: ConfigurationResults) -> Section:
    marks = _marks(contents, chosen)
    rows = figure_rows(chosen, chosen.datasets)
    picture = interval_picture(rows, "chosen", "chosen among all configurations", marks)
    return Section(
        "What may be quoted of this search",
        "chosen",
        [Paragraph(_CHOSEN_TEXT), Drawing(picture, marks), figure_table(rows, marks)],
    )


def _overview(contents: Contents, known: dict[str, list[FigureRow]]) -> Section:
    marks = _marks(contents)
    rows = {
        c.label: [r for r in known[c.name] if r.dataset == WHOLE]
        if c.name in known
        else figure_rows(c, [WHOLE])
        for c in contents.configurations
    }
    blocks: list[Block] = []
    grid = grid_of(contents.configurations)
    if grid is not None:
        blocks.append(Drawing(grid_picture(grid, marks), marks))
    blocks.append(overview_table(rows, marks))
    if len(known) < len(contents.configurations):
        blocks.append(
            Paragraph(
                f"{len(known)} of {len(contents.configurations)} configurations have a section of "
                "their own below; --configurations names others."
            )
        )
    return Section("All configurations", "configurations", blocks)


def _configuration(
    contents: Contents, configuration: ConfigurationResults, rows: list[FigureRow]
) -> Section:
    marks, name = _marks(contents, configuration), configuration.name
    picture = interval_picture(rows, file_name("figures", name), name, marks)
    parts = [
        _part("Metrics", name, [Drawing(picture, marks), figure_table(rows, marks)]),
        _part("Epochs", name, _epoch_blocks(configuration, marks)),
        _part("Confusion matrices", name, _confusion_blocks(configuration, marks)),
        _part("Subjects", name, _subject_blocks(configuration, marks)),
    ]
    return Section(configuration.label, file_name("configuration", name), [], parts)


def _part(title: str, configuration: str, blocks: list[Block]) -> Section:
    return Section(title, file_name(title.split()[0].lower(), configuration), blocks)


def _epoch_blocks(configuration: ConfigurationResults, marks: str) -> list[Block]:
    if configuration.by_epoch is None:
        return [
            Paragraph(
                "There is no curve: these results hold no predictions of single epochs, not of "
                "every fold, or their rows do not tell fold, seed and configuration."
            )
        ]
    if len(configuration.by_epoch) == 1:
        return [Paragraph("There is no curve: this method is fitted in one step.")]
    table = epoch_table(configuration, marks)
    return [
        Drawing(epoch_picture(configuration, marks), marks),
        Folded("Metrics at every epoch", [table]),
    ]


def _confusion_blocks(configuration: ConfigurationResults, marks: str) -> list[Block]:
    tables: list[Block] = [
        confusion_table(configuration, rule, dataset, marks)
        for dataset in configuration.datasets
        for rule in configuration.rules
    ]
    return [
        Drawing(confusion_picture(configuration, marks), marks),
        Folded("Matrices as tables, with F1 and recall, for every dataset", tables),
    ]


def _subject_blocks(configuration: ConfigurationResults, marks: str) -> list[Block]:
    datasets = sorted(configuration.first.rows["dataset"].unique())
    pictures: list[Block] = [
        Drawing(subject_picture(configuration, dataset, marks), marks) for dataset in datasets
    ]
    table = subjects_table(configuration, marks)
    return [*pictures, Folded(f"All {len(table.rows)} subjects as a table", [table])]


def _robustness(contents: Contents) -> Section:
    assert contents.robustness is not None
    marks = _marks(replace(contents, configurations=[]))
    table = with_intervals(over_seeds(contents.robustness), contents.robustness_curves)
    picture = robustness_picture(table, marks)
    blocks: list[Block] = [] if picture is None else [Drawing(picture, marks)]
    if contents.robustness_summary is not None:
        blocks.append(robustness_summary_table(contents.robustness_summary, marks))
    return Section("Key-frame errors", "robustness", [*blocks, robustness_table(table, marks)])


def _reading(contents: Contents) -> Section:
    rules = dict.fromkeys(r.rule for c in contents.configurations for r in c.rules)
    texts = [(f"Epoch rule {rule_title(rule)}", _rule_text(rule)) for rule in rules]
    return Section("How to read this page", "reading", [Terms(_TERMS + texts)])


def _rule_text(rule: str) -> str:
    """What a rule looks at, as a sentence."""
    if rule in SELECTED_ON_TEST_SUBJECT:
        text = ORACLE_FOOTNOTE.removeprefix("* ")
    else:
        text = RULE_NOTES.get(rule, _UNKNOWN_RULE_TEXT).removeprefix(f"{rule}: ")
    return f"{text[0].upper()}{text[1:]}."


def _repeating(contents: Contents, commands: list[str]) -> Section:
    record = contents.record
    versions = [("For this page", {"Python": platform.python_version()} | _library_versions())]
    if record:
        before = _MOVED_RUN if record.get("key_frames") is not None else _RECORDED_RUN
        skipped = ("versions", "configurations")
        settings = {name: value for name, value in record.items() if name not in skipped}
        after: list[Block] = [Folded("All recorded settings of the run", [Terms(_flat(settings))])]
        versions.insert(0, ("In the run", record.get("versions", {})))
    elif contents.robustness_settings is not None:
        before, after = "The first command goes on with a benchmark that was stopped.", []
    else:
        before, after = "These results came without a record of their run.", []
    texts = [
        (where, ", ".join(f"{name} {number}" for name, number in own.items()))
        for where, own in versions
    ]
    blocks = [Paragraph(before), Commands(commands), *after, Paragraph("Versions"), Terms(texts)]
    return Section("How to repeat this", "repeating", blocks)


def _library_versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as pairs with dotted names."""
    pairs = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{name}.")
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            pairs.append((f"{prefix}{name}", text))
    return pairs
