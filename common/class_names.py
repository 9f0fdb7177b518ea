"""Names of classes: those of the field's usual protocol, and what may be one."""

CLASS_NAMES = ("negative", "positive", "surprise")
"""Class names of the MEGC2019 protocol; a class's number is its place."""
MOST_CLASSES = 100
LONGEST_NAME = 100


def is_class_name(word: object) -> bool:
    """Whether it may name a class: a text of printable characters, not blank, not too long, without
    blanks at its ends, which a table does not keep."""
    if not isinstance(word, str) or len(word) > LONGEST_NAME:
        return False
    return bool(word) and word == word.strip() and word.isprintable()
