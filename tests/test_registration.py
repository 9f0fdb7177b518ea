"""Registration: found faces land on the published points, however the picture was moved."""

import sys
from typing import get_args

import cv2
import numpy as np
import pytest

from common.errors import UserError
from datasets.frames import registration
from datasets.frames.flow import compute_flow
from datasets.frames.registration import Landmarks, NoFaceError, find_face, register
from datasets.synthetic.clips import draw_clip, list_synthetic_clips
from datasets.synthetic.faces import View

SIZE = 128
SPEC = list_synthetic_clips()[0]


def registered_pair(view: View, landmarks: Landmarks) -> tuple[np.ndarray, np.ndarray]:
    """Onset and apex of one drawn clip as seen by a camera, registered by the first frame."""
    clip = draw_clip(SPEC, view)
    transform = find_face(clip.frames[0], SIZE, landmarks)
    onset, apex = (register(clip.frames[n], transform, SIZE) for n in (clip.onset, clip.apex))
    return onset, apex


@pytest.fixture(scope="module", params=get_args(Landmarks))
def landmarks(request: pytest.FixtureRequest) -> Landmarks:
    """Each of the landmark models."""
    model: Landmarks = request.param
    return model


@pytest.fixture(scope="module")
def unmoved_flow(landmarks: Landmarks) -> np.ndarray:
    return compute_flow(*registered_pair(View(256, 256, 1.3), landmarks), "dis")


@pytest.mark.parametrize(
    ("scale", "angle", "shift"),
    [(1.0, 0.0, (25.0, -20.0)), (1.0, 10.0, (0.0, 0.0)), (1.0, -10.0, (0.0, 0.0)),
     (0.85, 0.0, (0.0, 0.0)), (1.15, 6.0, (-15.0, 12.0))],
)  # fmt: skip
def test_a_moved_face_gives_the_unmoved_ones_flow(
    scale: float,
    angle: float,
    shift: tuple[float, float],
    landmarks: Landmarks,
    unmoved_flow: np.ndarray,
) -> None:
    view = View(256, 256, 1.3 * scale, angle, shift)
    flow = compute_flow(*registered_pair(view, landmarks), "dis")
    error = np.linalg.norm(flow - unmoved_flow, axis=2).mean()
    assert error < 0.15 * np.linalg.norm(unmoved_flow, axis=2).mean()
    for channel in (0, 1):
        correlation = np.corrcoef(flow[..., channel].ravel(), unmoved_flow[..., channel].ravel())
        assert correlation[0, 1] > 0.9


def test_the_face_of_a_real_photograph_lands_on_the_published_points(
    landmarks: Landmarks,
) -> None:
    data = pytest.importorskip("skimage.data")
    photograph = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    transform = find_face(photograph, SIZE, landmarks)
    # Eyes and mouth corners of the photograph, read off by hand, to 3 pixels of 512.
    points = np.array([[205, 102], [245, 102], [201, 139], [246, 141]])
    placed = points @ transform[:, :2].T + transform[:, 2]
    expected = registration.PUBLISHED_POINTS[[0, 1, 3, 4]] * SIZE / registration.PUBLISHED_SIZE
    assert np.abs(placed - expected).max() < 8


def test_of_several_faces_the_largest_is_taken() -> None:
    far = draw_clip(SPEC, View(200, 256, 0.8)).frames[0]
    near = draw_clip(SPEC, View(256, 256, 1.3)).frames[0]
    for picture, start in ((np.hstack([far, near]), 200), (np.hstack([near, far]), 0)):
        middle = find_face(picture, SIZE) @ [start + 128, 128, 1]
        assert np.abs(middle - SIZE / 2).max() < 20


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (512, 256))
    quarter = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    assert np.abs(register(stripes, quarter, SIZE).astype(int) - 128).max() <= 1


def test_register_places_pixels_where_the_transform_says() -> None:
    dot = np.zeros((200, 300), np.uint8)
    cv2.circle(dot, (180, 80), 12, 255, -1)
    turn = np.array([[0.4, -0.3, 5.0], [0.3, 0.4, -30.0]])
    picture = register(dot, turn, SIZE).astype(float)
    rows, columns = np.indices(picture.shape)
    center = np.array([(columns * picture).sum(), (rows * picture).sum()]) / picture.sum()
    assert center == pytest.approx(turn @ [180, 80, 1], abs=0.1)


def test_a_picture_without_a_face_says_so() -> None:
    with pytest.raises(NoFaceError, match="no face"):
        find_face(np.full((200, 200), 90, np.uint8), SIZE)


def test_without_the_optional_packages_the_install_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registration._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match=r"pip install -r requirements-faces\.txt"):
        find_face(np.zeros((200, 200), np.uint8), SIZE)
    monkeypatch.setattr(registration, "MODEL_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"pip install -r requirements-faces\.txt"):
        registration.landmark_model_path(5)
