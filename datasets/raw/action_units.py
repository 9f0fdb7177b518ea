"""Action units as sides and numbers, from what sheets write ("4+L10", "A12", "(R6 or R12)+T23").

The notation is that of SAMM's sheet: L, R, T, B in front are the half of the face or mouth, A is
asymmetric (both sides), AU a unit, AD a descriptor, M a head movement; a letter A to E behind is
the intensity (``10A/B``: one of two) and is not kept; ``?`` is a doubt; ``ref()`` is a reference.
"""

import re
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

Side = Literal["both", "left", "right", "top", "bottom"]

SIDES: dict[str, Side] = {"": "both", "L": "left", "R": "right", "T": "top", "B": "bottom"}
LETTERS = {side: letter for letter, side in SIDES.items()}
UNIT = re.compile(r"(?:AU|AD|M)?A?([LRTB]?)A?(\d{1,2})[A-E]?\??", re.ASCII | re.IGNORECASE)
ALTERNATIVE = re.compile(r"\bor\b|\s*or\s*(?=(?:AU)?[ALRTB]?\d)", re.IGNORECASE)
SEPARATORS = re.compile(rf"\s*[+,;&/、，]\s*|\s*(?:{ALTERNATIVE.pattern})\s*|\s+", re.IGNORECASE)
# "L 10" is L10, not all of 10 and a letter.
APART = re.compile(r"\b(AU|AD|(?:AU)?[ALRTB])\s+(?=\d)", re.IGNORECASE)
BRACKETS = re.compile(r"\bref\s*(?=[(\[])|[()\[\]]", re.IGNORECASE)
TWO_INTENSITIES = re.compile(r"(\d[A-E])/[A-E]\b", re.IGNORECASE)
ASYMMETRIC_SIDE = re.compile(r"\bA/(?=[LRTB]\d)", re.IGNORECASE)


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
    plain = TWO_INTENSITIES.sub(r"\1", BRACKETS.sub(" ", normalize("NFKC", text)))
    plain = ASYMMETRIC_SIDE.sub("", plain)
    for part in filter(None, SEPARATORS.split(APART.sub(r"\1", plain.strip()))):
        match = UNIT.fullmatch(part)
        if match:
            units.append(ActionUnit(int(match[2]), SIDES[match[1].upper()]))
        else:
            unreadable.append(part)
    return ActionUnitCell(
        tuple(dict.fromkeys(units)), tuple(unreadable), bool(ALTERNATIVE.search(text))
    )


def format_action_units(units: tuple[ActionUnit, ...]) -> str:
    """The usual way of writing them: "4+L10"."""
    return "+".join(map(str, units))
