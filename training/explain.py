"""Where a method looks: what its decision loses when a place of the stored input is covered.

Each clip is explained by the weights of its own fold, which have not seen its subject. Covering is
done before the method's preparation, so that a place is a place of the face for every method. Needs
Captum (``requirements-explain.txt``).

Shape legend: N clips of a fold, L stored pictures of a clip (maps, phases, frames), H x W places,
B = N times perturbed clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.action_units import ACTION_UNITS
from common.errors import UserError, name_list
from common.refusals import Refusal
from datasets import Fold, Inputs, Preparation, loso_folds, prepare, read_inputs
from datasets.maps import FLOW_MAPS, MAP_SIZE
from datasets.preprocessing import fit_gains
from datasets.synthetic.inputs import read_true_units
from datasets.synthetic.motion import unit_places
from evaluation.explanations import ClipLooks, Explanations
from models.au_network import load_weights as load_au_network
from models.au_network import one_thread, read_units, summed_motion
from training.clips import Clips
from training.evaluate_weights import (
    WeightsOrigin,
    find_files,
    fold_clips,
    load_model_of,
    read_origin,
    test_logits,
)
from training.weights_folder import WeightsFile, check_note

INSTALL = "python -m pip install -r requirements-explain.txt"
PER_CLASS = 40
"""Clips that stand for a class, taken evenly from the table of clips."""
PARTS = 7
"""A covered square is two parts of seven wide, and moves by one."""
TOGETHER = 512
"""Perturbed clips that are scored at once."""


def explain_weights(weights: Path, inputs: Inputs, named: Sequence[str] = ()) -> Explanations:
    """Explain the clips that are named, and up to ``PER_CLASS`` of each class.

    Args:
        weights: folder of a run's weights with their notes.
        inputs: that the weights were trained on, or others with the same classes.
        named: clips as subject/clip.

    Raises:
        UserError: Captum is not installed, a clip or its fold's weights are missing, or nobody
            knows whom those weights have seen.
    """
    _captum()
    origin = read_origin(weights)
    if origin.class_names != inputs.class_names:
        raise UserError(
            f"the weights in {weights} tell {name_list(origin.class_names)} apart, but the clips "
            f"in {inputs.folder} are labelled {name_list(inputs.class_names)}. Give matching ones."
        )
    chosen = _rows_of(inputs, named)
    typical = _rows_of_classes(inputs.clips["label"].to_numpy())
    rows = np.union1d(chosen, typical)
    folds = loso_folds(inputs.clips, origin.protocol)
    paths = find_files(weights, origin, folds)
    own = {fold.name: np.intersect1d(rows, fold.test_indices) for fold in folds}
    models = [_open(weights, origin, inputs, f, paths) for f in folds if len(own[f.name])]
    parts = [_explain_fold(model, inputs, own[model.fold.name]) for model in models]
    return _join(origin, inputs, parts, {"named": chosen, "typical": typical})


@dataclass(frozen=True)
class _Model:
    """A fold's model, its fold and what is known of its weights."""

    model: Any
    origin: WeightsOrigin
    fold: Fold
    note: WeightsFile

    def scores(self, inputs: Inputs, stored: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        """Logits [B, C] of stored arrays [B, L, H, W, channels] in place of those of the rows."""
        clips = self.prepared(inputs, stored, rows)
        return test_logits(self.model, self.origin, clips, np.arange(len(rows)))

    def prepared(self, inputs: Inputs, stored: NDArray[Any], rows: NDArray[np.int64]) -> Clips:
        """Those clips as the fold's model sees them; no other clip is prepared."""
        own = _with_stored(self, inputs, stored, rows)
        return fold_clips(self.origin, own, self.note.gains, "cpu")


@dataclass(frozen=True)
class _Part:
    """What a fold explains: rows [N], predicted classes [N], maps [N, H, W], activations."""

    rows: NDArray[np.int64]
    predicted: NDArray[np.int64]
    maps: NDArray[np.float32]
    activations: NDArray[np.float64] | None


def _open(
    weights: Path, origin: WeightsOrigin, inputs: Inputs, fold: Fold, paths: dict[str, Path]
) -> _Model:
    if fold.name not in paths:
        raise Refusal(weights, f"holds no weights of the fold {fold.name}. Finish the run first.")
    note, _ = check_note(paths[fold.name], fold, inputs)
    if note is None:
        raise Refusal(
            paths[fold.name],
            "has no note of the subjects that it was trained on. Give weights that the suite "
            "wrote (--save-weights).",
        )
    return _Model(load_model_of(paths[fold.name], origin, None, "cpu"), origin, fold, note)


def _explain_fold(model: _Model, inputs: Inputs, rows: NDArray[np.int64]) -> _Part:
    stored = np.asarray(inputs.array(model.origin.method.input)[rows])
    logits = model.scores(inputs, stored, rows)
    predicted = logits.argmax(axis=1)
    maps = _cover(model, inputs, stored, rows, predicted)
    read = getattr(model.model, "read_units", None)
    if read is None:
        return _Part(rows, predicted, maps, None)
    clips = model.prepared(inputs, stored, rows).test(np.arange(len(rows))).numpy()
    return _Part(rows, predicted, maps, read(summed_motion(clips)))


def _cover(
    model: _Model,
    inputs: Inputs,
    stored: NDArray[Any],
    rows: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Loss of the predicted class's log probability where a square is covered, [N, 28, 28].

    A covered square takes each picture's median: where nothing moves, in maps.
    """

    def log_probabilities(seen: Tensor, own: Tensor) -> Tensor:
        values = seen.numpy()
        if np.issubdtype(stored.dtype, np.integer):
            values = np.rint(values)
        scores = model.scores(inputs, values.astype(stored.dtype), own.numpy())
        return torch.from_numpy(scores).float().log_softmax(dim=1)

    pictures, height, width, channels = stored.shape[1:]
    step_y, step_x = height // PARTS, width // PARTS
    clips = torch.from_numpy(stored.astype(np.float32))
    still = np.median(stored, axis=(-3, -2), keepdims=True).astype(np.float32)
    lost = (
        _captum()
        .Occlusion(log_probabilities)
        .attribute(
            clips,
            sliding_window_shapes=(pictures, 2 * step_y, 2 * step_x, channels),
            strides=(pictures, step_y, step_x, channels),
            baselines=torch.from_numpy(np.broadcast_to(still, stored.shape).copy()),
            target=torch.from_numpy(predicted),
            additional_forward_args=(torch.from_numpy(rows),),
            perturbations_per_eval=max(1, TOGETHER // len(rows)),
        )
    )
    places = lost[:, 0, :, :, 0].numpy().astype(np.float32)
    size = (MAP_SIZE, MAP_SIZE)
    return np.stack([cv2.resize(own, size, interpolation=cv2.INTER_AREA) for own in places])


def _with_stored(
    model: _Model, inputs: Inputs, stored: NDArray[Any], rows: NDArray[np.int64]
) -> Inputs:
    """The inputs with these rows alone, and these arrays in place of what is stored."""
    clips = inputs.clips.iloc[rows].reset_index(drop=True)
    name = model.origin.method.input
    if name == "maps":
        return replace(inputs, clips=clips, maps=stored)
    return replace(inputs, clips=clips, arrays={name: stored})


def look_at_clips(folder: Path, clips: pd.DataFrame) -> ClipLooks:
    """What can be seen of clips of a folder of inputs.

    Args:
        clips: columns dataset, subject and clip.

    Raises:
        UserError: the inputs lack a clip.
    """
    inputs = read_inputs(folder)
    columns = ["dataset", "subject", "clip"]
    rows = pd.MultiIndex.from_frame(inputs.clips[columns]).get_indexer(
        pd.MultiIndex.from_frame(clips[columns])
    )
    if (rows < 0).any():
        absent = clips.loc[rows < 0, columns].agg("/".join, axis=1)
        raise UserError(f"{folder} lacks the clips {name_list(absent)}. Give the run's inputs.")
    pictures, what = backgrounds(inputs, rows)
    return ClipLooks(
        backgrounds=pictures,
        background=what,
        flow=flow_vectors(inputs, rows),
        units=ACTION_UNITS,
        activations=read_muscles(inputs, rows),
    )


def read_muscles(inputs: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """What the shipped AU network, which has seen no person, reads from clips, [N, 16]; None where
    the inputs lack the second phase. The phases' weights come from all clips, without labels."""
    if inputs.phases < 2:
        return None
    steps = Preparation(affine=True, rms=True, phase_sum=True)
    datasets = inputs.clips["dataset"].to_numpy(str)
    gains = fit_gains(inputs.maps, steps, datasets, np.arange(len(datasets)))
    clips = prepare(inputs.maps[rows], steps, datasets[rows], gains)[0]
    with one_thread():
        return read_units(summed_motion(clips), load_au_network())


def backgrounds(inputs: Inputs, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], str]:
    """What a picture is drawn over, uint8 [N, h, w], and what it is: the onset frames where there
    are frames, else how much moves in the first map."""
    if inputs.holds("frames"):
        frames = np.asarray(inputs.array("frames")[rows])[:, 0]
        return frames.mean(axis=-1).astype(np.uint8), "onset frame"
    moved = np.linalg.norm(flow_vectors(inputs, rows)[:, 0], axis=-1)
    brightest = moved.max(axis=(1, 2), keepdims=True).clip(min=1)
    return (255 * moved / brightest).astype(np.uint8), "motion from onset to apex (no frames here)"


def flow_vectors(inputs: Inputs, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """u and v of the stored flow maps relative to their medians, [N, phases, 28, 28, 2]."""
    maps = inputs.maps[rows][:, list(FLOW_MAPS)[: inputs.phases]]
    flow = maps[..., [2, 1]].astype(np.float32)
    return flow - np.median(flow, axis=(2, 3), keepdims=True)


def _join(
    origin: WeightsOrigin, inputs: Inputs, parts: list[_Part], marks: dict[str, NDArray[np.int64]]
) -> Explanations:
    rows = np.concatenate([part.rows for part in parts])
    clips = inputs.clips.iloc[rows].rename(columns={"label": "true"})
    predicted = np.concatenate([part.predicted for part in parts])
    read = [part.activations for part in parts if part.activations is not None]
    pictures, what = backgrounds(inputs, rows)
    columns = ["dataset", "subject", "clip", "true"]
    return Explanations(
        clips=clips[columns].assign(predicted=predicted).reset_index(drop=True),
        **{name: np.isin(rows, own) for name, own in marks.items()},
        class_names=inputs.class_names,
        configuration=origin.configuration,
        seed=origin.seed,
        maps=np.concatenate([part.maps for part in parts]),
        backgrounds=pictures,
        background=what,
        units=ACTION_UNITS,
        places=unit_places(),
        activations=np.concatenate(read) if len(read) == len(parts) else None,
        true_units=read_true_units(inputs.folder, clips) if inputs.synthetic else None,
    )


def _rows_of(inputs: Inputs, named: Sequence[str]) -> NDArray[np.int64]:
    """Row numbers of clips that are named as subject/clip."""
    names = pd.Index(inputs.clips["subject"] + "/" + inputs.clips["clip"])
    unknown = [name for name in named if name not in names]
    if unknown:
        raise UserError(
            f"--clips {name_list(unknown)}: no such clip. Names are like {names[0]} (subject/clip)."
        )
    return np.flatnonzero(names.isin(named))


def _rows_of_classes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Up to ``PER_CLASS`` rows of each class, evenly spread over the table."""
    parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    spread = [np.linspace(0, len(own) - 1, min(PER_CLASS, len(own))).astype(int) for own in parts]
    return np.concatenate([own[places] for own, places in zip(parts, spread, strict=True)])


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError:
        raise UserError(f"--explain needs Captum. Install it: {INSTALL}") from None
    return captum.attr
