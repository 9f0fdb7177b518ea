"""A picture of a synthetic clip: its flow beside the motion that it was drawn with."""

from datasets.frames.flow import FlowMethod, phase_flows
from datasets.pictures.clip import ClipPicture, draw_contact_sheet
from datasets.synthetic.clips import SyntheticClip
from datasets.synthetic.specs import EMOTIONS


def draw_synthetic_clip(clip: SyntheticClip, method: FlowMethod = "tvl1") -> bytes:
    """The contact sheet of a clip, a PNG's bytes; the same clip gives the same bytes."""
    spec = clip.spec
    picture = ClipPicture(
        title=f"SYNTHETIC {spec.dataset} {spec.subject}/{spec.clip}, drawn, not filmed",
        subtitle=f"class {EMOTIONS[clip.label]}, action units {'+'.join(clip.action_units)}, "
        f"{method} flow",
        frames=clip.key_frames,
        frame_numbers=(clip.onset, clip.apex, clip.offset),
        flows=phase_flows(clip.key_frames, method),
        motion=clip.motion,
    )
    return draw_contact_sheet(picture)
