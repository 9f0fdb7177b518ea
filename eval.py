"""Evaluate a folder of per-subject weights: this suite's own or downloaded ones.

    python eval.py --inputs DIR --weights weights/one-0.5_1_1_2

Reads <subject>.safetensors or .pth, each trained without that subject, or weights that were fitted
on all clips of other inputs (python -m training.fit_all). Writes, below --results,
<subject>_acc.txt, predictions.csv, CausalNet.xlsx and confusion_matrix.png; prints UF1, UAR and ACC
per dataset.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from common.command_line import parse_settings
from common.errors import UserError, name_list, run_script
from common.files import claim_folder
from common.refusals import summarize_refusals
from datasets import Inputs, loso_folds, read_inputs
from evaluation.expected_clips import FILE_NAME as EXPECTED_NAME
from evaluation.expected_clips import write_expected_clips
from evaluation.fold_logits import FOLDER as STORED_FOLDS
from evaluation.predictions import (
    SYNTHETIC_NOTE,
    inputs_notes,
    metrics_per_dataset,
)
from evaluation.result_files import result_file_paths, write_result_files
from evaluation.run_record import find_record
from evaluation.tables import print_metrics
from training.device import pick_device, use_threads
from training.evaluate_weights import (
    UNKNOWN_RULE,
    Evaluation,
    WeightsOrigin,
    evaluate_weights,
    read_origin,
)
from training.fold_counts import fold_counts


@dataclass(frozen=True)
class Config:
    """What to evaluate."""

    inputs: Path | None = None
    """Folder of motion maps."""
    allow_doubles: bool = False
    """Take inputs in which two subjects have a clip with the same map; every result says so."""
    weights: Path | None = None
    """Folder of weights, such as weights/au_kernel_released."""
    method: Path | None = None
    """Your method file. Default: the copy that the run left beside the weights."""
    gamma: float | None = None
    """Refuse weights that were trained with another gamma."""
    results: Path = Path("results_eval")
    """Folder to write to; results of an earlier evaluation in it are replaced."""
    allow_seen: bool = False
    """Also evaluate on subjects that the weights were trained on; every result is then marked."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""


def main() -> None:
    """Wire the packages together."""
    config = parse_settings(Config, __doc__)
    if config.inputs is None or config.weights is None:
        raise UserError("give --inputs (a folder of maps) and --weights (a folder of weights).")
    if not config.weights.is_dir():
        given = f"--weights {config.weights} is not a folder"
        raise UserError(f"{given}. Give one that holds <subject>.safetensors or .pth.")
    _refuse_folder_of_a_run(config.results)
    inputs = read_inputs(config.inputs, config.allow_doubles)
    with claim_folder(config.results, "eval.py") as owned:
        owned.check([config.results / EXPECTED_NAME, *result_file_paths(config.results)])
        evaluate(config, config.weights, inputs)


def evaluate(config: Config, weights: Path, inputs: Inputs) -> None:
    """Evaluate, write, print.

    Raises:
        UserError: no weights could be used; or, after the others are written, some could not.
    """
    origin = read_origin(weights, config.method)
    if not origin.method.built_in:
        print(f"runs the method file {origin.method.path}")
    device = pick_device(config.device)
    use_threads(origin.threads)
    evaluation = evaluate_weights(
        weights,
        inputs,
        origin,
        gamma=config.gamma,
        device=device,
        allow_seen=config.allow_seen,
    )
    _say_what_is_known(evaluation, origin.epoch_rule)
    notes = [*_lasting_notes(inputs, origin, evaluation), *_gamma_notes(evaluation)]
    if evaluation.rows is not None:
        note = "; ".join([*notes, *_partial_notes(evaluation, len(inputs.clips))])
        folds, synthetic = loso_folds(inputs.clips, origin.protocol), inputs.synthetic
        counts = fold_counts(inputs.clips, folds, synthetic or origin.synthetic, notes)
        write_expected_clips(config.results, counts)
        title = f"weights {weights}"
        write_result_files(config.results, evaluation.rows, title=title, note=note, lasting=notes)
        figures = metrics_per_dataset(evaluation.rows, len(origin.class_names))
        title = f"weights {weights.name}" + (f" ({note})" if note else "")
        print_metrics(Console(), {origin.epoch_rule: figures}, title)
        if inputs.flow_by is not None:
            print(f"inputs: {inputs.flow_by}")
        print(f"written: {config.results}")
    if evaluation.refused:
        raise UserError(summarize_refusals(evaluation.refused))


def _refuse_folder_of_a_run(results: Path) -> None:
    """A run's own predictions are never replaced by an evaluation's."""
    trained = any((folder / STORED_FOLDS).is_dir() for folder in (results, results.parent))
    if trained or find_record(results):
        raise UserError(
            f"--results {results} holds the results of a training run. Give a folder of its own."
        )


def _say_what_is_known(evaluation: Evaluation, rule: str) -> None:
    gammas = sorted(set(evaluation.gammas.values()))
    if gammas:
        print(f"gamma of the weights: {name_list(f'{gamma:g}' for gamma in gammas)}")
    if evaluation.missing:
        print(f"no weights for: {name_list(fold.name for fold in evaluation.missing)}")
    if rule == UNKNOWN_RULE:
        print(
            "weights without a description: published settings assumed; the published epochs were "
            "selected on the test subject"
        )


def _lasting_notes(inputs: Inputs, origin: WeightsOrigin, evaluation: Evaluation) -> list[str]:
    """What must be said beside every figure of these weights on these clips."""
    notes = [SYNTHETIC_NOTE] if inputs.synthetic or origin.synthetic else []
    notes += inputs_notes(inputs.doubles, inputs.edited)
    if origin.inputs_sha256 not in (None, inputs.sha256_of(origin.method.input)):
        notes.append("weights of OTHER INPUTS")
    if evaluation.unknown and origin.epoch_rule != UNKNOWN_RULE:
        count = len(evaluation.unknown)
        notes.append(f"NOT KNOWN whom the weights of {count} subjects have seen")
    if evaluation.seen:
        notes.append(f"TESTED ON {len(evaluation.seen)} SUBJECTS THAT THE WEIGHTS WERE TRAINED ON")
    return notes


def _gamma_notes(evaluation: Evaluation) -> list[str]:
    """Weights of several gammas are of several networks: their pooled figures are of none."""
    gammas = [f"{gamma:g}" for gamma in sorted(set(evaluation.gammas.values()))]
    return [f"weights of MIXED gammas {name_list(gammas)}"] if len(gammas) > 1 else []


def _partial_notes(evaluation: Evaluation, clips: int) -> list[str]:
    tested = 0 if evaluation.rows is None else len(evaluation.rows)
    counts = {
        "have no weights": len(evaluation.missing),
        "have weights refused": len(evaluation.refused),
    }
    said = [f"{number} subjects {reason}" for reason, number in counts.items() if number]
    return [f"PARTIAL: {tested} of {clips} clips, {name_list(said)}"] if said else []


if __name__ == "__main__":
    run_script(main)
