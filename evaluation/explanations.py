"""Where a method looks, clip by clip, and on drawn clips how often that is where muscles move."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Explanations:
    """Explained clips, each by the model of the fold that has not seen its subject.

    Shape legend: N clips, H x W places, U muscles.

    Attributes:
        clips: N rows with dataset, subject, clip, true and predicted.
        named: bool [N], the clips that the user named.
        typical: bool [N], those that stand for their classes.
        class_names: in the order of their numbers.
        configuration: hash of the configuration that is explained, as in its prediction rows.
        seed: of the run.
        maps: what the predicted class loses in log probability when a place is covered, [N, H, W].
        backgrounds: what lies below the maps, uint8 [N, h, w].
        background: what that is, as words.
        units: names of the muscles.
        places: how much each muscle moves each place, [U, H, W].
        activations: of the muscles, [N, U]; None where the method reads none.
        true_units: the muscles that define each clip's class; None where the clips are not drawn.
    """

    clips: pd.DataFrame
    named: NDArray[np.bool_]
    typical: NDArray[np.bool_]
    class_names: tuple[str, ...]
    configuration: str
    seed: int
    maps: Array
    backgrounds: NDArray[np.uint8]
    background: str
    units: tuple[str, ...]
    places: Array
    activations: Array | None
    true_units: list[tuple[str, ...]] | None

    def of_class(self, number: int) -> NDArray[np.bool_]:
        """bool [N]: the clips that stand for a class: those that are taken for it."""
        return self.typical & (self.clips["predicted"] == number).to_numpy()

    def strongest_units(self) -> dict[str, NDArray[np.str_]]:
        """The muscle that each clip is explained by, [N], by how it is read."""
        filters = self.places / np.linalg.norm(self.places, axis=(1, 2), keepdims=True)
        nearest = np.einsum("nyx,uyx->nu", self.maps.clip(min=0), filters)
        read = {"muscle whose motion is most like the picture": nearest}
        if self.activations is not None:
            read["strongest activation of the AU network"] = self.activations
        return {how: np.array(self.units)[values.argmax(axis=1)] for how, values in read.items()}


@dataclass(frozen=True)
class ClipLooks:
    """What can be seen of the clips, in the order of the table of disagreements.

    Attributes:
        backgrounds: uint8 [N, h, w].
        background: what that is, as words.
        flow: u and v of the stored maps, [N, phases, H, W, 2].
        units: names of the muscles.
        activations: of the muscles, [N, U]; None where nothing reads them.
    """

    backgrounds: NDArray[np.uint8]
    background: str
    flow: NDArray[np.floating]
    units: tuple[str, ...]
    activations: NDArray[np.floating] | None


def found_table(explanations: Explanations) -> pd.DataFrame | None:
    """How often the muscle that a clip is explained by is one that moves, beside chance.

    Chance is the same muscle against the muscles of any other clip. A class's muscles are those of
    all its clips. None where the clips are not drawn.
    """
    true = explanations.true_units
    if true is None or len(true) < 2:
        return None
    labels = explanations.clips["true"]
    of_class: dict[int, set[str]] = {label: set() for label in labels}
    for label, units in zip(labels, true, strict=True):
        of_class[label] |= set(units)
    wanted = {"Clip's": [set(units) for units in true]}
    wanted["Class's"] = [of_class[label] for label in labels]
    rows = []
    for how, found in explanations.strongest_units().items():
        row: dict[str, object] = {"Read as": how, "Clips": len(found)}
        for whose, muscles in wanted.items():
            hits = np.array([[unit in own for own in muscles] for unit in found])
            right = float(hits.diagonal().mean())
            others = (hits.sum() - hits.trace()) / (hits.size - len(hits))
            row |= {f"{whose} muscle": right, f"Chance ({whose.lower()})": float(others)}
        rows.append(row)
    return pd.DataFrame(rows)
