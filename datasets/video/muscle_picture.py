"""The muscles that are read from a movement, drawn where they pull on the registered face."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from common.action_units import ACTION_UNITS, SIDES
from datasets.pictures.clip import RGB, grey
from datasets.synthetic.muscles import Muscle, muscle_field
from datasets.video.face import FACE_SIZE
from datasets.video.planted import fit_view

PULL, OPPOSITE = np.array([200, 40, 20]), np.array([20, 70, 200])
DARKEST = 0.75
ENLARGED = 2
NAMED = 3
"""The strongest muscles have their number written where they are."""
LEAST_NAMED = 0.4
"""Of the strongest one's activation."""


def draw_muscles(frame: NDArray[np.uint8], activations: NDArray[np.floating]) -> RGB:
    """Red where a muscle pulls as its unit says, blue the other way round.

    Args:
        frame: the registered grey face, uint8 [128, 128].
        activations: of each unit on the picture's left and right, [16, 2].

    Returns:
        uint8 [256, 256, 3].
    """
    places = _places()
    strengths = activations.reshape(-1) / max(float(np.abs(activations).max()), 1e-6)
    cover = places * np.abs(strengths)[:, None, None]
    shown = cover.argmax(axis=0)
    share = DARKEST * np.take_along_axis(cover, shown[None], axis=0)[0]
    colors = np.where((strengths >= 0)[shown][..., None], PULL, OPPOSITE)
    mixed = (1 - share[..., None]) * grey(frame) + share[..., None] * colors
    small = np.rint(mixed).astype(np.uint8)
    picture = cv2.resize(small, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    return _named(np.asarray(picture), places, strengths)


def _named(picture: RGB, places: NDArray[np.float32], strengths: NDArray[np.floating]) -> RGB:
    order = np.abs(strengths).argsort()[::-1][:NAMED]
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    for number in (n for n in order if abs(strengths[n]) >= LEAST_NAMED):
        y, x = np.unravel_index(int(places[number].argmax()), places[number].shape)
        text = ACTION_UNITS[number // len(SIDES)]
        at = (ENLARGED * int(x) - 6 * len(text), ENLARGED * int(y) + 5)
        for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(picture, text, at, font, size, color, width, cv2.LINE_AA)
    return picture


@cache
def _places() -> NDArray[np.float32]:
    """Where each unit's two sides pull on a registered face, 0..1, [32, 128, 128]."""
    face, view = fit_view(np.eye(2, 3), FACE_SIZE, FACE_SIZE)
    muscles = [Muscle(unit, side) for unit in ACTION_UNITS for side in SIDES]
    fields = [np.linalg.norm(muscle_field(face, view, muscle), axis=-1) for muscle in muscles]
    return np.stack(fields).astype(np.float32)
