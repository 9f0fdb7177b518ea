"""SRMCL: a vision transformer on one flow image; it rebuilds masked patches, keeps a memory.

Paper: "SRMCL", IEEE Transactions on Affective Computing 2024, doi 10.1109/TAFFC.2024.3397701.
Source of facts: the paper and a description of the published code; no code was read.
Licence of the original: none, all rights reserved; nothing of it is here.

Chosen here, once, because the published repository has no training script and no input generator:
AdamW at a constant 1e-4 with decay 0.05 (usual for transformers of this kind), 50 epochs, balanced
batches of 30 clips, no augmentation, the last epoch. u and v are stretched over 0 to 255, since
the published loader divides by 255 and takes ImageNet's mean. Its file layout is that of a DSSN
re-implementation, whose range is -128 to 3968: the probable ancestor, not proven, kept as scale
``dssn``. There the reconstruction loss is a thousand times the others, and on synthetic clips the
network learned more slowly; nothing else was looked at for any of these choices.

Departures: the memory is filled by the first batches and follows every later one with weight .9,
where the paper's figure also refills it before each epoch; its update is a plain statement after
the loss, with the gradient taken at the old prototypes as published, where the original hides it in
the backward pass. An epoch has at least one batch and starts with freshly shuffled classes. The
memory is not saved: the test path does not read it.

Legend of dimensions: n clips, m masking passes, t tokens without the class token, d width, e width
of the decoder, c classes, h heads, i and j rows and columns of patches, p and q of pixels in one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torchvision.transforms import v2

from common.errors import UserError, name_list

input = "flow"
training = {
    "epochs": 50,
    "batch_size": 30,
    "learning_rate": 1e-4,
    "optimizer": "adamw",
    "weight_decay": 0.05,
}
stackable = False
small = {
    "patch_size": 56,
    "width": 32,
    "depth": 1,
    "heads": 2,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_heads": 2,
}

IMAGE_SIZE = 224
CHANNELS = 3
SCALES = {"bytes": (0.0, 255.0), "dssn": (-128.0, 3968.0)}
"""Range of u and v. DSSN's formula: 16 * 256 * (f - min) / (max - min) - 128."""
BYTE_RANGE = 255.0
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

MLP_RATIO = 2
NORM_EPSILON = 1e-6
HEAD_EPSILON = 1e-5
TOKEN_SCALE = 0.02
POSITION_BASE = 10_000.0
POSITION_PARTS = 4
"""Sine and cosine of the column, sine and cosine of the row."""

MASK_RATIO = 0.75
PASSES = 2
RECONSTRUCTION_WEIGHT, MEMORY_WEIGHT = 0.5, 0.5
TEMPERATURE = 0.05
MOMENTUM = 0.1
"""Weight of the old prototype."""


def prepare(
    stored: np.ndarray,
    clips: pd.DataFrame,
    generator: torch.Generator | None,
    scale: str = "bytes",
) -> Tensor:
    """u, v and magnitude of the flow from onset to apex, as an image for the network.

    Args:
        stored: float [B, 2, S, S, 2]: phase, row, column, (u, v) in pixels.
        clips: not used.
        generator: not used, nothing is drawn.
        scale: see ``rescaled``.

    Returns:
        float32 [B, 3, 224, 224].
    """
    return flow_images(rescaled(torch.from_numpy(stored[:, 0]).float(), scale))


def rescaled(flow: Tensor, scale: str = "bytes") -> Tensor:
    """Each clip's u and v stretched over a range; a constant one is its lower end.

    Args:
        flow: float [B, S, S, 2].
        scale: ``bytes`` (0 to 255) or ``dssn`` (-128 to 3968).

    Raises:
        UserError: an unknown scale.
    """
    if scale not in SCALES:
        raise UserError(f"scale {scale!r} is unknown; choose one of {name_list(SCALES)}.")
    lowest, highest = SCALES[scale]
    low, high = flow.amin(dim=(1, 2), keepdim=True), flow.amax(dim=(1, 2), keepdim=True)
    share = (flow - low) / (high - low).where(high > low, 1.0)
    return lowest + (highest - lowest) * share


def flow_images(flow: Tensor, *, antialias: bool = True) -> Tensor:
    """u, v and magnitude, bilinear to 224 x 224, over 255, by ImageNet's mean and deviation.

    Args:
        flow: float [B, S, S, 2].
        antialias: matters above 224 only; the published default depends on torchvision's version.

    Returns:
        float [B, 3, 224, 224].
    """
    channels = torch.cat((flow, flow.norm(dim=-1, keepdim=True)), dim=-1)
    image = rearrange(channels, "n p q c -> n c p q")
    image = v2.functional.resize(image, [IMAGE_SIZE, IMAGE_SIZE], antialias=antialias)
    return v2.functional.normalize(image / BYTE_RANGE, IMAGENET_MEAN, IMAGENET_STD)


@dataclass(frozen=True)
class Stack:
    """Sizes of a row of blocks.

    Raises:
        UserError: sizes that do not fit each other.
    """

    width: int
    depth: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads) < 1:
            raise UserError(
                f"width {self.width}, depth {self.depth} and heads {self.heads} must be at least 1."
            )
        if self.width % self.heads or self.width % POSITION_PARTS:
            raise UserError(
                f"width {self.width} must be a multiple of its {self.heads} heads and of the "
                f"{POSITION_PARTS} parts of a position."
            )

    def blocks(self) -> nn.Sequential:
        """Freshly drawn blocks."""
        return nn.Sequential(*(Block(self.width, self.heads) for _ in range(self.depth)))


@dataclass(frozen=True)
class Geometry:
    """Sizes of the whole network.

    Raises:
        UserError: the patches do not fit the image.
    """

    patch_size: int
    encoder: Stack
    decoder: Stack

    def __post_init__(self) -> None:
        sizes = [size for size in range(1, IMAGE_SIZE // 2 + 1) if IMAGE_SIZE % size == 0]
        if self.patch_size not in sizes:
            raise UserError(
                f"patch_size {self.patch_size} does not cut {IMAGE_SIZE} pixels into equal "
                f"patches. Give one of {name_list(sizes)}."
            )

    @property
    def side(self) -> int:
        """Patches in a row of the image."""
        return IMAGE_SIZE // self.patch_size


class Attention(nn.Module):
    """Self-attention over all tokens, scaled by the root of a head's width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1 + t, d] -> the same."""
        parts = rearrange(self.qkv(x), "n t (three h d) -> three n h t d", three=3, h=self.heads)
        mixed = F.scaled_dot_product_attention(*parts)
        projected: Tensor = self.proj(rearrange(mixed, "n h t d -> n t (h d)"))
        return projected


class Mlp(nn.Module):
    """Two linear maps with GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1 + t, d] -> the same."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Attention and MLP, each behind a norm and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, 1 + t, d] -> the same."""
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchEmbedding(nn.Module):
    """One linear map of each patch, as a convolution whose stride is its size."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(CHANNELS, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """[n, 3, 224, 224] -> [n, t, d], patches row by row."""
        return rearrange(self.proj(images), "n d i j -> n (i j) d")


class Backbone(nn.Module):
    """Encoder, the block behind it, and the decoder that rebuilds masked patches.

    The order of construction is the published order of the state dict.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.patch_size, self.patches = geometry.patch_size, geometry.side**2
        width, narrow = geometry.encoder.width, geometry.decoder.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width).normal_(std=TOKEN_SCALE))
        self.pos_embed = fixed_positions(geometry.side, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width).normal_(std=TOKEN_SCALE))
        self.decoder_pos_embed = fixed_positions(geometry.side, narrow)
        self.patch_embed = PatchEmbedding(geometry.patch_size, width)
        self.blocks = geometry.encoder.blocks()
        self.last_blocks = Block(width, geometry.encoder.heads)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.decoder_embed = nn.Linear(width, narrow)
        self.decoder_blocks = geometry.decoder.blocks()
        self.decoder_norm = nn.LayerNorm(narrow, eps=NORM_EPSILON)
        self.decoder_pred = nn.Linear(narrow, CHANNELS * geometry.patch_size**2)

    def feature(self, images: Tensor) -> Tensor:
        """The test path, without masks: [n, 3, 224, 224] -> [n, d]."""
        feature: Tensor = self.last_blocks(self.encode(images))[:, 0]
        return feature

    def encode(self, images: Tensor) -> Tensor:
        """[n, 3, 224, 224] -> [n, 1 + t, d], the class token first."""
        patches = self.patch_embed(images) + self.pos_embed[:, 1:]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(images), -1, -1)
        tokens: Tensor = self.norm(self.blocks(torch.cat((first, patches), dim=1)))
        return tokens

    def masked_feature(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The training path: mask tokens behind the encoder, and again those already masked.

        Args:
            images: float [n, 3, 224, 224].
            noise: float [m, n, t]; a pass keeps the tokens whose noise is smallest.

        Returns:
            The class token's feature [n, d] of the tokens after the last pass, and the
            reconstruction loss, summed over the passes.
        """
        masks = hidden_tokens(noise)
        tokens, passes = self.encode(images), []
        for mask in F.pad(masks, (1, 0)):
            tokens = torch.where(mask[..., None], self.mask_token, tokens)
            passes.append(tokens)
        rebuilt = rearrange(self._decode(torch.cat(passes)), "(m n) t e -> m n t e", m=len(masks))
        errors = (rebuilt - self._pixels(images)).square().mean(dim=-1)
        reconstruction = (errors * masks).sum() / masks[0].sum()
        feature: Tensor = self.last_blocks(tokens)[:, 0]
        return feature, reconstruction

    def _decode(self, tokens: Tensor) -> Tensor:
        """[n, 1 + t, d] -> pixels of each patch [n, t, p q 3]; the same norm acts twice."""
        x = self.decoder_norm(self.decoder_embed(tokens)) + self.decoder_pos_embed
        pixels: Tensor = self.decoder_pred(self.decoder_norm(self.decoder_blocks(x)))
        return pixels[:, 1:]

    def _pixels(self, images: Tensor) -> Tensor:
        """[n, 3, 224, 224] -> [n, t, p q 3]."""
        size = self.patch_size
        return rearrange(images, "n c (i p) (j q) -> n (i j) (p q c)", p=size, q=size)


class SelfReconstruction(Backbone):
    """The published form without a memory ("SR"): a backbone with its head inside."""

    def __init__(self, geometry: Geometry, classes: int) -> None:
        super().__init__(geometry)
        self.mlp_head = _head(geometry.encoder.width, classes)
        self.apply(_draw)

    def forward(self, images: Tensor) -> Tensor:
        """[n, 3, 224, 224] -> logits [n, c]."""
        logits: Tensor = self.mlp_head(self.feature(images))
        return logits

    def training_loss(self, images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Cross entropy and half the reconstruction; noise as in ``masked_feature``."""
        feature, reconstruction = self.masked_feature(images, noise)
        classification = F.cross_entropy(self.mlp_head(feature), labels)
        return classification + RECONSTRUCTION_WEIGHT * reconstruction


class SRMCL(nn.Module):
    """The published full form: backbone, head, and a memory of one prototype a class.

    ``prototypes`` [c, d] is no entry of the state dict; ``memory.features`` of a published
    checkpoint is ignored.

    Attributes:
        unused_parts: prefixes of state-dict entries that take no part in the logits or the loss.
        ignored_parts: prefixes of published entries that are not loaded.
    """

    prototypes: Tensor

    def __init__(self, geometry: Geometry, classes: int) -> None:
        super().__init__()
        self.backbone, self.patches = Backbone(geometry), geometry.side**2
        self.mlp_head = _head(geometry.encoder.width, classes)
        self.unused_parts, self.ignored_parts = ("bn_neck.",), ("memory.",)
        self.bn_neck = nn.BatchNorm1d(geometry.encoder.width)
        self.bn_neck.bias.requires_grad_(False)
        prototypes = torch.zeros(classes, geometry.encoder.width)
        self.register_buffer("prototypes", prototypes, persistent=False)
        self.register_load_state_dict_pre_hook(_ignore_parts)
        self.apply(_draw)

    def forward(self, images: Tensor) -> Tensor:
        """[n, 3, 224, 224] -> logits [n, c]."""
        logits: Tensor = self.mlp_head(self.backbone.feature(images))
        return logits

    def training_loss(self, images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        """Cross entropy, half the reconstruction, half the memory loss; then the memory's update.

        The loss and its gradient are those of the prototypes before the update.
        """
        feature, reconstruction = self.backbone.masked_feature(images, noise)
        feature_unit = F.normalize(feature, dim=-1)
        classification = F.cross_entropy(self.mlp_head(feature), labels)
        memory = memory_loss(feature_unit, labels, self.prototypes.clone())
        with torch.no_grad():
            self.prototypes.copy_(updated_prototypes(self.prototypes, feature_unit, labels))
        return classification + RECONSTRUCTION_WEIGHT * reconstruction + MEMORY_WEIGHT * memory


def memory_loss(features: Tensor, labels: Tensor, prototypes: Tensor) -> Tensor:
    """Cross entropy of the similarities to the prototypes over the temperature.

    Args:
        features: float [n, d] of length 1.
        labels: int [n].
        prototypes: float [c, d].
    """
    return F.cross_entropy(features @ prototypes.T / TEMPERATURE, labels)


def updated_prototypes(prototypes: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """.1 of the old and .9 of the class's mean feature, at length 1; absent classes as they were.

    Args:
        prototypes: float [c, d].
        features: float [n, d] of length 1.
        labels: int [n].
    """
    members = F.one_hot(labels, len(prototypes)).to(features.dtype)
    counts = members.sum(dim=0)[:, None]
    means = members.T @ features / counts.clamp(min=1)
    mixed = F.normalize(MOMENTUM * prototypes + (1 - MOMENTUM) * means, dim=-1)
    return torch.where(counts > 0, mixed, prototypes)


def hidden_tokens(noise: Tensor) -> Tensor:
    """bool, of the noise's shape [..., t]: all but the quarter with the smallest noise."""
    kept = int(noise.shape[-1] * (1 - MASK_RATIO))
    lowest = noise.argsort(dim=-1, stable=True)[..., :kept]
    return torch.ones_like(noise, dtype=torch.bool).scatter(-1, lowest, False)


def fixed_positions(side: int, width: int) -> nn.Parameter:
    """Frozen [1, 1 + side^2, width], rounded to float32; zeros for the class token.

    The first half of the width encodes the column, the second the row, each as sines and cosines
    of the place times 10000^(-k / (width / 4)).
    """
    quarter = width // POSITION_PARTS
    frequencies = POSITION_BASE ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    angles = torch.arange(side, dtype=torch.float64)[:, None] * frequencies
    line = torch.cat((angles.sin(), angles.cos()), dim=1)
    columns, rows = line.expand(side, -1, -1), line[:, None].expand(-1, side, -1)
    grid = torch.cat((columns, rows), dim=-1).flatten(0, 1)
    return nn.Parameter(F.pad(grid, (0, 0, 1, 0))[None].float(), requires_grad=False)


def _head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width, eps=HEAD_EPSILON), nn.Linear(width, classes))


def _draw(module: nn.Module) -> None:
    """The published initial weights of linear maps and the patch convolution."""
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.xavier_uniform_(module.weight.data.flatten(1))
        nn.init.zeros_(module.bias)


def _ignore_parts(module: SRMCL, state: dict[str, Any], prefix: str, *_: object) -> None:
    ignored = tuple(prefix + part for part in module.ignored_parts)
    for name in [name for name in state if name.startswith(ignored)]:
        del state[name]


FORMS: Mapping[str, type[SRMCL] | type[SelfReconstruction]] = {
    "srmcl": SRMCL,
    "sr": SelfReconstruction,
}


def build(
    classes: int = 3,
    form: str = "srmcl",
    patch_size: int = 16,
    width: int = 768,
    depth: int = 3,
    heads: int = 16,
    decoder_width: int = 512,
    decoder_depth: int = 3,
    decoder_heads: int = 16,
) -> SRMCL | SelfReconstruction:
    """A freshly drawn network: float [N, 3, 224, 224] -> logits [N, classes].

    Args:
        form: ``srmcl``, the full model, or ``sr``, reconstruction without the memory.

    Raises:
        UserError: an unknown form, or sizes that do not fit each other.
    """
    if form not in FORMS:
        raise UserError(f"form {form!r} is unknown; choose one of {', '.join(FORMS)}.")
    if classes < 2:
        raise UserError(f"classes {classes} must be at least 2.")
    encoder = Stack(width, depth, heads)
    decoder = Stack(decoder_width, decoder_depth, decoder_heads)
    return FORMS[form](Geometry(patch_size, encoder, decoder), classes)


def training_step(
    network: SRMCL | SelfReconstruction,
    clips: Tensor,
    labels: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The loss of one batch, with masks drawn from ``generator``; updates the network's memory.

    Args:
        clips: float [n, 3, 224, 224].
        labels: int [n].
    """
    shape = (PASSES, len(clips), network.patches)
    noise = torch.rand(shape, generator=generator, device=generator.device)
    return network.training_loss(clips, labels, noise.to(clips.device))


def epoch_order(
    labels: np.ndarray, batch_size: int, generator: torch.Generator
) -> list[np.ndarray]:
    """The clips of each batch of an epoch, as many of each class: row numbers of ``labels``.

    A class is gone through in a drawn order, and in a new one when too few are left for a batch.
    A class with too few clips for a batch gives all that it has. The last batch is left out, a
    full one too, as published; the first never is.

    Args:
        labels: int [N] of the training clips.
        batch_size: clips of a batch; rounded down to a multiple of the classes that are present.
    """
    classes = np.unique(labels)
    share = max(1, batch_size // len(classes))
    batches = max(1, (len(labels) - 1) // (share * len(classes)))
    parts = [_shares(np.flatnonzero(labels == label), share, generator) for label in classes]
    return [np.concatenate([next(part) for part in parts]) for _ in range(batches)]


def _shares(clips: np.ndarray, count: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """``count`` clips of a class at a time, or all of a class that has fewer; without end."""
    while True:
        places = torch.randperm(len(clips), generator=generator, device=generator.device)
        order = clips[places.cpu().numpy()]
        for start in range(0, max(len(clips) - count, 0) + 1, count):
            yield order[start : start + count]
