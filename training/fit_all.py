"""Fit a method on all clips of a folder of inputs, for use on new people, with a card.

    python -m training.fit_all --inputs ../CausalNet --method au_kernel --out weights/mine \\
        --results results/au_kernel

Writes, below --out, the weights (safetensors), whom they have seen, their description, and
``card.json`` with the figure of the leave-one-subject-out run in --results, which is trained where
it is not finished. Such weights cannot be tested on the clips that they were fitted on: the figure
is the run's, of models that are like them but for one subject each. The same command gives the same
bytes on the same kind of processor.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from common.command_line import parse_settings
from common.errors import UserError, run_script
from common.files import claim_folder, write_text
from common.owned_folder import OwnedFolder
from common.refusals import few
from datasets import Fold, Inputs, read_inputs
from evaluation.predictions import metrics_per_dataset
from models.pretrained import ALL, CARD_NAME, SUFFIXES
from training.configuration import Configuration
from training.group_task import GroupTask
from training.loso import leave_one_subject_out
from training.run_folder import GridSearch
from training.run_settings import plan_search
from training.settings import RunSettings
from training.weights_folder import (
    check_description,
    describe_weights,
    weights_paths,
    write_clips,
    write_description,
    write_weights,
)
from training.worker import Worker

DIGITS = 4
RUN_SETTINGS = tuple(own.name for own in fields(RunSettings))


@dataclass(frozen=True)
class Config(RunSettings):
    """What is fitted; what is not given comes from the method's file."""

    inputs: Path | None = None
    """Folder of inputs (required)."""
    out: Path | None = None
    """Folder of the weights (required)."""
    results: Path | None = None
    """Folder of the leave-one-subject-out run of the same settings, whose figure the card gives;
    trained first where it is not finished. Default: the card says that nothing was measured."""
    note: str = ""
    """What else must be known of the figure; the card and every page keep it."""


def main() -> None:
    """Plan, measure, fit, write."""
    config = parse_settings(Config, __doc__)
    if config.inputs is None or config.out is None or config.method is None:
        raise UserError("give --inputs (a folder of maps), --method, and --out (a new folder).")
    if config.inner or config.protocol != "composite":
        raise UserError("all clips are trained on: leave out --inner and --protocol.")
    inputs = read_inputs(config.inputs)
    search = plan_search(config, inputs, config.out)
    if len(search.configurations) > 1:
        raise UserError(
            f"{search.method.name} has a grid of {len(search.configurations)} configurations. Give "
            "one value of each setting (--set, --gammas, --layer1 ...)."
        )
    with claim_folder(config.out) as owned:
        check_out(search, config.out, owned)
        figure = None if config.results is None else measure(config, inputs, config.results)
        path = fit_all(search, config.out, {"figure": figure, "note": config.note})
    print(f"written: {path}" + ("" if figure else "; nothing was measured (--results)"))


def measure(config: Config, inputs: Inputs, results: Path) -> dict[str, Any]:
    """The figure of the leave-one-subject-out run in a folder, for a card."""
    given = {name: getattr(config, name) for name in RUN_SETTINGS if name != "method"}
    rows = leave_one_subject_out(str(config.method), inputs, results=results, **given)
    found = metrics_per_dataset(rows, len(inputs.class_names))
    return {
        "protocol": "leave one subject out",
        "epoch_rule": "last",
        **{
            dataset: {
                name: round(getattr(metrics, name), DIGITS) for name in ("uf1", "uar", "accuracy")
            }
            for dataset, metrics in found.items()
        },
    }


def check_out(search: GridSearch, out: Path, owned: OwnedFolder) -> None:
    """Refuse a folder of other weights or files, before anything is trained.

    Raises:
        UserError: it is one.
    """
    others = [p.name for p in out.glob("*") if p.suffix in SUFFIXES and p.stem != ALL]
    if others:
        raise UserError(f"{out} holds other weights ({few(others)}). Give another folder.")
    check_description(out, describe_weights(search.run, *search.configurations))
    owned.check([*weights_paths(out, [_fold_of_all(search)]), out / CARD_NAME])


def _fold_of_all(search: GridSearch) -> Fold:
    """A worker tests after training; the score of one clip that it has seen is thrown away."""
    clips = np.arange(len(search.inputs.clips))
    return Fold("", "", ALL, clips, clips[:1])


def fit_all(search: GridSearch, out: Path, card: dict[str, Any]) -> Path:
    """Fit the search's only configuration on every clip; writes its folder, which is claimed, and
    returns the file.

    Args:
        card: entries of ``card.json`` besides those that the search tells.

    Raises:
        UserError: the training fails.
    """
    run, inputs, [configuration] = search.run, search.inputs, search.configurations
    fold = _fold_of_all(search)
    worker = Worker(run, search.method, inputs, [fold], keep_weights=True)
    [trained] = worker.train(GroupTask(configuration, (fold,))).folds
    content = trained.outcome.weights
    if content is None or trained.outcome.failed_epoch is not None:
        raise UserError("the loss was not finite. Try a lower --learning-rate.")
    write_description(out, describe_weights(run, configuration), search.method)
    write_clips(out, inputs)
    names = sorted(set(inputs.clips[["dataset", "subject"]].agg("/".join, axis=1)))
    path = write_weights(out, ALL, content, names, trained.gains)
    own = {**_describe(search, configuration), **card}
    write_text(out / CARD_NAME, json.dumps(own, indent=1) + "\n")
    return path


def _describe(search: GridSearch, configuration: Configuration) -> dict[str, Any]:
    """What the weights are, for people and pages; ``description.json`` is for programs."""
    clips = search.inputs.clips
    return {
        "method": search.method.name,
        "what": search.method.description,
        "configuration": configuration.label,
        "clips": {str(name): len(part) for name, part in clips.groupby("dataset", sort=True)},
        "subjects": int(clips.groupby(["dataset", "subject"]).ngroups),
        "classes": list(search.run.class_names),
        "synthetic": search.run.synthetic,
        "notes": search.run.notes,
    }


if __name__ == "__main__":
    run_script(main)
