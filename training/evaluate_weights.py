"""Evaluates a folder of per-subject weights on the subjects that they have not seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError
from torch import nn

from common.choices import Protocol
from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from common.refusals import Refusal
from datasets import Fold, Inputs, Preparation, loso_folds
from datasets.maps import MAP_SIZE
from evaluation.predictions import RECORDED, SYNTHETIC, prediction_rows
from models.checkpoint import (
    check_fits_clips,
    check_gamma,
    load_into,
    load_weights,
    read_gamma,
    read_geometry,
)
from models.estimator import estimator_scores, load_estimator
from models.method import BUILT_IN, SUFFIX, Method, load_method
from models.weight_files import find_weights
from training.clips import Clips, prepare_clips
from training.configuration import TrainingSettings, read_training
from training.fold_group import lone_logits
from training.weights_folder import (
    DESCRIPTION_NAME,
    WeightsFile,
    check_note,
    read_description,
    weights_path,
)
from training.worker import build_model

UNKNOWN_RULE = "unknown"
UNKNOWN_EPOCH = 1
"""What the published evaluation writes where nobody knows the epoch."""
OLD_PRESETS = {"published": "causalnet", "compact": "causalnet_compact_v1"}
OLD_STEPS = {"composite": "regions", "centre": "center"}
OLD_TRAINING = {"optimiser": "optimizer"}


@dataclass(frozen=True)
class WeightsOrigin:
    """What is known of a folder of weights; without a description, the published settings."""

    method: Method
    settings: dict[str, Any] | None
    preparation: Preparation
    training: TrainingSettings | None
    class_names: tuple[str, ...]
    configuration: str
    seed: int
    epoch: int
    epoch_rule: str
    threads: int | None = None
    inputs_sha256: str | None = None
    protocol: Protocol = "composite"
    synthetic: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Rows of every subject that could be evaluated, and the names of the others.

    Attributes:
        rows: prediction rows; None when no subject could be evaluated.
        gammas: gamma of each checkpoint that has one, by subject.
        missing: folds without a weights file.
        refused: every file that could not be used, with the reason.
    """

    rows: pd.DataFrame | None
    gammas: dict[str, float]
    missing: list[Fold]
    refused: list[Refusal]


def read_origin(folder: Path, method_file: Path | None = None) -> WeightsOrigin:
    """The description beside the weights, or the published settings for downloaded ones.

    Args:
        method_file: the user's method file; None takes the copy in the folder.

    Raises:
        UserError: the description or the method's file is damaged, or the file is another one.
    """
    folder = _described_folder(folder)
    description = read_description(folder)
    if description is None:
        return _downloaded(method_file)
    old = {OLD_STEPS.get(k, k): v for k, v in description["preparation"].items()}
    known = {**description, "preparation": old}
    training = known.pop("training", None)
    if training is not None:
        training = read_training({OLD_TRAINING.get(k, k): v for k, v in training.items()}, folder)
    method = _described_method(folder, known, method_file)
    fields = {n: known[n] for n in WeightsOrigin.__dataclass_fields__ if n in known}
    if training is None and method.trained:
        # Descriptions of version 0.1 do not hold it; nothing of it matters to the test.
        training = read_training(_own_training(method), method.path)
    fields |= {"method": None, "training": None}
    try:
        read = TypeAdapter(_Described).validate_python(fields)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"the description in {folder} is faulty: {'; '.join(problems)}.") from error
    return WeightsOrigin(**{**vars(read), "method": method, "training": training})


@dataclass(frozen=True)
class _Described:
    """The plain entries of a description."""

    settings: dict[str, Any] | None
    preparation: Preparation
    class_names: tuple[str, ...]
    configuration: str
    seed: int
    epoch: int
    epoch_rule: str
    threads: int | None = None
    inputs_sha256: str | None = None
    protocol: Protocol = "composite"
    synthetic: bool = False


def _downloaded(method_file: Path | None) -> WeightsOrigin:
    method = load_method("causalnet" if method_file is None else method_file)
    settings: dict[str, Any] | None = None if method.name == "causalnet" else {}
    training = read_training(_own_training(method), method.path) if method.trained else None
    return WeightsOrigin(
        method=method,
        settings=settings,
        preparation=Preparation(**method.facts.get("preparation", {})),
        training=training,
        class_names=CLASS_NAMES,
        configuration="downloaded",
        seed=0,
        epoch=UNKNOWN_EPOCH,
        epoch_rule=UNKNOWN_RULE,
    )


def _described_folder(folder: Path) -> Path:
    """The folder, or the one below it that holds a description, as archives are unpacked."""
    if (folder / DESCRIPTION_NAME).is_file():
        return folder
    below = [path.parent for path in folder.glob(f"*/{DESCRIPTION_NAME}")]
    return below[0] if len(below) == 1 else folder


def _own_training(method: Method) -> dict[str, Any]:
    return method.training(len(CLASS_NAMES)) or {}


def _described_method(
    folder: Path, description: dict[str, Any], method_file: Path | None
) -> Method:
    old = description.get("preset", "")
    name = str(description.get("method", OLD_PRESETS.get(old, old)))
    sha256 = description.get("method_sha256")
    if sha256 is None:
        if name not in BUILT_IN:
            raise UserError(f"the description in {folder} names the unknown method {name!r}.")
        return load_method(name)
    path = folder / f"{name}{SUFFIX}" if method_file is None else method_file
    method = load_method(path)
    if method.sha256 != sha256:
        raise UserError(
            f"{path} is not the method file that the weights in {folder} were trained with: its "
            "hash differs. Give the file of that run, or train again."
        )
    return method


def evaluate_weights(
    folder: Path, inputs: Inputs, origin: WeightsOrigin, *, gamma: float | None, device: str
) -> Evaluation:
    """Evaluate each subject with the weights that were trained without it.

    Args:
        gamma: what the checkpoints' own gamma must be; None takes whatever they hold.

    Raises:
        UserError: the folder is none, or holds no weights of these subjects; the weights and the
            inputs differ in their classes.
    """
    if origin.class_names != inputs.class_names:
        raise UserError(
            f"the weights in {folder} tell {name_list(origin.class_names)} apart, but the clips in "
            f"{inputs.folder} are labelled {name_list(inputs.class_names)}. Give matching ones."
        )
    folds = loso_folds(inputs.clips, origin.protocol)
    paths = find_files(folder, origin, folds)
    present = [fold for fold in folds if fold.name in paths]
    shared = None if origin.preparation.phase_sum else fold_clips(origin, inputs, None, device)
    parts, gammas, refused = [], {}, []
    for fold in present:
        path = paths[fold.name]
        try:
            note = check_note(path, fold, inputs)
            clips = shared or fold_clips(origin, inputs, note, device)
            model = load_model(path, origin, gamma, device)
            logits = test_logits(model, origin, clips, fold.test_indices)
            if not np.isfinite(logits).all():
                raise Refusal(path, "gives scores that are not finite. Train again.")
        except UserError as error:
            refused.append(Refusal.of(path, error))
            continue
        gammas.update(_gamma(model, fold))
        parts.append(_rows(inputs, origin, fold, logits))
    missing = [fold for fold in folds if fold not in present]
    rows = pd.concat(parts, ignore_index=True) if parts else None
    return Evaluation(rows, gammas, missing, refused)


def find_files(folder: Path, origin: WeightsOrigin, folds: list[Fold]) -> dict[str, Path]:
    """The file of each fold's weights; folds without one lack."""
    names = [fold.name for fold in folds]
    if origin.training is not None:
        return find_weights(folder, names)
    paths = {name: weights_path(folder, name, trained=False) for name in names}
    present = {name: path for name, path in paths.items() if path.is_file()}
    if not present:
        raise Refusal(folder, f"holds no weights of these subjects, such as {names[0]}.skops.")
    return present


def fold_clips(
    origin: WeightsOrigin, inputs: Inputs, note: WeightsFile | None, device: str
) -> Clips:
    """The clips as a fold's weights see them.

    Raises:
        UserError: the preparation has a phase sum, and nothing is known of the fold's gains.
    """
    gains = None if note is None else note.gains
    if origin.preparation.phase_sum and gains is None:
        raise UserError("the weights' notes (<fold>.json) are missing, which hold their gains.")
    settings = origin.settings or {}
    arguments = origin.method.arguments("prepare", settings, len(origin.class_names))
    return prepare_clips(origin.method, inputs, origin.preparation, arguments, device, gains)


def test_logits(model: Any, origin: WeightsOrigin, clips: Clips, rows: np.ndarray) -> np.ndarray:
    """float32 [T, C] of the clips of these rows."""
    if origin.training is not None:
        return lone_logits(model, clips, rows, origin.training)
    tested = clips.test(rows).cpu().numpy()
    return estimator_scores(origin.method, model, tested, len(origin.class_names))


def load_model(path: Path, origin: WeightsOrigin, gamma: float | None, device: str) -> Any:
    """A network with the file's weights, or a fitted estimator.

    Raises:
        UserError: the file cannot be used, or its gamma contradicts the one asked for.
    """
    if origin.training is None:
        return load_estimator(path, origin.method)
    state = load_weights(path, "cpu")
    settings = dict(origin.settings or {})
    if origin.settings is None:
        settings = read_geometry(state)
        check_fits_clips(settings, path, classes=len(origin.class_names), image_size=MAP_SIZE)
    if gamma is not None:
        settings = {**settings, "gamma": gamma}
    if "gamma" in settings:
        check_gamma(state, settings["gamma"], path)
    classes = settings.pop("classes", len(origin.class_names))
    network = build_model(origin.method, settings, classes)
    load_into(network, state, path)
    return network.to(device).eval()


def _gamma(model: Any, fold: Fold) -> dict[str, float]:
    if not isinstance(model, nn.Module):
        return {}
    state = model.state_dict()
    has_one = any(name.endswith("P_matrix") for name in state)
    return {fold.name: read_gamma(state)} if has_one else {}


def _rows(inputs: Inputs, origin: WeightsOrigin, fold: Fold, logits: Any) -> pd.DataFrame:
    own = inputs.clips.iloc[fold.test_indices]
    return prediction_rows(
        dataset=fold.dataset,
        subjects=own["subject"].tolist(),
        clips=own["clip"].tolist(),
        true=own["label"].tolist(),
        logits=logits,
        class_names=origin.class_names,
        fold=fold.name,
        seed=origin.seed,
        epoch=origin.epoch,
        epoch_rule=origin.epoch_rule,
        configuration=origin.configuration,
        source=SYNTHETIC if inputs.synthetic or origin.synthetic else RECORDED,
    )
