"""scikit-learn estimators behind the interface of a network: scores of clips, a file of weights.

An estimator that holds arrays, numbers, texts, lists and dicts becomes a safetensors file, another
one a file of skops; reading either runs no code. Equal estimators give equal bytes.
"""

import inspect
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from common.errors import UserError, name_list
from models.method import Method, describe, user_code
from models.plain_state import NotPlainError, dump_state, load_state

SMALLEST = 1e-30
"""Probabilities below this count as this, so that their logarithm is finite."""
ABSENT = -1e4
"""Score of a class that was not among the training clips: below all others."""
SCHEMA = "schema.json"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
OWN_MODULES = "models."
PLAIN_SUFFIX, SKOPS_SUFFIX = ".safetensors", ".skops"
ZIP = b"PK"
"""How a file of skops begins."""


def fit_estimator(
    method: Method,
    estimator: Any,
    clips: NDArray[np.float32],
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
) -> Any:
    """Fit on a fold's training clips, on one thread: more would change the bytes.

    Args:
        clips: float32 [N, *shape], as the method's input is prepared.
        labels: [N].
        groups: "dataset/subject" of each clip; given to a ``fit`` that has a parameter ``groups``.

    Raises:
        UserError: the user's ``fit`` fails.
    """
    features = estimator_features(method, clips)
    with user_code(method.path, "fit failed"), threadpool_limits(limits=1):
        takes_groups = "groups" in inspect.signature(estimator.fit).parameters
        given = {"groups": groups} if takes_groups else {}
        estimator.fit(features, labels, **given)
    return estimator


def estimator_features(method: Method, clips: NDArray[np.float32]) -> NDArray[Any]:
    """The file's ``features(clips)``, else the clips flattened: [N, F]."""
    make = method.hook("features")
    if make is not None:
        with method.running("features failed"):
            return np.asarray(make(clips))
    return clips.reshape(len(clips), -1)


def estimator_scores(
    method: Method, estimator: Any, clips: NDArray[np.float32], classes: int
) -> NDArray[np.float32]:
    """Scores [N, C], the highest of which is the prediction.

    The logarithm of ``predict_proba``, else ``decision_function``, else 0 for the predicted class.
    A class without training clips gets ``ABSENT``.

    Raises:
        UserError: a user's estimator fails; or its scores do not have one column for each class
            seen in training.
    """
    features = estimator_features(method, clips)
    with method.running("its estimator cannot score clips"), threadpool_limits(limits=1):
        own = np.asarray(_own_scores(estimator, features))
        known = np.asarray(getattr(estimator, "classes_", np.arange(classes)), dtype=np.int64)
    if own.dtype.kind not in "biuf" or not np.isin(known, np.arange(classes)).all():
        raise UserError(
            f"method {method.name} gives scores of type {own.dtype} for the classes "
            f"{name_list(known.ravel())}: numbers for classes from 0 to {classes - 1} are needed."
        )
    if own.shape != (len(clips), *known.shape) or known.ndim != 1:
        raise UserError(
            f"method {method.name} gives scores of shape {list(own.shape)} for {len(clips)} clips "
            f"of {known.size} classes; [{len(clips)}, {known.size}] is needed."
        )
    scores = np.full((len(clips), classes), ABSENT, dtype=np.float32)
    scores[:, known] = own
    return scores


def _own_scores(estimator: Any, features: NDArray[Any]) -> NDArray[Any]:
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(features))
        if (probabilities < 0).any():
            raise UserError("predict_proba gives numbers below 0. Return probabilities.")
        return np.log(np.clip(probabilities, SMALLEST, None))
    if hasattr(estimator, "decision_function"):
        decision = np.asarray(estimator.decision_function(features))
        # scikit-learn gives one number for two classes: the second's.
        return np.stack([-decision, decision], 1) if decision.ndim == 1 else decision
    predicted = np.asarray(estimator.predict(features))
    known = np.asarray(getattr(estimator, "classes_", np.unique(predicted)))
    if not np.isin(predicted, known).all():
        raise UserError("predict gives classes that were not in training. Return those of y.")
    return np.where(predicted[:, None] == known, 0.0, ABSENT)


def dump_estimator(estimator: Any) -> bytes:
    """The file's content.

    Raises:
        UserError: it holds something that skops cannot store.
    """
    state = estimator.__getstate__()
    if isinstance(state, dict):
        try:
            return dump_state(state)
        except NotPlainError:
            pass  # skops knows scikit-learn's own objects.
    # Imported where used: skops imports all of scikit-learn, which takes two seconds.
    import skops.io

    try:
        content = skops.io.dumps(estimator)
    except Exception as error:
        raise UserError(
            f"the fitted {type(estimator).__name__} cannot be saved ({describe(error)}). Keep "
            "numbers, texts, arrays and scikit-learn objects in it, or leave --save-weights out."
        ) from error
    return _renumbered(content)


def estimator_suffix(content: bytes) -> str:
    """The ending of the file that this content goes to."""
    return SKOPS_SUFFIX if content.startswith(ZIP) else PLAIN_SUFFIX


def load_estimator(path: Path, method: Method, built: Any) -> Any:
    """Read a fitted estimator; of classes, only scikit-learn's, the suite's and the method file's.

    Args:
        built: what the method's file builds with the settings of the fitted one, not fitted; it is
            given the state of a safetensors file.

    Raises:
        UserError: the file is damaged or holds classes of another origin.
    """
    if path.suffix == PLAIN_SUFFIX:
        return _with_state(path, built, method.built_in)
    import skops.io

    # What the method's own file defines is as trusted as that file, which has been run by now.
    own = (OWN_MODULES, method.module.__name__ + ".")
    try:
        content = path.read_bytes()
        unknown = skops.io.get_untrusted_types(data=content)
        trusted = [name for name in unknown if name.startswith(own)]
        foreign = [name for name in unknown if name not in trusted]
        if not foreign:
            return skops.io.loads(content, trusted=trusted)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a fitted estimator ({describe(error)}). Write it again."
        ) from error
    raise UserError(
        f"{path} is refused: it holds {foreign[0]}, which is neither scikit-learn's nor of method "
        f"{method.name}. Give the method's own file."
    )


def _with_state(path: Path, built: Any, finite: bool) -> Any:
    """The estimator with the file's state; one of the suite's methods has finite numbers only."""
    try:
        state = load_state(path.read_bytes())
        if finite and not _is_finite(state):
            raise ValueError("it holds values that are not finite numbers")
        if hasattr(built, "__setstate__"):
            built.__setstate__(state)
        else:
            vars(built).update(state)
    except Exception as error:
        raise UserError(
            f"{path} cannot be read as a fitted estimator ({describe(error)}). Write it again."
        ) from error
    return built


def _is_finite(state: Any) -> bool:
    if isinstance(state, dict):
        return all(map(_is_finite, state.values()))
    if isinstance(state, (list, tuple)):
        return all(map(_is_finite, state))
    array = np.asarray(state)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _renumbered(content: bytes) -> bytes:
    """skops numbers objects by their addresses, which differ from run to run."""
    source = zipfile.ZipFile(io.BytesIO(content))
    schema = json.loads(source.read(SCHEMA))
    numbers: dict[str, int] = {}
    _renumber(schema, numbers)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            if name != SCHEMA:
                _write(target, _renamed(name, numbers), source.read(name))
        _write(target, SCHEMA, json.dumps(schema, indent=1).encode())
    return buffer.getvalue()


def _renumber(node: Any, numbers: dict[str, int]) -> None:
    if isinstance(node, list):
        for part in node:
            _renumber(part, numbers)
    if not isinstance(node, dict):
        return
    if "__id__" in node:
        node["__id__"] = numbers.setdefault(str(node["__id__"]), len(numbers))
    if isinstance(node.get("file"), str):
        node["file"] = _renamed(node["file"], numbers)
    for name, part in node.items():
        if name not in ("__id__", "file"):
            _renumber(part, numbers)


def _renamed(file: str, numbers: dict[str, int]) -> str:
    stem, dot, ending = file.partition(".")
    return f"{numbers.setdefault(stem, len(numbers))}{dot}{ending}"


def _write(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, FIXED_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    target.writestr(entry, content)
