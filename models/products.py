"""Matrix products that keep less for the backward pass and touch memory less often.

Each is the plain expression in its docstring with the plain gradient; what is cheap (a norm, a
GELU) is computed again in the backward pass instead of being kept. All work under
``torch.func.vmap`` with stacked weights.

Legend of dimensions: k stacked networks, y and x places of a grid, b batch, i channels in,
o channels out.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

NORM_EPSILON = 1e-5
TAPS = 3
# Size, stride and padding of the max-pool.
POOL_WINDOW = (3, 3), (2, 2), (1, 1)
# Rows of a tile: few enough for a tile to stay in the cache, enough for full-speed products.
TILE_ROWS = 1024
# Inputs at least this wide keep their hidden values; computing them again costs width / 2
# operations for each byte saved.
KEPT_WIDTH = 512

Layer = tuple[Tensor, Tensor | None]
Sums = tuple[Tensor | None, ...]


def residual_pair(
    x: Tensor, norm: Layer | None, first: Layer, second: Layer, gelu: bool = True
) -> Tensor:
    """``x + linear(gelu(linear(layer_norm(x), *first)), *second)``. [..., i] -> [..., i].

    The rows go through in tiles, so that hidden values of narrow inputs never exist all at once.

    Args:
        x: [..., i].
        norm: scale [i] and shift [i] of the layer norm; None for no norm.
        first: weight [h, i] and bias [h] or None.
        second: weight [i, h] and bias [i].
        gelu: False leaves the GELU out.
    """
    tensors = _in_one_type(x.flatten(0, -2), *(norm or (None, None)), *first, *second)
    out: Tensor = _ResidualPair.apply(*tensors, gelu)[0]
    return out.view_as(x)


class _ResidualPair(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
        weight_1: Tensor,
        bias_1: Tensor | None,
        weight_2: Tensor,
        bias_2: Tensor,
        gelu: bool,
    ) -> tuple[Tensor, Tensor]:
        outs, kept = [], []
        for tile in x.split(TILE_ROWS):
            hidden = F.linear(_normed(tile, scale, shift)[0], weight_1, bias_1)
            active = F.gelu(hidden) if gelu else hidden
            outs.append(F.linear(active, weight_2, bias_2).add_(tile))
            if x.shape[-1] >= KEPT_WIDTH:
                kept.append(hidden)
        return _joined(outs), _joined(kept) if kept else x.new_empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *tensors, _, gelu = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*tensors, output[1])
        ctx.gelu = gelu

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights, hidden = ctx.saved_tensors
        tiles, d_outs = x.split(TILE_ROWS), grad.split(TILE_ROWS)
        kept = hidden.split(TILE_ROWS) if hidden.numel() else [None] * len(tiles)
        d_xs: list[Tensor] = []
        sums: Sums | None = None
        for tile, d_out, own in zip(tiles, d_outs, kept, strict=True):
            d_x, parts = _tile_gradients(tile, d_out, own, weights, ctx.gelu)
            d_xs.append(d_x)
            sums = _added(sums, parts)
        assert sums is not None
        return _joined(d_xs), *sums, None


def _tile_gradients(
    x: Tensor, d_out: Tensor, hidden: Tensor | None, weights: list[Any], gelu: bool
) -> tuple[Tensor, Sums]:
    """Gradients of a tile's ``_ResidualPair`` by its rows and by the six weights."""
    scale, shift, weight_1, bias_1, weight_2 = weights
    normed, *statistics = _normed(x, scale, shift)
    if hidden is None:
        hidden = F.linear(normed, weight_1, bias_1)
    d_hidden = d_out @ weight_2
    if gelu:
        d_hidden = torch.ops.aten.gelu_backward(d_hidden, hidden)
    d_second = d_out.mT @ (F.gelu(hidden) if gelu else hidden), d_out.sum(dim=0)
    d_first = d_hidden.mT @ normed, None if bias_1 is None else d_hidden.sum(dim=0)
    d_x, d_norm = d_hidden @ weight_1, (None, None)
    if scale is not None:
        d_x, *d_norm = torch.ops.aten.native_layer_norm_backward(
            d_x, x, x.shape[-1:], *statistics, scale, shift, [True, True, True]
        )
    return d_x.add_(d_out), (*d_norm, *d_first, *d_second)


def _normed(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, ...]:
    """The normalised rows, their means and reciprocal spreads; without a scale, the rows alone."""
    if scale is None:
        return (x,)
    normed: tuple[Tensor, ...] = torch.native_layer_norm(
        x, x.shape[-1:], scale, shift, NORM_EPSILON
    )
    return normed


def _added(sums: Sums | None, parts: Sums) -> Sums:
    if sums is None:
        return parts
    return tuple(
        None if part is None or total is None else total.add_(part)
        for total, part in zip(sums, parts, strict=True)
    )


def _in_one_type(*tensors: Tensor | None) -> list[Any]:
    """All in autocast's type where it is on: a function's backward pass knows no autocast."""
    device = next(tensor.device.type for tensor in tensors if tensor is not None)
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    kind = torch.get_autocast_dtype(device)
    return [tensor if tensor is None else tensor.to(kind) for tensor in tensors]


def _joined(tiles: list[Tensor]) -> Tensor:
    return tiles[0] if len(tiles) == 1 else torch.cat(tiles)


def norm_pool(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer norm over channels, then 3x3 max-pool with stride 2 and padding 1. Keeps x alone.

    [y, x, b, i] -> [y/2, x/2, b, i].
    """
    out: Tensor = _NormPool.apply(*_in_one_type(x, scale, shift))[0]
    return out


class _NormPool(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        normed = F.layer_norm(x, x.shape[-1:], scale, shift, NORM_EPSILON)
        pooled, winners = F.max_pool2d_with_indices(_planes(normed), *POOL_WINDOW)
        return _places(pooled, x.shape[-1]), winners

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        x, scale, shift, winners = ctx.saved_tensors
        normed, *statistics = _normed(x, scale, shift)
        d_normed = torch.ops.aten.max_pool2d_with_indices_backward(
            _planes(grad), _planes(normed), *POOL_WINDOW, (1, 1), False, winners
        )
        gradients: tuple[Tensor, ...] = torch.ops.aten.native_layer_norm_backward(
            _places(d_normed, x.shape[-1]), x, x.shape[-1:], *statistics, scale, shift, [True] * 3
        )
        return gradients


def _planes(x: Tensor) -> Tensor:
    """[y, x, b, c] -> [1, b * c, y, x], a view; batch and channels are pooled alike."""
    return x.flatten(2).permute(2, 0, 1)[None]


def _places(planes: Tensor, channels: int) -> Tensor:
    """Back from ``_planes``."""
    return planes[0].permute(1, 2, 0).unflatten(-1, (-1, channels))


def grid_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution with padding 1 on a small grid; only taps on the grid are multiplied.

    At 2x2 places 16 of the 36 taps fall on the grid, at 4x4 places 100 of 144.

    Args:
        x: [y, x, b, i].
        weight: [o, i, 3, 3].
        bias: [o].

    Returns:
        [y, x, b, o].
    """
    x, weight, bias = _in_one_type(x, weight, bias)
    out: Tensor = _GridProduct.apply(x[None], weight[None], bias[None])
    return out.squeeze(0)


class _GridProduct(Function):
    """[k, y, x, b, i], [k, o, i, 3, 3], [k, o] -> [k, y, x, b, o]."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        k, places, width = len(x), x.shape[1:4], weight.shape[1]
        taps = _taps_first(weight)
        out = bias.view(k, 1, 1, 1, width).expand(k, *places, width).contiguous()
        for tap, there, here in _row_meetings(*places[:2]):
            _rows(out, there).baddbmm_(_rows(x, here), taps[:, *tap])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        gradients: tuple[Tensor, ...] = _GridProductGradients.apply(grad, *ctx.saved_tensors)
        return *gradients, grad.sum(dim=(1, 2, 3))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        out = _GridProduct.apply(*_merged_stacks(info, in_dims, tensors))
        return out.unflatten(0, (info.batch_size, -1)), 0


class _GridProductGradients(Function):
    """Gradients of ``_GridProduct`` by x and weight; they have no gradients of their own."""

    @staticmethod
    def forward(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        taps = _taps_first(weight)
        d_x, d_taps = torch.zeros_like(x), torch.zeros_like(taps)
        for tap, there, here in _row_meetings(*x.shape[1:3]):
            rows = _rows(grad, there)
            _rows(d_x, here).baddbmm_(rows, taps[:, *tap].mT)
            d_taps[:, *tap].baddbmm_(_rows(x, here).mT, rows)
        return d_x, d_taps.permute(0, 4, 3, 1, 2).contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        parts = _GridProductGradients.apply(*_merged_stacks(info, in_dims, tensors))
        return tuple(part.unflatten(0, (info.batch_size, -1)) for part in parts), (0, 0)


def _taps_first(weight: Tensor) -> Tensor:
    """[k, o, i, 3, 3] -> [k, 3, 3, i, o]."""
    return weight.permute(0, 3, 4, 2, 1).contiguous()


Row = tuple[int, slice]


def _row_meetings(height: int, width: int) -> Iterator[tuple[tuple[int, int], Row, Row]]:
    """Each tap, a row of places that it gives to, and the row of places that it takes from."""
    for tap_y, there_y, here_y in _meetings(height):
        for tap_x, there_x, here_x in _meetings(width):
            for y_out, y_in in zip(there_y, here_y, strict=True):
                yield (tap_y, tap_x), (y_out, _slice(there_x)), (y_in, _slice(here_x))


def _meetings(side: int) -> Iterator[tuple[int, range, range]]:
    """Each tap along one side: the places it gives to, and the places it takes from."""
    for tap in range(TAPS):
        shift = tap - TAPS // 2
        there = range(max(-shift, 0), side - max(shift, 0))
        if there:
            yield tap, there, range(there.start + shift, there.stop + shift)


def _slice(places: range) -> slice:
    return slice(places.start, places.stop)


def _rows(grid: Tensor, row: Row) -> Tensor:
    """Neighbouring places of one row as the rows of a matrix, a view. -> [k, places * b, c]."""
    return grid[:, row[0], row[1]].flatten(1, 2)


def _merged_stacks(
    info: Any, in_dims: tuple[int | None, ...], tensors: tuple[Tensor, ...]
) -> list[Tensor]:
    """The mapped dimension and the tensors' own k as one leading dimension."""
    return [
        (
            tensor.expand(info.batch_size, *tensor.shape)
            if place is None
            else tensor.movedim(place, 0)
        ).flatten(0, 1)
        for tensor, place in zip(tensors, in_dims, strict=True)
    ]
