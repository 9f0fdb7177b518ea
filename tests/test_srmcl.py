"""SRMCL against stored outputs of the original, and the parts that only training uses."""

import copy
from functools import cache
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError
from models import srmcl
from tests.helpers.golden_weights import read_golden
from tests.helpers.recipe_weights import recipe_weights

GOLDEN, KEYS = read_golden("srmcl.json"), read_golden("srmcl_keys.json")
TRAINING = GOLDEN["training"]
FIXED = ("pos_embed", "decoder_pos_embed")
WITH_MEMORY, WITHOUT_MEMORY = "CE + .5*recon + .5*memory", "CE + .5*recon"
STEPS = 5
LEARNING_RATE = 1e-4
FORM_TRAININGS = [("srmcl", WITH_MEMORY), ("sr", WITHOUT_MEMORY)]
FORM_KEYS = list(zip(("srmcl", "sr"), KEYS["variants"].values(), strict=True))


@cache
def _golden_network(form: str) -> Any:
    network = srmcl.build(classes=5, form=form)
    state = network.state_dict()
    fixed = {name: value for name, value in state.items() if name.split(".")[-1] in FIXED}
    network.load_state_dict({**recipe_weights(state), **fixed}, strict=True)
    return network.double()


def golden_network(form: str) -> Any:
    """The recipe's weights at the published size, in float64, a copy."""
    return copy.deepcopy(_golden_network(form))


def small_network(seed: int = 0, **arguments: Any) -> Any:
    torch.manual_seed(seed)
    return srmcl.build(**{**srmcl.small, **arguments})


def drawn(seed: int, *shape: int) -> Tensor:
    values = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32)).double()


def close(got: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    got, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (got, expected))
    torch.testing.assert_close(got, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("form", "listing"), FORM_KEYS)
def test_the_state_dict_has_the_published_names_order_shapes_and_counts(
    form: str, listing: dict
) -> None:
    with torch.device("meta"):
        network = srmcl.build(classes=5, form=form)
    entries = [[name, list(value.shape)] for name, value in network.state_dict().items()]
    assert entries == [entry[:2] for entry in listing["entries"]]
    frozen = [name for name, _, kind in listing["entries"] if kind == "parameter_frozen"]
    parameters = dict(network.named_parameters())
    assert [name for name, value in parameters.items() if not value.requires_grad] == frozen
    assert sum(value.numel() for value in parameters.values()) == listing["total_parameters"]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("srmcl", "SRMCL model, test path"),
        ("sr", "SR-only model (own keys file, no prefix, head inside), test path"),
    ],
)
def test_logits_equal_the_originals(form: str, name: str) -> None:
    golden = GOLDEN["forward_float64"]["outputs"][name]
    network, images = golden_network(form).eval(), drawn(7, 2, 3, 224, 224)
    backbone = network.backbone if form == "srmcl" else network
    with torch.no_grad():
        feature = backbone.feature(images)
        logits = network(images)
        single = network.float()(images.float())
    close(logits, golden["logits"], atol=1e-9)
    close(feature[:, :4], golden["feature_first4"], atol=1e-9)
    close(single, golden["logits"], atol=1e-6 * float(logits.abs().max()))
    if form == "srmcl":
        close(feature.sum(dim=1), golden["feature_sum_over_768"], atol=1e-9)
        entropy = F.cross_entropy(logits, torch.tensor([0, 3]))
        close(entropy, golden["cross_entropy"], atol=1e-9)


def mask_noise(step: int) -> Tensor:
    draws = [np.random.RandomState(11 + 2 * step + p).uniform(size=(3, 196)) for p in range(2)]
    return torch.from_numpy(np.stack(draws).astype(np.float32))


def golden_prototypes() -> Tensor:
    rows = np.random.RandomState(21).standard_normal((5, 768))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32)).double()


def train(network: Any) -> dict[str, Any]:
    """Losses, the norm of the first gradient, and eval logits after the last step."""
    images, labels = drawn(31, 3, 3, 224, 224), torch.tensor(TRAINING["labels"])
    trained = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=LEARNING_RATE)
    network.train()
    losses: list[float] = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = network.training_loss(images, labels, mask_noise(step))
        loss.backward()
        if step == 0:
            gradients = [value.grad for value in trained if value.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return {"losses": losses, "norm": norm, "logits": network.eval()(images)}


@pytest.mark.parametrize(("form", "name"), FORM_TRAININGS)
def test_five_training_steps_equal_the_originals(form: str, name: str) -> None:
    golden, network = TRAINING["outputs"][name], golden_network(form)
    if form == "srmcl":
        network.prototypes.copy_(golden_prototypes())
    got = train(network)
    close(got["losses"], golden["losses"], rtol=1e-8)
    close(got["norm"], golden["grad_norm_step_1"], rtol=1e-8)
    close(got["logits"], golden["eval_logits_after_5_steps"], atol=1e-7)
    state = network.state_dict()
    for published, expected in golden["parameters_after"].items():
        value = state[published if form == "srmcl" else published.removeprefix("backbone.")]
        assert value.numel() == expected["n"]
        close(value.flatten()[:4], expected["first4"], atol=1e-8)
        close([value.sum(), value.square().sum()], [expected["sum"], expected["sum_sq"]], rtol=1e-7)
    if form == "srmcl":
        after, expected = network.prototypes, golden["prototypes_after"]
        close(after[:, :3], expected["first3"], atol=1e-9)
        close(after.norm(dim=1), expected["row_norms"], atol=1e-9)
        close(after.sum(), expected["sum"], atol=1e-9)


def test_the_parts_of_the_first_training_loss_equal_the_originals() -> None:
    golden, network = TRAINING["outputs"][WITH_MEMORY], golden_network("srmcl")
    images, labels = drawn(31, 3, 3, 224, 224), torch.tensor(TRAINING["labels"])
    with torch.no_grad():
        feature, reconstruction = network.backbone.masked_feature(images, mask_noise(0))
        logits = network.mlp_head(feature)
        memory = srmcl.memory_loss(F.normalize(feature), labels, golden_prototypes())
    close(logits, golden["train_mode_logits_before_step_1"], atol=1e-9)
    close(F.cross_entropy(logits, labels), golden["ce"][0], rtol=1e-8)
    close(reconstruction, golden["reconstruction_sum_of_two"][0], rtol=1e-8)
    close(memory, golden["memory_loss"][0], rtol=1e-8)


@pytest.mark.parametrize("name", [name for name in GOLDEN["input"] if name.startswith("stored")])
def test_images_equal_the_published_loaders(name: str) -> None:
    golden = GOLDEN["input"][name]
    side = int(name.split("x")[1].split(",")[0])
    flow = np.random.RandomState(71).uniform(-128, 3968, size=(side, side, 2)).astype(np.float32)
    images = srmcl.flow_images(torch.from_numpy(flow)[None], antialias="False" not in name)
    assert images.dtype == torch.float32 and list(images.shape[1:]) == golden["shape"]
    image = images[0].double()
    sums = {"sum": image.sum(), "sum_abs": image.abs().sum(), "sum_sq": image.square().sum()}
    for key, value in sums.items():
        close(value, golden[key], rtol=1e-6)
    pixels = {place: image[tuple(map(int, place.split(",")))] for place in golden["pixels"]}
    got = [image.min(), image.max(), *pixels.values()]
    close(
        got, [golden["min"], golden["max"], *golden["pixels"].values()], atol=1e-5 * golden["max"]
    )


def test_each_clip_and_channel_of_the_contraction_is_rescaled_by_its_own_extremes() -> None:
    stored = np.random.default_rng(3).normal(size=(2, 2, 32, 32, 2)).astype(np.float16)
    stored[1, 0, ..., 1] = 0.25
    clips = pd.DataFrame({"clip": ["a", "b"]})
    images = srmcl.prepare(stored, clips, None)
    assert images.shape == (2, 3, 224, 224) and images.dtype == torch.float32
    assert torch.isfinite(images).all()
    for scale, (lowest, highest) in {"bytes": (0, 255), "dssn": (-128, 3968)}.items():
        scaled = srmcl.rescaled(torch.from_numpy(stored[:, 0]).float(), scale)
        assert scaled[0].amin(dim=(0, 1)).tolist() == [lowest, lowest]
        assert scaled[0].amax(dim=(0, 1)).tolist() == [highest, highest]
        assert (scaled[1, ..., 1] == lowest).all()
        assert torch.equal(srmcl.prepare(stored, clips, None, scale), srmcl.flow_images(scaled))
    with pytest.raises(UserError, match="scale 'pixels' is unknown; choose one of bytes, dssn"):
        srmcl.prepare(stored, clips, None, "pixels")
    changed = stored.copy()
    changed[:, 1] *= -3
    changed[0, 0] *= 2
    assert torch.equal(srmcl.prepare(changed, clips, torch.Generator())[1], images[1])
    torch.testing.assert_close(srmcl.prepare(changed, clips, None), images)


def test_positions_encode_the_column_first_and_are_those_of_float32() -> None:
    table = srmcl.fixed_positions(side=3, width=8)
    assert not table.requires_grad and table.dtype == torch.float32
    assert not table[0, 0].any()
    row, column = 2, 1
    angles = np.array([[column, column / 100], [row, row / 100]])
    expected = np.stack([np.sin(angles), np.cos(angles)], axis=1).flatten()
    place = 1 + row * 3 + column
    assert table[0, place].tolist() == expected.astype(np.float32).tolist()


def test_masks_hide_three_quarters_the_second_pass_on_top_of_the_first() -> None:
    noise = torch.rand(2, 5, 196, generator=torch.Generator().manual_seed(0))
    hidden = srmcl.hidden_tokens(noise)
    assert (hidden.sum(dim=-1) == 147).all()
    assert (noise.where(~hidden, 0).amax(dim=-1) < noise.where(hidden, 1).amin(dim=-1)).all()
    network = small_network()
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    # Passes that keep disjoint quarters leave the feature nothing of the image but the class token.
    noise = torch.ones(2, 1, 16)
    noise[0, 0, :4], noise[1, 0, 4:8] = 0, 0
    with torch.no_grad():
        tokens = network.backbone.encode(images)
        tokens[:, 1:] = network.backbone.mask_token
        expected = network.backbone.last_blocks(tokens)[:, 0]
        feature, _ = network.backbone.masked_feature(images, noise)
    torch.testing.assert_close(feature, expected)


def test_the_memory_takes_its_first_batch_whole_and_later_ones_by_nine_tenths() -> None:
    features = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([2, 2, 0])
    prototypes = torch.zeros(3, 2, dtype=torch.float64)
    close(srmcl.memory_loss(features, labels, prototypes), np.log(3), rtol=1e-12)
    first = srmcl.updated_prototypes(prototypes, features, labels)
    close(first[2], np.array([0.8, 0.4]) / np.hypot(0.8, 0.4), rtol=1e-12)
    assert first[0].tolist() == [0, 1] and not first[1].any()
    second = srmcl.updated_prototypes(first, features[:1], torch.tensor([0]))
    close(second[0], np.array([0.9, 0.1]) / np.hypot(0.9, 0.1), rtol=1e-12)
    assert torch.equal(second[1:], first[1:])


def test_the_gradient_is_that_of_the_prototypes_before_the_update() -> None:
    images, labels = torch.rand(4, 3, 224, 224), torch.tensor([0, 1, 2, 0])
    network = small_network()
    network.prototypes.copy_(F.normalize(torch.rand(3, 32), dim=1))
    before, noise = network.prototypes.clone(), torch.rand(2, 4, 16)
    network.training_loss(images, labels, noise).backward()
    feature, reconstruction = network.backbone.masked_feature(images, noise)
    unit = F.normalize(feature, dim=1)
    loss = F.cross_entropy(network.mlp_head(feature), labels) + reconstruction / 2
    loss = loss + srmcl.memory_loss(unit, labels, before) / 2
    trained = [v for n, v in network.named_parameters() if v.requires_grad and "bn_neck" not in n]
    for parameter, expected in zip(trained, torch.autograd.grad(loss, trained), strict=True):
        torch.testing.assert_close(parameter.grad, expected)
    close(network.prototypes, srmcl.updated_prototypes(before, unit, labels).detach(), rtol=1e-6)
    assert not torch.equal(network.prototypes, before)


@pytest.mark.parametrize("form", ["srmcl", "sr"])
def test_a_training_step_repeats_from_its_generator_and_reaches_every_live_parameter(
    form: str,
) -> None:
    images, labels = torch.rand(4, 3, 224, 224), torch.tensor([0, 1, 2, 0])
    losses: list[Tensor] = []
    for seed in (5, 5, 6):
        network = small_network(form=form)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed + len(losses))
        losses.append(srmcl.training_step(network, images, labels, generator))
    assert losses[0] == losses[1] != losses[2]
    losses[2].backward()
    for name, parameter in network.named_parameters():
        live = parameter.requires_grad and not name.startswith("bn_neck.")
        assert (parameter.grad is not None and bool(parameter.grad.any())) == live, name


def test_logits_do_not_depend_on_the_mode_nor_on_the_other_clips() -> None:
    network, images = small_network(), torch.rand(3, 3, 224, 224)
    with torch.no_grad():
        training, alone = network(images), network.eval()(images[1:2])
    assert training.shape == (3, 3)
    torch.testing.assert_close(alone, training[1:2])


def test_a_published_memory_is_ignored_and_ours_is_not_saved() -> None:
    network = small_network(classes=5)
    state = network.state_dict()
    assert not [name for name in state if "prototypes" in name or "memory" in name]
    copied = small_network(seed=1, classes=5)
    copied.load_state_dict({**state, "memory.features": torch.rand(5, 32)}, strict=True)
    assert all(torch.equal(value, state[name]) for name, value in copied.state_dict().items())
    assert not copied.prototypes.any()
    with pytest.raises(RuntimeError, match="memories"):
        copied.load_state_dict({**state, "memories": torch.rand(1)}, strict=True)


def test_first_weights_are_drawn_as_published() -> None:
    state = srmcl.build().state_dict()
    patch = state["backbone.patch_embed.proj.weight"]
    assert patch.abs().max() <= (6 / (768 + 768)) ** 0.5
    assert patch.std().item() == pytest.approx((2 / (768 + 768)) ** 0.5, rel=0.01)
    assert state["backbone.cls_token"].std().item() == pytest.approx(0.02, rel=0.1)
    assert not [name for name, v in state.items() if name.endswith("bias") and v.any()]


def orders(labels: list[int], batch_size: int, seed: int = 0) -> list[np.ndarray]:
    return srmcl.epoch_order(np.array(labels), batch_size, torch.Generator().manual_seed(seed))


def test_a_batch_holds_as_many_clips_of_each_class() -> None:
    labels = [0] * 31 + [1] * 12 + [2] * 7
    batches = orders(labels, batch_size=10)
    assert len(batches) == (50 - 1) // 9
    for batch in batches:
        assert np.bincount(np.array(labels)[batch]).tolist() == [3, 3, 3]
        assert len(set(batch.tolist())) == 9
    # Twelve clips are four turns of three; seven are two turns, and the seventh waits.
    turns = [batch[3:6].tolist() for batch in batches]
    assert sorted(chain.from_iterable(turns[:4])) == list(range(31, 43))
    rare = [set(batch[6:].tolist()) for batch in batches]
    assert all(not first & second for first, second in list(pairwise(rare))[::2])


@pytest.mark.parametrize(
    ("counts", "batch_size", "batches", "sizes"),
    [
        # One more than two full batches; exactly two full ones, of which the last is left out.
        ([7, 6], 6, 2, [3, 3]),
        ([6, 6], 6, 1, [3, 3]),
        ([20, 2], 10, 2, [5, 2]),
        ([1, 1], 30, 1, [1, 1]),
        ([5], 2, 2, [2]),
        ([4, 4, 4], 2, 3, [1, 1, 1]),
    ],
)
def test_an_epochs_batches_are_counted_as_published(
    counts: list[int], batch_size: int, batches: int, sizes: list[int]
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = orders(labels.tolist(), batch_size)
    assert [np.bincount(labels[batch]).tolist() for batch in order] == [sizes] * batches


def test_the_order_is_drawn_from_the_generator_alone() -> None:
    labels = [0, 1, 2] * 20
    first, again, other = orders(labels, 9), orders(labels, 9), orders(labels, 9, seed=1)
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"form": "mae"}, "form 'mae' is unknown; choose one of srmcl, sr"),
        ({"classes": 1}, "classes 1 must be at least 2"),
        ({"patch_size": 15}, "patch_size 15 does not cut 224 pixels"),
        ({"width": 40, "heads": 3}, "width 40 must be a multiple of its 3 heads"),
        ({"decoder_width": 6}, "width 6 must be a multiple of"),
        ({"depth": 0}, "must be at least 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        small_network(**arguments)
