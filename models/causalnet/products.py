"""Matrix products that keep less for the backward pass and touch memory less often.

Each is the plain expression in its docstring with the plain gradient; norms, GELUs and all but the
widest hidden values are computed again in the backward pass instead of being kept. All work under
``torch.func.vmap`` with stacked weights.

Legend of dimensions: k stacked networks, y and x places of a grid, b batch, i channels in,
o channels out.
"""

from collections.abc import Iterator, Sequence
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
# Inputs at least this wide keep their hidden values: computing them again costs width / 2
# operations for each byte saved.
KEPT_WIDTH = 1024

Layer = tuple[Tensor, Tensor | None]


def residual_pair(
    x: Tensor, norm: Layer | None, first: Layer, second: Layer, gelu: bool = True
) -> Tensor:
    """``x + linear(gelu(linear(layer_norm(x), *first)), *second)``. [..., i] -> [..., i].

    The rows go through in tiles, in both passes, so that hidden values of all but the widest inputs
    never exist all at once.

    Args:
        x: [..., i].
        norm: scale [i] and shift [i] of the layer norm; None for no norm.
        first: weight [h, i] and bias [h] or None.
        second: weight [i, h] and bias [i].
        gelu: False leaves the GELU out.
    """
    tensors = _in_one_type(x.flatten(0, -2), *(norm or (None, None)), *first, *second)
    stacks = [tensor if tensor is None else tensor[None] for tensor in tensors]
    out: Tensor = _ResidualPair.apply(*stacks, gelu)[0]
    return out.view_as(x)


class _OfStacks(Function):
    """A function of tensors [k, ...]; under vmap the mapped networks become the stack.

    It goes through a stack network by network where that keeps a network's values in the cache.
    """

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Any, Any]:
        outs = cls.apply(*_merged_stacks(info.batch_size, in_dims, inputs))
        if isinstance(outs, Tensor):
            return outs.unflatten(0, (info.batch_size, -1)), 0
        parts = [out if out is None else out.unflatten(0, (info.batch_size, -1)) for out in outs]
        return tuple(parts), tuple(None if part is None else 0 for part in parts)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept: what has no gradient of its own needs nothing."""


class _ResidualPair(_OfStacks):
    """[k, n, i], [k, i] twice, [k, h, i], [k, h], [k, i, h], [k, i] -> [k, n, i], and [k, n, h] or
    [k, 0]: the hidden values, where they are kept."""

    @staticmethod
    def forward(x: Tensor, *weights_and_gelu: Any) -> tuple[Tensor, Tensor]:
        *weights, gelu = weights_and_gelu
        out, kept = torch.empty_like(x), x.new_empty(len(x), 0)
        if x.shape[-1] >= KEPT_WIDTH:
            kept = x.new_empty(*x.shape[:2], weights[2].shape[1])
        for network, own in enumerate(_by_network(weights, len(x))):
            scale, shift, weight_1, bias_1, weight_2, bias_2 = own
            tiles = x[network].split(TILE_ROWS), out[network].split(TILE_ROWS)
            for tile, place, keep in zip(*tiles, _kept_tiles(kept[network], x), strict=True):
                hidden = F.linear(_normed(tile, scale, shift)[0], weight_1, bias_1)
                if keep is not None:
                    keep.copy_(hidden)
                active = F.gelu(hidden) if gelu else hidden
                torch.addmm(bias_2, active, weight_2.mT, out=place)
                place.add_(tile)
        return out, kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *tensors, gelu = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1], *tensors)
        ctx.gelu = gelu

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return *_ResidualPairGradients.apply(grad, *ctx.saved_tensors, ctx.gelu), None


class _ResidualPairGradients(_OfStacks):
    """Gradients of ``_ResidualPair`` by its rows and by its six weights."""

    @staticmethod
    def forward(
        grad: Tensor, kept: Tensor, x: Tensor, *weights_and_gelu: Any
    ) -> tuple[Tensor | None, ...]:
        *weights, gelu = weights_and_gelu
        d_x = torch.empty_like(x)
        d_weights = [None if weight is None else torch.empty_like(weight) for weight in weights]
        networks = _by_network(weights, len(x)), _by_network(d_weights, len(x))
        for network, (own, sums) in enumerate(zip(*networks, strict=True)):
            tiles = (rows[network].split(TILE_ROWS) for rows in (x, grad, d_x))
            places = zip(*tiles, _kept_tiles(kept[network], x), strict=True)
            for number, (tile, d_out, d_tile, hidden) in enumerate(places):
                _tile_gradients(tile, d_out, hidden, own, gelu, d_tile, sums, added=number > 0)
        return d_x, *d_weights


def _kept_tiles(kept: Tensor, x: Tensor) -> list[Tensor | None]:
    """One network's kept hidden values, a tile of rows each; None where nothing was kept."""
    if kept.numel():
        return list(kept.split(TILE_ROWS))
    return [None] * -(-x.shape[1] // TILE_ROWS)


def _by_network(stacks: Sequence[Tensor | None], networks: int) -> list[list[Any]]:
    """The stacked tensors of each network by itself."""
    return [
        [None if stack is None else stack[network] for stack in stacks]
        for network in range(networks)
    ]


def _tile_gradients(
    x: Tensor,
    d_out: Tensor,
    hidden: Tensor | None,
    weights: list[Any],
    gelu: bool,
    d_x: Tensor,
    sums: list[Any],
    added: bool,
) -> None:
    """Write a tile's gradients by its rows to ``d_x``, write or add its weights' to ``sums``."""
    scale, shift, weight_1, bias_1, weight_2, _ = weights
    normed, *statistics = _normed(x, scale, shift)
    if hidden is None:
        hidden = F.linear(normed, weight_1, bias_1)
    d_hidden = d_out @ weight_2
    if gelu:
        d_hidden = torch.ops.aten.gelu_backward(d_hidden, hidden)
    d_normed, d_norm = d_hidden @ weight_1, [None, None]
    if scale is not None:
        d_normed, *d_norm = torch.ops.aten.native_layer_norm_backward(
            d_normed, x, x.shape[-1:], *statistics, scale, shift, [True, True, True]
        )
    torch.add(d_normed, d_out, out=d_x)
    beta = 1 if added else 0
    _, _, s_weight_1, s_bias_1, s_weight_2, s_bias_2 = sums
    s_weight_1.addmm_(d_hidden.mT, normed, beta=beta)
    s_weight_2.addmm_(d_out.mT, F.gelu(hidden) if gelu else hidden, beta=beta)
    parts = (*d_norm, None if bias_1 is None else d_hidden.sum(dim=0), d_out.sum(dim=0))
    for place, part in zip((sums[0], sums[1], s_bias_1, s_bias_2), parts, strict=True):
        if part is not None:
            place.add_(part) if added else place.copy_(part)


def _normed(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor, ...]:
    """The normalised rows, their means and reciprocal spreads; without a scale, the rows alone."""
    if scale is None:
        return (x,)
    normed: tuple[Tensor, ...] = torch.native_layer_norm(
        x, x.shape[-1:], scale, shift, NORM_EPSILON
    )
    return normed


def _in_one_type(*tensors: Tensor | None) -> list[Any]:
    """All in autocast's type where it is on: a function's backward pass knows no autocast."""
    device = next(tensor.device.type for tensor in tensors if tensor is not None)
    if not torch.is_autocast_enabled(device):
        return list(tensors)
    kind = torch.get_autocast_dtype(device)
    return [tensor if tensor is None else tensor.to(kind) for tensor in tensors]


def norm_pool(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer norm over channels, then 3x3 max-pool with stride 2 and padding 1. Keeps x alone.

    [y, x, b, i] -> [y/2, x/2, b, i].
    """
    x, scale, shift = _in_one_type(x, scale, shift)
    out: Tensor = _NormPool.apply(x[None], scale[None], shift[None])[0]
    return out.squeeze(0)


class _NormPool(_OfStacks):
    """[k, y, x, b, i], [k, i], [k, i] -> [k, y/2, x/2, b, i], and the winners' places."""

    @staticmethod
    def forward(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        outs, winners = [], []
        for own in zip(x, scale, shift, strict=True):
            planes = _planes(_normed(*own)[0])
            pooled, places = F.max_pool2d_with_indices(planes, *POOL_WINDOW)
            outs.append(_places(pooled, x.shape[-1]))
            winners.append(places)
        return torch.stack(outs), torch.stack(winners)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        gradients: tuple[Tensor, ...] = _NormPoolGradients.apply(grad, *ctx.saved_tensors)
        return gradients


class _NormPoolGradients(_OfStacks):
    """Gradients of ``_NormPool`` by x, scale and shift."""

    @staticmethod
    def forward(*grad_and_saved: Tensor) -> tuple[Tensor, ...]:
        gradients = []
        for grad, x, scale, shift, winners in zip(*grad_and_saved, strict=True):
            normed, *statistics = _normed(x, scale, shift)
            d_normed = torch.ops.aten.max_pool2d_with_indices_backward(
                _planes(grad), _planes(normed), *POOL_WINDOW, (1, 1), False, winners
            )
            d_rows = _places(d_normed, x.shape[-1])
            gradients.append(
                torch.ops.aten.native_layer_norm_backward(
                    d_rows, x, x.shape[-1:], *statistics, scale, shift, [True, True, True]
                )
            )
        return tuple(torch.stack(parts) for parts in zip(*gradients, strict=True))


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


class _GridProduct(_OfStacks):
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


class _GridProductGradients(_OfStacks):
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


def _merged_stacks(count: int, in_dims: Sequence[int | None], inputs: Sequence[Any]) -> list[Any]:
    """The mapped dimension and the tensors' own k as one leading dimension."""
    return [
        _merged_stack(count, place, own) if isinstance(own, Tensor) else own
        for place, own in zip(in_dims, inputs, strict=True)
    ]


def _merged_stack(count: int, place: int | None, tensor: Tensor) -> Tensor:
    if place is None:
        return tensor.expand(count, *tensor.shape).flatten(0, 1)
    return tensor.movedim(place, 0).flatten(0, 1)
