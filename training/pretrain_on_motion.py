"""Train a network to read muscles from drawn motion, and write its weights.

    python -m training.pretrain_on_motion --network causalnet_spatial
    python -m training.pretrain_on_motion --network causalnet_pretrained

Reads nothing: all motion is drawn, so no person and no dataset takes part. Writes the network's
weights (float16) and ``card.json`` (command, versions, first losses, R^2 on drawn samples of faces
that were not trained on). The same settings give the same bytes on the same kind of processor.
4 to 6 minutes of one core (CPU time). The AU network sees one phase of motion, the CausalNets both
as two.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from rich.progress import track
from safetensors.torch import save
from torch import Tensor, nn

from common.action_units import ACTIVATIONS, GAZE_PLACE, SIDES
from common.choices import Ablation
from common.command_line import parse_settings
from common.errors import UserError, run_script
from common.files import check_output_file, write_bytes, write_text
from common.owned_folder import claimed_files
from datasets.motion import remove_affine, unit_rms
from datasets.preprocessing import maps_of_flow
from datasets.synthetic.motion import (
    MotionFaces,
    draw_motion,
    draw_motion_faces,
    draw_two_phases,
)
from models import au_network
from models.au_network import AuNetwork, area_half, one_thread
from models.causalnet import pretrained, spatial
from models.causalnet.places import Parts, PlacesNetwork

MAKER = "training.pretrain_on_motion"
CARD_NAME = "card.json"
BATCH, SMALL_BATCH = 256, 64
"""Samples of an update of the AU network, and of a CausalNet."""
LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 2e-3, 0.01, 100
RESERVOIR = 150 * BATCH
CHECKED_SAMPLES = 4096
"""For the spread of the activations, and for R^2."""
FIRST_LOSSES = 12
"""How many losses the card holds, for the test that makes them again."""
OTHER_SIDES = torch.arange(ACTIVATIONS).view(-1, len(SIDES)).flip(1).ravel()
GAZE = GAZE_PLACE * len(SIDES)
"""Where the gaze's two activations begin; they change their sign in the mirror."""
U_AND_V = torch.tensor([-1.0, 1.0])[:, None, None]
"""What the mirror does to them."""

NetworkName = Literal["au_network", "causalnet_pretrained", "causalnet_spatial"]


@dataclass(frozen=True)
class Task:
    """How one of the networks is trained.

    Attributes:
        build: a fresh network with an output for each activation.
        draw: prepared motion [N, ..., 2 (u, v), y, x] and activations [N, 32], drawn.
        see: what the network takes, from such motion.
        samples: how many are drawn by default.
        batch: samples of an update; small ones give more updates.
        uses: updates for each freshly drawn batch: one on it, the others on samples of the
            reservoir.
        weights_name: of the file.
    """

    build: Callable[[], nn.Module]
    draw: Callable[[np.random.Generator, MotionFaces, int], tuple[Tensor, Tensor]]
    see: Callable[[Tensor], Tensor]
    samples: int
    batch: int
    uses: int
    weights_name: str

    def updates(self, samples: int) -> int:
        """Of the weights, in the whole training."""
        return self.uses * samples // self.batch


@dataclass(frozen=True)
class Config:
    """What is trained and where its weights go."""

    network: NetworkName = "causalnet_spatial"
    """The AU network, the encoder of causalnet_pretrained, or the network of causalnet_spatial."""
    out: Path | None = None
    """Folder to write to; made if absent. Default: where the suite's method looks for it."""
    seed: int = 1
    """Another seed gives other faces, other samples and other first weights."""
    samples: int | None = None
    """Drawn samples; 0 writes an untrained network, to compare with. Default: as shipped, about
    120,000, for the AU network 200,000."""
    parts: Parts = "cab"
    """Which of CMPLM and CAB the network of causalnet_spatial has."""
    ablation: Ablation = "none"
    """Which part the network of causalnet_pretrained lacks."""
    key_frame_errors: float = 0.0
    """The most of the motion, 0 to 1, that each phase misses since a key frame is wrong."""

    def __post_init__(self) -> None:
        if self.samples is not None and (self.samples < 0 or self.samples % BATCH):
            raise UserError(f"samples is {self.samples}: give a multiple of {BATCH}, or 0.")
        if not 0 <= self.key_frame_errors <= 1:
            raise UserError(f"key_frame_errors is {self.key_frame_errors}: give a number, 0 to 1.")
        for name, network in (("parts", "causalnet_spatial"), ("ablation", "causalnet_pretrained")):
            if getattr(self, name) != getattr(Config, name) and self.network != network:
                raise UserError(f"--{name}: {self.network} has no such setting. Leave it out.")
        if self.key_frame_errors and self.network == "au_network":
            raise UserError("--key-frame-errors: au_network sees one phase. Leave it out.")

    @property
    def folder(self) -> Path:
        """Where the weights go."""
        if self.out is not None:
            return self.out
        folders = {
            "au_network": au_network.SHIPPED.parent,
            "causalnet_pretrained": pretrained.SHIPPED.parent,
            "causalnet_spatial": spatial.SHIPPED / self.parts,
        }
        return folders[self.network]

    def command(self, samples: int) -> str:
        """The command that makes the weights again."""
        if self.network == "au_network":
            return f"python -m training.au_network --seed {self.seed} --samples {samples}"
        given = {
            name: getattr(self, name)
            for name in ("parts", "ablation", "key_frame_errors")
            if getattr(self, name) != getattr(Config, name)
        }
        flags = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
        own = [f"--network {self.network}", *flags, f"--seed {self.seed} --samples {samples}"]
        return " ".join(["python -m training.pretrain_on_motion", *own])


def task_of(config: Config) -> Task:
    """How the settings' network is trained."""
    if config.network == "au_network":
        name = au_network.WEIGHTS_NAME
        return Task(AuNetwork, draw_samples, lambda motion: motion, 200_192, BATCH, 3, name)
    draw = partial(draw_phases, key_frame_errors=config.key_frame_errors)
    build: Callable[[], nn.Module] = (
        partial(PlacesNetwork, config.parts)
        if config.network == "causalnet_spatial"
        else partial(pretrained.build_for_drawn_motion, config.ablation)
    )
    return Task(build, draw, maps_of_phases, 120_064, SMALL_BATCH, 2, spatial.WEIGHTS_NAME)


def draw_samples(
    generator: np.random.Generator, faces: MotionFaces, count: int
) -> tuple[Tensor, Tensor]:
    """Drawn motion of one phase, prepared as real motion is, [count, 2, 14, 14], and activations
    [count, 32]."""
    fields, activations = draw_motion(generator, faces, count)
    prepared = area_half(unit_rms(remove_affine(fields)))
    return torch.from_numpy(prepared), torch.from_numpy(activations)


def draw_phases(
    generator: np.random.Generator,
    faces: MotionFaces,
    count: int,
    key_frame_errors: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Drawn motion of both phases, each prepared as real motion is before the phases are summed,
    float16 [count, 2 phases, 2, 28, 28], and activations [count, 32]."""
    fields, activations = draw_two_phases(generator, faces, count, key_frame_errors)
    prepared = unit_rms(remove_affine(fields))
    return torch.from_numpy(prepared).half(), torch.from_numpy(activations)


def maps_of_phases(motion: Tensor) -> Tensor:
    """Motion [N, 2 phases, 2, 28, 28] (u, v) -> maps that a CausalNet takes, [N, 4, 3, 28, 28]."""
    return torch.from_numpy(maps_of_flow(motion.float().flip(2).numpy()))


class DrawnBatches:
    """Endless batches of B samples of drawn motion as the network sees it, with its activations.

    Attributes:
        spread: standard deviation of each activation, [32]; targets are given in units of it.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self.task = task
        self.generator = np.random.default_rng(seed)
        self.faces = draw_motion_faces(seed)
        motion, activations = task.draw(self.generator, self.faces, CHECKED_SAMPLES)
        self.spread = activations.std(dim=0)
        self.motion = torch.empty(RESERVOIR, *motion.shape[1:], dtype=motion.dtype)
        self.targets = torch.empty(RESERVOIR, ACTIVATIONS)
        self.drawn = 0

    def fresh(self) -> tuple[Tensor, Tensor]:
        """What the network takes of B new samples, and targets [B, 32]; they replace the
        oldest kept."""
        motion, activations = self.task.draw(self.generator, self.faces, self.task.batch)
        rows = torch.arange(self.drawn, self.drawn + self.task.batch) % RESERVOIR
        self.motion[rows], self.targets[rows] = motion, activations / self.spread
        self.drawn += self.task.batch
        return self._half_mirrored(rows)

    def kept(self) -> tuple[Tensor, Tensor]:
        """Samples that were drawn before, with replacement."""
        rows = self.generator.integers(min(self.drawn, RESERVOIR), size=self.task.batch)
        return self._half_mirrored(torch.from_numpy(rows))

    def _half_mirrored(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.motion[rows], self.targets[rows]
        turned = torch.from_numpy(self.generator.random(self.task.batch) < 0.5)
        motion, targets = (
            torch.where(turned.view(-1, *[1] * (own.ndim - 1)), mirrored, own)
            for own, mirrored in zip(seen, mirror(*seen), strict=True)
        )
        return self.task.see(motion), targets


def mirror(motion: Tensor, activations: Tensor) -> tuple[Tensor, Tensor]:
    """The mirrored face: columns reversed and u negated in motion [N, ..., 2, y, x]; in activations
    [N, 32] the sides swapped and gaze negated."""
    turned = motion.flip(-1) * U_AND_V.to(motion.dtype)
    swapped = activations[:, OTHER_SIDES]
    swapped[:, GAZE : GAZE + len(SIDES)] *= -1
    return turned, swapped


def train(network: nn.Module, batches: DrawnBatches, updates: int) -> Iterator[float]:
    """Train in place; yields the loss of each update, the mean squared error of activations of
    unit spread. Whoever stops early has the beginning of the whole training."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = _schedule(optimizer, updates)
    network.train()
    for update in range(updates):
        motion, targets = batches.kept() if update % batches.task.uses else batches.fresh()
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


def held_out_r2(network: nn.Module, task: Task, spread: Tensor, seed: int) -> float:
    """Share of the activations' variance that is read from new samples of other faces, averaged
    over the outputs."""
    generator = np.random.default_rng((seed, 1))
    motion, activations = task.draw(generator, draw_motion_faces(-1 - seed), CHECKED_SAMPLES)
    network.eval()
    with torch.inference_mode():
        read = torch.cat([network(task.see(own)) for own in motion.split(BATCH)])
    error = read * spread - activations
    return float((1 - error.square().mean(dim=0) / activations.var(dim=0)).mean())


def make_network(config: Config) -> tuple[nn.Module, dict[str, object]]:
    """Draw, train and check a network; its card comes with it."""
    task = task_of(config)
    samples = task.samples if config.samples is None else config.samples
    updates = task.updates(samples)
    torch.manual_seed(config.seed)
    network, batches = task.build(), DrawnBatches(task, config.seed)
    steps = train(network, batches, updates)
    losses = list(track(steps, "Training", total=updates, disable=not sys.stdout.isatty()))
    card = {
        "trained_on": "drawn motion only (datasets/synthetic/motion.py); no person, no dataset",
        "command": config.command(samples),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "updates": updates,
        "held_out_r2": round(held_out_r2(network, task, batches.spread, config.seed), 4),
        "first_losses": [round(loss, 6) for loss in losses[:FIRST_LOSSES]],
        "versions": {"torch": torch.__version__, "numpy": np.__version__, "cv2": cv2.__version__},
    }
    return network, card


def pretrain(config: Config) -> None:
    """Train, write, and say how well the muscles are read."""
    folder, name = config.folder, task_of(config).weights_name
    files = folder / name, folder / CARD_NAME
    for path in files:
        check_output_file(path)
    with claimed_files(files, MAKER):
        _pretrain(config, *files)


def _pretrain(config: Config, weights: Path, card_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    cv2.setNumThreads(1)
    with one_thread():
        network, card = make_network(config)
    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    write_bytes(weights, save(state))
    write_text(card_path, json.dumps(card, indent=2) + "\n")
    print(f"R^2 {card['held_out_r2']} on drawn samples of other faces: {weights}")


def main() -> None:
    """Train the network that the settings name."""
    pretrain(parse_settings(Config, __doc__))


if __name__ == "__main__":
    run_script(main)
