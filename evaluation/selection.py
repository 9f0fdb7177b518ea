"""What a figure's epoch rule says of the figure: some rules look at the test subject."""

SELECTED_ON_TEST_SUBJECT = ("oracle",)
"""Rules that choose by the labels that the figure is then computed from."""

ORACLE_FOOTNOTE = "* epoch selected on the test subject: not an estimate for new subjects"


def rule_title(rule: str) -> str:
    """The rule's name as printed: one that looks at the test subject says so."""
    return f"{rule}*" if rule in SELECTED_ON_TEST_SUBJECT else rule
