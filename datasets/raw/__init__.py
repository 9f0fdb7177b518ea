"""Datasets as received: sheets, frame folders, audit, corrections, label schemes."""

from datasets.raw.action_units import ActionUnit, parse_action_units
from datasets.raw.findings import Finding, findings_table
from datasets.raw.label_schemes import (
    DEFAULT_SCHEMES,
    SCHEMES,
    LabelledClip,
    LabelScheme,
    exclusion_findings,
    get_scheme,
    label_clips,
)
from datasets.raw.own_table import Times
from datasets.raw.raw_clip import RawClip, clip_table
from datasets.raw.reader import (
    FORMATS,
    RawDataset,
    RawSource,
    is_own_table,
    read_raw_dataset,
)

__all__ = [
    "DEFAULT_SCHEMES",
    "FORMATS",
    "SCHEMES",
    "ActionUnit",
    "Finding",
    "LabelScheme",
    "LabelledClip",
    "RawClip",
    "RawDataset",
    "RawSource",
    "Times",
    "clip_table",
    "exclusion_findings",
    "findings_table",
    "get_scheme",
    "is_own_table",
    "label_clips",
    "parse_action_units",
    "read_raw_dataset",
]
