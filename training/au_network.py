"""Train the AU network on drawn motion, and write its weights.

    python -m training.au_network --out weights/au_network --seed 1

The same as ``python -m training.pretrain_on_motion --network au_network``, which says more. A few
minutes of one core.
"""

from dataclasses import dataclass
from pathlib import Path

from common.command_line import parse_settings
from common.errors import run_script
from training import pretrain_on_motion


@dataclass(frozen=True)
class Config:
    """What is trained and where its weights go."""

    out: Path = Path("weights/au_network")
    """Folder to write to; made if absent."""
    seed: int = 1
    """Another seed gives other faces, other samples and other first weights."""
    samples: int = 200_192
    """Drawn samples; 0 writes an untrained network, to compare with."""


def main() -> None:
    """Train the AU network."""
    config = parse_settings(Config, __doc__)
    pretrain_on_motion.pretrain(
        pretrain_on_motion.Config("au_network", config.out, config.seed, config.samples)
    )


if __name__ == "__main__":
    run_script(main)
