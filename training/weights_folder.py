"""Trained weights on disk: a file a fold, what each of them has seen, and a description of all."""

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import UserError, name_list
from common.files import write_bytes, write_text
from common.owned_folder import check_unchanged
from common.refusals import Refusal
from common.tables import read_table
from datasets import Fold, Inputs
from datasets.inputs import plain_subject
from datasets.preprocessing import Gains
from models.estimator import estimator_suffix
from models.method import Method
from models.pretrained import (
    ALL,
    CLIPS_NAME,
    DESCRIPTION_NAME,
    SUFFIXES,
    WeightsFile,
    checked_note,
    note_path,
    read_description,
)
from training.configuration import Configuration
from training.run_record import Run

Note = tuple[WeightsFile | None, list[str]]


def weights_folder(weights: Path, results: Path, configuration: Configuration) -> Path:
    """``weights/<run>``: the results folder's name and the configuration's."""
    return weights / f"{results.resolve().name}-{configuration.name}"


def write_weights(
    folder: Path, fold: str, content: bytes, trained_on: list[str], gains: Gains | None
) -> Path:
    """Write a fold's weights, then what they have seen; a fold with both is complete."""
    path = folder / f"{fold}{estimator_suffix(content)}"
    write_bytes(path, content)
    kept = None if gains is None else dict(gains)
    sha256 = hashlib.sha256(content).hexdigest()
    note = WeightsFile(fold, sha256, len(content), trained_on, kept)
    write_text(note_path(folder, fold), json.dumps(asdict(note), indent=1) + "\n")
    return path


def check_note(path: Path, fold: Fold, inputs: Inputs, allow_seen: bool = False) -> Note:
    """What is recorded of a fold's weights, checked against the file and the fold's test clips.

    A test clip is recognized by its map too, so that inputs whose subjects are called otherwise
    give no subject to weights that have seen it.

    Args:
        allow_seen: do not refuse weights that have seen a test subject.

    Returns:
        The note, None where there is none; and the test subjects that the weights have seen.

    Raises:
        UserError: the file has changed since it was written, or has seen a test subject.
    """
    note = checked_note(path, ALL if path.stem == ALL else fold.name)
    if note is None:
        return None, []
    own = inputs.clips.iloc[fold.test_indices]
    tested = set(own[["dataset", "subject"]].agg("/".join, axis=1))
    seen = sorted(tested & set(note.trained_on))
    seen += _seen_twins(tested - set(seen), set(note.trained_on) - inputs.subjects)
    if seen and not allow_seen:
        raise Refusal(
            path,
            f"was trained on {name_list(seen)}, on whom it would be tested. Give weights that "
            "have not seen the test subject, or --allow-seen for marked results.",
        )
    foreign = _seen_maps(path, own, [inputs.clip_hashes[row] for row in fold.test_indices], note)
    if foreign and not allow_seen:
        clip, owner = foreign[0]
        raise Refusal(
            path,
            f"was trained on the map of {clip}, as a clip of {owner}. Give weights that have not "
            "seen the test subject, or --allow-seen for marked results.",
        )
    return note, sorted({*seen, *(owner for _, owner in foreign)})


def _seen_twins(tested: set[str], others: set[str]) -> list[str]:
    """Of subjects that the inputs do not have those who are most likely tested: "1" and "001"."""
    plain = {_plain(name) for name in tested} if others else set()
    return sorted(name for name in others if _plain(name) in plain)


def _plain(name: str) -> tuple[str, str]:
    dataset, _, subject = name.partition("/")
    return dataset, plain_subject(subject)


def knows_maps(folder: Path, trained_on: str | None, tested_on: str) -> bool:
    """Whether it would be noticed that clips were trained on under another subject's name.

    Args:
        folder: of the weights.
        trained_on, tested_on: hashes of inputs.
    """
    return trained_on == tested_on or (folder / CLIPS_NAME).is_file()


def _seen_maps(
    path: Path, own: pd.DataFrame, hashes: list[str], note: WeightsFile
) -> list[tuple[str, str]]:
    """Test clips whose map the weights have seen under another subject's name, and that name."""
    known, found = _read_clips(path.parent), []
    for subject, clip, sha256 in zip(
        own["dataset"] + "/" + own["subject"], own["clip"], hashes, strict=True
    ):
        owners = known.get(sha256, set())
        # Where the run itself was given one map of two subjects, it was asked to.
        seen = sorted(owners & set(note.trained_on))
        if seen and subject not in owners:
            found.append((f"{subject}/{clip}", seen[0]))
    return found


def write_clips(folder: Path, inputs: Inputs) -> None:
    """Write what the clips of a run are, for ``check_note``: a hash of each one's maps."""
    table = inputs.clips[["dataset", "subject", "clip"]].assign(maps_sha256=inputs.clip_hashes)
    write_text(folder / CLIPS_NAME, table.to_csv(index=False, lineterminator="\n"))


def _read_clips(folder: Path) -> dict[str, set[str]]:
    """By the hash of a map "dataset/subject" of its clips; empty for weights without a table."""
    path = folder / CLIPS_NAME
    return _owners_of_maps(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=1)
def _owners_of_maps(path: Path, changed: int) -> dict[str, set[str]]:
    """Once for all folds of a folder whose table was last changed at that time."""
    check_unchanged(path.parent, [path])
    table = read_table(path, ["dataset", "subject", "maps_sha256"], "Train again.")
    found: dict[str, set[str]] = {}
    for dataset, subject, sha256 in table[["dataset", "subject", "maps_sha256"]].to_numpy():
        if sha256:
            found.setdefault(sha256, set()).add(f"{dataset}/{subject}")
    return found


def weights_paths(folder: Path, folds: list[Fold]) -> list[Path]:
    """The files that a run may write or replace in a folder of weights."""
    names = [fold.name for fold in folds]
    weights = [folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES]
    both = [folder / DESCRIPTION_NAME, folder / CLIPS_NAME]
    return [*both, *weights, *(note_path(folder, name) for name in names)]


def describe_weights(run: Run, configuration: Configuration) -> dict[str, Any]:
    """What ``eval.py`` must know to use the weights of a configuration."""
    description: dict[str, Any] = {
        "method": run.method,
        "method_sha256": run.method_sha256,
        "settings": plain(configuration.settings),
        "configuration": run.configuration_hash(configuration),
        "preparation": asdict(run.preparation),
        "training": None if run.training is None else asdict(run.training),
        "class_names": list(run.class_names),
        "inputs_sha256": run.inputs_sha256,
        "synthetic": run.synthetic,
        "seed": run.seed,
        "threads": run.threads,
        "protocol": run.protocol,
        "label_shuffle": run.label_shuffle,
        "epoch_rule": "last",
        "epoch": run.epochs,
    }
    if run.doubles:
        description["doubles"] = run.doubles
    if run.subject_share != 1:
        description["subject_share"] = run.subject_share
    if run.init_weights is not None:
        description["init_weights"] = run.init_weights
    return description


def check_description(folder: Path, description: dict[str, Any]) -> bool:
    """Whether the folder holds this description already.

    Raises:
        UserError: the folder holds another run's weights.
    """
    found = read_description(folder)
    if found not in (None, description):
        raise UserError(f"{folder} holds another run's weights. Give another folder.")
    return found is not None


def write_description(folder: Path, description: dict[str, Any], method: Method) -> None:
    """Write a description, and a copy of a user's method file."""
    keep_method(folder, method)
    write_text(folder / DESCRIPTION_NAME, json.dumps(description, indent=1) + "\n")


def keep_method(folder: Path, method: Method) -> None:
    """Write a copy of a user's method file into a folder; the suite's methods need none."""
    if not method.built_in:
        write_text(folder / method.path.name, method.source)


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as YAML types: tuples become lists."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()
    }
