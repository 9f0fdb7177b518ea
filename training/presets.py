"""The named presets: a network geometry, a preparation of the maps, training settings, a grid.

In leave-one-subject-out every subject is a test subject, so a preset's values are not tuned on real
samples; ``docs/results.md`` lists every configuration ever tried on them.
"""

from dataclasses import dataclass, field
from typing import Any

from common.errors import UserError, name_list
from datasets import Preparation
from training.configuration import Grid, TrainingSettings


@dataclass(frozen=True)
class Preset:
    """Everything that a run takes from its preset unless a flag says otherwise."""

    preparation: Preparation
    training: TrainingSettings
    grid: Grid
    network: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``create_model("causalnet", ...)`` beside block_repeats and gamma."""


PRESETS = {
    "published": Preset(
        preparation=Preparation(composite=True, centre=False, scale=1.0, mirror=False),
        training=TrainingSettings(epochs=200, batch_size=1024, learning_rate=5e-5),
        grid=Grid((3, 2), (3, 2), (7, 8, 9, 10), (0.3, 0.4, 0.5), skipped=((2, 2),)),
        network={"dim": 256, "heads": 3},
    ),
    "compact": Preset(
        preparation=Preparation(composite=False, centre=True, scale=1.0, mirror=True),
        training=TrainingSettings(
            epochs=30,
            batch_size=64,
            learning_rate=1e-3,
            optimiser="adamw",
            weight_decay=0.05,
            schedule="one_cycle",
            shuffle=True,
            class_weights=True,
        ),
        grid=Grid((1,), (1,), (2,), (0.5,)),
        network={"dim": 32, "heads": 3},
    ),
}


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: there is none.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}. Choose one of: {name_list(PRESETS)}.")
    return PRESETS[name]
