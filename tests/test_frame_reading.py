"""Frames from files: grey by known weights, and one clear sentence for each kind of bad file."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.frames.reading import FrameError, read_frame, read_frames


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_grey_is_taken_as_it_is_and_colors_are_weighted(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    frame = read_frame(save(tmp_path / "grey.bmp", grey))
    assert np.array_equal(frame.pixels, grey)
    assert not frame.in_color
    colors = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    frame = read_frame(save(tmp_path / "color.png", colors))
    np.testing.assert_allclose(frame.pixels[0], [0.299 * 255, 0.587 * 255, 0.114 * 255], atol=1)
    assert frame.in_color


def sixteen_bit_grey(path: Path) -> None:
    save(path, np.full((4, 4), 1000, np.uint16))


def write_png(path: Path, width: int, height: int, bits: int, rows: bytes) -> None:
    """A color PNG of any declared size and depth, which Pillow would not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + pixels)


def sixteen_bit_color(path: Path) -> None:
    write_png(path, 2, 1, 16, b"\0" + b"\x12\x34" * 6)


def truncated(path: Path) -> None:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).save(content, "JPEG")
    path.write_bytes(content.getvalue()[:-200])


def text(path: Path) -> None:
    path.write_text("not a picture")


def large(path: Path) -> None:
    write_png(path, 9000, 9000, 8, b"")


def huge(path: Path) -> None:
    write_png(path, 90000, 90000, 8, b"")


def missing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (sixteen_bit_grey, "16 bits"),
        (sixteen_bit_color, "16 bits"),
        (truncated, "cannot be decoded.*truncated"),
        (text, "not a readable picture"),
        (large, "9000x9000 pixels: too large"),
        (huge, "too large"),
        (missing, "is missing"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(make, reason: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "img7.png"
    make(path)
    with pytest.raises(FrameError, match=rf"img7\.png.*({reason})"):
        read_frame(path)


def test_frames_of_a_clip_must_agree_in_size_and_color(tmp_path: Path) -> None:
    paths = {
        "onset": save(tmp_path / "a.png", np.zeros((4, 6), np.uint8)),
        "apex": save(tmp_path / "b.png", np.zeros((4, 5), np.uint8)),
        "offset": save(tmp_path / "c.png", np.zeros((4, 6, 3), np.uint8)),
    }
    with pytest.raises(FrameError, match=r"differ in size: .*a\.png is 6x4, b\.png is 5x4"):
        read_frames({name: paths[name] for name in ("onset", "apex")})
    with pytest.raises(FrameError, match=r"differ in color: .*a\.png is grey, c\.png is color"):
        read_frames({name: paths[name] for name in ("onset", "offset")})
    assert read_frames({"onset": paths["onset"]})["onset"].shape == (4, 6)
