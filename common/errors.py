"""Errors that the user can mend: one line on the terminal, exit code 2, no traceback."""

import sys
from collections.abc import Callable, Iterable

MOST_NAMES_SHOWN = 20


class UserError(Exception):
    """Bad input. The message says which value, why it is refused and what to do."""


def name_list(names: Iterable[object]) -> str:
    """The names, comma-separated; a long list is cut and says how many more there are."""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:MOST_NAMES_SHOWN])
    hidden = len(texts) - MOST_NAMES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def run_script(main: Callable[[], None]) -> None:
    """Run a script's ``main``; a ``UserError`` becomes one line on stderr and exit code 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
