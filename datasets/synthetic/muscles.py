"""Action units as smooth pulls on a drawn face: where each acts and in which direction."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.faces import MIDDLE_X, Face, View


class Muscle(NamedTuple):
    """One side of an action unit: its number; -1 for the picture's left half, 1 for the right."""

    unit: str
    side: int


def muscles_of(unit: str) -> list[Muscle]:
    """An action unit's two sides, or one: "12" both, "L12" the subject's left (our right)."""
    if unit[0] in "LR":
        return [Muscle(unit[1:], 1 if unit[0] == "L" else -1)]
    return [Muscle(unit, -1), Muscle(unit, 1)]


def _bumps(face: Face, muscle: Muscle) -> list[tuple[float, ...]]:
    """Where a muscle pulls: (x, y, size x, size y, outwards, down) in face units.

    They follow the descriptions of the Facial Action Coding System.
    """
    side = muscle.side
    eye = MIDDLE_X + side * face.eye_distance / 2
    corner = MIDDLE_X + side * face.mouth_width
    # "gaze" is no action unit: both eyes turn to the picture's right.
    units: dict[str, list[tuple[float, ...]]] = {
        "1": [(eye - side * 9, face.brow_y, 8, 8, 0, -1)],
        "2": [(eye + side * 6, face.brow_y, 9, 8, 0, -1)],
        "4": [(eye - side * 6, face.brow_y, 10, 8, -0.6, 0.9)],
        "5": [(eye, face.eye_y - 5, 10, 6, 0, -1)],
        "6": [
            (MIDDLE_X + side * 26, face.eye_y + 20, 12, 9, 0, -1),
            (eye, face.eye_y + 6, 10, 6, 0, -0.4),
        ],
        "7": [(eye, face.eye_y + 7, 10, 6, 0, -1), (eye, face.eye_y - 6, 10, 6, 0, 0.5)],
        "9": [(MIDDLE_X + side * 7, face.nose_y - 8, 7, 7, 0, -1)],
        "10": [(MIDDLE_X + side * 9, face.mouth_y - 7, 8, 6, 0, -1)],
        "12": [(corner, face.mouth_y - 1, 10, 9, 0.7, -0.9)],
        "14": [(corner, face.mouth_y, 8, 7, 1, 0)],
        "15": [(corner, face.mouth_y + 2, 9, 8, 0.2, 1)],
        "17": [(MIDDLE_X + side * 5, face.chin_y - 13, 10, 8, 0, -1)],
        "24": [
            (MIDDLE_X + side * 7, face.mouth_y - 7, 10, 7, 0, 0.6),
            (MIDDLE_X + side * 7, face.mouth_y + 8, 10, 7, 0, -1),
            (corner, face.mouth_y, 8, 7, -0.5, 0),
        ],
        "26": [
            (MIDDLE_X + side * 9, face.chin_y - 8, 17, 13, 0, 1),
            (MIDDLE_X + side * 7, face.mouth_y + 8, 11, 7, 0, 0.5),
        ],
        "45": [(eye, face.eye_y - 5, 10, 6, 0, 1)],
        "gaze": [(eye, face.eye_y, 7, 6, side, 0)],
    }
    return units[muscle.unit]


def muscle_field(face: Face, view: View, muscle: Muscle) -> NDArray[np.float32]:
    """One muscle's pull as displacement field [H, W, 2], its longest vector 1 pixel."""
    grid = view.face_coordinates()
    field = np.zeros_like(grid)
    for x, y, size_x, size_y, outwards, down in _bumps(face, muscle):
        distance = ((grid[..., 0] - x) / size_x) ** 2 + ((grid[..., 1] - y) / size_y) ** 2
        field += np.exp(-0.5 * distance)[..., None] * np.array([muscle.side * outwards, down])
    turned = field @ view.rotation().T
    return (turned / np.linalg.norm(turned, axis=-1).max()).astype(np.float32)
