"""MMNet: attention on the difference of onset and apex frames, beside a transformer on the onset.

Paper: "MMNet: Muscle Motion-guided Network for Micro-expression Recognition", IJCAI 2022, arXiv
2201.05297.
Source of facts: the paper and a description of the published code; no code was read.
Licence of the original: none, all rights reserved; nothing of it is here.

Departures: with three classes the first convolution has one group (the published script asks for
two on three channels and cannot start), and there are as many logits as classes unless the
published five are asked for; the logits are those of the last epoch, not of each subject's best
one. Frame jitter reaches the stored neighbors only (see ``draw_frames``).

Legend of dimensions: b clips, n tokens, h heads, d channels of a head, i and j places of the grid.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as pictures
from einops import rearrange
from torch import Tensor, nn
from torchvision.ops import StochasticDepth
from torchvision.transforms import InterpolationMode

from common.errors import UserError, name_list

input = "frames"
training = {
    "epochs": 74,
    "batch_size": 32,
    "learning_rate": 8e-4,
    "optimizer": "adamw",
    "weight_decay": 0.6,
    "schedule": "exponential",
    "decay": 0.987,
    "decay_epochs": 50,
    "shuffle": True,
}
training_by_classes = {3: {"epochs": 99, "batch_size": 24, "weight_decay": 0.7}}
stackable = False
small = {"width": 64, "stem_width": 16}

IMAGE_SIZE = 224
GRID = 14
"""Side of the token grid and of the motion branch's last maps."""
HEADS = 4
PUBLISHED_LOGITS = 5
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue."""
ONSET, APEX, AFTER_ONSET, BEFORE_APEX = 0, 1, 3, 6
"""Places in the stored frames: onset, apex, offset, onset+1..+3, apex-1..-3."""
NEIGHBORS = 3
STORED_FRAMES = 3 + 2 * NEIGHBORS


@dataclass(frozen=True)
class Script:
    """What the published scripts for three and for five classes set differently."""

    onset_jitter: float
    """Share of a quarter of the phase onset to apex that the onset moves at most; the apex: .15."""
    rotation: float
    """Degrees to either side."""
    padding: int
    """Pixels of zeros around the picture before the random crop."""
    depth: int
    """Transformer blocks."""
    hidden: int
    """Hidden width of a block's perceptron, as a multiple of its width."""
    dropped_path: float
    """Share of clips that the last block leaves out while training; the first block none."""
    unused_head: str
    """Name of the unused linear map to 38 action units."""


SCRIPTS = {
    3: Script(0.2, 4, 4, depth=3, hidden=2, dropped_path=0.3, unused_head="head1"),
    5: Script(0.15, 3, 15, depth=2, hidden=4, dropped_path=0.0, unused_head="head"),
}
APEX_JITTER = 0.15


def script_of(classes: int) -> Script:
    """The three-class script for three classes, the five-class one for any other number."""
    return SCRIPTS.get(classes, SCRIPTS[5])


def prepare(
    stored: np.ndarray,
    clips: pd.DataFrame,
    generator: torch.Generator | None,
    classes: int = 5,
) -> Tensor:
    """Onset and apex at 224 x 224, normalized; jittered and augmented where a generator is given.

    Args:
        stored: uint8 [B, 9, H, W, 3] RGB: onset, apex, offset, onset+1..+3, apex-1..-3. Bilinear
            resizing, antialiased, as Pillow does it, where H or W is not 224.
        clips: the B clips; ``draw_frames`` needs their frame numbers in training.
        generator: draws jitter, flip, rotation and crop, in this order for all clips; None at test.
        classes: 3 has the ranges of the three-class script, any other those of the five-class one.

    Returns:
        float32 [B, 2, 3, 224, 224].

    Raises:
        UserError: another number of frames, or no frame numbers in training.
    """
    if stored.ndim != 5 or stored.shape[1] != STORED_FRAMES:
        raise UserError(
            f"mmnet needs {STORED_FRAMES} stored frames a clip, got shape {list(stored.shape)}. "
            "Build the inputs anew with build_inputs.py --keep frames."
        )
    places = np.tile((ONSET, APEX), (len(stored), 1))
    script = script_of(classes)
    if generator is not None:
        places = draw_frames(clips, script, generator)
    chosen = torch.from_numpy(stored[np.arange(len(stored))[:, None], places])
    frames = normalized(rearrange(chosen, "b f i j c -> b f c i j"))
    return frames if generator is None else augmented(frames, script, generator)


def draw_frames(clips: pd.DataFrame, script: Script, generator: torch.Generator) -> np.ndarray:
    """Places of a jittered onset and apex among the stored frames, int [B, 2].

    With d frames from onset to apex, the onset moves by 0..int(.15 d / 4) frames forward (three
    classes: .2), the apex by as many back, each number alike likely. Only three neighbors are
    stored, so no move is longer (it could be from 107 frames on, three classes from 80), and the
    three-class script's moves of the apex beyond itself are left out.

    Raises:
        UserError: clips without the numbers of onset and apex.
    """
    missing = [name for name in ("onset", "apex") if name not in clips]
    if missing:
        raise UserError(
            f"mmnet draws frame jitter, but the inputs have no column {name_list(missing)}. Build "
            "them anew with build_inputs.py --keep frames."
        )
    numbers = clips[["onset", "apex"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    unknown = clips["clip"][~np.isfinite(numbers).all(axis=1)]
    if len(unknown):
        raise UserError(
            f"mmnet draws frame jitter, but onset or apex of {name_list(unknown)} is no frame "
            "number. Correct the sheet, or leave the clip out."
        )
    phase = numbers[:, 1] - numbers[:, 0]
    longest = np.stack([share * phase / 4 for share in (script.onset_jitter, APEX_JITTER)], axis=1)
    choices = 1 + longest.astype(int).clip(0, NEIGHBORS)
    drawn = torch.rand(choices.shape, generator=generator, dtype=torch.float64).numpy()
    moves = (drawn * choices).astype(int)
    neighbors = np.array((AFTER_ONSET, BEFORE_APEX)) + moves - 1
    return np.where(moves == 0, (ONSET, APEX), neighbors)


def normalized(frames: Tensor) -> Tensor:
    """uint8 [B, 2, 3, H, W] -> float32 [B, 2, 3, 224, 224], in ImageNet's units."""
    size = [IMAGE_SIZE, IMAGE_SIZE]
    if list(frames.shape[-2:]) != size:
        # Pillow's rounding, as published; torch's differs by 1 in some pixels of a thousand.
        images = (pictures.to_pil_image(frame) for frame in frames.flatten(0, 1))
        sized = [pictures.pil_to_tensor(pictures.resize(image, size)) for image in images]
        frames = torch.stack(sized).unflatten(0, frames.shape[:2])
    scaled = pictures.to_dtype(frames, torch.float32, scale=True)
    return pictures.normalize(scaled, list(MEAN), list(DEVIATION))


def augmented(frames: Tensor, script: Script, generator: torch.Generator) -> Tensor:
    """Each clip's frames by its own draw: flip, rotate, shift; [B, 2, 3, 224, 224]."""
    count = len(frames)
    flips = torch.rand(count, generator=generator) < 0.5
    angles = script.rotation * (2 * torch.rand(count, generator=generator) - 1)
    corners = torch.randint(2 * script.padding + 1, (count, 2), generator=generator)
    draws = zip(frames, flips.tolist(), angles.tolist(), corners.tolist(), strict=True)
    return torch.stack(
        [moved(clip, flip, angle, script.padding, corner) for clip, flip, angle, corner in draws]
    )


def moved(frames: Tensor, flip: bool, angle: float, padding: int, corner: list[int]) -> Tensor:
    """[..., 224, 224] flipped, rotated counter-clockwise by degrees, padded with zeros, cropped.

    Args:
        corner: top and left of the crop in the padded picture, 0..2 padding.
    """
    flipped = pictures.horizontal_flip(frames) if flip else frames
    rotated = pictures.rotate(flipped, angle, InterpolationMode.NEAREST)
    padded = pictures.pad(rotated, [padding], fill=0)
    return pictures.crop(padded, corner[0], corner[1], IMAGE_SIZE, IMAGE_SIZE)


class SelfAttention(nn.Module):
    """Four heads of scaled dot-product attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, width] -> [B, N, width]."""
        query, key, value = rearrange(self.qkv(tokens), "b n (t h d) -> t b h n d", t=3, h=HEADS)
        mixed = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(rearrange(mixed, "b h n d -> b n (h d)"))
        return projected


class Perceptron(nn.Module):
    """Two linear maps with an exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, width] -> [B, N, width]."""
        mapped: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mapped


class TransformerBlock(nn.Module):
    """Attention and perceptron, each on layer-normed tokens, added, or left out for some clips."""

    def __init__(self, width: int, hidden: int, dropped_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = SelfAttention(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Perceptron(width, hidden)
        self.drop_path = StochasticDepth(dropped_path, mode="row")

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, N, width] -> [B, N, width]."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens)))


class PatchEmbedding(nn.Module):
    """A 1x1 convolution under the published name ``proj``: each place of the grid is a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=1)

    def forward(self, grid: Tensor) -> Tensor:
        """[B, 3, 14, 14] -> [B, 196, width]."""
        return self.proj(grid).flatten(2).mT


class PositionBranch(nn.Module):
    """A transformer on the shrunken onset: where in the face each place of the grid is.

    ``cls_token``, ``head`` and ``to_Mask`` are never used; the published names need them.

    Args:
        width: channels of a token.
        script: depth, hidden width and dropped paths.
        logits: rows of the unused ``head``.
        antialias: shrink with antialiasing.
    """

    def __init__(self, width: int, script: Script, logits: int, antialias: bool) -> None:
        super().__init__()
        self.antialias = antialias
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID**2, width))
        self.patch_embed = PatchEmbedding(width)
        dropped = np.linspace(0, script.dropped_path, script.depth)
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, script.hidden * width, float(p)) for p in dropped)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, logits)
        self.to_Mask = nn.Sequential(nn.Linear(width, 1))
        self._initialize()

    def _initialize(self) -> None:
        linears = [module for module in self.modules() if isinstance(module, nn.Linear)]
        drawn = [self.pos_embed, self.cls_token, *(linear.weight for linear in linears)]
        for parameter in drawn:
            nn.init.trunc_normal_(parameter, std=0.02)
        for linear in linears:
            nn.init.zeros_(linear.bias)

    def forward(self, onset: Tensor) -> Tensor:
        """[B, 3, 224, 224] -> [B, width, 14, 14], channels last in memory."""
        size = (GRID, GRID)
        grid = F.interpolate(onset, size, mode="bilinear", antialias=self.antialias)
        tokens = self.norm(self.blocks(self.patch_embed(grid) + self.pos_embed))
        return rearrange(tokens, "b (i j) d -> b d i j", i=GRID)


class AttentionBlock(nn.Module):
    """A residual block whose output is weighted place by place, by its own and the prior map."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, kernel_size=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.attn = nn.Sequential(nn.Conv2d(2, 1, kernel_size=1, bias=False), nn.BatchNorm2d(1))
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width_out, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(width_out),
            )

    def forward(self, x: Tensor, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[B, width_in, H, W], prior map [B, 1, H/s, W/s] -> output at stride s, and its map."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)
        pooled = torch.stack((y.mean(dim=1), y.amax(dim=1)), dim=1)
        weights = torch.sigmoid(self.attn(pooled))
        if prior is not None:
            weights = weights * prior
        return y * weights, weights


class MotionBranch(nn.Module):
    """Four attention blocks that hand their maps on, then the classifier."""

    def __init__(self, stem_width: int, width: int, logits: int) -> None:
        super().__init__()
        quarter = width // 4
        self.conv1 = nn.Conv2d(stem_width, quarter, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(quarter)
        self.layer1 = nn.ModuleList([AttentionBlock(quarter, quarter, 1)])
        self.layer2 = nn.ModuleList([AttentionBlock(quarter, quarter, 2)])
        self.layer3 = nn.ModuleList([AttentionBlock(quarter, width // 2, 2)])
        self.layer4 = nn.ModuleList([AttentionBlock(width // 2, width, 2)])
        self.fc = nn.Linear(width * GRID**2, logits)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        """[B, stem_width, 112, 112] and [B, width, 14, 14] -> logits [B, L]."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x, weights = self.layer1[0](x)
        for layer in (self.layer2, self.layer3, self.layer4):
            prior = F.max_pool2d(weights, kernel_size=3, stride=2, padding=1)
            x, weights = layer[0](x, prior)
        logits: Tensor = self.fc((x + position).flatten(1))
        return logits


class MMNet(nn.Module):
    """The motion of the face, classified together with where it is; see ``build``.

    Attributes:
        unused_parts: prefixes of state-dict entries that take no part in the logits.
    """

    def __init__(
        self, script: Script, logits: int, antialias: bool, width: int, stem_width: int
    ) -> None:
        super().__init__()
        self.unused_parts = (
            "timeembed",
            "pos.",
            "vit_pos.cls_token",
            "vit_pos.head.",
            "vit_pos.to_Mask.",
            f"{script.unused_head}.",
        )
        self.timeembed = nn.Parameter(torch.zeros(1, 4, 111, 111))
        self.conv_act = nn.Sequential(
            nn.Conv2d(3, stem_width, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(stem_width),
            nn.ReLU(inplace=True),
        )
        self.pos = nn.Sequential(
            nn.Conv2d(3, width, kernel_size=1, bias=False), nn.BatchNorm2d(width)
        )
        self.vit_pos = PositionBranch(width, script, logits, antialias)
        self.main_branch = MotionBranch(stem_width, width, logits)
        action_units = nn.Linear((IMAGE_SIZE // 2) ** 2, 38, bias=False)
        self.add_module(script.unused_head, nn.Sequential(nn.Identity(), action_units))

    def forward(self, clips: Tensor) -> Tensor:
        """Onset and apex [B, 2, 3, 224, 224] -> logits [B, L]."""
        onset, apex = clips.unbind(1)
        motion = (apex - onset).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.main_branch(self.conv_act(motion), self.vit_pos(onset))
        return logits


def build(
    classes: int = 3,
    logits: int | None = None,
    antialias: bool = False,
    width: int = 512,
    stem_width: int = 180,
) -> MMNet:
    """MMNet of the three-class script (three classes) or of the five-class one (any other number).

    Args:
        classes: classes C.
        logits: logits where they are not C; both published scripts have 5.
        antialias: antialias the onset's shrinking to 14 x 14; off in the torchvision of 2022.
        width: channels of a token and of the last maps, a multiple of 4; published 512.
        stem_width: channels after the first convolution; published 180.

    Raises:
        UserError: fewer than two classes, fewer logits than classes, or widths that do not fit.
    """
    outputs = classes if logits is None else logits
    if classes < 2 or outputs < classes:
        raise UserError(f"classes {classes} must be at least 2, logits {outputs} not below it.")
    if width < 4 or width % 4 or stem_width < 1:
        raise UserError(
            f"width {width} must be a multiple of 4, stem_width {stem_width} at least 1."
        )
    return MMNet(script_of(classes), outputs, antialias, width, stem_width)
