"""Train the AU network on drawn motion, and write its weights.

    python -m training.au_network --out weights/au_network --seed 1

Reads nothing: all motion is drawn, so no person and no dataset takes part. Writes
``au_network.safetensors`` (float16) and ``card.json`` (settings, versions, first losses, R^2 on
drawn samples of faces that were not trained on). The same seed gives the same bytes on the same
kind of processor. A few minutes of one core.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.progress import track
from safetensors.torch import save
from torch import Tensor, nn

from common.action_units import ACTION_UNITS, SIDES
from common.command_line import parse_settings
from common.errors import UserError, run_script
from common.files import check_output_folder, write_bytes, write_text
from datasets.motion import remove_affine, unit_rms
from datasets.synthetic.motion import MotionFaces, draw_motion, draw_motion_faces
from models.au_network import SIDE, WEIGHTS_NAME, AuNetwork, area_half, one_thread

CARD_NAME = "card.json"
BATCH = 256
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 0.01, 100
USES = 3
"""Updates for each freshly drawn batch: one on it, the others on samples of the reservoir."""
RESERVOIR = 150 * BATCH
CHECKED_SAMPLES = 4096
"""For the spread of the activations, and for R^2."""
FIRST_LOSSES = 12
"""How many losses the card holds, for the test that makes them again."""
OUTPUTS = len(ACTION_UNITS) * len(SIDES)
OTHER_SIDES = torch.arange(OUTPUTS).view(-1, len(SIDES)).flip(1).ravel()
GAZE = ACTION_UNITS.index("gaze") * len(SIDES)
"""Where the gaze's two activations begin; they change their sign in the mirror."""


@dataclass(frozen=True)
class Config:
    """What is trained and where its weights go."""

    out: Path = Path("weights/au_network")
    """Folder to write to; made if absent."""
    seed: int = 1
    """Another seed gives other faces, other samples and other first weights."""
    samples: int = 200_192
    """Drawn samples; 0 writes an untrained network, to compare with."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}: give 0 or more.")
        if self.samples < 0 or self.samples % BATCH:
            raise UserError(f"samples is {self.samples}: give a multiple of {BATCH}, or 0.")

    @property
    def updates(self) -> int:
        """Of the weights, in the whole training."""
        return USES * self.samples // BATCH


class DrawnBatches:
    """Endless batches of drawn motion as the network sees it, with its activations.

    Attributes:
        spread: standard deviation of each activation, [32]; targets are given in units of it.
    """

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.faces = draw_motion_faces(seed)
        self.spread = draw_samples(self.generator, self.faces, CHECKED_SAMPLES)[1].std(dim=0)
        self.motion = torch.empty(RESERVOIR, 2, SIDE, SIDE)
        self.targets = torch.empty(RESERVOIR, OUTPUTS)
        self.drawn = 0

    def fresh(self) -> tuple[Tensor, Tensor]:
        """Motion [256, 2, 14, 14] and targets [256, 32], new; they replace the oldest kept."""
        motion, activations = draw_samples(self.generator, self.faces, BATCH)
        rows = torch.arange(self.drawn, self.drawn + BATCH) % RESERVOIR
        self.motion[rows], self.targets[rows] = motion, activations / self.spread
        self.drawn += BATCH
        return self._half_mirrored(rows)

    def kept(self) -> tuple[Tensor, Tensor]:
        """Samples that were drawn before, with replacement."""
        rows = self.generator.integers(min(self.drawn, RESERVOIR), size=BATCH)
        return self._half_mirrored(torch.from_numpy(rows))

    def _half_mirrored(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.motion[rows], self.targets[rows]
        turned = torch.from_numpy(self.generator.random(BATCH) < 0.5)
        motion, targets = (
            torch.where(turned.view(-1, *[1] * (own.ndim - 1)), mirrored, own)
            for own, mirrored in zip(seen, mirror(*seen), strict=True)
        )
        return motion, targets


def draw_samples(
    generator: np.random.Generator, faces: MotionFaces, count: int
) -> tuple[Tensor, Tensor]:
    """Drawn motion, prepared as real motion is, [count, 2, 14, 14], and activations [count, 32]."""
    fields, activations = draw_motion(generator, faces, count)
    prepared = area_half(unit_rms(remove_affine(fields)))
    return torch.from_numpy(prepared), torch.from_numpy(activations)


def mirror(motion: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """The mirrored face: columns reversed and u negated in motion [N, 2, y, x]; in activations
    [N, 32] the sides swapped and gaze negated."""
    turned = motion.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
    swapped = activations[:, OTHER_SIDES]
    swapped[:, GAZE : GAZE + len(SIDES)] *= -1
    return turned, swapped


def train(network: AuNetwork, batches: DrawnBatches, updates: int) -> Iterator[float]:
    """Train in place; yields the loss of each update, the mean squared error of activations of
    unit spread. Whoever stops early has the beginning of the whole training."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = _schedule(optimizer, updates)
    network.train()
    for update in range(updates):
        motion, targets = batches.kept() if update % USES else batches.fresh()
        loss = nn.functional.mse_loss(network(motion), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.item()


def _schedule(
    optimizer: torch.optim.Optimizer, updates: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """A linear rise, then half a cosine down to 0."""
    warm_up = min(WARM_UP, updates // 2)
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / (warm_up + 1), total_iters=warm_up)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates - warm_up)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [warm_up])


def held_out_r2(network: AuNetwork, spread: Tensor, seed: int) -> float:
    """Share of the activations' variance that is read from new samples of other faces, averaged
    over the outputs."""
    generator = np.random.default_rng((seed, 1))
    motion, activations = draw_samples(generator, draw_motion_faces(-1 - seed), CHECKED_SAMPLES)
    network.eval()
    with torch.inference_mode():
        error = network(motion) * spread - activations
    return float((1 - error.square().mean(dim=0) / activations.var(dim=0)).mean())


def make_network(config: Config) -> tuple[AuNetwork, dict[str, object]]:
    """Draw, train and check a network; its card comes with it."""
    torch.manual_seed(config.seed)
    network, batches = AuNetwork(), DrawnBatches(config.seed)
    steps = train(network, batches, config.updates)
    quiet = not sys.stdout.isatty()
    losses = list(track(steps, "Training", total=config.updates, disable=quiet))
    card = {
        "trained_on": "drawn motion only (datasets/synthetic/motion.py); no person, no dataset",
        "command": f"python -m training.au_network --seed {config.seed} --samples {config.samples}",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "updates": config.updates,
        "held_out_r2": round(held_out_r2(network, batches.spread, config.seed), 4),
        "first_losses": [round(loss, 6) for loss in losses[:FIRST_LOSSES]],
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "cv2": cv2.__version__},
    }
    return network, card


def main() -> None:
    """Train, write, and say how well the muscles are read."""
    config = parse_settings(Config, __doc__)
    check_output_folder(config.out)
    torch.use_deterministic_algorithms(True)
    cv2.setNumThreads(1)
    with one_thread():
        network, card = make_network(config)
    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    write_bytes(config.out / WEIGHTS_NAME, save(state))
    write_text(config.out / CARD_NAME, json.dumps(card, indent=2) + "\n")
    print(f"R^2 {card['held_out_r2']} on drawn samples of other faces: {config.out / WEIGHTS_NAME}")


if __name__ == "__main__":
    run_script(main)
