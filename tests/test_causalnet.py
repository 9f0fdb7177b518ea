"""CausalNet against stored outputs of the original, the plain forward, and its own definition."""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from common.errors import UserError
from models import create_model
from models.causalnet.blocks import MaskedAttention
from models.causalnet.reference import plain_forward
from tests.helpers.golden_weights import golden_maps, read_golden, real_maps, recipe_weights

COMPACT = {"dim": 32, "heads": 3, "block_repeats": (1, 1, 2)}
KEYS = read_golden("causalnet_keys.json")
FORWARD = read_golden("causalnet_forward.json")
TRAINING = read_golden("causalnet_training.json")


def network(seed: int = 0, **arguments: object) -> nn.Module:
    torch.manual_seed(seed)
    return create_model("causalnet", **{**COMPACT, "hidden": 64, **arguments})


def random_maps(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 4, 3, 28, 28, generator=torch.Generator().manual_seed(seed)) * 255


def plain_parameters(model: nn.Module) -> dict[str, Tensor]:
    """The model's state dict as leaves of the plain forward; its buffers want no gradient."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    trained = [name for name in state if name.split(".")[-1] not in ("M_mask", "P_matrix")]
    return {name: value.requires_grad_(name in trained) for name, value in state.items()}


def published_gradients(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The model's gradients under published names, dead query and key rows as zeros."""
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        gradient = parameter.grad
        if name.endswith("to_qkv.value"):
            dead = gradient.new_zeros(2 * len(gradient), gradient.shape[1])
            gradient = torch.cat((dead, gradient))[:, :, None, None]
            name = name.removesuffix("value") + "weight"
        yield name, gradient


def assert_same_gradients(model: nn.Module, plain: Mapping[str, Tensor]) -> None:
    """Equal to rounding, relative to each tensor's largest gradient."""
    for name, gradient in published_gradients(model):
        expected = plain[name].grad
        assert expected is not None
        torch.testing.assert_close(
            gradient, expected, rtol=1e-8, atol=1e-10 * (1 + float(expected.abs().max())), msg=name
        )


@pytest.fixture(scope="module")
def golden_network() -> nn.Module:
    """The recipe's weights at (2, 2, 2), in float64; tests leave them as they are."""
    model = create_model("causalnet", block_repeats=(2, 2, 2), gamma=FORWARD["gamma"])
    model.load_state_dict(recipe_weights(model.state_dict()), strict=True)
    return model.double()


@pytest.mark.parametrize("listing", KEYS["listings"], ids=lambda item: str(item["block_repeats"]))
def test_the_state_dict_has_the_published_names_order_and_shapes(listing: dict) -> None:
    with torch.device("meta"):
        state = create_model("causalnet", block_repeats=listing["block_repeats"]).state_dict()
    entries = [[name, list(value.shape)] for name, value in state.items()]
    assert len(entries) == listing["entries"]
    text = json.dumps(entries, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == listing["sha256"]


@pytest.mark.parametrize("total", KEYS["totals"], ids=lambda item: str(item["block_repeats"]))
def test_every_configuration_of_the_grid_has_the_published_parameter_count(total: dict) -> None:
    with torch.device("meta"):
        state = create_model("causalnet", block_repeats=total["block_repeats"]).state_dict()
    buffers = ("M_mask", "P_matrix")
    counts = [v.numel() for name, v in state.items() if not name.endswith(buffers)]
    assert sum(counts) == total["parameters"]


def test_logits_equal_the_originals(golden_network: nn.Module) -> None:
    with torch.no_grad():
        double = golden_network(golden_maps().double())
        single = golden_network.float()(golden_maps())
        golden_network.double()
    expected = torch.tensor(FORWARD["float64 logits on the same input"], dtype=torch.float64)
    torch.testing.assert_close(double, expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(
        single, torch.tensor(FORWARD["float32"]["logits"]), rtol=1e-4, atol=0
    )


def test_logits_on_real_samples_equal_the_originals(
    golden_network: nn.Module, released_folder: Path
) -> None:
    golden = FORWARD["float64 logits on two real samples"]
    with torch.no_grad():
        logits = golden_network(real_maps(released_folder, golden["samples"]))
    expected = torch.tensor(golden["logits"], dtype=torch.float64)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=0)


def test_six_training_steps_equal_the_originals(
    golden_network: nn.Module, released_folder: Path
) -> None:
    maps = real_maps(released_folder, TRAINING["samples"])
    labels = torch.tensor(TRAINING["labels"])
    model = copy.deepcopy(golden_network)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5, fused=True)
    losses = []
    for step in range(TRAINING["steps"]):
        logits = model(maps)
        if step == 0:
            before = logits[:2].detach()
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = model(maps[:2])
    for got, name in (
        (before, "logits_before_on_first_2"),
        (torch.tensor(losses, dtype=torch.float64), "losses"),
        (after, "logits_after_on_first_2"),
    ):
        expected = torch.tensor(TRAINING[name], dtype=torch.float64)
        torch.testing.assert_close(got, expected, rtol=1e-8, atol=0)


@pytest.mark.parametrize("gamma", [0.3, 0.5])
def test_logits_and_gradients_equal_the_plain_forwards(gamma: float) -> None:
    model = network(gamma=gamma).double()
    plain = plain_parameters(model)
    maps, labels = random_maps(5).double(), torch.tensor([0, 1, 2, 0, 1])
    logits, expected = model(maps), plain_forward(plain, maps)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    assert_same_gradients(model, plain)


def test_ten_training_steps_equal_the_plain_ones() -> None:
    model = network().double()
    plain = plain_parameters(model)
    maps, labels = random_maps(6).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    leaves = [value for value in plain.values() if value.requires_grad]
    losses: list[list[float]] = [[], []]
    ours = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    theirs = torch.optim.Adam(leaves, lr=1e-3)
    for _ in range(10):
        pairs = ((ours, model(maps)), (theirs, plain_forward(plain, maps)))
        for record, (optimizer, logits) in zip(losses, pairs, strict=True):
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            record.append(loss.item())
    assert losses[0][-1] != losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_stacked_networks_give_each_ones_own_logits_and_gradients() -> None:
    models = [network(seed) for seed in range(3)]
    maps = torch.stack([random_maps(4, seed) for seed in range(3)]).double()
    labels = torch.tensor([[0, 1, 2, 0], [1, 1, 2, 0], [2, 0, 1, 1]])
    parameters, buffers = stack_module_state([model.double() for model in models])
    template = network().double()

    def loss(own: dict, kept: dict, clips: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        logits = functional_call(template, (own, kept), (clips,))
        return F.cross_entropy(logits, truth), logits

    gradients, logits = vmap(grad(loss, has_aux=True))(parameters, buffers, maps, labels)
    for place, model in enumerate(models):
        own = model(maps[place])
        torch.testing.assert_close(logits[place], own, rtol=1e-10, atol=1e-12)
        F.cross_entropy(own, labels[place]).backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(
                gradients[name][place], parameter.grad, rtol=1e-8, atol=1e-12
            )


@pytest.fixture
def deterministic() -> Iterator[None]:
    """As the workers train; torch then refuses operations that may give other bytes."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def test_stacked_bf16_gradients_repeat_their_bytes(deterministic: None) -> None:
    template, maps = network(), random_maps(8).unflatten(0, (2, 4))
    parameters, buffers = stack_module_state([network(seed) for seed in range(2)])
    forward = vmap(lambda *state: functional_call(template, state[:2], state[2:]))

    def gradients() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(parameters, buffers, maps)
        return list(torch.autograd.grad(logits.float().square().sum(), list(parameters.values())))

    for first, second in zip(gradients(), gradients(), strict=True):
        assert first.isfinite().all() and first.any() and torch.equal(first, second)


def test_a_seed_draws_the_published_layers_in_the_published_order() -> None:
    state = network(seed=5).state_dict()
    torch.manual_seed(5)
    prefixes = ["to_patch_embedding.", "to_patch_embedding1."]
    prefixes += [f"{layers}.{stage}." for stage in range(3) for layers in ("layers", "layers1")]
    prefixes += ["CrossAttention.", "cab.", "mlp_head."]
    for prefix in prefixes:
        for name in (name for name in state if name.startswith(prefix)):
            weight = state[name]
            if name.endswith("pos_emb"):
                assert torch.equal(weight, torch.randn(1)), name
            elif name.endswith("weight") and weight.ndim > 1:
                bias = name.removesuffix("weight") + "bias"
                drawn = drawn_layer(weight, bias in state).state_dict()
                assert torch.equal(weight, drawn["weight"]), name
                assert bias not in state or torch.equal(state[bias], drawn["bias"]), bias


def drawn_layer(weight: Tensor, has_bias: bool) -> nn.Conv2d | nn.Linear:
    width_out, width_in = weight.shape[:2]
    if weight.ndim == 2:
        return nn.Linear(width_in, width_out, bias=has_bias)
    return nn.Conv2d(width_in, width_out, kernel_size=weight.shape[-1], bias=has_bias)


def test_the_diagonal_place_takes_its_share_and_gives_nothing() -> None:
    attention = MaskedAttention(dim=8, heads=1, gamma=0.5, scale=1.0)
    penalty = torch.zeros(4, 4)
    penalty[0, 3], penalty[1, 2], penalty[2, 1], penalty[3, 0] = -2.0, -1.5, -1.0, -0.5
    assert torch.equal(attention.P_matrix, penalty)
    # With equal logits and all values 1 an output is its row's sum (docs/causalnet.md, 2.3).
    equal = {name: torch.zeros_like(value) for name, value in attention.state_dict().items()}
    equal |= {"to_kv.bias": torch.ones(16), "to_out.0.weight": torch.eye(8)}
    equal |= {"M_mask": attention.M_mask, "P_matrix": attention.P_matrix}
    attention.load_state_dict(equal)
    sums = attention(torch.rand(1, 4, 8), torch.rand(1, 4, 8))[0, :, 0]
    assert sums.tolist() == pytest.approx([0.957, 0.931, 0.891, 0.832], abs=5e-4)


@pytest.mark.parametrize(
    ("ablation", "unseen"),
    [
        ("none", []),
        ("no_cmplm", []),
        ("no_cab", []),
        ("no_direction", [2, 3]),
        ("contraction_only", [1, 3]),
    ],
)
def test_an_ablation_sees_exactly_the_maps_it_says(ablation: str, unseen: list[int]) -> None:
    model = network(ablation=ablation).double()
    maps = random_maps(2).double()
    logits = model(maps)
    for index in range(4):
        changed = maps.clone()
        changed[:, index] = changed[:, index].flip(-1)
        same = torch.allclose(model(changed), logits, rtol=1e-9, atol=0)
        assert same == (index in unseen), index


@pytest.mark.parametrize(
    ("ablation", "absent"),
    [
        ("no_cmplm", ("CrossAttention.",)),
        ("no_cab", ("cab.",)),
        ("no_direction", ("CrossAttention.", "layers1.", "to_patch_embedding1.")),
        ("contraction_only", ("nothing",)),
    ],
)
def test_an_ablation_leaves_out_its_part_and_no_other(
    ablation: str, absent: tuple[str, ...]
) -> None:
    kept = [name for name in network().state_dict() if not name.startswith(absent)]
    assert list(network(ablation=ablation).state_dict()) == kept


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"image_size": 56}, "image_size 56 does not fit: .* Choose image_size 28"),
        ({"image_size": 30}, "image_size 30 does not fit"),
        ({"block_repeats": (1, 1), "image_size": 14}, r"block_repeats \(1, 1\) has 2 stages"),
        ({"block_repeats": (1, 1, 1, 1), "image_size": 56}, "give 3 numbers"),
        ({"dim": 36}, "dim 36 is not a multiple of 8"),
        ({"heads": 64}, "heads 64 is more than dim 32"),
        ({"block_repeats": (1, 0, 2)}, "whole numbers of at least 1"),
        ({"classes": 1}, "classes 1 must be at least 2"),
        ({"ablation": "no_head"}, "'no_head' is unknown; choose one of none, no_cmplm"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        network(**arguments)
