"""Action units as sides and numbers, from what sheets write ("4+L10", "A12", "(R6 or R12)+T23").

The notation is that of SAMM's sheet: L, R, T, B in front are the half of the face or mouth, A is
asymmetric (both sides), AU a unit, AD a descriptor, M a head movement; a letter A to E behind is
the intensity (``10A/B``: one of two) and is not kept; ``?`` is a doubt; ``ref()`` is a reference.
Elsewhere the side also stands behind (``12L``) or before a bracket (``L(6+7)``), and U is a unit.
"""

import re
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

from common.tables import is_date, reduce_name

Side = Literal["both", "left", "right", "top", "bottom"]

SIDES: dict[str, Side] = {"": "both", "L": "left", "R": "right", "T": "top", "B": "bottom"}
LETTERS = {side: letter for letter, side in SIDES.items()}
UNIT = re.compile(
    r"\??(?:AU|AD|M|U)?A?(?P<side>[LRTB]?)A?0?(?P<number>\d{1,2})[A-E]?(?P<behind>[LRT]?)\??",
    re.ASCII | re.IGNORECASE,
)
ALTERNATIVE = re.compile(r"\bor\b|\s*or\s*(?=(?:AU)?[ALRTB]?\d)|或", re.IGNORECASE)
SEPARATORS = re.compile(
    rf"\s*[+,;&/|、，和]\s*|\s+and\s+|\s*(?:{ALTERNATIVE.pattern})\s*|\s+", re.IGNORECASE
)
SIDE_OF_BRACKET = re.compile(r"\b([LRTB])\s*\(([^()]*)\)", re.IGNORECASE)
FIRST_OF_PART = re.compile(r"(^|[+,;&|/\s])(?=\d)")
NOTHING = ("", "none", "no", "noau", "na", "nan", "null", "无")
# What stands in cells beside units, and as what it is read, in this order.
BOTH = r"L/?R|R/?L|T/?B|B/?T"
SPELLINGS = [
    (re.compile(pattern, re.IGNORECASE), plain)
    for pattern, plain in (
        (r"(?<![a-z])(left|right)(?:\s+side)?(?![a-z])", lambda match: match[1][0]),
        (r"(?<![a-z])(?:bilateral|both)(?![a-z])", " "),
        (r"\(\s*\?\s*\)|/\?|\*|\.(?=\s|$)", " "),
        (rf"(?<=\d)\s*[(\[]?\s*(?:{BOTH})(?!\s*[a-z\d])", " "),  # 12(L/R): both sides
        (r"(?<![a-z])([LR])\s*AU(?=\s*\d)", r"\1"),  # left AU12
        (r"(?<=\d)(?:\s*[(\[]\s*[A-E]\s*[)\]]|\s+[A-E](?![a-z\d/]))", ""),  # 4(B): an intensity
        (r"(\d[A-E]?)\s*(?:[-_]\s*([LR])\b|[(\[]\s*([LR])\s*[)\]](?!\s*\d))", r"\1\2\3"),
        (r"(\d[A-E]?)\s+([LR])\b(?!\s*[\d([])", r"\1\2"),  # 12 L, 12-L and 12(L), not 12 L14
        (r"\bref(?:erence)?(?![a-z])", " "),
        (r"[()\[\]{}\"']", " "),
        (r"(\d[A-E])[-/]?[A-E]\b", r"\1"),  # 10A/B: one of two intensities
        (r"\bA/(?=[LRTB]?\d)|(?<=\b[LRTB])/A(?=\d)", ""),  # A/L12: asymmetric, or the left
        (rf"\b(AU|AD|M|(?:AU)?(?:{BOTH}|[ALRTB]))[\s_.:-]+(?=\d)", r"\1"),  # L 10, AU-10
        (rf"\b(?:{BOTH})(?=\d)", ""),
    )
]


@dataclass(frozen=True)
class ActionUnit:
    """One unit of the Facial Action Coding System and the half of the face that shows it."""

    number: int
    side: Side = "both"

    def __str__(self) -> str:
        return f"{LETTERS[self.side]}{self.number}"


@dataclass(frozen=True)
class ActionUnitCell:
    """A cell's units in the order written, the parts that could not be read, and whether it says
    "or"."""

    units: tuple[ActionUnit, ...]
    unreadable: tuple[str, ...] = ()
    has_alternatives: bool = False


def parse_action_units(text: str) -> ActionUnitCell:
    """Read an action-unit cell; "12 or 14" gives both units, marked as alternatives."""
    units, unreadable = [], []
    for part in [text] if is_date(text) else filter(None, SEPARATORS.split(_plain(text))):
        match = UNIT.fullmatch(part)
        if match:
            side = (match["side"] or match["behind"]).upper()
            units.append(ActionUnit(int(match["number"]), SIDES[side]))
        else:
            unreadable.append(part)
    return ActionUnitCell(
        tuple(dict.fromkeys(units)), tuple(unreadable), bool(ALTERNATIVE.search(text))
    )


def _plain(text: str) -> str:
    """The cell without what is not kept: brackets, intensities, doubts; sides stand at units."""
    plain = normalize("NFKC", text).strip().rstrip(".")
    if reduce_name(plain) in NOTHING:
        return ""
    plain = SIDE_OF_BRACKET.sub(
        lambda match: FIRST_OF_PART.sub(rf"\g<1>{match[1]}", match[2].strip()), plain
    )
    for pattern, spelling in SPELLINGS:
        plain = pattern.sub(spelling, plain)
    return plain.strip()


def format_action_units(units: tuple[ActionUnit, ...]) -> str:
    """The usual way of writing them: "4+L10"."""
    return "+".join(map(str, units))
