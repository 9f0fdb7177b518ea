"""How long building inputs takes compared with the bare optical flow, and what workers and reruns
save.

    python -m benchmarks.build_inputs

Draws synthetic clips as registered CASME II frames of that set's usual size, then measures in turn:
bare TV-L1 on frames in memory, the whole build with one worker and with two, a rerun with nothing
changed; and the memory that a build of few and of many clips needs. Prints one JSON object as its
last line.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from PIL import Image

from datasets.raw import RawSource, read_raw_dataset
from datasets.synthetic.raw_datasets import write_raw_datasets
from datasets.synthetic.sheets import FORMATS
from datasets.synthetic.specs import ClipSpec, list_synthetic_clips

ROOT = Path(__file__).parent.parent
# Width and height of CASME II's registered frames, about.
CROPPED_SIZE = (280, 340)


@dataclass(frozen=True)
class Config:
    """How much to measure."""

    n_subjects: int = 18
    """Drawn subjects, of eight clips each; 18 make about as many clips as CASME II has."""
    repetitions: int = 3
    """How often each is timed; medians are reported."""
    few: int = 43
    """Clips of the smaller build whose memory is measured."""
    many: int = 860
    """Clips of the larger one."""


def main() -> None:
    """Measure and print."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = {**_speed(Path(folder) / "speed", config), **_memory(Path(folder), config)}
    print(json.dumps(figures))


def _speed(folder: Path, config: Config) -> dict[str, float]:
    """Median seconds, and medians of the ratios within a repetition."""
    specs = list_synthetic_clips(config.n_subjects, 8, datasets=("casme2",))
    sheet = _write_frames(folder, specs)
    for path in folder.rglob("*.jpg"):
        Image.open(path).resize(CROPPED_SIZE, Image.Resampling.BICUBIC).save(path, quality=95)
    clips = _clips_in_memory(sheet)
    times = [_one_repetition(sheet, clips) for _ in range(config.repetitions)]
    ratios = [
        {
            "build_over_bare": seconds["one_worker"] / seconds["bare"],
            "two_workers_gain": seconds["one_worker"] / seconds["two_workers"],
            "rerun_over_first": seconds["rerun"] / seconds["one_worker"],
        }
        for seconds in times
    ]
    return {"clips": len(clips), **_medians(times, "_seconds"), **_medians(ratios)}


def _write_frames(folder: Path, specs: list[ClipSpec]) -> Path:
    """Write clips of one dataset as registered frames; the sheet, which lies beside them."""
    for _ in write_raw_datasets(folder, specs, "registered"):
        pass
    dataset = specs[0].dataset
    return folder / dataset / FORMATS[dataset].file_name


def _one_repetition(sheet: Path, clips: list[list[np.ndarray]]) -> dict[str, float]:
    """Seconds of each, one after the other."""
    frames = sheet.parent
    one, two = frames / "out_one", frames / "out_two"
    for out in (one, two):
        shutil.rmtree(out, ignore_errors=True)
    ways: dict[str, Callable[[], None]] = {
        "bare": lambda: _bare_flow(clips),
        "one_worker": lambda: _build(sheet, frames, one, 1),
        "rerun": lambda: _build(sheet, frames, one, 1),
        "two_workers": lambda: _build(sheet, frames, two, 2),
    }
    seconds = {name: _timed(way) for name, way in ways.items()}
    print({name: round(value, 2) for name, value in seconds.items()}, flush=True)
    return seconds


def _medians(rows: list[dict[str, float]], suffix: str = "") -> dict[str, float]:
    return {
        name + suffix: round(statistics.median(row[name] for row in rows), 4) for name in rows[0]
    }


def _clips_in_memory(sheet: Path) -> list[list[np.ndarray]]:
    """Onset, apex and offset of every clip as the build would see them."""
    raw = read_raw_dataset(RawSource("casme2", sheet, sheet.parent, registered=True))
    clips = []
    for clip in raw.clips:
        paths = [clip.frame_path(number) for number in (clip.onset, clip.apex, clip.offset)]
        frames_read = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
        clips.append([cv2.resize(f, (128, 128), interpolation=cv2.INTER_AREA) for f in frames_read])
    return clips


def _bare_flow(clips: list[list[np.ndarray]]) -> None:
    """What nobody can do without: two TV-L1 flows a clip."""
    method = cv2.optflow.DualTVL1OpticalFlow.create()
    for onset, apex, offset in clips:
        method.calc(onset, apex, None)
        method.calc(apex, offset, None)


def _build(sheet: Path, frames: Path, out: Path, workers: int) -> None:
    """The script as a user runs it, from its start to its end."""
    arguments = ["--dataset", "casme2", "--sheet", sheet, "--frames", frames, "--out", out]
    _run([*arguments, "--registered", "--workers", workers])


def _run(arguments: list[object]) -> float:
    """Run the script; its largest resident memory in megabytes, of its own process."""
    script = [sys.executable, str(ROOT / "build_inputs.py"), *map(str, arguments)]
    process = subprocess.Popen(script, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"{script} failed")
    return usage.ru_maxrss / 1024


def _timed(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _memory(folder: Path, config: Config) -> dict[str, float]:
    """The memory of one process that builds few clips, then of one that builds many."""
    megabytes = {}
    for name, count in (("few", config.few), ("many", config.many)):
        specs = list_synthetic_clips(99, 10, datasets=("casme3",))[:count]
        sheet = _write_frames(folder / name, specs)
        frames = sheet.parent / "registered"
        arguments = ["--dataset", "casme3", "--sheet", sheet, "--frames", frames]
        flags = ["--out", folder / f"out_{name}", "--registered", "--flow", "dis", "--workers", 1]
        megabytes[f"{name}_clips_megabytes"] = round(_run([*arguments, *flags]), 1)
    return megabytes


if __name__ == "__main__":
    main()
