"""What happens to stored maps before a model sees them: named steps, recorded with every run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from datasets.maps import FLOW_MAPS, direction_map, tile_regions

B, G, R = 0, 1, 2
FULL = 255
LARGEST_SHIFT = 3


@dataclass(frozen=True)
class Preparation:
    """The steps from stored maps to network input, in the order in which they are applied."""

    mirror: bool = False
    """Training clips are also seen mirrored, left for right, with the sign of u changed."""
    shift: int = 0
    """Training clips are also seen moved by up to this many pixels, up, down and sideways."""
    regions: bool = False
    """The four fixed blocks are cut from each map and tiled, as published; else the whole map."""
    center: bool = False
    """u and v of the flow maps are given relative to their median over the map."""
    strain: bool = True
    """The flow maps keep their strain channel; else it is 0 and only u and v are seen."""
    scale: float = 1.0
    """All values are multiplied by this; 1 keeps the published 0..255."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise UserError(f"scale is {self.scale}: not a positive number. Give one, such as 1.0.")
        if not 0 <= self.shift <= LARGEST_SHIFT:
            raise UserError(
                f"shift is {self.shift}: give a number of pixels, 0 to {LARGEST_SHIFT}."
            )

    @property
    def views(self) -> int:
        """How many ways a training clip is seen; 1 without mirroring and shifts."""
        return (2 if self.mirror else 1) * (2 * self.shift + 1) ** 2


def prepare(maps: NDArray[np.uint8], preparation: Preparation) -> NDArray[np.float32]:
    """Turn stored maps into network input.

    Args:
        maps: uint8 [N, 4, 28, 28, 3] as stored (B, G, R = strain, v, u in the flow maps).
        preparation: the steps.

    Returns:
        float32 [V, N, 4, 3, 28, 28], C-contiguous: view 0 as stored and, with ``mirror``, view 1
        mirrored, then the shifted ones; channels in the order B, G, R.
    """
    faces = [maps, mirrored(maps)] if preparation.mirror else [maps]
    steps = sorted(range(-preparation.shift, preparation.shift + 1), key=abs)
    views = [shifted(face, down, right) for down in steps for right in steps for face in faces]
    return np.stack([_prepare_view(view, preparation) for view in views])


def shifted(maps: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Stored maps [N, 4, H, W, 3] moved by whole pixels; the pixels at the edge are repeated."""
    rows = np.arange(maps.shape[2]) - down
    columns = np.arange(maps.shape[3]) - right
    return maps[:, :, rows.clip(0, len(rows) - 1)][:, :, :, columns.clip(0, len(columns) - 1)]


def mirrored(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stored maps [N, 4, H, W, 3] of the mirrored face: columns reversed, u negated.

    A stored u is an offset within its own range, so its negative is 255 - u. The direction maps
    are computed anew from the mirrored flow maps.
    """
    flow_maps = maps[:, FLOW_MAPS, :, ::-1].copy()
    flow_maps[..., R] = FULL - flow_maps[..., R]
    return np.concatenate([flow_maps, direction_map(flow_maps)], axis=1)


def _prepare_view(maps: NDArray[np.uint8], preparation: Preparation) -> NDArray[np.float32]:
    if preparation.regions:
        maps = tile_regions(maps)
    values = np.ascontiguousarray(np.moveaxis(maps, -1, 2), dtype=np.float32)
    if preparation.center:
        u_and_v = values[:, FLOW_MAPS, G : R + 1]
        values[:, FLOW_MAPS, G : R + 1] = u_and_v - np.median(u_and_v, axis=(-2, -1), keepdims=True)
    if not preparation.strain:
        values[:, FLOW_MAPS, B] = 0
    return values * np.float32(preparation.scale)
