"""Weights that folds start from: refused where they have seen the fold's test subject.

What weights have seen is what their notes say (``<fold>.json``, written by ``--save-weights``).
Weights without a note are refused too: nobody knows whom they were trained on.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import UserError
from common.refusals import Refusal, few
from datasets import Fold, Inputs
from models.pretrained import CLIPS_NAME, note_path, read_description
from models.weight_files import find_weights
from training.weights_folder import check_note, knows_maps

DIGITS = 12
"""Of the hash that names the weights."""


@dataclass(frozen=True)
class InitialFold:
    """What a fold starts from: a weights file, and "dataset/subject" of all that it has seen."""

    path: Path
    trained_on: tuple[str, ...]


@dataclass(frozen=True)
class InitialWeights:
    """What the folds of a run start from.

    Attributes:
        name: the folder's name and the start of the notes' hash, which the run records; the notes
            hold the hashes of the weights.
        folds: by the fold's name.
        subjects: "dataset/subject" of the test subjects that were checked.
    """

    name: str
    folds: Mapping[str, InitialFold] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was checked, for the terminal."""
        return (
            f"{len(self.folds)} folds start from weights {self.name}; {len(self.subjects)} test "
            "subjects checked: none was among those that the weights of their fold have seen"
        )


def find_initial_weights(
    folder: Path, folds: Sequence[Fold], inputs: Inputs, array: str
) -> InitialWeights:
    """The weights of every fold, checked against the fold's test clips.

    Args:
        folder: holds a weights file and a note for each fold, as ``--save-weights`` writes them.
        folds: those that are run.
        array: what of the inputs the method takes.

    Raises:
        UserError: a fold has no weights or no note, the weights are not those of the note, or they
            have seen the test subject.
    """
    names = [fold.name for fold in folds]
    paths = find_weights(folder, names)
    missing = [name for name in names if name not in paths]
    if missing:
        raise Refusal(folder, f"holds no weights of {few(missing)}. Give one of all folds.")
    found = {fold.name: _checked(paths[fold.name], fold, inputs) for fold in folds}
    parent = next(iter(paths.values())).parent
    description = read_description(parent) or {}
    if not knows_maps(parent, description.get("inputs_sha256"), inputs.sha256_of(array)):
        raise Refusal(
            parent,
            f"was trained on other inputs, and lacks {CLIPS_NAME}, which tells whether they hold "
            "the same clips under other names. Train these weights again.",
        )
    tested = {subject for fold in folds for subject in _subjects(inputs, fold)}
    return InitialWeights(_name(parent), found, tuple(sorted(tested)))


def _checked(path: Path, fold: Fold, inputs: Inputs) -> InitialFold:
    note, _ = check_note(path, fold, inputs)
    if note is None:
        raise Refusal(
            path,
            f"has no note {note_path(path.parent, fold.name).name}, so nobody knows whom it has "
            "seen. Start from weights that --save-weights kept.",
        )
    return InitialFold(path.resolve(), tuple(note.trained_on))


def _subjects(inputs: Inputs, fold: Fold) -> set[str]:
    """ "dataset/subject" of the fold's test clips."""
    own = inputs.clips.iloc[fold.test_indices]
    return set(own[["dataset", "subject"]].agg("/".join, axis=1))


def _name(folder: Path) -> str:
    """Over the notes of all folds in the folder, so that part of a run records the same."""
    content = hashlib.sha256()
    for path in sorted(folder.glob("*.json")):
        content.update(f"{path.name}\n".encode() + path.read_bytes())
    return f"{folder.resolve().name} {content.hexdigest()[:DIGITS]}"


def check_may_start(trained: bool, inner: bool, method: str) -> None:
    """Refuse what cannot start from weights, or would choose an epoch on subjects they have seen.

    Raises:
        UserError: an estimator, or a run with ``--inner``.
    """
    if not trained:
        raise UserError(
            f"init_weights: method {method} is fitted at once, without weights to start from. "
            "Leave it out."
        )
    if inner:
        raise UserError(
            "--init-weights with --inner: the weights have seen the validation subjects on whom "
            "the epoch would be chosen. Leave one of them out."
        )
