"""CausalNets pretrained on drawn motion: their shipped weights, and how these are made."""

import json
from copy import copy, deepcopy
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks import attention_places as benchmark
from common.errors import UserError
from datasets import Preparation, prepare
from datasets.synthetic.motion import MUSCLES, draw_motion_faces
from models import create_model, load_method
from models.au_network import one_thread
from models.causalnet import pretrained, spatial
from models.causalnet.blocks import MaskedAttention
from models.causalnet.places import Parts, PlacesNetwork
from models.estimator import estimator_scores, fit_estimator
from tests.helpers.scripts import run_here
from training import pretrain_on_motion as script
from training.pretrain_on_motion import (
    CARD_NAME,
    Config,
    DrawnBatches,
    Task,
    draw_phases,
    maps_of_phases,
    mirror,
    task_of,
    train,
)

SHIPPED = [Config("causalnet_pretrained"), Config("causalnet_spatial")]
NAMES = ["pretrained", "spatial"]


@pytest.fixture(scope="module")
def drawn() -> tuple[Tensor, Tensor]:
    """Motion of 400 samples of faces that no network was trained on, and their activations."""
    return draw_phases(np.random.default_rng(3), draw_motion_faces(99, count=20), 400)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script draws few faces, and few samples to check itself on."""
    monkeypatch.setattr(script, "CHECKED_SAMPLES", 64)
    monkeypatch.setattr(script, "draw_motion_faces", lambda seed: draw_motion_faces(seed, 3))


def shipped(config: Config) -> tuple[Task, Path]:
    task = task_of(config)
    return task, config.folder / task.weights_name


@pytest.mark.parametrize("config", SHIPPED, ids=NAMES)
def test_a_shipped_network_finds_drawn_muscles(
    config: Config, drawn: tuple[Tensor, Tensor]
) -> None:
    task, path = shipped(config)
    network = task.build().eval()
    network.load_state_dict(load_file(path))
    motion, activations = drawn
    with torch.inference_mode():
        read = network(task.see(motion))
    correlations = [
        np.corrcoef(read[:, place], activations[:, place])[0, 1] for place in range(len(MUSCLES))
    ]
    assert np.mean(correlations) > 0.6 and min(correlations) > 0.3


@pytest.mark.parametrize("config", SHIPPED, ids=NAMES)
def test_shipped_weights_are_small_in_float16_and_have_a_card(config: Config) -> None:
    task, path = shipped(config)
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    assert path.stat().st_size < (5_000_000 if config.network == "causalnet_pretrained" else 1e6)
    card = json.loads((path.parent / CARD_NAME).read_text(encoding="utf-8"))
    assert card["command"] == config.command(task.samples)
    assert card["updates"] == task.updates(task.samples)
    assert card["parameters"] == sum(p.numel() for p in task.build().parameters())


@pytest.fixture(scope="module")
def batches() -> DrawnBatches:
    """What both shipped networks were trained on: the same drawings, by the same seed."""
    (seed,) = {config.seed for config in SHIPPED}
    return DrawnBatches(task_of(SHIPPED[0]), seed)


@pytest.mark.parametrize("config", SHIPPED, ids=NAMES)
def test_a_short_training_repeats_the_first_losses_of_the_shipped_one(
    config: Config, batches: DrawnBatches
) -> None:
    task, path = shipped(config)
    own = copy(batches)
    own.task, own.generator = task, deepcopy(batches.generator)
    expected = json.loads((path.parent / CARD_NAME).read_text(encoding="utf-8"))["first_losses"][:6]
    with one_thread():
        torch.manual_seed(config.seed)
        network = task.build()
        steps = train(network, own, task.updates(task.samples))
        losses = [loss for loss, _ in zip(steps, expected, strict=False)]
    np.testing.assert_allclose(losses, expected, rtol=5e-3)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("network", ["causalnet_spatial", "causalnet_pretrained"])
def test_the_script_writes_the_same_bytes_for_the_same_seed(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        own = ("--network", network, "--out", tmp_path / name, "--seed", seed, "--samples", 256)
        assert run_here(monkeypatch, script.main, *own) == 0
    first, again, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"
    )
    assert first == again
    assert first["causalnet.safetensors"] != other["causalnet.safetensors"]
    method: Literal["--seed 5 --samples 256"] = "--seed 5 --samples 256"
    assert json.loads(first[CARD_NAME])["command"].endswith(f"--network {network} {method}")
    create_model(network, weights=str(tmp_path / "a" / "causalnet.safetensors"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--samples", 100), "samples is 100: give a multiple of 256"),
        (("--key-frame-errors", 2), "key"),
        (("--network", "au_network", "--parts", "both"), "au_network has no such setting"),
        (("--ablation", "no_cab"), "causalnet_spatial has no such setting"),
        (("--network", "au_network", "--key-frame-errors", 0.5), "sees one phase"),
    ],
)
def test_bad_settings_are_refused(
    flags: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_here(monkeypatch, script.main, "--out", tmp_path, *flags) == 2
    assert message in capsys.readouterr().err


def test_the_mirror_of_motion_is_the_mirror_of_its_maps(drawn: tuple[Tensor, Tensor]) -> None:
    motion, activations = drawn[0][:20], drawn[1][:20]
    turned, _ = mirror(motion, activations)
    expected = spatial.mirrored_maps(maps_of_phases(motion).numpy())
    np.testing.assert_allclose(maps_of_phases(turned).numpy(), expected, atol=1e-6)
    back = spatial.mirrored_maps(expected)
    np.testing.assert_array_equal(back, maps_of_phases(motion).numpy())


def test_maps_of_motion_hold_u_and_v_where_clips_have_them(drawn: tuple[Tensor, Tensor]) -> None:
    motion = drawn[0][:3].float()
    maps = maps_of_phases(drawn[0][:3])
    assert maps.shape == (3, 4, 3, 28, 28)
    for phase in (0, 1):
        assert torch.equal(maps[:, phase, 2], motion[:, phase, 0])
        assert torch.equal(maps[:, phase, 1], motion[:, phase, 1])
        length = motion[:, phase].norm(dim=1)
        torch.testing.assert_close(maps[:, 2 + phase, 2], length)


@pytest.mark.parametrize("parts", get_args(Parts))
def test_a_place_sees_no_further_than_its_neighbors(parts: Parts) -> None:
    """Without the convolutions, which see further: changing a corner's token changes with CMPLM
    and CAB what lies at most two steps away, and without them the corner alone."""
    torch.manual_seed(1)
    network = PlacesNetwork(parts).eval()
    streams = torch.randn(2, 1, 16, 64)
    changed = streams.clone()
    changed[:, :, 0] = torch.randn(64)
    with torch.inference_mode():
        first, second = (attended(network, own) for own in (streams, changed))
    reached = {place for place in range(16) if not torch.equal(first[place], second[place])}
    one, two = {0, 1, 4}, {0, 1, 4, 2, 5, 8}
    if parts == "neither":
        assert reached == {0}
    else:
        # CMPLM's second stream sees the first one's new values: two steps, as with both.
        assert reached == {"cab": one, "cmplm": two, "both": two | {3, 6, 9, 12}}[parts]


def attended(network: PlacesNetwork, streams: Tensor) -> Tensor:
    """What CMPLM and CAB's causes make of tokens [s, b, t, c], by place [16, ...]. The relation,
    an ordinary attention, sees all places and is left out."""
    if network.cmplm is not None:
        streams = streams + network.cmplm(streams)
    if network.cab is not None:
        streams = network.cab(streams)[:, 16:].unflatten(1, (2, 16)).transpose(0, 1)
    return streams[:, 0].transpose(0, 1)


def test_all_of_the_pretrained_network_but_the_last_layer_is_that_of_the_file() -> None:
    state = load_file(pretrained.SHIPPED)
    torch.manual_seed(1)
    first = pretrained.build(classes=5)
    torch.manual_seed(2)
    other = pretrained.build(classes=5)
    for name, value in first.state_dict().items():
        same = torch.equal(value, other.state_dict()[name])
        assert same == (not name.startswith("mlp_head.1"))
        if same:
            assert torch.equal(value, state[name].float())


def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="causalnet"):
        spatial.read_network("both", str(shipped(SHIPPED[1])[1]))
    monkeypatch.setattr(spatial, "SHIPPED", tmp_path)
    with pytest.raises(UserError, match=r"is missing, and only those of cab .* --parts cmplm"):
        spatial.read_network("cmplm")
    with pytest.raises(UserError, match="parts 'all' is unknown; choose one of cab, cmplm"):
        PlacesNetwork("all")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="absent"):
        pretrained.build(weights=str(tmp_path / "absent.safetensors"))


def test_the_attention_benchmark_gives_even_attention_the_share_of_chance() -> None:
    """And attention to moving places alone a share of one."""
    network = PlacesNetwork("both").eval()
    assert network.cmplm is not None
    (attention,) = (own for own in network.cmplm.modules() if isinstance(own, MaskedAttention))
    nn.init.zeros_(attention.to_q.weight)
    nn.init.zeros_(attention.to_q.bias)
    generator = np.random.default_rng(1)
    motion, moving = benchmark.draw(generator, draw_motion_faces(98, count=3), 0.0)
    assert moving.shape == (len(motion), 16) and moving.sum(axis=1).min() >= 1
    share, chance = benchmark.moving_shares(network, motion, moving)
    np.testing.assert_allclose(share, chance, rtol=1e-5)
    weights, mask = benchmark.cmplm_attention(network, maps_of_phases(motion[:2]))
    assert weights.shape == (2, 2, 4, 16, 16) and int(mask.sum()) == 16 + 2 * 24
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 2, 4, 16))
    assert not weights[..., mask == 0].any()


def test_the_example_method_tells_the_phases_apart_and_the_suites_own_does_not() -> None:
    """Only where the phases are not summed can the second one change what is seen."""
    example = load_method(Path(__file__).parent.parent / "docs/examples/two_phases.py")
    stored = np.random.default_rng(1).integers(0, 256, (12, 4, 28, 28, 3), dtype=np.uint8)
    labels, groups = np.arange(12) % 3, np.array([f"a/s{n // 3}" for n in range(12)])
    for method, differs in ((example, True), (load_method("causalnet_spatial"), False)):
        steps = Preparation(**method.facts["preparation"])
        clips = prepare(stored, steps, np.full(12, "a"), {"": 0.5})[0]
        turned = clips[:, [1, 0, 3, 2]]
        assert np.allclose(clips[:, 0, 1:], -turned[:, 0, 1:]) != differs
        model = fit_estimator(method, method.build(), clips, labels, groups)
        assert estimator_scores(method, model, turned, 3).shape == (12, 3)
