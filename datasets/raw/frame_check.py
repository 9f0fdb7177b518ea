"""Decoding frames ahead of time: which clips would fail when their inputs are built."""

from typing import Literal

from datasets.frames.reading import FrameError, read_frames
from datasets.raw.findings import Finding
from datasets.raw.raw_clip import RawClip

FrameChoice = Literal["none", "key", "all"]


def check_clip_frames(
    clip: RawClip, which: FrameChoice, registered: bool = False
) -> Finding | None:
    """The first thing wrong with a clip's frames, None where they can be used.

    Args:
        clip: a clip with its frames.
        which: ``key`` decodes the frames that the inputs are built from: the key frames and the
            first one, in which the face is looked for; ``all`` also every frame from onset to
            offset; ``none`` nothing.
        registered: no face is looked for.
    """
    if which == "none":
        return None
    numbers = {clip.onset, clip.apex, clip.offset}
    if not registered:
        numbers.add(clip.frame_numbers[0])
    if which == "all":
        numbers |= {n for n in clip.frame_numbers if clip.onset <= n <= clip.offset}
    try:
        read_frames({str(number): clip.frame_path(number) for number in sorted(numbers)})
    except FrameError as error:
        return clip_finding(clip, error.rule, error.value, str(error))
    return None


def clip_finding(clip: RawClip, rule: str, value: str, detail: str) -> Finding:
    """A finding on a clip's frames that excludes the clip."""
    return Finding(clip.dataset, clip.row, clip.subject, clip.clip, rule, value, "excluded", detail)
