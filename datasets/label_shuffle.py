"""Shuffled labels, on which a sound evaluation finds chance."""

from dataclasses import replace

import numpy as np

from datasets.inputs import Inputs


def shuffle_labels(inputs: Inputs, seed: int) -> Inputs:
    """The same clips with their labels permuted within each dataset.

    Every dataset keeps its number of clips of each class; only the relation of maps and labels is
    lost. The input hash changes.
    """
    clips = inputs.clips.copy()
    for dataset, part in inputs.clips.groupby("dataset", sort=True):
        name = int.from_bytes(str(dataset).encode(), "big")
        order = np.random.default_rng([seed, name]).permutation(len(part))
        clips.loc[part.index, "label"] = part["label"].to_numpy()[order]
    return replace(inputs, clips=clips)
