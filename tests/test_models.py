"""The contract that every method of the suite keeps; a new method adds no line here."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from common.errors import UserError
from datasets import Preparation, prepare
from models import create_model, list_methods, list_models, load_method
from models.checkpoint import load_into, load_weights
from models.estimator import (
    dump_estimator,
    estimator_scores,
    estimator_suffix,
    fit_estimator,
    load_estimator,
)
from models.method import Method
from training.stacking import StackedNetworks, why_alone

CLIPS, CLASSES = 9, 3
NETWORKS = [name for name in list_models() if load_method(name).trained]
ESTIMATORS = [name for name in list_models() if not load_method(name).trained]
STORED = {"flow": (2, 32, 32, 2), "frames": (9, 48, 48, 3)}


def table() -> pd.DataFrame:
    """Nine clips of three subjects, three of each class."""
    places = np.arange(CLIPS)
    return pd.DataFrame(
        {
            "dataset": "casme2",
            "subject": [f"s{place // 3}" for place in places],
            "clip": [f"c{place}" for place in places],
            "label": places % CLASSES,
            "onset": 1,
            "apex": 40,
            "offset": 80,
        }
    )


def prepared(method: Method) -> np.ndarray:
    """Clips [9, *shape] as the method sees them."""
    random = np.random.default_rng(0)
    own = method.hook("prepare")
    if method.input == "maps":
        stored = random.integers(0, 256, (CLIPS, 4, 28, 28, 3), dtype=np.uint8)
        if own is None:
            steps = Preparation(**method.facts.get("preparation", {}))
            gains = {"": 0.5}
            return prepare(stored, steps, np.full(CLIPS, "casme2"), gains)[0]
    elif method.input == "flow":
        stored = random.normal(size=(CLIPS, *STORED["flow"])).astype(np.float32)
    else:
        stored = random.integers(0, 256, (CLIPS, *STORED["frames"]), dtype=np.uint8)
    assert own is not None
    return np.asarray(own(stored, table(), None))


def small_network(name: str) -> nn.Module:
    network = create_model(name, **load_method(name).facts.get("small", {}))
    assert isinstance(network, nn.Module)
    return network


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request: pytest.FixtureRequest) -> tuple[str, nn.Module, Tensor]:
    """A small network of each method, after its loss was taken, with clips of its own input."""
    torch.manual_seed(0)
    network = small_network(request.param)
    clips = torch.as_tensor(prepared(load_method(request.param)))
    labels = torch.from_numpy(table()["label"].to_numpy())
    network.train()
    step = load_method(request.param).hook("training_step")
    generator = torch.Generator().manual_seed(0)
    loss = (
        nn.functional.cross_entropy(network(clips), labels)
        if step is None
        else step(network, clips, labels, generator)
    )
    loss.backward()
    return request.param, network.eval(), clips


def test_logits_have_a_column_for_each_class_and_are_finite(
    trained: tuple[str, nn.Module, Tensor],
) -> None:
    _, network, clips = trained
    logits = network(clips)
    assert logits.shape == (CLIPS, CLASSES) and torch.isfinite(logits).all()


def test_gradients_are_finite_and_reach_the_first_and_the_last_layer(
    trained: tuple[str, nn.Module, Tensor],
) -> None:
    _, network, _ = trained
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(own).all() for own in gradients)
    assert sum(bool(own.any()) for own in gradients) > len(gradients) / 2


def test_a_clip_alone_gets_its_logits_within_a_batch(
    trained: tuple[str, nn.Module, Tensor],
) -> None:
    _, network, clips = trained
    with torch.no_grad():
        together, alone = network(clips), torch.cat([network(clip[None]) for clip in clips])
    scale = together.abs().max().item()
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5 * max(1.0, scale))


def test_evaluation_draws_nothing_and_changes_nothing(
    trained: tuple[str, nn.Module, Tensor],
) -> None:
    _, network, clips = trained
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        assert torch.equal(network(clips), network(clips))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_are_saved_and_loaded_to_the_last_bit(
    trained: tuple[str, nn.Module, Tensor], tmp_path: Path
) -> None:
    name, network, clips = trained
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    torch.manual_seed(1)
    other = small_network(name)
    with torch.no_grad():
        assert not torch.equal(other(clips), network(clips))
        load_into(other, load_weights(tmp_path / "weights.pth"), "weights.pth")
        assert torch.equal(other.eval()(clips), network(clips))


def test_stacked_networks_give_the_logits_of_each_alone(
    trained: tuple[str, nn.Module, Tensor],
) -> None:
    name, _, clips = trained
    method, labels = load_method(name), torch.from_numpy(table()["label"].to_numpy())
    reason = why_alone(method, lambda: small_network(name), clips, labels)
    assert (reason is None) == (method.facts.get("group_size") is not None or name in STACKED)
    if reason is not None:
        return
    torch.manual_seed(3)
    networks = [small_network(name).eval() for _ in range(2)]
    with torch.no_grad():
        alone = torch.stack([network(clips) for network in networks])
        together = StackedNetworks(networks).logits(torch.stack([clips, clips]))
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


STACKED = {"causalnet", "htnet"}
"""Can be stacked, but are too large for it to pay."""


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_fitted_saved_and_loaded_to_the_last_bit(name: str, tmp_path: Path) -> None:
    method = load_method(name)
    clips, labels = prepared(method), table()["label"].to_numpy()
    groups = table()[["dataset", "subject"]].agg("/".join, axis=1).to_numpy(str)
    fitted, again = (
        fit_estimator(method, create_model(name), clips, labels, groups) for _ in range(2)
    )
    scores = estimator_scores(method, fitted, clips, CLASSES)
    assert scores.shape == (CLIPS, CLASSES) and np.isfinite(scores).all()
    content = dump_estimator(fitted)
    assert content == dump_estimator(again)
    path = tmp_path / f"fold{estimator_suffix(content)}"
    path.write_bytes(content)
    loaded = load_estimator(path, method, create_model(name))
    assert np.array_equal(estimator_scores(method, loaded, clips, CLASSES), scores)


def test_every_method_is_listed_with_one_line() -> None:
    lines = list_methods()
    assert sorted(lines) == list_models()
    assert all(len(line) > 20 and "\n" not in line for line in lines.values())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet", {}, "there is no method 'resnet'. Choose one of .*causalnet"),
        ("causalnet", {"depth": 3}, "method causalnet has no setting depth; it has classes, block"),
    ],
)
def test_unknown_names_are_refused_with_those_that_exist(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        create_model(name, **settings)
