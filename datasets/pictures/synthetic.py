"""A picture of a synthetic clip: its flow beside the motion that it was drawn with."""

from itertools import pairwise

import numpy as np

from datasets.frames.flow import FlowMethod, compute_flow
from datasets.pictures.clip import ClipPicture, draw_contact_sheet
from datasets.synthetic.clips import SyntheticClip
from datasets.synthetic.specs import EMOTIONS


def draw_synthetic_clip(clip: SyntheticClip, method: FlowMethod = "tvl1") -> bytes:
    """The contact sheet of a clip, a PNG's bytes; the same clip gives the same bytes."""
    spec = clip.spec
    key_frames = (clip.onset, clip.apex, clip.offset)
    frames = clip.frames[list(key_frames)]
    picture = ClipPicture(
        title=f"SYNTHETIC {spec.dataset} {spec.subject}/{spec.clip}, drawn, not filmed",
        subtitle=f"class {EMOTIONS[clip.label]}, action units {'+'.join(clip.action_units)}, "
        f"{method} flow",
        frames=frames,
        frame_numbers=key_frames,
        flows=np.stack([compute_flow(*pair, method) for pair in pairwise(frames)]),
        motion=clip.motion,
    )
    return draw_contact_sheet(picture)
