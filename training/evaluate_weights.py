"""Evaluates a folder of per-subject weights on the subjects that they have not seen."""

from dataclasses import dataclass, field
from functools import lru_cache
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
from datasets.preprocessing import Gains
from evaluation.predictions import (
    prediction_rows,
    source_of,
)
from models.checkpoint import (
    check_fits_clips,
    load_weights,
    published_network,
    read_gamma,
    read_geometry,
)
from models.estimator import estimator_scores
from models.method import Method, load_method
from models.pretrained import (
    ALL,
    described_folder,
    described_method,
    load_model,
    read_description,
    stored_weights,
)
from models.weight_files import find_weights
from training.clips import Clips, prepare_clips
from training.configuration import TrainingSettings, check_views, read_preparation, read_training
from training.fold_group import lone_logits
from training.weights_folder import check_note, knows_maps

UNKNOWN_RULE = "unknown"
UNKNOWN_EPOCH = 1
"""What the published evaluation writes where nobody knows the epoch."""
OLD_TRAINING = {"optimiser": "optimizer"}


@dataclass(frozen=True, kw_only=True)
class _Description:
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


@dataclass(frozen=True, kw_only=True)
class WeightsOrigin(_Description):
    """What is known of a folder of weights; without a description, the published settings."""

    method: Method
    training: TrainingSettings | None


@dataclass(frozen=True)
class Evaluation:
    """Rows of every subject that could be evaluated, and the names of the others.

    Attributes:
        rows: prediction rows; None when no subject could be evaluated.
        gammas: gamma of each checkpoint that has one, by subject.
        missing: folds without a weights file.
        unknown: folds of whose weights no note says whom they have seen, or whose own inputs are
            others and are not known clip by clip.
        refused: every file that could not be used, with the reason.
        seen: "dataset/subject" of the evaluated subjects that their weights were trained on.
    """

    rows: pd.DataFrame | None
    gammas: dict[str, float]
    missing: list[Fold]
    unknown: list[Fold]
    refused: list[Refusal]
    seen: list[str] = field(default_factory=list)


def read_origin(folder: Path, method_file: Path | None = None) -> WeightsOrigin:
    """The description beside the weights, or the published settings for downloaded ones.

    Args:
        method_file: the user's method file; None takes the copy in the folder.

    Raises:
        UserError: the description or the method's file is damaged, or the file is another one.
    """
    folder = described_folder(folder)
    description = read_description(folder)
    if description is None:
        return _downloaded(method_file)
    known = dict(description)
    training = known.pop("training", None)
    if training is not None:
        training = read_training({OLD_TRAINING.get(k, k): v for k, v in training.items()}, folder)
    known["preparation"] = read_preparation(known["preparation"], folder)
    method = described_method(folder, known, method_file)
    if training is None and method.trained:
        # Descriptions of version 0.1 do not hold it; nothing of it matters to the test.
        training = read_training(_own_training(method), method.path)
    fields = {n: known[n] for n in _Description.__dataclass_fields__ if n in known}
    try:
        read = TypeAdapter(_Description).validate_python(fields)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"the description in {folder} is faulty: {'; '.join(problems)}.") from error
    check_views(method, training, read.preparation)
    return WeightsOrigin(**vars(read), method=method, training=training)


def _downloaded(method_file: Path | None) -> WeightsOrigin:
    method = load_method("causalnet" if method_file is None else method_file)
    settings: dict[str, Any] | None = None if method.name == "causalnet" else {}
    training = read_training(_own_training(method), method.path) if method.trained else None
    return WeightsOrigin(
        method=method,
        settings=settings,
        preparation=read_preparation(method.facts.get("preparation", {}), method.path),
        training=training,
        class_names=CLASS_NAMES,
        configuration="downloaded",
        seed=0,
        epoch=UNKNOWN_EPOCH,
        epoch_rule=UNKNOWN_RULE,
    )


def _own_training(method: Method) -> dict[str, Any]:
    return method.training(len(CLASS_NAMES)) or {}


def evaluate_weights(
    folder: Path,
    inputs: Inputs,
    origin: WeightsOrigin,
    *,
    gamma: float | None,
    device: str,
    allow_seen: bool = False,
) -> Evaluation:
    """Evaluate each subject with the weights that were trained without it.

    Args:
        gamma: what the checkpoints' own gamma must be; None takes whatever they hold.
        allow_seen: evaluate on subjects that the weights have seen, too.

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
    test = _Test(inputs, origin, gamma, device, allow_seen)
    parts, gammas, refused = [], {}, []
    for fold in present:
        path = paths[fold.name]
        try:
            rows, own = test.rows(path, fold)
        except UserError as error:
            refused.append(Refusal.of(path, error))
            continue
        gammas.update(own)
        parts.append(rows)
    missing = [fold for fold in folds if fold not in present]
    table = pd.concat(parts, ignore_index=True) if parts else None
    if table is not None and len(set(gammas.values())) > 1:
        table["configuration"] += " (MIXED gammas)"
    return Evaluation(table, gammas, missing, test.unknown, refused, sorted(test.seen))


class _Test:
    """Tests folds; what several of them share is prepared or read once."""

    def __init__(
        self,
        inputs: Inputs,
        origin: WeightsOrigin,
        gamma: float | None,
        device: str,
        allow_seen: bool,
    ) -> None:
        self.inputs, self.origin, self.gamma = inputs, origin, gamma
        self.device, self.allow_seen = device, allow_seen
        self._own = inputs.sha256_of(origin.method.input)
        self.unknown: list[Fold] = []
        self.seen: set[str] = set()
        self._clips = lru_cache(maxsize=1)(self._prepare)
        self._model = lru_cache(maxsize=1)(self._load)

    def rows(self, path: Path, fold: Fold) -> tuple[pd.DataFrame, dict[str, float]]:
        """Prediction rows of a fold's test clips, and the gamma of weights that have one.

        Raises:
            UserError: the weights cannot be used for them.
        """
        note, seen = check_note(path, fold, self.inputs, self.allow_seen)
        gains = None if note is None or note.gains is None else tuple(note.gains.items())
        clips = self._clips(gains if self.origin.preparation.phase_sum else None)
        model = self._model(path)
        logits = test_logits(model, self.origin, clips, fold.test_indices)
        knows = note is not None and knows_maps(path.parent, self.origin.inputs_sha256, self._own)
        self.unknown += [] if knows else [fold]
        self.seen |= set(seen)
        return _rows(self.inputs, self.origin, fold, logits), _gamma(model, fold)

    def _prepare(self, gains: tuple[tuple[str, float], ...] | None) -> Clips:
        own = None if gains is None else dict(gains)
        return fold_clips(self.origin, self.inputs, own, self.device)

    def _load(self, path: Path) -> Any:
        return load_model_of(path, self.origin, self.gamma, self.device)


def find_files(folder: Path, origin: WeightsOrigin, folds: list[Fold]) -> dict[str, Path]:
    """The file of each fold's weights; folds without one lack. Weights of all clips are everyone's.

    Raises:
        UserError: there are none.
    """
    names = [fold.name for fold in folds]
    of_all = stored_weights(described_folder(folder), ALL)
    if of_all is not None:
        return dict.fromkeys(names, of_all)
    if origin.training is not None:
        return find_weights(folder, names)
    found = {name: stored_weights(folder, name) for name in names}
    present = {name: path for name, path in found.items() if path is not None}
    if not present:
        raise Refusal(
            folder, f"holds no weights of these subjects, such as {names[0]}.safetensors."
        )
    return present


def fold_clips(origin: WeightsOrigin, inputs: Inputs, gains: Gains | None, device: str) -> Clips:
    """The clips as a fold's weights see them.

    Args:
        gains: of the fold, from its note.

    Raises:
        UserError: the preparation has a phase sum, and nothing is known of the fold's gains.
    """
    if origin.preparation.phase_sum and gains is None:
        raise UserError("the weights' notes (<fold>.json) are missing, which hold their gains.")
    settings = origin.settings or {}
    arguments = origin.method.arguments("prepare", settings, len(origin.class_names))
    return prepare_clips(origin.method, inputs, origin.preparation, arguments, device, gains)


def test_logits(model: Any, origin: WeightsOrigin, clips: Clips, rows: np.ndarray) -> np.ndarray:
    """float32 [T, C] of the clips of these rows.

    Raises:
        UserError: they are not all finite.
    """
    if origin.training is not None:
        with origin.method.running("the network fails"):
            logits = lone_logits(model, clips, rows, origin.training)
    else:
        tested = clips.test(rows).cpu().numpy()
        logits = estimator_scores(origin.method, model, tested, len(origin.class_names))
    if not np.isfinite(logits).all():
        raise UserError("the weights give scores that are not finite. Train again.")
    return logits


def load_model_of(path: Path, origin: WeightsOrigin, gamma: float | None, device: str) -> Any:
    """A network with the file's weights, or a fitted estimator.

    Raises:
        UserError: the file cannot be used, or its gamma contradicts the one asked for.
    """
    classes = len(origin.class_names)
    if origin.settings is None:
        geometry = read_geometry(published_network(load_weights(path, "cpu"), path))
        check_fits_clips(geometry, path, classes=classes, image_size=MAP_SIZE)
    model = load_model(path, origin.method, origin.settings, classes, gamma)
    return model.to(device) if isinstance(model, nn.Module) else model


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
        source=source_of(inputs.synthetic or origin.synthetic),
    )
