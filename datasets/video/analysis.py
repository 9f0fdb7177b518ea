"""A video from beginning to end: its movements, and for each what a method needs of it.

The video is read twice: once to find movements, once for their key frames.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import UserError, name_list
from datasets.frames.build import (
    DEFAULT_MARGIN,
    ClipFlows,
    InputSettings,
    phase_flow,
    place_face,
    without_margin,
)
from datasets.frames.flow import MAP_SIZE, FlowMethod
from datasets.frames.registration import Landmarks, check_installed
from datasets.video.decode import Video, VideoFrame
from datasets.video.face import FaceFollower, FaceReport, Transform, register_clip
from datasets.video.motion import Motion, measure_motion
from datasets.video.spotting import (
    EXPRESSIONS,
    MotionCurve,
    Spotted,
    given_movement,
    spot_movements,
)

# Below these a movement is not told: quality as in ``Spotted``, and the score of the best class.
LEAST_QUALITY, LEAST_SCORE = 0.2, 0.5
DRAFT = InputSettings(flow="dis", margin=DEFAULT_MARGIN)
NOTHING_TOLD = "no expression that can be told"

KeyFrame = float | int
Progress = Callable[[Iterable[VideoFrame], int], Iterable[VideoFrame]]


@dataclass(frozen=True)
class Verdicts:
    """What a method says of clips.

    Attributes:
        classes: their names.
        scores: [N, classes], each row of sum 1.
        activations: of the muscles of ``common.action_units`` on the picture's left and right,
            [N, 16, 2]; None where nothing reads them.
        trust: a sentence that says how far to believe the scores.
    """

    classes: tuple[str, ...]
    scores: NDArray[np.floating]
    activations: NDArray[np.floating] | None
    trust: str


Classify = Callable[[Sequence[ClipFlows]], Verdicts]


@dataclass(frozen=True)
class Event:
    """A movement with its registered key frames and flows.

    ``squares`` are the key frames with the margin that flow is computed on, uint8 [3, side, side].
    """

    spotted: Spotted
    clip: ClipFlows
    squares: NDArray[np.uint8]


@dataclass(frozen=True)
class Analysis:
    """What was found in a video; ``warnings`` are sentences."""

    events: list[Event]
    motion: Motion
    curve: MotionCurve
    face: FaceReport
    warnings: list[str]


def analyse(
    video: Video,
    key_frames: Sequence[tuple[KeyFrame, KeyFrame, KeyFrame]] = (),
    landmarks: Landmarks = 5,
    flow: FlowMethod = "tvl1",
    progress: Progress = lambda frames, _: frames,
) -> Analysis:
    """Find the movements of a video and compute their flows.

    Args:
        video: from ``open_video``.
        key_frames: onset, apex, offset of movements, frame numbers (int) or seconds (float); where
            given, nothing is spotted.
        landmarks: which landmark model registers the face.
        flow: method of the flows of what may be expressions; the fast ``dis`` does for the rest.
        progress: is given the frames and their number, 0 if unknown, and passes them on.

    Raises:
        UserError: the video cannot be used, holds no face, or the key frames are not in it.
    """
    check_installed()
    follower = FaceFollower(landmarks)
    frames = progress(video.frames(), video.frame_count)
    motion = measure_motion(follower.follow(frames))
    if not len(motion.numbers):
        raise UserError(f"{video.name}: no face is found. Show one face, upright and lit.")
    spotted, curve = spot_movements(motion)
    if key_frames:
        spotted = [given_movement(motion, _as_numbers(motion, three)) for three in key_frames]
    events = _cut_out(video, spotted, motion, follower.report.transforms, landmarks)
    events = [_with_flow(e, flow) if e.spotted.kind in EXPRESSIONS else e for e in events]
    return Analysis(
        events, motion, curve, follower.report, video.warnings + follower.report.sentences()
    )


def small_flows(clips: Sequence[ClipFlows]) -> NDArray[np.float32]:
    """The flows of clips reduced by area, float32 [N, 2, 28, 28, 2], still in pixels of 128."""
    size = (MAP_SIZE, MAP_SIZE)
    return np.array(
        [
            [cv2.resize(phase, size, interpolation=cv2.INTER_AREA) for phase in clip.flows]
            for clip in clips
        ],
        dtype=np.float32,
    )


def verdict(spotted: Spotted, classes: Sequence[str], scores: NDArray[np.floating] | None) -> str:
    """In words: a class, or the kind of what is none, or that nothing can be told."""
    if spotted.kind not in EXPRESSIONS:
        return {"blink": "blink", "gaze": "eyes move", "head": "head turns"}[spotted.kind]
    if spotted.quality < LEAST_QUALITY:
        return NOTHING_TOLD
    if scores is None:
        return "not classified"
    return classes[int(scores.argmax())] if scores.max() >= LEAST_SCORE else NOTHING_TOLD


def _as_numbers(
    motion: Motion, key_frames: tuple[KeyFrame, KeyFrame, KeyFrame]
) -> tuple[int, int, int]:
    """Frame numbers of key frames; seconds become the nearest frame's."""
    numbers = []
    for at in key_frames:
        if isinstance(at, float):
            if not 0 <= at <= motion.seconds[-1] + 0.1:
                raise UserError(
                    f"key frames {name_list(key_frames)}: no frame with a face is there."
                )
            at = int(motion.numbers[np.abs(motion.seconds - at).argmin()])
        numbers.append(at)
    return numbers[0], numbers[1], numbers[2]


def _cut_out(
    video: Video,
    spotted: Sequence[Spotted],
    motion: Motion,
    transforms: Sequence[Transform],
    landmarks: Landmarks,
) -> list[Event]:
    """Read the key frames, movement by movement as the video passes."""
    waiting = sorted(spotted, key=lambda movement: movement.offset)
    wanted = {n for s in waiting for n in (s.onset, s.apex, s.offset)}
    held: dict[int, NDArray[np.uint8]] = {}
    events: list[Event] = []
    for frame in video.frames():
        if frame.number in wanted:
            held[frame.number] = frame.grey
        while waiting and frame.number == waiting[0].offset:
            one = waiting.pop(0)
            at = int(np.abs(motion.numbers - one.onset).argmin())
            near = transforms[motion.stretches[at]]
            pictures = [held[n] for n in (one.onset, one.apex, one.offset)]
            events.append(_make_event(one, pictures, near, landmarks))
            first = min((s.onset for s in waiting), default=0)
            held = {number: grey for number, grey in held.items() if number >= first}
        if not waiting:
            break
    else:
        if waiting:
            raise UserError(f"{video.name} has no frame {waiting[0].offset}: it is shorter.")
    return sorted(events, key=lambda event: event.spotted.onset)


def _make_event(
    spotted: Spotted,
    pictures: Sequence[NDArray[np.uint8]],
    near: Transform,
    landmarks: Landmarks,
) -> Event:
    transform = register_clip(pictures, near, landmarks)
    squares = np.stack([place_face(picture, transform, DRAFT) for picture in pictures])
    inside = np.stack([without_margin(square, DRAFT) for square in squares])
    flows = np.zeros((2, DRAFT.size, DRAFT.size, 2), np.float32)
    return _with_flow(
        Event(spotted, ClipFlows(inside, flows, transform, None), squares), DRAFT.flow
    )


def _with_flow(event: Event, flow: FlowMethod) -> Event:
    settings = replace(DRAFT, flow=flow)
    onset, apex, offset = event.squares
    flows = [phase_flow(onset, apex, settings), phase_flow(apex, offset, settings)]
    return replace(event, clip=replace(event.clip, flows=np.stack(flows)))
