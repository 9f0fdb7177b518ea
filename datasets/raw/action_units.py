"""Action units as sides and numbers, from what sheets write ("4+L10", "R12", "AU1, AU2")."""

import re
from dataclasses import dataclass
from typing import Literal

Side = Literal["both", "left", "right"]

SIDES: dict[str, Side] = {"": "both", "L": "left", "R": "right"}
# A side, a FACS number, and the intensity letter A..E that some sheets append (not kept).
UNIT = re.compile(r"(?:AU)?([LR]?)(\d{1,2})[A-E]?", re.IGNORECASE)
ALTERNATIVE = re.compile(r"\bor\b|\s*or\s*(?=(?:AU)?[LR]?\d)", re.IGNORECASE)
SEPARATORS = re.compile(rf"\s*[+,;&/、，]\s*|\s*(?:{ALTERNATIVE.pattern})\s*|\s+", re.IGNORECASE)
# "L 10" is L10, not all of 10 and a letter.
APART = re.compile(r"\b(AU|(?:AU)?[LR])\s+(?=\d)", re.IGNORECASE)


@dataclass(frozen=True)
class ActionUnit:
    """One unit of the Facial Action Coding System and the side of the face that shows it."""

    number: int
    side: Side = "both"

    def __str__(self) -> str:
        return {"both": "", "left": "L", "right": "R"}[self.side] + str(self.number)


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
    for part in filter(None, SEPARATORS.split(APART.sub(r"\1", text.strip()))):
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
