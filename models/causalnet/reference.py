"""CausalNet and HTNet layer by layer as docs/causalnet.md states them, without any shortcut.

The tests and ``benchmarks/methods.py`` compare the networks with it: a separate pass through the
encoder for every map, 1x1 convolutions on maps of one token, whole q, k and v, softmax over one
token, both CAB branches in full. It reads a state dict with the published names. Nothing is slowed
down, and nothing is left out because its result is known.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

EPSILON = 1e-5
CROSS_HEADS = 8
State = Mapping[str, Tensor]


def plain_forward(state: State, maps: Tensor, patch_size: int = 7, heads: int = 3) -> Tensor:
    """Maps [b, 4, 3, 28, 28] -> logits [b, classes] (docs/causalnet.md, sections 2.2 to 2.4)."""
    tokens = [
        _to_tokens(plain_encoder(state, maps[:, index], suffix, patch_size, heads))
        for index, suffix in enumerate(("", "", "1", "1"))
    ]
    first, second = _cross(state, tokens[2], tokens[3])
    x, y = tokens[0] + first, tokens[1] + second
    forward_cause, forward_effect = _causal_branch(state, x, y)
    backward_cause, backward_effect = _causal_branch(state, y, x)
    related = _relation(state, forward_effect, backward_effect)
    features = torch.cat((related, forward_cause, backward_cause), dim=1).flatten(1)
    return _linear(state, "mlp_head.1", _linear(state, "mlp_head.0", features))


def plain_htnet(state: State, images: Tensor, patch_size: int = 7, heads: int = 3) -> Tensor:
    """Onset-apex maps [b, 3, 28, 28] -> logits [b, classes] (docs/causalnet.md, section 2.8)."""
    x = plain_encoder(state, images, "", patch_size, heads)
    pooled = _channel_norm(state, "mlp_head.0", x).mean(dim=(2, 3))
    return _linear(state, "mlp_head.2", pooled)


def plain_encoder(
    state: State, images: Tensor, suffix: str = "", patch_size: int = 7, heads: int = 3
) -> Tensor:
    """Images [b, 3, y, x] -> map [b, c, y, x] of the last stage (docs/causalnet.md, 2.2)."""
    patches = rearrange(images, "b c (y p) (x q) -> b (p q c) y x", p=patch_size, q=patch_size)
    x = _convolution(state, f"to_patch_embedding{suffix}.1", patches)
    prefix = f"layers{suffix}"
    stages = _count(state, f"{prefix}.")
    for stage in range(stages):
        blocks = 2 ** (stages - 1 - stage)
        x = _stage(state, f"{prefix}.{stage}.0", x, blocks, heads * 2**stage)
        if stage < stages - 1:
            x = _convolution(state, f"{prefix}.{stage}.1.0", x, padding=1)
            x = _channel_norm(state, f"{prefix}.{stage}.1.1", x)
            x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    return x


def _stage(state: State, prefix: str, x: Tensor, blocks: int, heads: int) -> Tensor:
    side = x.shape[-1] // blocks
    x = rearrange(x, "b c (yb y) (xb x) -> (b yb xb) c y x", yb=blocks, xb=blocks)
    x = x + state[f"{prefix}.pos_emb"].view(side, side)
    for layer in range(_count(state, f"{prefix}.layers.")):
        name = f"{prefix}.layers.{layer}"
        normed = _channel_norm(state, f"{name}.0.norm", x)
        x = _block_attention(state, f"{name}.0.fn", normed, heads) + x
        normed = _channel_norm(state, f"{name}.1.norm", x)
        hidden = F.gelu(_convolution(state, f"{name}.1.fn.net.0", normed))
        x = _convolution(state, f"{name}.1.fn.net.3", hidden) + x
    return rearrange(x, "(b yb xb) c y x -> b c (yb y) (xb x)", yb=blocks, xb=blocks)


def _block_attention(state: State, prefix: str, x: Tensor, heads: int) -> Tensor:
    side = x.shape[-1]
    projected = _convolution(state, f"{prefix}.to_qkv", x)
    q, k, v = (
        rearrange(part, "b (h c) y x -> b h (y x) c", h=heads) for part in projected.chunk(3, dim=1)
    )
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
    merged = rearrange(weights @ v, "b h (y x) c -> b (h c) y x", y=side)
    return _convolution(state, f"{prefix}.to_out.0", merged)


def _to_tokens(pooled: Tensor) -> Tensor:
    return rearrange(pooled, "b (c t) 1 1 -> b t c", t=4)


def _cross(state: State, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    for layer in range(_count(state, "CrossAttention.layers.")):
        prefix = f"CrossAttention.layers.{layer}"
        scale = a.shape[-1] ** -0.5
        a_query, b_query = _norm(state, f"{prefix}.0", a), _norm(state, f"{prefix}.0", b)
        a = a + _masked_attention(state, f"{prefix}.1", a_query, b, scale)
        b = b + _masked_attention(state, f"{prefix}.1", b_query, a, scale)
        a = _feed_forward(state, f"{prefix}.2", a) + a
        b = _feed_forward(state, f"{prefix}.2", b) + b
    return a, b


def _masked_attention(
    state: State, prefix: str, query: Tensor, context: Tensor, scale: float
) -> Tensor:
    mask, penalty = state[f"{prefix}.M_mask"], state[f"{prefix}.P_matrix"]
    q = _heads(_linear(state, f"{prefix}.to_q", query))
    k, v = (_heads(part) for part in _linear(state, f"{prefix}.to_kv", context).chunk(2, dim=-1))
    logits = q @ k.transpose(-1, -2) * scale
    weights = (logits * mask + penalty).softmax(dim=-1) * mask
    return _linear(state, f"{prefix}.to_out.0", _merge(weights @ v))


def _causal_branch(state: State, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    prefix = "cab.layers.0"
    scale = (x1.shape[-1] // CROSS_HEADS) ** -0.5
    n1, n2 = _norm(state, f"{prefix}.0", x1), _norm(state, f"{prefix}.0", x2)
    n1 = _masked_attention(state, f"{prefix}.1", n1, n1, scale) + n1
    n2 = _masked_attention(state, f"{prefix}.1", n2, n2, scale) + n2
    n2 = _temporal(state, f"{prefix}.1", n1, n2, scale) + n2
    return _feed_forward(state, f"{prefix}.2", n1) + n1, _feed_forward(
        state, f"{prefix}.2", n2
    ) + n2


def _temporal(state: State, prefix: str, n1: Tensor, n2: Tensor, scale: float) -> Tensor:
    q = _heads(_linear(state, f"{prefix}.temp_to_q", n2))
    k1, v1 = (_heads(part) for part in _linear(state, f"{prefix}.temp_to_kv", n1).chunk(2, dim=-1))
    k2, v2 = (_heads(part) for part in _linear(state, f"{prefix}.temp_to_kv", n2).chunk(2, dim=-1))
    scores = torch.stack(((q * k1).sum(-1), (q * k2).sum(-1)), dim=-1) * scale
    share = scores.softmax(dim=-1)
    mixed = share[..., :1] * v1 + share[..., 1:] * v2
    return _linear(state, f"{prefix}.temp_to_out.0", _merge(mixed))


def _relation(state: State, effect: Tensor, cause: Tensor) -> Tensor:
    prefix = "cab.layers.0.3"
    q = _heads(_linear(state, f"{prefix}.to_q", effect))
    k = _heads(_linear(state, f"{prefix}.to_k", cause))
    v = _heads(_linear(state, f"{prefix}.to_v", effect + cause))
    weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return _linear(state, f"{prefix}.to_out.0", _merge(weights @ v) + effect + cause)


def _feed_forward(state: State, prefix: str, x: Tensor) -> Tensor:
    return _linear(state, f"{prefix}.3", F.gelu(_linear(state, f"{prefix}.0", x)))


def _heads(x: Tensor) -> Tensor:
    return rearrange(x, "b t (h c) -> b h t c", h=CROSS_HEADS)


def _merge(x: Tensor) -> Tensor:
    return rearrange(x, "b h t c -> b t (h c)")


def _linear(state: State, prefix: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{prefix}.weight"], state[f"{prefix}.bias"])


def _convolution(state: State, prefix: str, x: Tensor, padding: int = 0) -> Tensor:
    return F.conv2d(x, state[f"{prefix}.weight"], state.get(f"{prefix}.bias"), padding=padding)


def _norm(state: State, prefix: str, x: Tensor) -> Tensor:
    width = x.shape[-1:]
    return F.layer_norm(x, width, state[f"{prefix}.weight"], state[f"{prefix}.bias"], EPSILON)


def _channel_norm(state: State, prefix: str, x: Tensor) -> Tensor:
    mean = x.mean(dim=1, keepdim=True)
    variance = x.var(dim=1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + EPSILON).sqrt() * state[f"{prefix}.g"] + state[f"{prefix}.b"]


def _count(state: State, prefix: str) -> int:
    """How many numbered parts the names that begin with ``prefix`` have."""
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})
