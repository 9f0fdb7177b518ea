"""The face through a video: found now and then, registered once per stretch, reported when it goes.

Frames come in chunks of a quarter of a second. In each the face is looked for once, near where it
was, and its landmarks are fitted on a few frames. A stretch has one similarity transform, from the
median of the fitted landmarks of its first chunk, so that no jitter between frames enters the
flow; a face that moves far begins a new stretch.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from datasets.frames.registration import (
    Box,
    Landmarks,
    canonical_points,
    find_boxes,
    fit_face,
    fit_points,
    largest_box,
)
from datasets.video.decode import VideoFrame

FACE_SIZE = 128
CHUNK_SECONDS, MOST_IN_CHUNK = 0.25, 48
LOOKS = 3
# A point of the registered face that has moved this far (in its 128 pixels) begins a new stretch.
FAR = 10.0
# How often, in chunks, the whole picture is searched: for other faces, for lost ones, for small
# ones.
CHUNKS_BETWEEN_SEARCHES, CHUNKS_BETWEEN_THOROUGH = 8, 8
# Near the face the picture is scaled so that the face has this many pixels.
NEAR_SIDE, NEAR_MARGIN = 110, 0.5

Transform = NDArray[np.float64]


@dataclass(frozen=True)
class FacedFrame:
    """A frame, and the transform [2, 3] to its registered 128 x 128 face; None without a face.

    ``stretch`` is its place in ``FaceReport.transforms``.
    """

    frame: VideoFrame
    transform: Transform | None
    stretch: int


@dataclass
class FaceReport:
    """What happened to the face, filled while the frames are read; times in seconds.

    Attributes:
        absences: from when to when no face was found.
        crowds: from when to when there were several; the largest was taken.
        transforms: of the stretches, in order.
    """

    absences: list[tuple[float, float]] = field(default_factory=list)
    crowds: list[tuple[float, float]] = field(default_factory=list)
    transforms: list[Transform] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """The report in words, empty where all went well."""
        texts = [f"no face from {_span(span)}." for span in self.absences]
        texts += [
            f"several faces from {_span(span)}: the largest is taken." for span in self.crowds
        ]
        return texts


def _span(span: tuple[float, float]) -> str:
    return f"{span[0]:.1f} to {span[1]:.1f} s"


class FaceFollower:
    """Follows the largest face of a video; ``report`` says what became of it."""

    def __init__(self, landmarks: Landmarks = 5) -> None:
        """``landmarks``: of dlib's models, 5 (public domain) or 68 (not for commercial use)."""
        self.landmarks = landmarks
        self.report = FaceReport()
        self._transform: Transform | None = None
        self._missed = CHUNKS_BETWEEN_THOROUGH
        self._chunks = 0

    def follow(self, frames: Iterable[VideoFrame]) -> Iterator[FacedFrame]:
        """Every frame with its transform, in order; a chunk of frames is in memory.

        Raises:
            UserError: dlib or its models are not installed.
        """
        waiting: list[VideoFrame] = []
        for chunk in _chunks(frames):
            fitted = self._fit(chunk)
            self._chunks += 1
            if fitted is None:
                # One chunk without a find is bridged if the face is then where it was.
                if self._transform is not None and not waiting:
                    waiting = chunk
                    continue
                yield from self._lost(waiting + chunk)
                waiting = []
                continue
            near = self._transform is not None and _distance(self._transform, fitted) < FAR
            if waiting and not near:
                yield from self._lost(waiting)
                waiting = []
            if not near:
                self._transform = fitted
                self.report.transforms.append(fitted)
            for frame in waiting + chunk:
                yield FacedFrame(frame, self._transform, len(self.report.transforms) - 1)
            waiting = []
        yield from self._lost(waiting)

    def _lost(self, frames: list[VideoFrame]) -> Iterator[FacedFrame]:
        if not frames:
            return
        self._transform = None
        _note(self.report.absences, frames)
        for frame in frames:
            yield FacedFrame(frame, None, len(self.report.transforms) - 1)

    def _fit(self, chunk: list[VideoFrame]) -> Transform | None:
        """The median transform over a few frames of a chunk; None where no face is found."""
        box = self._find(chunk)
        if box is None:
            self._missed += 1
            return None
        self._missed = 0
        places = np.linspace(0, len(chunk) - 1, LOOKS).round().astype(int)
        fits = [
            fit_face(chunk[place].grey, box, FACE_SIZE, self.landmarks)
            for place in dict.fromkeys(places)
        ]
        return _median_transform(fits)

    def _find(self, chunk: list[VideoFrame]) -> Box | None:
        """The face's box in the chunk's middle frame."""
        picture = chunk[len(chunk) // 2].grey
        near = None if self._transform is None else _find_near(picture, self._transform)
        if near is not None and self._chunks % CHUNKS_BETWEEN_SEARCHES:
            return near
        thorough = near is None and self._missed % CHUNKS_BETWEEN_THOROUGH == 0
        boxes = find_boxes(picture, small_faces=thorough)
        if len(boxes) > 1:
            _note(self.report.crowds, chunk)
        if near is not None or not boxes:
            return near
        if self._transform is None:
            return largest_box(boxes)
        # The same face as before, not another one that has come nearer.
        last = _box_of(self._transform)
        return min(boxes, key=lambda box: _box_distance(box, last))


def _chunks(frames: Iterable[VideoFrame]) -> Iterator[list[VideoFrame]]:
    chunk: list[VideoFrame] = []
    for frame in frames:
        if chunk and (
            frame.seconds - chunk[0].seconds >= CHUNK_SECONDS or len(chunk) == MOST_IN_CHUNK
        ):
            yield chunk
            chunk = []
        chunk.append(frame)
    if chunk:
        yield chunk


def _note(spans: list[tuple[float, float]], frames: list[VideoFrame]) -> None:
    """Add the frames' time; spans less than a search apart become one."""
    first, last = frames[0].seconds, frames[-1].seconds
    patience = CHUNK_SECONDS * (CHUNKS_BETWEEN_SEARCHES + 1)
    if spans and first - spans[-1][1] <= patience:
        first = spans.pop()[0]
    spans.append((first, last))


def _box_of(transform: Transform) -> Box:
    """The box of the registered face in the picture."""
    back = cv2.invertAffineTransform(transform)
    corners = np.array([[0, 0], [FACE_SIZE, FACE_SIZE], [0, FACE_SIZE], [FACE_SIZE, 0]])
    placed = corners @ back[:, :2].T + back[:, 2]
    (left, top), (right, low) = placed.min(axis=0), placed.max(axis=0)
    return float(left), float(top), float(right), float(low)


def _box_distance(first: Box, second: Box) -> float:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True))


def _find_near(picture: NDArray[np.uint8], transform: Transform) -> Box | None:
    """The face's box, looked for around its last place in a picture scaled down."""
    left, top, right, low = _box_of(transform)
    margin = NEAR_MARGIN * (right - left)
    x, y = max(0, round(left - margin)), max(0, round(top - margin))
    part = picture[y : max(0, round(low + margin)), x : max(0, round(right + margin))]
    scale = NEAR_SIDE / (right - left)
    if min(part.shape) * scale < NEAR_SIDE / 2:
        return None
    near = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    boxes = find_boxes(np.asarray(near, dtype=np.uint8), small_faces=False)
    if not boxes:
        return None
    box = max(boxes, key=lambda box: box[2] - box[0])
    return (
        box[0] / scale + x,
        box[1] / scale + y,
        box[2] / scale + x,
        box[3] / scale + y,
    )


def _median_transform(transforms: list[Transform]) -> Transform:
    """The similarity that takes the median of the faces' points to their canonical places."""
    target = canonical_points(FACE_SIZE)
    backs = [cv2.invertAffineTransform(transform) for transform in transforms]
    placed = [target @ back[:, :2].T + back[:, 2] for back in backs]
    return fit_points(np.median(placed, axis=0), FACE_SIZE, 68)


def register_clip(
    pictures: Sequence[NDArray[np.uint8]], near: Transform, landmarks: Landmarks = 5
) -> Transform:
    """One transform for the few frames of a clip, the median of theirs.

    Args:
        pictures: grey frames, uint8 [H, W].
        near: a transform that is about right.
        landmarks: as in ``FaceFollower``.
    """
    box = _box_of(near)
    return _median_transform([fit_face(grey, box, FACE_SIZE, landmarks) for grey in pictures])


def _distance(first: Transform, second: Transform) -> float:
    """How far the face's points of the second are from those of the first, in registered pixels."""
    points = canonical_points(FACE_SIZE)
    back = cv2.invertAffineTransform(second)
    placed = (points @ back[:, :2].T + back[:, 2]) @ first[:, :2].T + first[:, 2]
    return float(np.linalg.norm(placed - points, axis=1).max())
