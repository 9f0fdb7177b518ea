"""A folder of inputs made from raw datasets: its records and tables, and the removal of old files.

Several datasets in one folder form a composite. Each has a record of its settings (in
``inputs.yaml``), a table of its clips with their annotation (``clips_<dataset>.csv``) and the audit
(``audit_<dataset>.csv``); the published table lists the clips of all of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from common.errors import UserError, name_list
from common.files import write_text
from common.owned_folder import OwnedFolder, check_unchanged, remove_file
from common.refusals import Refusal
from common.tables import numbers, read_table
from datasets.arrays import flow_path, frames_path
from datasets.frames.build import InputSettings, overview_path, picture_path
from datasets.frames.flow import flow_release
from datasets.input_records import RECORD_NAME, read_records
from datasets.inputs import (
    KNOWN_COLUMNS,
    MAP_SUFFIXES,
    MAPS_FOLDER,
    POINT_COLUMNS,
    SYNTHETIC,
    TABLE_NAME,
    map_file_name,
    write_table,
)
from datasets.raw import Finding, LabelledClip, LabelScheme, clip_table, findings_table

# In these all datasets of a folder must agree, or a model could tell the datasets apart.
COMMON = ("classes", "flow", "size", "remove_mean_flow", "source")
CLIP_COLUMNS = ["dataset", "subject", "clip", "label"]


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
            "opencv": cv2.__version__,
            "source": SYNTHETIC if self.synthetic else "dataset",
        }


def check_other_datasets(
    out: Path, dataset: str, record: DatasetRecord, stems: Iterable[str]
) -> None:
    """Refuse a dataset that does not fit the others of the folder, before anything is written.

    Args:
        out: the folder of inputs.
        dataset: the one to be built.
        record: how it will be built.
        stems: the file names of its clips.

    Raises:
        UserError: the folder holds inputs that this suite did not build, another dataset with other
            settings, or a clip of another dataset with the same file name.
    """
    records = read_records(out)
    if not records and (out / TABLE_NAME).exists():
        raise UserError(f"{out} holds inputs that were not built here. Give another folder.")
    new, new_stems = record.as_dict(), set(stems)
    for other, old in records.items():
        if other == dataset:
            continue
        different = [name for name in COMMON if old.get(name) != new[name]]
        if _other_flow(old, record):
            different.append("opencv")
        # A dataset without frames may lie beside one with frames.
        if len({old.get("frame_size"), new["frame_size"]} - {None}) > 1:
            different.append("frame_size")
        if different:
            changes = [f"{name} is {old.get(name)} there, {new[name]} now" for name in different]
            raise UserError(
                f"{out} holds {other} with other settings: {name_list(changes)}. "
                "Use the same settings, or another folder."
            )
        shared = new_stems & _stems(read_clips(out, other))
        if shared:
            raise UserError(
                f"clips of {dataset} and {other} have the same file names: "
                f"{name_list(sorted(shared))}. Build the datasets into different folders."
            )


def _other_flow(old: Mapping[str, Any], record: DatasetRecord) -> bool:
    """Whether a recorded dataset's flow is of an OpenCV that computes another flow than this one.

    Earlier versions did not record it.
    """
    method, version = record.settings.flow, old.get("opencv")
    return version is not None and flow_release(method, str(version)) != flow_release(method)


def opencv_note(out: Path, dataset: str, record: DatasetRecord) -> str:
    """What to say of a rebuild by another OpenCV, or of datasets of which it is not known."""
    records = read_records(out)
    own = records.get(dataset, {})
    if own.get("flow") == record.settings.flow and _other_flow(own, record):
        return (
            f"{dataset} was built with OpenCV {own['opencv']}, whose {own['flow']} flow differs "
            f"from that of {cv2.__version__}: every clip is computed anew"
        )
    unknown = sorted(name for name, other in records.items() if "opencv" not in other)
    if set(unknown) - {dataset}:
        return f"warning: with which OpenCV {name_list(unknown)} was built is not recorded"
    return ""


def check_files(out: Path, owned: OwnedFolder, dataset: str, stems: Iterable[str]) -> None:
    """Refuse files in the way that were not built here, or have changed since.

    Raises:
        UserError: there are such; the first are named.
    """
    if read_records(out) and not owned.exists:
        # Built before there were records of files.
        for record in sorted(read_records(out)):
            new = stems if record == dataset else ()
            owned.adopt(_dataset_files(out, record, {*new, *_old_stems(out, record)}))
    owned.check(_dataset_files(out, dataset, {*stems, *_old_stems(out, dataset)}))


def _dataset_files(out: Path, dataset: str, stems: Iterable[str]) -> Iterator[Path]:
    """The files that building a dataset may write, replace or remove."""
    yield from (out / name for name in (TABLE_NAME, RECORD_NAME))
    yield from (out / f"{kind}_{dataset}.csv" for kind in ("clips", "audit"))
    yield from (overview_path(out, dataset), _note_path(out, dataset))
    for stem in sorted(stems):
        yield from _clip_files(out, stem)


def _clip_files(out: Path, stem: str) -> Iterator[Path]:
    for index in range(len(MAP_SUFFIXES)):
        yield out / MAPS_FOLDER / map_file_name(stem, index)
    yield from (flow_path(out, stem), frames_path(out, stem), picture_path(out, stem))


def begin(out: Path, dataset: str, stems: Iterable[str] = ()) -> None:
    """Remove the table, the dataset's record and its overview before the dataset is built.

    An incomplete folder then is not taken for a complete one.

    Args:
        out: the folder of inputs.
        dataset: the one to be built.
        stems: the clips that will get files. They are noted, so that a later run with another
            scheme can remove what a killed one left.
    """
    remove_file(out / TABLE_NAME)
    noted = _noted_stems(out, dataset) | set(stems)
    if noted:
        write_text(_note_path(out, dataset), "".join(f"{stem}\n" for stem in sorted(noted)))
    records = read_records(out)
    if records.pop(dataset, None) is not None:
        _write_records(out, records)
    remove_file(overview_path(out, dataset))


@contextmanager
def others_kept(out: Path) -> Iterator[None]:
    """After a failure, write the table of the datasets that are still recorded."""
    try:
        yield
    except BaseException:
        if read_records(out) and not (out / TABLE_NAME).exists():
            _write_table(out)
        raise


def finish(
    out: Path,
    dataset: str,
    record: DatasetRecord,
    clips: Sequence[LabelledClip],
    findings: Iterable[Finding],
    points: Mapping[str, NDArray[np.float64] | None],
) -> None:
    """Write the tables for the clips that are built, and remove files of clips that are not.

    Args:
        out: the folder of inputs.
        dataset: the one that was built.
        record: how it was made.
        clips: those that are built, with their labels.
        findings: the audit's, those on the others among them.
        points: by stem the five points of the face on the map, [5, 2], where they are known.

    Raises:
        UserError: no clip is built; the dataset is then no longer recorded.
    """
    write_text(out / f"audit_{dataset}.csv", _csv(findings_table(findings)))
    if not clips:
        begin(out, dataset)
        raise UserError(
            f"no clip of {dataset} could be built; {out / f'audit_{dataset}.csv'} says why."
        )
    _remove_old_clips(out, dataset, {labelled.clip.stem for labelled in clips})
    table = clip_table(labelled.clip for labelled in clips)
    table["label"] = [labelled.label for labelled in clips]
    table[POINT_COLUMNS] = _point_rows([points.get(labelled.clip.stem) for labelled in clips])
    write_text(out / f"clips_{dataset}.csv", _csv(table))
    _write_records(out, {**read_records(out), dataset: record.as_dict()})
    _write_table(out)
    remove_file(_note_path(out, dataset))


def _point_rows(points: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    """[N, 10] to a thousandth of a pixel; NaN where no face was looked for."""
    unknown = np.full((5, 2), np.nan)
    return np.array([(unknown if p is None else p).round(3).ravel() for p in points])


def _write_records(out: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    if records:
        write_text(out / RECORD_NAME, yaml.safe_dump(dict(records), sort_keys=True))
    else:
        remove_file(out / RECORD_NAME)


def _write_table(out: Path) -> None:
    """The published table of the clips of every recorded dataset."""
    records = read_records(out)
    everything = pd.concat([read_clips(out, name) for name in sorted(records)], ignore_index=True)
    synthetic = any(record.get("source") == SYNTHETIC for record in records.values())
    # Tables of earlier versions may lack these columns.
    write_table(out, everything.reindex(columns=[*CLIP_COLUMNS, *KNOWN_COLUMNS]), synthetic)


def read_clips(out: Path, dataset: str) -> pd.DataFrame:
    """The annotation of the clips of one dataset in a folder of inputs.

    Raises:
        UserError: its table is missing or damaged.
    """
    path = out / f"clips_{dataset}.csv"
    if not path.exists():
        raise Refusal(
            path,
            f"is missing, although {RECORD_NAME} names {dataset}. Build {dataset} again, or build "
            "into another folder.",
        )
    check_unchanged(out, [path])
    advice = f"Remove it and build {dataset} again."
    table = read_table(path, CLIP_COLUMNS, advice)
    for name in {"label", *KNOWN_COLUMNS} & {*table}:
        values = numbers(table[name])
        if (values.isna() & ((table[name] != "") | (name == "label"))).any():
            raise Refusal(path, f"is damaged: {name} must be a number. {advice}")
        is_whole = values.notna().all() and not table[name].str.contains(".", regex=False).any()
        table[name] = values.astype(int) if is_whole else values
    return table.reset_index(drop=True)


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _remove_old_clips(out: Path, dataset: str, stems: set[str]) -> None:
    """Delete the files of clips that an earlier run built and that are no longer wanted."""
    unwanted = _old_stems(out, dataset) - stems
    if unwanted:
        remove_file(overview_path(out, dataset))
    for stem in unwanted:
        for path in _clip_files(out, stem):
            remove_file(path)


def _old_stems(out: Path, dataset: str) -> set[str]:
    """The clips of which an earlier run may have left files."""
    old = _noted_stems(out, dataset)
    if (out / f"clips_{dataset}.csv").exists():
        old |= _stems(read_clips(out, dataset))
    return old


def _note_path(out: Path, dataset: str) -> Path:
    """The list of clips of an unfinished run, a stem a line."""
    return out / f"unfinished_{dataset}.txt"


def _noted_stems(out: Path, dataset: str) -> set[str]:
    path = _note_path(out, dataset)
    return set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()


def _stems(table: pd.DataFrame) -> set[str]:
    return set(table["subject"] + "_" + table["clip"])
