"""Measure how much methods lose when onset, apex and offset are wrong.

    python measure_robustness.py --dataset casme2 --sheet CASME2-coding-20140508.xlsx \\
        --frames CASME2 --registered --results results/robustness
    python make_report.py results/robustness

Reads a raw dataset: its sheet and its frames. Moves key frames by this suite's own protocol (see
datasets/frames/key_frame_noise.py; not the published paper's), computes the methods' inputs anew
(maps, flow, frames), and scores every method leave-one-subject-out at its last epoch:

* test clips moved: onset, apex, offset or all of them, by a share of the phase or by frames;
* training and test clips moved: trained anew for every condition;
* no annotation: first frame, spotted apex, last frame.

--spotter-only measures the error of the spotted key frames instead, in frames and in percent of the
clip, beside what the middle frame gives as the apex, and writes a row a clip to spotter.csv.

Writes robustness.csv (a row for each figure), robustness_curves.csv (means, and what is lost
against the annotated key frames, with 95 % intervals), robustness_summary.csv (area under each
curve, level at which five points of UF1 are lost), key_frames.csv, and robustness.yaml (the
settings behind the tables). If it is stopped, the same command resumes; the bytes depend neither
on that nor on --workers.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pandas as pd
import yaml
from rich.console import Console

from common.bounds import read_whole
from common.command_line import parse_settings
from common.dataset_names import OWN_TABLE
from common.errors import UserError, name_list, run_script
from common.files import claim_folder, write_text
from common.yaml_files import read_yaml
from datasets import Inputs
from datasets.frames.build import InputSettings
from datasets.frames.flow import FlowMethod
from datasets.frames.key_frame_noise import FRAME_LEVELS, RELATIVE_LEVELS, NoisyFrames
from datasets.frames.key_frame_spotter import spot_apexes
from datasets.frames.noise_sweep import INPUTS, NoiseSweep, sweep_key_frames
from datasets.frames.spotter_error import error_summary, spot_clips
from datasets.inputs import count_doubles
from datasets.raw import (
    RawDataset,
    RawSource,
    Times,
    is_own_table,
    label_clips,
    read_raw_dataset,
)
from evaluation.metrics import confusion_stack, subject_numbers
from evaluation.predictions import (
    SYNTHETIC_NOTE,
    inputs_notes,
    source_of,
)
from evaluation.robustness import (
    CURVES_NAME,
    ROBUSTNESS_NAME,
    SETTINGS_NAME,
    SUMMARY_NAME,
    curve_points,
    curve_summary,
    losses,
    robustness_rows,
    without_levels,
)
from evaluation.tables import print_table
from models.method import Method, load_method
from models.pretrained import build_model
from training.configuration import Configuration
from training.executor import ExecutorSettings
from training.grid_run import GridSearch
from training.robustness import MethodBenchmark, Point, noise_points
from training.run_settings import grid_configurations, plan_search
from training.settings import RunSettings

MAKER = "measure_robustness.py"
MAPS_FOLDER = "maps"
"""What is computed from frames, below the results."""
KEY_FRAMES_NAME, SPOTTER_NAME = "key_frames.csv", "spotter.csv"
TABLES = (ROBUSTNESS_NAME, CURVES_NAME, SUMMARY_NAME, SETTINGS_NAME, KEY_FRAMES_NAME)
LISTS = ("methods", "moved", "levels", "frame_levels", "training_moved", "training_levels")
"""Settings whose values each are a part of the benchmark."""
CHECKED_BY_RUNS = ("sheet", "frames", "corrections", "set", "method_epochs", "epochs")
"""Settings that may be written in other ways, or that the folder of each method compares."""
GROWING = ("noise_seeds", "training_noise_seeds", "spotter")
"""Settings that add figures where they are higher."""


@dataclass(frozen=True)
class Config:
    """What to measure on what."""

    dataset: str | None = None
    """Whose sheet and folders these are: casme2, samm, smic, mmew or casme3; table: your own."""
    sheet: Path | None = None
    """The annotation sheet, .xlsx or .csv."""
    frames: Path | None = None
    """The folder of the frames, as the dataset comes."""
    registered: bool = False
    """Take the dataset's registered (cropped) frames as they are."""
    scheme: str | None = None
    """Label scheme. Default: the dataset's."""
    corrections: Path | None = None
    """Your own table of corrections."""
    name: str = OWN_TABLE
    """For table: the name of your dataset."""
    classes: tuple[str, ...] = ()
    """For table: the classes in their order. Default: every label."""
    times: Times = "frames"
    """For table: whether onset, apex and offset are numbers of frames or seconds."""
    flow: FlowMethod = "tvl1"
    """Optical flow method."""
    methods: tuple[str, ...] = (
        "majority",
        "linear",
        "ststnet",
        "au_kernel",
        "au_rule",
        "causalnet_compact",
    )
    """Methods to measure: names of the suite's, or your own method files."""
    set: tuple[str, ...] = ()
    """Settings of single methods, as METHOD.NAME=VALUE, such as htnet.block_repeats=[1,1,2]."""
    moved: tuple[NoisyFrames, ...] = get_args(NoisyFrames)
    """Key frames that move in test clips, each a curve."""
    levels: tuple[float, ...] = RELATIVE_LEVELS
    """Levels as shares of the phase."""
    frame_levels: tuple[float, ...] = FRAME_LEVELS
    """Levels in frames."""
    noise_seeds: int = 5
    """Noise seeds for test clips."""
    training_moved: tuple[NoisyFrames, ...] = ("all",)
    """Key frames that move in training and test clips; none: nothing is trained on moved or spotted
    ones."""
    training_levels: tuple[float, ...] = (0.1, 0.3)
    """Levels as shares of the phase; each is a training for every seed and method."""
    training_noise_seeds: int = 3
    """Noise seeds for training and test clips."""
    spotter: bool = True
    """Also measure without annotation, with key frames from the spotter."""
    spotter_only: bool = False
    """Measure nothing but the spotter's error."""
    boundaries: bool = False
    """With --spotter-only: also spot onset and offset, else they are the first and last frame."""
    epochs: int | None = None
    """Passes of every network over the training clips. Default: what the method's file says."""
    method_epochs: tuple[str, ...] = ()
    """Passes of single networks, as METHOD=NUMBER, such as htnet=20."""
    frame_size: int = 224
    """Side in pixels of the frames, where a method takes frames."""
    seed: int = 2025
    """Seed of the trainings."""
    threads: int = 1
    """CPU threads of a worker; the bytes of the results depend on it."""
    group_size: int = 6
    """Folds trained side by side; the bytes depend on it within float tolerance."""
    workers: int = 2
    """Processes."""
    allow_doubles: bool = False
    """Take clips of two subjects whose maps are the same; every result says so."""
    results: Path = Path("results/robustness")
    """Folder to write to."""

    def __post_init__(self) -> None:
        if not self.methods:
            raise UserError("methods is empty: give at least one.")
        for name in LISTS:
            # Levels as they stand in the names of runs.
            texts = [v if isinstance(v, str) else f"{v:g}" for v in getattr(self, name)]
            if len(set(texts)) < len(texts):
                raise UserError(f"{name} is {name_list(texts)}: give each once.")


def main() -> None:
    """Sweep, train, score, write."""
    config = parse_settings(Config, __doc__)
    if config.spotter_only:
        measure_spotter(config)
        return
    points, methods = benchmark_points(config), read_methods(config)
    with claim_folder(config.results, MAKER) as owned:
        owned.check(config.results / name for name in TABLES)
        check_earlier(config)
        inputs, sweep = read_clips(config, points, methods)
        too_short = int((sweep.key_frames["too_short"] != "").sum())
        print(
            f"{len(inputs.clips)} {'SYNTHETIC ' if inputs.synthetic else ''}clips, "
            f"{len(sweep.maps)} conditions; {too_short} times a clip was too short to be moved",
            flush=True,
        )
        if config.spotter:
            print(spotter_sentence(sweep.key_frames), flush=True)
        tables, stacks = [], []
        for own in methods:
            predicted = _benchmark(config, own, inputs, sweep).predictions(points)
            stacks.append(_confusions(inputs, predicted))
            tables.append(pd.DataFrame([{"model": own.name, **p.columns()} for p in points]))
        report(config.results, inputs, pd.concat(tables, ignore_index=True), np.concatenate(stacks))
        # With the tables: a run that is refused above leaves a finished folder as it was.
        source = {"source": source_of(inputs.synthetic)}
        _write(config.results / KEY_FRAMES_NAME, sweep.key_frames.assign(**source))
        write_text(config.results / SETTINGS_NAME, yaml.safe_dump(settings_record(config)))


def measure_spotter(config: Config) -> None:
    """Spot the key frames of every clip; print and write how far they are from the annotated."""
    raw = read_raw(config)
    settings = InputSettings(registered=config.registered)
    with claim_folder(config.results, MAKER) as owned:
        owned.check([config.results / SPOTTER_NAME])
        rows = spot_clips(raw.clips, settings, config.boundaries, config.workers)
        for row in rows[rows["problem"] != ""].itertuples():
            print(f"left out: {row.subject}/{row.clip}: {row.problem}")
        spotted = (rows["problem"] == "").sum()
        print(f"{'synthetic: ' if raw.synthetic else ''}{spotted} clips with an annotated apex")
        print(error_summary(rows).to_string(index=False, float_format="%.1f"))
        source = source_of(raw.synthetic)
        _write(config.results / SPOTTER_NAME, rows.assign(source=source))
    print(f"written: {config.results / 'spotter.csv'}")


def settings_record(config: Config) -> dict[str, object]:
    """What the tables are of: every setting that decides their bytes, as plain YAML types."""
    as_plain = {Path: str, tuple: list}
    record: dict[str, object] = {}
    for name, value in vars(config).items():
        if name not in ("workers", "results", "spotter_only", "boundaries"):
            kind = next((own for own in as_plain if isinstance(value, own)), None)
            record[name] = value if kind is None else as_plain[kind](value)
    return record


def check_earlier(config: Config) -> None:
    """Refuse to replace tables by others that do not hold what they hold.

    Raises:
        UserError: the tables there are of other clips or settings, or of more methods or levels.
    """
    path = config.results / SETTINGS_NAME
    earlier = read_yaml(path) if path.is_file() else {}
    different = []
    for name, new in settings_record(config).items():
        old = earlier.get(name, new)
        if name in LISTS and isinstance(old, list) and isinstance(new, list):
            lacks = [value for value in old if value not in new]
            different += [f"{name} is {name_list(old)} there, too"] if lacks else []
        elif name not in CHECKED_BY_RUNS and (new < old if name in GROWING else new != old):
            different.append(f"{name} is {old} there and {new} here")
    if different:
        raise UserError(
            f"{config.results} holds another benchmark: {'; '.join(different)}. Give another "
            "--results folder."
        )


def spotter_sentence(key_frames: pd.DataFrame) -> str:
    """How far the spotted apexes are from the annotated ones."""
    clip = ["dataset", "subject", "clip"]
    by_condition = {name: own.set_index(clip) for name, own in key_frames.groupby("condition")}
    annotated, spotted = by_condition["annotated"], by_condition["spotted"]
    frames = (spotted["apex"] - annotated["apex"]).abs()
    percent = 100 * (frames / (annotated["offset"] - annotated["onset"])).mean()
    return (
        f"the spotter's apex is {frames.mean():.1f} frames ({percent:.0f} % of the clip) from the "
        f"annotated one on average, {frames.median():.0f} in the median"
    )


def benchmark_points(config: Config) -> list[Point]:
    """Every figure that each method gets."""
    seeds, training_seeds = config.noise_seeds, config.training_noise_seeds
    points = [
        *noise_points("test", config.moved, config.levels, "relative", seeds),
        *noise_points("test", config.moved, config.frame_levels, "frames", seeds),
    ]
    if config.training_moved:
        points += noise_points(
            "training and test",
            config.training_moved,
            config.training_levels,
            "relative",
            training_seeds,
        )
    points += [Point("test", "annotated")]
    if config.spotter:
        points += [Point("test", "spotted")]
    if config.spotter and config.training_moved:
        points += [Point("training and test", "spotted")]
    return points


def read_raw(config: Config) -> RawDataset:
    """The raw dataset that the settings name.

    Raises:
        UserError: it is not fully named, or cannot be read.
    """
    own = config.dataset is not None and is_own_table(config.dataset)
    if config.dataset is None or config.sheet is None or (config.frames is None and not own):
        raise UserError("give --dataset, --sheet and --frames (a raw dataset; docs/datasets.md).")
    source = RawSource(
        config.dataset,
        config.sheet,
        config.frames,
        config.registered,
        config.corrections,
        name=config.name,
        classes=config.classes,
        times=config.times,
    )
    return read_raw_dataset(source)


@dataclass(frozen=True)
class MeasuredMethod:
    """A method with its settings."""

    method: Method
    settings: RunSettings

    @property
    def name(self) -> str:
        """Names its rows and its folder."""
        return self.method.name


def read_methods(config: Config) -> list[MeasuredMethod]:
    """The methods to measure, checked before any frame is read.

    Raises:
        UserError: an unknown method or setting, two methods of one name, a grid of several
            configurations, or an input that frames do not give.
    """
    methods = {source: load_method(source) for source in config.methods}
    names = [method.name for method in methods.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"two methods are called {name_list(twice)}: rename one of the files.")
    reserved = [name for name in names if name == MAPS_FOLDER]
    if reserved:
        raise UserError(f"a method called {MAPS_FOLDER} would share a folder: rename the file.")
    given = _by_method("set", config.set, ".", names)
    epochs = _by_method("method-epochs", config.method_epochs, "=", names)
    found = []
    for source, method in methods.items():
        own = _settings(config, source, method, given[method.name], epochs[method.name])
        _check_method(method, own)
        found.append(MeasuredMethod(method, own))
    return found


def _by_method(
    flag: str, texts: tuple[str, ...], between: str, names: list[str]
) -> dict[str, list[str]]:
    """What is given to each method, without its name."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for text in texts:
        name, _, rest = text.partition(between)
        if name not in found or not rest:
            raise UserError(
                f"--{flag} {text}: begin with a method and {between!r}; measured are "
                f"{name_list(names)}."
            )
        found[name].append(rest)
    return found


def _settings(
    config: Config, source: str, method: Method, given: list[str], epochs: list[str]
) -> RunSettings:
    try:
        numbers = [read_whole(text) for text in epochs]
    except UserError as error:
        raise UserError(f"--method-epochs {method.name}: {error}") from None
    wrong = [number for number in numbers if number < 1]
    if wrong or len(epochs) > 1 or (epochs and not method.trained):
        reason = "give one number of at least 1" if method.trained else "it is fitted at once"
        raise UserError(f"--method-epochs {method.name}={name_list(epochs)}: {reason}.")
    own = numbers[0] if epochs else config.epochs
    return RunSettings(
        method=source,
        set=tuple(given),
        epochs=own if method.trained else None,
        seed=config.seed,
        device="cpu",
        threads=config.threads,
        group_size=config.group_size,
    )


def _check_method(method: Method, settings: RunSettings) -> None:
    if method.input not in INPUTS:
        raise UserError(
            f"method {method.name} takes {method.input!r}, which a dataset's frames do not give "
            f"({name_list(INPUTS)} they do). Leave it out of --methods."
        )
    grid = grid_configurations(settings, method)
    if len(grid) > 1:
        searched = [key for key in grid[0].settings if _varies(grid, key)]
        raise UserError(
            f"method {method.name} has a grid of {len(grid)} configurations. Give one value of "
            f"{name_list(searched)}, such as --set {method.name}.{searched[0]}=VALUE."
        )


def _varies(grid: list[Configuration], key: str) -> bool:
    return any(own.settings[key] != grid[0].settings[key] for own in grid)


def read_clips(
    config: Config, points: list[Point], methods: list[MeasuredMethod]
) -> tuple[Inputs, NoiseSweep]:
    """The dataset's clips with their annotated maps, and their inputs under every condition.

    Raises:
        UserError: the dataset is not fully named, or cannot be read or swept.
    """
    raw = read_raw(config)
    scheme = raw.scheme(config.scheme)
    labelled = sorted(label_clips(raw.clips, scheme)[0], key=lambda item: item.clip.stem)
    _check_builds(methods, len(scheme.classes))
    conditions = list(dict.fromkeys(["annotated", *(point.maps_of for point in points)]))
    needed = sorted({"maps", *(own.method.input for own in methods)})
    print(f"computing {name_list(needed)} of {len(labelled)} clips", file=sys.stderr, flush=True)
    frame_size = config.frame_size if "frames" in needed else None
    settings = InputSettings(config.flow, registered=config.registered, frame_size=frame_size)
    sweep = sweep_key_frames(
        spot_apexes([item.clip for item in labelled], settings, config.workers),
        conditions,
        settings,
        config.results / MAPS_FOLDER,
        config.workers,
        needed,
    )
    clips = pd.DataFrame(
        {
            "dataset": [item.clip.dataset for item in labelled],
            "subject": [item.clip.subject for item in labelled],
            "clip": [item.clip.clip for item in labelled],
            "label": [item.label for item in labelled],
            "stem": [item.clip.stem for item in labelled],
        }
    )
    maps = sweep.maps["annotated"]
    doubles = count_doubles(config.frames or config.results, maps, clips, config.allow_doubles)
    flow_by = f"{config.flow} flow by OpenCV {cv2.__version__}"
    own = Inputs(
        maps,
        clips,
        config.results,
        raw.synthetic,
        scheme.classes,
        doubles=doubles,
        flow_by=flow_by,
    )
    return own, sweep


def _check_builds(methods: list[MeasuredMethod], classes: int) -> None:
    """Settings may name what is missing: that is refused before frames are read."""
    for own in methods:
        (configuration,) = grid_configurations(own.settings, own.method)
        build_model(own.method, configuration.settings, classes)


def _benchmark(
    config: Config, own: MeasuredMethod, inputs: Inputs, sweep: NoiseSweep
) -> MethodBenchmark:
    def search(swept: Inputs, results: Path, weights: Path | None) -> GridSearch:
        who = ExecutorSettings(workers=config.workers)
        return plan_search(own.settings, swept, results, weights, executor=who)

    return MethodBenchmark(inputs, sweep, search, config.results / own.name)


def _confusions(inputs: Inputs, predicted: np.ndarray) -> np.ndarray:
    subjects = subject_numbers(inputs.clips)
    shape = int(subjects.max()) + 1, len(inputs.class_names)
    return confusion_stack(subjects, inputs.clips["label"].to_numpy(), predicted, shape)


def report(folder: Path, inputs: Inputs, points: pd.DataFrame, confusions: np.ndarray) -> None:
    """Write the three tables; print the last, and the figures with and without annotation."""
    said = {"source": source_of(inputs.synthetic)}
    if inputs.doubles:
        said["note"] = "; ".join(inputs_notes(inputs.doubles))
    curves = curve_points(points, confusions)
    summary = curve_summary(curves)
    _write(folder / ROBUSTNESS_NAME, robustness_rows(points, confusions).assign(**said))
    _write(folder / CURVES_NAME, curves.assign(**said))
    _write(folder / SUMMARY_NAME, summary.assign(**said))
    notes = [SYNTHETIC_NOTE] if inputs.synthetic else []
    notes += inputs_notes(inputs.doubles)
    note = f" ({'; '.join(notes)})" if notes else ""
    print(f"UF1 under key-frame noise{note}")
    if inputs.flow_by is not None:
        print(f"inputs: {inputs.flow_by}")
    print(summary.to_string(index=False, float_format="%.3f"))
    title = f"UF1 with key frames as annotated and as spotted{note}"
    bounds = "[low, high]: 95 % interval, bootstrap over subjects."
    print_table(Console(), without_levels(curves), title, bounds)
    print(f"UF1 lost against the annotated key frames, by level, with 95 % intervals{note}")
    print(losses(curves).to_string(index=False))
    print(f"written: {folder}")


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


if __name__ == "__main__":
    run_script(main)
