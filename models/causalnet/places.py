"""A CausalNet whose tokens are places of the face: convolutions, CMPLM, CAB, muscle activations.

In the published network the four "positions" are interleaved channels of one pooled vector, so that
the masks of CMPLM and CAB act on nothing spatial. Here a token is one of 4 x 4 places, so that they
do what the paper says. The blocks are the suite's own CMPLM and CAB, with plain masks.

Source of facts: this suite's own measurements.

Legend of dimensions: b batch, s stream (0 onset-apex, 1 apex-offset), k kind of map (flow,
direction), t token, c channel, y and x places of an image.
"""

from typing import Literal, get_args

from einops import rearrange
from torch import Tensor, nn

from common.action_units import ACTIVATIONS
from common.errors import UserError
from models.causalnet.cab import CAB
from models.causalnet.cmplm import CMPLM

Parts = Literal["cab", "cmplm", "both", "neither"]
GRID, WIDTH, HEADS = 4, 64, 4
"""Places along a side of the face, channels of a place, heads of CMPLM and CAB."""
DEPTH = 1
"""Layers of CMPLM."""
PLAIN_MASK = 100.0
"""A gamma at which distant places take no share of the attention."""
CHANNELS = 6
"""Of a phase: strain, v, u; cosine, sine, magnitude."""


class PlacesNetwork(nn.Module):
    """Reads muscle activations from both phases' maps; methods use the features before them.

    Args:
        parts: which of CMPLM and CAB it has.

    Raises:
        UserError: unknown parts.
    """

    def __init__(self, parts: Parts = "cab") -> None:
        super().__init__()
        if parts not in get_args(Parts):
            raise UserError(
                f"parts {parts!r} is unknown; choose one of {', '.join(get_args(Parts))}."
            )
        self.stem = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(CHANNELS, WIDTH // 2, kernel_size=5, padding="same"),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(WIDTH // 2, WIDTH, kernel_size=3, padding="same"),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(GRID),
            nn.Conv2d(WIDTH, WIDTH, kernel_size=3, padding="same"),
            nn.GELU(),
        )
        with_cab = parts in ("cab", "both")
        self.cmplm = (
            CMPLM(WIDTH, HEADS, DEPTH, PLAIN_MASK, GRID) if parts in ("cmplm", "both") else None
        )
        self.cab = CAB(WIDTH, HEADS, PLAIN_MASK, GRID) if with_cab else None
        self.head = nn.Linear((3 if with_cab else 2) * GRID**2 * WIDTH, ACTIVATIONS)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [b, 4, 3, 28, 28] as they are prepared with u and v at RMS 1 -> signed activations
        in units of their spread, [b, 32], in the order of the AU network's."""
        activations: Tensor = self.head(self.features(maps))
        return activations

    def features(self, maps: Tensor) -> Tensor:
        """[b, 4, 3, 28, 28] -> all tokens in a row, [b, 3072] with CAB, else [b, 2048]."""
        streams = self.tokens(maps)
        if self.cmplm is not None:
            streams = streams + self.cmplm(streams)
        if self.cab is not None:
            return self.cab(streams).flatten(1)
        return rearrange(streams, "s b t c -> b (s t c)")

    def tokens(self, maps: Tensor) -> Tensor:
        """What the convolutions give, [b, 4, 3, 28, 28] -> [s, b, t, c]; t runs along rows."""
        phases = rearrange(maps, "b (k s) c y x -> (s b) (k c) y x", s=2)
        return rearrange(self.stem(phases), "(s b) c y x -> s b (y x) c", s=2)
