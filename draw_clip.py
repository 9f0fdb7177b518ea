"""Draw a picture of one synthetic clip: key frames, flow, true motion, strain, direction map.

    python draw_clip.py --clip sub01/EP01_01 --out clip.png

Reads nothing. Writes one PNG whose title says synthetic.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from common.errors import run_script
from common.files import check_output_file, write_bytes
from datasets.frames.flow import FlowMethod
from datasets.pictures.synthetic import draw_clip_picture
from datasets.synthetic.clips import draw_clip, find_synthetic_clip


@dataclass(frozen=True)
class Config:
    """Which clip, and where to put its picture."""

    clip: str
    """Its subject and name, such as sub01/EP01_01, 001/001_1_1 or s01/s01_ne_01."""
    out: Path
    """The PNG file to write."""
    seed: int = 1
    """The seed that the clips were made with."""
    flow: FlowMethod = "tvl1"
    """Optical flow method shown beside the true motion."""

    def __post_init__(self) -> None:
        check_output_file(self.out)


def main() -> None:
    """Draw the clip, then its picture."""
    config = tyro.cli(Config, description=__doc__)
    clip = draw_clip(find_synthetic_clip(config.clip, config.seed))
    write_bytes(config.out, draw_clip_picture(clip, config.flow))
    print(f"synthetic: a picture of the drawn clip {config.clip} is in {config.out}")


if __name__ == "__main__":
    run_script(main)
