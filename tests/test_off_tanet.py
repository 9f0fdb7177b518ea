"""Off-TANet against stored outputs of the original, and its own definition."""

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError
from models import off_tanet
from models.checkpoint import load_into, load_weights
from tests.helpers.array_summary import assert_matches_moments, assert_matches_summary
from tests.helpers.golden_weights import read_golden
from tests.helpers.off_tanet_input import made_up_pictures, published_flow, small_gray
from tests.helpers.recipe_weights import recipe_weights

KEYS = read_golden("off_tanet_keys.json")["variants"]
GOLDEN = read_golden("off_tanet.json")
FORWARD, TRAINING, INPUT = GOLDEN["forward_float64"], GOLDEN["training"], GOLDEN["input"]
CHECKPOINT = "net_type='ta' with the repository's checkpoint LOSO1_60epoch.pth"
# Releases of OpenCV whose TV-L1 the stored sums hold, by the column that they are stored in.
FLOW_COLUMNS = {
    "4.5.5": "4.10.0.84",
    "4.10.0": "4.10.0.84",
    "4.11.0": "4.10.0.84",
    "4.14.0": "4.14.0.94",
    "5.0.0": "5.0.0.93",
}


def recipe_network(variant: str) -> off_tanet.OffTANet:
    """The recipe's weights in float64."""
    network = off_tanet.build(variant=variant)
    load_into(network, recipe_weights(network.state_dict()), "the recipe")
    return network.double()


def drawn_clips(seed: int, count: int) -> Tensor:
    values = np.random.RandomState(seed).standard_normal((count, 3, 112, 112))
    return torch.from_numpy(values.astype(np.float32)).double()


def without_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return network


def stored_flow(flow: np.ndarray) -> np.ndarray:
    """One clip's u, v [2, S, S] as the inputs store it; the second phase must not be looked at."""
    first = np.moveaxis(flow, 0, -1)
    return np.stack((first, np.full_like(first, np.nan)))[None]


@pytest.mark.parametrize("variant", off_tanet.VARIANTS)
def test_the_state_dict_has_the_published_names_order_and_shapes(variant: str) -> None:
    network = off_tanet.build(variant=variant)
    entries = [[name, list(value.shape)] for name, value in network.state_dict().items()]
    assert len(entries) == KEYS[variant]["entries"]
    text = json.dumps(entries, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == KEYS[variant]["sha256"]
    assert sum(p.numel() for p in network.parameters()) == KEYS[variant]["parameters"]


@pytest.mark.parametrize("variant", off_tanet.VARIANTS)
def test_logits_equal_the_originals(variant: str) -> None:
    network, clips = recipe_network(variant).eval(), drawn_clips(7, 2)
    expected = torch.tensor(FORWARD["outputs"][f"net_type='{variant}'"], dtype=torch.float64)
    with torch.no_grad():
        double, single = network(clips), network.float()(clips.float())
    torch.testing.assert_close(double, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("variant", off_tanet.VARIANTS)
def test_five_training_steps_equal_the_originals(variant: str) -> None:
    golden = TRAINING["outputs"][f"net_type='{variant}'"]
    network, clips = without_dropout(recipe_network(variant)), drawn_clips(31, 4)
    labels = torch.tensor(TRAINING["labels"])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for step in range(5):
        logits = network(clips)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            norm = nn.utils.get_total_norm(
                p.grad for p in network.parameters() if p.grad is not None
            )
            before = logits.detach()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = network.eval()(clips)
    np.testing.assert_allclose(losses, golden["losses"], rtol=1e-8)
    np.testing.assert_allclose(norm, golden["grad_norm_step_1"], rtol=1e-8)
    np.testing.assert_allclose(before, golden["train_mode_logits_before_step_1"], atol=1e-9)
    np.testing.assert_allclose(after, golden["eval_logits_after_5_steps"], rtol=0, atol=1e-6)
    state = network.state_dict()
    for name, stored in golden["buffers_after"].items():
        assert_matches_moments(state[name].numpy(), stored, tolerance=1e-8)
    for name, stored in golden["parameters_after"].items():
        assert_matches_moments(state[name].numpy(), stored, tolerance=1e-6)


@pytest.mark.parametrize("variant", off_tanet.VARIANTS)
def test_just_the_parts_named_as_unused_get_no_gradient(variant: str) -> None:
    network = off_tanet.build(variant=variant)
    F.cross_entropy(network(drawn_clips(1, 2).float()), torch.tensor([0, 2])).backward()
    without = {name for name, p in network.named_parameters() if p.grad is None}
    unused = {
        name for name, _ in network.named_parameters() if name.startswith(network.unused_parts)
    }
    assert without == (unused if network.unused_parts else set())
    assert bool(network.unused_parts) == (variant == "sa")


@pytest.mark.parametrize("position_bias", [False, True])
def test_heads_gate_each_channel_by_its_own_scores(position_bias: bool) -> None:
    torch.manual_seed(0)
    heads = off_tanet.Heads(5, 2, position_bias).double()
    x = torch.randn(3, 5, 14, 14, dtype=torch.float64)
    position = off_tanet.position_matrix().double()
    parts = []
    for head in heads.sa_blocks:
        assert isinstance(head, off_tanet.Head)
        query, key, value = head.w_q(x), head.w_k(x), head.w_v(x)
        from_position = position if position_bias else query @ position.T
        scores = query @ key.transpose(2, 3) + from_position
        gate = torch.softmax(scores.reshape(3, 2, 196), dim=2).reshape(3, 2, 14, 14)
        parts.append(gate * value)
    torch.testing.assert_close(heads(x), torch.cat(parts, dim=1), rtol=1e-12, atol=1e-14)


def test_the_position_matrix_is_the_published_one() -> None:
    expected = torch.tensor([1.6829, 1.3818, 1.3366, 1.7103])
    position = off_tanet.position_matrix()
    torch.testing.assert_close(position[0, :4], expected, rtol=0, atol=5e-5)
    assert torch.equal(position, position.T)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_of_the_published_format_loads(legacy: bool, tmp_path: Path) -> None:
    """The published file is a bare state dict; torch before 1.6 wrote it unzipped."""
    torch.manual_seed(0)
    trained, other = off_tanet.build().eval(), off_tanet.build().eval()
    path = tmp_path / "LOSO1_60epoch.pth"
    torch.save(trained.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    load_into(other, load_weights(path), path.name)
    clips = drawn_clips(7, 1).float()
    assert torch.equal(other(clips), trained(clips))


def test_logits_of_the_published_checkpoint_equal_the_originals() -> None:
    file = os.environ.get("OFF_TANET_CHECKPOINT")
    if not file:
        pytest.skip("set OFF_TANET_CHECKPOINT to the published LOSO1_60epoch.pth (GPL-3.0)")
    network = off_tanet.build()
    load_into(network, load_weights(Path(file)), file)
    with torch.no_grad():
        logits = network.double().eval()(drawn_clips(7, 2))
    expected = torch.tensor(FORWARD["outputs"][CHECKPOINT], dtype=torch.float64)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)


def test_a_checkpoint_of_another_variant_or_class_count_is_refused() -> None:
    state = off_tanet.build().state_dict()
    with pytest.raises(UserError, match=r"weights\.pth does not fit .*eres\.conv\.0"):
        load_into(off_tanet.build(variant="res"), state, "weights.pth")
    with pytest.raises(UserError, match="tells 3 classes apart, but 5 are asked for"):
        load_into(off_tanet.build(classes=5), state, "weights.pth")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"variant": "vit"}, "'vit' is unknown; choose one of ta, sa, cbam, res, bot"),
        ({"classes": 1}, "classes 1 must be at least 2"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        off_tanet.build(**arguments)


def test_the_strain_equals_the_originals() -> None:
    c = np.random.RandomState(141).uniform(-1, 1, (2, 6))
    rows, columns = np.mgrid[0:112, 0:112]
    flow = [
        a * np.sin(columns / 11 + b)
        + d * np.cos(rows / 7 + e)
        + f * np.sin(columns * rows / 900 + g)
        for a, b, d, e, f, g in c
    ]
    stored = INPUT["strain_only"]["strain"]
    prepared = off_tanet.prepare(stored_flow(np.array(flow, np.float32)), pd.DataFrame(), None)
    assert_matches_summary(prepared[0, 2].numpy(), stored, tolerance=1e-5 * stored["max"])


@pytest.mark.parametrize("strain", ["published", "optical"])
def test_the_strain_of_a_linear_flow_is_its_formula(strain: off_tanet.Strain) -> None:
    ux, uy, vx, vy = 0.3, -0.2, 0.5, 0.7
    rows, columns = np.mgrid[0:16, 0:16]
    flow = torch.from_numpy(np.stack((ux * columns + uy * rows, vx * columns + vy * rows)))[None]
    channels = off_tanet.flow_channels(flow, strain)
    second = uy if strain == "published" else vy
    expected = 8 * np.sqrt(ux**2 + second**2 + (vx + uy) ** 2 / 2)
    torch.testing.assert_close(channels[:, :2], flow)
    np.testing.assert_allclose(channels[0, 2, 1:-1, 1:-1], expected)
    with pytest.raises(UserError, match="strain 'true' is unknown; choose published, optical"):
        off_tanet.flow_channels(flow, "true")  # type: ignore[arg-type]


def test_flow_and_strain_of_frames_equal_the_originals() -> None:
    onset, apex = made_up_pictures(INPUT["parameters"])
    for picture, name in ((onset, "onset"), (apex, "apex")):
        assert hashlib.sha256(picture.tobytes()).hexdigest() == INPUT[f"{name}_uint8"]["sha256"]
        assert_matches_summary(small_gray(picture), INPUT[f"gray_{name}_112"], tolerance=0)
    if cv2.__version__ not in FLOW_COLUMNS:
        pytest.skip(f"no stored TV-L1 of OpenCV {cv2.__version__}")
    stored = INPUT["flow_by_opencv_version"][FLOW_COLUMNS[cv2.__version__]]
    flow = published_flow(onset, apex)
    channels = off_tanet.prepare(stored_flow(flow), pd.DataFrame(), None)[0]
    for channel, name in zip(channels.numpy(), ("u", "v", "strain"), strict=True):
        assert_matches_summary(channel, stored[name], tolerance=1e-4)


def test_a_stored_flow_of_another_size_is_scaled_with_its_vectors() -> None:
    rows, columns = (np.mgrid[0:128, 0:128] + 0.5) / 128
    flow = np.stack((3 * columns, 2 * rows)).astype(np.float16)
    prepared = off_tanet.prepare(stored_flow(flow), pd.DataFrame(), None)
    assert prepared.shape == (1, 3, 112, 112)
    assert prepared.dtype == torch.float32
    rows, columns = (np.mgrid[0:112, 0:112] + 0.5) / 112
    expected = np.stack((3 * columns, 2 * rows)) * 112 / 128
    inner = (slice(None), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(prepared[0, :2].numpy()[inner], expected[inner], atol=2e-3)
