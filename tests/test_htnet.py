"""HTNet against stored outputs of the original, and against the plain layers."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from common.errors import UserError
from models import htnet
from models.causalnet.reference import plain_htnet
from models.checkpoint import load_into
from tests.helpers.golden_weights import read_golden, recipe_weights

GOLDEN = read_golden("htnet.json")


def golden_network(block_repeats: list[int]) -> nn.Module:
    """The recipe's weights, loaded strictly; float64."""
    model = htnet.build(block_repeats=block_repeats)
    load_into(model, recipe_weights(model.state_dict()), "recipe")
    return model.double().eval()


def uniform_images(seed: int, count: int) -> Tensor:
    values = np.random.RandomState(seed).uniform(0, 255, size=(count, 3, 28, 28))
    return torch.from_numpy(values.astype(np.float32)).double()


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return htnet.build(**htnet.small).double()


def doubles(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("listing", GOLDEN["listings"], ids=lambda item: str(item["block_repeats"]))
def test_the_state_dict_has_the_published_names_order_and_shapes(listing: dict) -> None:
    with torch.device("meta"):
        state = htnet.build(block_repeats=listing["block_repeats"]).state_dict()
    entries = [[name, list(value.shape)] for name, value in state.items()]
    assert len(entries) == listing["entries"]
    assert sum(value.numel() for value in state.values()) == listing["parameters"]
    text = json.dumps(entries, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == listing["sha256"]


@pytest.mark.parametrize("case", GOLDEN["forward"], ids=lambda item: str(item["block_repeats"]))
def test_logits_equal_the_originals(case: dict) -> None:
    with torch.no_grad():
        logits = golden_network(case["block_repeats"])(uniform_images(7, 2))
    torch.testing.assert_close(logits, doubles(case["logits"]), rtol=0, atol=1e-10)


def test_five_training_steps_equal_the_originals() -> None:
    golden = GOLDEN["training"]
    model = golden_network(golden["block_repeats"]).train()
    images, labels = uniform_images(31, 4), torch.tensor(golden["labels"])
    optimizer = torch.optim.Adam(model.parameters(), lr=htnet.training["learning_rate"], fused=True)
    losses, norms, before = [], [], None
    for _ in range(5):
        logits = model(images)
        before = logits.detach() if before is None else before
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        norms.append(
            nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        )
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = model.eval()(images)
    assert before is not None
    torch.testing.assert_close(before, doubles(golden["logits_before"]), rtol=0, atol=1e-10)
    assert losses == pytest.approx(golden["losses"], rel=1e-8)
    assert norms[0] == pytest.approx(golden["gradient_norm_step_1"], rel=1e-8)
    torch.testing.assert_close(after, doubles(golden["logits_after"]), rtol=0, atol=1e-7)
    state = model.state_dict()
    for name, stored in golden["parameters_after"].items():
        values = state[name].flatten()
        assert len(values) == stored["n"]
        assert values.sum().item() == pytest.approx(stored["sum"], rel=1e-8), name
        assert values.square().sum().item() == pytest.approx(stored["sum_sq"], rel=1e-8), name
        assert values[:4].tolist() == pytest.approx(stored["first4"], rel=1e-8), name


def points_table(*points: list | None) -> pd.DataFrame:
    """One clip for each five points; None leaves a clip's cells empty."""
    rows = [np.full(10, np.nan) if own is None else np.ravel(own) for own in points]
    return pd.DataFrame(np.array(rows), columns=htnet.POINTS)


@pytest.mark.parametrize("case", GOLDEN["regions"], ids=["default points", "given points"])
def test_regions_equal_the_originals(case: dict) -> None:
    stored = np.zeros((1, 4, 28, 28, 3), np.uint8)
    stored[0, 0] = np.random.RandomState(51).randint(0, 256, size=(28, 28, 3))
    prepared = htnet.prepare(stored, points_table(case["points"]), None)
    assert prepared.shape == (1, 3, 28, 28) and prepared.dtype == torch.float32
    tiled = np.ascontiguousarray(prepared[0].permute(1, 2, 0).numpy().astype(np.uint8))
    assert hashlib.sha256(tiled.tobytes()).hexdigest() == case["sha256"]
    for place, value in case["pixels"].items():
        assert prepared[0][tuple(int(part) for part in place.split(","))] == value


def test_each_clip_has_its_own_points_or_the_default_ones() -> None:
    given = GOLDEN["regions"][1]["points"]
    stored = np.random.default_rng(0).integers(0, 256, (3, 4, 28, 28, 3), dtype=np.uint8)
    partly = [[1.0, 2.0], [np.nan, 3.0], *given[2:]]
    mixed = htnet.prepare(stored, points_table(given, None, partly), None)
    default = htnet.prepare(stored, pd.DataFrame({"subject": ["a", "b", "c"]}), None)
    assert torch.equal(mixed[1:], default[1:]) and not torch.equal(mixed[0], default[0])
    assert torch.equal(mixed[:1], htnet.prepare(stored[:1], points_table(given), None))


def test_logits_and_gradients_equal_the_plain_ones() -> None:
    model = small()
    plain = {name: v.detach().clone().requires_grad_() for name, v in model.state_dict().items()}
    images, labels = uniform_images(3, 5), torch.tensor([0, 1, 2, 0, 1])
    logits, expected = model(images), plain_htnet(plain, images)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    for name, parameter in model.named_parameters():
        wanted = plain[name.replace("to_qkv.value", "to_qkv.weight")].grad
        assert wanted is not None and parameter.grad is not None
        if name.endswith("to_qkv.value"):
            wanted = wanted[-len(parameter) :].flatten(1)
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-8, atol=1e-12, msg=name)


def test_stacked_networks_give_each_ones_own_logits() -> None:
    models, template = [small(seed) for seed in range(2)], small()
    images = uniform_images(5, 6).unflatten(0, (2, 3))
    state = stack_module_state(models)
    stacked = vmap(lambda *own: functional_call(template, own[:2], own[2:]))(*state, images)
    for place, model in enumerate(models):
        torch.testing.assert_close(stacked[place], model(images[place]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"classes": 1}, "classes 1 must be at least 2"),
        ({"block_repeats": (2, 2)}, "image_size 28 does not fit: 2 stages merge patches of 7"),
        ({"block_repeats": (2, 0, 10)}, "whole numbers of at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        htnet.build(**settings)
