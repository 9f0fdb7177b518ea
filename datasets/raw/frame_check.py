"""Decoding frames ahead of time: which clips would fail when their inputs are built."""

from typing import Literal

from datasets.frame_reading import FrameError, read_frames
from datasets.raw.findings import Finding
from datasets.raw.raw_clip import RawClip

FrameChoice = Literal["none", "key", "all"]


def check_clip_frames(clip: RawClip, which: FrameChoice) -> Finding | None:
    """The first thing wrong with a clip's frames, None where they can be used.

    Args:
        clip: a clip with its frames.
        which: ``key`` decodes the first frame and the key frames, which the inputs are built
            from; ``all`` every frame from onset to offset; ``none`` nothing.
    """
    if which == "none":
        return None
    numbers = {clip.frame_numbers[0], clip.onset, clip.apex, clip.offset}
    if which == "all":
        numbers |= {n for n in clip.frame_numbers if clip.onset <= n <= clip.offset}
    try:
        read_frames({str(number): clip.frame_path(number) for number in sorted(numbers)})
    except FrameError as error:
        return clip_finding(clip, error.rule, str(error))
    return None


def clip_finding(clip: RawClip, rule: str, detail: str) -> Finding:
    """A finding on a clip's frames that excludes the clip."""
    return Finding(clip.dataset, clip.row, clip.subject, clip.clip, rule, "", "excluded", detail)
