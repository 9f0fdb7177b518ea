"""What weights and the AU network say of the movements of a video.

The chain: key frames -> registered face -> flow (``datasets/video/analysis.py``) -> maps as
``build_inputs.py`` makes them -> the preparation and the model of the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from common.errors import UserError, name_list
from datasets import Inputs
from datasets.frames.build import ClipFlows
from datasets.motion import phase_gain, phase_sum, remove_affine, unit_rms
from datasets.video.analysis import Classify, Verdicts, small_flows
from evaluation.tables import DATASET_TITLES
from models import au_network
from models.pretrained import checked_note, read_card, weights_file
from training.evaluate_weights import fold_clips, load_model_of, read_origin, test_logits

SHIPPED = Path(__file__).resolve().parent.parent / "weights/au_kernel_released"
DATASET = "video"
"""Of the clips of a video: no dataset of the training clips."""
FIFTHS = 5
UNTESTED = (
    "Never tested on your camera, nor on key frames that a program has found: look at the frames "
    "before you believe an entry. The muscles are hints by a network that has seen drawn motion "
    "only."
)


@dataclass(frozen=True)
class Reader:
    """What is told of movements besides their times.

    Attributes:
        classify: gives scores to what may be expressions; None leaves their columns out.
    """

    classify: Classify | None = None


def load_reader(weights: Path = SHIPPED) -> Reader:
    """A reader that classifies with the weights of a folder.

    Args:
        weights: a folder that holds one file of weights, or such a file.

    Raises:
        UserError: they cannot be used, or need something that a video does not give.
    """
    path = weights_file(weights)
    origin = read_origin(path.parent)
    if origin.method.input == "frames":
        raise UserError(
            f"method {origin.method.name} sees color frames, of which a video gives no registered "
            "ones. Give weights of a method that sees maps or flow."
        )
    note = checked_note(path, path.stem)
    gains = None if note is None else note.gains
    model = load_model_of(path, origin, None, "cpu")
    trust = trust_sentence(origin.method.name, read_card(path.parent))

    def classify(clips: Sequence[ClipFlows]) -> Verdicts:
        inputs = _as_inputs(clips, origin.class_names)
        prepared = fold_clips(origin, inputs, gains, "cpu")
        logits = test_logits(model, origin, prepared, np.arange(len(clips)))
        sides = read_muscles(small_flows(clips))
        return Verdicts(origin.class_names, softmax(logits, axis=1), sides, trust)

    return Reader(classify)


def _as_inputs(clips: Sequence[ClipFlows], class_names: tuple[str, ...]) -> Inputs:
    """The clips as a folder of inputs holds them; their labels, which nobody knows, are 0."""
    names = [f"{number:05d}" for number in range(len(clips))]
    table = pd.DataFrame({"dataset": DATASET, "subject": "0", "clip": names, "label": 0})
    table["stem"] = table["subject"] + "_" + table["clip"]
    maps = np.stack([clip.maps for clip in clips])
    flows = np.stack([clip.flows for clip in clips])
    return Inputs(maps, table, Path(DATASET), False, class_names, {"flow": flows})


def read_muscles(flows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Activations of each unit on the picture's left and right, [N, 16, 2].

    They compare the muscles of one movement: each flow is brought to one strength before.

    Args:
        flows: both phases, [N, 2, 28, 28, 2] (u, v).
    """
    phases = unit_rms(remove_affine(np.moveaxis(flows, -1, 2)))
    # How far the second phase undoes the first is known of each clip: no other one is asked.
    gains = phase_gain(phases[:, 0], phases[:, 1]).clip(min=0)
    motion = phase_sum(phases[:, 0], phases[:, 1], gains)
    with au_network.one_thread():
        return au_network.read_sides(motion, au_network.load_weights())


def trust_sentence(method: str, card: Mapping[str, Any]) -> str:
    """How far to believe the scores of weights with this card; empty where there is no card."""
    figure, marks = card.get("figure"), "".join(f"{note}: " for note in card.get("notes", ()))
    if not figure:
        return f"{marks}{method}: nobody has measured how often these weights are right. {UNTESTED}"
    datasets = name_list(DATASET_TITLES.get(name, name) for name in card["clips"])
    full, clips = figure["full"], sum(card["clips"].values())
    right = round(FIFTHS * full["accuracy"])
    note = f"; {card['note']}" if card.get("note") else ""
    whom = "drawn faces" if card.get("synthetic") else "people"
    return (
        f"{marks}{method}: about {right} of {FIFTHS} right on new {whom} of {datasets} "
        f"({figure['protocol']}, {clips} clips: accuracy {full['accuracy']:.2f}, UF1 "
        f"{full['uf1']:.2f}{note}). {UNTESTED}"
    )
