"""Build inputs from a raw dataset: sheet and frames -> audit -> face -> flow -> maps.

    python build_inputs.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx --frames CASME2 \\
        --out inputs
    python build_inputs.py --dataset casme2 --sheet ... --frames CASME2 --audit-only
    python build_inputs.py --dataset casme2 --sheet ... --frames CASME2 --out pictures \\
        --pictures sub01/EP02_01f

Reads the dataset's annotation sheet and its folder of frames (docs/datasets.md shows what they
look like). Writes, below --out, the published layout (table and maps), each clip's signed flow, the
audit, and how everything was made. A rerun computes only what changed; further datasets built into
the same folder make a composite.

--audit-only builds nothing: it prints what is wrong with sheet and frames, and the clips that each
label scheme would take. --pictures with names of clips builds nothing either: it draws these clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import tyro

from common.command_line import parse_settings
from common.dataset_names import OWN_TABLE
from common.errors import UserError, run_script
from common.files import (
    check_output_file,
    check_output_folder,
    claim_folder,
    write_text,
)
from common.owned_folder import claimed_files, shared_record
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
    check_files,
    check_other_datasets,
    finish,
    opencv_note,
    others_kept,
)
from datasets.frames.key_frame_spotter import spot_apexes
from datasets.frames.registration import check_installed
from datasets.input_records import read_records
from datasets.raw import (
    RawClip,
    RawDataset,
    RawSource,
    Times,
    exclusion_findings,
    findings_table,
    is_own_table,
    label_clips,
    read_raw_dataset,
)
from datasets.raw.audit_report import finding_lines, selection_line
from datasets.raw.frame_check import FrameChoice, check_clip_frames, clip_finding


@dataclass(frozen=True)
class Config:
    """What to build from what."""

    dataset: str = tyro.MISSING
    """Whose sheet and folders these are: casme2, samm, smic, mmew or casme3; table: your own."""
    sheet: Path = tyro.MISSING
    """The annotation sheet, .xlsx or .csv."""
    frames: Path | None = None
    """The folder of the frames, as the dataset comes. Without it only the sheet can be audited.
    For table: to which the paths in it are relative. Default: the table's folder."""
    out: Path | None = None
    """Folder to write to, made if absent; with --audit-only a .csv file for the findings."""
    audit_only: bool = False
    """Print what is wrong with the dataset, and build nothing."""
    check_frames: FrameChoice = "key"
    """Frames that --audit-only decodes: those that are built from (key), all, or none."""
    pictures: tuple[str, ...] | None = None
    """Without names: draw a contact sheet of every clip that is built and an overview. With names,
    such as sub01/EP02_01f: draw these clips, each with an animation, and build nothing."""
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
    name: str = OWN_TABLE
    """For table: the name of your dataset."""
    classes: tuple[str, ...] = ()
    """For table: the classes in their order, such as negative positive surprise; other labels are
    left out. Default: every label, in the order of the table."""
    times: Times = "frames"
    """For table: whether onset, apex and offset are numbers of frames (of a video from 0) or
    seconds from the first frame."""
    workers: int = 2
    """Processes; the files do not depend on it."""

    def settings(self, frame_size: int | None = None) -> InputSettings:
        """How inputs are computed."""
        margin = 0 if self.registered else self.margin
        return InputSettings(
            self.flow, self.size, self.remove_mean_flow, self.registered, margin, frame_size
        )


def main() -> None:
    """Read, then audit, draw or build."""
    config = parse_settings(Config, __doc__)
    if config.audit_only and config.out is not None:
        check_output_file(config.out)
    if not config.audit_only:
        frames_unknown = config.frames is None and not is_own_table(config.dataset)
        if frames_unknown or config.out is None:
            missing = "frames" if frames_unknown else "out"
            raise UserError(f"--{missing} is missing; only --audit-only works without it.")
        check_output_folder(config.out)
    raw = read_raw_dataset(
        RawSource(
            config.dataset,
            config.sheet,
            config.frames,
            config.registered,
            config.corrections,
            config.frame_rate,
            config.name,
            config.classes,
            config.times,
        )
    )
    if config.out is None or config.audit_only:
        outputs = [] if config.out is None else [config.out]
        with claimed_files(outputs, "build_inputs.py --audit-only"):
            audit(config, raw)
    elif config.pictures:
        draw(config.pictures, config.out, raw, config.settings())
    else:
        build(config, config.out, raw)


def audit(config: Config, raw: RawDataset) -> None:
    """Print what is wrong, and what each label scheme would take."""
    bad_frames = []
    if (config.frames or raw.format.own_scheme) and config.check_frames != "none":
        checks = (check_clip_frames(c, config.check_frames, config.registered) for c in raw.clips)
        results = with_progress(checks, len(raw.clips), "decoding frames")
        bad_frames = [finding for finding in results if finding is not None]
    bad_rows = {finding.row for finding in bad_frames}
    findings = [*raw.findings, *bad_frames, *exclusion_findings(raw.clips, raw.schemes)]
    print("\n".join(finding_lines(findings)))
    clips = [clip for clip in raw.clips if clip.row not in bad_rows]
    for scheme in raw.schemes:
        print(selection_line(label_clips(clips, scheme)[0], scheme))
    if config.out is not None:
        write_text(config.out, findings_table(findings).to_csv(index=False, lineterminator="\n"))
        print(f"written: {config.out}")


def draw(names: Sequence[str], out: Path, raw: RawDataset, settings: InputSettings) -> None:
    """Write a contact sheet and an animation of each of the named clips."""
    # Imported here and below: a build without pictures does not need what they are drawn with.
    from datasets.pictures.folder import write_clip_pictures

    clips = spot_apexes([raw.find(name) for name in names], settings, workers=1)
    with shared_record(out, "build_inputs.py --pictures"):
        for clip in clips:
            for path in write_clip_pictures(out, clip, settings, raw.scheme()):
                print(f"written: {path}")


def build(config: Config, out: Path, raw: RawDataset) -> None:
    """Build the clips of the label scheme, and say what became of every clip."""
    dataset = raw.format.name
    scheme = raw.scheme(config.scheme)
    settings = config.settings(kept_frame_size(config, out, dataset))
    labelled, left_out = label_clips(raw.clips, scheme)
    record = DatasetRecord(scheme, settings, raw.synthetic)
    with claim_folder(out, "build_inputs.py") as owned, others_kept(out):
        stems = [item.clip.stem for item in labelled]
        check_other_datasets(out, dataset, record, stems)
        check_files(out, owned, dataset, stems)
        note = opencv_note(out, dataset, record)
        if note:
            print(note, flush=True)
        clips = spot_apexes([item.clip for item in labelled], settings, config.workers)
        labelled = [replace(item, clip=clip) for item, clip in zip(labelled, clips, strict=True)]
        # Of files from before there were records nobody knows whether they have changed.
        results = compute(clips, out, dataset, settings, config.workers, trusted=owned.exists)
        problems = [
            clip_finding(clip, results[clip.stem].rule, results[clip.stem].value, problem)
            for clip in clips
            if (problem := results[clip.stem].problem)
        ]
        built = [item for item in labelled if not results[item.clip.stem].problem]
        findings = [*raw.findings, *left_out, *problems]
        print("\n".join(finding_lines(findings)))
        points = {stem: result.points for stem, result in results.items()}
        finish(out, dataset, record, built, findings, points)
        if config.pictures is not None:
            from datasets.pictures.folder import plan_pictures, write_pictures

            jobs = plan_pictures(out, built, settings, scheme)
            drawing = write_pictures(out, dataset, jobs, settings, config.workers)
            list(with_progress(drawing, len(jobs), "drawing pictures"))
    print(selection_line(built, scheme))
    if problems:
        print(f"not built, because of their frames: {len(problems)} clips, named above")
    print(f"{settings.flow} flow by OpenCV {cv2.__version__}")
    print(f"{'synthetic: ' if raw.synthetic else ''}written: {out}")


def kept_frame_size(config: Config, out: Path, dataset: str) -> int | None:
    """The side of the frames to keep, None for none."""
    if config.keep is None:
        kept = read_records(out).get(dataset, {}).get("frame_size")
        return kept if isinstance(kept, int) else None
    return config.frame_size if "frames" in config.keep else None


def compute(
    clips: Sequence[RawClip],
    out: Path,
    dataset: str,
    settings: InputSettings,
    workers: int,
    trusted: bool,
) -> dict[str, BuiltClip]:
    """Compute the inputs of clips; what became of each, by stem."""
    jobs, results = plan_clips(clips, out, settings, trusted)
    print(f"{len(jobs)} of {len(clips)} clips to compute", flush=True)
    if jobs:
        if not settings.registered:
            check_installed()
        begin(out, dataset, [job.stem for job in jobs])
    building = build_clips(jobs, out, settings, workers)
    results += with_progress(building, len(jobs), "computing flow")
    return {result.stem: result for result in results}


if __name__ == "__main__":
    run_script(main)
