"""Evaluates a folder of per-subject weights on the subjects that they have not seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from datasets import Fold, Inputs, Preparation, Protocol, loso_folds, prepare
from evaluation.predictions import RECORDED, SYNTHETIC, prediction_rows
from models import create_model
from models.checkpoint import check_gamma, load_into, load_weights, read_gamma, read_geometry
from training.fold_group import lone_logits
from training.presets import get_preset
from training.weights_folder import read_description, weights_path

UNKNOWN_RULE = "unknown"
UNKNOWN_EPOCH = 1
"""What the published evaluation writes where nobody knows the epoch."""


@dataclass(frozen=True)
class WeightsOrigin:
    """What is known of a folder of weights; without a description, the published settings."""

    model: str
    settings: dict[str, Any] | None
    preparation: Preparation
    class_names: tuple[str, ...]
    configuration: str
    seed: int
    epoch: int
    epoch_rule: str
    threads: int | None
    inputs_sha256: str | None
    protocol: Protocol = "composite"


@dataclass(frozen=True)
class Evaluation:
    """Rows of every subject that could be evaluated, and the names of the others.

    Attributes:
        rows: prediction rows; None when no subject could be evaluated.
        gammas: gamma of each checkpoint that has one, by subject.
        missing: folds without a weights file.
        refused: one sentence for every file that could not be used.
    """

    rows: pd.DataFrame | None
    gammas: dict[str, float]
    missing: list[Fold]
    refused: list[str]


def read_origin(folder: Path) -> WeightsOrigin:
    """The description beside the weights, or the published settings for downloaded ones."""
    description = read_description(folder)
    if description is None:
        preparation = get_preset("published").preparation
        return WeightsOrigin(
            model="causalnet",
            settings=None,
            preparation=preparation,
            class_names=CLASS_NAMES,
            configuration="downloaded",
            seed=0,
            epoch=UNKNOWN_EPOCH,
            epoch_rule=UNKNOWN_RULE,
            threads=None,
            inputs_sha256=None,
        )
    known = {name: description.get(name) for name in WeightsOrigin.__dataclass_fields__}
    known["protocol"] = description.get("protocol", "composite")
    try:
        return TypeAdapter(WeightsOrigin).validate_python(known)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"the description in {folder} is faulty: {'; '.join(problems)}.") from error


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
    present = [fold for fold in folds if weights_path(folder, fold.name).is_file()]
    if not present:
        example = weights_path(folder, folds[0].name)
        raise UserError(f"{folder} holds no weights of these subjects, such as {example.name}.")
    clips = torch.from_numpy(prepare(inputs.maps, origin.preparation)[0])
    parts, gammas, refused = [], {}, []
    for fold in present:
        try:
            network = load_network(weights_path(folder, fold.name), origin, gamma, device)
        except UserError as error:
            refused.append(str(error))
            continue
        gammas.update(_gamma(network, fold))
        logits = lone_logits(network, clips[fold.test_indices].to(device))
        parts.append(_rows(inputs, origin, fold, logits))
    missing = [fold for fold in folds if fold not in present]
    rows = pd.concat(parts, ignore_index=True) if parts else None
    return Evaluation(rows, gammas, missing, refused)


def load_network(path: Path, origin: WeightsOrigin, gamma: float | None, device: str) -> nn.Module:
    """A network with the file's weights.

    Raises:
        UserError: the file cannot be used, or its gamma contradicts the one asked for.
    """
    state = load_weights(path, "cpu")
    settings = origin.settings
    try:
        if settings is None:
            settings = read_geometry(state)
        if gamma is not None:
            settings = {**settings, "gamma": gamma}
        if "gamma" in settings:
            check_gamma(state, settings["gamma"], path)
    except UserError as error:
        named = str(error) if str(path) in str(error) else f"{path}: {error}"
        raise UserError(named) from error
    network = create_model(origin.model, **settings)
    load_into(network, state, path)
    return network.to(device)


def _gamma(network: nn.Module, fold: Fold) -> dict[str, float]:
    state = network.state_dict()
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
        source=SYNTHETIC if inputs.synthetic else RECORDED,
    )
