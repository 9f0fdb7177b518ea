"""How regions of the face move against the head, frame by frame: what spotting looks at.

DIS flow from an anchor frame to each frame, on the registered face. The head's motion is taken off:
the robust affine part (shift, tilt, approach), a part proportional to how far a face stands out
(turn and nod: the nose moves most), and what is left at the nose's bridge. The anchor changes when
the head has moved, so that flow stays short, and seldom otherwise: each change adds a little drift.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.frames.flow import compute_flow
from datasets.frames.registration import canonical_points, register
from datasets.video.decode import VideoFrame
from datasets.video.face import FACE_SIZE, FacedFrame, Transform

MARGIN = 16
SIDE = FACE_SIZE + 2 * MARGIN
# Faster video is thinned out to about this many frames a second; key frames lie on those.
MOST_RATE = 60.0
# After a longer gap in the times nothing hangs together, and there is nothing to be filled in.
LONGEST_GAP_SECONDS = 1.0
ANCHOR_SECONDS, ANCHOR_PIXELS = 2.0, 3.0
# Two pictures of one face correlate better than this; less is a cut, a hand, or another face.
LEAST_CORRELATION = 0.8
FIT_ROUNDS, FIT_STEP = 6, 5

_EYES, _NOSE, _MOUTH = (
    canonical_points(FACE_SIZE)[:2],
    *np.split(canonical_points(FACE_SIZE)[2:], [1]),
)


def _regions() -> dict[str, tuple[float, float, float]]:
    """Name: x, y and radius in pixels of the registered face; left and right are the picture's."""
    places: dict[str, tuple[float, float, float]] = {}
    for side, eye, corner, name in zip((-1, 1), _EYES, _MOUTH, ("left", "right"), strict=True):
        places[f"inner brow {name}"] = (eye[0] - side * 11, eye[1] - 17, 6)
        places[f"outer brow {name}"] = (eye[0] + side * 8, eye[1] - 17, 6)
        places[f"eye {name}"] = (eye[0], eye[1] - 2, 6)
        places[f"nose wing {name}"] = (_NOSE[0, 0] + side * 11, _NOSE[0, 1] - 1, 5)
        places[f"mouth corner {name}"] = (corner[0], corner[1], 6)
    middle = (_MOUTH[0, 0] + _MOUTH[1, 0]) / 2
    places["lips"] = (middle, _MOUTH[0, 1] + 3, 7)
    places["chin"] = (middle, _MOUTH[0, 1] + 16, 7)
    return places


REGIONS = _regions()
EYES = ("eye left", "eye right")


@dataclass(frozen=True)
class Motion:
    """Where the face's regions are, against the head.

    Attributes:
        numbers: of the frames, [T].
        seconds: of the frames, [T].
        places: of ``REGIONS`` from where the run began, float32 [T, R, 2] in pixels of a
            128-pixel face, to the right and down.
        turns: of the head to the side and down, from where the run began, float32 [T, 2]: how far
            the nose has moved against the face's rim, same pixels.
        runs: which frames hang together, [T]: a cut or a lost face begins another run.
        stretches: which of the face's transforms each frame was registered by, [T].
    """

    numbers: NDArray[np.int64]
    seconds: NDArray[np.float64]
    places: NDArray[np.float32]
    turns: NDArray[np.float32]
    runs: NDArray[np.int64]
    stretches: NDArray[np.int64]


def measure_motion(frames: Iterable[FacedFrame]) -> Motion:
    """Follow the regions through a video; some 130 bytes a frame are kept."""
    tracker = _Tracker()
    last = -1.0
    for faced in frames:
        gap = faced.frame.seconds - last
        if faced.transform is None or gap > LONGEST_GAP_SECONDS:
            tracker.end_run()
        if faced.transform is not None and (last < 0 or gap >= 0.98 / MOST_RATE):
            tracker.add(faced.frame, faced.transform, faced.stretch)
            last = faced.frame.seconds
    return tracker.motion()


@dataclass
class _Anchor:
    """The frame that flow begins at, and where the regions were there."""

    frame: VideoFrame
    stretch: int
    square: NDArray[np.uint8]
    places: NDArray[np.float32]
    turns: NDArray[np.float32]


class _Tracker:
    def __init__(self) -> None:
        self._anchor: _Anchor | None = None
        self._run = 0
        self._numbers, self._runs, self._stretches = array("q"), array("q"), array("q")
        self._seconds, self._values = array("d"), array("f")

    def end_run(self) -> None:
        self._anchor = None

    def add(self, frame: VideoFrame, transform: Transform, stretch: int) -> None:
        square = register_square(frame.grey, transform)
        anchor = self._anchor
        if anchor is not None and anchor.stretch != stretch:
            anchor.square, anchor.stretch = register_square(anchor.frame.grey, transform), stretch
        if anchor is None or not _same_face(anchor.square, square):
            self._run += 1
            at_rest = np.zeros((len(REGIONS), 2), np.float32), np.zeros(2, np.float32)
            self._anchor = _Anchor(frame, stretch, square, *at_rest)
            self._keep(frame, *at_rest)
            return
        moved, shift, turned = _region_motion(compute_flow(anchor.square, square, "dis"))
        places, turns = anchor.places + moved, anchor.turns + turned
        self._keep(frame, places, turns)
        far = np.linalg.norm(shift) > ANCHOR_PIXELS
        if far or frame.seconds - anchor.frame.seconds >= ANCHOR_SECONDS:
            self._anchor = _Anchor(frame, stretch, square, places, turns)

    def _keep(
        self, frame: VideoFrame, places: NDArray[np.float32], turns: NDArray[np.float32]
    ) -> None:
        self._numbers.append(frame.number)
        self._seconds.append(frame.seconds)
        self._values.extend(places.ravel().tolist() + turns.tolist())
        self._runs.append(self._run)
        self._stretches.append(self._anchor.stretch if self._anchor else 0)

    def motion(self) -> Motion:
        values = np.array(self._values, np.float32).reshape(-1, 2 * len(REGIONS) + 2)
        return Motion(
            np.array(self._numbers, np.int64),
            np.array(self._seconds),
            values[:, :-2].reshape(-1, len(REGIONS), 2),
            values[:, -2:],
            np.array(self._runs, np.int64),
            np.array(self._stretches, np.int64),
        )


def register_square(grey: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """The registered face with a margin around it, uint8 [160, 160]."""
    shift = np.array([[0, 0, MARGIN], [0, 0, MARGIN]])
    return register(grey, transform + shift, SIDE)


def _same_face(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    inner = slice(MARGIN, -MARGIN, 4)
    a, b = (square[inner, inner].ravel().astype(np.float32) for square in (first, second))
    a, b = a - a.mean(), b - b.mean()
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return norms > 0 and float(a @ b) / norms >= LEAST_CORRELATION


def _windows() -> NDArray[np.float32]:
    """Weights of the regions and of the nose's bridge, [R + 1, side * side], each of sum 1."""
    y, x = np.mgrid[:SIDE, :SIDE] - MARGIN
    bridge = (_NOSE[0, 0], _NOSE[0, 1] - 12, 5.0)
    rows = [
        np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / radius**2).ravel()
        for cx, cy, radius in (*REGIONS.values(), bridge)
    ]
    return np.array([row / row.sum() for row in rows], dtype=np.float32)


_WINDOWS = _windows()
_AXIS = (np.arange(SIDE) - (SIDE - 1) / 2) / (FACE_SIZE / 2)
_GRID = slice(MARGIN // 2, SIDE - MARGIN // 2, FIT_STEP)


def _terms() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1, x, y, depth on the sparse grid [P, 4], and averaged over the windows [R + 1, 4]."""
    y, x = np.meshgrid(_AXIS, _AXIS, indexing="ij")
    nose_x, nose_y = (_NOSE[0] - FACE_SIZE / 2 + 0.5) / (FACE_SIZE / 2)
    depth = 1 - ((x - nose_x) ** 2 + (y - nose_y + 0.2) ** 2) / 0.9
    depth += 0.3 * np.exp(-0.5 * (((x - nose_x) / 0.1) ** 2 + ((y - nose_y + 0.08) / 0.16) ** 2))
    full = np.stack([np.ones_like(x), x, y, depth], axis=-1).astype(np.float32)
    return full[_GRID, _GRID].reshape(-1, 4), _WINDOWS @ full.reshape(-1, 4)


_SPARSE, _AT_WINDOWS = _terms()


def _region_motion(
    flow: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Motion of the regions less the head's, [R, 2]; the head's shift and turn, [2] each."""
    head = _head_motion(flow[_GRID, _GRID].reshape(-1, 2))
    rest = _WINDOWS @ flow.reshape(-1, 2) - _AT_WINDOWS @ head
    return rest[:-1] - rest[-1], head[0] + head[3], head[3]


def _head_motion(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights [4, 2] of the terms by reweighted least squares with Cauchy weights."""
    head = np.zeros((4, 2), np.float32)
    head[0] = np.median(vectors, axis=0)
    for _ in range(FIT_ROUNDS):
        length = np.linalg.norm(vectors - _SPARSE @ head, axis=1)
        spread = 1.4826 * float(np.median(length)) + 1e-3
        weighted = _SPARSE / (1 + (length / spread) ** 2)[:, None]
        head = np.linalg.solve(weighted.T @ _SPARSE, weighted.T @ vectors)
    return head
