"""Reads a dataset as received (sheet and frames) into a list of clips and a list of findings."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.dataset_names import dataset_name
from common.errors import UserError, name_list
from datasets.inputs import SAFE_NAME, SYNTHETIC
from datasets.raw.annotation import Annotation, read_annotation
from datasets.raw.casme2 import CASME2
from datasets.raw.casme3 import CASME3
from datasets.raw.clip_frames import attach_frames
from datasets.raw.corrections import ClipKey, Correction, exclusions, read_corrections
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.findings import Finding, RowReport
from datasets.raw.frame_folders import FrameFinder, wanted_layouts
from datasets.raw.mmew import MMEW
from datasets.raw.raw_clip import RawClip
from datasets.raw.samm import SAMM
from datasets.raw.sheets import SheetRow, read_sheet
from datasets.raw.smic import SMIC

FORMATS = {dataset.name: dataset for dataset in (CASME2, SAMM, SMIC, MMEW, CASME3)}
# Fields that a sheet may lack: nothing is built from them.
OPTIONAL_FIELDS = ("action_units", "second_onset")
# Map files are named by subject and clip; file systems allow 255 bytes with the ending.
MOST_NAME_BYTES = 200


@dataclass(frozen=True)
class RawSource:
    """Where a dataset is.

    Attributes:
        dataset: casme2, samm, smic, mmew or casme3, in any usual spelling.
        sheet: its annotation sheet, .xlsx or .csv.
        frames: the folder of its frames; None reads the sheet alone.
        registered: the frames are registered (cropped) ones.
        corrections: the user's own table of corrections.
        frame_rate: frames per second, where the dataset's is not known or differs.
    """

    dataset: str
    sheet: Path
    frames: Path | None = None
    registered: bool = False
    corrections: Path | None = None
    frame_rate: float | None = None

    def __post_init__(self) -> None:
        rate = self.frame_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise UserError(f"frame rate {rate} is not a positive number. Give frames per second.")


@dataclass(frozen=True)
class RawDataset:
    """The clips whose annotation and frames can be used, and everything that was found."""

    format: DatasetFormat
    clips: list[RawClip]
    findings: list[Finding]

    @property
    def synthetic(self) -> bool:
        """Whether any clip is drawn, not filmed."""
        return any(clip.synthetic for clip in self.clips)

    def find(self, name: str) -> RawClip:
        """The clip called ``subject/clip``, such as sub01/EP02_01f.

        Raises:
            UserError: there is none, or it cannot be used; the message says why.
        """
        for clip in self.clips:
            if f"{clip.subject}/{clip.clip}" == name:
                return clip
        for finding in self.findings:
            if f"{finding.subject}/{finding.clip}" == name and finding.outcome == "excluded":
                raise UserError(f"{name} cannot be used, {finding.rule}: {finding.detail}")
        known = [f"{clip.subject}/{clip.clip}" for clip in self.clips[:1]]
        usable = f"Its first usable one is {known[0]}." if known else "None of its rows is usable."
        raise UserError(f"the sheet has no clip {name!r}. {usable}")


def read_raw_dataset(source: RawSource) -> RawDataset:
    """Read a dataset as received.

    Faults of single rows become findings; the other rows are still read.

    Raises:
        UserError: the sheet or the folder as a whole cannot be used, or is another dataset's.
    """
    dataset = FORMATS[dataset_name(source.dataset)]
    if source.frames is not None and not source.frames.is_dir():
        raise UserError(f"{source.frames} is not a folder. Give the folder of the frames.")
    rows = read_sheet(source.sheet, ("subject", "filename"))
    _check_columns(source.sheet, dataset, rows)
    reader = _RowReader(dataset, source)
    clips = [clip for clip in map(reader.read, rows) if clip is not None]
    findings = [*_check_count(dataset, rows), *reader.findings, *reader.unused_corrections()]
    raw = RawDataset(dataset, clips, findings)
    _check_any_frames(source, raw)
    return raw


def _check_columns(path: Path, dataset: DatasetFormat, rows: list[SheetRow]) -> None:
    """Refuse the sheet of another dataset: its columns or most of its clip names do not fit."""
    absent = [
        name
        for name, variants in dataset.columns.items()
        if name not in OPTIONAL_FIELDS and not set(variants) & set(rows[0].cells)
    ]
    names = [row.cells["filename"] for row in rows]
    fitting = _fit(dataset, names)
    if not absent and fitting >= 0.5:
        return
    others = [other for other in FORMATS.values() if other != dataset]
    likely = [other.title for other in others if _fit(other, names) >= 0.5]
    guess = f" It looks like a sheet of {likely[0]}." if likely else ""
    reason = f"clip names such as {name_list(names[:3])} are not {dataset.title}'s"
    if absent:
        reason = f"it has no column for {name_list(absent)}"
    raise UserError(f"{path} is not a sheet of {dataset.title}: {reason}.{guess}")


def _fit(dataset: DatasetFormat, names: list[str]) -> float:
    """Share of the clip names that have this dataset's form."""
    return sum(bool(dataset.clip_pattern.fullmatch(name)) for name in names) / len(names)


def _check_count(dataset: DatasetFormat, rows: list[SheetRow]) -> list[Finding]:
    if len(rows) in dataset.expected_rows:
        return []
    expected = " or ".join(map(str, dataset.expected_rows))
    report = RowReport(dataset.name, 0)
    report.add("count", len(rows), "kept", f"a complete {dataset.title} sheet has {expected} rows.")
    return report.findings


class _RowReader:
    """Reads one row after the other; keeps the names already seen and collects the findings."""

    def __init__(self, dataset: DatasetFormat, source: RawSource) -> None:
        self.dataset = dataset
        self.frame_rate = source.frame_rate or dataset.frame_rate
        self.corrections = read_corrections(dataset, source.corrections)
        self.finder = None
        if source.frames is not None:
            self.finder = FrameFinder(dataset, source.frames, source.registered)
        self.first_rows: dict[ClipKey, int] = {}
        self.findings: list[Finding] = []

    def read(self, row: SheetRow) -> RawClip | None:
        """The clip of one row, or None if a finding excludes it."""
        report = RowReport(self.dataset.name, row.number)
        clip = self._read(row, report)
        self.findings += report.findings
        return None if report.excluded else clip

    def _read(self, row: SheetRow, report: RowReport) -> RawClip | None:
        cells = self._fields(row)
        key = self._identify(cells, report)
        if key is None:
            return None
        corrections = self.corrections.get(key, [])
        annotation = read_annotation(self.dataset, cells, corrections, report)
        if annotation is None:
            return None
        clip = self._make_clip(row, key, annotation, corrections)
        if self.finder is None:
            return clip
        return attach_frames(self.dataset, clip, self.finder, cells, report)

    def _fields(self, row: SheetRow) -> dict[str, str]:
        """The row's text by field; the first of a field's column names that the sheet has."""
        return {
            name: next((row.cells[variant] for variant in variants if variant in row.cells), "")
            for name, variants in self.dataset.columns.items()
        }

    def _identify(self, cells: Mapping[str, str], report: RowReport) -> ClipKey | None:
        """The clip's name; None for a row without a usable name or with one already seen."""
        report.subject = self.dataset.subject_name(cells["subject"])
        report.clip = self.dataset.clip_name(cells)
        for name, cell in ((report.subject, cells["subject"]), (report.clip, cells["clip"])):
            if not cell or not SAFE_NAME.fullmatch(name):
                self._refuse_name(cells, report)
                return None
        key = report.subject, report.clip
        if len("_".join(key).encode("utf-8")) > MOST_NAME_BYTES:
            detail = f"over {MOST_NAME_BYTES} bytes with the subject: too long for a file name."
            report.add("name", f"{report.clip[:40]}...", "excluded", detail)
            return None
        if key in self.first_rows:
            detail = f"row {self.first_rows[key]} names the same clip."
            report.add("duplicate", report.clip, "excluded", detail)
            return None
        self.first_rows[key] = report.row
        return key

    def _refuse_name(self, cells: Mapping[str, str], report: RowReport) -> None:
        """Say which cell is no name; for a clip that is named by its onset, it may be the onset."""
        refused = [c for c in (cells["subject"], cells["clip"]) if not SAFE_NAME.fullmatch(c)]
        if refused:
            detail = "subject and file name must be plain names."
            report.add("name", refused[0], "excluded", detail)
        else:
            detail = "the clip is named by its onset: correct the sheet."
            report.add("not a frame number", f"onset {cells['onset']!r}", "excluded", detail)

    def _make_clip(
        self, row: SheetRow, key: ClipKey, annotation: Annotation, corrections: list[Correction]
    ) -> RawClip:
        return RawClip(
            dataset=self.dataset.name,
            subject=key[0],
            clip=key[1],
            row=row.number,
            onset=annotation.onset,
            apex=annotation.apex,
            offset=annotation.offset,
            apex_source=annotation.apex_source,
            emotion=annotation.emotion,
            action_units=annotation.action_units,
            frame_rate=self.frame_rate,
            left_out_of=exclusions(corrections),
            synthetic=row.cells.get("source", "").lower() == SYNTHETIC,
        )

    def unused_corrections(self) -> Iterator[Finding]:
        """The user's corrections of clips that the sheet lacks: most likely a mistyped name."""
        detail = "no row of the sheet has this subject and clip; the correction does nothing."
        for key, lines in self.corrections.items():
            for line in lines:
                if key not in self.first_rows and not line.shipped:
                    yield Finding(
                        self.dataset.name, 0, *key, "correction", line.value, "kept", detail
                    )


def _check_any_frames(source: RawSource, raw: RawDataset) -> None:
    """A folder without the frames of any clip is the wrong one: one error, not a list."""
    if raw.clips or not any(finding.rule == "no frames" for finding in raw.findings):
        return
    layouts = wanted_layouts(raw.format, source.registered)
    kind = "registered" if source.registered else "raw"
    places = name_list(dict.fromkeys(folder for layout in layouts for folder in layout.folders))
    hint = "" if source.registered else " For registered (cropped) frames add --registered."
    raise UserError(
        f"{source.frames} holds no {kind} frames of any clip of {source.sheet}. "
        f"They are looked for in {places}.{hint}"
    )
