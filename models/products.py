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
TILE_ROWS = 2048
KEPT_WIDTH = 512


def norm_linear(
    x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """``linear(layer_norm(x, scale, shift), weight, bias)`` that keeps x alone. [..., i] -> [..., o]."""
    out: Tensor = _NormLinear.apply(x, scale, shift, weight, bias)
    return out


class _NormLinear(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        return F.linear(F.layer_norm(x, x.shape[-1:], scale, shift, NORM_EPSILON), weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, scale, shift, weight, bias = inputs
        ctx.save_for_backward(x, scale, shift, weight)
        ctx.has_bias = bias is not None

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight = ctx.saved_tensors
        width = x.shape[-1:]
        normed, mean, spread = torch.native_layer_norm(x, width, scale, shift, NORM_EPSILON)
        d_weight, d_bias = _linear_gradients(grad, normed, ctx.has_bias)
        d_x, d_scale, d_shift = torch.ops.aten.native_layer_norm_backward(
            grad @ weight, x, width, mean, spread, scale, shift, [True, True, True]
        )
        return d_x, d_scale, d_shift, d_weight, d_bias


def feed_forward(
    x: Tensor,
    norm: tuple[Tensor, Tensor] | None,
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
) -> Tensor:
    """``x + linear(gelu(linear(layer_norm(x), *first)), *second)``. [..., i] -> [..., i].

    The rows go through in tiles that stay in the cache, so the hidden values never fill memory at
    once. Narrow layers compute them again in the backward pass (i / 2 operations save a byte).

    Args:
        x: [..., i].
        norm: the layer norm's scale and shift, or None for no norm.
        first: weight [h, i] and bias [h].
        second: weight [i, h] and bias [i].
    """
    scale, shift = norm if norm is not None else (None, None)
    out: Tensor = _FeedForward.apply(x.flatten(0, -2), scale, shift, *first, *second)[0]
    return out.view_as(x)


class _FeedForward(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Any, shift: Any, *layers: Tensor) -> tuple[Tensor, Tensor]:
        weight_1, bias_1, weight_2, bias_2 = layers
        outs, kept = [], [x.new_empty(0)]
        for tile in x.split(TILE_ROWS):
            hidden = F.linear(_normed(tile, scale, shift)[0], weight_1, bias_1)
            outs.append(F.linear(F.gelu(hidden), weight_2, bias_2).add_(tile))
            if x.shape[-1] >= KEPT_WIDTH:
                kept.append(hidden)
        return _joined(outs), _joined(kept[1:] or kept)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs[:-1], output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, weight_1, bias_1, weight_2, hidden = ctx.saved_tensors
        rows, grads = x.split(TILE_ROWS), grad.split(TILE_ROWS)
        kept = hidden.split(TILE_ROWS) if hidden.numel() else [None] * len(rows)
        d_xs, sums = [], None
        for tile, d_out, h in zip(rows, grads, kept, strict=True):
            normed, mean, spread = _normed(tile, scale, shift)
            if h is None:
                h = F.linear(normed, weight_1, bias_1)
            d_h = torch.ops.aten.gelu_backward(d_out @ weight_2, h)
            d_second = d_out.mT @ F.gelu(h), d_out.sum(dim=0)
            d_first = d_h.mT @ normed, d_h.sum(dim=0)
            d_x, *d_norm = _norm_gradients(d_h @ weight_1, tile, mean, spread, scale, shift)
            d_xs.append(d_x.add_(d_out))
            parts = *d_norm, *d_first, *d_second
            sums = parts if sums is None else [_added(a, b) for a, b in zip(sums, parts)]
        return _joined(d_xs), *sums


def _normed(
    x: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    if scale is None:
        return x, None, None
    return torch.native_layer_norm(x, x.shape[-1:], scale, shift, NORM_EPSILON)


def _norm_gradients(grad, x, mean, spread, scale, shift):
    if scale is None:
        return grad, None, None
    return torch.ops.aten.native_layer_norm_backward(
        grad, x, x.shape[-1:], mean, spread, scale, shift, [True, True, True]
    )

def _added(a, b):
    return None if a is None else a.add_(b)

def _joined(parts):
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _linear_gradients(grad: Tensor, x: Tensor, has_bias: bool) -> tuple[Tensor, Tensor | None]:
    rows = grad.flatten(0, -2)
    return rows.mT @ x.flatten(0, -2), rows.sum(dim=0) if has_bias else None


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
    taps = weight.permute(2, 3, 1, 0).contiguous()
    out: Tensor = _GridProduct.apply(x[None], taps[None])
    return out.squeeze(0) + bias


class _GridProduct(Function):
    """[k, y, x, b, i] and taps [k, 3, 3, i, o] -> [k, y, x, b, o]."""

    @staticmethod
    def forward(x: Tensor, taps: Tensor) -> Tensor:
        out = x.new_zeros(*x.shape[:-1], taps.shape[-1])
        for tap, there, here in _row_meetings(x.shape[1], x.shape[2]):
            _rows(out, there).baddbmm_(_rows(x, here), taps[:, *tap])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        out: tuple[Tensor, Tensor] = _GridProductGradients.apply(grad, *ctx.saved_tensors)
        return out

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        out = _GridProduct.apply(*_merged_stacks(info, in_dims, tensors))
        return out.unflatten(0, (info.batch_size, -1)), 0


class _GridProductGradients(Function):
    """Gradients of ``_GridProduct`` by its two inputs; they have no gradients of their own."""

    @staticmethod
    def forward(grad: Tensor, x: Tensor, taps: Tensor) -> tuple[Tensor, Tensor]:
        d_x, d_taps = torch.zeros_like(x), torch.zeros_like(taps)
        for tap, there, here in _row_meetings(x.shape[1], x.shape[2]):
            rows = _rows(grad, there)
            _rows(d_x, here).baddbmm_(rows, taps[:, *tap].mT)
            d_taps[:, *tap].baddbmm_(_rows(x, here).mT, rows)
        return d_x, d_taps

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Nothing is kept."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        parts = _GridProductGradients.apply(*_merged_stacks(info, in_dims, tensors))
        return tuple(part.unflatten(0, (info.batch_size, -1)) for part in parts), (0, 0)


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
