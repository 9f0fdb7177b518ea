"""CausalNet: two hierarchical encoders, CMPLM, CAB and a linear head.

Paper: CausalNet, ICCV 2025, arXiv 2508.06640.
Source of facts: docs/causalnet.md, section 2.
Licence of the original: MIT (copyright 2025 tony19980810).

Departures: those of the parts; both maps that share an encoder go through it as one batch; the two
layers of the head are multiplied with each other first.
Names, order and shapes of the state dict, and the order of random draws, are the published ones.

Legend of dimensions: m map (onset-apex flow, apex-offset flow, onset-apex direction, apex-offset
direction), s stream (a pair of maps), b batch, t token, c channel, y and x places of an image.
"""

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from common.errors import UserError
from models.causalnet.cab import CAB
from models.causalnet.cmplm import CMPLM
from models.causalnet.encoder import EncoderGeometry, encoder_stage, patch_embedding

STAGES = 3
POSITIONS = 2 ** (STAGES - 1)
"""Tokens of CMPLM and CAB: the last stage is that many times as wide as a token."""
ATTENTION_HEADS = 8
STREAMS = 2

Ablation = Literal["none", "no_cmplm", "no_cab", "no_direction", "contraction_only"]


class LinearHead(nn.Sequential):
    """Two linear layers with nothing between them, multiplied with each other before the input."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        """[b, width] -> [b, classes]."""
        first, second = cast(list[nn.Linear], list(self))
        return F.linear(x, second.weight @ first.weight, second(first.bias))


class CausalNet(nn.Module):
    """The published network; every size is an argument.

    Args:
        block_repeats: encoder layers of the three stages; the last is also CMPLM's depth.
        gamma: penalty on the diagonal place, kept in the ``P_matrix`` buffers.
        dim: channels of a token, a multiple of 8 (the heads of CMPLM and CAB).
        heads: encoder heads of the first stage, doubled at each further one.
        classes: logits.
        image_size: side of a map in pixels.
        patch_size: side of a patch in pixels.
        hidden: width between the two layers of the head.
        ablation: ``none``, or one of
            ``no_cmplm``: the direction tokens are added to the flow tokens as they are encoded;
            ``no_cab``: sum of the two fused streams and the streams themselves go to the head;
            ``no_direction``: no direction encoder and no CMPLM, the fused streams are the flow's;
            ``contraction_only``: both streams are given the onset-apex maps, so that nothing
            after the apex is seen.

    Raises:
        UserError: sizes that do not fit.
    """

    def __init__(
        self,
        block_repeats: Sequence[int] = (3, 3, 9),
        gamma: float = 0.5,
        dim: int = 256,
        heads: int = 3,
        classes: int = 3,
        image_size: int = 28,
        patch_size: int = 7,
        hidden: int = 2048,
        ablation: Ablation = "none",
    ) -> None:
        super().__init__()
        _check_arguments(block_repeats, dim, classes, hidden, ablation)
        geometry = EncoderGeometry(image_size, patch_size, dim, heads, tuple(block_repeats))
        self.ablation = ablation
        self.dim = dim
        self._build_encoders(geometry, with_direction=ablation != "no_direction")
        if ablation not in ("no_cmplm", "no_direction"):
            self.CrossAttention = CMPLM(dim, ATTENTION_HEADS, block_repeats[-1], gamma)
        if ablation != "no_cab":
            self.cab = CAB(dim, ATTENTION_HEADS, gamma)
        features = (STREAMS + 1) * POSITIONS * dim
        self.mlp_head = LinearHead(features, hidden, classes)

    def _build_encoders(self, geometry: EncoderGeometry, with_direction: bool) -> None:
        """Flow encoder, and direction encoder (names ending in 1), drawn in the published order."""
        self.to_patch_embedding = patch_embedding(geometry)
        if with_direction:
            self.to_patch_embedding1 = patch_embedding(geometry)
        self.layers = nn.Sequential()
        if with_direction:
            self.layers1 = nn.Sequential()
        for stage in range(geometry.stages):
            self.layers.append(encoder_stage(geometry, stage))
            if with_direction:
                self.layers1.append(encoder_stage(geometry, stage))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [b, 4, 3, image_size, image_size] of 0..255 -> logits [b, classes]."""
        streams = self._fused_streams(maps)
        if self.ablation == "no_cab":
            features = torch.cat((streams.sum(dim=0, keepdim=True), streams))
            features = rearrange(features, "s b t c -> b (s t c)")
        else:
            features = self.cab(streams).flatten(1)
        return self.mlp_head(features)

    def _fused_streams(self, maps: Tensor) -> Tensor:
        """Flow tokens plus direction tokens. [b, 4, 3, y, x] -> [s, b, t, c]."""
        flow = self._encode(maps[:, :2], self.to_patch_embedding, self.layers)
        if self.ablation == "no_direction":
            return flow
        direction = self._encode(maps[:, 2:], self.to_patch_embedding1, self.layers1)
        if self.ablation == "no_cmplm":
            return flow + direction
        streams: Tensor = flow + self.CrossAttention(direction)
        return streams

    def _encode(self, maps: Tensor, embed: nn.Module, stages: nn.Module) -> Tensor:
        """A pair of maps [b, s, 3, y, x] -> their tokens [s, b, t, c].

        The tokens are interleaved channels of one pooled vector, not places of the image.
        """
        if self.ablation == "contraction_only":
            maps = maps[:, :1]
        pooled = stages(embed(maps))
        tokens = rearrange(
            pooled, "(s b) 1 1 (c t) -> s b t c", s=maps.shape[1], c=self.dim, t=POSITIONS
        )
        return tokens.expand(STREAMS, -1, -1, -1)


def _check_arguments(
    block_repeats: Sequence[int], dim: int, classes: int, hidden: int, ablation: str
) -> None:
    if len(block_repeats) != STAGES:
        raise UserError(
            f"block_repeats {tuple(block_repeats)} has {len(block_repeats)} stages, but CMPLM and "
            f"CAB take their four tokens from the third; give {STAGES} numbers."
        )
    if dim % ATTENTION_HEADS:
        raise UserError(
            f"dim {dim} is not a multiple of {ATTENTION_HEADS}, the heads of CMPLM and CAB; "
            f"choose one that is."
        )
    if classes < 2 or hidden < 1:
        raise UserError(f"classes {classes} must be at least 2 and hidden {hidden} at least 1.")
    if ablation not in get_args(Ablation):
        raise UserError(
            f"ablation {ablation!r} is unknown; choose one of {', '.join(get_args(Ablation))}."
        )
