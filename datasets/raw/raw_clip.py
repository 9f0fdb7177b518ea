"""One annotated clip of a raw dataset: the same record for every dataset."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from datasets.frames.key_frame_noise import KeyFrames
from datasets.raw.action_units import ActionUnit, format_action_units

ApexSource = Literal["annotated", "middle", "spotted"]


@dataclass(frozen=True)
class RawClip:
    """A clip whose annotation can be used.

    Attributes:
        dataset, subject, clip: its identity; subjects are text and belong to their dataset.
        row: its row in the sheet, as a spreadsheet numbers it.
        onset, apex, offset: frame numbers, onset <= apex <= offset.
        apex_source: ``middle`` where the sheet has no usable apex and the middle frame replaces it;
            ``spotted`` where the spotter's frame will (``datasets.frames.key_frame_spotter``).
        emotion: common name of the estimated emotion.
        action_units: as written in the sheet, in order.
        frame_rate: frames per second, None where it is not known.
        folder: folder of its frames, None where only the sheet was read.
        frame_names: frame number -> file name, by rising number. Of a long recording only the
            frames of the clip and of its length before and after it.
        left_out_of: label schemes that corrections exclude it from ("all": every one), and why.
        synthetic: whether the sheet says that the clip is drawn.
    """

    dataset: str
    subject: str
    clip: str
    row: int
    onset: int
    apex: int
    offset: int
    apex_source: ApexSource
    emotion: str
    action_units: tuple[ActionUnit, ...] = ()
    frame_rate: float | None = None
    folder: Path | None = None
    frame_names: dict[int, str] = field(default_factory=dict)
    left_out_of: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False

    @property
    def stem(self) -> str:
        """Its name in the published layout of inputs."""
        return f"{self.subject}_{self.clip}"

    def frame_path(self, number: int) -> Path:
        """The file of a frame by its number."""
        if self.folder is None:
            raise ValueError(f"{self.stem} was read without its frames")
        return self.folder / self.frame_names[number]

    @property
    def frame_numbers(self) -> list[int]:
        """The numbers of the frames that are there, rising."""
        return list(self.frame_names)

    @property
    def key_frame_positions(self) -> KeyFrames:
        """Onset, apex and offset as indices into ``frame_numbers``."""
        numbers = self.frame_numbers
        return KeyFrames(*(numbers.index(n) for n in (self.onset, self.apex, self.offset)))


def clip_table(clips: Iterable[RawClip]) -> pd.DataFrame:
    """One row per clip with its annotation, the same columns for every dataset."""
    return pd.DataFrame(
        [
            {
                "dataset": clip.dataset,
                "subject": clip.subject,
                "clip": clip.clip,
                "row": clip.row,
                "onset": clip.onset,
                "apex": clip.apex,
                "offset": clip.offset,
                "apex_source": clip.apex_source,
                "emotion": clip.emotion,
                "action_units": format_action_units(clip.action_units),
                "frame_rate": clip.frame_rate,
                "frames": len(clip.frame_names),
            }
            for clip in clips
        ]
    )
