"""Build inputs from a raw dataset: sheet and frames -> audit -> face -> flow -> maps.

    python build_inputs.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx --frames CASME2 \\
        --out inputs

Reads the dataset's annotation sheet and its folder of frames (docs/datasets.md shows what they
look like). Writes, below --out, the published layout (table and maps), each clip's signed flow, the
audit, and how everything was made. A rerun computes only what changed; further datasets built into
the same folder make a composite.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from common.errors import UserError, run_script
from common.files import lock_folder, remove_unfinished
from common.progress import with_progress
from datasets.frames.build import (
    DEFAULT_MARGIN,
    BuiltClip,
    InputSettings,
    build_clips,
    plan_clips,
)
from datasets.frames.flow import FlowMethod
from datasets.frames.folder import (
    DatasetRecord,
    begin,
    check_other_datasets,
    finish,
    others_kept,
)
from datasets.frames.registration import check_installed
from datasets.input_records import read_records
from datasets.raw import (
    DEFAULT_SCHEMES,
    Finding,
    LabelledClip,
    LabelScheme,
    RawClip,
    RawSource,
    get_scheme,
    label_clips,
    read_raw_dataset,
)
from datasets.raw.audit_report import finding_lines, selection_line
from datasets.raw.frame_check import clip_finding


@dataclass(frozen=True)
class Config:
    """What to build from what."""

    dataset: Literal["casme2", "samm", "smic", "mmew", "casme3"]
    """Whose sheet and folders these are."""
    sheet: Path
    """The annotation sheet, .xlsx or .csv."""
    frames: Path
    """The folder of the frames, as the dataset comes."""
    out: Path
    """Folder to write to; made if absent."""
    scheme: str | None = None
    """Label scheme. Default: megc2019; for mmew mmew_4, for casme3 casme3_3."""
    registered: bool = False
    """Take the dataset's registered (cropped) frames as they are; no face is looked for."""
    flow: FlowMethod = "tvl1"
    """Optical flow method; tvl1 is the published one."""
    size: int = 128
    """Side in pixels of the square on which flow is computed."""
    margin: int = DEFAULT_MARGIN
    """Pixels around the face over which flow is computed too, and then cut off; 0 is the published
    recipe to the letter. Not used with --registered, where nothing lies around the face."""
    remove_mean_flow: bool = False
    """Subtract each phase's mean motion (the head's) from its flow."""
    keep: tuple[Literal["flow", "frames"], ...] | None = None
    """What to keep beside the maps: flow (always) and registered frames in color. Default: what the
    folder keeps of this dataset already."""
    frame_size: int = 224
    """Side in pixels of the frames that --keep frames keeps."""
    corrections: Path | None = None
    """Your own table of corrections, in addition to the shipped one."""
    frame_rate: float | None = None
    """Frames per second; needed for the record where the dataset does not say it (casme3)."""
    pictures: bool = False
    """Also draw a contact sheet of every clip and an overview page of the dataset."""
    workers: int = 2
    """Processes; the files do not depend on it."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}: give at least 1.")


def main() -> None:
    """Read, audit, build, and say what became of every clip."""
    config = tyro.cli(Config, description=__doc__)
    source = RawSource(
        config.dataset,
        config.sheet,
        config.frames,
        config.registered,
        config.corrections,
        config.frame_rate,
    )
    raw = read_raw_dataset(source)
    scheme = get_scheme(config.scheme or DEFAULT_SCHEMES[config.dataset], config.dataset)
    labelled, left_out = label_clips(raw.clips, scheme)
    settings = InputSettings(
        config.flow,
        config.size,
        config.remove_mean_flow,
        config.registered,
        0 if config.registered else config.margin,
        _frame_size(config),
    )
    record = DatasetRecord(scheme, settings, raw.synthetic)
    with lock_folder(config.out), others_kept(config.out):
        remove_unfinished(config.out)
        stems = [item.clip.stem for item in labelled]
        check_other_datasets(config.out, config.dataset, record, stems)
        results = _build(config, [item.clip for item in labelled], settings)
        built = [item for item in labelled if results[item.clip.stem].status != "failed"]
        problems = [finding for item in labelled for finding in _problem(item.clip, results)]
        findings = [*raw.findings, *left_out, *problems]
        print("\n".join(finding_lines(findings)))
        points = {stem: result.points for stem, result in results.items()}
        finish(config.out, config.dataset, record, built, findings, points)
        if config.pictures:
            _draw(config, built, settings, scheme)
    print(selection_line(built, scheme))
    if problems:
        print(f"not built, because of their frames: {len(problems)} clips, named above")
    print(f"{'synthetic: ' if raw.synthetic else ''}written: {config.out}")


def _frame_size(config: Config) -> int | None:
    """The side of the frames to keep, None for none."""
    if config.keep is None:
        kept = read_records(config.out).get(config.dataset, {}).get("frame_size")
        return kept if isinstance(kept, int) else None
    return config.frame_size if "frames" in config.keep else None


def _build(
    config: Config, clips: Sequence[RawClip], settings: InputSettings
) -> dict[str, BuiltClip]:
    """Build the clips; what became of each, by stem."""
    jobs, results = plan_clips(clips, config.out, settings)
    print(f"{len(jobs)} of {len(clips)} clips to compute", flush=True)
    if jobs:
        if not settings.registered:
            check_installed()
        begin(config.out, config.dataset, [job.stem for job in jobs])
    building = build_clips(jobs, config.out, settings, config.workers)
    results += with_progress(building, len(jobs), "computing flow")
    return {result.stem: result for result in results}


def _problem(clip: RawClip, results: Mapping[str, BuiltClip]) -> Iterator[Finding]:
    """A finding on a clip that could not be built."""
    result = results[clip.stem]
    if result.status == "failed":
        yield clip_finding(clip, result.rule, result.value, result.problem)


def _draw(
    config: Config, built: Sequence[LabelledClip], settings: InputSettings, scheme: LabelScheme
) -> None:
    # Imported here: matplotlib would take a third of the time that a rerun without pictures needs.
    from datasets.pictures.folder import plan_pictures, write_pictures

    jobs = plan_pictures(config.out, built, settings, scheme)
    drawing = write_pictures(config.out, config.dataset, jobs, settings, config.workers)
    list(with_progress(drawing, len(jobs), "drawing pictures"))


if __name__ == "__main__":
    run_script(main)
