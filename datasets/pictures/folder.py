"""Pictures of a whole folder of inputs: a contact sheet a clip, an overview page a dataset."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.files import write_bytes
from common.process_pool import run_jobs
from datasets.arrays import PHASES, flow_path
from datasets.frames.build import (
    ClipJob,
    InputSettings,
    compute_clip,
    make_job,
    overview_path,
    phase_flow,
    picture_path,
    place_face,
    without_margin,
)
from datasets.frames.key_frame_noise import KEY_FRAMES
from datasets.frames.reading import read_frame, read_frames
from datasets.pictures.clip import (
    ClipPicture,
    draw_animation,
    draw_contact_sheet,
    draw_overview,
    overview_tile,
    read_made_from,
)
from datasets.raw import LabelledClip, LabelScheme, RawClip
from datasets.raw.action_units import format_action_units

# An animation shows at most so many frames, evenly spaced.
MOST_FRAMES = 60


@dataclass(frozen=True)
class PictureJob:
    """One clip to draw: its frames, its titles, and whether a contact sheet is wanted."""

    job: ClipJob
    numbers: tuple[int, int, int]
    title: str
    subtitle: str
    caption: str
    synthetic: bool
    wants_sheet: bool = True

    @property
    def made_from(self) -> str:
        """SHA-256 over all that a sheet shows; a picture made from another one is out of date."""
        shown = (self.job.content, self.numbers, self.title, self.subtitle)
        return hashlib.sha256(json.dumps(shown).encode("utf-8")).hexdigest()


def plan_pictures(
    out: Path,
    clips: Sequence[LabelledClip],
    settings: InputSettings,
    scheme: LabelScheme,
) -> list[PictureJob]:
    """The clips to draw: none where all pictures are up to date, else all, for the overview.

    Args:
        out: the folder of inputs, where the clips are built.
        clips: the dataset's clips.
        settings: how they were built.
        scheme: names the classes.
    """
    jobs = []
    for item in clips:
        job = make_job(item.clip, settings)
        drawn = _picture_job(item.clip, job, scheme.classes[item.label], settings)
        old = read_made_from(picture_path(out, job.stem))
        jobs.append(replace(drawn, wants_sheet=old != drawn.made_from))
    overview = overview_path(out, clips[0].clip.dataset)
    return jobs if not overview.is_file() or any(job.wants_sheet for job in jobs) else []


def write_pictures(
    out: Path, dataset: str, jobs: Sequence[PictureJob], settings: InputSettings, workers: int
) -> Iterator[str]:
    """Draw; yields each clip's stem when its sheet is drawn. The overview comes last.

    The bytes do not depend on the number of workers.
    """
    tiles = {}
    draw = partial(_draw, out=out, settings=settings)
    for stem, tile in run_jobs(draw, jobs, workers):
        tiles[stem] = tile
        yield stem
    if jobs:
        captioned = [(job.caption, tiles[job.job.stem]) for job in jobs]
        title = f"SYNTHETIC {dataset}" if any(job.synthetic for job in jobs) else dataset
        write_bytes(overview_path(out, dataset), draw_overview(title, captioned))


def write_clip_pictures(
    out: Path, clip: RawClip, settings: InputSettings, scheme: LabelScheme
) -> Iterator[Path]:
    """Draw one clip from its frames: a contact sheet, then an animation of its flow.

    Yields:
        The files written below ``out``: <stem>.png and <stem>.gif.

    Raises:
        FrameError: a frame cannot be used, or no face is found.
    """
    class_name = scheme.emotions[clip.dataset].get(clip.emotion, "none")
    job = _picture_job(clip, make_job(clip, settings), class_name, settings)
    computed = compute_clip(job.job.frames, settings)
    shown = ClipPicture(job.title, job.subtitle, computed.frames, job.numbers, computed.flows)
    animation = _draw_animation(clip, job.title, computed.transform, settings)
    for ending, content in (("png", draw_contact_sheet(shown)), ("gif", animation)):
        path = out / f"{clip.stem}.{ending}"
        write_bytes(path, content)
        yield path


def _draw_animation(
    clip: RawClip, title: str, transform: NDArray[np.float64], settings: InputSettings
) -> bytes:
    """A clip from onset to offset beside its flow from the onset; a GIF's bytes."""
    inside = [n for n in clip.frame_numbers if clip.onset <= n <= clip.offset]
    indices = np.unique(np.linspace(0, len(inside) - 1, MOST_FRAMES).round().astype(int))
    shown = sorted({*(inside[index] for index in indices), clip.apex})
    squares = [
        place_face(read_frame(clip.frame_path(n)).pixels, transform, settings) for n in shown
    ]
    names = {clip.onset: " (onset)", clip.offset: " (offset)", clip.apex: " (apex)"}
    captions = [f"frame {number}{names.get(number, '')}" for number in shown]
    flows = [phase_flow(squares[0], square, settings) for square in squares]
    frames = [without_margin(square, settings) for square in squares]
    return draw_animation(title, frames, captions, flows)


def _picture_job(
    clip: RawClip, job: ClipJob, class_name: str, settings: InputSettings
) -> PictureJob:
    units = format_action_units(clip.action_units)
    parts = [
        f"class {class_name}",
        f"emotion {clip.emotion}",
        f"action units {units}" if units else "",
        "apex: middle frame" if clip.apex_source == "middle" else "",
        "apex: spotted" if clip.apex_source == "spotted" else "",
        f"{settings.flow} flow at {settings.size} x {settings.size}",
        "mean flow removed" if settings.remove_mean_flow else "",
    ]
    synthetic = "SYNTHETIC " if clip.synthetic else ""
    return PictureJob(
        job,
        (clip.onset, clip.apex, clip.offset),
        f"{synthetic}{clip.dataset} {clip.subject}/{clip.clip}",
        ", ".join(filter(None, parts)),
        f"{clip.subject}/{clip.clip} {class_name}",
        clip.synthetic,
    )


def _draw(picture: PictureJob, out: Path, settings: InputSettings) -> tuple[str, NDArray[np.uint8]]:
    """Draw one built clip from its frames and its stored flow; its stem and overview tile."""
    job = picture.job
    with np.load(flow_path(out, job.stem)) as stored:
        transform = stored["transform"]
        flows = np.stack([stored[phase] for phase in PHASES]).astype(np.float32)
    read = read_frames({name: job.frames[name] for name in KEY_FRAMES})
    squares = [place_face(read[name], transform, settings) for name in KEY_FRAMES]
    frames = np.stack([without_margin(square, settings) for square in squares])
    if picture.wants_sheet:
        sheet = ClipPicture(picture.title, picture.subtitle, frames, picture.numbers, flows)
        content = draw_contact_sheet(sheet, picture.made_from)
        write_bytes(picture_path(out, job.stem), content)
    return job.stem, overview_tile(frames[1], flows[0])
