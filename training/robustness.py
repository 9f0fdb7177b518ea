"""How a method's predictions change when key frames are wrong, leave-one-subject-out.

``test``: networks trained on the annotated key frames meet test clips whose key frames are moved;
one training serves every condition. ``training and test``: both are moved, and every condition is
trained anew. Every prediction is that of the last epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from datasets import Inputs, loso_folds
from datasets.frames.key_frame_noise import KeyFrameNoise, LevelUnit, NoisyFrames
from datasets.frames.noise_sweep import KeyFrameCondition
from evaluation.predictions import read_predictions
from training.evaluate_weights import check_note, fold_clips, load_model, read_origin, test_logits
from training.grid_run import GridSearch, run_grid
from training.weights_folder import weights_folder, weights_path

Scope = Literal["test", "training and test"]
MapsByCondition = Mapping[KeyFrameCondition, NDArray[np.uint8]]
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
        maps: maps of the same clips under every condition.
        search: makes the run over these inputs in that folder, with weights where it is given one.
        folder: everything of this method goes below it.
    """

    inputs: Inputs
    maps: MapsByCondition
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
        return replace(self.inputs, maps=self.maps[condition])

    def _trained(self, condition: KeyFrameCondition) -> NDArray[np.int64]:
        """Train and test under one condition."""
        name = condition if isinstance(condition, str) else condition.name
        # The run of the annotated key frames also keeps the weights that ``_tested`` needs.
        weights = self.folder / "weights" if condition == "annotated" else None
        search = self.search(self._inputs(condition), self.folder / name, weights)
        search = replace(search, run=replace(search.run, key_frames=difference_words(condition)))
        run_grid(search, lambda cost: print(cost.sentence(), flush=True))
        (configuration,) = search.configurations
        rows = read_predictions(search.folder(configuration) / "predictions.csv")
        identity = ["dataset", "subject", "clip"]
        ordered = self.inputs.clips[identity].merge(rows, how="left", validate="1:1")
        return ordered["predicted"].to_numpy(np.int64)

    def _tested(
        self, conditions: Sequence[KeyFrameCondition]
    ) -> dict[KeyFrameCondition, NDArray[np.int64]]:
        """Test under every condition what was trained on the annotated key frames."""
        if not conditions:
            return {}
        self._trained("annotated")
        search = self.search(self.inputs, self.folder / "annotated", self.folder / "weights")
        (configuration,) = search.configurations
        weights = weights_folder(self.folder / "weights", search.results, configuration)
        origin, folds = read_origin(weights), loso_folds(self.inputs.clips)
        torch.set_num_threads(search.run.threads)
        device = search.run.device
        trained = origin.training is not None
        paths = [weights_path(weights, fold.name, trained) for fold in folds]
        notes = [check_note(p, f, self.inputs) for p, f in zip(paths, folds, strict=True)]
        models = [load_model(path, origin, None, device) for path in paths]
        predicted = {}
        for condition in conditions:
            inputs = self._inputs(condition)
            shared = origin.preparation.phase_sum or fold_clips(origin, inputs, None, device)
            own = np.zeros(len(inputs.clips), dtype=np.int64)
            for fold, note, model in zip(folds, notes, models, strict=True):
                clips = fold_clips(origin, inputs, note, device) if shared is True else shared
                logits = test_logits(model, origin, clips, fold.test_indices)
                own[fold.test_indices] = logits.argmax(axis=1)
            predicted[condition] = own
        return predicted
