"""How many planted movements are spotted, how many of them classified right, and how fast.

    python -m benchmarks.planted_spotting --keep results/planted

Draws videos of synthetic faces (half of them without expressions) or, with --base, warps movements
into the frames of real videos; writes them as MP4, analyses them from the file as predict_video.py
does, and compares with what was planted. Prints what happened to every kind of event, and one JSON
object as its last line. Seconds are of this machine, on as many cores as OpenCV takes.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import tyro

from common.errors import UserError, run_script
from common.files import write_text
from datasets.frames.registration import Landmarks, find_face
from datasets.video.analysis import Analysis, analyse, verdict
from datasets.video.decode import Video, open_video, write_video
from datasets.video.face import FACE_SIZE, FaceFollower
from datasets.video.planted import (
    EXPRESSIONS,
    Kind,
    PlantedEvent,
    draw_planted,
    plan_events,
    plant_in_frames,
    truth_csv,
)
from evaluation.spotting import Interval, match_intervals, spotting_figures
from training.movement_reader import SHIPPED, Reader, load_reader

KINDS: tuple[Kind, ...] = get_args(Kind)
NOTHING = "nothing"


@dataclass(frozen=True)
class Config:
    """What to plant."""

    videos: int = 10
    """How many; every second one has no expressions."""
    seconds: float = 30.0
    """Length of each."""
    rate: float = 30.0
    """Frames a second."""
    seed: int = 2
    """Other faces and other events; the spotter's constants were set on videos of seed 1."""
    base: tuple[str, ...] = ()
    """Real frames to warp, as VIDEO:FIRST:LAST (frame numbers of a calm face); used in turn."""
    weights: Path = SHIPPED
    """Folder of weights that classify."""
    landmarks: Landmarks = 5
    """Landmark model that registers the face."""
    keep: Path | None = None
    """Folder that keeps the videos and a CSV of what was planted in each."""


@dataclass
class Measured:
    """What is collected over the videos: intervals of expressions, fates of events, seconds."""

    true: dict[str, list[Interval]] = field(default_factory=dict)
    spotted: dict[str, list[Interval]] = field(default_factory=dict)
    fates: Counter[tuple[str, str]] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)


def main() -> None:
    """Plant, analyse, compare, print."""
    config = tyro.cli(Config, description=__doc__)
    measured, reader = Measured(), load_reader(config.weights)
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(config.videos):
            _measure(config, config.keep or Path(temporary), number, reader, measured)
    columns = [*KINDS, NOTHING]
    print("planted \\ spotted as", *columns, sep="\t")
    for kind in columns:
        print(kind, *(measured.fates[kind, column] for column in columns), sep="\t")
    print(json.dumps(_figures(config, measured)))


def _measure(config: Config, folder: Path, number: int, reader: Reader, measured: Measured) -> None:
    """Plant one video, analyse it, and add what came out."""
    name = f"planted_{number + 1}"
    with_expressions = number // max(1, len(config.base)) % 2 == 0
    events = plan_events(config.seconds, with_expressions, config.seed, name)
    path = _write(config, folder, name, events, number)
    analysis = _timed(open_video(path), config.landmarks, measured.spent)
    planted = _intervals(events, analysis)
    kinds = [event.spotted.kind for event in analysis.events]
    labels = _told_labels(analysis, reader)
    spans = [(e.spotted.onset, e.spotted.offset) for e in analysis.events]
    found = [Interval(*span, label) for span, label in zip(spans, labels, strict=True)]
    measured.fates += _fates([event.kind for event in events], planted, kinds, found)
    pairs = zip(planted, events, strict=True)
    measured.true[name] = [interval for interval, e in pairs if e.kind in EXPRESSIONS]
    both = zip(found, kinds, strict=True)
    measured.spotted[name] = [interval for interval, kind in both if kind in EXPRESSIONS]


def _told_labels(analysis: Analysis, reader: Reader) -> list[int | None]:
    """The class that is told of each movement; None where none is."""
    if reader.classify is None or not analysis.events:
        return [None] * len(analysis.events)
    told = reader.classify([event.clip for event in analysis.events])
    words = [
        verdict(event.spotted, told.classes, scores)
        for event, scores in zip(analysis.events, told.scores, strict=True)
    ]
    return [told.classes.index(word) if word in told.classes else None for word in words]


def _figures(config: Config, measured: Measured) -> dict[str, Any]:
    figures = spotting_figures(measured.true, measured.spotted)
    empty = [name for name, intervals in measured.true.items() if not intervals]
    seconds = config.videos * config.seconds
    return {
        "planted": "real frames, warped" if config.base else "synthetic",
        "videos": config.videos,
        "expressions": figures.true,
        "expressions_found": figures.hits,
        "of_these_told": sum(told is not None for _, told in figures.pairs),
        "of_these_right": sum(true == told for true, told in figures.pairs),
        "strs": round(figures.strs, 3),
        "f1": round(figures.f1, 3),
        "precision": round(figures.precision, 3),
        "recall": round(figures.recall, 3),
        "false_alarms_a_minute": round((figures.spotted - figures.hits) / seconds * 60, 2),
        "empty_videos": len(empty),
        "false_alarms_in_empty_videos": sum(len(measured.spotted[name]) for name in empty),
        "seconds_for_a_second_of_video": {
            what: round(value / seconds, 3) for what, value in measured.spent.items()
        },
    }


def _write(
    config: Config, folder: Path, name: str, events: list[PlantedEvent], number: int
) -> Path:
    """Write the video and what was planted in it."""
    path = folder / f"{name}.mp4"
    if config.base:
        video, first, last = _parse_base(config.base[number % len(config.base)])
        frames = [f.grey for f in open_video(video).frames() if first <= f.number <= last]
        transform = find_face(frames[0], FACE_SIZE, config.landmarks)
        made = plant_in_frames(frames, transform, events, config.seconds, config.rate)
    else:
        made = draw_planted(events, config.seconds, config.rate, config.seed, name)
    write_video(path, made, synthetic=True)
    write_text(folder / f"{name}.csv", truth_csv(events))
    return path


def _parse_base(text: str) -> tuple[Path, int, int]:
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not all(part.isdigit() for part in parts[1:]):
        raise UserError(f"base {text!r}: give VIDEO:FIRST:LAST, such as face.mp4:4:11.")
    return Path(parts[0]), int(parts[1]), int(parts[2])


def _timed(video: Video, landmarks: Landmarks, spent: Counter[str]) -> Analysis:
    """Analyse; add to ``spent`` the seconds of decoding, of finding the face, of everything."""
    started = time.perf_counter()
    for _ in video.frames():
        pass
    decoded = time.perf_counter()
    for _ in FaceFollower(landmarks).follow(video.frames()):
        pass
    followed = time.perf_counter()
    analysis = analyse(video, landmarks=landmarks)
    spent.update({"decoding": decoded - started})
    spent.update({"decoding_and_detection": followed - decoded})
    spent.update({"everything": time.perf_counter() - followed})
    return analysis


def _intervals(events: list[PlantedEvent], analysis: Analysis) -> list[Interval]:
    motion = analysis.motion

    def frame(seconds: float) -> int:
        return int(motion.numbers[abs(motion.seconds - seconds).argmin()])

    return [
        Interval(frame(event.onset), frame(event.offset), event.label if event.label >= 0 else None)
        for event in events
    ]


def _fates(
    true: Sequence[str],
    planted: list[Interval],
    kinds: Sequence[str],
    found: list[Interval],
) -> Counter[tuple[str, str]]:
    """How often each planted kind was spotted as each kind."""
    pairs = match_intervals(planted, found)
    hit, used = {a for a, _ in pairs}, {b for _, b in pairs}
    fates = Counter((true[a], kinds[b]) for a, b in pairs)
    fates.update((kind, NOTHING) for n, kind in enumerate(true) if n not in hit)
    fates.update((NOTHING, kind) for n, kind in enumerate(kinds) if n not in used)
    return fates


if __name__ == "__main__":
    run_script(main)
