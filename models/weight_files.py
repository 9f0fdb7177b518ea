"""Which file of a folder holds which fold's weights: the suite's own names and downloaded ones."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.refusals import Refusal, few

ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", ".pth.tar", ".bin")
NO_WEIGHTS = "__MACOSX"
"""A folder that macOS puts into archives, with files of the same names."""
OTHER_STATE = re.compile(r"(?<![a-z])(?:optimi[sz]er|optim|scheduler|scaler)(?![a-z])")
"""In the name of a file that training scripts save beside the weights."""
WORD = r"(?<![^\W_]){}(?![^\W_])"
"""A word of a file name: no letter or digit before it or behind."""


def find_weights(folder: Path, fold_names: Sequence[str]) -> dict[str, Path]:
    """The file of each fold's weights, in the order of ``fold_names``; folds without one lack.

    ``<fold>.pth``, .pt or .safetensors is certain. So is a name that holds one fold's name as a
    word (``sub01_best.pth``), where no other file does; so is ``s1.pth`` for s01, and the only
    file of a folder ``sub01``. Where the only weights lie in one folder below, that one is taken.
    Upper and lower case are the same. States of optimizers are not looked at.

    Raises:
        UserError: no folder, no weights of these folds, or it is not certain which file is whose.
    """
    if folders := _folders_of(folder, fold_names):
        return folders
    files = _weight_files(folder)
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(_stem(path).casefold(), []).append(path)
    names = {name.casefold() for name in fold_names}
    free = [path for path in files if _stem(path).casefold() not in names]
    found = ((fold, _file_of(fold, by_name, free, fold_names)) for fold in fold_names)
    present = {fold: path for fold, path in found if path is not None}
    if not present:
        raise Refusal(
            folder,
            f"holds no weights of these subjects, but {few(path.name for path in files)}. Name "
            f"each file by its subject, such as {_example(fold_names[0])}.",
        )
    return present


def _folders_of(folder: Path, folds: Sequence[str]) -> dict[str, Path]:
    """The only file of each folder that is called as a fold; none where there are other weights."""
    if not folder.is_dir() or _files_in(folder):
        return {}
    below = {place.name: _files_in(place) for place in folder.iterdir() if place.is_dir()}
    filled = {name: files for name, files in below.items() if files and name != NO_WEIGHTS}
    if any(name not in folds or len(files) > 1 for name, files in filled.items()):
        return {}
    return {fold: filled[fold][0] for fold in folds if fold in filled}


def weights_place(folder: Path) -> Path:
    """The folder in which ``find_weights`` looks; the one given where there are no weights."""
    try:
        return _weight_files(folder)[0].parent
    except Refusal:
        return folder


def _weight_files(folder: Path) -> list[Path]:
    """The weights in the folder, or in the only folder below that holds any, at any depth."""
    if not folder.is_dir():
        raise Refusal(folder, "is not a folder. Give one that holds <subject>.safetensors or .pth.")
    if own := _files_in(folder):
        return own
    entries = sorted(folder.iterdir())
    places = [entry for entry in entries if entry.is_dir() and entry.name != NO_WEIGHTS]
    below = {place.name: files for place in places if (files := _files_in(place))}
    if not below and len(places) == 1 and not places[0].is_symlink():
        return _weight_files(places[0])
    if len(below) > 1:
        raise Refusal(folder, f"holds {len(below)} folders of weights: {few(below)}. Give one.")
    if not below:
        held = few(entry.name for entry in entries) or "nothing"
        raise Refusal(
            folder, f"holds no weights (files that end in {', '.join(ENDINGS)}), but {held}."
        )
    return next(iter(below.values()))


def _files_in(folder: Path) -> list[Path]:
    """Weights right in the folder; hidden files, as macOS adds to archives, are none."""
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    weights = (path for path in visible if not OTHER_STATE.search(path.name.lower()))
    return sorted(p for p in weights if p.name.lower().endswith(ENDINGS) and p.is_file())


def _stem(path: Path) -> str:
    ending = max((e for e in ENDINGS if path.name.lower().endswith(e)), key=len)
    return path.name[: -len(ending)]


def _file_of(
    fold: str, by_name: Mapping[str, list[Path]], free: Sequence[Path], folds: Sequence[str]
) -> Path | None:
    """The file of a fold.

    Args:
        by_name: the files by their names without ending, in lower case.
        free: those that are called as no fold is.
    """
    named = by_name.get(fold.casefold(), [])
    if not named and not fold.isdecimal():
        short = _without_zeros(fold)
        named = [path for path in by_name.get(short, []) if path in free]
    if not named:
        named = [path for path in free if _mentions(_stem(path), fold)]
        for path in named:
            _check_certain(path, fold, folds)
    if len(named) > 1:
        raise Refusal(
            named[0].parent,
            f"holds {few(path.name for path in named)}: which one is of {few([fold])} is not "
            f"certain. Keep one, or name it {_example(fold)}.",
        )
    return named[0] if named else None


def _without_zeros(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold())


def _check_certain(path: Path, fold: str, folds: Sequence[str]) -> None:
    """Refuse a name that holds several folds' names, or several numbers where one is a fold's."""
    mentioned = [name for name in folds if _mentions(_stem(path), name)]
    numbers = re.findall(WORD.format(r"\d+"), _stem(path))
    if len(mentioned) > 1 or (fold.isdecimal() and len(numbers) > 1):
        raise Refusal(
            path,
            f"may be the weights of {few(mentioned)}, or of nobody. Name it by its subject alone, "
            f"such as {_example(fold)}.",
        )


def _mentions(stem: str, fold: str) -> bool:
    word = WORD.format(re.escape(fold))
    return fold.casefold() in stem.casefold() and bool(re.search(word, stem, re.IGNORECASE))


def _example(fold: str) -> str:
    return f"{few([fold], room=30)}{ENDINGS[0]}"
