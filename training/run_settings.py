"""Turns settings, from flags or from Python, into a run: method, preparation, training, grid."""

import itertools
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from common.bounds import check_bounds
from common.errors import UserError, name_list, shorten_middle
from common.yaml_files import parse_yaml
from datasets import Inputs, Preparation, shuffle_labels
from evaluation.run_record import read_record
from models.method import Method, load_method
from training.configuration import (
    Configuration,
    TrainingSettings,
    check_count,
    check_views,
    configurations,
    read_preparation,
    read_training,
)
from training.device import pick_device
from training.executor import ExecutorSettings
from training.initial_weights import check_may_start, find_initial_weights
from training.precision import check_precision
from training.run_folder import GridSearch
from training.run_record import Run
from training.settings import RunSettings

STEPS = tuple(own.name for own in fields(Preparation))
TRAINING = tuple(own.name for own in fields(TrainingSettings))
LAYERS = ("layer1", "layer2", "layer3")
LONGEST_SHOWN = 100
"""Characters of a setting in a message."""


def resolve_run(
    settings: RunSettings,
    method: Method,
    inputs: Inputs,
    results: Path,
    executor: ExecutorSettings | None = None,
) -> Run:
    """Everything that decides the bytes of the results: settings over the record over the method.

    Raises:
        UserError: a setting that the method does not have, or that does not fit another.
    """
    recorded = read_record(results) or {}
    device = _device(settings, executor or ExecutorSettings())
    training = training_settings(settings, method, len(inputs.class_names))
    if training is not None:
        check_precision(training.precision, device)
    prepared = preparation(settings, method)
    check_views(method, training, prepared)
    threads, group_size = (
        recorded.get(name) if getattr(settings, name) is None else getattr(settings, name)
        for name in ("threads", "group_size")
    )
    group_size = method.facts.get("group_size", 1) if group_size is None else group_size
    return Run(
        inputs_sha256=inputs.sha256_of(method.input),
        synthetic=inputs.synthetic,
        clips=len(inputs.clips),
        subjects=inputs.clips.groupby(["dataset", "subject"]).ngroups,
        class_names=inputs.class_names,
        method=method.name,
        method_sha256=method.sha256,
        preparation=prepared,
        training=training,
        seed=settings.seed,
        device=device,
        threads=_positive("threads", 1 if threads is None else threads),
        group_size=_positive("group-size", group_size),
        protocol=settings.protocol,
        inner=settings.inner,
        label_shuffle=settings.label_shuffle,
        doubles=inputs.doubles,
        flow_by=inputs.flow_by,
        edited=inputs.edited,
        subject_share=settings.subject_share,
        command=command_line(settings),
    )


def plan_search(
    settings: RunSettings,
    inputs: Inputs,
    results: Path,
    weights: Path | None = None,
    subjects: tuple[str, ...] = (),
    executor: ExecutorSettings | None = None,
    tensorboard: bool = False,
) -> GridSearch:
    """The search that the settings ask for on these inputs; nothing is written or trained.

    Raises:
        UserError: no method, or settings that do not fit it.
    """
    if settings.method is None:
        raise UserError("no method is given. Choose one of --list-methods, or your own file.")
    check_bounds(settings)
    method = load_method(settings.method)
    if settings.label_shuffle is not None:
        inputs = shuffle_labels(inputs, settings.label_shuffle)
    _check_input(method, inputs)
    executor = executor or ExecutorSettings()
    run = resolve_run(settings, method, inputs, results, executor)
    grid = grid_configurations(settings, method)
    search = GridSearch(
        run, method, inputs, grid, results, weights, subjects, executor, tensorboard
    )
    if settings.init_weights is None:
        return search
    check_may_start(method.trained, settings.inner, method.name)
    initial = find_initial_weights(Path(settings.init_weights), search.folds, inputs, method.input)
    return replace(search, run=replace(run, init_weights=initial.name), initial=initial)


def _check_input(method: Method, inputs: Inputs) -> None:
    """Refuse what the method cannot take, before anything is written."""
    if method.input not in ("maps", "flow", "frames"):
        raise UserError(
            f'{method.path}: input is {method.input!r}. Give "maps", "flow" or "frames".'
        )
    inputs.array(method.input)
    if inputs.phases < method.phases:
        raise UserError(
            f"method {method.name} looks at both phases, but {inputs.folder} holds the first map "
            "of each clip alone. Use the maps released with CausalNet, or build_inputs.py."
        )


def grid_configurations(settings: RunSettings, method: Method) -> list[Configuration]:
    """The method's configurations, with the values given for the grid, and other settings."""
    given = _parse_pairs(settings.set)
    flags = {"ablation": settings.ablation != "none", "gamma": settings.gammas is not None}
    twice = [name for name, is_given in flags.items() if is_given and name in given]
    if twice:
        raise UserError(f"{name_list(twice)}: given by --set and by a flag of its own. Give one.")
    if settings.ablation != "none":
        given["ablation"] = settings.ablation
    grid: dict[str, Any] = {}
    layers = [getattr(settings, name) for name in LAYERS]
    if any(own is not None for own in layers):
        grid["block_repeats"] = _repeats(method, layers)
    if settings.gammas is not None:
        grid["gamma"] = settings.gammas
    return configurations(method, given, grid)


def _repeats(method: Method, layers: list[tuple[int, ...] | None]) -> tuple[tuple[int, ...], ...]:
    """Every combination of the layer counts given, with the method's own for those that are not.

    The published search leaves a pair out of its own lists; a user's are taken whole.
    """
    own = method.facts.get("grid", {}).get("block_repeats", ())
    if not own:
        raise UserError(f"layer1, layer2, layer3: method {method.name} has no such setting.")
    lists = [
        tuple(dict.fromkeys(repeats[place] for repeats in own)) if given is None else given
        for place, given in enumerate(layers)
    ]
    if layers[0] is None and layers[1] is None:
        pairs = list(dict.fromkeys(repeats[:2] for repeats in own))
        return tuple((*pair, last) for pair in pairs for last in lists[2])
    check_count(map(len, lists))
    return tuple(itertools.product(*lists))


def _parse_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE texts as settings; a value is YAML, so numbers, lists and true are understood."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        shown = shorten_middle(pair, LONGEST_SHOWN)
        if not equals or not name:
            raise UserError(f"--set {shown}: give NAME=VALUE, such as variant=cbam.")
        if name in found:
            raise UserError(f"--set {shown}: {name} is given twice. Give it once.")
        try:
            value = parse_yaml(text)
        except ValueError as error:
            raise UserError(f"--set {shown}: {error}. Give a number or a word.") from None
        if isinstance(value, str) and "," in value:
            shown = shorten_middle(text, LONGEST_SHOWN)
            raise UserError(f"--set {name}: write a list in brackets, {name}=[{shown}].")
        found[name] = tuple(value) if isinstance(value, list) else value
    return found


def preparation(settings: RunSettings, method: Method) -> Preparation:
    """The method's steps with those given in their place.

    Raises:
        UserError: steps for a method that prepares its input itself, or an unknown step.
    """
    given = _given(settings, STEPS)
    steps = method.facts.get("preparation", {})
    if method.hook("prepare") is not None:
        if given or steps:
            raise UserError(
                f"{name_list([*given, *steps])}: method {method.name} prepares its input itself. "
                "Leave it out."
            )
        return Preparation()
    return replace(read_preparation(steps, method.path), **given)


def training_settings(
    settings: RunSettings, method: Method, classes: int
) -> TrainingSettings | None:
    """The method's training settings with those given in their place; None for an estimator.

    Raises:
        UserError: settings for a method that is fitted at once.
    """
    given = _given(settings, TRAINING)
    own = method.training(classes)
    if own is not None:
        return replace(read_training(own, method.path), **given)
    if settings.inner:
        given["inner"] = True
    if given:
        raise UserError(
            f"{name_list(given)}: method {method.name} is fitted at once, without epochs. Leave "
            "it out."
        )
    return None


def command_line(settings: RunSettings) -> str:
    """The settings that differ from their defaults, as a command, for a reader of the results."""
    parts = ["python main_train_for_parameter_tuning.py --inputs INPUTS"]
    for own in fields(RunSettings):
        value = getattr(settings, own.name)
        if value != own.default and own.name not in ("device", "threads"):
            parts.append(_flag(own.name, value))
    return " ".join([*parts, "--results RESULTS"])


def _flag(name: str, value: Any) -> str:
    flag = "--" + name.replace("_", "-")
    if value is True and name == "inner":
        return flag
    if name in ("method", "init_weights"):
        value = Path(value).name
    return f"{flag} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"


def _given(settings: RunSettings, names: tuple[str, ...]) -> dict[str, Any]:
    """The settings of these names that are not left to the method."""
    values = {name: getattr(settings, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _device(settings: RunSettings, executor: ExecutorSettings) -> str:
    """Where to train. On a Ray cluster the GPUs asked for say it, not this machine's."""
    if executor.kind == "local":
        return pick_device(settings.device)
    device = "cuda" if executor.gpus_per_task else "cpu"
    if settings.device not in ("auto", device):
        raise UserError(
            f"--device {settings.device} with --gpus-per-task {executor.gpus_per_task:g}: on a Ray "
            "cluster a group is trained on a GPU if it is given one. Leave --device out."
        )
    return device


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"--{name} {value}: must be a whole number from 1.")
    return value
