"""Turns a configuration's stored folds into its result files, one set for each epoch rule."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from common.errors import UserError
from common.files import write_text
from datasets import Fold, Inputs
from evaluation.epoch_choices import Choice
from evaluation.epoch_rules import DEFAULT_RULE, RULES, choose, rules_for
from evaluation.fold_logits import FoldIdentity, StoredFold, fold_path, read_fold
from evaluation.metrics import Metrics
from evaluation.predictions import (
    prediction_rows,
    source_of,
)
from evaluation.result_files import result_file_paths, write_result_files
from training.configuration import Configuration, fold_seed
from training.run_record import Run

SUMMARY_NAME = "result_summary.txt"
LOSSES_NAME = "losses.csv"


def fold_identities(run: Run, inputs: Inputs, folds: list[Fold]) -> list[FoldIdentity]:
    """What the stored folds of this run must say of themselves, but for the configuration."""
    columns = [inputs.clips[name].to_numpy() for name in ("subject", "clip", "label")]
    identities = []
    for fold in folds:
        subjects, clips, labels = (column[fold.test_indices].tolist() for column in columns)
        seed = fold_seed(run.seed, fold.dataset, fold.subject)
        identities.append(
            FoldIdentity(fold.dataset, fold.name, subjects, clips, labels, seed, configuration="")
        )
    return identities


def read_folds(
    folder: Path, identities: list[FoldIdentity], configuration: str
) -> list[StoredFold]:
    """The folds of a configuration that are on disk, in the order of their identities.

    Args:
        configuration: its hash.
    """
    expected = [replace(own, configuration=configuration) for own in identities]
    stored = [read_fold(folder, identity) for identity in expected]
    return [fold for fold in stored if fold is not None]


def configuration_paths(folder: Path, folds: list[Fold]) -> list[Path]:
    """The files that a configuration may write, replace or remove in its folder."""
    places = [folder, *(folder / rule for rule in RULES if rule != DEFAULT_RULE)]
    stored = [fold_path(folder, fold.name) for fold in folds]
    return [*stored, folder / LOSSES_NAME, *(p for own in places for p in result_file_paths(own))]


def rows_of(run: Run, stored: list[StoredFold], rule: str) -> pd.DataFrame:
    """Prediction rows of the folds under an epoch rule."""
    pairs = zip(stored, choose(rule, stored), strict=True)
    parts = [fold_rows(run, f, choice, rule, f.identity.configuration) for f, choice in pairs]
    return pd.concat(parts, ignore_index=True)


def fold_rows(
    run: Run, fold: StoredFold, choice: Choice, rule: str, configuration: str
) -> pd.DataFrame:
    """Prediction rows of one fold with the logits that a rule chose.

    Args:
        configuration: the hash that the rows carry.
    """
    identity = fold.identity
    return prediction_rows(
        dataset=identity.dataset,
        subjects=identity.subjects,
        clips=identity.clips,
        true=identity.labels,
        logits=choice.logits,
        class_names=run.class_names,
        fold=identity.name,
        seed=run.seed,
        epoch=choice.epoch + 1,
        epoch_rule=rule,
        configuration=configuration,
        source=source_of(run.synthetic),
    )


def write_configuration_results(
    folder: Path, run: Run, configuration: Configuration, stored: list[StoredFold], folds: int
) -> dict[str, pd.DataFrame]:
    """Write ``last`` into the folder and every other rule into a subfolder of its name.

    Args:
        folds: how many folds there are in all; with fewer stored, the files say "partial".

    Returns:
        The prediction rows of every rule.
    """
    notes = list(run.notes)
    if len(stored) < folds:
        notes.append(f"partial: {len(stored)} of {folds} folds")
    rows = {rule: rows_of(run, stored, rule) for rule in rules_for(stored)}
    for rule, part in rows.items():
        place = folder if rule == DEFAULT_RULE else folder / rule
        title = f"{configuration.name}, epoch rule {rule}"
        note = "; ".join(notes)
        write_result_files(place, part, title=title, note=note, lasting=run.notes)
    return rows


def summary_line(configuration: Configuration, figures: Metrics, rule: str) -> str:
    """One line of ``result_summary.txt``: the published form, then the epoch rule."""
    return f"{configuration.label} | UF1={figures.uf1:.4f}, UAR={figures.uar:.4f} | {rule}"


def write_losses(folder: Path, stored: list[StoredFold]) -> None:
    """``losses.csv``: the mean training loss of every fold and epoch."""
    lines = ["fold,epoch,loss"]
    for fold in stored:
        name = fold.identity.name
        lines += [f"{name},{epoch},{loss}" for epoch, loss in enumerate(fold.losses, start=1)]
    write_text(folder / LOSSES_NAME, "\n".join(lines) + "\n")


def replace_summary_lines(
    results: Path, configuration: Configuration, lines: list[str], labels: list[str]
) -> None:
    """Put a configuration's lines into the summary, in place of its old ones.

    Args:
        labels: of all configurations of the run, in the order in which their lines are written.
    """
    path = results / SUMMARY_NAME
    try:
        old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}. Move it away.") from error
    kept = [line for line in old if line.split(" | ")[0] not in (configuration.label, "")]
    known = [line for line in kept + lines if line.split(" | ")[0] in labels]
    known.sort(key=lambda line: labels.index(line.split(" | ")[0]))
    write_text(path, "\n".join(known) + "\n")
