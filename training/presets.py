"""The named presets: a model, a preparation of the maps, training settings, a grid.

In leave-one-subject-out every subject is a test subject, so a preset's values are not tuned on real
samples; ``docs/results.md`` lists every configuration ever tried on them.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from common.class_names import CLASS_NAMES
from common.errors import UserError, name_list
from datasets import Preparation
from training.configuration import Configuration, Grid, TrainingSettings


@dataclass(frozen=True)
class Preset:
    """Everything that a run takes from its preset unless a flag says otherwise."""

    preparation: Preparation
    training: TrainingSettings | None
    """None where the model is fitted at once."""
    grid: Grid | None = None
    """Values of CausalNet's grid search; None for a model that has one configuration."""
    model: str = "causalnet"
    """A name of ``models.list_models()``."""
    network: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``create_model`` beside those of the grid."""

    def configurations(
        self, ablation: str = "none", classes: int = len(CLASS_NAMES), **given: Any
    ) -> list[Configuration]:
        """What is run: the grid, each list replaced by the values given for it.

        Args:
            ablation: which part CausalNet is built without.
            classes: number of classes of the inputs.
            given: values of the grid.

        Raises:
            UserError: an ablation or values for a grid that this model does not have.
        """
        settings = {**self.network, "classes": classes}
        if ablation != "none":
            settings["ablation"] = ablation
            given = {**given, "ablation": ablation} if self.grid is None else given
        if self.grid is None:
            if given:
                raise UserError(
                    f"{name_list(given)}: model {self.model} has no such setting. Leave it out, or "
                    "choose --preset published or compact."
                )
            return [Configuration(self.model, self.model, self.model, settings)]
        # The published search leaves a pair out of its own lists; a user's are taken whole.
        skipped = () if {"layer1", "layer2"} & set(given) else self.grid.skipped
        return replace(self.grid, **given, skipped=skipped).configurations(**settings)


CENTERED_WHOLE_MAPS = Preparation(regions=False, center=True, scale=1.0, mirror=True)

PRESETS = {
    "published": Preset(
        preparation=Preparation(regions=True, center=False, scale=1.0, mirror=False),
        training=TrainingSettings(epochs=200, batch_size=1024, learning_rate=5e-5),
        grid=Grid((3, 2), (3, 2), (7, 8, 9, 10), (0.3, 0.4, 0.5), skipped=((2, 2),)),
        network={"dim": 256, "heads": 3},
    ),
    "compact": Preset(
        preparation=CENTERED_WHOLE_MAPS,
        training=TrainingSettings(
            epochs=30,
            batch_size=64,
            learning_rate=1e-3,
            optimizer="adamw",
            weight_decay=0.05,
            schedule="one_cycle",
            shuffle=True,
            class_weights=True,
        ),
        grid=Grid((1,), (1,), (2,), (0.5,)),
        network={"dim": 32, "heads": 3},
    ),
    "ststnet": Preset(
        model="ststnet",
        preparation=replace(CENTERED_WHOLE_MAPS, scale=1 / 128),
        training=TrainingSettings(
            epochs=40,
            batch_size=64,
            learning_rate=3e-3,
            optimizer="adamw",
            weight_decay=0.05,
            schedule="one_cycle",
            shuffle=True,
            class_weights=True,
        ),
    ),
    "linear": Preset(model="linear", preparation=CENTERED_WHOLE_MAPS, training=None),
    "majority": Preset(model="majority", preparation=CENTERED_WHOLE_MAPS, training=None),
}


def get_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UserError: there is none.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}. Choose one of: {name_list(PRESETS)}.")
    return PRESETS[name]
