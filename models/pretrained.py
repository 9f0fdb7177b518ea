"""Weights from a folder: what trained them, whom they have seen, and the model, ready for use.

A folder holds ``description.json``, for each fold ``<fold>.safetensors`` (of an estimator with
scikit-learn objects in it ``<fold>.skops``) and ``<fold>.json``, and where the weights were fitted
on all clips, as the one fold ``all``, a ``card.json``. ``--save-weights`` and ``training.fit_all``
write such folders. Without a description, .pth files are taken for the published CausalNet.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from torch import nn

from common.bounds import BOUNDS
from common.class_names import CLASS_NAMES
from common.errors import UserError
from common.owned_folder import check_unchanged, hash_file
from common.refusals import Refusal, few
from common.yaml_files import read_yaml
from models.checkpoint import (
    check_gamma,
    load_into,
    load_weights,
    published_network,
    read_geometry,
)
from models.estimator import PLAIN_SUFFIX, SKOPS_SUFFIX, estimator_scores, load_estimator
from models.method import BUILT_IN, SUFFIX, Method, load_method
from models.weight_files import weights_place

DESCRIPTION_NAME, OLD_DESCRIPTION_NAME = "description.json", "description.yaml"
CARD_NAME, CLIPS_NAME = "card.json", "clips.csv"
ALL = "all"
"""The fold of weights that are fitted on every clip."""
SUFFIXES = (PLAIN_SUFFIX, ".pth", SKOPS_SUFFIX)
"""Endings of weights; the suite wrote .pth before version 0.2."""
NEEDED = ("settings", "preparation", "class_names", "configuration", "seed", "epoch")
OLD_PRESETS = {"published": "causalnet", "compact": "causalnet_compact_v1"}
MOST_THREADS = int(BOUNDS["threads"][1])
OLD_STEPS = {"composite": "regions", "centre": "center"}


class _Description(BaseModel):
    """The types of what is read of ``description.json``; the rest is checked where it is used."""

    settings: dict[str, Any] | None
    preparation: dict[str, Any]
    training: dict[str, Any] | None = None
    class_names: list[str]
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)


class _Scores(BaseModel):
    accuracy: float
    uf1: float


class _Figure(BaseModel):
    protocol: str
    full: _Scores


class _Card(BaseModel):
    """What is read of ``card.json``, which says more."""

    clips: dict[str, int] = {}
    notes: list[str] = []
    note: str = ""
    figure: _Figure | None = None


@dataclass(frozen=True)
class WeightsFile:
    """``<fold>.json`` beside a fold's weights.

    Attributes:
        fold: name of the fold.
        sha256: of the weights file.
        size: of the weights file, in bytes.
        trained_on: "dataset/subject" of every training subject.
        gains: of the fold, where the preparation has a phase sum.
    """

    fold: str
    sha256: str
    size: int
    trained_on: list[str]
    gains: dict[str, float] | None = None


@dataclass(frozen=True)
class Pretrained:
    """A trained model with what is known of it; called with prepared clips it gives their scores.

    Attributes:
        model: a network in evaluation mode, or a fitted estimator.
        method: its method file.
        class_names: in the order of the scores.
        settings: of the method.
        preparation: steps from stored maps to clips, the fields of ``datasets.Preparation``.
        gains: weights of the second phase in the phase sum, where the preparation has one.
        trained_on: "dataset/subject" of everyone that the weights have seen; None: nobody knows.
        card: what ``card.json`` holds; empty where there is none.
    """

    model: Any
    method: Method
    class_names: tuple[str, ...]
    settings: Mapping[str, Any]
    preparation: Mapping[str, Any]
    gains: Mapping[str, float] | None = None
    trained_on: tuple[str, ...] | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores [N, C] of prepared clips, float32 [N, *shape]; the highest is the prediction."""
        if not isinstance(self.model, nn.Module):
            return estimator_scores(self.method, self.model, clips, len(self.class_names))
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.model(torch.from_numpy(clips)).numpy()
        return logits


def from_pretrained(folder: str | Path, fold: str = "") -> Pretrained:
    """The model of a folder of weights.

    Args:
        folder: see the head of this file; or one file of weights in such a folder.
        fold: which one, where the folder holds several.

    Raises:
        UserError: there are none, or several and none is chosen; the files are damaged, have
            changed since they were written, or do not belong together.
    """
    path = weights_file(Path(folder), fold)
    description = read_description(path.parent) or {}
    note = checked_note(path, path.stem)
    method = described_method(path.parent, description) if description else None
    method = method or load_method("causalnet")
    classes = tuple(description.get("class_names", CLASS_NAMES))
    settings = description.get("settings") if description else None
    model = load_model(path, method, settings, len(classes))
    steps = description.get("preparation", method.facts.get("preparation", {}))
    return Pretrained(
        model=model,
        method=method,
        class_names=classes,
        settings=settings or {},
        preparation=steps,
        gains=None if note is None else note.gains,
        trained_on=None if note is None else tuple(note.trained_on),
        card=read_card(path.parent),
    )


def load_model(
    path: Path,
    method: Method,
    settings: Mapping[str, Any] | None,
    classes: int,
    gamma: float | None = None,
) -> Any:
    """A network in evaluation mode with the file's weights, or a fitted estimator.

    Args:
        settings: of the method; None takes what a published checkpoint of CausalNet tells.
        classes: that are told apart.
        gamma: what the checkpoint's own must be; None takes whatever it holds.

    Raises:
        UserError: the file cannot be used, or its gamma contradicts the one asked for.
    """
    if not method.trained:
        return load_estimator(path, method, build_model(method, settings or {}, classes))
    state = load_weights(path, "cpu")
    if settings is None:
        state = published_network(state, path)
    own = dict(read_geometry(state) if settings is None else settings)
    if gamma is not None:
        own["gamma"] = gamma
    if "gamma" in own:
        check_gamma(state, own["gamma"], path)
    network = build_model(method, own, own.pop("classes", classes))
    load_into(network, state, path)
    return network.eval()


def build_model(method: Method, settings: Mapping[str, Any], classes: int) -> Any:
    """The method's network or estimator; ``classes`` is given where its ``build`` takes it."""
    return method.build(**method.arguments("build", settings, classes))


def stored_weights(folder: Path, fold: str) -> Path | None:
    """The file that the suite wrote of a fold's weights; None where there is none."""
    paths = [folder / f"{fold}{suffix}" for suffix in SUFFIXES]
    return next((path for path in paths if path.is_file()), None)


def weights_file(folder: Path, fold: str = "") -> Path:
    """The one file of weights that a folder holds, or the one of a fold.

    Args:
        folder: or a file of weights, which is taken.
        fold: which one, where there are several.

    Raises:
        UserError: there is none, or it is not certain which one.
    """
    if folder.is_file() and folder.suffix in SUFFIXES:
        return folder
    if not folder.is_dir():
        raise Refusal(folder, "is no folder of weights. Give one, as --save-weights writes it.")
    folder = described_folder(folder)
    names = [path.stem for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    chosen = [name for name in names if fold in ("", name)]
    if len(chosen) == 1 and (path := stored_weights(folder, chosen[0])) is not None:
        return path
    if not names:
        raise Refusal(folder, "holds no weights. Give a folder that --save-weights wrote.")
    what = f"no weights of {fold!r}, but of" if fold else f"weights of {len(names)} folds,"
    raise Refusal(
        folder,
        f"holds {what} {few(names)}. Give the file of one, or fit one model on all clips: "
        "python -m training.fit_all.",
    )


def described_folder(folder: Path) -> Path:
    """The folder, or the one below it that holds weights with a description, as archives are
    unpacked. Weights in the folder itself are not those that a description below is of."""
    names = (DESCRIPTION_NAME, OLD_DESCRIPTION_NAME)
    if any((folder / name).is_file() for name in names):
        return folder
    place = weights_place(folder)
    if place != folder or any(p.suffix in SUFFIXES for p in folder.glob("*")):
        return place
    below = {path.parent for name in names for path in folder.glob(f"*/{name}")}
    return below.pop() if len(below) == 1 else folder


def read_description(folder: Path) -> dict[str, Any] | None:
    """The description beside the weights, its steps of the preparation by today's names; None for
    downloaded weights, which have none.

    Raises:
        UserError: it cannot be read.
    """
    paths = [folder / name for name in (DESCRIPTION_NAME, OLD_DESCRIPTION_NAME)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    check_unchanged(folder, [path, folder / CLIPS_NAME])
    description = read_yaml(path)
    missing = [key for key in NEEDED if not isinstance(description, dict) or key not in description]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: it does not describe weights.")
    try:
        _Description.model_validate(description)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise UserError(f"{path}: {name}: {problem['msg']}. Restore it, or train again.") from error
    steps = description["preparation"]
    renamed = {OLD_STEPS.get(name, name): value for name, value in steps.items()}
    return {**description, "preparation": renamed}


def described_method(
    folder: Path, description: Mapping[str, Any], method_file: Path | None = None
) -> Method:
    """The method that a description names.

    Args:
        method_file: the user's method file; None takes the copy in the folder.

    Raises:
        UserError: it is unknown, or its file is another one than that of the weights.
    """
    old = description.get("preset", "")
    name = str(description.get("method", OLD_PRESETS.get(old, old)))
    sha256 = description.get("method_sha256")
    if sha256 is None:
        if name not in BUILT_IN:
            raise UserError(f"the description in {folder} names the unknown method {name!r}.")
        if method_file is not None and str(method_file) != name:
            raise UserError(
                f"the weights in {folder} are of the suite's own method {name}. Leave --method out."
            )
        return load_method(name)
    path = folder / f"{name}{SUFFIX}" if method_file is None else method_file
    method = load_method(path)
    if method.sha256 != sha256:
        raise UserError(
            f"{path} is not the method file that the weights in {folder} were trained with: its "
            "hash differs. Give the file of that run, or train again."
        )
    return method


def note_path(folder: Path, fold: str) -> Path:
    """Where it is said what a fold's weights have seen."""
    return folder / f"{fold}.json"


def read_weights_note(folder: Path, fold: str) -> WeightsFile | None:
    """What is recorded of a fold's weights; None for downloaded ones.

    Raises:
        UserError: the note is damaged.
    """
    path = note_path(folder, fold)
    if not path.is_file():
        return None
    try:
        return TypeAdapter(WeightsFile).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} cannot be read as a note on weights. Train again.") from error


def checked_note(path: Path, fold: str) -> WeightsFile | None:
    """``read_weights_note`` of a weights file that has not changed since.

    Raises:
        UserError: the file has changed since it was written, or its note is damaged.
    """
    check_unchanged(path.parent, [path, note_path(path.parent, fold)])
    note = read_weights_note(path.parent, fold)
    if note is None:
        return None
    if note.fold != fold:
        raise Refusal(path, f"is of fold {note.fold} by its note. Give the weights of the subject.")
    if hash_file(path) != note.sha256:
        raise Refusal(path, "has changed since it was written. Restore it or train again.")
    return note


def read_card(folder: Path) -> dict[str, Any]:
    """What the card beside weights says; empty where there is none.

    Raises:
        UserError: it is damaged, or has changed since it was written.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        return {}
    check_unchanged(folder, [path])
    try:
        content = path.read_bytes()
        _Card.model_validate_json(content)
    except (OSError, ValidationError) as error:
        raise UserError(f"{path} cannot be read as a card. Restore it.") from error
    card: dict[str, Any] = json.loads(content)
    return card
