"""What happens to stored maps before a model sees them: named steps, recorded with every run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import UserError
from datasets.maps import FLOW_MAPS, direction_map, tile_regions
from datasets.motion import Fields, gains_of, phase_gains, phase_sum, remove_affine, unit_rms

B, G, R = 0, 1, 2
FULL = 255
LARGEST_SHIFT = 3
FADE = 0.5
"""Motion, in units of its root mean square, below which a direction fades."""

Gains = Mapping[str, float]
"""Dataset -> weight of the second phase in the phase sum; "" for every other dataset."""


@dataclass(frozen=True)
class Preparation:
    """The steps from stored maps to network input, in the order in which they are applied."""

    mirror: bool = False
    """Training clips are also seen mirrored, left for right, with the sign of u changed."""
    shift: int = 0
    """Training clips are also seen moved by up to this many pixels, up, down and sideways."""
    regions: bool = False
    """The four fixed regions are cut from each map and tiled, as published; else the whole map."""
    affine: bool = False
    """The affine part of u and v, which is close to the head's motion, is taken away."""
    rms: bool = False
    """u and v are each divided by their root mean square over the map."""
    phase_sum: bool = False
    """The first flow map is the contraction less the relaxation weighted as the fold's training
    clips say; the second is its reverse."""
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

    @property
    def changes_flow(self) -> bool:
        """Whether u and v become other fields, so that strain and direction are computed anew."""
        return self.affine or self.rms or self.phase_sum


def prepare(
    maps: NDArray[np.uint8],
    preparation: Preparation,
    datasets: NDArray[np.str_] | None = None,
    gains: Gains | None = None,
) -> NDArray[np.float32]:
    """Turn stored maps into network input.

    Args:
        maps: uint8 [N, 4, 28, 28, 3] as stored (B, G, R = strain, v, u in the flow maps).
        preparation: the steps.
        datasets: dataset of each clip, needed for ``phase_sum``.
        gains: from ``fit_gains``, needed for ``phase_sum``.

    Returns:
        float32 [V, N, 4, 3, 28, 28], C-contiguous: view 0 as stored and, with ``mirror``, view 1
        mirrored, then the shifted ones; channels in the order B, G, R. Where u and v are changed
        (``affine``, ``rms``, ``phase_sum``), strain is computed from the new ones and scaled to
        unit root mean square, and a direction map holds cosine, sine and magnitude.
    """
    if preparation.phase_sum and (gains is None or datasets is None):
        raise ValueError("phase_sum needs the dataset of each clip, and gains")
    views = [
        _prepare_view(view, preparation, datasets, gains) for view in _views(maps, preparation)
    ]
    return np.stack(views)


def fit_gains(
    maps: NDArray[np.uint8],
    preparation: Preparation,
    datasets: NDArray[np.str_],
    train_rows: NDArray[np.int64],
) -> Gains | None:
    """The gains that a fold's training clips give; None where the preparation has no phase sum.

    Args:
        maps: uint8 [N, 4, 28, 28, 3].
        datasets: [N].
        train_rows: rows of the training clips; no other clip is looked at.
    """
    if not preparation.phase_sum:
        return None
    flow = _changed_flow(_as_values(maps[train_rows]), preparation)
    return phase_gains(flow[:, 0], flow[:, 1], datasets[train_rows], np.arange(len(train_rows)))


def _views(maps: NDArray[np.uint8], preparation: Preparation) -> list[NDArray[np.uint8]]:
    faces = [maps, mirrored(maps)] if preparation.mirror else [maps]
    steps = sorted(range(-preparation.shift, preparation.shift + 1), key=abs)
    return [shifted(face, down, right) for down in steps for right in steps for face in faces]


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


def _prepare_view(
    maps: NDArray[np.uint8],
    preparation: Preparation,
    datasets: NDArray[np.str_] | None,
    gains: Gains | None,
) -> NDArray[np.float32]:
    if preparation.regions:
        maps = tile_regions(maps)
    values = _as_values(maps)
    if preparation.changes_flow:
        values = _with_changed_flow(values, preparation, datasets, gains)
    if preparation.center:
        u_and_v = values[:, FLOW_MAPS, G : R + 1]
        values[:, FLOW_MAPS, G : R + 1] = u_and_v - np.median(u_and_v, axis=(-2, -1), keepdims=True)
    if not preparation.strain:
        values[:, FLOW_MAPS, B] = 0
    return values * np.float32(preparation.scale)


def _as_values(maps: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, 4, H, W, 3] -> [N, 4, 3, H, W]."""
    return np.ascontiguousarray(np.moveaxis(maps, -1, 2), dtype=np.float32)


def _changed_flow(values: NDArray[np.float32], preparation: Preparation) -> Fields:
    """v and u of both phases after the steps that need no other clip: [N, 2, 2, H, W]."""
    flow: Fields = values[:, FLOW_MAPS, G : R + 1].astype(np.float64)
    if preparation.affine:
        flow = remove_affine(flow)
    elif preparation.rms:
        # Stored values have no zero of their own; without one a root mean square means nothing.
        flow = flow - np.median(flow, axis=(-2, -1), keepdims=True)
    return unit_rms(flow) if preparation.rms else flow


def _with_changed_flow(
    values: NDArray[np.float32],
    preparation: Preparation,
    datasets: NDArray[np.str_] | None,
    gains: Gains | None,
) -> NDArray[np.float32]:
    flow = _changed_flow(values, preparation)
    if preparation.phase_sum and gains is not None and datasets is not None:
        total = phase_sum(flow[:, 0], flow[:, 1], gains_of(gains, datasets))
        flow = np.stack([total, -total], axis=1)
    return maps_of_flow(flow)


def maps_of_flow(flow: Fields) -> NDArray[np.float32]:
    """The maps of a clip whose u and v are known, as ``prepare`` gives them with changed flow.

    Args:
        flow: v and u of both phases, [N, 2, 2, H, W].

    Returns:
        float32 [N, 4, 3, H, W]: the two flow maps (strain, v, u), then the two direction maps
        (cosine, sine, magnitude).
    """
    flow_maps = np.concatenate([_strain(flow)[:, :, None], flow], axis=2)
    return np.concatenate([flow_maps, _directions(flow)], axis=1).astype(np.float32)


def _strain(flow: Fields) -> Fields:
    """Optical strain of [..., (v, u), H, W] with unit root mean square: [..., H, W]."""
    v_y, v_x = np.gradient(flow[..., 0, :, :], axis=(-2, -1))
    u_y, u_x = np.gradient(flow[..., 1, :, :], axis=(-2, -1))
    return unit_rms(np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2))


def _directions(flow: Fields) -> Fields:
    """Cosine, sine (they fade where it is still), magnitude: [..., 2, H, W] -> [..., 3, H, W]."""
    v, u = flow[..., 0, :, :], flow[..., 1, :, :]
    magnitude = np.hypot(u, v)
    faded = np.hypot(magnitude, FADE)
    return np.stack([u / faded, v / faded, magnitude], axis=-3)
