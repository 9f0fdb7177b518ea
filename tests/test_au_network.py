"""The AU network: its shape, its shipped weights, and a training that can be made again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from common.action_units import ACTION_UNITS
from common.errors import UserError
from datasets.synthetic.motion import MUSCLES, draw_motion_faces
from models.au_network import (
    FEATURES,
    SHIPPED,
    AuNetwork,
    area_half,
    load_weights,
    mirrored,
    one_thread,
    read_activations,
    read_features,
)
from tests.helpers.scripts import run_here
from training import au_network as command
from training import pretrain_on_motion as script
from training.pretrain_on_motion import (
    CARD_NAME,
    Config,
    DrawnBatches,
    draw_samples,
    mirror,
    task_of,
    train,
)

CARD = json.loads((SHIPPED.parent / CARD_NAME).read_text(encoding="utf-8"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script draws few faces, and few samples to check itself on."""
    monkeypatch.setattr(script, "CHECKED_SAMPLES", 64)
    monkeypatch.setattr(script, "draw_motion_faces", lambda seed: draw_motion_faces(seed, 3))


@pytest.fixture(scope="module")
def motion() -> np.ndarray:
    """Random motion of eight clips, [8, 2, 28, 28]."""
    return np.random.default_rng(1).standard_normal((8, 2, 28, 28), dtype=np.float32)


def test_the_network_has_the_parameters_that_its_page_says() -> None:
    assert sum(parameter.numel() for parameter in AuNetwork().parameters()) == 376_800
    assert CARD["parameters"] == 376_800


def test_features_and_activations_have_their_shapes(motion: np.ndarray) -> None:
    weights = load_weights()
    assert read_features(motion, weights).shape == (8, FEATURES) == (8, 1536)
    assert read_activations(motion, weights).shape == (8, len(ACTION_UNITS), 2)


def test_clips_are_read_one_by_one_or_together_alike(motion: np.ndarray) -> None:
    weights = load_weights()
    alone = np.concatenate([read_features(clip[None], weights) for clip in motion])
    np.testing.assert_allclose(read_features(motion, weights), alone, atol=1e-5)


def test_area_reduction_averages_two_by_two_pixels(motion: np.ndarray) -> None:
    halved = area_half(motion)
    assert halved.shape == (8, 2, 14, 14)
    assert halved[3, 1, 4, 5] == pytest.approx(motion[3, 1, 8:10, 10:12].mean(), abs=1e-6)


def test_the_mirror_swaps_sides_and_turns_u_and_gaze() -> None:
    generator = np.random.default_rng(2)
    samples, activations = draw_samples(generator, draw_motion_faces(1, count=2), 40)
    turned, swapped = mirror(samples, activations)
    np.testing.assert_allclose(turned.numpy(), mirrored(samples.numpy()))
    for place, (unit, side) in enumerate(MUSCLES):
        other = MUSCLES.index((unit, -side))  # type: ignore[arg-type]
        sign = -1 if unit == "gaze" else 1
        assert torch.equal(swapped[:, place], sign * activations[:, other])
    for own, again in zip((samples, activations), mirror(turned, swapped), strict=True):
        assert torch.equal(own, again)


def test_the_shipped_network_finds_drawn_muscles_on_their_side() -> None:
    """On faces that it has not seen."""
    generator = np.random.default_rng(3)
    samples, activations = draw_samples(generator, draw_motion_faces(99, count=20), 600)
    network = AuNetwork().eval()
    network.load_state_dict(load_file(SHIPPED))
    with torch.inference_mode():
        read = network(samples)
    correlations = [
        np.corrcoef(read[:, place], activations[:, place])[0, 1] for place in range(len(MUSCLES))
    ]
    assert np.mean(correlations) > 0.6 and min(correlations) > 0.3


def test_the_shipped_weights_are_small_and_in_float16() -> None:
    assert {tensor.dtype for tensor in load_file(SHIPPED).values()} == {torch.float16}
    assert SHIPPED.stat().st_size < 800_000


def test_a_short_training_repeats_the_first_losses_of_the_shipped_one() -> None:
    config = command.Config()
    assert CARD["command"].endswith(f"--seed {config.seed} --samples {config.samples}")
    task = task_of(Config("au_network"))
    with one_thread():
        torch.manual_seed(config.seed)
        batches = DrawnBatches(task, config.seed)
        steps = train(AuNetwork(), batches, task.updates(config.samples))
        losses = [loss for loss, _ in zip(steps, CARD["first_losses"], strict=False)]
    np.testing.assert_allclose(losses, CARD["first_losses"], rtol=2e-3)


@pytest.mark.usefixtures("quick")
def test_the_script_writes_the_same_bytes_for_the_same_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        arguments = ("--out", tmp_path / name, "--seed", seed, "--samples", 256)
        assert run_here(monkeypatch, command.main, *arguments) == 0
    assert "R^2" in capsys.readouterr().out
    first, again, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"
    )
    assert first == again
    assert first["au_network.safetensors"] != other["au_network.safetensors"]
    assert json.loads(first[CARD_NAME])["updates"] == 3
    load_weights(tmp_path / "a" / "au_network.safetensors")


@pytest.mark.usefixtures("quick")
def test_no_samples_give_an_untrained_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_here(monkeypatch, command.main, "--out", tmp_path, "--samples", 0) == 0
    assert json.loads((tmp_path / CARD_NAME).read_text())["first_losses"] == []


def test_bad_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, command.main, "--out", tmp_path, "--samples", 100) == 2
    assert "samples is 100: give a multiple of 256" in capsys.readouterr().err


def test_files_that_hold_no_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    files = {
        "absent": ("is not a file", None),
        "torn": ("cannot be read as weights", SHIPPED.read_bytes()[:1000]),
        "foreign": ("missing", save({"weight": torch.zeros(3)})),
        "nan": ("not numbers", save({n: v * torch.nan for n, v in load_file(SHIPPED).items()})),
    }
    for name, (reason, content) in files.items():
        path = tmp_path / f"{name}.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError, match=reason) as caught:
            load_weights(path)
        assert "\n" not in str(caught.value)
