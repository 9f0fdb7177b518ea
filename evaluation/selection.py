"""What a figure's epoch rule says of the figure: some rules look at the test subject."""

from collections.abc import Collection

DEFAULT_RULE = "last"
"""The rule that chooses nothing; its files lie in a configuration's own folder."""
SELECTED_ON_TEST_SUBJECT = ("oracle",)
"""Rules that choose by the labels that the figure is then computed from."""

RULE_NOTES = {
    "last": "last: the last epoch; nothing is chosen",
    "inner": "inner: epoch chosen on validation subjects that the networks were not trained on",
    "inner_refit": "inner_refit: the same epoch of the training on all training subjects",
    "cross_fitted": "cross_fitted: epoch chosen on the other subjects' held-out predictions, of "
    "networks that were trained on the test subject",
}
"""How each rule chooses, for readers of a table."""

KNOWN_RULES = (*RULE_NOTES, *SELECTED_ON_TEST_SUBJECT)
"""Of any other rule nobody can tell what it looked at."""

ORACLE_FOOTNOTE = "* epoch selected on the test subject: not an estimate for new subjects"


def selection_warnings(rules: Collection[str]) -> list[str]:
    """What must stand beside figures of these rules: a sentence where the test subject chose."""
    return [
        f"epoch rule {rule}: selected on the test subject, not an estimate for new subjects"
        for rule in rules
        if rule in SELECTED_ON_TEST_SUBJECT
    ]


def rules_footnote(rules: Collection[str]) -> str:
    """A sentence for each of the rules, a line each."""
    notes = [RULE_NOTES[rule] for rule in rules if rule in RULE_NOTES]
    if set(rules) & set(SELECTED_ON_TEST_SUBJECT):
        notes.append(ORACLE_FOOTNOTE)
    return "\n".join(notes)


def rule_title(rule: str) -> str:
    """The rule's name as printed: one that looks at the test subject says so."""
    return f"{rule}*" if rule in SELECTED_ON_TEST_SUBJECT else rule
