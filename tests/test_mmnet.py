"""MMNet against stored outputs of the original, and its own definition."""

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from common.errors import UserError
from models import mmnet
from models.checkpoint import load_into
from tests.helpers.array_summary import assert_matches_moments, assert_matches_summary
from tests.helpers.golden_weights import read_golden
from tests.helpers.recipe_weights import recipe_weights

KEYS = read_golden("mmnet_keys.json")["variants"]
GOLDEN = read_golden("mmnet.json")
FORWARD, TRAINING, INPUT = GOLDEN["forward_float64"], GOLDEN["training"], GOLDEN["input"]
SCRIPTS = {5: "5-class", 3: "3-class patched"}
DECAYS = {5: 0.6, 3: 0.7}
UNUSED = 532_106
SMALL: dict[str, Any] = dict(mmnet.small)


@cache
def recipe_state(classes: int) -> dict[str, Tensor]:
    """The recipe's weights, with the five logits of both published scripts."""
    with torch.device("meta"):
        network = mmnet.build(classes, logits=mmnet.PUBLISHED_LOGITS)
    state = {name: torch.empty_like(v, device="cpu") for name, v in network.state_dict().items()}
    return recipe_weights(state)


def recipe_network(classes: int, antialias: bool = False) -> mmnet.MMNet:
    """The network of ``recipe_state`` in float64."""
    network = mmnet.build(classes, logits=mmnet.PUBLISHED_LOGITS, antialias=antialias)
    load_into(network, recipe_state(classes), "the recipe")
    return network.double()


def drawn_clips(seed: int, count: int) -> Tensor:
    """Onsets are drawn before apexes."""
    random = np.random.RandomState(seed)
    frames = [random.standard_normal((count, 3, 224, 224)) for _ in range(2)]
    return torch.from_numpy(np.stack(frames, axis=1).astype(np.float32)).double()


def train(classes: int, rate: float, dtype: torch.dtype, steps: int = 5) -> dict[str, Any]:
    """The stored run's quantities, by its names."""
    golden = TRAINING["outputs"][SCRIPTS[classes]]
    network, clips = recipe_network(classes).to(dtype), drawn_clips(31, 3).to(dtype)
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
    labels = torch.tensor(golden["labels"])
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAYS[classes])
    found: dict[str, Any] = {"losses": []}
    for step in range(steps):
        logits = network(clips)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            found["grad_norm_step_1"] = nn.utils.get_total_norm(gradients).item()
            found["train_mode_logits_before_step_1"] = logits.detach().numpy()
        optimizer.step()
        found["losses"].append(loss.item())
    with torch.no_grad():
        found["eval_logits_after_5_steps"] = network.eval()(clips).numpy()
    return {**found, "state": network.state_dict()}


@pytest.mark.parametrize("classes", [5, 3])
def test_the_state_dict_has_the_published_names_order_and_shapes(classes: int) -> None:
    with torch.device("meta"):
        network = mmnet.build(classes, logits=mmnet.PUBLISHED_LOGITS)
    entries = [[name, list(value.shape)] for name, value in network.state_dict().items()]
    published = KEYS[str(classes)]
    assert len(entries) == published["entries"]
    text = json.dumps(entries, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == published["sha256"]
    assert sum(p.numel() for p in network.parameters()) == published["parameters"]


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("classes", [5, 3])
def test_logits_equal_the_originals(classes: int, antialias: bool) -> None:
    network, clips = recipe_network(classes, antialias).eval(), drawn_clips(7, 2)
    name = f"{SCRIPTS[classes]}, 14x14 bilinear resize antialias={antialias}"
    expected = torch.tensor(FORWARD["outputs"][name], dtype=torch.float64)
    with torch.no_grad():
        double, single = network(clips), network.float()(clips.float())
    torch.testing.assert_close(double, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=4e-5)


@pytest.mark.parametrize("classes", [5, 3])
def test_two_training_steps_in_float32_equal_the_originals(classes: int) -> None:
    golden = TRAINING["outputs"][SCRIPTS[classes]]
    found = train(classes, 8e-6, torch.float32, steps=2)
    np.testing.assert_allclose(found["losses"], golden["losses"][:2], rtol=1e-4)
    name = "train_mode_logits_before_step_1"
    np.testing.assert_allclose(found[name], golden[name], rtol=0, atol=1e-3)


@pytest.mark.parametrize("classes", [5, 3])
def test_five_training_steps_equal_the_originals(classes: int) -> None:
    golden = TRAINING["outputs"][SCRIPTS[classes]]
    found = train(classes, 8e-6, torch.float64)
    np.testing.assert_allclose(found["losses"], golden["losses"], rtol=1e-8)
    np.testing.assert_allclose(found["grad_norm_step_1"], golden["grad_norm_step_1"], rtol=1e-8)
    for name in ("train_mode_logits_before_step_1", "eval_logits_after_5_steps"):
        np.testing.assert_allclose(found[name], golden[name], rtol=0, atol=1e-7)
    for name, stored in {**golden["buffers_after"], **golden["parameters_after"]}.items():
        assert_matches_moments(found["state"][name].numpy(), stored, tolerance=1e-9)


@pytest.mark.parametrize("classes", [5, 3])
def test_five_steps_at_the_published_rate_equal_the_originals(classes: int) -> None:
    golden = TRAINING["outputs"][SCRIPTS[classes]]["at_published_lr_8e-4"]
    found = train(classes, 8e-4, torch.float64)
    np.testing.assert_allclose(found["losses"][:2], golden["losses"][:2], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found["losses"][2:], golden["losses"][2:], rtol=0, atol=1e-9)
    logits = golden["eval_logits_after_5_steps"]
    np.testing.assert_allclose(found["eval_logits_after_5_steps"], logits, rtol=0, atol=1e-5)
    for name, stored in golden["buffers_after"].items():
        assert_matches_moments(found["state"][name].numpy(), stored, tolerance=1e-9)


@pytest.mark.parametrize("classes", [5, 3])
def test_just_the_parts_named_as_unused_get_no_gradient(classes: int) -> None:
    network = mmnet.build(classes, **SMALL)
    logits = network(drawn_clips(1, 2).float())
    F.cross_entropy(logits, torch.tensor([0, 2])).backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    names = [name for name, _ in network.named_parameters()]
    assert without == {name for name in names if name.startswith(network.unused_parts)}
    for prefix in network.unused_parts:
        assert any(name.startswith(prefix) for name in names), prefix


def test_the_unused_parts_have_the_published_size() -> None:
    with torch.device("meta"):
        network = mmnet.build(5)
    unused = [p for name, p in network.named_parameters() if name.startswith(network.unused_parts)]
    assert sum(p.numel() for p in unused) == UNUSED


def test_there_are_as_many_logits_as_classes_unless_others_are_asked_for() -> None:
    clips = drawn_clips(1, 1).float()
    for classes, logits, expected in ((3, None, 3), (3, 5, 5), (5, None, 5), (7, None, 7)):
        network = mmnet.build(classes, logits=logits, **SMALL).eval()
        assert network(clips).shape == (1, expected)


def test_the_last_blocks_of_the_three_class_script_are_left_out_at_random() -> None:
    torch.manual_seed(0)
    network = mmnet.build(3, **SMALL)
    dropped = [part.p for part in network.modules() if isinstance(part, StochasticDepth)]
    assert dropped == [0, 0.15, 0.3]
    onset = drawn_clips(1, 2).float()[:, 0]
    positions = [network.vit_pos(onset) for _ in range(5)]
    assert any(not torch.equal(positions[0], other) for other in positions[1:])
    network.eval()
    assert torch.equal(network.vit_pos(onset), network.vit_pos(onset))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"classes": 1}, "classes 1 must be at least 2"),
        ({"classes": 5, "logits": 3}, "logits 3 not below it"),
        ({"width": 30}, "width 30 must be a multiple of 4"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        mmnet.build(**arguments)


def test_weights_of_another_class_count_are_refused() -> None:
    state = mmnet.build(3, **SMALL).state_dict()
    with pytest.raises(UserError, match="tells 3 classes apart, but 5 are asked for"):
        load_into(mmnet.build(5, **SMALL), state, "weights.pth")


def made_up_picture(random: np.random.RandomState) -> np.ndarray:
    """An 8x8 draw, interpolated to uint8 [280, 231, 3] in B, G, R."""
    coarse = random.uniform(0, 255, size=(8, 8, 3))
    for axis, length in enumerate((280, 231)):
        place = np.arange(length) * 7 / (length - 1)
        low = np.minimum(place.astype(int), 6)
        share = np.expand_dims(place - low, [d for d in range(3) if d != axis])
        coarse = (1 - share) * coarse.take(low, axis) + share * coarse.take(low + 1, axis)
    return np.rint(coarse).astype(np.uint8)


@pytest.fixture(scope="module")
def published_frames() -> Tensor:
    """The made-up onset and apex as the network sees them at test, float32 [2, 3, 224, 224]."""
    random = np.random.RandomState(61)
    onset, apex = made_up_picture(random), made_up_picture(random)
    for picture, name in ((onset, "onset_uint8"), (apex, "apex_uint8")):
        assert hashlib.sha256(picture.tobytes()).hexdigest() == INPUT[name]["sha256"]
    stored = np.zeros((1, mmnet.STORED_FRAMES, 280, 231, 3), np.uint8)
    stored[0, :2] = onset[..., ::-1], apex[..., ::-1]
    return mmnet.prepare(stored, pd.DataFrame(), None)[0]


def test_frames_at_test_equal_the_originals(published_frames: Tensor) -> None:
    assert published_frames.dtype == torch.float32
    for frame, name in zip(published_frames.numpy(), ("onset", "apex"), strict=True):
        assert_matches_summary(frame, INPUT[name], tolerance=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
def test_the_shrunken_onset_equals_the_originals(published_frames: Tensor, antialias: bool) -> None:
    branch = mmnet.build(5, antialias=antialias, **SMALL).double().vit_pos
    seen: list[Tensor] = []
    branch.patch_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        branch(published_frames[:1].double())
    stored = INPUT[f"onset_14x14_antialias={antialias}"]
    assert_matches_summary(seen[0][0].numpy(), stored, tolerance=1e-6)


def test_a_fixed_augmentation_equals_the_originals(published_frames: Tensor) -> None:
    moved = mmnet.moved(published_frames, flip=True, angle=2.5, padding=15, corner=[4, 21])
    stored = INPUT["augmentation_with_fixed_draw"]["out"]
    assert_matches_summary(moved.flatten(0, 1).numpy(), stored, tolerance=1e-5)


def numbered_frames(count: int) -> np.ndarray:
    """Every stored frame filled with its place."""
    frames = np.empty((count, mmnet.STORED_FRAMES, 224, 224, 3), np.uint8)
    frames[:] = np.arange(mmnet.STORED_FRAMES)[:, None, None, None]
    return frames


def clip_rows(count: int, onset: Any, apex: Any) -> pd.DataFrame:
    return pd.DataFrame({"clip": [f"c{n}" for n in range(count)], "onset": onset, "apex": apex})


@pytest.mark.parametrize(
    ("classes", "phase", "onsets", "apexes"),
    [
        (5, 26, {0}, {1}),
        (5, 27, {0, 3}, {1, 6}),
        (5, 60, {0, 3, 4}, {1, 6, 7}),
        (5, 400, {0, 3, 4, 5}, {1, 6, 7, 8}),
        (3, 60, {0, 3, 4, 5}, {1, 6, 7}),
        (3, 20, {0, 3}, {1}),
        (5, -40, {0}, {1}),
    ],
)
def test_jitter_keeps_to_its_share_of_the_phase_and_to_the_stored_frames(
    classes: int, phase: int, onsets: set[int], apexes: set[int]
) -> None:
    rows = clip_rows(300, 100, 100 + phase)
    generator = torch.Generator().manual_seed(0)
    places = mmnet.draw_frames(rows, mmnet.script_of(classes), generator)
    for drawn, allowed in zip(places.T, (onsets, apexes), strict=True):
        values, counts = np.unique(drawn, return_counts=True)
        assert set(values) == allowed
        assert counts.min() > 200 / len(allowed)


def test_the_drawn_frames_are_the_ones_prepared() -> None:
    rows, frames = clip_rows(6, 1, 300), numbered_frames(6)
    places = mmnet.draw_frames(rows, mmnet.script_of(5), torch.Generator().manual_seed(3))
    assert len(np.unique(places)) > 4
    prepared = mmnet.prepare(frames, rows, torch.Generator().manual_seed(3))
    center = prepared[:, :, 0, 112, 112].numpy()
    np.testing.assert_allclose(center, (places / 255 - 0.485) / 0.229, rtol=1e-5)


def test_augmentation_comes_from_the_generator_alone() -> None:
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, mmnet.STORED_FRAMES, 224, 224, 3), dtype=np.uint8)
    rows = clip_rows(2, 1, 100)
    drawn = []
    for global_seed, seed in ((0, 5), (1, 5), (0, 6)):
        torch.manual_seed(global_seed)
        drawn.append(mmnet.prepare(frames, rows, torch.Generator().manual_seed(seed)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].shape == (2, 2, 3, 224, 224)


@pytest.mark.parametrize(("classes", "margin"), [(5, 15), (3, 4)])
def test_onset_and_apex_of_a_clip_move_alike_and_no_further_than_published(
    classes: int, margin: int
) -> None:
    frames = np.zeros((40, mmnet.STORED_FRAMES, 224, 224, 3), np.uint8)
    frames[:, :, 100:124, 100:112] = 255
    frames[:, :, 100:124, 112:124] = 160
    rows = clip_rows(40, 1, 2)
    generator = torch.Generator().manual_seed(0)
    prepared = mmnet.prepare(frames, rows, generator, classes=classes)
    assert torch.equal(prepared[:, 0], prepared[:, 1])
    bright, dim = prepared[:, 0, 0] > 2, (prepared[:, 0, 0] > 0.5) & (prepared[:, 0, 0] < 2)
    turn = np.ceil(24 * np.sin(np.deg2rad(mmnet.script_of(classes).rotation)))
    for axis in (1, 2):
        hit = (bright | dim).any(axis).nonzero()[:, 1]
        assert 100 - margin - turn <= hit.min() < 100 - margin // 2
        assert 123 + margin // 2 < hit.max() <= 123 + margin + turn
    columns = torch.arange(224.0)
    centers = [(part.sum(1) * columns).sum(1) / part.sum((1, 2)) for part in (bright, dim)]
    assert 10 < int((centers[0] > centers[1]).sum()) < 30


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (pd.DataFrame({"clip": ["c0"]}), "no column onset, apex. Build them anew"),
        (clip_rows(1, 5, None), "onset or apex of c0 is no frame number"),
    ],
)
def test_jitter_without_frame_numbers_is_refused(rows: pd.DataFrame, reason: str) -> None:
    frames = numbered_frames(1)
    with pytest.raises(UserError, match=reason):
        mmnet.prepare(frames, rows, torch.Generator())
    mmnet.prepare(frames, rows, None)


def test_another_number_of_frames_is_refused() -> None:
    with pytest.raises(UserError, match=r"needs 9 stored frames a clip, got shape \[1, 2, 224"):
        mmnet.prepare(numbered_frames(1)[:, :2], clip_rows(1, 1, 9), None)
