"""Key-frame errors injected on purpose: this suite's own protocol, not the published paper's.

The published paper's noise protocol is not known. Here a key frame moves by round(s * p * L)
frames: s is uniform in [-1, 1], p the relative level, L the length of the phase(s) that the frame
bounds (the apex bounds both); or by round(s * n) for an absolute level of n frames. It stays inside
the clip, and onset < apex < offset keeps holding.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from common.errors import UserError, name_list

KeyFrame = Literal["onset", "apex", "offset"]
NoisyFrames = Literal["onset", "apex", "offset", "all"]
LevelUnit = Literal["relative", "frames"]
KEY_FRAMES: tuple[KeyFrame, ...] = get_args(KeyFrame)

RELATIVE_LEVELS = (0.0, 0.05, 0.1, 0.2, 0.3)
FRAME_LEVELS = (1, 2, 4, 8)


@dataclass(frozen=True)
class KeyFrames:
    """Indices of a clip's key frames among its frames."""

    onset: int
    apex: int
    offset: int


@dataclass(frozen=True)
class KeyFrameNoise:
    """One condition of the protocol.

    Attributes:
        frames: which key frames move.
        level: share of the phase length (unit ``relative``) or a number of frames (``frames``).
        seed: noise seed; all levels and units of one seed share their draws, so curves are paired.
    """

    frames: NoisyFrames
    level: float
    unit: LevelUnit = "relative"
    seed: int = 1

    def __post_init__(self) -> None:
        for value, choices in ((self.frames, NoisyFrames), (self.unit, LevelUnit)):
            if value not in get_args(choices):
                raise UserError(f"unknown {value!r}. Choose one of {name_list(get_args(choices))}.")
        if not (np.isfinite(self.level) and self.level >= 0):
            raise UserError(f"noise level {self.level} is not a number of at least 0.")

    @property
    def name(self) -> str:
        """Short and file-safe, such as apex-relative-0.1-seed1."""
        return f"{self.frames}-{self.unit}-{self.level:g}-seed{self.seed}"


@dataclass(frozen=True)
class NoisyKeyFrames:
    """The moved key frames, and the names of those that the clip was too short to move."""

    key_frames: KeyFrames
    too_short: tuple[KeyFrame, ...]


def noise_draw(seed: int, dataset: str, subject: str, clip: str, frame: KeyFrame) -> float:
    """s, uniform in [-1, 1): a function of its arguments alone, not of other clips or of order."""
    text = "\x1f".join((str(seed), dataset, subject, clip, frame))
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return float(np.random.default_rng(int.from_bytes(digest, "big")).uniform(-1, 1))


def add_key_frame_noise(
    key_frames: KeyFrames, last: int, noise: KeyFrameNoise, dataset: str, subject: str, clip: str
) -> NoisyKeyFrames:
    """Move the key frames of one clip.

    Where the moving frames can be nowhere else with onset < apex < offset, the clip keeps its key
    frames, and the result says so. Where there is room, clamping moves key frames apart that were
    annotated on one frame.

    Args:
        key_frames: indices of onset, apex and offset among the clip's frames.
        last: index of the clip's last frame.
        noise: the condition.
        dataset, subject, clip: the clip's identity, which seeds its draws.

    Raises:
        UserError: the key frames lie outside the clip.
    """
    if not 0 <= key_frames.onset <= key_frames.apex <= key_frames.offset <= last:
        raise UserError(f"clip {subject}/{clip}: {key_frames} are not in order within 0..{last}.")
    if noise.level == 0:
        return NoisyKeyFrames(key_frames, ())
    moving = KEY_FRAMES if noise.frames == "all" else (noise.frames,)
    if _has_no_room(key_frames, last, noise.frames):
        return NoisyKeyFrames(key_frames, moving)
    shifts = {
        frame: _shift(
            key_frames, noise, frame, noise_draw(noise.seed, dataset, subject, clip, frame)
        )
        for frame in moving
    }
    return NoisyKeyFrames(_shifted(key_frames, last, shifts), ())


def _has_no_room(key_frames: KeyFrames, last: int, frames: NoisyFrames) -> bool:
    """Whether the moving frames can be nowhere else with onset < apex < offset."""
    onset, apex, offset = key_frames.onset, key_frames.apex, key_frames.offset
    places = {
        "onset": apex if apex < offset else 0,
        "apex": offset - onset - 1,
        "offset": last - apex if onset < apex else 0,
        "all": last - 1,
    }[frames]
    in_order = onset < apex < offset
    return places < 1 or (places == 1 and in_order)


def _shift(key_frames: KeyFrames, noise: KeyFrameNoise, frame: KeyFrame, draw: float) -> int:
    """Frames to move by, before clamping."""
    if noise.unit == "frames":
        return round(draw * noise.level)
    lengths = {
        "onset": key_frames.apex - key_frames.onset,
        "apex": key_frames.offset - key_frames.onset,
        "offset": key_frames.offset - key_frames.apex,
    }
    return round(draw * noise.level * lengths[frame])


def _shifted(key_frames: KeyFrames, last: int, shifts: dict[KeyFrame, int]) -> KeyFrames:
    """Shift and clamp; the apex first, because it limits onset and offset."""
    onset, apex, offset = key_frames.onset, key_frames.apex, key_frames.offset
    if "apex" in shifts:
        lowest = onset + 1 if "onset" not in shifts else 1
        highest = offset - 1 if "offset" not in shifts else last - 1
        apex = min(max(apex + shifts["apex"], lowest), highest)
    if "onset" in shifts:
        onset = min(max(onset + shifts["onset"], 0), apex - 1)
    if "offset" in shifts:
        offset = min(max(offset + shifts["offset"], apex + 1), last)
    return KeyFrames(onset, apex, offset)
