"""How far each optical flow method is from the true motion of the synthetic clips.

    python -m benchmarks.flow_error

Draws synthetic clips and compares their flow, onset to apex and apex to offset, with the motion
they were drawn with: endpoint error (length of the difference, in pixels of a 128 x 128 face), and
how often u and v have the true sign where the expression moves by at least half a pixel. "none" is
the error of saying that nothing moves. Prints one JSON object as its last line.
"""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from datasets.frames.flow import FLOW_METHODS, phase_flows
from datasets.synthetic.clips import draw_clip, list_synthetic_clips

MOVED_PIXELS = 0.5


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    n_subjects: int = 6
    """Subjects in each of the three parts."""
    n_clips: int = 2
    """Clips of each subject."""
    seed: int = 1
    """Another seed draws other clips."""


def main() -> None:
    """Measure and print."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(1)
    specs = list_synthetic_clips(config.n_subjects, config.n_clips, config.seed)
    clips = [draw_clip(spec) for spec in specs]
    true = np.concatenate([clip.motion for clip in clips])
    errors = {"clips": len(clips), "none": _compare(np.zeros_like(true), true)}
    for method in FLOW_METHODS:
        found = np.concatenate([phase_flows(clip.key_frames, method) for clip in clips])
        errors[method] = _compare(found, true)
        print(method, errors[method], flush=True)
    print(json.dumps(errors))


def _compare(found: NDArray[np.float32], true: NDArray[np.float32]) -> dict[str, float]:
    """Endpoint errors in pixels over [N, H, W, 2], and shares of right signs."""
    error = np.linalg.norm(found - true, axis=-1)
    errors = {
        "mean_error": error.mean(),
        "error_95th_percentile": np.percentile(error, 95),
    }
    # The sign of the expression's own motion: minus the median, which is mostly the head's.
    expression, found_expression = _centered(true), _centered(found)
    for axis, name in enumerate("uv"):
        moved = np.abs(expression[..., axis]) >= MOVED_PIXELS
        same = np.sign(found_expression[..., axis]) == np.sign(expression[..., axis])
        errors[f"{name}_sign_right"] = same[moved].mean()
    return {name: round(float(value), 4) for name, value in errors.items()}


def _centered(flows: NDArray[np.float32]) -> NDArray[np.float32]:
    return flows - np.median(flows, axis=(1, 2), keepdims=True)


if __name__ == "__main__":
    main()
