"""Pieces that several published networks share, all token-major: channels are the last dimension.

Source of facts: docs/causalnet.md, section 2. The parameters keep the published names and shapes,
1x1 convolutions included; only the order of the activations' dimensions differs.

Legend of dimensions: t token, h head, c channel; leading dimensions are "...".
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

NORM_EPSILON = 1e-5
HIDDEN_MULTIPLE = 4
"""Hidden width of every feed-forward, in units of its width."""


class Linear(nn.Linear):
    """A linear map of all rows at once: for stacked networks one product each, not one a clip."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., width_in] -> [..., width_out]."""
        return linear_of_rows(x, self.weight, self.bias)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution on token-major input, which makes it one matrix product."""

    def __init__(self, width_in: int, width_out: int, bias: bool = True) -> None:
        super().__init__(width_in, width_out, kernel_size=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width_in] -> [..., width_out]."""
        return linear_of_rows(x, self.weight.flatten(1), self.bias)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position, with scale ``g`` and shift ``b``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, width, 1, 1))
        self.b = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.g.flatten(), self.b.flatten(), NORM_EPSILON)


class FeedForward(nn.Sequential):
    """Two linear maps with an exact GELU between, at the published indices 0 and 3.

    Args:
        width: channels in and out.
        linear: kind of the two maps.
    """

    def __init__(self, width: int, linear: type[Linear] | type[Pointwise] = Linear) -> None:
        hidden = HIDDEN_MULTIPLE * width
        super().__init__(linear(width, hidden), nn.GELU(), nn.Identity(), linear(hidden, width))


def linear_of_rows(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[..., in], [out, in], [out] -> [..., out]."""
    return F.linear(x.flatten(0, -2), weight, bias).view(*x.shape[:-1], -1)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[..., t, h*c] -> [..., h, t, c]; the heads are the slow part of the channels."""
    return rearrange(x, "... t (h c) -> ... h t c", h=heads)


def merge_heads(x: Tensor) -> Tensor:
    """[..., h, t, c] -> [..., t, h*c]."""
    return rearrange(x, "... h t c -> ... t (h c)")


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(c)) v, [..., t, c] each -> [..., t, c].

    Written out, since torch's ``scaled_dot_product_attention`` cannot be stacked by ``vmap``.
    """
    logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return logits.softmax(dim=-1) @ v


def position_mask(side: int) -> Tensor:
    """M: 1 where two places of a side x side grid are at most 1 apart, else 0. [t, t]."""
    place = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
    return (torch.cdist(place, place) <= 1).float()


def position_penalty(mask: Tensor, gamma: float) -> Tensor:
    """P: -(key + 1) * gamma where ``mask`` is 0, else 0. [t, t], rows are queries."""
    key = torch.arange(1, mask.shape[-1] + 1)
    return -(key * gamma) * (1 - mask)


class MaskedAttention(nn.Module):
    """Attention over positions of a grid that damps those further than 1 apart, with the published
    buffers.

    The weights are ``softmax(scale * q k^T * M + P) * M``: a distant place takes its share of
    the softmax with logit -(key + 1) * gamma and is zeroed afterwards, so the rows sum to less
    than 1. With a gamma of 100 that share is 0, and the mask is a plain one.

    Args:
        dim: channels of a token.
        heads: divides ``dim``.
        gamma: strength of the penalty P; it ends up in the buffer ``P_matrix``.
        scale: factor on the logits.
        side: of the grid of positions; 2 as published.
    """

    M_mask: Tensor
    P_matrix: Tensor

    def __init__(self, dim: int, heads: int, gamma: float, scale: float, side: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        mask = position_mask(side)
        self.register_buffer("M_mask", mask)
        self.register_buffer("P_matrix", position_penalty(mask, gamma))
        self.to_q = Linear(dim, dim)
        self.to_kv = Linear(dim, 2 * dim)
        self.to_out = nn.Sequential(Linear(dim, dim))

    def forward(self, query: Tensor, context: Tensor) -> Tensor:
        """Query and context [..., t, c] -> [..., t, c]."""
        k, v = (split_heads(part, self.heads) for part in self.to_kv(context).chunk(2, dim=-1))
        merged: Tensor = self.to_out(merge_heads(self.weights(query, k) @ v))
        return merged

    def weights(self, query: Tensor, k: Tensor) -> Tensor:
        """How much each position looks at each other one: query [..., t, c] and keys
        [..., h, t, c / h] -> [..., h, t, t]."""
        q = split_heads(self.to_q(query), self.heads)
        logits = q @ k.transpose(-1, -2) * (self.scale * self.M_mask) + self.P_matrix
        return logits.softmax(dim=-1) * self.M_mask
