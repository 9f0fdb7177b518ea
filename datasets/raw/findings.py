"""What an audit finds in a row or a clip: the value, the rule broken, what happens to it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

import pandas as pd

Outcome = Literal["kept", "excluded", "corrected"]


@dataclass(frozen=True, order=True)
class Finding:
    """One line of the audit table.

    Attributes:
        dataset: name of the dataset.
        row: row of the sheet as a spreadsheet numbers it; 0 for the sheet as a whole.
        subject, clip: names of the clip; empty for the sheet as a whole.
        rule: short name of the rule broken.
        value: the offending value as found.
        outcome: what happens to the clip.
        detail: one sentence: why, and what is done or can be done.
    """

    dataset: str
    row: int
    subject: str
    clip: str
    rule: str
    value: str
    outcome: Outcome
    detail: str


@dataclass
class RowReport:
    """Collects the findings on one row; the row is out once one of them excludes it."""

    dataset: str
    row: int
    subject: str = ""
    clip: str = ""
    findings: list[Finding] = field(default_factory=list)

    def add(self, rule: str, value: object, outcome: Outcome, detail: str) -> None:
        """One more finding on this row."""
        self.findings.append(
            Finding(
                self.dataset, self.row, self.subject, self.clip, rule, str(value), outcome, detail
            )
        )

    @property
    def excluded(self) -> bool:
        """Whether the row gives no clip."""
        return any(finding.outcome == "excluded" for finding in self.findings)


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """The findings as a table in the order of the sheet, one column per attribute."""
    columns = [column.name for column in fields(Finding)]
    return pd.DataFrame([asdict(finding) for finding in sorted(findings)], columns=columns)
