"""Bounds of the settings of all scripts, by name: checked where a setting is read, and only there.

They are wide: they keep out what no machine can do, so that it ends in a line and not in a crash.
"""

import errno
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from common.errors import UserError

LONGEST_TEXT = 4096
MOST_DIGITS = 18
WHOLE = re.compile(rf"[+-]?[0-9]{{1,{MOST_DIGITS}}}")
NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,4})?")
NOT_FINITE = ("inf", "-inf", "nan")

BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 10**MOST_DIGITS - 1),
    "threads": (1, 256),
    "workers": (1, 1024),
    "group_size": (1, 100_000),
    "epochs": (1, 100_000_000),
    "batch_size": (1, 1_000_000_000),
    "label_shuffle": (0, 10**MOST_DIGITS),
    "gammas": (0, 1),
    "subject_share": (0, 1),
    "layer1": (1, 1000),
    "layer2": (1, 1000),
    "layer3": (1, 1000),
    "shift": (0, 1000),
    "scale": (-1e9, 1e9),
    "noise_seeds": (1, 100_000),
    "training_noise_seeds": (1, 100_000),
    "levels": (0, 1000),
    "frame_levels": (0, 100_000),
    "training_levels": (0, 1000),
    "size": (28, 4096),
    "frame_size": (28, 4096),
    "margin": (0, 4096),
    "n_subjects": (1, 10_000),
    "n_clips": (1, 10_000),
    "frame_rate": (0.001, 1_000_000),
    "camera": (0, 1000),
    "camera_seconds": (0.001, 86_400),
    "n_samples": (1, 10_000_000),
    "samples": (0, 1_000_000_000),
    "key_frame_errors": (0, 1),
    "cpus_per_task": (0, 10_000),
    "gpus_per_task": (0, 1000),
    "port": (0, 65_535),
    "max_megabytes": (1, 100_000),
}
OF_ANY_NUMBER = (-1e9, 1e9)
"""Of a number with decimals that is not among them; so none is infinite or not a number."""
OF_ANY_WHOLE = (1 - 10**MOST_DIGITS, 10**MOST_DIGITS - 1)
"""Of a whole number that is not among them, such as a seed."""


def read_whole(text: str) -> int:
    """A whole number of ASCII digits.

    Raises:
        UserError: it is none, or has more than 18 digits.
    """
    if not WHOLE.fullmatch(text):
        raise UserError(f"{_quoted(text)} is not a whole number{_advice(text)}.")
    return int(text)


def read_number(text: str) -> float:
    """A number of ASCII digits, inf or nan.

    Raises:
        UserError: it is none.
    """
    if not NUMBER.fullmatch(text) and text.lower() not in NOT_FINITE:
        raise UserError(f"{_quoted(text)} is not a number{_advice(text)}.")
    return float(text)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:30]}…")


def _advice(text: str) -> str:
    if "," in text:
        return ": separate values by blanks, and write decimals with a point"
    return f" of at most {MOST_DIGITS} digits" if text.strip("+-").isdecimal() else ""


def check_text(text: str) -> None:
    """Refuse what can be no name of a file, setting or method.

    Raises:
        UserError: it is not UTF-8, too long, or holds a character that is not printable.
    """
    if len(text) > LONGEST_TEXT:
        raise UserError(
            f"{_quoted(text)} has {len(text)} characters; at most {LONGEST_TEXT} are read."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UserError(f"{text!a} is not UTF-8. Rename the file.")
    if not text.isprintable():
        raise UserError(f"{text!a} holds a character that is not printable. Leave it out.")


def check_bounds(settings: Any) -> None:
    """Check every setting of a dataclass that has bounds; lists value by value.

    Raises:
        UserError: a value is beyond them.
    """
    for own in fields(settings):
        value = getattr(settings, own.name)
        values = value if isinstance(value, tuple) else (value,)
        for part in values:
            if isinstance(part, (str, Path)):
                check_text(str(part))
            if isinstance(part, Path):
                _check_no_loop(part)
            elif isinstance(part, (int, float)) and not isinstance(part, bool):
                _check(own.name, part)


def _check_no_loop(path: Path) -> None:
    """pathlib raises no OSError at a link that leads to itself."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path} is a symbolic link that leads to itself. Remove it.") from None


def _check(name: str, value: float) -> None:
    of_any = OF_ANY_WHOLE if isinstance(value, int) else OF_ANY_NUMBER
    lowest, highest = BOUNDS.get(name, of_any)
    if not lowest <= value <= highest:
        kind = "whole number" if isinstance(value, int) else "number"
        least, most = _plain(lowest), _plain(highest)
        flag = f"--{name.replace('_', '-')}"
        raise UserError(f"{flag} {value}: give a {kind} from {least} to {most}.")


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
