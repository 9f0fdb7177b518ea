"""Weights files: good ones load, all others are refused with name and reason."""

import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from common.errors import UserError
from models import create_model
from models.checkpoint import (
    WRAPPERS,
    check_fits_clips,
    check_gamma,
    load_into,
    load_weights,
    published_network,
    read_gamma,
    read_geometry,
)
from tests.helpers.golden_weights import read_golden

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
        ({"epoch": 3, "nets": [torch.zeros(1)]}, "epoch, nets is not a named"),
        ({"a": {"x": torch.zeros(1)}, "b": {"y": torch.ones(1)}}, r"state dicts \(a, b\)"),
        ({"state": {0: {}}, "param_groups": []}, "the state of an optimizer, not a network's"),
        ({"epoch": 3, "state_dict": {}}, "epoch, state_dict is not a named"),
        (
            {"model": {"a": torch.zeros(1)}, "ema": {"module.a": torch.ones(1)}},
            r"several state dicts \(model, ema\)",
        ),
        (
            {"net": {"a": torch.zeros(1)}, "model": {"b": torch.ones(1)}},
            r"several state dicts \(model, net\)",
        ),
        ({"model": {"a": torch.zeros(1), "b": 3}}, "model is not a named tensor"),
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


def equal(got: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return list(got) == list(expected) and all(map(torch.equal, got.values(), expected.values()))


def test_downloaded_weights_are_read_in_their_usual_shapes(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    beside = {"epoch": 3, "optimizer": {"state": {0: {"step": torch.zeros(1)}}}, "best": 0.9}
    random_state = {"rng": {"torch": torch.zeros(3, dtype=torch.uint8)}}
    parallel = {f"module.{name}": value for name, value in state.items()}
    compiled = {f"module._orig_mod.{name}": value for name, value in state.items()}
    contents: list[dict[str, Any]] = [parallel, compiled]
    for prefix in ("model.", "net.", "network.", "module.model."):
        contents.append({f"{prefix}{name}": value for name, value in state.items()})
    for name in WRAPPERS:
        contents += [{name: state}, {**beside, name: parallel}, {name: state, **random_state}]
    contents += [{"ema": state}, {"state_dict": {"model": parallel, "epoch": 3}}]
    for number, content in enumerate(contents):
        torch.save(content, tmp_path / f"{number}.pt")
        assert equal(load_weights(tmp_path / f"{number}.pt"), state), list(content)[:3]
    parameters = {name: nn.Parameter(value, requires_grad=False) for name, value in state.items()}
    torch.save(parameters, tmp_path / "parameters.pth")
    assert equal(load_weights(tmp_path / "parameters.pth"), state)


def test_the_form_of_weights_is_told_by_the_content(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    safetensors.torch.save_file(state, tmp_path / "s01.pth")
    torch.save(state, tmp_path / "s02.safetensors")
    for name in ("s01.pth", "s02.safetensors"):
        assert load_weights(tmp_path / name).keys() == state.keys()


def test_the_one_published_network_of_something_larger_is_found(state: dict[str, Tensor]) -> None:
    part = {f"backbone.module.{name}": value for name, value in state.items()}
    found = published_network({**part, "criterion.weight": torch.zeros(3)}, "s03.pth")
    assert equal(found, state)
    assert published_network(state, "s03.pth") is state
    other = {f"teacher.{name}": value for name, value in state.items()}
    with pytest.raises(UserError, match=r"several networks \(backbone, teacher\)"):
        published_network({**part, **other}, "s03.pth")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["arr_0.npy"], "an archive of NumPy arrays"),
        (["sub01.pth", "sub02.pth"], "an archive of sub01.pth, sub02.pth. Unpack it"),
    ],
)
def test_archives_are_called_so(names: list[str], reason: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s03.pth", "w") as archive:
        for name in names:
            archive.writestr(name, "")
    with pytest.raises(UserError, match=rf"s03\.pth is {reason}"):
        load_weights(tmp_path / "s03.pth")
    with tarfile.open(tmp_path / "s04.pth", "w") as tar:
        tar.add(tmp_path / "s03.pth")
    with pytest.raises(UserError, match=r"s04\.pth is a tar archive\. Unpack it"):
        load_weights(tmp_path / "s04.pth")


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    content = {"module.a": torch.zeros(1), "steps": torch.zeros(1)}
    torch.save(content, tmp_path / "s03.pth")
    assert list(load_weights(tmp_path / "s03.pth")) == ["module.a", "steps"]


def test_a_network_whose_own_names_begin_with_the_prefix_still_loads(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module("module", nn.Linear(2, 2))
    torch.save(model.state_dict(), tmp_path / "s03.pth")
    other = nn.Sequential()
    other.add_module("module", nn.Linear(2, 2))
    load_into(other, load_weights(tmp_path / "s03.pth"), "s03.pth")
    assert equal(other.state_dict(), model.state_dict())


def test_safetensors_are_read_and_damaged_ones_refused(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "s03.safetensors"
    separate = {f"module.{name}": value.clone() for name, value in state.items()}
    safetensors.torch.save_file(separate, path)
    loaded = load_weights(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    content = path.read_bytes()
    for damaged in (b"", content[:4], content[:100], content[:-1], b"\xff" * 200):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"s03\.safetensors cannot be read as weights \("):
            load_weights(path)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:TypedStorage")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda value: value / 0, r"values that are not numbers \(NaN\)"),
        (Tensor.to_sparse, "a sparse tensor"),
        (lambda value: value.to(torch.complex64), "numbers of type complex64"),
        (lambda value: value.to(torch.float8_e4m3fn), "numbers of type float8_e4m3fn"),
        (
            lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
            "numbers of type qint8",
        ),
        (lambda value: value[:0], "an empty tensor"),
        (lambda value: value[:1, :1].expand(10**6, 10**6), "more values than are stored"),
        (lambda value: value.to("meta"), "a tensor of the device meta, which has no values here,"),
    ],
    ids=["nan", "sparse", "complex", "float8", "quantized", "empty", "expanded", "meta"],
)
def test_tensors_that_no_training_gives_are_refused(
    spoil: Callable[[Tensor], Tensor], reason: str, tmp_path: Path
) -> None:
    content = {"fc.good": torch.zeros(2), "fc.bad": spoil(torch.zeros(2, 2))}
    torch.save(content, tmp_path / "s03.pth")
    with pytest.raises(UserError, match=rf"s03\.pth is refused: {reason} in fc\.bad\."):
        load_weights(tmp_path / "s03.pth")


def test_values_that_the_model_cannot_have_are_refused(state: dict[str, Tensor]) -> None:
    model, name = create_model("causalnet", **SMALL), "mlp_head.1.weight"
    for value, reason in (
        (state[name].long(), "whole numbers, where floats are expected, in mlp_head.1.weight"),
        (state[name] > 0, "whole numbers, where floats are expected, in mlp_head.1.weight"),
        (state[name] / 0, "infinite values in mlp_head.1.weight"),
    ):
        with pytest.raises(UserError, match=rf"s03\.pth is refused: {reason}"):
            load_into(model, {**state, name: value}, "s03.pth")
    load_into(model, {name: value.half() for name, value in state.items()}, "s03.pth")


class Masked(nn.Linear):
    """A network with an infinite and a whole buffer."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))
        self.register_buffer("place", torch.arange(2))


def test_a_buffer_that_is_infinite_or_whole_by_design_loads(tmp_path: Path) -> None:
    torch.save(Masked().state_dict(), tmp_path / "s03.pth")
    load_into(Masked(), load_weights(tmp_path / "s03.pth"), "s03.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"\n<!DOCTYPE HTML><html><body>Sign in</body></html>", "is a web page"),
        ("<html>".encode("utf-16"), "is a web page"),
        (bytes(500), "is a file of zero bytes"),
    ],
)
def test_what_a_failed_download_leaves_is_named(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "s03.pth").write_bytes(content)
    with pytest.raises(UserError, match=rf"s03\.pth {reason}, not the weights; "):
        load_weights(tmp_path / "s03.pth")


HTNET = {"to_patch_embedding.1.weight": (8, 147, 1, 1), "mlp_head.2.weight": (3, 16)}
OFF_TANET = {"res1.botneck.weight": (1,), "eres.botneck.weight": (1,), "dense.6.weight": (3, 64)}
MMNET = {"timeembed": (1,), "conv_act.0.weight": (1,), "main_branch.fc.weight": (5, 9)}
SRMCL_LISTINGS = read_golden("srmcl_keys.json")["variants"].values()
SRMCL, SRMCL_SR = ({name: (5, 2) for name, *_ in item["entries"]} for item in SRMCL_LISTINGS)


@pytest.mark.parametrize(
    ("shapes", "system"),
    [
        (HTNET, "HTNet"),
        (OFF_TANET, "Off-TANet"),
        (MMNET, "MMNet"),
        (SRMCL, "SRMCL"),
        (SRMCL_SR, "SRMCL's form sr"),
    ],
)
def test_weights_of_another_system_are_called_that(
    shapes: dict[str, tuple[int, ...]], system: str
) -> None:
    foreign = {name: torch.zeros(shape) for name, shape in shapes.items()}
    with pytest.raises(
        UserError, match=rf"^s03\.pth holds weights of {system}, not of CausalNet\."
    ):
        load_into(create_model("causalnet", **SMALL), foreign, "s03.pth")
    with pytest.raises(UserError, match=rf"holds weights of {system}, and the model is another"):
        load_into(nn.Linear(2, 2), foreign, "s03.pth")
    with pytest.raises(UserError, match=rf"not CausalNet's but {system}'s: \S+ is missing"):
        read_geometry(foreign)


def test_names_of_no_known_system_are_listed() -> None:
    foreign = {"conv1.weight": torch.zeros(3, 3, 3, 3), "fc.bias": torch.zeros(3)}
    with pytest.raises(UserError, match=r"is missing\. They hold conv1\.weight, fc\.bias\."):
        read_geometry(foreign)
    with pytest.raises(UserError, match=r"missing: \S+ and \d+ more; unexpected: conv1\.weight"):
        load_into(create_model("causalnet", **SMALL), foreign, "s03.pth")


def test_another_number_of_classes_is_told_by_both_numbers(state: dict[str, Tensor]) -> None:
    five = create_model("causalnet", **SMALL, classes=5)
    with pytest.raises(UserError, match=r"s03\.pth tells 3 classes apart, but 5 are asked for\."):
        load_into(five, state, "s03.pth")
    geometry = read_geometry(state)
    check_fits_clips(geometry, "s03.pth", classes=3, image_size=28)
    with pytest.raises(UserError, match=r"s03\.pth tells 3 classes apart, but 5 are asked for\."):
        check_fits_clips(geometry, "s03.pth", classes=5, image_size=28)
    with pytest.raises(UserError, match=r"patches of 7 pixels for maps of 28, but .* have 32\."):
        check_fits_clips(geometry, "s03.pth", classes=3, image_size=32)


def test_a_patch_that_is_no_square_tells_no_geometry(state: dict[str, Tensor]) -> None:
    name = "to_patch_embedding.1.weight"
    with pytest.raises(UserError, match=r"a patch of 100 values is no square"):
        read_geometry({**state, name: torch.zeros(16, 100, 1, 1)})


def test_every_message_is_one_line_of_at_most_300_characters(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    model = create_model("causalnet", **SMALL)
    names = ["entry\n" * 99 + str(number) for number in range(99)]
    long = {name: torch.full((1,), torch.nan) for name in names}
    folder = tmp_path / ("deep" * 50)
    folder.mkdir()
    refused = []
    contents: tuple[Any, ...] = (
        long,
        {"model": long, "net": long},
        {**long, "a": 1},
        [],
        {"a": WantsToRunCode()},
    )
    for number, content in enumerate(contents):
        torch.save(content, folder / f"{number}.pth")
        with pytest.raises(UserError) as caught:
            load_weights(folder / f"{number}.pth")
        refused.append(str(caught.value))
    (folder / "9.pth").write_bytes(b"\x80" * 1000)
    misshapen = {name: torch.zeros(*value.shape, 2) for name, value in state.items()}
    with pytest.raises(UserError) as caught:
        load_weights(folder / "9.pth")
    refused.append(str(caught.value))
    for content in (long, misshapen, {**misshapen, **long}, {**dict(list(misshapen.items())[3:])}):
        with pytest.raises(UserError) as caught:
            load_into(model, content, folder / "s03.pth")
        refused.append(str(caught.value))
    for message in refused:
        assert len(message) <= 300 and message.isprintable(), message
