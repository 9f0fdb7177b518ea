"""Reads frames in grey or in color; whatever is wrong with a file is said in one sentence."""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from common.errors import UserError
from common.first_bytes import impostor_at

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
# Twice an 8K frame; no frame of these datasets is larger.
MOST_PIXELS = 2 * 7680 * 4320
# Such a frame is refused by its header: Pillow's own warning would be a second message.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
GREY_MODES = ("1", "L", "LA")
Channels = Literal["L", "RGB"]


class FrameError(UserError):
    """A frame that cannot be used; the message names the file and the reason.

    Attributes:
        rule: the rule of the audit that is broken.
        value: the offending file's name.
    """

    rule = "bad frame"

    def __init__(self, message: str, value: str = "") -> None:
        super().__init__(message)
        self.value = value


@dataclass(frozen=True)
class Frame:
    """A frame's pixels, uint8 [H, W] or [H, W, 3] in R, G, B, and whether its file is in color."""

    pixels: NDArray[np.uint8]
    in_color: bool


def read_frame(path: Path, channels: Channels = "L") -> Frame:
    """Decode a frame.

    Args:
        path: the file; or a video's, and behind it the name of one of its frames.
        channels: ``L`` gives grey, from colors by the weights of ITU-R 601 (.299, .587, .114);
            ``RGB`` gives three channels, equal ones where the file is grey.

    Raises:
        FrameError: the file is missing, truncated, no picture, 16-bit or absurdly large.
    """
    try:
        if path.parent.is_file():
            return _read_from_video(path, channels)
        _check_is_file(path)
        with Image.open(path, formats=FORMATS) as picture:
            _check_header(path, picture)
            in_color = picture.mode not in GREY_MODES
            return Frame(np.asarray(picture.convert(channels)), in_color)
    except Image.DecompressionBombError:
        raise FrameError(f"frame {path} is too large for a frame.", path.name) from None
    except UnidentifiedImageError:
        raise FrameError(f"frame {path} is {_what_it_is(path)}.", path.name) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise FrameError(f"frame {path} cannot be decoded: {error}.", path.name) from None


def _what_it_is(path: Path) -> str:
    found = impostor_at(path)
    return f"{found[0]}, not a picture; {found[1]}" if found else "not a readable picture"


def video_frame_name(number: int) -> str:
    """What stands behind a video's path to name its frame of that number, counted from 0."""
    return f"frame {number}"


def _read_from_video(path: Path, channels: Channels) -> Frame:
    # Imported here: frames in files need no PyAV.
    from datasets.video.decode import open_frames

    number = int(path.name.removeprefix(video_frame_name(0)[:-1]))
    try:
        return Frame(open_frames(path.parent).read(number, channels == "RGB"), in_color=True)
    except UserError as error:
        raise FrameError(f"frame {number} of {path.parent}: {error}", path.name) from None


def read_frames(
    paths: Mapping[str, Path], channels: Channels = "L"
) -> dict[str, NDArray[np.uint8]]:
    """The frames of one clip by name, as ``read_frame`` gives them, all of one size.

    Raises:
        FrameError: one cannot be read, or they differ in size or in being grey or color.
    """
    read = {path: read_frame(path, channels) for path in dict.fromkeys(paths.values())}
    sizes = {path: "{1}x{0}".format(*frame.pixels.shape) for path, frame in read.items()}
    colors = {path: "color" if frame.in_color else "grey" for path, frame in read.items()}
    for what, values in (("size", sizes), ("color", colors)):
        first, *others = values.items()
        odd = next((item for item in others if item[1] != first[1]), None)
        if odd is not None:
            raise FrameError(
                f"frames of one clip differ in {what}: "
                f"{first[0]} is {first[1]}, {odd[0].name} is {odd[1]}.",
                odd[0].name,
            )
    return {name: read[path].pixels for name, path in paths.items()}


def hash_file(path: Path) -> str:
    """SHA-256 of a frame's file; for a frame of a video, that of the video and the frame's name.

    Raises:
        FrameError: it is missing or cannot be read.
    """
    try:
        if path.parent.is_file():
            return f"{_hash_video(path.parent, path.parent.stat().st_mtime_ns)} {path.name}"
        _check_is_file(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FrameError(f"frame {path} cannot be read: {error.strerror}.", path.name) from None


@lru_cache(maxsize=64)
def _hash_video(path: Path, changed: int) -> str:
    """Once for all frames of a video that was last changed at that time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_is_file(path: Path) -> None:
    """A pipe would be waited for without end."""
    if not path.is_file():
        fault = "is not a file" if path.exists() else "is missing"
        raise FrameError(f"frame {path} {fault}.", path.name)


def _check_header(path: Path, picture: ImageFile.ImageFile) -> None:
    """Refuse by the header, before anything is unpacked."""
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise FrameError(
            f"frame {path} is {width}x{height} pixels: too large for a frame.", path.name
        )
    # Pillow gives the bits of the file in the tile's raw mode ("RGB;16B") or the mode ("I;16").
    raw_modes = [str(tile[3]) for tile in picture.tile]
    if picture.mode.startswith(("I", "F")) or any(";16" in mode for mode in raw_modes):
        raise FrameError(
            f"frame {path} has 16 bits a pixel; convert the frames to 8 bits.", path.name
        )
