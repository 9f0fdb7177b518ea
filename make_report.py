"""Make a web page, with pictures, of a folder of results.

    python make_report.py results/one

Reads what the grid search, eval.py or the published code left in the folder, and robustness.csv
where measure_robustness.py left one. Writes report.html, one file that needs no other and no
network, and pictures/*.png and *.svg, below --out (default: report, inside the folder).
"""

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro

import main_train_for_parameter_tuning as grid_script
from common.errors import UserError, name_list, run_script
from evaluation.fold_logits import FoldIdentity, read_fold
from evaluation.report.contents import Contents, read_contents
from evaluation.report.grid import parameters_of
from evaluation.report.page import write_page
from evaluation.report.sections import build_page
from training.configuration import fold_seed
from training.presets import get_preset
from training.run_record import CONFIGURATIONS, FILE_NAME, read_record

MOST_DETAILED = 4
"""Configurations that get a section of their own when none is named."""
RUN_FLAGS = (
    "preset",
    "protocol",
    "inner",
    "label_shuffle",
    "seed",
    "device",
    "threads",
    "group_size",
)
TRAINING_FLAGS = ("epochs", "learning_rate", "batch_size", "schedule", "precision")
"""Names of a run's record that are flags of the grid search too."""
GRID_SETTINGS = {
    "layer1": ("layer1", int),
    "layer2": ("layer2", int),
    "layer3": ("layer3", int),
    "gamma": ("gammas", float),
}
"""Names in a configuration's label -> settings of the grid search and their types."""


@dataclass(frozen=True)
class Config:
    """What to report on."""

    folder: tyro.conf.Positional[Path]
    """Folder of a run, of one configuration, or of any result files."""
    out: Path | None = None
    """Folder to write to."""
    configurations: tuple[str, ...] = ()
    """Folder names of the configurations that get a section of their own; default: all, if there
    are at most four, else the first four. Every configuration is in the table."""


def main() -> None:
    """Wire the packages together."""
    config = tyro.cli(Config, description=__doc__)
    run, record = _find_record(config.folder)
    contents = read_contents(config.folder, record, epoch_predictions)
    detailed = _detailed(contents, config.configurations)
    lines = [
        *training_commands(run, record),
        *robustness_commands(config.folder, contents.robustness_settings),
        *reading_commands(config, detailed),
    ]
    out = config.folder / "report" if config.out is None else config.out
    print(f"written: {write_page(build_page(contents, lines, detailed), out)}")


def _find_record(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The run's folder and record: the folder itself, or one above of whose configurations it is.

    A configuration's folder lies below the run's, that of one epoch rule below the configuration's.
    """
    own = read_record(folder)
    if own is not None:
        return folder, own
    for configuration in (folder, folder.parent):
        above = read_record(configuration.parent) or {}
        if configuration.name in above.get(CONFIGURATIONS, {}):
            return configuration.parent, above
    return folder, {}


def _detailed(contents: Contents, names: tuple[str, ...]) -> list[str]:
    known = [configuration.name for configuration in contents.configurations]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(
            f"--configurations {name_list(unknown)}: not among the results. There are: "
            f"{name_list(known)}."
        )
    return list(names) or known[:MOST_DETAILED]


def epoch_predictions(folder: Path, rows: pd.DataFrame) -> np.ndarray | None:
    """The class predicted for every row at every epoch, from a configuration's stored folds.

    Returns:
        int [epochs, rows]; None unless every fold of the rows is stored, and where rows do not tell
        their fold, seed and configuration.

    Raises:
        UserError: a stored fold is damaged or is not of these rows.
    """
    needed = ["fold", "seed", "configuration"]
    if not set(needed) <= set(rows) or rows[needed].isna().any(axis=None):
        return None
    if not pd.api.types.is_integer_dtype(rows["seed"]):
        return None
    parts = []
    for name, part in rows.groupby("fold"):
        first = part.iloc[0]
        # A fold that leaves a whole dataset out is named after it, and no subject is its own.
        subject = "" if name == first["dataset"] else first["subject"]
        identity = FoldIdentity(
            dataset=first["dataset"],
            name=str(name),
            subjects=part["subject"].tolist(),
            clips=part["clip"].tolist(),
            labels=part["true"].tolist(),
            seed=fold_seed(int(first["seed"]), first["dataset"], subject),
            configuration=first["configuration"],
        )
        stored = read_fold(folder, identity)
        if stored is None:
            return None
        parts.append(pd.DataFrame(stored.logits.argmax(axis=2), columns=part.index))
    return pd.concat(parts, axis=1)[rows.index].to_numpy()


def training_commands(run: Path, record: dict[str, Any]) -> list[str]:
    """Shell lines that repeat a run below its folder; none without a record."""
    start = "python main_train_for_parameter_tuning.py --inputs INPUTS"
    folder = shlex.quote(str(run))
    return [f"{start} {flags} --results {folder}" for flags in training_flags(record)]


def reading_commands(config: Config, detailed: list[str]) -> list[str]:
    """Shell lines that print the figures of the detailed configurations and make the page."""
    places = [config.folder / name for name in detailed]
    if len(places) == 1 and not places[0].is_dir():
        places = [config.folder]
    lines = [["calculate_all_results.py", str(place)] for place in places]
    named = ["--configurations", *config.configurations] if config.configurations else []
    lines.append(["make_report.py", str(config.folder), *named])
    return [shlex.join(["python", *line]) for line in lines]


def robustness_commands(folder: Path, settings: dict[str, Any] | None) -> list[str]:
    """The shell line that repeats ``measure_robustness.py`` into the folder, if it wrote it."""
    if settings is None:
        return []
    words = ["python", "measure_robustness.py"]
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", *map(str, value if isinstance(value, list) else [value])]
    return [shlex.join([*words, "--results", str(folder)])]


def training_flags(record: dict[str, Any]) -> list[str]:
    """The flags of the grid search that give a recorded run: a line for each ablation.

    Configurations that are no whole grid get a line each. The grid search does not move key
    frames: a run that is of moved ones has no line.
    """
    if "preset" not in record or record.get("key_frames") is not None:
        return []
    settings = {name: record[name] for name in RUN_FLAGS if record.get(name) is not None}
    training = record.get("training") or {}
    settings |= {name: training[name] for name in TRAINING_FLAGS if name in training}
    usual = asdict(get_preset(record["preset"]).preparation)
    for name, value in record.get("preparation", {}).items():
        if name in usual and value != usual[name]:
            # Given by value, also where it is True or False.
            settings[name] = str(value)
    labels: dict[str, dict[str, str]] = {}
    for name, label in record.get(CONFIGURATIONS, {}).items():
        labels.setdefault(parameters_of(label).get("ablation", "none"), {})[name] = label
    lines = []
    for ablation, group in labels.items():
        own = settings if ablation == "none" else {**settings, "ablation": ablation}
        lines += [_as_flags({**own, **grid}) for grid in _grids(own, group)]
    return lines


def _grids(settings: dict[str, Any], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Settings of the grid that give these configurations: none, one set, or a set for each."""
    points = [parameters_of(label) for label in labels.values()]
    for candidate in ({}, _grid_settings(points)):
        config = grid_script.Config(**settings, **candidate)
        grid = grid_script.configurations(config, get_preset(config.preset))
        if [configuration.name for configuration in grid] == list(labels):
            return [candidate]
    return [_grid_settings([point]) for point in points]


def _grid_settings(points: list[dict[str, str]]) -> dict[str, Any]:
    """The values that configurations name, for the settings of the grid search.

    Raises:
        UserError: a value is no number.
    """
    settings = {}
    for name, (setting, kind) in GRID_SETTINGS.items():
        if all(name in point for point in points):
            try:
                values = [kind(point[name]) for point in points]
            except ValueError as error:
                raise UserError(
                    f"a configuration in {FILE_NAME} has a {name} that is no number: {error}. "
                    "Correct its label there."
                ) from error
            settings[setting] = tuple(dict.fromkeys(values))
    return settings


def _as_flags(settings: dict[str, Any]) -> str:
    """Settings as they are typed; what is off is left out."""
    parts = []
    for name, value in settings.items():
        values = value if isinstance(value, tuple) else () if value is True else (value,)
        parts += [f"--{name.replace('_', '-')}", *map(str, values)] if value is not False else []
    return shlex.join(parts)


if __name__ == "__main__":
    run_script(main)
