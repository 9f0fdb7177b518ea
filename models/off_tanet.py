"""Off-TANet: a small residual network with gating attention on the onset-apex flow.

Paper: "Off-TANet: A Lightweight Neural Micro-expression Recognizer with Optical Flow Features and
Integrated Attention Mechanism", PRICAI 2021.
Source of facts: the paper and a description of the published code; no code was read.
Licence of the original: GPL-3.0, its published weights too; nothing of either is here.

Departures: the flow is the stored one, resized, where the original computes TV-L1 at 112 x 112;
its logits are those of the last epoch, not of the best one on the test subjects. The twelve 1x1
convolutions of a layer of heads are one product.

Legend of dimensions: b clips, h heads, c channels of a head, i and j rows, w columns.
"""

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from common.errors import UserError, name_list

input = "flow"
training = {
    "epochs": 201,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "optimizer": "adam",
    "schedule": "step",
    "step_epochs": 60,
    "step_factor": 0.3,
    "shuffle": True,
}
stackable = False

IMAGE_SIZE = 112
STEM, WIDE, WIDEST, LAST = 8, 18, 28, 8
"""Channels after the stem, the first and the second residual block, and the last block."""
GRID = IMAGE_SIZE // 8
"""Side of the last block's input, 14."""
HEADS = 4
HIDDEN = 64
Strain = Literal["published", "optical"]
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def prepare(
    stored: np.ndarray,
    clips: pd.DataFrame,
    generator: torch.Generator | None,
    strain: Strain = "published",
) -> Tensor:
    """The flow from onset to apex at 112 x 112, with its strain as third channel.

    Nothing is drawn: the published training has no augmentation.

    Args:
        stored: float [B, 2, S, S, 2]: phase, row, column, (u, v) in pixels of the side S. Bilinear
            resizing (antialiased) to 112 also scales the vectors, so that they stay in pixels.
        clips: not used.
        generator: not used.
        strain: see ``flow_channels``.

    Returns:
        float32 [B, 3, 112, 112].
    """
    flow = rearrange(torch.from_numpy(stored[:, 0]).float(), "b i w uv -> b uv i w")
    side = flow.shape[-1]
    if side != IMAGE_SIZE:
        size = (IMAGE_SIZE, IMAGE_SIZE)
        flow = F.interpolate(flow, size, mode="bilinear", antialias=True) * (IMAGE_SIZE / side)
    return flow_channels(flow, strain)


def flow_channels(flow: Tensor, strain: Strain = "published") -> Tensor:
    """u, v and the strain, from 3x3 Sobel sums (unscaled, reflected without the edge pixel).

    Args:
        flow: float [B, 2, H, W]: u to the right, v downwards, in pixels.
        strain: ``published`` is sqrt(ux^2 + uy^2 + (vx + uy)^2 / 2), as the original computes it;
            ``optical`` has vy^2 in place of uy^2, as the strain tensor has it.

    Returns:
        [B, 3, H, W].

    Raises:
        UserError: another strain.
    """
    if strain not in get_args(Strain):
        raise UserError(f"strain {strain!r} is unknown; choose {name_list(get_args(Strain))}.")
    along = flow.new_tensor(SOBEL)
    kernels = torch.stack((along, along.T))[:, None]
    padded = F.pad(flow, (1, 1, 1, 1), mode="reflect")
    slopes = F.conv2d(padded.flatten(0, 1)[:, None], kernels)
    ux, uy, vx, vy = slopes.unflatten(0, flow.shape[:2]).flatten(1, 2).unbind(1)
    second = uy if strain == "published" else vy
    magnitude = (ux**2 + second**2 + (vx + uy) ** 2 / 2).sqrt()
    return torch.cat((flow, magnitude[:, None]), dim=1)


class ConvolutionNorm(nn.Sequential):
    """One or more times: 3x3 convolution, batch norm, ReLU."""

    def __init__(self, *widths: int) -> None:
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            convolution = nn.Conv2d(width_in, width_out, kernel_size=3, padding=1)
            layers += [convolution, nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Residual(nn.Module):
    """Two convolutions beside a 1x1 convolution, summed, then halved by the maximum."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = ConvolutionNorm(width_in, width_out, width_out)
        self.botneck = nn.Conv2d(width_in, width_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width_in, H, W] -> [B, width_out, H/2, W/2]."""
        return F.max_pool2d(self.conv(x) + self.botneck(x), 2)


class ChannelAttention(nn.Module):
    """A weight for each channel, from its mean and its maximum, through one hidden unit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, 1, kernel_size=1, bias=False)
        self.fc2 = nn.Conv2d(1, width, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> weights [B, C, 1, 1]."""
        pooled = (F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1))
        mean, maximum = (self.fc2(F.relu(self.fc1(value))) for value in pooled)
        return torch.sigmoid(mean + maximum)


class SpatialAttention(nn.Module):
    """A weight for each place, from the mean and the maximum over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> weights [B, 1, H, W]."""
        pooled = torch.stack((x.mean(dim=1), x.amax(dim=1)), dim=1)
        return torch.sigmoid(self.conv1(pooled))


class Head(nn.Module):
    """The weights of one head; ``Heads`` computes all heads at once."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.w_q = nn.Conv2d(width_in, width, kernel_size=1)
        self.w_k = nn.Conv2d(width_in, width, kernel_size=1)
        self.w_v = nn.Conv2d(width_in, width, kernel_size=1)


class Heads(nn.Module):
    """Four heads side by side; each channel's 14x14 matrices gate its values.

    Args:
        width_in: channels of the input.
        width: channels of one head.
        position_bias: add the position matrix to the scores, not its product with the queries.
    """

    position: Tensor

    def __init__(self, width_in: int, width: int, position_bias: bool) -> None:
        super().__init__()
        self.sa_blocks = nn.ModuleList(Head(width_in, width) for _ in range(HEADS))
        self.position_bias = position_bias
        self.register_buffer("position", position_matrix(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width_in, 14, 14] -> [B, 4 width, 14, 14]."""
        layers = [part for part in self.sa_blocks.modules() if isinstance(part, nn.Conv2d)]
        weight = torch.cat([layer.weight for layer in layers])
        bias = torch.cat([layer.bias for layer in layers if layer.bias is not None])
        heads = rearrange(F.conv2d(x, weight, bias), "b (h t c) i w -> t b (h c) i w", h=HEADS, t=3)
        query, key, value = heads.contiguous()
        if self.position_bias:
            scores = query @ key.mT + self.position
        else:
            scores = query @ (key + self.position).mT
        return scores.flatten(2).softmax(dim=-1).view_as(scores) * value


def position_matrix() -> Tensor:
    """Pos[r, c] = u_r + u_c, [14, 14]; u is the sine or cosine of a frequency, not of a place.

    u is computed in float64 and rounded to float32, then summed in it: the stored logits tell this
    from other orders (as the published network does it).
    """
    place = torch.arange(GRID, dtype=torch.float64)
    frequency = 10_000 ** (-(place // 2) / GRID)
    u = torch.where(place % 2 == 0, frequency.sin(), frequency.cos()).float()
    return u[:, None] + u


class AttentionBlock(nn.Module):
    """A convolution, attention of the variant's kinds, and a 1x1 convolution of the input beside.

    Args:
        gates: channel and spatial attention (variants ``ta``, ``cbam``).
        head_width: channels of one head; 0 means no heads (``cbam``).
        position_bias: see ``Heads``.
    """

    def __init__(self, gates: bool, head_width: int, position_bias: bool) -> None:
        super().__init__()
        self.conv1 = ConvolutionNorm(WIDEST, WIDEST)
        self.conv2 = ConvolutionNorm(WIDEST, LAST)
        self.botneck = nn.Conv2d(WIDEST, LAST, kernel_size=1)
        if gates:
            self.spa = SpatialAttention()
            self.ca = ChannelAttention(WIDEST)
        if head_width:
            self.sa = Heads(WIDEST, head_width, position_bias)
        self.gates, self.has_heads = gates, head_width > 0

    def forward(self, x: Tensor) -> Tensor:
        """[B, 28, 14, 14] -> [B, 8, 7, 7]."""
        main = self.conv1(x)
        if self.gates:
            main = main * self.ca(main)
            main = main * self.spa(main)
        if self.has_heads:
            main = self.sa(main)
        if self.gates:
            # Without gates (variant sa) the heads give 8 channels and conv2 is never called.
            main = self.conv2(main)
        return F.max_pool2d(main + self.botneck(x), 2)


class HeadsBlock(nn.Module):
    """Variant ``bot``: two layers of heads and a 1x1 convolution beside them."""

    def __init__(self, position_bias: bool) -> None:
        super().__init__()
        self.botneck = nn.Conv2d(WIDEST, LAST, kernel_size=1)
        first, second = (Heads(w, LAST // HEADS, position_bias) for w in (WIDEST, LAST))
        self.sa = nn.Sequential(first, second)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 28, 14, 14] -> [B, 8, 7, 7]."""
        return F.max_pool2d(self.sa(x) + self.botneck(x), 2)


class OffTANet(nn.Module):
    """Stem, two residual blocks, the variant's last block, three linear layers.

    Args:
        last_block: [B, 28, 14, 14] -> [B, 8, 7, 7].
        classes: logits C.
        unused_parts: prefixes of state-dict entries that take no part in the logits.
    """

    def __init__(
        self, last_block: nn.Module, classes: int, unused_parts: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.unused_parts = unused_parts
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, STEM, kernel_size=7, stride=2, padding=3),
            nn.ReLU(),
            nn.BatchNorm2d(STEM),
        )
        self.res1 = Residual(STEM, WIDE)
        self.res2 = Residual(WIDE, WIDEST)
        self.eres = last_block
        self.dense = nn.Sequential(
            nn.Linear(LAST * (GRID // 2) ** 2, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, classes),
        )

    def forward(self, clips: Tensor) -> Tensor:
        """u, v, strain [B, 3, 112, 112] -> logits [B, C]."""
        clips = clips.contiguous(memory_format=torch.channels_last)
        features = self.eres(self.res2(self.res1(self.conv1(clips))))
        logits: Tensor = self.dense(features.flatten(1))
        return logits


VARIANTS = ("ta", "sa", "cbam", "res", "bot")


def build(classes: int = 3, variant: str = "ta", position_bias: bool = False) -> OffTANet:
    """Off-TANet, or one of its published variants.

    Args:
        classes: logits.
        variant: the last block. ``ta``: channel, spatial and head attention (published); ``sa``:
            heads alone; ``cbam``: no heads; ``res``: a plain residual block; ``bot``: heads in
            place of convolutions.
        position_bias: add the position matrix to the heads' scores, in place of its product with
            the queries.

    Raises:
        UserError: an unknown variant, or fewer than two classes.
    """
    if variant not in VARIANTS:
        raise UserError(f"variant {variant!r} is unknown; choose one of {name_list(VARIANTS)}.")
    if classes < 2:
        raise UserError(f"classes {classes} must be at least 2.")
    if variant == "res":
        return OffTANet(Residual(WIDEST, LAST), classes)
    if variant == "bot":
        return OffTANet(HeadsBlock(position_bias), classes)
    if variant == "sa":
        block = AttentionBlock(False, LAST // HEADS, position_bias)
        return OffTANet(block, classes, unused_parts=("eres.conv2.",))
    return OffTANet(
        AttentionBlock(True, WIDEST // HEADS if variant == "ta" else 0, position_bias), classes
    )
