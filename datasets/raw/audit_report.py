"""The audit as lines of text: a few findings of each rule, and the clips that a scheme takes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from common.errors import LONGEST_LINE, printable, shorten_middle
from datasets.raw.findings import Finding
from datasets.raw.label_schemes import LabelledClip, LabelScheme

MOST_SHOWN = 6


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for the first findings of every rule, in the order of the sheet, and counts."""
    ordered = sorted(findings)
    totals = Counter(finding.rule for finding in ordered)
    shown: Counter[str] = Counter()
    for finding in ordered:
        shown[finding.rule] += 1
        if shown[finding.rule] <= MOST_SHOWN:
            yield _line(finding)
        if shown[finding.rule] == totals[finding.rule] > MOST_SHOWN:
            yield f"{finding.rule}: {totals[finding.rule] - MOST_SHOWN} more in the table"
    if not totals:
        yield "the audit finds nothing"


def _line(finding: Finding) -> str:
    row = f"row {finding.row}" if finding.row else "sheet"
    clip = f" {finding.subject}/{finding.clip}" if finding.subject else ""
    value = f" ({finding.value})" if finding.value else ""
    text = f"{finding.outcome}: {row}{clip}, {finding.rule}{value}: {finding.detail}"
    return shorten_middle(printable(text), LONGEST_LINE)


def selection_line(clips: Sequence[LabelledClip], scheme: LabelScheme) -> str:
    """How many clips and subjects a scheme takes, and how many of each class."""
    counts = Counter(labelled.label for labelled in clips)
    subjects = {(labelled.clip.dataset, labelled.clip.subject) for labelled in clips}
    classes = ", ".join(f"{name} {counts[label]}" for label, name in enumerate(scheme.classes))
    return f"{scheme.name}: {len(clips)} clips of {len(subjects)} subjects ({classes})"
