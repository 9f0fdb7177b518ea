"""Named preparation steps that need no label: affine motion out, unit RMS, both phases summed.

A stored map's u and v are min-max scaled, so their zero and their unit are lost. Head motion is
close to affine, and the lost zero is a constant: removing the affine part takes both away. The
root mean square is a unit that every map has. The second phase is, up to noise, the first one
backwards; how much of it is worth adding is measured on the training clips of each dataset.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

ROUNDS = 6
"""Of reweighting; the fit changes little after three."""
SMALLEST_SCALE = 1e-3
"""Added to the robust scale, in units of the field, so that an exact fit divides by no zero."""
SMALLEST_RMS = 1e-3
"""A field below it, such as one without motion, is left near zero, not blown up to RMS 1."""
COSINE_BLUR = 1.0
"""Standard deviation in pixels of the blur before the phases are compared."""
ANY_DATASET = ""
"""The gain's name for a dataset without training clips: the median over all training clips."""

Fields = NDArray[np.floating]


def remove_affine(fields: Fields) -> NDArray[np.float32]:
    """What is left of fields [..., H, W] when each has lost its best a + b x + c y.

    The fit is robust, so that a moving mouth does not pass for a moving head: iteratively
    reweighted least squares with Cauchy weights 1 / (1 + (r / s)^2) of the residuals r, where
    s = 1.4826 median |r| estimates their standard deviation (Holland and Welsch 1977). The
    residuals start at the median.
    """
    *leading, height, width = fields.shape
    values = np.reshape(fields, (-1, height * width)).astype(np.float64)
    design = _affine_design(height, width)
    products = np.einsum("pi,pj->pij", design, design).reshape(-1, 9)
    residuals = values - np.median(values, axis=1, keepdims=True)
    for _ in range(ROUNDS):
        scale = 1.4826 * np.median(np.abs(residuals), axis=1, keepdims=True) + SMALLEST_SCALE
        weights = 1 / (1 + (residuals / scale) ** 2)
        normal = (weights @ products).reshape(-1, 3, 3)
        moments = (weights * values) @ design
        coefficients = np.linalg.solve(normal, moments[:, :, None])[:, :, 0]
        residuals = values - coefficients @ design.T
    return residuals.astype(np.float32).reshape(*leading, height, width)


def _affine_design(height: int, width: int) -> NDArray[np.float64]:
    """1, x and y of every pixel's center, [H W, 3]; the picture spans -1 to 1."""
    y, x = np.indices((height, width), dtype=np.float64)
    x, y = ((2 * place + 1) / size - 1 for place, size in ((x, width), (y, height)))
    return np.stack([np.ones_like(x), x, y], axis=-1).reshape(-1, 3)


def unit_rms(fields: Fields) -> NDArray[np.float32]:
    """Fields [..., H, W], each divided by its root mean square over the picture."""
    rms = np.sqrt(np.square(fields, dtype=np.float64).mean(axis=(-2, -1), keepdims=True))
    return (fields / np.maximum(rms, SMALLEST_RMS)).astype(np.float32)


def phase_gain(first: Fields, second: Fields) -> NDArray[np.float64]:
    """How well each clip's second phase undoes its first: the cosine between p1 and -p2, [N].

    Args:
        first, second: u and v of the phases, [N, 2, H, W]; both are blurred and every second
            pixel is taken.

    Returns:
        -1 to 1; 0 where a phase holds no motion.
    """
    p1, p2 = (_coarse(phase) for phase in (first, second))
    lengths = np.linalg.norm(p1, axis=1) * np.linalg.norm(p2, axis=1)
    return -(p1 * p2).sum(axis=1) / np.where(lengths > 0, lengths, 1)


def _coarse(fields: Fields) -> NDArray[np.float64]:
    """[N, 2, H, W] -> [N, 2 H/2 W/2]: blurred, every second pixel."""
    planes = np.ascontiguousarray(fields, dtype=np.float64).reshape(-1, *fields.shape[-2:])
    blurred = [cv2.GaussianBlur(plane, (0, 0), COSINE_BLUR)[::2, ::2] for plane in planes]
    return np.reshape(blurred, (len(fields), -1))


def phase_gains(
    first: Fields, second: Fields, datasets: NDArray[np.str_], train_rows: NDArray[np.integer]
) -> dict[str, float]:
    """The share g of the second phase to subtract, by dataset, from a fold's training clips.

    g is the median over the dataset's training clips of ``phase_gain``, and 0 where it is below.

    Args:
        first, second: u and v of the phases of all clips, [N, 2, H, W].
        datasets: name of each clip's dataset, [N].
        train_rows: the fold's training clips, rows of the other arguments.

    Returns:
        g by dataset; ``""`` has that of all training clips, for datasets that are not among them.
    """
    names = np.asarray(datasets)[train_rows]
    cosines = phase_gain(first[train_rows], second[train_rows])
    parts = {str(name): cosines[names == name] for name in np.unique(names)}
    parts[ANY_DATASET] = cosines
    return {name: max(0.0, float(np.median(part))) for name, part in parts.items()}


def gains_of(gains: Mapping[str, float], datasets: NDArray[np.str_]) -> NDArray[np.float64]:
    """Each clip's g, [N], from ``phase_gains`` and the name of its dataset, [N]."""
    return np.array([gains.get(str(name), gains[ANY_DATASET]) for name in datasets])


def phase_sum(first: Fields, second: Fields, gains: Fields | float) -> NDArray[np.float32]:
    """Both phases in one: p1 - g p2, at RMS 1 again.

    Args:
        first, second: u and v of the phases, [N, 2, H, W].
        gains: g of each clip, [N], or one of all.
    """
    return unit_rms(first - np.reshape(gains, (-1, 1, 1, 1)) * second)
