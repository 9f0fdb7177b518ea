"""Drawn motion fields of 28 x 28 pixels with the muscles that made them: what the AU network and
the pretrained CausalNets learn from.

A sample is the motion of a drawn face's muscles, seen from a view of its own and spoilt as measured
flow is: uneven gain, head motion, noise, outliers. In a sample of two phases the muscles go back in
the second one. No real face or clip takes part. The draws and their sizes are choices that worked,
not optima.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.action_units import ACTION_UNITS, SIDES
from datasets.synthetic.faces import FACE_SIZE, View, draw_face_of, head_mask
from datasets.synthetic.muscles import Muscle, muscle_field

SIZE, MARGIN = 28, 8
"""Pixels of a side of a sample, and those around it that a moved view may see."""
MUSCLES = [Muscle(unit, side) for unit in ACTION_UNITS for side in SIDES]
USUAL = (
    *("1", "1+2", "1+2+5", "1+2+5+26", "1+2+26", "1+2+4", "1+2+12", "1+4", "2", "5", "5+26", "26"),
    *("4", "4+7", "4+7+9", "4+7+10", "4+9", "4+10", "4+12", "4+14", "4+15", "4+17", "4+24", "7"),
    *("6", "6+12", "12", "12+14", "12+17", "12+24", "9", "9+10", "9+17", "10", "10+17", "14"),
    *("15", "15+17", "17", "17+24", "24"),
)
"""Combinations of action units that faces often show."""
USUAL_CHANCE, MOST_UNITS = 0.85, 3
AMPLITUDE_SPREAD, SIDE_SPREAD = 0.5, 0.15
"""Standard deviations of the logarithms."""
EYES = {"45": 0.25, "gaze": 0.1}
"""What is added to any combination, with its chance, in either sign; ``EYES_SIZE`` of the size."""
EYES_SIZE = 0.8
ONE_SIDED = {"9": 0.4, "10": 0.4, "12": 0.4, "14": 0.4, "15": 0.4, "2": 0.15, "4": 0.15}
"""How often one side of a unit is nearly still: at most ``STILL`` of its size."""
STILL = 0.2
LEAST_SEEN = 0.3
"""Muscles that pull against each other, such as 5 and 45, count as this share of the stronger."""
VIEW_ANGLE, VIEW_SCALES, VIEW_SHIFT = 4.0, (0.87, 1.15), 2.2
"""Degrees, factors and pixels; the first and the last are standard deviations."""
WARP, WARP_SCALE = 1.2, 6.0
GAIN, GAIN_SCALE, MOST_GAIN = 0.45, 4.0, 2.0
PATCH_CHANCE, PATCH_SLOPE, PATCH_OFFSET = 0.4, 6.0, 0.8
HEAD_CHANCE, HEAD_STRENGTHS, HEAD_SHIFT, HEAD_SLOPE = 0.7, (0.2, 0.6, 1.2), 0.35, 0.18
OVAL_CHANCE = 0.4
NOISE, NOISE_SCALES = (0.03, 0.35), (0.6, 3.0)
OUTLIER_CHANCE, OUTLIERS, OUTLIER_SIZE = 0.25, 2, 1.5
POOR_CHANCE, MOST_OF_POOR = 0.3, 0.5
"""How often little of the relaxation is seen, and the most of it that is."""

Field = NDArray[np.float32]


@dataclass(frozen=True)
class MotionFaces:
    """Drawn faces, ready to be moved.

    Attributes:
        fields: each muscle's pull, its longest vector 1, [faces, 32, 44, 44, 2]; u, v.
        ovals: 1 inside the head, 0 outside, [faces, 44, 44].
    """

    fields: Field
    ovals: Field


def draw_motion_faces(seed: int, count: int = 150) -> MotionFaces:
    """Draw faces for ``draw_motion``; the same for the same seed."""
    side, scale = SIZE + 2 * MARGIN, SIZE / FACE_SIZE
    # A view counts from the upper left corners of pixels that are one unit wide; the shift puts
    # the centers of these wider ones where reducing a 128 x 128 picture by area puts them.
    view = View(side, side, scale, shift=((scale - 1) / 2, (scale - 1) / 2))
    x, y = np.moveaxis(view.face_coordinates(), -1, 0)
    faces = [draw_face_of(seed, "motion", str(number)) for number in range(count)]
    fields = [[muscle_field(face, view, muscle) for muscle in MUSCLES] for face in faces]
    return MotionFaces(
        fields=np.array(fields),
        ovals=np.array([head_mask(face, x, y) for face in faces], dtype=np.float32),
    )


def unit_places(seed: int = 0, faces: int = 20) -> Field:
    """Where each action unit moves the face, on average over drawn faces: the length of its pull
    at every pixel, both sides together, [16, 28, 28], in the order of ``ACTION_UNITS``."""
    seen = draw_motion_faces(seed, faces).fields[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    lengths = np.linalg.norm(seen, axis=-1).mean(axis=0)
    return lengths.reshape(len(ACTION_UNITS), len(SIDES), SIZE, SIZE).sum(axis=1)


def draw_motion(
    generator: np.random.Generator, faces: MotionFaces, count: int
) -> tuple[Field, Field]:
    """Draw samples.

    Args:
        generator: every draw is taken from it.
        faces: from ``draw_motion_faces``.
        count: how many samples.

    Returns:
        Measured fields, u and v, float32 [count, 2, 28, 28], in which the longest vector of the
        muscles' motion is about 1; and the muscles' signed activations in the same unit,
        [count, 32], in the order of ``MUSCLES``.
    """
    fields = np.empty((count, 2, SIZE, SIZE), dtype=np.float32)
    activations = np.empty((count, len(MUSCLES)), dtype=np.float32)
    for sample in range(count):
        clean, oval, activations[sample] = draw_muscle_motion(generator, faces)
        fields[sample] = np.moveaxis(spoil(generator, clean, oval), -1, 0)
    return fields, activations


def draw_two_phases(
    generator: np.random.Generator, faces: MotionFaces, count: int, key_frame_errors: float = 0.0
) -> tuple[Field, Field]:
    """Draw samples of onset to apex and apex to offset.

    Both phases of a sample have a view, a face and muscles in common, and each its own gain, head
    motion, noise and outliers.

    Args:
        generator: every draw is taken from it.
        faces: from ``draw_motion_faces``.
        count: how many samples.
        key_frame_errors: see ``phase_shares``.

    Returns:
        Measured fields, u and v, float32 [count, 2 phases, 2, 28, 28], and activations
        [count, 32] of the whole contraction, as ``draw_motion`` gives them.
    """
    fields = np.empty((count, 2, 2, SIZE, SIZE), dtype=np.float32)
    activations = np.empty((count, len(MUSCLES)), dtype=np.float32)
    for sample in range(count):
        clean, oval, activations[sample] = draw_muscle_motion(generator, faces)
        for phase, share in enumerate(phase_shares(generator, key_frame_errors)):
            fields[sample, phase] = np.moveaxis(spoil(generator, share * clean, oval), -1, 0)
    return fields, activations


def phase_shares(
    generator: np.random.Generator, key_frame_errors: float = 0.0
) -> tuple[np.float32, np.float32]:
    """Draw the part of the contraction's motion that each phase holds: 1 and, backwards, -1 where
    the key frames are right and the muscles go all the way back.

    Args:
        generator: every draw is taken from it.
        key_frame_errors: the most of the motion, 0 to 1, that a wrong key frame may miss. A late
            onset takes from the first phase alone, an early offset from the second alone, a wrong
            apex from both.
    """
    poor = generator.random() < POOR_CHANCE
    back = generator.uniform(0, MOST_OF_POOR) if poor else 1.0
    onset, apex, offset = key_frame_errors * generator.random(3)
    first = max(1 - apex - onset, 0)
    second = -max(1 - apex - offset, 0) * back
    return np.float32(first), np.float32(second)


def draw_activations(generator: np.random.Generator) -> Field:
    """Draw which muscles pull and how much, [32]."""
    units = USUAL[generator.integers(len(USUAL))].split("+")
    if generator.random() >= USUAL_CHANCE:
        count = generator.integers(1, MOST_UNITS + 1)
        units = list(generator.choice(ACTION_UNITS[: -len(EYES)], count, replace=False))
    sizes = dict.fromkeys(units, 1.0)
    for unit, chance in EYES.items():
        if generator.random() < chance:
            sizes[unit] = EYES_SIZE * generator.choice((-1, 1))
    activations = np.zeros((len(ACTION_UNITS), len(SIDES)), dtype=np.float32)
    for unit, size in sizes.items():
        sides = np.exp(SIDE_SPREAD * generator.standard_normal(len(SIDES)))
        if generator.random() < ONE_SIDED.get(unit, 0):
            sides[generator.integers(len(SIDES))] *= generator.uniform(0, STILL)
        strength = size * np.exp(AMPLITUDE_SPREAD * generator.standard_normal())
        activations[ACTION_UNITS.index(unit)] = strength * sides
    return activations.ravel()


def draw_muscle_motion(
    generator: np.random.Generator, faces: MotionFaces
) -> tuple[Field, Field, Field]:
    """Draw the true motion of a drawn face in a view of its own.

    Returns:
        The field, its longest vector 1, [28, 28, 2]; the head's oval in the same view, [28, 28];
        the muscles' activations in the unit of the field, [32].
    """
    face = generator.integers(len(faces.fields))
    activations = draw_activations(generator)
    moving = np.flatnonzero(activations)
    pull = np.tensordot(activations[moving], faces.fields[face, moving], axes=1)
    angle = np.deg2rad(VIEW_ANGLE * generator.standard_normal())
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.array([[cosine, -sine], [sine, cosine]], dtype=np.float32)
    source = _source(generator, rotation)
    seen, oval = (
        cv2.remap(picture, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for picture in (pull, faces.ovals[face])
    )
    longest = np.linalg.norm(seen, axis=-1).max()
    unit = max(longest, LEAST_SEEN * np.abs(activations).max())
    return seen @ rotation.T / unit, np.asarray(oval), activations / unit


def _source(generator: np.random.Generator, rotation: Field) -> Field:
    """Which place of the face's fields is seen at each pixel of a random view, [28, 28, 2]."""
    rows, columns = np.indices((SIZE, SIZE), dtype=np.float32)
    middle = (SIZE - 1) / 2
    from_middle = np.stack([columns, rows], axis=-1) - middle
    shift = VIEW_SHIFT * generator.standard_normal(2, dtype=np.float32)
    scale = np.float32(generator.uniform(*VIEW_SCALES))
    warp = WARP * smooth_noise(generator, WARP_SCALE)
    return (from_middle - shift) @ (rotation / scale) + warp + np.float32(middle + MARGIN)


def spoil(generator: np.random.Generator, clean: Field, oval: Field) -> Field:
    """What optical flow might measure of a true motion.

    Args:
        generator: every draw is taken from it.
        clean: the muscles' motion, its longest vector 1, [28, 28, 2].
        oval: 1 inside the head, [28, 28].
    """
    field = clean * _gain(generator)
    if generator.random() < HEAD_CHANCE:
        head = _head_motion(generator)
        field = field + (head * oval[..., None] if generator.random() < OVAL_CHANCE else head)
    noise = smooth_noise(generator, generator.uniform(*NOISE_SCALES))
    field = field + np.float32(generator.uniform(*NOISE)) * noise
    if generator.random() < OUTLIER_CHANCE:
        rows, columns = generator.integers(SIZE, size=(2, OUTLIERS))
        field[rows, columns] += OUTLIER_SIZE * generator.standard_normal((OUTLIERS, 2))
    return field


def smooth_noise(generator: np.random.Generator, scale: float, channels: int = 2) -> Field:
    """Noise of standard deviation 1, smooth over ``scale`` pixels, [28, 28, channels]."""
    noise = generator.standard_normal((SIZE, SIZE, channels), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), scale).reshape(noise.shape)
    return np.asarray(smooth / smooth.std(), dtype=np.float32)


def _gain(generator: np.random.Generator) -> Field:
    """Share of the motion that is measured at each place, [28, 28, 1]; in some samples whole
    patches are lost, as TV-L1 loses them where there is no texture."""
    noise = smooth_noise(generator, GAIN_SCALE, channels=1)
    if generator.random() < PATCH_CHANCE:
        return 1 / (1 + np.exp(-PATCH_SLOPE * (noise + PATCH_OFFSET)))
    return np.clip(1 + GAIN * noise, 0, MOST_GAIN)


def _head_motion(generator: np.random.Generator) -> Field:
    """A random affine field, [28, 28, 2]."""
    places = (2 * np.arange(SIZE, dtype=np.float32) + 1) / SIZE - 1
    strength = generator.choice(HEAD_STRENGTHS)
    shift = strength * HEAD_SHIFT * generator.standard_normal(2)
    along_x, along_y = strength * HEAD_SLOPE * generator.standard_normal((2, 2))
    field = shift + places[None, :, None] * along_x + places[:, None, None] * along_y
    return field.astype(np.float32)
