"""The contract that every registered network keeps; a new network adds no line here."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from common.errors import UserError
from models import create_model, list_models, small_arguments
from models.checkpoint import load_into, load_weights


@pytest.mark.parametrize("name", list_models())
def test_a_registered_network_keeps_the_contract(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = create_model(name, **small_arguments(name))
    maps = torch.rand(5, 4, 3, 28, 28) * 255
    logits = model(maps)
    assert logits.shape == (5, 3)
    assert torch.isfinite(logits).all()

    F.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        # A scalar's gradient may cancel: a shift that a later norm takes away.
        assert parameter.numel() == 1 or parameter.grad.any(), parameter_name

    torch.save(model.state_dict(), tmp_path / "weights.pth")
    other = create_model(name, **small_arguments(name))
    assert not torch.equal(other(maps), logits)
    load_into(other, load_weights(tmp_path / "weights.pth"), "weights.pth")
    assert torch.equal(other(maps), logits)


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match=r"'resnet' is unknown; there is .*causalnet"):
        create_model("resnet")
    with pytest.raises(UserError, match=r"no argument depth; it has block_repeats, gamma"):
        create_model("causalnet", depth=3)
