"""Pictures of clips and their flow: a contact sheet, an overview of a dataset, an animation.

Flow is shown without its median, which is mostly the head's own motion. The hue is the direction
(red right, yellow-green down, cyan left, violet up), the saturation the length.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from datasets.frames.flow import flow_map, optical_strain
from datasets.frames.key_frame_noise import KEY_FRAMES
from datasets.maps import direction_map

TILE, GAP, CAPTION, MARGIN = 200, 10, 22, 16
ARROW_STEP = 10
# The motion shown at full saturation is this percentile, so that no single pixel sets the scale.
LONGEST_PERCENTILE = 99.5
INK, PAPER = (25, 25, 25), (255, 255, 255)
MADE_FROM = "made from"
STRAIN_COLORS = cv2.COLORMAP_MAGMA

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class ClipPicture:
    """What is shown of a clip.

    Attributes:
        title: one line over the picture.
        subtitle: another, smaller.
        frames: registered grey frames, uint8 [3, H, W]: onset, apex, offset.
        frame_numbers: their numbers in the dataset.
        flows: float [2, H, W, 2] in pixels: onset to apex, apex to offset.
        motion: of a drawn clip the true motion, as the flows; else None.
    """

    title: str
    subtitle: str
    frames: NDArray[np.uint8]
    frame_numbers: tuple[int, int, int]
    flows: NDArray[np.floating]
    motion: NDArray[np.floating] | None = None


def draw_contact_sheet(clip: ClipPicture, made_from: str = "") -> bytes:
    """Frames, then for each phase flow as colors and as arrows, strain and maps; a PNG's bytes.

    Args:
        clip: what is shown.
        made_from: kept in the file for ``read_made_from``.
    """
    centered = [without_median(flow) for flow in clip.flows]
    longest = longest_motion(centered)
    names = [f"{n}: {number}" for n, number in zip(KEY_FRAMES, clip.frame_numbers, strict=True)]
    tiles = [[(name, grey(frame)) for name, frame in zip(names, clip.frames, strict=True)]]
    tiles[0].append((f"direction; rim {longest:.1f} pixels", color_wheel()))
    for phase, flow in enumerate(clip.flows):
        step = f"{KEY_FRAMES[phase]} to {KEY_FRAMES[phase + 1]}"
        maps = flow_map(flow)
        row = [
            (step, flow_colors(centered[phase], longest)),
            ("as arrows", arrows(clip.frames[phase], centered[phase], longest)),
            (f"strain, to {optical_strain(flow).max():.2f}", strain_colors(flow)),
            ("flow map (published)", maps[..., ::-1]),
            ("direction map", direction_map(maps)[..., ::-1]),
        ]
        if clip.motion is not None:
            true = flow_colors(without_median(clip.motion[phase]), longest)
            row.insert(1, ("true motion", true))
        tiles.append(row)
    return _png(_page(clip.title, clip.subtitle, tiles), made_from)


def read_made_from(path: Path) -> str | None:
    """What a picture's file says it was made from; None where there is no such picture."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return str(picture.info.get(MADE_FROM, ""))
    except (OSError, SyntaxError, ValueError):
        return None


def draw_overview(title: str, tiles: Sequence[tuple[str, RGB]], columns: int = 10) -> bytes:
    """Every clip's apex beside its flow; a PNG's bytes.

    Args:
        title: one line over the picture.
        tiles: caption and picture of each clip, from ``overview_tile``.
        columns: clips in a row.
    """
    rows = [list(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return _png(_page(title, f"{len(tiles)} clips: apex, flow from onset to apex", rows, TILE // 2))


def overview_tile(frame: NDArray[np.uint8], flow: NDArray[np.floating]) -> RGB:
    """A small picture of one clip, uint8 [100, 200, 3]: its apex, its flow from the onset."""
    centered = without_median(flow)
    pair = np.hstack([grey(frame), flow_colors(centered, longest_motion([centered]))])
    side = TILE // 2
    return np.asarray(cv2.resize(pair, (2 * side, side), interpolation=cv2.INTER_AREA))


def draw_animation(
    title: str,
    frames: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
    flows: Sequence[NDArray[np.floating]],
    milliseconds: int = 60,
) -> bytes:
    """A clip beside its flow from the first of the frames; a GIF's bytes.

    Args:
        title: one line over the picture.
        frames: registered grey frames, uint8 [H, W].
        captions: what is written over each frame.
        flows: the flow from the first frame to each, float [H, W, 2].
        milliseconds: how long each frame stays.
    """
    centered = [without_median(flow) for flow in flows]
    longest = longest_motion(centered)
    pages = []
    for frame, caption, flow in zip(frames, captions, centered, strict=True):
        tiles = [
            (caption, grey(frame)),
            (f"flow, to {longest:.1f} pixels", flow_colors(flow, longest)),
            ("as arrows", arrows(frame, flow, longest)),
        ]
        pages.append(_page(title, "", [tiles]))
    buffer = io.BytesIO()
    options = {"save_all": True, "append_images": pages[1:], "duration": milliseconds, "loop": 0}
    pages[0].save(buffer, "GIF", **options)
    return buffer.getvalue()


def draw_tiles(title: str, subtitle: str, rows: Sequence[Sequence[tuple[str, RGB]]]) -> bytes:
    """Rows of captioned pictures, uint8 [H, W, 3], under a title; a PNG's bytes."""
    return _png(_page(title, subtitle, rows))


def without_median(flow: NDArray[np.floating]) -> NDArray[np.float32]:
    """A flow [H, W, 2] minus the median of each component."""
    return (flow - np.median(flow, axis=(0, 1))).astype(np.float32)


def longest_motion(flows: Sequence[NDArray[np.float32]]) -> float:
    """The length that is shown at full saturation, in pixels; never quite 0."""
    lengths = np.linalg.norm(np.stack(flows), axis=-1)
    return max(float(np.percentile(lengths, LONGEST_PERCENTILE)), 0.1)


def grey(frame: NDArray[np.uint8]) -> RGB:
    """A grey frame [H, W] as RGB [H, W, 3]."""
    return np.repeat(frame[..., None], 3, axis=2)


def flow_colors(flow: NDArray[np.floating], longest: float) -> RGB:
    """A flow [H, W, 2] as RGB: white no motion, full color a length of ``longest`` pixels."""
    length, degrees = cv2.cartToPolar(
        flow[..., 0].astype(np.float32), flow[..., 1].astype(np.float32), angleInDegrees=True
    )
    saturation = np.clip(length / longest, 0, 1)
    hsv = np.dstack([degrees, saturation, np.ones_like(length)]).astype(np.float32)
    return np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)


def strain_colors(flow: NDArray[np.floating]) -> RGB:
    """Optical strain as RGB: black none, light the picture's largest."""
    strain = optical_strain(flow)
    scaled = np.rint(255 * strain / max(float(strain.max()), 1e-6)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(scaled, STRAIN_COLORS)[..., ::-1], dtype=np.uint8)


def arrows(frame: NDArray[np.uint8], flow: NDArray[np.float32], longest: float) -> RGB:
    """Arrows over a brightened frame, drawn at twice its size; the longest is a step and a half."""
    light = (128 + frame // 2).astype(np.uint8)
    picture = grey(cv2.resize(light, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    scale = 2 * 1.5 * ARROW_STEP / longest
    for row in range(ARROW_STEP // 2, flow.shape[0], ARROW_STEP):
        for column in range(ARROW_STEP // 2, flow.shape[1], ARROW_STEP):
            u, v = scale * flow[row, column]
            tip = (round(2 * column + float(u)), round(2 * row + float(v)))
            if np.hypot(u, v) >= 2:
                start = (2 * column, 2 * row)
                cv2.arrowedLine(picture, start, tip, (170, 30, 30), 1, cv2.LINE_AA, tipLength=0.3)
    return picture


def color_wheel() -> RGB:
    """The key to the colors: each direction from the middle, in the picture's axes."""
    side = np.linspace(-1, 1, TILE, dtype=np.float32)
    wheel = np.stack(np.meshgrid(side, side), axis=-1)
    colors = flow_colors(wheel, 1.0)
    colors[np.linalg.norm(wheel, axis=-1) > 1] = 255
    return colors


def _page(
    title: str, subtitle: str, rows: Sequence[Sequence[tuple[str, RGB]]], height: int = TILE
) -> Image.Image:
    """Tiles with captions, row by row, under a title."""
    pictures = [[(caption, _fit(tile, height)) for caption, tile in row] for row in rows]
    top = MARGIN + (2 * CAPTION + GAP if subtitle else CAPTION + GAP)
    step = height + CAPTION + GAP
    width = max(sum(tile.width + GAP for _, tile in row) for row in pictures)
    page = Image.new("RGB", (width + 2 * MARGIN - GAP, top + step * len(rows) + MARGIN), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, INK, ImageFont.load_default(17))
    draw.text((MARGIN, MARGIN + CAPTION), subtitle, INK, ImageFont.load_default(13))
    for number, row in enumerate(pictures):
        left = MARGIN
        for caption, tile in row:
            draw.text((left, top + number * step), caption, INK, ImageFont.load_default(13))
            page.paste(tile, (left, top + number * step + CAPTION))
            left += tile.width + GAP
    return page


def _fit(tile: RGB, height: int) -> Image.Image:
    """A tile at the page's scale; small maps keep their pixels visible."""
    width = round(tile.shape[1] * height / tile.shape[0])
    enlarged_map = tile.shape[0] < height // 3
    how = Image.Resampling.NEAREST if enlarged_map else Image.Resampling.BICUBIC
    return Image.fromarray(np.ascontiguousarray(tile)).resize((width, height), how)


def _png(page: Image.Image, made_from: str = "") -> bytes:
    buffer, texts = io.BytesIO(), PngInfo()
    if made_from:
        texts.add_text(MADE_FROM, made_from)
    page.save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()
