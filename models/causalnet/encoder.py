"""The hierarchical encoder of CausalNet and HTNet: patches, then three stages of nested blocks.

Paper: CausalNet, ICCV 2025, arXiv 2508.06640 (the same encoder as HTNet, arXiv 2307.14637).
Source of facts: sections 2.1 and 2.2 of the project's CausalNet specification.
Licence of the original: MIT (copyright 2025 tony19980810).

Departures, none of which changes a result beyond rounding:
* activations hold the places of the grid first, then the batch, channels last: 1x1 convolutions
  are plain matrix products, and each place is one matrix;
* where a block holds one token its softmax is 1, so neither q nor k is computed; their rows are
  kept for the state dict as a buffer, without gradient or optimizer state;
* a 3x3 convolution multiplies only the taps that fall on the map, not the zeros around it;
* norms, GELUs and all but the widest hidden values are computed again in the backward pass.
Where a block holds several tokens there is one ``pos_emb`` scalar for each of them.

Legend of dimensions: y and x places of the grid, b batch, t token of a block, h head, c channel,
s images of a clip, which go through one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from einops.layers.torch import Rearrange
from torch import Tensor, nn

from common.errors import UserError
from models.causalnet.blocks import (
    ChannelNorm,
    FeedForward,
    Pointwise,
    layer_matrix,
    merge_heads,
    split_heads,
)
from models.causalnet.products import TAPS, grid_convolution, norm_pool, residual_pair

WIDTH_GROWTH = 2


@dataclass(frozen=True)
class EncoderGeometry:
    """Sizes of one encoder; every other size follows from these.

    Raises:
        UserError: sizes that do not divide each other, or are not positive.
    """

    image_size: int
    patch_size: int
    dim: int
    heads: int
    block_repeats: tuple[int, ...]
    channels: int = 3
    feed_forward_multiple: int = 4

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
        if self.image_size % (self.patch_size * self.blocks_per_side(0)):
            raise UserError(
                f"image_size {self.image_size} does not divide into "
                f"{self.blocks_per_side(0)} x {self.blocks_per_side(0)} blocks of patches of "
                f"{self.patch_size}; choose a multiple of "
                f"{self.patch_size * self.blocks_per_side(0)}."
            )

    @property
    def stages(self) -> int:
        return len(self.block_repeats)

    def blocks_per_side(self, stage: int) -> int:
        """Blocks along one side of the map: halved at each stage, 1 at the last."""
        return int(2 ** (self.stages - 1 - stage))

    @property
    def block_side(self) -> int:
        """Tokens along one side of a block; the same at every stage."""
        return self.image_size // self.patch_size // self.blocks_per_side(0)

    def width(self, stage: int) -> int:
        """Channels of a token at ``stage``."""
        return int(self.dim * WIDTH_GROWTH**stage)

    def stage_heads(self, stage: int) -> int:
        return int(self.heads * WIDTH_GROWTH**stage)


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
    """Encoder attention where the softmax is over one token: the output of the value rows."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * (width // heads)
        self.to_qkv = ValueProjection(width, inner)
        self.to_out = nn.Sequential(Pointwise(inner, width))

    def forward(self, x: Tensor, norm: ChannelNorm) -> Tensor:
        """[b, 1, c] -> [b, 1, c]."""
        value, out = (self.to_qkv.value, None), layer_matrix(self.to_out[0])
        return residual_pair(x, norm.weights(), value, out, gelu=False)


class BlockAttention(nn.Module):
    """Encoder attention among the several tokens of a block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (width // heads)
        self.to_qkv = Pointwise(width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(Pointwise(inner, width))

    def forward(self, x: Tensor, norm: ChannelNorm) -> Tensor:
        """[b, t, c] -> [b, t, c]."""
        projected = self.to_qkv(norm(x))
        q, k, v = (split_heads(part, self.heads) for part in projected.chunk(3, dim=-1))
        out: Tensor = self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v)))
        return out + x


class EncoderFeedForward(nn.Module):
    """The two 1x1 convolutions of an encoder layer, under their published name ``net``."""

    def __init__(self, width: int, multiple: int) -> None:
        super().__init__()
        self.net = FeedForward(width, multiple, Pointwise)

    def forward(self, x: Tensor, norm: ChannelNorm) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.net(x, norm)
        return out


class PreNorm(nn.Module):
    """x plus ``fn`` of the normalised x; ``fn`` does both, together with its matrix products."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """[..., c] -> [..., c]."""
        out: Tensor = self.fn(x, self.norm)
        return out


class EncoderLayer(nn.ModuleList):
    """Attention, then feed-forward."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., t, c] -> [..., t, c]."""
        attend, feed = self
        out: Tensor = feed(attend(x))
        return out


class BlockTransformer(nn.Module):
    """The layers of one stage, applied to each block by itself."""

    def __init__(self, geometry: EncoderGeometry, stage: int) -> None:
        super().__init__()
        self.blocks_per_side = geometry.blocks_per_side(stage)
        self.block_side = geometry.block_side
        tokens = geometry.block_side**2
        width, heads = geometry.width(stage), geometry.stage_heads(stage)
        attention = SingleTokenAttention if tokens == 1 else BlockAttention
        self.pos_emb = nn.Parameter(torch.randn(tokens))
        self.layers = nn.Sequential()
        for _ in range(geometry.block_repeats[stage]):
            attend = PreNorm(width, attention(width, heads))
            feed = EncoderFeedForward(width, geometry.feed_forward_multiple)
            self.layers.append(EncoderLayer([attend, PreNorm(width, feed)]))

    def forward(self, x: Tensor) -> Tensor:
        """[y, x, b, c] -> [y, x, b, c]."""
        sizes: Mapping[str, int] = {
            "yb": self.blocks_per_side,
            "xb": self.blocks_per_side,
            "yt": self.block_side,
            "xt": self.block_side,
        }
        x = rearrange(x, "(yb yt) (xb xt) b c -> (yb xb b) (yt xt) c", **sizes)
        x = self.layers(x + self.pos_emb[:, None])
        return rearrange(x, "(yb xb b) (yt xt) c -> (yb yt) (xb xt) b c", **sizes)


class GridConvolution(nn.Conv2d):
    """A 3x3 convolution with padding 1 that multiplies only the taps on the map."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, kernel_size=TAPS, padding=TAPS // 2)

    def forward(self, x: Tensor) -> Tensor:
        """[y, x, b, width_in] -> [y, x, b, width_out]."""
        assert self.bias is not None
        return grid_convolution(x, self.weight, self.bias)


class HalvingNorm(ChannelNorm):
    """Channel norm, then 3x3 max-pool with stride 2 and padding 1."""

    def forward(self, x: Tensor) -> Tensor:
        """[y, x, b, width] -> [y/2, x/2, b, width]."""
        return norm_pool(x, *self.weights())


def patch_embedding(geometry: EncoderGeometry) -> nn.Sequential:
    """Images [b, s, c, y, x] -> tokens [y, x, s*b, dim]; in a patch, channels vary fastest."""
    patch = geometry.patch_size
    return nn.Sequential(
        Rearrange("b s c (y p) (x q) -> y x (s b) (p q c)", p=patch, q=patch),
        Pointwise(geometry.channels * patch**2, geometry.dim),
    )


def encoder_stage(geometry: EncoderGeometry, stage: int) -> nn.Sequential:
    """Stage ``stage``: its layers, then (but for the last) the step to half the side."""
    transformer = BlockTransformer(geometry, stage)
    if stage == geometry.stages - 1:
        return nn.Sequential(transformer, nn.Identity())
    wider = geometry.width(stage + 1)
    convolution = GridConvolution(geometry.width(stage), wider)
    return nn.Sequential(transformer, nn.Sequential(convolution, HalvingNorm(wider)))


class HierarchicalEncoder(nn.Module):
    """One encoder by itself: images [b, c, y, x] -> tokens [y, x, b, c] of the last stage."""

    def __init__(self, geometry: EncoderGeometry) -> None:
        super().__init__()
        self.to_patch_embedding = patch_embedding(geometry)
        self.layers = nn.Sequential(
            *(encoder_stage(geometry, stage) for stage in range(geometry.stages))
        )

    def forward(self, images: Tensor) -> Tensor:
        """[b, channels, image_size, image_size] -> [block_side, block_side, b, last width]."""
        out: Tensor = self.layers(self.to_patch_embedding(images[:, None]))
        return out
