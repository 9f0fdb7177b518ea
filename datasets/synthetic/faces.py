"""Drawn faces: a neutral grey portrait with the proportions, skin and lighting of a subject.

All lengths are in face units: a registered face fills the square 0..128 x 0..128, x to the right
and y downwards, so that at scale 1 a unit is a pixel of a 128 x 128 picture. A face is a height map
(skull, nose, lips, ...), lit from one direction, times an albedo (skin texture, brows, eyes, ...).
No real face is copied: all numbers are drawn at random.
"""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FACE_SIZE = 128
MIDDLE_X = 64.0
# Skin texture is drawn on this square, wider than the face so that a whole head finds it there.
TEXTURE_START, TEXTURE_END, TEXTURE_PER_UNIT = -100, 228, 2

Grid = NDArray[np.floating]


def generator(seed: int, *names: str) -> np.random.Generator:
    """A random generator for (seed, names), whose draws depend on nothing else."""
    digest = hashlib.sha256("/".join([str(seed), *names]).encode("utf-8")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True)
class Face:
    """One subject's face. Lengths in face units, tones as reflected share of light (0..1)."""

    eye_y: float
    eye_distance: float
    eye_width: float
    eye_opening: float
    brow_lift: float
    brow_thickness: float
    brow_tilt: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lip_height: float
    head_width: float
    chin_y: float
    skin: float
    hair: float
    hairline_y: float
    lip_tone: float
    stubble: float
    texture: float
    light: tuple[float, float, float]
    ambient: float
    background: float
    texture_seed: int

    @property
    def eyes_x(self) -> tuple[float, float]:
        """x of the picture's left and right eye."""
        return MIDDLE_X - self.eye_distance / 2, MIDDLE_X + self.eye_distance / 2

    @property
    def brow_y(self) -> float:
        """Height of the middle of the brows."""
        return self.eye_y - self.brow_lift


@dataclass(frozen=True)
class View:
    """Where the face lies in the picture: ``pixel = scale * rotation(angle) * face + shift``.

    Attributes:
        width, height: of the picture in pixels.
        scale: pixels per face unit.
        angle: in degrees, clockwise on the screen.
        shift: of the face's middle (64, 64) from the picture's middle, in pixels.
    """

    width: int = FACE_SIZE
    height: int = FACE_SIZE
    scale: float = 1.0
    angle: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def rotation(self) -> NDArray[np.float64]:
        """[2, 2]: from face directions to picture directions, without the scale."""
        radians = np.deg2rad(self.angle)
        cosine, sine = np.cos(radians), np.sin(radians)
        return np.array([[cosine, -sine], [sine, cosine]])

    def pixels(self) -> Grid:
        """The x and y of every pixel, float32 [H, W, 2]."""
        x, y = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([x, y], axis=-1).astype(np.float32)

    def face_coordinates(self) -> Grid:
        """The face units under every pixel, float32 [H, W, 2]."""
        middle = np.array([self.width / 2, self.height / 2]) + self.shift
        turned_back = (self.pixels() - middle) @ (self.rotation() / self.scale)
        return (turned_back + FACE_SIZE / 2).astype(np.float32)


REGISTERED = View()


def draw_face_of(seed: int, dataset: str, subject: str) -> Face:
    """Draw a subject's proportions, tones and lighting; the same for the same three arguments."""
    rng = generator(seed, dataset, subject, "face")

    def around(middle: float, spread: float) -> float:
        return float(rng.uniform(middle - spread, middle + spread))

    skin = around(0.72, 0.16)
    return Face(
        eye_y=around(49, 2),
        eye_distance=around(43, 3),
        eye_width=around(9, 1),
        eye_opening=around(3.9, 0.7),
        brow_lift=around(12, 1.3),
        brow_thickness=around(2.3, 0.7),
        brow_tilt=around(0.1, 0.1),
        nose_y=around(77, 2.5),
        nose_width=around(8, 1.2),
        mouth_y=around(99, 2),
        mouth_width=around(18, 2.5),
        lip_height=around(3.4, 0.8),
        head_width=around(47, 3),
        chin_y=around(124, 3),
        skin=skin,
        hair=around(0.16, 0.1),
        hairline_y=around(4, 5),
        lip_tone=around(0.72, 0.08),
        stubble=float(rng.choice([0.0, 0.0, around(0.16, 0.08)])),
        texture=around(0.035, 0.012),
        light=(around(0.0, 0.5), around(-0.45, 0.25), 0.9),
        ambient=around(0.42, 0.1),
        background=around(0.5, 0.25),
        texture_seed=int(rng.integers(2**32)),
    )


def draw_neutral(face: Face, view: View = REGISTERED) -> NDArray[np.float32]:
    """The neutral face as float32 [H, W], grey values 0..255."""
    grid = view.face_coordinates()
    x, y = grid[..., 0], grid[..., 1]
    inside = head_mask(face, x, y)
    light = _lighting(face, _height_map(face, x, y), view.scale)
    texture = _skin_texture(face, grid)
    skin = _skin_albedo(face, x, y) * (1 + texture)
    backdrop = face.background * (1 + 0.12 * np.sin(x / 61 + y / 83)) * (1 + 0.4 * texture)
    grey: Grid = inside * skin * light + (1 - inside) * _surroundings(face, x, y, backdrop, texture)
    grey = _with_hair(face, x, y, grey, texture)
    sharp = np.clip(255 * grey, 4, 250).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), 0.55), dtype=np.float32)


def _bump(x: Grid, y: Grid, at: tuple[float, float], size: tuple[float, float]) -> Grid:
    """A Gaussian hill of height 1 at ``at`` with standard deviations ``size``."""
    return np.exp(-0.5 * (((x - at[0]) / size[0]) ** 2 + ((y - at[1]) / size[1]) ** 2))


def _soft(distance: Grid, width: float = 0.7) -> Grid:
    """A soft step: 0 far below zero, 1 far above; ``width`` in the units of ``distance``."""
    return 0.5 * (1 + np.tanh(distance / width))


def head_mask(face: Face, x: Grid, y: Grid) -> Grid:
    """1 inside the head's outline: wide at the cheeks, narrowing to the chin."""
    middle_y = 58.0
    below = y > middle_y
    radius_y = np.where(below, face.chin_y - middle_y, 74.0)
    power = np.where(below, 2.3, 2.0)
    across = np.abs(x - MIDDLE_X) / face.head_width
    along = np.abs(y - middle_y) / radius_y
    return _soft((1 - (across**power + along**power) ** (1 / power)) * face.head_width, 1.0)


def _height_map(face: Face, x: Grid, y: Grid) -> Grid:
    """How far the surface stands out towards the camera, in face units."""
    across, along = (x - MIDDLE_X) / (1.12 * face.head_width), (y - 62) / 80
    height = 46 * np.sqrt(np.clip(1 - across**2 - along**2, 0.02, None))
    bridge_y = (face.eye_y + face.nose_y) / 2
    half_length = (face.nose_y - face.eye_y) / 2
    height += 5.5 * _bump(x, y, (MIDDLE_X, bridge_y + 3), (3.6, half_length))
    height += 6.5 * _bump(x, y, (MIDDLE_X, face.nose_y - 2), (4.6, 4.2))
    height += 2.2 * _bump(x, y, (MIDDLE_X, face.chin_y - 9), (10, 6))
    height += 1.3 * _bump(x, y, (MIDDLE_X, face.mouth_y - 3), (face.mouth_width * 0.7, 2.2))
    height += 1.8 * _bump(x, y, (MIDDLE_X, face.mouth_y + 3.6), (face.mouth_width * 0.55, 2.4))
    height -= 1.4 * _bump(x, y, (MIDDLE_X, face.mouth_y), (face.mouth_width * 0.8, 1.1))
    for side, eye_x in zip((-1, 1), face.eyes_x, strict=True):
        height -= 4.2 * _bump(x, y, (eye_x - side * 2, face.eye_y - 1), (9, 6))
        height += 2.0 * _bump(x, y, (eye_x, face.eye_y), (6, 3.4))
        height += 2.0 * _bump(x, y, (eye_x, face.brow_y), (13, 4))
        height += 2.6 * _bump(x, y, (MIDDLE_X + side * 27, face.eye_y + 22), (11, 10))
        height += 2.4 * _bump(
            x, y, (MIDDLE_X + side * face.nose_width * 0.75, face.nose_y), (2.6, 2.8)
        )
    return height.astype(np.float32)


def _lighting(face: Face, height: Grid, scale: float) -> Grid:
    """Lambert's cosine law on the height map, plus ambient light."""
    down, right = np.gradient(height * scale)
    normal_z = 1 / np.sqrt(1 + right**2 + down**2)
    direction = np.array(face.light) / np.linalg.norm(face.light)
    cosine = (-right * direction[0] - down * direction[1] + direction[2]) * normal_z
    return face.ambient + (1.08 - face.ambient) * np.clip(cosine, 0, None)


def _skin_texture(face: Face, grid: Grid) -> Grid:
    """Pores, spots and patches as relative deviation of the albedo; they move with the face."""
    side = (TEXTURE_END - TEXTURE_START) * TEXTURE_PER_UNIT
    rng = np.random.default_rng(face.texture_seed)
    texture = np.zeros((side, side), dtype=np.float32)
    for size, strength in ((0.7, 1.0), (1.6, 0.8), (4.0, 0.6), (12.0, 0.5)):
        noise = rng.standard_normal((side, side), dtype=np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), size * TEXTURE_PER_UNIT)
        texture += strength * face.texture * smooth / smooth.std()
    spots = rng.uniform((18, 20), (110, 120), size=(int(rng.integers(3, 12)), 2))
    axis = np.arange(side, dtype=np.float32) / TEXTURE_PER_UNIT + TEXTURE_START
    for spot_x, spot_y in spots:
        texture -= 0.16 * _bump(axis[None, :], axis[:, None], (spot_x, spot_y), (0.9, 0.9))
    at = (grid - TEXTURE_START) * TEXTURE_PER_UNIT
    return np.asarray(
        cv2.remap(texture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )


def _skin_albedo(face: Face, x: Grid, y: Grid) -> Grid:
    """The share of light that skin, lips, nostrils, eyes and brows reflect."""
    albedo = np.full_like(x, face.skin)
    albedo *= 1 - face.stubble * _bump(x, y, (MIDDLE_X, face.mouth_y + 8), (26, 14))
    albedo = _with_mouth(face, x, y, albedo)
    for side, eye_x in zip((-1, 1), face.eyes_x, strict=True):
        nostril = (MIDDLE_X + side * face.nose_width * 0.45, face.nose_y + 2.6)
        albedo *= 1 - 0.72 * _bump(x, y, nostril, (1.9, 1.1))
        wing = (MIDDLE_X + side * (face.nose_width + 1), face.nose_y)
        albedo *= 1 - 0.22 * _bump(x, y, wing, (1.2, 3.2))
        fold = np.abs(x - (MIDDLE_X + side * (face.nose_width + 4 + 0.35 * (y - face.nose_y))))
        nearby = _bump(x, y, (MIDDLE_X + side * 16, face.nose_y + 11), (9, 7))
        albedo *= 1 - 0.12 * np.exp(-0.5 * (fold / 1.4) ** 2) * nearby
        albedo = _with_eye(face, x, y, albedo, side, eye_x)
        albedo = _with_brow(face, x, y, albedo, side, eye_x)
    return albedo


def _with_mouth(face: Face, x: Grid, y: Grid, albedo: Grid) -> Grid:
    across = (x - MIDDLE_X) / face.mouth_width
    arch = np.clip(1 - across**2, 0, None)
    line_y = face.mouth_y - 0.8 * across**2 + 0.5 * np.exp(-((across / 0.18) ** 2))
    above, below = line_y - y, y - line_y
    upper = _soft(face.lip_height * arch**0.6 - above) * (above >= 0)
    lower = _soft(1.25 * face.lip_height * arch**0.8 - below) * (below > 0)
    inside = _soft(1 - np.abs(across), 0.05)
    albedo = albedo * (1 - (1 - face.lip_tone) * np.clip(upper + lower, 0, 1) * inside)
    line = np.exp(-0.5 * ((y - line_y) / 0.75) ** 2) * inside
    albedo = albedo * (1 - 0.62 * line)
    shadow = _bump(x, y, (MIDDLE_X, face.mouth_y + 1.6 * face.lip_height + 3), (9, 1.6))
    return albedo * (1 - 0.16 * shadow)


def _with_eye(face: Face, x: Grid, y: Grid, albedo: Grid, side: int, eye_x: float) -> Grid:
    across = (x - eye_x) / face.eye_width
    arch = np.clip(1 - across**2, 0, None)
    middle_y = face.eye_y - 0.7 * side * across
    upper_y = middle_y - face.eye_opening * arch**0.75
    lower_y = middle_y + 0.62 * face.eye_opening * arch
    opening = _soft(y - upper_y) * _soft(lower_y - y) * _soft(1 - np.abs(across), 0.06)
    radius = np.hypot(x - eye_x, y - (face.eye_y - 0.6))
    ball = 0.86 - 0.5 * _soft(4.1 - radius, 0.5) - 0.3 * _soft(1.8 - radius, 0.4)
    ball = ball + 0.75 * _bump(x, y, (eye_x - 1.2, face.eye_y - 2.0), (0.7, 0.7))
    albedo = albedo * (1 - opening) + ball * opening
    lid = np.exp(-0.5 * ((y - upper_y) / 0.85) ** 2) * _soft(1.1 - np.abs(across), 0.1)
    crease = np.exp(-0.5 * ((y - upper_y + 3.2) / 0.8) ** 2) * _soft(1 - np.abs(across), 0.15)
    lower = np.exp(-0.5 * ((y - lower_y) / 0.7) ** 2) * _soft(1 - np.abs(across), 0.1)
    return albedo * (1 - 0.72 * lid) * (1 - 0.2 * crease) * (1 - 0.22 * lower)


def _with_brow(face: Face, x: Grid, y: Grid, albedo: Grid, side: int, eye_x: float) -> Grid:
    outwards = side * (x - eye_x)
    across = (outwards - 1) / 13.5
    line_y = face.brow_y - 13.5 * face.brow_tilt * across + 2.6 * across**2
    thickness = face.brow_thickness * np.clip(1.1 - 0.45 * across, 0.3, None)
    brow = _soft(thickness - np.abs(y - line_y), 0.9) * _soft(1 - np.abs(across), 0.1)
    hairs = 0.8 + 0.2 * np.sin(2.1 * x + 1.3 * y)
    return albedo * (1 - 0.68 * brow * hairs)


def _surroundings(face: Face, x: Grid, y: Grid, backdrop: Grid, texture: Grid) -> Grid:
    """Neck and shoulders in front of the backdrop."""
    neck = _soft(0.62 * face.head_width - np.abs(x - MIDDLE_X), 1.5) * _soft(y - 90, 3)
    shade = 0.55 + 0.25 * np.clip((y - face.chin_y) / 40, 0, 1)
    grey = backdrop * (1 - neck) + neck * face.skin * shade * (1 + texture)
    shoulder_y = face.chin_y + 30 + 0.004 * (x - MIDDLE_X) ** 2
    cloth = _soft(y - shoulder_y, 1.5)
    return grey * (1 - cloth) + cloth * 0.35 * (1 + 2 * texture)


def _with_hair(face: Face, x: Grid, y: Grid, grey: Grid, texture: Grid) -> Grid:
    """Hair above the hairline, and at the temples down to the ears."""
    across = np.abs(x - MIDDLE_X)
    outer = (across / (face.head_width + 5)) ** 2.4 + (np.abs(y - 44) / 74) ** 2.2
    hairline = face.hairline_y + 0.008 * across**2
    temple = _soft(across - (face.head_width - 5 + 0.08 * (y - 30)), 2.0) * _soft(64 - y, 4.0)
    hair = _soft((1 - outer) * 30, 2.0) * np.maximum(_soft(hairline - y, 2.5), temple)
    strands = 1 + 0.25 * np.sin(0.9 * x + 3 * np.sin(y / 19)) + 4 * texture
    return grey * (1 - hair) + hair * face.hair * strands
