"""Stored inputs, folds, preparation, raw datasets, synthetic clips: from files to arrays."""

from datasets.folds import Fold, Protocol, loso_folds
from datasets.inputs import Inputs, read_inputs, write_maps, write_table
from datasets.label_shuffle import shuffle_labels
from datasets.maps import direction_map, tile_regions
from datasets.preprocessing import Preparation, prepare
from datasets.synthetic.clips import draw_clip, list_synthetic_clips

__all__ = [
    "Fold",
    "Inputs",
    "Preparation",
    "Protocol",
    "direction_map",
    "draw_clip",
    "list_synthetic_clips",
    "loso_folds",
    "prepare",
    "read_inputs",
    "shuffle_labels",
    "tile_regions",
    "write_maps",
    "write_table",
]
