"""Train and score CausalNet, or a baseline, leave-one-subject-out over a grid of configurations.

    python main_train_for_parameter_tuning.py --inputs DIR --preset compact --results results/one

Reads a folder of motion maps (the released samples, or what build_inputs.py and
make_synthetic.py write). Writes, below --results, a folder per configuration with
<subject>_acc.txt, predictions.csv, CausalNet.xlsx and confusion_matrix.png for the epoch rule
"last", the same for every other rule in a subfolder, and one line per configuration and rule in
result_summary.txt. Killed or stopped, the same command goes on where it was.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from common.class_names import CLASS_NAMES
from common.command_line import parse_settings
from common.errors import UserError, name_list, run_script
from datasets import Inputs, Protocol, read_inputs, shuffle_labels
from models.causalnet.causalnet import Ablation
from training.configuration import Configuration, TrainingSettings
from training.cost import Cost
from training.device import pick_device
from training.executors.base import ExecutorSettings
from training.grid_run import GridSearch, run_grid
from training.precision import Precision, check_precision
from training.presets import Preset, get_preset
from training.run_record import Run, read_record

INTERRUPTED = 130
ONE_DAY_SECONDS = 24 * 3600
PREPARATION_STEPS = ("mirror", "shift", "regions", "center", "strain", "scale")


@dataclass(frozen=True)
class Config:
    """Settings of a grid search; what is not given comes from the preset."""

    inputs: Path | None = None
    """Folder of motion maps."""
    preset: Literal["published", "compact", "ststnet", "linear", "majority"] = "published"
    """Model, preparation of the maps, training settings and grid."""
    protocol: Protocol = "composite"
    """Train on all other subjects; on those of the same dataset; or leave whole datasets out."""
    ablation: Ablation = "none"
    """Leave a part of CausalNet out."""
    inner: bool = False
    """Train every fold without validation subjects too, and choose the epoch on them: the rules
    inner and inner_refit. Takes up to twice the time."""
    label_shuffle: int | None = None
    """Null check: permute the labels within datasets with this seed before anything else."""
    mirror: bool | None = None
    """Training clips are also seen mirrored, with the sign of u changed."""
    shift: int | None = None
    """Training clips are also seen moved by up to this many pixels."""
    regions: bool | None = None
    """The four published blocks of each map, tiled; else the whole map."""
    center: bool | None = None
    """u and v relative to their median over the map."""
    strain: bool | None = None
    """The flow maps keep their strain channel."""
    scale: float | None = None
    """All values are multiplied by this."""
    gammas: tuple[float, ...] | None = None
    """Values of gamma in the grid."""
    layer1: tuple[int, ...] | None = None
    """Encoder layers in the first stage."""
    layer2: tuple[int, ...] | None = None
    """Encoder layers in the second stage."""
    layer3: tuple[int, ...] | None = None
    """Encoder layers in the third stage, and cross layers."""
    subjects: tuple[str, ...] = ()
    """Run only these subjects' folds; each still trains on all other subjects."""
    epochs: int | None = None
    """Passes over the training clips."""
    learning_rate: float | None = None
    """Step size; the highest one of the schedule."""
    batch_size: int | None = None
    """Clips in an optimizer step."""
    precision: Precision | None = None
    """Arithmetic of the training steps; tf32 and bf16 are faster on GPUs and not the same bits."""
    schedule: Literal["constant", "one_cycle"] | None = None
    """How the step size changes over the training."""
    seed: int = 2025
    """Seed of the run; every fold draws its own from it, its dataset and its subject."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    threads: int | None = None
    """CPU threads of a worker; the bytes of the results depend on it. Default: as recorded, else
    all cores, shared by the local workers."""
    group_size: int | None = None
    """Folds trained side by side as stacked weights. Default: as recorded, else 1."""
    results: Path = Path("results")
    """Folder of this run."""
    save_weights: bool = False
    """Keep each fold's weights of the last epoch, below --weights."""
    weights: Path = Path("weights")
    """Folder for weights."""
    executor: Literal["local", "ray"] = "local"
    """Who trains: this machine or a Ray cluster (docs/scale.md). Changes no byte of the results."""
    workers: int | None = None
    """Local worker processes. Default: one a GPU where there are several, else this process."""
    ray_address: str | None = None
    """Ray cluster to train on. Default: $RAY_ADDRESS, else one on this machine."""
    cpus_per_task: float | None = None
    """CPU cores that Ray keeps for a group of folds. Default: --threads."""
    gpus_per_task: float = 0.0
    """GPUs, or part of one, that Ray keeps for a group of folds; above 0, --device is cuda."""
    yes: bool = False
    """Start although the run takes longer than a day."""


def resolve_run(config: Config, inputs: Inputs) -> Run:
    """Everything that decides the bytes of the results: flags over the record over the preset."""
    preset = get_preset(config.preset)
    recorded = read_record(config.results) or {}
    device = _device(config)
    training = training_settings(config, preset)
    if training is not None:
        check_precision(training.precision, device)
    threads, group_size = (
        recorded.get(name) if getattr(config, name) is None else getattr(config, name)
        for name in ("threads", "group_size")
    )
    if threads is None:
        threads = _default_threads(config, device)
    return Run(
        inputs_sha256=inputs.sha256,
        synthetic=inputs.synthetic,
        clips=len(inputs.clips),
        subjects=inputs.clips.groupby(["dataset", "subject"]).ngroups,
        class_names=inputs.class_names,
        preset=config.preset,
        preparation=replace(preset.preparation, **_given(config, *PREPARATION_STEPS)),
        training=training,
        network=preset.network,
        seed=config.seed,
        device=device,
        threads=_positive("threads", threads),
        group_size=_positive("group-size", 1 if group_size is None else group_size),
        protocol=config.protocol,
        inner=config.inner,
        label_shuffle=config.label_shuffle,
    )


def executor_settings(config: Config) -> ExecutorSettings:
    """The flags that say who trains."""
    return ExecutorSettings(
        config.executor,
        config.workers,
        config.ray_address,
        config.cpus_per_task,
        config.gpus_per_task,
    )


def _device(config: Config) -> str:
    """Where to train. On a Ray cluster the GPUs asked for say it, not this machine's."""
    if config.executor == "local":
        return pick_device(config.device)
    device = "cuda" if config.gpus_per_task else "cpu"
    if config.device not in ("auto", device):
        raise UserError(
            f"--device {config.device} with --gpus-per-task {config.gpus_per_task:g}: on a Ray "
            "cluster a group is trained on a GPU if it is given one. Leave --device out."
        )
    return device


def _default_threads(config: Config, device: str) -> int:
    if config.executor == "ray":
        return max(1, int(config.cpus_per_task or 1))
    workers = executor_settings(config).local_workers(device)
    return max(1, (os.cpu_count() or 1) // workers)


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise UserError(f"--{name} {value}: must be a whole number from 1.")
    return value


def configurations(
    config: Config, preset: Preset, classes: int = len(CLASS_NAMES)
) -> list[Configuration]:
    """The preset's configurations, with the values given for the grid and the ablation."""
    given = _given(config, "layer1", "layer2", "layer3", "gammas")
    return preset.configurations(config.ablation, classes, **given)


def training_settings(config: Config, preset: Preset) -> TrainingSettings | None:
    """The preset's training settings with those given in their place.

    Raises:
        UserError: settings for a model that is fitted at once.
    """
    given = _given(config, "epochs", "learning_rate", "batch_size", "schedule", "precision")
    if preset.training is not None:
        return replace(preset.training, **given)
    if config.inner:
        given["inner"] = True
    if given:
        raise UserError(
            f"{name_list(given)}: model {preset.model} is fitted at once, without epochs. Leave it "
            "out."
        )
    return None


def _given(config: Config, *names: str) -> dict[str, Any]:
    """The settings of these names that are not left to the preset."""
    values = {name: getattr(config, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def confirm(cost: Cost, yes: bool) -> None:
    """Print what the run costs; above a day go on only with ``yes``."""
    print(cost.sentence(), flush=True)
    if cost.seconds > ONE_DAY_SECONDS and not yes:
        raise UserError(
            "this run takes longer than a day. Give --yes to start it, or make it smaller with "
            "--preset compact, --subjects, --epochs or fewer grid values."
        )


def main() -> None:
    """Wire the packages together."""
    config = parse_settings(Config, __doc__)
    if config.inputs is None:
        raise UserError(
            "--inputs is missing. Make synthetic inputs with `python make_synthetic.py --out "
            "demo/inputs`, or clone the published repository, whose folder holds the released maps."
        )
    inputs = read_inputs(config.inputs)
    if config.label_shuffle is not None:
        if config.label_shuffle < 0:
            raise UserError(f"--label-shuffle {config.label_shuffle}: give a seed of 0 or more.")
        inputs = shuffle_labels(inputs, config.label_shuffle)
    run = resolve_run(config, inputs)
    grid = configurations(config, get_preset(config.preset), len(inputs.class_names))
    search = GridSearch(
        run,
        inputs,
        grid,
        config.results,
        config.weights if config.save_weights else None,
        config.subjects,
        executor_settings(config),
    )
    notes = "".join(f"; {note}" for note in run.notes)
    trainings = len(grid) * len(search.folds)
    print(
        f"{run.clips} clips of {run.subjects} subjects{notes}; {len(grid)} configurations x "
        f"{len(search.folds)} folds = {trainings} trainings; "
        f"preset {run.preset}, seed {run.seed}, {run.device}, {run.threads} threads",
        flush=True,
    )
    try:
        run_grid(search, lambda cost: confirm(cost, config.yes))
    except KeyboardInterrupt:
        done = sum(search.is_done(c, fold) for c in grid for fold in search.folds)
        print(f"stopped: {done} folds are saved in {config.results}; the same command resumes.")
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run_script(main)
