"""Weights on disk: read without running code, describe, and fit into a model, or say why not.

``read_geometry`` and ``read_gamma`` read names and shapes of the published CausalNet state dict.
"""

import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from math import isclose, isqrt
from pathlib import Path
from typing import Any, TypeGuard

import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import UserError
from common.first_bytes import START, refuse_impostor
from common.refusals import Refusal, few, one_line
from models.systems import class_count, system_of

WRAPPERS = (
    *("state_dict", "model", "net", "model_state_dict", "model_state", "network", "weights"),
    *("params", "module", "checkpoint"),
)
"""Names under which training scripts save a state dict beside other things."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""What DataParallel, torch.compile and Lightning put in front of every name."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WHOLE_NUMBERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
GAMMA_TOLERANCE = 1e-6
GAMMA_DIGITS, HALF_DIGITS = 6, 2
"""Decimals of a gamma, and of one that was saved in half precision."""
CHANNELS = 3
LONGEST_CAUSE = 50
ROOM_FOR_MISFITS = 90
"""Characters of a message, together for the kinds of entries that do not fit."""


def load_weights(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read a state dict onto ``device``; a file that wants to run code is not run.

    Beside a bare state dict, .pth, .pt or .safetensors, these are taken: one that lies under one
    of ``WRAPPERS``, and names that all begin with one of ``PREFIXES``, which is left out.

    Raises:
        UserError: the file is missing, truncated, not torch's, would run code, holds anything but
            named tensors, or tensors that no training gives: not finite (NaN), complex, sparse,
            quantized or empty ones.
    """
    state = _state_of(_content(path, device), path)
    prefix = _common_prefix(state)
    state = {name.removeprefix(prefix): value for name, value in state.items()}
    kind = torch.device(device).type
    faults = {name: fault for name, value in state.items() if (fault := _fault(value, kind))}
    if faults:
        first = next(iter(faults.values()))
        names = few(name for name, fault in faults.items() if fault == first)
        raise Refusal(path, f"is refused: {first} in {names}. Train or fetch these weights again.")
    return state


def as_arrays(state: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Weights as NumPy arrays, in the type in which they are stored; bfloat16, which NumPy lacks,
    as float32."""
    return {
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        for name, value in state.items()
    }


def _content(path: Path, device: torch.device | str) -> Any:
    try:
        start = _checked_first_bytes(path)
        if _is_safetensors(path, start):
            tensors = safetensors.torch.load_file(path)
            return {name: value.to(device) for name, value in tensors.items()}
        with warnings.catch_warnings():
            # A strange file makes torch warn before it refuses.
            warnings.simplefilter("ignore")
            # Of a path torch would believe the ending.
            with path.open("rb") as file:
                return torch.load(file, map_location=device, weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError:
        raise Refusal(
            path,
            "is refused: it holds more than tensors, so that reading it could run code, or is no "
            "weights file. Save its state dict alone.",
        ) from None
    except OSError as error:
        raise Refusal(path, f"cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # noqa: BLE001 - a damaged file makes torch raise nearly anything
        if "TorchScript" in str(error):
            reason = "is a TorchScript program, not a state dict. Save model.state_dict() alone."
            raise Refusal(path, reason) from None
        raise Refusal(
            path,
            _as_archive(path)
            or f"cannot be read as weights ({_first_sentence(error)}). It may be truncated; fetch "
            "or write it again.",
        ) from None


def _checked_first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise Refusal(path, "is not a file; give weights such as <subject>.safetensors or .pth.")
    with path.open("rb") as file:
        start = file.read(START)
    refuse_impostor(path, start, "the weights")
    if start.isascii() and start.decode().isprintable() and start:
        text = start[:20].decode()
        raise Refusal(path, f"is a text file that begins with {text!r}. Download the file itself.")
    return start


def _is_safetensors(path: Path, start: bytes) -> bool:
    """By the content (eight bytes of a length, then JSON); by the name where that says nothing."""
    is_torchs = start.startswith((b"PK", b"\x80"))
    return not is_torchs and (start[8:9] == b"{" or path.suffix.lower() == ".safetensors")


def _as_archive(path: Path) -> str | None:
    """What to say of an archive that does not hold what torch writes; None for any other file."""
    try:
        if tarfile.is_tarfile(path):
            return "is a tar archive. Unpack it."
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            names = sorted(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return None
    if any(name.endswith("data.pkl") for name in names):
        return None
    if all(name.endswith(".npy") for name in names):
        return "is an archive of NumPy arrays (.npz). Save the network's state dict with torch."
    return f"is an archive of {few(names, 60)}. Unpack it."


def _first_sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return one_line(text.splitlines()[0].split(". ")[0], LONGEST_CAUSE)


def _state_of(content: Any, path: Path) -> Mapping[str, Tensor]:
    """The state dict in what a file holds."""
    if not isinstance(content, Mapping) or not content:
        raise Refusal(
            path,
            f"is refused: it holds a {type(content).__name__}, not a state dict with entries. Save "
            "model.state_dict().",
        )
    if _is_state(content):
        return content
    states = {name: value for name, value in content.items() if _is_state(value)}
    wrapped = [name for name in WRAPPERS if _holds_another(content.get(name))]
    chosen = next((name for name in (*WRAPPERS, *states) if name in states), None)
    if chosen is None and len(wrapped) == 1:
        return _state_of(content[wrapped[0]], path)
    if chosen is None:
        raise Refusal(path, f"is refused: {_no_state(content)}. Save model.state_dict() alone.")
    names = _plain_names(states[chosen])
    others = [name for name in states if name != chosen]
    rivals = [
        name
        for name in others
        if chosen not in WRAPPERS or name in WRAPPERS or names & _plain_names(states[name])
    ]
    if rivals:
        raise Refusal(
            path,
            f"is refused: it holds several state dicts ({few([chosen, *rivals])}). Save the one "
            "to use alone.",
        )
    return states[chosen]


def _holds_another(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values())


def _no_state(content: Mapping[Any, Any]) -> str:
    """What is wrong with a dictionary without a state dict in it."""
    if {"state", "param_groups"} <= content.keys():
        return "it holds the state of an optimizer, not a network's"
    other = [name for name, value in content.items() if not _is_entry(name, value)]
    return f"{few(other)} is not a named tensor, so the file is not a state dict"


def _is_state(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(_is_entry(name, entry) for name, entry in value.items())


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _common_prefix(names: Iterable[str]) -> str:
    """What of ``PREFIXES`` all names begin with, one after the other."""
    names, common = list(names), ""
    while True:
        more = [p for p in PREFIXES if all(name.startswith(common + p) for name in names)]
        if not more:
            return common
        common += more[0]


def published_network(state: dict[str, Tensor], source: object) -> dict[str, Tensor]:
    """The entries of the one published system among weights of something larger: those whose names
    begin with one word, such as ``backbone.``, without it; else the weights as they are.

    Raises:
        UserError: there are several.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in state.items():
        head, _, rest = name.partition(".")
        parts.setdefault(head, {})[rest] = value
    plain = {
        head: {name.removeprefix(_common_prefix(part)): value for name, value in part.items()}
        for head, part in parts.items()
    }
    networks = {head: part for head, part in plain.items() if system_of(part) is not None}
    if system_of(state) is not None or not networks:
        return state
    if len(networks) > 1:
        raise Refusal(
            source, f"holds several networks ({few(networks)}). Save the one to use alone."
        )
    return next(iter(networks.values()))


def _plain_names(state: Mapping[str, Tensor]) -> set[str]:
    prefix = _common_prefix(state)
    return {name.removeprefix(prefix) for name in state}


def _fault(value: Tensor, device: str) -> str | None:
    """Why no training gives such a tensor; None for a good one, on the type of device asked for."""
    if value.is_nested or value.layout != torch.strided:
        return "a sparse tensor"
    if value.dtype not in (*FLOATS, *WHOLE_NUMBERS):
        return f"numbers of type {str(value.dtype).removeprefix('torch.')}"
    if not value.numel():
        return "an empty tensor"
    # Looking at such a tensor's values would give each of them memory of its own.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return "more values than are stored"
    if value.device.type != device:
        return f"a tensor of the device {value.device.type}, which has no values here,"
    # A tensor on the meta device has no values.
    if value.dtype in FLOATS and not value.is_meta and bool(value.isnan().any()):
        return "values that are not numbers (NaN)"
    return None


def read_gamma(state: Mapping[str, Tensor]) -> float:
    """The gamma that the checkpoint's ``P_matrix`` buffers were built with.

    Raises:
        UserError: no ``P_matrix``, or several that disagree or have another form.
    """
    gammas = [_gamma_of_penalty(value, name) for name, value in state.items() if _is_penalty(name)]
    if not gammas:
        raise UserError(
            "the weights hold no P_matrix, so they tell no gamma. Save model.state_dict(), which "
            "holds its buffers too."
        )
    if any(not isclose(gamma, gammas[0], abs_tol=GAMMA_TOLERANCE) for gamma in gammas):
        raise UserError(
            f"the weights' P_matrix entries disagree on gamma: {few(sorted(set(gammas)))}."
        )
    return gammas[0]


def _is_penalty(name: str) -> bool:
    return name.split(".")[-1] == "P_matrix"


def _gamma_of_penalty(penalty: Tensor, name: str) -> float:
    """P holds -(key + 1) * gamma on its anti-diagonal (docs/causalnet.md, 2.3)."""
    if penalty.ndim != 2 or penalty.shape[0] != penalty.shape[1]:
        raise UserError(
            f"{few([name])} has shape {list(penalty.shape)}, not a square; it tells no gamma."
        )
    side = penalty.shape[0]
    key = torch.arange(side, 0, -1, dtype=torch.float64) - 1
    anti_diagonal = penalty.detach().cpu().double().flip(1).diagonal()
    gammas = -anti_diagonal / (key + 1)
    spread, digits = float((gammas - gammas[0]).abs().max()), GAMMA_DIGITS
    if spread > GAMMA_TOLERANCE:
        coarse = _coarse_type(penalty)
        spread -= torch.finfo(coarse).eps if coarse is not None else 0
        digits = HALF_DIGITS
    if not spread <= GAMMA_TOLERANCE:
        raise UserError(
            f"{few([name])} is not of the form -(key + 1) * gamma, so it tells no gamma."
        )
    return round(float(gammas.mean()), digits)


def _coarse_type(values: Tensor) -> torch.dtype | None:
    """The half-precision type in which the values were once saved; None where in none."""
    kinds = (torch.float16, torch.bfloat16)
    return next((k for k in kinds if torch.equal(values.to(k).to(values.dtype), values)), None)


def check_gamma(state: Mapping[str, Tensor], gamma: float, source: object) -> None:
    """Refuse weights that were trained with another gamma than the one asked for.

    Raises:
        UserError: the two differ, or the weights tell none.
    """
    stored = read_gamma(state)
    if not isclose(stored, gamma, abs_tol=GAMMA_TOLERANCE):
        raise Refusal(
            source,
            f"was trained with gamma {stored:g}, but gamma {gamma:g} is asked for. Ask for gamma "
            f"{stored:g}, or give weights trained with {gamma:g}.",
        )


def read_geometry(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The ``create_model("causalnet", ...)`` arguments that names and shapes tell.

    ``heads`` is not among them: where a block holds one token the shapes do not tell it.

    Raises:
        UserError: an entry that is needed is missing, or has a shape of another kind.
    """
    dim, pixels = _shape(state, "to_patch_embedding.1.weight", dimensions=4)[:2]
    hidden, classes = _shape(state, "mlp_head.1.weight", dimensions=2)[::-1]
    patch = isqrt(pixels // CHANNELS)
    if patch**2 * CHANNELS != pixels:
        raise _not_causalnets(state, f"a patch of {pixels} values is no square of three channels")
    repeats = _block_repeats(state)
    return {
        "block_repeats": repeats,
        "gamma": read_gamma(state),
        "dim": dim,
        "classes": classes,
        "image_size": patch * 2 ** (len(repeats) - 1),
        "patch_size": patch,
        "hidden": hidden,
    }


def _shape(state: Mapping[str, Tensor], name: str, dimensions: int) -> list[int]:
    if name not in state:
        raise _not_causalnets(state, f"{name} is missing")
    if state[name].ndim != dimensions:
        shape = list(state[name].shape)
        raise _not_causalnets(
            state, f"{name} has shape {shape}, where {dimensions} dimensions are expected"
        )
    return list(state[name].shape)


def _not_causalnets(state: Mapping[str, Tensor], reason: str) -> UserError:
    system = system_of(state)
    known = system is not None and system.name != "CausalNet"
    other = f" but {system.name}'s" if system is not None and known else ""
    held = "" if known else f". They hold {few(state, room=ROOM_FOR_MISFITS)}"
    return UserError(f"the weights are not CausalNet's{other}: {reason}{held}.")


def _block_repeats(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Layers of each stage, from names ``layers.<stage>.0.layers.<layer>...``."""
    layers: dict[int, set[int]] = {}
    for name in state:
        match name.split("."):
            case ["layers", stage, "0", "layers", layer, *_] if (stage + layer).isdecimal():
                layers.setdefault(int(stage), set()).add(int(layer))
    if not layers or sorted(layers) != list(range(len(layers))):
        raise _not_causalnets(state, "entries layers.<stage>.0.layers.<layer> are missing")
    return tuple(len(layers[stage]) for stage in sorted(layers))


def check_fits_clips(
    geometry: Mapping[str, Any], source: object, *, classes: int, image_size: int
) -> None:
    """Refuse weights whose own geometry is for other clips.

    Args:
        geometry: from ``read_geometry``.
        source: the file.
        classes: of the clips.
        image_size: side of their maps in pixels.

    Raises:
        UserError: another number of classes, or maps of another side.
    """
    if geometry["classes"] != classes:
        raise Refusal(source, _other_classes(geometry["classes"], classes))
    if geometry["image_size"] != image_size:
        raise Refusal(
            source,
            f"has patches of {geometry['patch_size']} pixels for maps of {geometry['image_size']}, "
            f"but these clips' maps have {image_size}. Give weights trained on maps of that size.",
        )


def _other_classes(own: int, asked: int) -> str:
    return (
        f"tells {own} classes apart, but {asked} are asked for. Give weights that were trained on "
        f"{asked} classes."
    )


def load_into(model: nn.Module, state: Mapping[str, Tensor], source_name: object) -> None:
    """Copy ``state`` into ``model``, which must have the same names and shapes.

    Entries under the model's ``ignored_parts``, where it has such, are left out.

    Raises:
        UserError: weights of another system or for another number of classes; entries that are
            missing, unexpected or of another shape, by name; whole numbers or infinite values
            where the model has finite floats.
    """
    expected = model.state_dict()
    prefix, ignored = _common_prefix(expected), getattr(model, "ignored_parts", ())
    own = {prefix + name.removeprefix(prefix): value for name, value in state.items()}
    own = {name: value for name, value in own.items() if not name.startswith(tuple(ignored))}
    reason = _other_system(own, expected) or _misfit(own, expected) or _bad_values(own, expected)
    if reason is not None:
        raise Refusal(source_name, reason)
    model.load_state_dict(own, strict=True)


def _other_system(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    theirs, ours = system_of(state), system_of(expected)
    if theirs is not None and theirs != ours:
        asked = f", not of {ours.name}" if ours is not None else ", and the model is another"
        return (
            f"holds weights of {theirs.name}{asked}. Give weights of the method that is asked for."
        )
    classes, asked_classes = class_count(state), class_count(expected)
    if classes is not None and asked_classes is not None and classes != asked_classes:
        return _other_classes(classes, asked_classes)
    return None


def _misfit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    misshapen = [
        f"{name} {list(state[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    groups = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of another shape": misshapen,
    }
    kinds = {kind: names for kind, names in groups.items() if names}
    if not kinds:
        return None
    room = ROOM_FOR_MISFITS // len(kinds)
    said = "; ".join(f"{kind}: {few(names, room)}" for kind, names in kinds.items())
    return f"does not fit the model ({said}). Check the settings of the run that wrote it."


def _overflows(value: Tensor, expected: Tensor) -> bool:
    """Whether it is infinite, in the type of the model, where the freshly built model is not."""
    own = value.to(expected.dtype).isinf()
    return bool(own.any()) and bool((own & ~expected.to(own.device).isinf()).any())


def _bad_values(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str | None:
    """Whole numbers or infinite values where the model, freshly built, has finite floats."""
    floats = [name for name, value in expected.items() if value.is_floating_point()]
    whole = [name for name in floats if not state[name].is_floating_point()]
    if whole:
        return f"is refused: whole numbers, where floats are expected, in {few(whole)}."
    infinite = [name for name in floats if _overflows(state[name], expected[name])]
    if infinite:
        return f"is refused: infinite values in {few(infinite)}. Its training diverged."
    return None
