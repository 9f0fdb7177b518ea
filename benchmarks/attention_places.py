"""Where CMPLM looks: its attention on the places that move, against chance, on drawn motion.

    python -m benchmarks.attention_places

Draws SYNTHETIC motion of faces that no network was trained on, whose moving muscles are known, and
gives it to ``causalnet_spatial`` with CMPLM (``parts`` both, as shipped). A place, one of 4 x 4,
moves if the muscles' true motion in it is at least half of that in the place that moves most. Of
every place that has moving and still places among those it may look at, the share of attention on
the moving ones is averaged over heads, phases and places; chance is what even attention gives. An
untrained network of the same shape is measured beside it, and all of it again with wrong key
frames. Prints a table and one JSON object. A minute of one core.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import tyro
from einops import reduce
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import UserError, run_script
from datasets.motion import remove_affine, unit_rms
from datasets.synthetic.motion import (
    MotionFaces,
    draw_motion_faces,
    draw_muscle_motion,
    phase_shares,
    spoil,
)
from models.au_network import one_thread
from models.causalnet.blocks import MaskedAttention, split_heads
from models.causalnet.places import GRID, Parts, PlacesNetwork
from models.causalnet.spatial import read_network
from training.pretrain_on_motion import maps_of_phases

PARTS: Parts = "both"
MOVES = 0.5
"""Of the motion of the place that moves most."""
KEY_FRAME_ERRORS = (0.0, 0.5)
FACES = 50
BATCH = 250


@dataclass(frozen=True)
class Config:
    """How much to draw."""

    samples: int = 2000
    """Drawn samples, a multiple of 250."""
    seed: int = 1
    """Of the faces, the motion and the untrained network."""

    def __post_init__(self) -> None:
        if self.samples < BATCH or self.samples % BATCH:
            raise UserError(f"samples is {self.samples}: give a multiple of {BATCH}.")


def main() -> None:
    """Draw, look, print."""
    config = tyro.cli(Config, description=__doc__)
    torch.manual_seed(config.seed)
    networks = {"untrained": PlacesNetwork(PARTS).eval(), "pretrained": PlacesNetwork(PARTS).eval()}
    weights = {name: torch.from_numpy(own) for name, own in read_network(PARTS).items()}
    networks["pretrained"].load_state_dict(weights)
    with one_thread():
        rows = list(measure(networks, config))
    print("SYNTHETIC: drawn motion")
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    print(json.dumps({"benchmark": "attention_places", "synthetic": True, "rows": rows}))


def measure(networks: dict[str, PlacesNetwork], config: Config) -> Iterator[dict[str, object]]:
    """A row for every network and size of the key-frame errors, on the same samples."""
    faces = draw_motion_faces(-1000 - config.seed, FACES)
    for errors in KEY_FRAME_ERRORS:
        generator = np.random.default_rng(config.seed)
        drawn = [draw(generator, faces, errors) for _ in range(config.samples // BATCH)]
        for name, network in networks.items():
            parts = [moving_shares(network, motion, moving) for motion, moving in drawn]
            share, chance = np.concatenate(parts, axis=1)
            gain = share - chance
            yield {
                "network": name,
                "key_frame_errors": errors,
                "samples": len(gain),
                "share": float(share.mean()),
                "chance": float(chance.mean()),
                "gain": float(gain.mean()),
                "gain_standard_error": float(gain.std() / np.sqrt(len(gain))),
            }


def draw(
    generator: np.random.Generator, faces: MotionFaces, key_frame_errors: float
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Prepared motion of both phases [250, 2, 2, 28, 28], and which places move, [250, 16]."""
    fields, moving = [], []
    for _ in range(BATCH):
        clean, oval, _ = draw_muscle_motion(generator, faces)
        shares = phase_shares(generator, key_frame_errors)
        fields.append([spoil(generator, share * clean, oval) for share in shares])
        length = np.linalg.norm(clean, axis=-1)
        place = reduce(length, "(y a) (x b) -> (y x)", "mean", y=GRID, x=GRID)
        moving.append(place >= MOVES * place.max())
    prepared = unit_rms(remove_affine(np.moveaxis(np.array(fields), -1, 2)))
    return torch.from_numpy(prepared), np.array(moving)


def moving_shares(
    network: PlacesNetwork, motion: Tensor, moving: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Share of attention on moving places, and chance, of each sample: [2, samples].

    Samples in which no place has both kinds among those it may look at are left out.
    """
    weights, mask = cmplm_attention(network, maps_of_phases(motion))
    seen = reduce(weights, "s b h q k -> b q k", "mean").numpy()
    even = mask.numpy() / mask.numpy().sum(axis=1, keepdims=True)
    share = np.einsum("bqk,bk->bq", seen, moving) / seen.sum(axis=2)
    chance = np.einsum("qk,bk->bq", even, moving)
    choice = (chance > 0) & (chance < 1)
    kept = choice.any(axis=1)
    counts = choice.sum(axis=1)[kept]
    return np.stack([(own * choice).sum(axis=1)[kept] / counts for own in (share, chance)])


def cmplm_attention(network: PlacesNetwork, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of CMPLM's attention on maps [b, 4, 3, 28, 28], [s, b, h, q, k]; and its mask."""
    assert network.cmplm is not None
    (attention,) = (own for own in network.cmplm.modules() if isinstance(own, MaskedAttention))
    given: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        given.append(inputs)

    handle = attention.register_forward_pre_hook(keep)
    with torch.inference_mode():
        network.features(maps)
        handle.remove()
        keys = [attention.to_kv(context).chunk(2, dim=-1)[0] for _, context in given]
        looks = [
            attention.weights(query, split_heads(key, attention.heads))
            for (query, _), key in zip(given, keys, strict=True)
        ]
        return torch.stack(looks), attention.M_mask


if __name__ == "__main__":
    run_script(main)
