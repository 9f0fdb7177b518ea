"""How a method's predictions change when key frames are wrong, leave-one-subject-out.

``test``: networks trained on the annotated key frames meet test clips whose key frames are moved;
one training serves every condition. ``training and test``: both are moved, and every condition is
trained anew. Every prediction is that of the last epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import UserError
from datasets import Fold, Inputs, loso_folds
from datasets.arrays import held_if_small
from datasets.frames.key_frame_noise import KeyFrameNoise, LevelUnit, NoisyFrames
from datasets.frames.noise_sweep import KeyFrameCondition, NoiseSweep, condition_name
from evaluation.predictions import read_predictions
from models.pretrained import stored_weights
from training.evaluate_weights import (
    WeightsOrigin,
    fold_clips,
    load_model_of,
    read_origin,
    test_logits,
)
from training.grid_run import GridSearch, run_grid
from training.weights_folder import check_note, weights_folder

Scope = Literal["test", "training and test"]
Predictions = dict[KeyFrameCondition, NDArray[np.int64]]
"""For each condition the predicted class of every clip, int [N]."""
UNIT_NAMES: dict[LevelUnit, str] = {"relative": "share of the phase", "frames": "number of frames"}


@dataclass(frozen=True)
class Point:
    """One figure of the benchmark: which clips are moved, and how."""

    scope: Scope
    key_frames: KeyFrameCondition

    @property
    def maps_of(self) -> KeyFrameCondition:
        """The condition whose maps are seen: without noise, the annotated one."""
        noise = self.key_frames
        return "annotated" if isinstance(noise, KeyFrameNoise) and noise.level == 0 else noise

    def columns(self) -> dict[str, object]:
        """What identifies the point in ``robustness.csv``."""
        noise = self.key_frames
        if not isinstance(noise, KeyFrameNoise):
            return {"condition": f"{self.scope}: {noise}", "frames": "", "level": None, "seed": 0}
        condition = f"{self.scope}: {UNIT_NAMES[noise.unit]}"
        own = {"frames": noise.frames, "level": noise.level, "seed": noise.seed}
        return {"condition": condition, **own}


def noise_points(
    scope: Scope,
    frames: Sequence[NoisyFrames],
    levels: Sequence[float],
    unit: LevelUnit,
    seeds: int,
) -> list[Point]:
    """Every combination, with level 0 where it is not named; none where there is no level."""
    rising = sorted({0.0, *levels}) if levels else []
    return [
        Point(scope, KeyFrameNoise(moved, level, unit, seed))
        for moved in frames
        for level in rising
        for seed in range(1, seeds + 1)
    ]


def difference_words(condition: KeyFrameCondition) -> str | None:
    """How the key frames of a run differ from the annotated ones; None where they are those."""
    if not isinstance(condition, KeyFrameNoise):
        return None if condition == "annotated" else condition
    noise = condition
    return f"moved: {noise.frames}, {noise.unit}, {noise.level:g}, noise seed {noise.seed}"


@dataclass(frozen=True)
class MethodBenchmark:
    """One method on the clips of one folder of frames.

    Attributes:
        inputs: the clips with their annotated maps.
        sweep: inputs of the same clips under every condition.
        search: makes the run over these inputs in that folder, with weights where it is given one.
        folder: everything of this method goes below it.
    """

    inputs: Inputs
    sweep: NoiseSweep
    search: Callable[[Inputs, Path, Path | None], GridSearch]
    folder: Path

    def predictions(self, points: Sequence[Point]) -> NDArray[np.int64]:
        """The predicted class of every clip at every point, int [points, N].

        What is trained already is read from the folder.
        """
        test = [point.maps_of for point in points if point.scope == "test"]
        trained = [point.maps_of for point in points if point.scope != "test"]
        on_test = self._tested(list(dict.fromkeys(test)))
        anew = {own: self._trained(own) for own in dict.fromkeys(trained)}
        by_scope = {"test": on_test, "training and test": anew}
        return np.stack([by_scope[point.scope][point.maps_of] for point in points])

    def _inputs(self, condition: KeyFrameCondition) -> Inputs:
        """All inputs under a condition; flow and frames are read clip by clip, when used."""
        return replace(
            self.inputs,
            maps=self.sweep.maps[condition],
            clips=self.inputs.clips.assign(**self.sweep.columns(condition)),
            arrays=self.sweep.arrays(condition),
        )

    def _search(self, condition: KeyFrameCondition) -> GridSearch:
        """The run under one condition, of one configuration."""
        # The run of the annotated key frames also keeps the weights that ``_tested`` needs.
        weights = self.folder / "weights" if condition == "annotated" else None
        folder = self.folder / condition_name(condition)
        inputs = self._inputs(condition)
        held = {name: held_if_small(own) for name, own in self.sweep.arrays(condition).items()}
        search = self.search(replace(inputs, arrays=held), folder, weights)
        return replace(search, run=replace(search.run, key_frames=difference_words(condition)))

    def _trained(self, condition: KeyFrameCondition) -> NDArray[np.int64]:
        """Train and test under one condition."""
        search = self._search(condition)
        run_grid(search, lambda cost: print(cost.sentence(), flush=True))
        (configuration,) = search.configurations
        rows = read_predictions(search.folder(configuration) / "predictions.csv")
        identity = ["dataset", "subject", "clip"]
        ordered = self.inputs.clips[identity].merge(rows, how="left", validate="1:1")
        return ordered["predicted"].to_numpy(np.int64)

    def _tested(self, conditions: Sequence[KeyFrameCondition]) -> Predictions:
        """Test under every condition what was trained on the annotated key frames."""
        if not conditions:
            return {}
        self._trained("annotated")
        search = self._search("annotated")
        (configuration,) = search.configurations
        weights = weights_folder(self.folder / "weights", search.results, configuration)
        origin = read_origin(weights)
        torch.set_num_threads(search.run.threads)
        every = {condition: self._inputs(condition) for condition in conditions}
        predicted = {own: np.zeros(len(self.inputs.clips), dtype=np.int64) for own in conditions}
        for fold in loso_folds(self.inputs.clips, search.run.protocol):
            predict = _Predictor(weights, origin, fold, self.inputs, search.run.device)
            for condition, inputs in every.items():
                predicted[condition][fold.test_indices] = predict(inputs)
        return predicted


class _Predictor:
    """The model of one fold; what it has seen of a clip under one condition it does not see again.

    Raises:
        UserError: the weights cannot be used, or have seen the test subject.
    """

    def __init__(
        self, weights: Path, origin: WeightsOrigin, fold: Fold, inputs: Inputs, device: str
    ) -> None:
        path = stored_weights(weights, fold.name)
        if path is None:
            raise UserError(f"{weights} holds no weights of fold {fold.name}. Train again.")
        self.origin, self.device, self.rows = origin, device, fold.test_indices
        note, _ = check_note(path, fold, inputs)
        self.gains = None if note is None else note.gains
        self.model = load_model_of(path, origin, None, device)
        self.seen: dict[tuple[int, ...], int] = {}

    def __call__(self, inputs: Inputs) -> NDArray[np.int64]:
        """The predicted classes of the fold's test clips, int [T]."""
        places = inputs.clips[["onset", "apex", "offset"]].to_numpy(np.int64)[self.rows]
        keys = [(int(row), *place) for row, place in zip(self.rows, places.tolist(), strict=True)]
        new = [key for key in keys if key not in self.seen]
        if new:
            self.seen |= zip(new, self._predict(inputs, [row for row, *_ in new]), strict=True)
        return np.array([self.seen[key] for key in keys])

    def _predict(self, inputs: Inputs, rows: list[int]) -> list[int]:
        """Only these clips are prepared, so that frames of the others are not read."""
        own = _chosen(inputs, rows)
        clips = fold_clips(self.origin, own, self.gains, self.device)
        logits = test_logits(self.model, self.origin, clips, np.arange(len(rows)))
        return [int(best) for best in logits.argmax(axis=1)]


def _chosen(inputs: Inputs, rows: list[int]) -> Inputs:
    """The clips of these rows."""
    return replace(
        inputs,
        maps=inputs.maps[rows],
        clips=inputs.clips.iloc[rows].reset_index(drop=True),
        arrays={name: array[rows] for name, array in inputs.arrays.items()},
    )
