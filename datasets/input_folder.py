"""A folder of inputs made from raw datasets: its records, its table, what no longer belongs there.

One folder may hold several datasets: together they form a composite. For each there is a record of
settings (in ``inputs.yaml``), the table of its clips with their annotation
(``clips_<dataset>.csv``) and the audit (``audit_<dataset>.csv``); the published table lists the
clips of all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from common.errors import UserError, name_list
from common.files import write_text
from datasets.input_builder import InputSettings, flow_path, overview_path, picture_path
from datasets.input_records import RECORD_NAME, read_records
from datasets.raw import Finding, LabelledClip, LabelScheme, clip_table, findings_table
from datasets.released_maps import (
    MAP_SUFFIXES,
    MAPS_FOLDER,
    SYNTHETIC,
    TABLE_NAME,
    map_file_name,
    write_table,
)

# What all datasets of one folder must have in common, or a model would see the difference.
COMMON = ("classes", "flow", "size", "remove_mean_flow", "source")


@dataclass(frozen=True)
class DatasetRecord:
    """How one dataset's inputs were made; one entry of ``inputs.yaml``."""

    scheme: LabelScheme
    settings: InputSettings
    synthetic: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the file."""
        return {
            "scheme": self.scheme.name,
            "classes": list(self.scheme.classes),
            **asdict(self.settings),
            "source": SYNTHETIC if self.synthetic else "dataset",
        }


def check_other_datasets(
    out: Path, dataset: str, record: DatasetRecord, stems: Iterable[str]
) -> None:
    """Refuse to mix what does not belong into one composite, before anything is written.

    Args:
        out: the folder of inputs.
        dataset: the one to be built.
        record: how it will be made.
        stems: the file names of its clips.

    Raises:
        UserError: the folder holds inputs of unknown making, another dataset made otherwise, or a
            clip of another dataset with the same file name.
    """
    records = read_records(out)
    if not records and (out / TABLE_NAME).exists():
        raise UserError(f"{out} holds inputs that were not made here. Give another folder.")
    new, new_stems = record.as_dict(), set(stems)
    for other, old in records.items():
        if other == dataset:
            continue
        different = [name for name in COMMON if old.get(name) != new[name]]
        if different:
            changes = [f"{name} is {old.get(name)} there, {new[name]} now" for name in different]
            raise UserError(
                f"{out} holds {other} made otherwise: {name_list(changes)}. "
                "Use the same settings, or another folder."
            )
        shared = new_stems & _stems(read_clips(out, other))
        if shared:
            raise UserError(
                f"clips of {dataset} and {other} have the same file names: "
                f"{name_list(sorted(shared))}. Build the datasets into different folders."
            )


def begin(out: Path, dataset: str) -> None:
    """Take the table away, so that a folder cut short is not taken for a complete one.

    So does the overview of the dataset, which shows what will be built anew.
    """
    (out / TABLE_NAME).unlink(missing_ok=True)
    overview_path(out, dataset).unlink(missing_ok=True)


def finish(
    out: Path,
    dataset: str,
    record: DatasetRecord,
    clips: Sequence[LabelledClip],
    findings: Iterable[Finding],
) -> None:
    """Write the tables for the clips that are built, and remove files of clips that are not.

    Raises:
        UserError: no clip is built.
    """
    write_text(out / f"audit_{dataset}.csv", _csv(findings_table(findings)))
    if not clips:
        raise UserError(
            f"no clip of {dataset} could be built; {out / f'audit_{dataset}.csv'} says why."
        )
    _remove_old_clips(out, dataset, {labelled.clip.stem for labelled in clips})
    table = clip_table(labelled.clip for labelled in clips)
    table["label"] = [labelled.label for labelled in clips]
    write_text(out / f"clips_{dataset}.csv", _csv(table))
    records = {**read_records(out), dataset: record.as_dict()}
    write_text(out / RECORD_NAME, yaml.safe_dump(records, sort_keys=True))
    everything = pd.concat([read_clips(out, name) for name in sorted(records)], ignore_index=True)
    columns = everything[["dataset", "subject", "clip", "label"]]
    write_table(out, columns, synthetic=record.synthetic)


def read_clips(out: Path, dataset: str) -> pd.DataFrame:
    """The annotation of the clips of one dataset in a folder of inputs."""
    return pd.read_csv(
        out / f"clips_{dataset}.csv",
        dtype={"subject": str, "clip": str, "action_units": str, "emotion": str},
    )


def read_settings(out: Path, dataset: str) -> Mapping[str, Any]:
    """The record of how a dataset's inputs were made; empty where there is none."""
    return read_records(out).get(dataset, {})


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _remove_old_clips(out: Path, dataset: str, stems: set[str]) -> None:
    """Delete the files of this dataset's clips of an earlier run that are no longer wanted."""
    if not (out / f"clips_{dataset}.csv").exists():
        return
    old = read_clips(out, dataset)
    unwanted = _stems(old) - stems
    if unwanted:
        overview_path(out, dataset).unlink(missing_ok=True)
    for stem in unwanted:
        for place in range(len(MAP_SUFFIXES)):
            (out / MAPS_FOLDER / map_file_name(stem, place)).unlink(missing_ok=True)
        flow_path(out, stem).unlink(missing_ok=True)
        picture_path(out, stem).unlink(missing_ok=True)


def _stems(table: pd.DataFrame) -> set[str]:
    return set(table["subject"] + "_" + table["clip"])
