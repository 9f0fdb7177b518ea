"""Draw one clip of a raw dataset: a contact sheet and a short animation with its flow.

    python draw_inputs.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx --frames CASME2 \\
        --clip sub01/EP02_01f --out pictures

Reads the annotation sheet and the clip's frames, as build_inputs.py does. Writes <clip>.png (key
frames, flow as colors and arrows, strain, published maps) and <clip>.gif below --out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from common.errors import UserError, run_script
from common.files import check_output_folder, write_bytes
from datasets.frames.build import DEFAULT_MARGIN, InputSettings
from datasets.frames.flow import FlowMethod
from datasets.pictures.folder import draw_clip_animation, draw_clip_sheet
from datasets.raw import DEFAULT_SCHEMES, SCHEMES, RawClip, RawSource, read_raw_dataset


@dataclass(frozen=True)
class Config:
    """Which clip to draw, and how its inputs are computed."""

    dataset: Literal["casme2", "samm", "smic", "mmew", "casme3"]
    """Whose sheet and folders these are."""
    sheet: Path
    """The annotation sheet, .xlsx or .csv."""
    frames: Path
    """The folder of the frames, as the dataset comes."""
    clip: str
    """subject/clip, as in the tables: sub01/EP02_01f."""
    out: Path
    """Folder to write to; made if absent."""
    registered: bool = False
    """Take the dataset's registered (cropped) frames as they are."""
    flow: FlowMethod = "tvl1"
    """Optical flow method."""
    size: int = 128
    """Side in pixels of the square on which flow is computed."""
    margin: int = DEFAULT_MARGIN
    """Pixels around the face over which flow is computed too; not used with --registered."""
    corrections: Path | None = None
    """Your own table of corrections."""

    def __post_init__(self) -> None:
        check_output_folder(self.out)


def main() -> None:
    """Read, draw, write."""
    config = tyro.cli(Config, description=__doc__)
    clip = _find_clip(config)
    label = SCHEMES[DEFAULT_SCHEMES[clip.dataset]].emotions[clip.dataset].get(clip.emotion)
    margin = 0 if config.registered else config.margin
    settings = InputSettings(config.flow, config.size, registered=config.registered, margin=margin)
    for ending, draw in (("png", draw_clip_sheet), ("gif", draw_clip_animation)):
        path = config.out / f"{clip.stem}.{ending}"
        write_bytes(path, draw(clip, label or "none", settings))
        print(f"written: {path}")


def _find_clip(config: Config) -> RawClip:
    source = RawSource(
        config.dataset, config.sheet, config.frames, config.registered, config.corrections
    )
    raw = read_raw_dataset(source)
    for clip in raw.clips:
        if f"{clip.subject}/{clip.clip}" == config.clip:
            return clip
    for finding in raw.findings:
        if f"{finding.subject}/{finding.clip}" == config.clip and finding.outcome == "excluded":
            raise UserError(f"{config.clip} cannot be used, {finding.rule}: {finding.detail}")
    known = [f"{clip.subject}/{clip.clip}" for clip in raw.clips[:1]]
    usable = f"Its first usable one is {known[0]}." if known else "None of its rows can be used."
    raise UserError(f"the sheet has no clip {config.clip!r}. {usable}")


if __name__ == "__main__":
    run_script(main)
