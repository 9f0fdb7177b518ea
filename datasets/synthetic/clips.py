"""Synthetic clips: drawn faces moved by the action units of a class, with their true motion.

They replace the real datasets, which need a signed agreement: every script runs on them.
Each part has a dataset's name, and its subjects and clips are named as there. A clip is a
sequence of frames: the neutral face, then the action units that define its class rise to the apex
and fall again, while the head drifts, other muscles move a little, the light flickers and the
sensor adds noise.

A clip depends on (seed, dataset, subject, clip) alone, not on the order or number of clips drawn.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.courses import plan_course
from datasets.synthetic.faces import (
    REGISTERED,
    Face,
    View,
    draw_face_of,
    draw_neutral,
    generator,
)
from datasets.synthetic.muscles import muscle_field
from datasets.synthetic.specs import ClipSpec, find_synthetic_clip, list_synthetic_clips

__all__ = [
    "ClipSpec",
    "SyntheticClip",
    "draw_clip",
    "find_synthetic_clip",
    "list_synthetic_clips",
]


@dataclass(frozen=True)
class Camera:
    """What a dataset's camera adds: sensor noise and flicker, in grey values."""

    noise: float
    flicker: float


CAMERAS = {
    "casme2": Camera(2.0, 2.0),
    "samm": Camera(1.5, 1.2),
    "smic": Camera(3.0, 2.5),
    "mmew": Camera(2.0, 1.5),
    "casme3": Camera(2.5, 2.0),
}


@dataclass(frozen=True)
class SyntheticClip:
    """A drawn clip.

    Attributes:
        spec: which clip it is.
        frames: uint8 [T, H, W], grey.
        onset, apex, offset: indices into ``frames``, onset < apex < offset.
        motion: the true motion in pixels, float32 [2, H, W, 2]: onset to apex and apex to offset,
            u to the right and v downwards, at the pixels of the onset and of the apex.
        action_units: those that define the class, such as "4" or, on the subject's left, "L12".
    """

    spec: ClipSpec
    frames: NDArray[np.uint8]
    onset: int
    apex: int
    offset: int
    motion: NDArray[np.float32]
    action_units: tuple[str, ...]

    @property
    def key_frames(self) -> NDArray[np.uint8]:
        """Onset, apex and offset, [3, H, W]."""
        return self.frames[[self.onset, self.apex, self.offset]]

    @property
    def label(self) -> int:
        """0 negative, 1 positive, 2 surprise, 3 others."""
        return self.spec.label


def draw_clip(spec: ClipSpec, view: View = REGISTERED) -> SyntheticClip:
    """Draw a clip's frames and its true motion.

    Args:
        spec: which clip.
        view: the picture and the face's place in it; the default is a registered 128 x 128 face.
    """
    face = draw_face_of(spec.seed, spec.dataset, spec.subject)
    course = plan_course(spec)
    fields = [muscle_field(face, view, muscle) for muscle in course.muscles]
    scene = _Scene(
        displacements=view.scale * np.tensordot(course.pull, np.stack(fields), axes=1),
        poses=_head_poses(course.drift, view),
        pixels=view.pixels(),
    )
    phases = ((course.onset, course.apex), (course.apex, course.offset))
    return SyntheticClip(
        spec=spec,
        frames=_film(spec, scene, _neutral(face, view)),
        onset=course.onset,
        apex=course.apex,
        offset=course.offset,
        motion=np.stack([_true_motion(scene, *phase) for phase in phases]),
        action_units=course.action_units,
    )


@dataclass(frozen=True)
class _Scene:
    """The movement of a clip in the pixels of its picture.

    Attributes:
        displacements: by the muscles, [T, H, W, 2].
        poses: of the head, affine maps of pixels, [T, 2, 3].
        pixels: x and y of every pixel, [H, W, 2].
    """

    displacements: NDArray[np.float32]
    poses: NDArray[np.float64]
    pixels: NDArray[np.float32]


@lru_cache(maxsize=16)
def _neutral(face: Face, view: View) -> NDArray[np.float32]:
    return draw_neutral(face, view)


def _head_poses(drift: NDArray[np.float64], view: View) -> NDArray[np.float64]:
    """The drift as affine maps of pixels about the face's middle, [T, 2, 3]."""
    _, _, turn, growth = drift.T
    middle = np.array([view.width / 2, view.height / 2]) + view.shift
    cosine, sine = (1 + growth) * np.cos(turn), (1 + growth) * np.sin(turn)
    linear = np.moveaxis(np.array([[cosine, -sine], [sine, cosine]]), -1, 0)
    shift = view.scale * drift[:, :2] @ view.rotation().T + middle - linear @ middle
    return np.concatenate([linear, shift[:, :, None]], axis=2)


def _apply(pose: NDArray[np.float64], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """An affine map [2, 3] of points [..., 2]."""
    return (points @ pose[:, :2].T + pose[:, 2]).astype(np.float32)


def _inverse(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.linalg.inv(pose[:, :2])
    return np.concatenate([linear, -linear @ pose[:, 2:]], axis=1)


def _source(scene: _Scene, time: int) -> NDArray[np.float32]:
    """Where in the neutral picture each pixel of a frame comes from: undo muscles, then head.

    This backward map defines the motion: a frame is one resampling of the neutral face, and the
    true motion follows without a second model.
    """
    return _apply(_inverse(scene.poses[time]), scene.pixels - scene.displacements[time])


def _true_motion(scene: _Scene, first: int, second: int) -> NDArray[np.float32]:
    """How far each pixel of frame ``first`` has moved in frame ``second``: [H, W, 2].

    Solves target = pose(source) + displacement(target) by fixed-point iteration, which converges
    because the displacement's slope stays below 0.8.
    """
    moved_by_head = _apply(scene.poses[second], _source(scene, first))
    displacement = scene.displacements[second]
    target = moved_by_head
    for _ in range(20):
        target = moved_by_head + cv2.remap(
            displacement, target, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return np.asarray(target - scene.pixels, dtype=np.float32)


def _film(spec: ClipSpec, scene: _Scene, neutral: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The frames uint8 [T, H, W]: the neutral face resampled, then light and sensor noise."""
    rng = generator(spec.seed, spec.dataset, spec.subject, spec.clip, "camera")
    camera = CAMERAS[spec.dataset]
    frame_count = len(scene.poses)
    gains = 1 + camera.flicker / 128 * rng.standard_normal(frame_count)
    frames = np.empty((frame_count, *neutral.shape), dtype=np.uint8)
    for time, gain in enumerate(gains):
        seen = cv2.remap(
            neutral, _source(scene, time), None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        noise = rng.standard_normal(seen.shape, dtype=np.float32)
        frames[time] = np.clip(np.rint(gain * seen + camera.noise * noise), 0, 255)
    return frames
