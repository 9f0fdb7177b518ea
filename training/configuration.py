"""What is trained and how: typed, closed settings, and a grid as one list of configurations."""

import hashlib
import itertools
import json
import math
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from common.bounds import check_text
from common.choices import Precision, Schedule
from common.errors import UserError, name_list
from common.owned_folder import hash_file
from datasets import Preparation
from models.method import Method

MOST_CONFIGURATIONS = 10_000
MOST_NAME_BYTES = 200
"""Of a configuration's folder; below --weights the run's name comes before it."""


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainingSettings:
    """How a network is trained in every fold."""

    epochs: int
    """Passes over the training clips."""
    batch_size: int
    """Clips in an optimizer step; more than there are means the full batch."""
    learning_rate: float
    """Step size; the highest one of the schedule."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam as published, AdamW (weight decay apart from the gradient), or SGD with momentum .9."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer."""
    schedule: Schedule = "constant"
    """Step size over the run: constant; rising for 30 % of the steps, then falling to zero; falling
    to zero as a cosine; times step_factor every step_epochs; times decay after each of the first
    decay_epochs."""
    step_epochs: int = 1
    step_factor: float = 1.0
    decay: float = 1.0
    decay_epochs: int = 0
    shuffle: bool = False
    """Draw the training clips in a new order every epoch."""
    precision: Precision = "float32"
    """Arithmetic of the training steps."""
    class_weights: bool = False
    """Weight the loss so that every class counts the same in a fold's training clips."""
    label_smoothing: float = 0.0
    """Share of each label that is spread over all classes."""
    averaging: float = 0.0
    """Test with an exponential moving average of the weights, with this decay a step; 0: none."""
    averaging_from: float = 0.4
    """Share of the steps after which the average begins."""
    test_mirrored: bool = False
    """Logits of a test clip are the mean of the clip's and the mirrored clip's."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "step_epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        if not 0 <= self.weight_decay < math.inf:
            raise UserError(f"weight_decay is {self.weight_decay}; it must be a number from 0.")
        for name in ("step_factor", "decay", "decay_epochs"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; it must be a number from 0.")
        for name in ("label_smoothing", "averaging", "averaging_from"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1.")


def read_training(values: Mapping[str, Any], source: object) -> TrainingSettings:
    """Training settings from a method file or a record.

    Raises:
        UserError: an unknown or missing name, or a value of a wrong type.
    """
    return _validated(TrainingSettings, values, f"{source}: training")


def read_preparation(values: Mapping[str, Any], source: object) -> Preparation:
    """Steps of the preparation from a method file.

    Raises:
        UserError: an unknown step, or a value of a wrong type.
    """
    unknown = [name for name in values if name not in Preparation.__dataclass_fields__]
    if unknown:
        raise UserError(
            f"{source}: preparation has no step {name_list(unknown)}. "
            f"The steps are {name_list(Preparation.__dataclass_fields__)}."
        )
    return _validated(Preparation, values, f"{source}: preparation")


def check_views(
    method: Method, training: TrainingSettings | None, preparation: Preparation
) -> None:
    """Refuse to test on mirrored clips that the preparation does not make.

    Raises:
        UserError: it does not.
    """
    is_tested = training is not None and training.test_mirrored
    if is_tested and not preparation.mirror and method.hook("prepare") is None:
        raise UserError(
            "test_mirrored needs the mirrored clips, and mirror is off. Set both or neither."
        )


def _validated(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    try:
        for name, hint in get_type_hints(kind).items():
            if name in values:
                # So that True is no number, and "0.1" neither.
                TypeAdapter(hint).validate_python(values[name], strict=True)
        name = ""
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, [*filter(None, [name]), *problem["loc"]]))
        raise UserError(
            f"{where}, {name}: {problem['msg']}. docs/your_own_method.md lists what it may hold."
        ) from error


@dataclass(frozen=True)
class Configuration:
    """One point of a grid.

    Attributes:
        name: names the results folder.
        label: names it in ``result_summary.txt``.
        settings: keyword arguments of the method's ``build``.
        files: SHA-256 of each file that a setting names, by the setting's name.
    """

    name: str
    label: str
    settings: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def configurations(
    method: Method, given: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]
) -> list[Configuration]:
    """What is run: every combination of the grid's values, the last setting changing fastest.

    Args:
        given: settings that all configurations share.
        grid: values to search in place of those of the method's own grid.

    Raises:
        UserError: a setting that the method does not have, a value of another type than it
            declares, or one that is named twice.
    """
    searched = {**method.facts.get("grid", {}), **{name: tuple(own) for name, own in grid.items()}}
    searched = {name: own for name, own in searched.items() if name not in given}
    unknown = [name for name in (*given, *searched) if name not in method.settings]
    if unknown:
        known = name_list(method.settings) or "none"
        raise UserError(
            f"{name_list(unknown)}: method {method.name} has no such setting. It has {known}."
        )
    check_count(map(len, searched.values()))
    for name, values in {**searched, **{name: (value,) for name, value in given.items()}}.items():
        for value in values:
            _check_plain(name, value)
            method.check_setting(name, value)
    points = [
        {**dict(zip(searched, values, strict=True)), **given}
        for values in itertools.product(*searched.values())
    ]
    if not points:
        raise UserError("The grid is empty. Give at least one value for every setting.")
    hashes = _hash_files(value for point in points for value in point.values())
    found = [_named(method, point, hashes) for point in points]
    if len({configuration.name for configuration in found}) < len(found):
        raise UserError("The grid names a value twice. Give every value once.")
    return found


def check_count(lengths: Iterable[int]) -> None:
    """Refuse a grid that is too large, before it is made.

    Args:
        lengths: the number of values of every setting.

    Raises:
        UserError: it is.
    """
    if math.prod(lengths) > MOST_CONFIGURATIONS:
        raise UserError(
            f"The grid has more than {MOST_CONFIGURATIONS} configurations. Give fewer values."
        )


def _check_plain(name: str, value: Any) -> None:
    """Refuse a setting that could not be recorded, or could be no part of a folder's name.

    Raises:
        UserError: it is no text, number, truth value or list of these; it is not finite; or it is
            a text with characters that are not printable.
    """
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _check_plain(name, part)
    elif isinstance(value, dict):
        for key, part in value.items():
            _check_plain(name, (key, part))
    elif value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise UserError(
            f"{name}={reprlib.repr(value)}: a setting is a finite number, a text, true, false, or "
            "a list of these. Give such a value."
        )


def _named(method: Method, settings: dict[str, Any], hashes: Mapping[str, str]) -> Configuration:
    naming = method.hook("name_configuration")
    files = {
        name: hashes[value]
        for name, value in settings.items()
        if isinstance(value, str) and value in hashes
    }
    if naming is not None:
        with method.running("name_configuration failed"):
            name, label = map(str, naming(settings))
    else:
        parts = [f"{key}={_short(value)}" for key, value in settings.items()]
        name = "_".join([method.name, *parts]).replace("/", "-")
        label = ", ".join([method.name, *parts])
    check_text(name)
    if name in ("", ".", "..") or "/" in name or len(name.encode()) > MOST_NAME_BYTES:
        raise UserError(
            f"configuration {name!r}: its folder would have this name. Give settings, or a "
            f"name_configuration, that make a plain name of at most {MOST_NAME_BYTES} bytes."
        )
    return Configuration(name, label, settings, files)


def _hash_files(values: Iterable[Any]) -> dict[str, str]:
    """SHA-256 of each file that a value names: a path does not tell what it holds.

    Raises:
        UserError: such a file cannot be read.
    """
    found = {}
    for name in dict.fromkeys(value for value in values if isinstance(value, str)):
        try:
            if Path(name).is_file():
                found[name] = hash_file(Path(name))
        except (OSError, ValueError) as error:
            raise UserError(f"{name}: {error}. Give a file that can be read.") from None
    return found


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "-".join(str(part) for part in value)
    return str(value)


def non_defaults(values: Any) -> dict[str, Any]:
    """The fields of a dataclass whose values differ from the field's default.

    So a new field with a neutral default changes no hash and no comparison with older runs.
    """
    found = {}
    for own in fields(values):
        default = own.default if own.default_factory is MISSING else own.default_factory()
        value = getattr(values, own.name)
        if default is MISSING or value != default:
            found[own.name] = value
    return found


def short_hash(content: Any) -> str:
    """First 12 hex digits of the SHA-256 of ``content`` as sorted JSON."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fold_seed(seed: int, dataset: str, subject: str, purpose: str = "") -> int:
    """The seed of a fold, 0..2**63-1: a function of these alone, so of no other fold.

    ``purpose`` tells a further training or draw of the same fold from the fold's own.
    """
    parts = [str(seed), dataset, subject, *([purpose] if purpose else [])]
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
