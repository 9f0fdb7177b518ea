"""Stored inputs, folds, preparation: from files to arrays; raw and drawn clips in the parts."""

from datasets.folds import Fold, Protocol, loso_folds
from datasets.inputs import Inputs, read_inputs, write_maps, write_table
from datasets.label_shuffle import shuffle_labels
from datasets.maps import direction_map, tile_regions
from datasets.preprocessing import Preparation, prepare

__all__ = [
    "Fold",
    "Inputs",
    "Preparation",
    "Protocol",
    "direction_map",
    "loso_folds",
    "prepare",
    "read_inputs",
    "shuffle_labels",
    "tile_regions",
    "write_maps",
    "write_table",
]
