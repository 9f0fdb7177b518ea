"""Errors that the user can mend: one line on the terminal, exit code 2, no traceback."""

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

MOST_NAMES_SHOWN = 20
LONGEST_LINE = 300
SHARE_OF_START = 0.6
"""Of a line that is cut in its middle: its end says what to do."""
INTERRUPTED = 130
"""What shells report of a program that was stopped by Ctrl-C."""
BROKEN_PIPE = 141
"""What shells report of a program whose reader has left."""


class UserError(Exception):
    """Bad input. The message says which value, why it is refused and what to do."""


def name_list(names: Iterable[object]) -> str:
    """The names, comma-separated; a long list is cut and says how many more there are."""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:MOST_NAMES_SHOWN])
    hidden = len(texts) - MOST_NAMES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def printable(text: str) -> str:
    """The text with unprintable characters and line ends escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def shorten_middle(text: str, longest: int) -> str:
    """The text, cut in its middle to ``longest`` characters."""
    if len(text) <= longest:
        return text
    start = int(longest * SHARE_OF_START)
    return f"{text[:start]}…{text[start + 1 - longest :]}"


def describe_os_error(error: OSError) -> str:
    """Which file, why, and what to do."""
    name = error.filename if error.filename is not None else error.filename2
    what = (
        "a file" if name is None else os.fsdecode(name) if not isinstance(name, int) else "a file"
    )
    reason = error.strerror or str(error) or type(error).__name__
    return f"{what} cannot be read or written: {reason}. Give another place, or make room."


def run_script(main: Callable[[], None]) -> None:
    """Run a script's ``main``; an error that the user can mend ends it with exit code 2.

    This is the one place where such an error becomes a line on stderr: of at most 300 characters,
    whatever the message holds. A reader of the output that has left, such as ``head``, ends the
    script without a word.
    """
    for stream in (sys.stdout, sys.stderr):
        # What a terminal's encoding lacks is written as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except UserError as error:
        _refuse(" ".join(str(error).splitlines()))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        _leave_output()
        raise SystemExit(BROKEN_PIPE) from None
    except OSError as error:
        if error.filename is None:
            # Perhaps it is the output that cannot be written to.
            _leave_output()
        _refuse(describe_os_error(error))
    except MemoryError as error:
        _refuse(f"there is not enough memory ({error}). Give smaller inputs or settings.")


def _leave_output() -> None:
    """Python flushes the output once more when it ends, which must not fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(text: str) -> None:
    with suppress(OSError):
        print(shorten_middle(printable(f"error: {text}"), LONGEST_LINE), file=sys.stderr)
    raise SystemExit(2) from None
