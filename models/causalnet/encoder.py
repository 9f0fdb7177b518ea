"""The hierarchical encoder of CausalNet and HTNet: patches, then stages of nested blocks.

Paper: CausalNet, ICCV 2025, arXiv 2508.06640 (the same encoder as HTNet, arXiv 2307.14637).
Source of facts: docs/causalnet.md, sections 2.1 and 2.2.
Licence of the original: MIT (copyright 2025 tony19980810).

Departures, none of which changes a result beyond rounding:
* activations hold channels last, so that 1x1 convolutions are plain matrix products;
* a block holds one token, so the softmax of its attention is 1 and neither q nor k is computed;
  their rows are kept for the state dict as a buffer, without gradient or optimizer state.

Legend of dimensions: y and x places of the grid, b batch, c channel, s images of a clip, which
become part of the batch, one after the other.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from common.errors import UserError
from models.causalnet.blocks import ChannelNorm, FeedForward, Pointwise, linear_of_rows

CHANNELS = 3


@dataclass(frozen=True)
class EncoderGeometry:
    """Sizes of one encoder; width and heads double, the side of the grid halves at each stage.

    Raises:
        UserError: sizes that are not positive, or an image that the stages do not merge into one
            place.
    """

    image_size: int
    patch_size: int
    dim: int
    heads: int
    block_repeats: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = (self.image_size, self.patch_size, self.dim, self.heads, *self.block_repeats)
        if not self.block_repeats or any(type(size) is not int or size < 1 for size in sizes):
            raise UserError(
                f"image_size {self.image_size}, patch_size {self.patch_size}, dim {self.dim}, "
                f"heads {self.heads} and block_repeats {self.block_repeats} must all be whole "
                "numbers of at least 1."
            )
        if self.heads > self.dim:
            raise UserError(f"heads {self.heads} is more than dim {self.dim}; choose fewer heads.")
        merged = self.patch_size * 2 ** (self.stages - 1)
        if self.image_size != merged:
            raise UserError(
                f"image_size {self.image_size} does not fit: {self.stages} stages merge patches of "
                f"{self.patch_size} pixels into one place of an image of {merged}. "
                f"Choose image_size {merged}."
            )

    @property
    def stages(self) -> int:
        return len(self.block_repeats)

    def width(self, stage: int) -> int:
        """Channels of a place at ``stage``."""
        return int(self.dim * 2**stage)

    def stage_heads(self, stage: int) -> int:
        return int(self.heads * 2**stage)


class ValueProjection(nn.Module):
    """The v rows of a q, k, v convolution; the q and k rows wait in a buffer for the state dict.

    In the state dict the two are one entry, ``weight`` [3 * inner, width, 1, 1], as published.
    """

    query_key: Tensor

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        # The whole published layer is drawn, so that a seed gives the same weights for all three.
        whole = nn.Conv2d(width, 3 * inner, kernel_size=1, bias=False).weight.detach().flatten(1)
        self.register_buffer("query_key", whole[: 2 * inner].clone())
        self.value = nn.Parameter(whole[2 * inner :].clone())
        self.register_state_dict_post_hook(_join_rows)
        self.register_load_state_dict_pre_hook(_part_rows)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., inner]."""
        return linear_of_rows(x, self.value, None)


def _join_rows(module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    rows = state.pop(prefix + "query_key"), state.pop(prefix + "value")
    state[prefix + "weight"] = torch.cat(rows)[:, :, None, None]


def _part_rows(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    weight = state.pop(prefix + "weight", None)
    if weight is not None:
        kept = weight.shape[0] * 2 // 3
        state[prefix + "query_key"] = weight[:kept].flatten(1)
        state[prefix + "value"] = weight[kept:].flatten(1)


class SingleTokenAttention(nn.Module):
    """Attention within a block of one token: the output map of its value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * (width // heads)
        self.to_qkv = ValueProjection(width, inner)
        self.to_out = nn.Sequential(Pointwise(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.to_out(self.to_qkv(x))
        return out


class EncoderFeedForward(nn.Module):
    """The two 1x1 convolutions of an encoder layer, under their published name ``net``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = FeedForward(width, Pointwise)

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.net(x)
        return out


class PreNorm(nn.Module):
    """x plus ``fn`` of the normalised x."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.fn(self.norm(x)) + x
        return out


class BlockTransformer(nn.Module):
    """The layers of one stage; each place is a block by itself."""

    def __init__(self, geometry: EncoderGeometry, stage: int) -> None:
        super().__init__()
        width, heads = geometry.width(stage), geometry.stage_heads(stage)
        self.pos_emb = nn.Parameter(torch.randn(1))
        self.layers = nn.Sequential()
        for _ in range(geometry.block_repeats[stage]):
            attend = PreNorm(width, SingleTokenAttention(width, heads))
            feed = PreNorm(width, EncoderFeedForward(width))
            self.layers.append(nn.Sequential(attend, feed))

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.layers(x + self.pos_emb)
        return out


class GridConvolution(nn.Conv2d):
    """A 3x3 convolution with padding 1."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[b, y, x, width_in] -> [b, y, x, width_out]."""
        return _channels_last(super().forward(_channels_first(x)))


class HalvingNorm(ChannelNorm):
    """Channel norm, then 3x3 max-pool with stride 2 and padding 1."""

    def forward(self, x: Tensor) -> Tensor:
        """[b, y, x, width] -> [b, y/2, x/2, width]."""
        normed = _channels_first(super().forward(x))
        return _channels_last(F.max_pool2d(normed, kernel_size=3, stride=2, padding=1))


def _channels_first(x: Tensor) -> Tensor:
    return rearrange(x, "b y x c -> b c y x")


def _channels_last(x: Tensor) -> Tensor:
    return rearrange(x, "b c y x -> b y x c")


def patch_embedding(geometry: EncoderGeometry) -> nn.Sequential:
    """Images [b, s, c, y, x] -> tokens [s*b, y, x, dim]; in a patch, channels vary fastest."""
    patch = geometry.patch_size
    return nn.Sequential(
        Rearrange("b s c (y p) (x q) -> (s b) y x (p q c)", p=patch, q=patch),
        Pointwise(CHANNELS * patch**2, geometry.dim),
    )


def encoder_stage(geometry: EncoderGeometry, stage: int) -> nn.Sequential:
    """Stage ``stage``: its layers, then (but for the last) the step to half the side.

    [b, y, x, width] -> [b, y/2, x/2, 2 * width]; after the last stage [b, 1, 1, width].
    """
    transformer = BlockTransformer(geometry, stage)
    if stage == geometry.stages - 1:
        return nn.Sequential(transformer, nn.Identity())
    wider = geometry.width(stage + 1)
    convolution = GridConvolution(geometry.width(stage), wider)
    return nn.Sequential(transformer, nn.Sequential(convolution, HalvingNorm(wider)))
