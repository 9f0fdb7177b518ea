"""Reads a dataset as received (sheet and frames) into a list of clips and a list of findings."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from common.dataset_names import OWN_TABLE, dataset_name
from common.errors import UserError
from common.refusals import Refusal, few
from common.tables import is_date
from datasets.inputs import SAFE_NAME, SYNTHETIC
from datasets.raw.annotation import Annotation, read_annotation
from datasets.raw.casme2 import CASME2
from datasets.raw.casme3 import CASME3
from datasets.raw.clip_frames import attach_frames
from datasets.raw.corrections import ClipKey, Correction, exclusions, read_corrections
from datasets.raw.dataset_format import DatasetFormat
from datasets.raw.findings import Finding, RowReport
from datasets.raw.frame_folders import PATH_FIELDS, Finder, FrameFinder
from datasets.raw.label_schemes import DEFAULT_SCHEMES, SCHEMES, LabelScheme, get_scheme
from datasets.raw.mmew import MMEW
from datasets.raw.own_table import (
    PathFinder,
    Times,
    frame_rate,
    frames_of_seconds,
    own_format,
    sheet_notes,
    with_names,
)
from datasets.raw.raw_clip import RawClip
from datasets.raw.samm import SAMM
from datasets.raw.sheets import COLUMN_NAMES, Sheet, SheetRow, read_sheet
from datasets.raw.smic import SMIC

FORMATS = {dataset.name: dataset for dataset in (CASME2, SAMM, SMIC, MMEW, CASME3)}
NEEDED_FIELDS = ("onset", "offset", "emotion")
# Map files are named by subject and clip; file systems allow 255 bytes with the ending.
MOST_NAME_BYTES = 200


@dataclass(frozen=True)
class RawSource:
    """Where a dataset is.

    Attributes:
        dataset: casme2, samm, smic, mmew or casme3, in any usual spelling; or table, the user's
            own table, which says itself where frames are.
        sheet: its annotation sheet, .xlsx or .csv.
        frames: the folder of its frames; None reads the sheet alone. Of a user's own table the
            folder to which its paths are relative; None for the table's own.
        registered: the frames are registered (cropped) ones.
        corrections: the user's own table of corrections.
        frame_rate: frames per second, where the dataset's is not known or differs.
        name: of a user's own table, the name of its dataset.
        classes: of a user's own table, the classes in their order; empty takes every label.
        times: of a user's own table, what onset, apex and offset are.
    """

    dataset: str
    sheet: Path
    frames: Path | None = None
    registered: bool = False
    corrections: Path | None = None
    frame_rate: float | None = None
    name: str = OWN_TABLE
    classes: tuple[str, ...] = ()
    times: Times = "frames"

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
    def schemes(self) -> list[LabelScheme]:
        """The label schemes of this dataset, the usual one first."""
        name, own = self.format.name, self.format.own_scheme
        if own is not None:
            return [own]
        fitting = [scheme for scheme in SCHEMES.values() if name in scheme.emotions]
        return sorted(fitting, key=lambda scheme: scheme.name != DEFAULT_SCHEMES[name])

    def scheme(self, name: str | None = None) -> LabelScheme:
        """The scheme of that name, else the usual one.

        Raises:
            UserError: there is none, or it is not defined for the dataset.
        """
        own = self.format.own_scheme
        if name is None or (own is not None and name == own.name):
            return self.schemes[0]
        if own is not None:
            raise UserError(
                f"label scheme {name!r}: a table of your own has the classes that --classes names."
            )
        return get_scheme(name, self.format.name)

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
    if source.frames is not None and not source.frames.is_dir():
        raise UserError(f"{source.frames} is not a folder. Give the folder of the frames.")
    dataset, sheet = _read_own(source) if is_own_table(source.dataset) else _read_known(source)
    reader = _RowReader(dataset, source, sheet.column("apex") is not None)
    clips = [clip for clip in map(reader.read, sheet.rows) if clip is not None]
    findings = [*_sheet_findings(dataset, sheet), *reader.findings, *reader.unused_corrections()]
    findings += _exchanged_columns(dataset, len(sheet.rows), reader.findings)
    raw = RawDataset(dataset, clips, findings)
    _check_any_frames(source, raw)
    return raw


def is_own_table(dataset: str) -> bool:
    """Whether a dataset's name says that it is the user's own."""
    return dataset.strip().lower() == OWN_TABLE


def _read_own(source: RawSource) -> tuple[DatasetFormat, Sheet]:
    sheet = read_sheet(source.sheet, lambda name: True, own_table=True)
    needed = {**{name: (name,) for name in ("onset", "offset", "label")}, "folder": PATH_FIELDS}
    absent = [
        " or ".join(fields)
        for fields in needed.values()
        if all(sheet.column(field) is None for field in fields)
    ]
    if absent:
        columns = few(sheet.columns.values(), 60)
        reason = f"has no column for {few(absent)} among {columns}"
        raise Refusal(source.sheet, f"{reason}. docs/datasets.md describes such a table.")
    dataset = own_format(source.name, source.sheet, sheet, source.classes)
    sheet.notes.extend(sheet_notes(dataset, sheet))
    return dataset, sheet


def _read_known(source: RawSource) -> tuple[DatasetFormat, Sheet]:
    dataset = FORMATS[dataset_name(source.dataset)]
    sheet = read_sheet(source.sheet, dataset.reads, dataset.worksheets)
    _check_columns(source.sheet, dataset, sheet)
    return dataset, sheet


def _check_columns(path: Path, dataset: DatasetFormat, sheet: Sheet) -> None:
    """Refuse the sheet of another dataset: its columns or most of its clip names do not fit."""
    needed = (*NEEDED_FIELDS, "apex") if dataset.has_apex else NEEDED_FIELDS
    absent = [field for field in needed if sheet.column(field) is None]
    names = [row.field("clip") for row in sheet.rows]
    if not absent and _share(dataset.reads, names) >= 0.5:
        return
    if _share(is_date, names) >= 0.5:
        column = sheet.columns[sheet.column("clip") or ""]
        made = f"a spreadsheet program made them of names such as {dataset.clip_example}"
        reason = f"has dates such as {names[0]} in column {column}: {made}. Get the sheet anew."
        raise Refusal(path, reason)
    likely = [f.title for f in FORMATS.values() if f != dataset and _share(f.owns, names) >= 0.5]
    guess = (
        f"It looks like a sheet of {likely[0]}."
        if likely
        else "None of the datasets has them: --dataset table reads any."
    )
    reason = f"clip names such as {few(names, 60)} are not {dataset.title}'s"
    if _share(dataset.reads, [row.field("subject") for row in sheet.rows]) >= 0.5:
        guess = "The columns of subjects and clips look exchanged."
    if absent:
        reason = f"it has no column for {few(absent)} among {few(sheet.columns.values(), 60)}"
        guess = guess if likely else "Give the complete sheet."
    raise Refusal(path, f"is not a sheet of {dataset.title}: {reason}. {guess}")


def _share(fits: Callable[[str], bool], names: list[str]) -> float:
    """Share of the names that fit."""
    return sum(map(fits, names)) / len(names)


def _sheet_findings(dataset: DatasetFormat, sheet: Sheet) -> list[Finding]:
    report = RowReport(dataset.name, 0)
    for rule, value, detail in sheet.notes:
        report.add(rule, value, "kept", detail)
    own = sum(dataset.reads(row.field("clip")) for row in sheet.rows)
    if dataset.expected_rows and own not in dataset.expected_rows:
        expected = " or ".join(map(str, dataset.expected_rows))
        detail = f"a complete {dataset.title} sheet has {expected} rows."
        report.add("count", own, "kept", detail)
    return report.findings


def _exchanged_columns(
    dataset: DatasetFormat, rows: int, findings: list[Finding]
) -> Iterator[Finding]:
    """A finding on the sheet where most of its rows are out for one reason."""
    for rule in ("order", "emotion", "not a frame number"):
        out = {f.row for f in findings if (f.rule, f.outcome) == (rule, "excluded")}
        if len(out) > max(1, rows // 2):
            detail = "most rows break this rule: are columns exchanged?"
            value = f"{rule}: {len(out)} of {rows}"
            yield Finding(dataset.name, 0, "", "", "columns", value, "kept", detail)


class _RowReader:
    """Reads one row after the other; keeps the names already seen and collects the findings."""

    def __init__(self, dataset: DatasetFormat, source: RawSource, has_apex: bool) -> None:
        self.dataset, self.has_apex = dataset, has_apex
        self.frame_rate = source.frame_rate or dataset.frame_rate
        self.corrections = read_corrections(dataset, source.corrections)
        self.in_seconds = source.times == "seconds"
        self.finder: Finder | None = None
        self.paths: PathFinder | None = None
        if dataset.own_scheme is not None:
            self.finder = self.paths = PathFinder(source.frames or source.sheet.parent)
        elif source.frames is not None:
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
        rate = self.frame_rate
        if self.paths is not None:
            cells, rate = self._own_cells(self.paths, cells, report)
            if report.excluded:
                return None
        corrections = self.corrections.get(key, [])
        annotation = read_annotation(self.dataset, self.has_apex, cells, corrections, report)
        if annotation is None:
            return None
        clip = replace(self._make_clip(row, key, annotation, corrections), frame_rate=rate)
        if self.finder is None:
            return clip
        return attach_frames(self.dataset, clip, self.finder, cells, report)

    def _fields(self, row: SheetRow) -> dict[str, str]:
        """The row's text by field."""
        cells = {name: row.field(name) for name in COLUMN_NAMES}
        if self.paths is not None:
            return with_names(cells)
        return {**cells, "clip": self.dataset.clip_cell(cells["clip"])}

    def _own_cells(
        self, finder: PathFinder, cells: dict[str, str], report: RowReport
    ) -> tuple[dict[str, str], float | None]:
        """The cells of a user's table with frame numbers, and its frame rate."""
        rate = frame_rate(cells, self.frame_rate, report)
        folder = finder.find(cells)
        times = [] if folder is None else finder.seconds(folder, rate)
        if folder is not None and folder.path.is_file() and times[-1][0] > 0 and rate is None:
            rate = round((len(times) - 1) / times[-1][0], 3)
        if folder is not None and self.in_seconds:
            cells = frames_of_seconds(cells, times, report)
        return cells, rate

    def _identify(self, cells: Mapping[str, str], report: RowReport) -> ClipKey | None:
        """The clip's name; None for a row without a usable name or with one already seen."""
        subject = cells["subject"] or self._named_subject(cells["clip"])
        report.subject = self.dataset.subject_name(subject)
        report.clip = self.dataset.clip_name(cells)
        if subject != cells["subject"]:
            report.add("subject", "", "kept", "the cell is empty: taken from the clip's name.")
        for name, cell in ((report.subject, subject), (report.clip, cells["clip"])):
            if not cell or not SAFE_NAME.fullmatch(name):
                self._refuse_name(cells, report)
                return None
        if self._is_foreign(cells["clip"], report):
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

    def _is_foreign(self, name: str, report: RowReport) -> bool:
        """Whether the clip's name is another dataset's or another subject's; a finding says so."""
        match = self.dataset.clip_pattern.fullmatch(name)
        if match is None:
            owner = next((other.title for other in FORMATS.values() if other.owns(name)), None)
            whose = f"this is a clip name of {owner}" if owner else "not this dataset's clip name"
            example = f"{self.dataset.title} has such as {self.dataset.clip_example}"
            report.add("foreign clip", name, "excluded", f"{whose}; {example}.")
            return True
        named = self._named_subject(name)
        if not named or self.dataset.subject_name(named) == report.subject:
            return False
        detail = f"the clip's name says subject {named}: correct the sheet."
        report.add("subject", report.subject, "excluded", detail)
        return True

    def _named_subject(self, clip: str) -> str:
        """The subject that a clip's name says; empty where it says none."""
        match = self.dataset.clip_pattern.fullmatch(clip)
        return match.groupdict().get("subject", "") if match else ""

    def _refuse_name(self, cells: Mapping[str, str], report: RowReport) -> None:
        """Say which cell is no name; for a clip that is named by its onset, it may be the onset."""
        refused = [c for c in (cells["subject"], cells["clip"]) if not SAFE_NAME.fullmatch(c)]
        if "" in refused:
            detail = "a cell is empty; of a merged one, text holds the first row alone. Fill it in."
            report.add("name", "", "excluded", detail)
        elif refused:
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
    absent = [finding for finding in raw.findings if finding.rule == "no frames"]
    if raw.clips or not absent:
        return
    kind = "registered" if source.registered else "raw"
    has_layouts = bool(raw.format.layouts) and not source.registered
    hint = " For registered (cropped) frames add --registered." if has_layouts else ""
    first = absent[0]
    raise Refusal(
        source.frames or source.sheet,
        f"holds no {kind} frames of any of {len(absent)} clips. Of {first.subject}/{first.clip}: "
        f"{first.detail}{hint}",
    )
