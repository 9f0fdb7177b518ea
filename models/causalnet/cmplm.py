"""CMPLM, CausalNet's direction branch: two streams of tokens that attend to each other.

Paper: CausalNet, ICCV 2025, arXiv 2508.06640.
Source of facts: docs/causalnet.md, section 2.3.
Licence of the original: MIT (copyright 2025 tony19980810).

Kept as published: the context is not normalised, the second stream sees the first one's new
values, the scale is that of the whole width. Departure: what both streams do with the same weights
is done as one batch.

Legend of dimensions: s stream (0 onset-apex, 1 apex-offset), b batch, t token, c channel.
"""

import torch
from torch import Tensor, nn

from models.causalnet.blocks import FeedForward, MaskedAttention


class CrossLayer(nn.ModuleList):
    """Norm, masked attention and feed-forward, all used by both streams."""

    def forward(self, streams: Tensor) -> Tensor:
        """[s, b, t, c] -> [s, b, t, c]."""
        norm, attention, feed = self
        first, second = streams
        first_query, second_query = norm(streams)
        first = first + attention(first_query, second)
        second = second + attention(second_query, first)
        streams = torch.stack((first, second))
        out: Tensor = feed(streams) + streams
        return out


class CMPLM(nn.Module):
    """``depth`` cross layers; no norm after the last.

    Args:
        dim: channels of a token.
        heads: divides ``dim``.
        depth: layers; the published network takes the encoder's last repeat.
        gamma: penalty on distant places.
        side: of the grid of tokens; 2 as published.
    """

    def __init__(self, dim: int, heads: int, depth: int, gamma: float, side: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for _ in range(depth):
            attention = MaskedAttention(dim, heads, gamma, dim**-0.5, side)
            parts = [nn.LayerNorm(dim), attention, FeedForward(dim)]
            self.layers.append(CrossLayer(parts))

    def forward(self, streams: Tensor) -> Tensor:
        """[s, b, t, c] -> [s, b, t, c]."""
        out: Tensor = self.layers(streams)
        return out
