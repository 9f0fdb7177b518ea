"""Draw synthetic clips: inputs for training, raw datasets, a picture of a clip, a video, or motion.

    python make_synthetic.py --out demo/inputs
    python make_synthetic.py --what raw --out demo/raw --faults
    python make_synthetic.py --what picture --clip sub01/EP01_01 --out clip.png
    python make_synthetic.py --what video --out demo/video/synthetic_face.mp4
    python make_synthetic.py --what motion --n-samples 10000 --out motion

Reads nothing. ``inputs`` writes the published layout: the table of clips and four maps a clip.
``raw`` writes a folder for each dataset (its sheet, its frames in its own layout), the clips' true
motion and, with --faults, planted_faults.csv: what was planted and where. ``video`` writes an MP4
of a face with three movements and a blink, and beside it a CSV that says when. ``motion`` writes
what networks are pretrained on: fields.npy, motion of both phases (float16 [samples, 2, 2, 28, 28],
u and v), and activations.csv, which muscles made it. Everything says "synthetic": a README.txt, a
column of the table and of the sheets, the picture's title, the MP4.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from common.command_line import parse_settings
from common.dataset_names import COMPOSITE, DATASETS, dataset_name
from common.errors import UserError, run_script
from common.files import check_output_file, check_output_folder, write_bytes
from common.owned_folder import claimed_files
from common.progress import with_progress
from datasets.frames.flow import FlowMethod
from datasets.pictures.synthetic import draw_synthetic_clip
from datasets.synthetic.clips import ClipSpec, draw_clip, find_synthetic_clip, list_synthetic_clips
from datasets.synthetic.inputs import write_drawn_motion, write_synthetic_inputs
from datasets.synthetic.raw_datasets import FrameKinds, write_raw_datasets
from datasets.video.planted import write_demo_video


@dataclass(frozen=True)
class Config:
    """What to draw and where to put it."""

    out: Path = tyro.MISSING
    """Folder to write to, made if absent; for a picture the PNG file, for a video the MP4."""
    what: Literal["inputs", "raw", "picture", "video", "motion"] = "inputs"
    """Maps for training, raw datasets for build_inputs.py, a picture of one clip, a video for
    predict_video.py, or motion fields with the muscles that made them."""
    datasets: tuple[str, ...] = ()
    """Names of datasets. Default: casme2, samm and smic for inputs, mmew and casme3 too for raw."""
    n_subjects: int | None = None
    """Subjects of each dataset. Default: 6 for inputs, 3 for raw."""
    n_clips: int = 8
    """Clips of each subject: half negative, a quarter positive, a quarter surprise. For raw all
    datasets but SMIC add one of no class."""
    seed: int = 1
    """Another seed gives other subjects and other clips."""
    flow: FlowMethod = "tvl1"
    """Optical flow method of inputs and picture; tvl1 is the published one."""
    frame_kind: FrameKinds = "both"
    """For raw: camera pictures of a whole head (raw), registered 128 x 128 faces, or both."""
    faults: bool = False
    """For raw: plant faults of every kind, one a clip."""
    clip: str | None = None
    """For a picture: the clip's subject and name, such as sub01/EP01_01."""
    n_samples: int = 1000
    """For motion: how many samples."""
    key_frame_errors: float = 0.0
    """For motion: the most of it, 0 to 1, that each phase misses since a key frame is wrong."""
    workers: int = 2
    """Processes; the files do not depend on it."""


def main() -> None:
    """Draw, write, and say that it is synthetic."""
    config = parse_settings(Config, __doc__)
    writers = {
        "inputs": write_inputs,
        "raw": write_raw,
        "picture": write_picture,
        "video": write_demonstration,
        "motion": write_motion,
    }
    writers[config.what](config)


def write_inputs(config: Config) -> None:
    """Write maps and table."""
    check_output_folder(config.out)
    specs = list_specs(config, COMPOSITE, 6)
    written = write_synthetic_inputs(config.out, specs, config.flow, config.workers)
    list(with_progress(written, len(specs), "drawing clips"))
    subjects = {(spec.dataset, spec.subject) for spec in specs}
    print(f"synthetic: {len(specs)} clips of {len(subjects)} drawn subjects in {config.out}")


def write_raw(config: Config) -> None:
    """Write sheets, frames, true motion and, if asked, faults."""
    check_output_folder(config.out)
    specs = list_specs(config, DATASETS, 3, with_others=True)
    written = write_raw_datasets(
        config.out, specs, config.frame_kind, config.faults, config.workers
    )
    list(with_progress(written, len(specs), "drawing clips"))
    datasets = f"{len({spec.dataset for spec in specs})} drawn datasets"
    faults = " with planted faults" if config.faults else ""
    print(f"synthetic: {len(specs)} clips of {datasets}{faults} in {config.out}")


def write_picture(config: Config) -> None:
    """Write the picture of one clip."""
    check_output_file(config.out)
    if config.clip is None:
        raise UserError("--clip is missing: name the clip to show, such as sub01/EP01_01.")
    clip = draw_clip(find_synthetic_clip(config.clip, config.seed))
    with claimed_files([config.out], "make_synthetic.py --what picture"):
        write_bytes(config.out, draw_synthetic_clip(clip, config.flow))
    print(f"synthetic: a picture of the drawn clip {config.clip} is in {config.out}")


def write_demonstration(config: Config) -> None:
    """Write a video, and what is planted in it."""
    check_output_file(config.out)
    if config.out.suffix != ".mp4":
        raise UserError(f"--out {config.out}: give the name of an MP4 file, such as face.mp4.")
    names = config.out, config.out.with_suffix(".csv")
    with claimed_files(names, "make_synthetic.py --what video"):
        write_demo_video(config.out, config.seed)
    print(f"SYNTHETIC: a drawn face with three movements and a blink is in {config.out}")


def write_motion(config: Config) -> None:
    """Write motion fields and activations."""
    check_output_folder(config.out)
    write_drawn_motion(config.out, config.seed, config.n_samples, config.key_frame_errors)
    print(f"synthetic: {config.n_samples} samples of drawn motion in {config.out}")


def list_specs(
    config: Config, datasets: tuple[str, ...], n_subjects: int, with_others: bool = False
) -> list[ClipSpec]:
    """The clips to draw; datasets and number of subjects where the settings do not say them."""
    names = tuple(dict.fromkeys(map(dataset_name, config.datasets))) or datasets
    count = n_subjects if config.n_subjects is None else config.n_subjects
    return list_synthetic_clips(count, config.n_clips, config.seed, names, with_others)


if __name__ == "__main__":
    run_script(main)
