"""Weights files: good ones load, all others are refused with name and reason."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common.errors import UserError
from models import create_model
from models.checkpoint import check_gamma, load_into, load_weights, read_gamma, read_geometry

SMALL = {"block_repeats": (1, 1, 2), "gamma": 0.3, "dim": 16, "hidden": 32, "heads": 2}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return create_model("causalnet", **SMALL).state_dict()


class WantsToRunCode:
    """Unpickling it would make a folder."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made_by_the_file",)


@pytest.mark.parametrize("zipped", [True, False])
def test_written_weights_come_back(state: dict[str, Tensor], tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "s03.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    loaded = load_weights(path)
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    meta = load_weights(path, device="meta")
    assert all(value.device.type == "meta" for value in meta.values())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s03.pth"
    torch.save({"a": WantsToRunCode()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"s03\.pth is refused: .* could run code"):
        load_weights(path)
    assert not (tmp_path / "made_by_the_file").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_refused_wherever_it_ends(
    state: dict[str, Tensor], tmp_path: Path, zipped: bool
) -> None:
    whole = tmp_path / "whole.pth"
    torch.save(state, whole, _use_new_zipfile_serialization=zipped)
    content = whole.read_bytes()
    path = tmp_path / "s03.pth"
    for share in (0.0, 0.0001, 0.01, 0.1, 0.5, 0.9, 0.9999):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UserError, match=r"s03\.pth"):
            load_weights(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (4000,), generator=generator, dtype=torch.uint8)
    for content in (b"", b"best epoach: 1\n", bytes(noise.tolist())):
        (tmp_path / "s03.pth").write_bytes(content)
        with pytest.raises(UserError, match=r"s03\.pth"):
            load_weights(tmp_path / "s03.pth")
    with pytest.raises(UserError, match=r"absent\.pth is not a file"):
        load_weights(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="is not a file"):
        load_weights(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(1)], "holds a list, not a state dict"),
        (torch.zeros(3), "holds a Tensor, not a state dict"),
        ({}, "not a state dict with entries"),
        ({"epoch": 3, "state_dict": {"a": torch.zeros(1)}}, "epoch, state_dict is not a named"),
        ({1: torch.zeros(1)}, "1 is not a named tensor"),
    ],
)
def test_content_other_than_a_state_dict_is_refused(
    content: object, reason: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "s03.pth")
    with pytest.raises(UserError, match=rf"s03\.pth is refused: .*{reason}"):
        load_weights(tmp_path / "s03.pth")


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.4, 0.5])
def test_the_checkpoints_own_gamma_is_read(gamma: float) -> None:
    state = create_model("causalnet", **{**SMALL, "gamma": gamma}).state_dict()
    assert read_gamma(state) == gamma
    check_gamma(state, gamma, "s03.pth")
    with pytest.raises(
        UserError, match=rf"s03\.pth was trained with gamma {gamma:g}, but gamma 0\.7"
    ):
        check_gamma(state, 0.7, "s03.pth")


def test_a_checkpoint_that_tells_no_single_gamma_is_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match="hold no P_matrix"):
        read_gamma({"mlp_head.0.weight": torch.zeros(2, 2)})
    name = "cab.layers.0.1.P_matrix"
    with pytest.raises(UserError, match=r"disagree on gamma: 0\.3, 0\.6"):
        read_gamma({**state, name: state[name] * 2})
    with pytest.raises(UserError, match=r"P_matrix is not of the form"):
        read_gamma({name: torch.arange(16.0).view(4, 4)})
    with pytest.raises(UserError, match=r"P_matrix is not of the form"):
        read_gamma({name: torch.full((4, 4), torch.nan)})
    with pytest.raises(UserError, match="not a square"):
        read_gamma({name: torch.zeros(4)})


@pytest.mark.parametrize(
    "arguments",
    [
        SMALL,
        {"block_repeats": (3, 2, 1), "gamma": 0.4, "dim": 8, "classes": 5, "hidden": 7},
        {"block_repeats": (1, 2, 1), "dim": 8, "image_size": 16, "patch_size": 4, "hidden": 7},
    ],
)
def test_the_geometry_that_a_checkpoint_tells_builds_a_model_it_fits(arguments: dict) -> None:
    state = create_model("causalnet", **arguments).state_dict()
    geometry = read_geometry(state)
    assert {name: geometry.get(name, arguments[name]) for name in arguments} == arguments
    model = create_model("causalnet", **geometry, heads=arguments.get("heads", 3))
    load_into(model, state, "s03.pth")
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_foreign_weights_tell_no_geometry(state: dict[str, Tensor]) -> None:
    with pytest.raises(
        UserError, match=r"not CausalNet's: to_patch_embedding\.1\.weight is missing"
    ):
        read_geometry({"fc.weight": torch.zeros(3, 3)})
    name = "to_patch_embedding.1.weight"
    with pytest.raises(UserError, match=r"has shape \[3, 3\], where 4 dimensions"):
        read_geometry({**state, name: torch.zeros(3, 3)})
    headless = {name: value for name, value in state.items() if not name.startswith("layers.1.")}
    with pytest.raises(UserError, match=r"layers\.<stage>\.0\.layers\.<layer> are missing"):
        read_geometry(headless)


def test_weights_that_do_not_fit_are_refused_by_name(state: dict[str, Tensor]) -> None:
    model = create_model("causalnet", **SMALL)
    for entries, reason in (
        ({"fc.weight": torch.zeros(1)}, r"unexpected: fc\.weight"),
        (
            {"layers.0.0.layers.0.0.fn.to_qkv.weight": torch.zeros(3, 4, 1, 1)},
            r"another shape: layers\S+to_qkv\.weight \[3, 4, 1, 1\] instead of \[48, 16, 1, 1\]",
        ),
    ):
        with pytest.raises(UserError, match=rf"s03\.pth does not fit the model \(.*{reason}"):
            load_into(model, {**state, **entries}, "s03.pth")
    fewer = {name: value for name, value in state.items() if not name.startswith("cab.")}
    with pytest.raises(
        UserError, match=r"missing: cab\.layers\.0\.0\.weight, \S+, \S+ and \d+ more"
    ):
        load_into(model, fewer, "s03.pth")
