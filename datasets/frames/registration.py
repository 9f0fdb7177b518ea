"""Face registration: one similarity transform per clip, from the face in its first frame.

Applied to all frames of the clip, so that no jitter between frames enters the flow. Needs the
optional packages of ``requirements-faces.txt``. The 68-landmark model that they ship was trained on
iBUG 300-W, whose licence excludes commercial use.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from datasets.frames.reading import FrameError

INSTALL = "python -m pip install -r requirements-faces.txt"
MODEL_PACKAGE = "face_recognition_models"
MODEL_FILE = "models/shape_predictor_68_face_landmarks.dat"

# The five points (x, y) on a 28 x 28 map that the published composite takes for every face:
# the eyes on the picture's left and right, the nose, the mouth's corners.
PUBLISHED_POINTS = np.array(
    [[9.53, 11.06], [21.40, 10.92], [15.38, 17.38], [10.26, 22.12], [20.58, 22.26]]
)
PUBLISHED_SIZE = 28
# The same five points among the 68 landmarks.
LANDMARK_GROUPS = (range(36, 42), range(42, 48), (30,), (48,), (54,))

# HOG detection works on faces of 80 pixels and more; larger pictures only take longer.
DETECTION_SIDE = 640
# The landmark model is not exact on turned faces, so it looks again at the turned-back face.
REFINEMENTS = 2
REFINEMENT_SIDE = 256


class NoFaceError(FrameError):
    """The detector finds no face in a frame."""

    rule = "no face"


def find_face(picture: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """The similarity transform that takes the largest face to its canonical place.

    Args:
        picture: grey uint8 [H, W].
        size: side of the registered square in pixels.

    Returns:
        float64 [2, 3], from picture pixels to registered pixels.

    Raises:
        NoFaceError: no face is found.
        UserError: the optional packages are not installed.
    """
    transform = _fit(_landmarks(picture, _largest_face(picture)), REFINEMENT_SIDE)
    for _ in range(REFINEMENTS):
        upright = register(picture, transform, REFINEMENT_SIDE)
        points = _landmarks(upright, _canonical_box(REFINEMENT_SIDE))
        transform = _chain(transform, _fit(points, REFINEMENT_SIDE))
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


def _largest_face(picture: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the largest face found, in picture pixels."""
    scale = min(1.0, DETECTION_SIDE / max(picture.shape))
    small = picture
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    detector = _detector()
    # A small face is found in the picture enlarged; that takes four times as long.
    boxes = list(detector(small, 0)) or list(detector(small, 1))
    if not boxes:
        raise NoFaceError("no face is found in the clip's first frame.")
    box = max(boxes, key=lambda box: (box.area(), -box.left(), -box.top()))
    return tuple(side / scale for side in (box.left(), box.top(), box.right(), box.bottom()))


def _landmarks(
    picture: NDArray[np.uint8], box: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """The five points (x, y), float64 [5, 2]: means over the landmarks of each group."""
    shape = _landmark_model()(picture, _dlib().rectangle(*(round(side) for side in box)))
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
    return np.array([points[list(group)].mean(axis=0) for group in LANDMARK_GROUPS])


def _canonical_points(size: int) -> NDArray[np.float64]:
    """Pixel centers: point p of the published map is at (p + 1/2) * size / 28 - 1/2."""
    return (PUBLISHED_POINTS + 0.5) * size / PUBLISHED_SIZE - 0.5


def _canonical_box(size: int) -> tuple[float, float, float, float]:
    """Where the detector would put its box around the canonical face."""
    points = _canonical_points(size)
    middle = points.mean(axis=0)
    half = 1.2 * np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    return middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half


def _fit(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Least-squares similarity from ``points`` to the canonical ones (complex form of Umeyama)."""
    source = points @ (1, 1j)
    target = _canonical_points(size) @ (1, 1j)
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
    points = _landmarks(upright, _canonical_box(REFINEMENT_SIDE))
    return (points + 0.5) * PUBLISHED_SIZE / REFINEMENT_SIDE - 0.5


def check_installed() -> None:
    """Whether faces can be looked for.

    Raises:
        UserError: the optional packages are not installed.
    """
    _dlib()
    landmark_model_path()


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
def _landmark_model() -> Any:
    return _dlib().shape_predictor(str(landmark_model_path()))


def landmark_model_path() -> Path:
    """The model's file, found without importing its package, whose import needs pkg_resources.

    Raises:
        UserError: the package is not installed or lacks the file.
    """
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / MODEL_FILE
        if path.is_file():
            return path
    raise UserError(f"face registration needs its landmark model. Install it: {INSTALL}")
