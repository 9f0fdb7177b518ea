"""CAB, CausalNet's causal attention block: each phase explained by the other, then compared.

Paper: CausalNet, ICCV 2025, arXiv 2508.06640.
Source of facts: docs/causalnet.md, section 2.4.
Licence of the original: MIT (copyright 2025 tony19980810).

Kept as published: the residuals start from the normalised values, nothing is normalised before the
temporal attention, the relation's residual is inside its output projection. Departure: norm,
positional attention and the temporal scores do not depend on which stream leads, so the forward
and the backward branch share them instead of computing them twice.

Legend of dimensions: s stream (0 onset-apex, 1 apex-offset), b batch, t token, h head, c channel.
"""

from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn

from models.causalnet.blocks import (
    FeedForward,
    Linear,
    MaskedAttention,
    attention,
    merge_heads,
    split_heads,
)


class CausalAttention(MaskedAttention):
    """Positional masked self-attention, and temporal attention between the streams."""

    def __init__(self, dim: int, heads: int, gamma: float, side: int) -> None:
        super().__init__(dim, heads, gamma, (dim // heads) ** -0.5, side)
        self.temp_to_q = Linear(dim, dim)
        self.temp_to_kv = Linear(dim, 2 * dim)
        self.temp_to_out = nn.Sequential(Linear(dim, dim))

    def temporal(self, streams: Tensor) -> Tensor:
        """For each place, a stream's query over the two streams' keys. [s, b, t, c] -> same."""
        q = self._by_stream(self.temp_to_q(streams))
        k, v = (self._by_stream(part) for part in self.temp_to_kv(streams).chunk(2, dim=-1))
        mixed = rearrange(attention(q, k, v), "b t h s c -> s b t (h c)")
        out: Tensor = self.temp_to_out(mixed)
        return out

    def _by_stream(self, x: Tensor) -> Tensor:
        return rearrange(x, "s b t (h c) -> b t h s c", h=self.heads)


class CausalRelation(nn.Module):
    """Ordinary attention from the forward to the backward branch."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = Linear(dim, dim)
        self.to_k = Linear(dim, dim)
        self.to_v = Linear(dim, dim)
        self.to_out = nn.Sequential(Linear(dim, dim))

    def forward(self, forward_branch: Tensor, backward_branch: Tensor) -> Tensor:
        """Two [b, t, c] -> [b, t, c]."""
        both = forward_branch + backward_branch
        q = split_heads(self.to_q(forward_branch), self.heads)
        k = split_heads(self.to_k(backward_branch), self.heads)
        v = split_heads(self.to_v(both), self.heads)
        out: Tensor = self.to_out(merge_heads(attention(q, k, v)) + both)
        return out


class CausalLayer(nn.ModuleList):
    """Norm, causal attention, feed-forward and relation, all used in both directions."""

    def forward(self, streams: Tensor) -> Tensor:
        """[s, b, t, c] -> [b, 3t, c]: relation, forward cause, backward cause."""
        norm, positional, feed, relation = self
        positional = cast(CausalAttention, positional)
        cause = norm(streams)
        cause = positional(cause, cause) + cause
        effect = positional.temporal(cause) + cause
        both = torch.stack((cause, effect))
        causes, (backward_effect, forward_effect) = feed(both) + both
        related = relation(forward_effect, backward_effect)
        return torch.cat((related, *causes), dim=1)


class CAB(nn.Module):
    """One causal layer.

    Args:
        dim: channels of a token.
        heads: divides ``dim``.
        gamma: penalty on distant places.
        side: of the grid of tokens; 2 as published.
    """

    def __init__(self, dim: int, heads: int, gamma: float, side: int = 2) -> None:
        super().__init__()
        parts = [
            nn.LayerNorm(dim),
            CausalAttention(dim, heads, gamma, side),
            FeedForward(dim),
            CausalRelation(dim, heads),
        ]
        self.layers = nn.Sequential(CausalLayer(parts))

    def forward(self, streams: Tensor) -> Tensor:
        """[s, b, t, c] -> [b, 3t, c]: relation, forward cause, backward cause."""
        out: Tensor = self.layers(streams)
        return out
