"""How close the maps of a moved face are to those of the unmoved one.

    python -m benchmarks.registration_closeness --picture docs/pictures/registration.png

Draws clips as a camera sees them, and again with the face shifted, turned by up to 10 degrees and
scaled by up to 15 percent; registers each by its own first frame, computes TV-L1 flow and maps as
build_inputs.py does, and compares them with the unmoved face's. Also by the 5-point landmark model,
without the margin, and without registration, for comparison. Prints one JSON object as its last
line.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from common.files import write_bytes
from datasets.frames.build import (
    DEFAULT_MARGIN,
    InputSettings,
    phase_flow,
    place_face,
    without_margin,
)
from datasets.frames.flow import flow_map
from datasets.frames.registration import Landmarks, find_face
from datasets.pictures.clip import (
    draw_tiles,
    flow_colors,
    grey,
    longest_motion,
    without_median,
)
from datasets.synthetic.clips import draw_clip, list_synthetic_clips
from datasets.synthetic.faces import View
from datasets.synthetic.specs import ClipSpec

SETTINGS = InputSettings(margin=DEFAULT_MARGIN)
SIDE, SCALE = 320, 1.6
# What is done to the face: scale, degrees, shift in pixels of the camera picture.
MOVES = {
    "as it is": (1.0, 0.0, (0.0, 0.0)),
    "shifted": (1.0, 0.0, (30.0, -18.0)),
    "turned 10 degrees": (1.0, 10.0, (0.0, 0.0)),
    "turned -10 degrees": (1.0, -10.0, (0.0, 0.0)),
    "15 % smaller": (0.85, 0.0, (0.0, 0.0)),
    "15 % larger": (1.15, 0.0, (0.0, 0.0)),
    "all three": (1.1, -7.0, (-20.0, 12.0)),
}

Grid = NDArray[np.float32]
Move = tuple[float, float, tuple[float, float]]


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    n_subjects: int = 3
    """Subjects in each of the three parts; one clip each."""
    picture: Path | None = None
    """Where to draw the first clip under every move."""


@dataclass(frozen=True)
class Seen:
    """A clip as one camera saw it: the frame, the registered onset, and its flow to the apex."""

    frame: NDArray[np.uint8]
    face: NDArray[np.uint8]
    flow: Grid


def main() -> None:
    """Measure, print, draw."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(1)
    specs = list_synthetic_clips(config.n_subjects, 1)
    clips = {
        "registered": _see_all(specs, SETTINGS),
        "registered_by_5_points": _see_all(specs, SETTINGS, 5),
        "without_margin": _see_all(specs, replace(SETTINGS, margin=0)),
        "not_registered": _see_all(specs, InputSettings(registered=True)),
    }
    figures = {name: _closeness(seen) for name, seen in clips.items()}
    if config.picture is not None:
        write_bytes(config.picture, _draw(clips["registered"][0]))
    print(json.dumps({"clips": len(specs), "moves": len(MOVES) - 1, **figures}))


def _see_all(
    specs: Sequence[ClipSpec], settings: InputSettings, landmarks: Landmarks = 68
) -> list[list[Seen]]:
    return [[_see(spec, move, settings, landmarks) for move in MOVES.values()] for spec in specs]


def _see(spec: ClipSpec, move: Move, settings: InputSettings, landmarks: Landmarks) -> Seen:
    scale, angle, shift = move
    clip = draw_clip(spec, View(SIDE, SIDE, SCALE * scale, angle, shift))
    transform = np.empty((2, 3))
    if not settings.registered:
        transform = find_face(clip.frames[0], settings.size, landmarks)
    onset, apex = (place_face(clip.frames[n], transform, settings) for n in (clip.onset, clip.apex))
    flow = phase_flow(onset, apex, settings)
    return Seen(clip.frames[0], without_margin(onset, settings), flow)


def _closeness(clips: Sequence[Sequence[Seen]]) -> dict[str, float]:
    """Medians over clips and moves, and the worst case of each figure."""
    rows = []
    for unmoved, *others in clips:
        for moved in others:
            rows.append(_difference(unmoved.flow, moved.flow))
    figures = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        worst = min(values) if name.startswith("correlation") else max(values)
        figures[name] = round(float(np.median(values)), 3)
        figures[f"{name}_worst"] = round(float(worst), 3)
    return figures


def _difference(unmoved: Grid, moved: Grid) -> dict[str, float]:
    length = np.linalg.norm(unmoved, axis=-1).mean()
    maps = [flow_map(flow).astype(np.float64) for flow in (unmoved, moved)]
    figures = {"flow_error_share": np.linalg.norm(moved - unmoved, axis=-1).mean() / length}
    for channel, name in ((2, "u"), (1, "v"), (0, "strain")):
        first, second = (grid[..., channel].ravel() for grid in maps)
        figures[f"correlation_{name}_map"] = np.corrcoef(first, second)[0, 1]
    figures["map_levels"] = np.abs(maps[0] - maps[1]).mean()
    return {name: float(value) for name, value in figures.items()}


def _draw(seen: Sequence[Seen]) -> bytes:
    centered = [without_median(one.flow) for one in seen]
    longest = longest_motion(centered)
    rows = [
        [(name, grey(one.frame)) for name, one in zip(MOVES, seen, strict=True)],
        [("registered", grey(one.face)) for one in seen],
        [("flow onset to apex", flow_colors(flow, longest)) for flow in centered],
        [("flow map", flow_map(one.flow)[..., ::-1]) for one in seen],
    ]
    return draw_tiles("SYNTHETIC face, moved before registration", "", rows)


if __name__ == "__main__":
    main()
