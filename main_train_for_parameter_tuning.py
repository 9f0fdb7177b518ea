"""Train and score a method leave-one-subject-out, or search its grid of configurations.

    python main_train_for_parameter_tuning.py --inputs DIR --method linear --results results/one
    python main_train_for_parameter_tuning.py --inputs DIR --method mine.py --results results/mine

Reads a folder of inputs (the released samples, or what build_inputs.py and make_synthetic.py
write). Writes, below --results, a folder per configuration with <subject>_acc.txt, predictions.csv,
losses.csv, CausalNet.xlsx and confusion_matrix.png for the epoch rule "last", the same for every
other rule in a subfolder, and one line per configuration and rule in result_summary.txt. Killed or
stopped, the same command resumes where it was.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.command_line import parse_settings
from common.errors import INTERRUPTED, UserError, run_script
from models.method import list_methods, load_method
from training.settings import RunSettings

ONE_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Config(RunSettings):
    """Settings of a run; what is not given comes from the method's file."""

    inputs: Path | None = None
    """Folder of inputs (required)."""
    allow_doubles: bool = False
    """Take inputs in which two subjects have a clip with the same map; every result says so."""
    subjects: tuple[str, ...] = ()
    """Run only these subjects' folds; each still trains on all other subjects."""
    results: Path = Path("results")
    """Folder of this run."""
    save_weights: bool = False
    """Keep each fold's weights of the last epoch, below --weights."""
    weights: Path = Path("weights")
    """Folder for weights."""
    executor: Literal["local", "ray"] = "local"
    """Who trains: this machine or a Ray cluster (docs/scale.md). Changes no byte of the results."""
    workers: int | None = None
    """Local worker processes. Default: one a GPU; on a CPU one a core, where that pays."""
    ray_address: str | None = None
    """Ray cluster to train on. Default: $RAY_ADDRESS, else one on this machine."""
    cpus_per_task: float | None = None
    """CPU cores that Ray keeps for a group of folds. Default: --threads."""
    gpus_per_task: float = 0.0
    """GPUs, or part of one, that Ray keeps for a group of folds; above 0, --device is cuda."""
    tensorboard: bool = False
    """Write curves as TensorBoard event files too (requirements-tensorboard.txt)."""
    list_methods: bool = False
    """Print every method with its input, training and cost, and end."""
    yes: bool = False
    """Start although the run takes longer than a day."""


def describe_methods(blank: bool = False) -> str:
    """What every method of the suite is; its input, training and cost.

    Args:
        blank: a paragraph each, with blank lines between, instead of two lines each.
    """
    lines = []
    for name, description in list_methods().items():
        method = load_method(name)
        training = method.facts.get("training")
        how = "fitted at once"
        if training:
            how = (
                f"{training['epochs']} epochs, rate {training['learning_rate']:g}, "
                f"batch {training['batch_size']}"
            )
        cost = method.facts.get("cost", "cost not measured")
        between = " " if blank else "\n    "
        lines.append(f"{name}: {description}{between}Input {method.input}; {how}; {cost}.")
    return ("\n\n" if blank else "\n").join(lines)


def main() -> None:
    """Read the settings, train what is missing, report."""
    config = parse_settings(
        Config, f"{__doc__}\nMethods, with their defaults:\n\n{describe_methods(blank=True)}"
    )
    if config.list_methods:
        print(describe_methods())
        return
    if config.method is None:
        print(describe_methods())
        raise UserError("--method is missing. Choose one of the above, or give your own file.")
    if config.inputs is None:
        raise UserError(
            "--inputs is missing. Make synthetic inputs with `python make_synthetic.py --out "
            "demo/inputs`, or clone the published repository, whose folder holds the released maps."
        )
    train(config, config.inputs)


def train(config: Config, inputs: Path) -> None:
    """Plan the search, say what it is, run it."""
    # Imported here, so that --help and --list-methods start without torch.
    from datasets import read_inputs
    from training.cost import Cost
    from training.executor import ExecutorSettings
    from training.grid_run import run_grid
    from training.run_settings import plan_search

    def confirm(cost: Cost) -> None:
        print(cost.sentence(), flush=True)
        if cost.seconds > ONE_DAY_SECONDS and not config.yes:
            raise UserError(
                "this run takes longer than a day. Give --yes to start it, or make it smaller "
                "with another --method, --subjects, --epochs or fewer grid values."
            )

    executor = ExecutorSettings(
        config.executor,
        config.workers,
        config.ray_address,
        config.cpus_per_task,
        config.gpus_per_task,
    )
    weights = config.weights if config.save_weights else None
    search = plan_search(
        config,
        read_inputs(inputs, config.allow_doubles),
        config.results,
        weights,
        config.subjects,
        executor,
        config.tensorboard,
    )
    print(search.sentence(), flush=True)
    try:
        run_grid(search, confirm)
    except KeyboardInterrupt:
        print(f"stopped: finished folds are saved in {config.results}; the same command resumes.")
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    run_script(main)
