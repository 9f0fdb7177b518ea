"""A method is one file: what it takes, how that is prepared, how it is trained, and the model.

The suite's own methods lie in this package; a user's lies anywhere. ``docs/your_own_method.md``
lists every name that a method file may hold.
"""

import ast
import hashlib
import importlib
import inspect
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from common.bounds import BOUNDS
from common.errors import UserError, name_list

BUILT_IN = {
    "au_kernel": "models.au_kernel",
    "au_rule": "models.au_rule",
    "causalnet": "models.causalnet.published",
    "causalnet_compact": "models.causalnet.compact",
    "causalnet_compact_v1": "models.causalnet.compact_v1",
    "causalnet_pretrained": "models.causalnet.pretrained",
    "causalnet_spatial": "models.causalnet.spatial",
    "htnet": "models.htnet",
    "linear": "models.linear",
    "majority": "models.majority",
    "mmnet": "models.mmnet",
    "off_tanet": "models.off_tanet",
    "srmcl": "models.srmcl",
    "ststnet": "models.ststnet",
}
"""Name of each method of the suite -> its module."""

_ROOT = Path(__file__).resolve().parent.parent
SUFFIX = ".py"
HASH_LENGTH = 12
LITERALS: dict[str, tuple[type, str]] = {
    "cost": (str, "a text"),
    "grid": (dict, "a dictionary of lists"),
    "group_size": (int, "a whole number"),
    "input": (str, "a text"),
    "phases": (int, "1 or 2"),
    "preparation": (dict, "a dictionary of steps"),
    "sees_clips": (bool, "True or False"),
    "small": (dict, "a dictionary of settings"),
    "stackable": (bool, "True or False"),
    "training": (dict, "a dictionary of settings"),
    "training_by_classes": (dict, "a dictionary of dictionaries, by the number of classes"),
}
"""What may be written out in a method file, and as what."""
RANGES = {"phases": (1, 2), "group_size": BOUNDS["group_size"]}
"""Of numbers among them."""
FIXED_PARAMETERS = ("classes", "stored", "clips", "generator")
"""Of ``build`` and ``prepare``: given by the suite, not set by a user."""


@dataclass(frozen=True)
class Method:
    """A method file. Its code runs when something is built, not before; it can be pickled.

    Attributes:
        name: a built-in name, or the file's name without its ending.
        source: text of the file.
        path: where the file is or was.
        built_in: whether it belongs to the suite.
        facts: the literals of the file, by name; what is not given is not in it.
        description: first line of its docstring.
    """

    name: str
    source: str
    path: Path
    built_in: bool
    facts: Mapping[str, Any]
    description: str

    @property
    def sha256(self) -> str | None:
        """Hash of a user's file; None for a method of the suite, which its version identifies."""
        return None if self.built_in else hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def input(self) -> str:
        """Name of the stored array that it takes."""
        return str(self.facts.get("input", "maps"))

    @property
    def phases(self) -> int:
        """2 where it looks at the maps after the apex too; 1 where onset to apex is enough."""
        return int(self.facts.get("phases", 2 if self.input == "maps" else 1))

    @property
    def trained(self) -> bool:
        """Whether it is a network that is trained by epochs; else an estimator, fitted at once."""
        return "training" in self.facts

    @property
    def module(self) -> ModuleType:
        """The file as a module; runs its code the first time."""
        if self.built_in:
            return importlib.import_module(BUILT_IN[self.name])
        return _run_source(self.source, self.path)

    def hook(self, name: str) -> Callable[..., Any] | None:
        """An optional function of the file.

        Raises:
            UserError: the file has that name for something that cannot be called.
        """
        found = getattr(self.module, name, None)
        if found is not None and not callable(found):
            raise UserError(f"{self.path}: {name} must be a function. Rename it or make it one.")
        return found

    def running(self, what: str) -> AbstractContextManager[None]:
        """``user_code`` for a user's file; a fault of the suite's own methods stays what it is."""
        return nullcontext() if self.built_in else user_code(self.path, what)

    @cached_property
    def settings(self) -> list[str]:
        """Names of its settings: keyword arguments of ``build`` and ``prepare``."""
        return list(dict.fromkeys([*self._parameters("build"), *self._parameters("prepare")]))

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a value of another type than ``build`` or ``prepare`` declares for a setting.

        Raises:
            UserError: it is of one, such as the truth value that YAML reads where a text is due.
        """
        for function in ("build", "prepare"):
            hint = _type_hints(self.hook(function)).get(name)
            if hint is None:
                continue
            try:
                # A tuple, as lists are read, will do for a list.
                TypeAdapter(hint).validate_python(value, strict=not isinstance(value, tuple))
            except PydanticSchemaGenerationError:
                continue
            except ValidationError as error:
                reason = error.errors()[0]["msg"]
                raise UserError(
                    f"{name}={reprlib.repr(value)}: method {self.name} takes another type "
                    f"({reason}). A text in quotes stays a text."
                ) from None

    def training(self, classes: int) -> dict[str, Any] | None:
        """Training settings for that many classes; None for an estimator."""
        if not self.trained:
            return None
        return {
            **self.facts["training"],
            **self.facts.get("training_by_classes", {}).get(classes, {}),
        }

    def arguments(self, function: str, settings: Mapping[str, Any], classes: int) -> dict[str, Any]:
        """Those of the settings, and the number of classes, that a function of the file takes."""
        known = {"classes": classes, **settings}
        return {
            name: known[name] for name in self._parameters(function, "classes") if name in known
        }

    def _parameters(self, function: str, *more: str) -> list[str]:
        """Keyword arguments of a function of the file; none where it has no such function."""
        found = self._build if function == "build" else self.hook(function)
        if found is None:
            return []
        with user_code(self.path, f"the arguments of {function} cannot be read"):
            names = inspect.signature(found).parameters
        return [name for name in names if name in more or name not in FIXED_PARAMETERS]

    def build(self, **settings: Any) -> Any:
        """A fresh network or estimator; random weights come from torch's global generator.

        Raises:
            UserError: an unknown setting, or the file's ``build`` fails or gives something else.
        """
        own = self._parameters("build", "classes")
        unknown = [name for name in settings if name not in own]
        if unknown:
            raise UserError(
                f"method {self.name} has no setting {name_list(unknown)}; "
                f"it has {name_list(own) or 'none'}."
            )
        with user_code(self.path, f"build({_arguments(settings)}) failed"):
            built = self._build(**settings)
            if not (is_estimator(built) or is_network(built)):
                raise UserError(
                    f"{self.path}: build returned {type(built).__name__}. Return a torch.nn.Module "
                    "or a scikit-learn estimator (an object with fit and predict)."
                )
            self._check_kind(built)
        return built

    @property
    def _build(self) -> Callable[..., Any]:
        build = self.hook("build")
        if build is None:
            raise UserError(f"{self.path} has no function build(classes). Add one.")
        return build

    def _check_kind(self, built: Any) -> None:
        if self.trained and not is_network(built):
            raise UserError(
                f"{self.path}: `training` is given, but build returned {type(built).__name__}, "
                "which is fitted at once. Remove `training`."
            )
        if not self.trained and is_network(built):
            raise UserError(
                f"{self.path}: build returned a network, but the file says nothing about its "
                'training. Add training = {"epochs": 30, "batch_size": 32, "learning_rate": 1e-3}.'
            )


@contextmanager
def user_code(source: object, what: str, advice: str = "Correct the file.") -> Iterator[None]:
    """While code of a user's method file runs: whatever it raises becomes one line, which names
    the line of the file. So does ``sys.exit``, which would end the program without a word.

    Args:
        source: the path of the file.
        what: what does not work, such as "build failed".
        advice: what to do, a sentence.

    Raises:
        UserError: the code raised something. Ctrl-C and a lack of memory stay what they are.
    """
    try:
        yield
    except (UserError, KeyboardInterrupt, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        # torch's, on which a group of folds is halved; torch may not be imported here.
        if type(error).__name__ == "OutOfMemoryError":
            raise
        place = _line_of(error, str(source))
        raise UserError(f"{source}: {what} ({describe(error)}{place}). {advice}") from error


def _line_of(error: BaseException, source: str) -> str:
    """Where in the file an error was raised; empty where nowhere in it."""
    calls = traceback.walk_tb(error.__traceback__)
    lines = [number for frame, number in calls if frame.f_code.co_filename == source]
    return f", line {lines[-1]}" if lines else ""


def _type_hints(function: Callable[..., Any] | None) -> dict[str, Any]:
    """The declared types of a function's parameters; none where they name what is not there."""
    try:
        return {} if function is None else get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return {}


def is_estimator(built: Any) -> bool:
    """Whether it is fitted at once: it has ``fit`` and ``predict`` and is no network."""
    has_both = all(callable(getattr(built, name, None)) for name in ("fit", "predict"))
    return has_both and not is_network(built)


def is_network(built: Any) -> bool:
    """Whether it is a ``torch.nn.Module``; without importing torch for what is not."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(built, torch.nn.Module)


def describe(error: BaseException) -> str:
    """An error of a user's code in one line of at most about 150 characters."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a user's own error may not even have a text
        text = ""
    return f"{type(error).__name__}: {text[:130]}" if text else type(error).__name__


def list_methods() -> dict[str, str]:
    """Every method of the suite with its one line; runs none of their code."""
    return {name: load_method(name).description for name in sorted(BUILT_IN)}


def load_method(name_or_path: str | Path) -> Method:
    """A method by its name, or by the path of its file (which ends in .py).

    Raises:
        UserError: there is none of that name, or the file cannot be read as Python.
    """
    name = str(name_or_path)
    if name in BUILT_IN:
        path = _ROOT / (BUILT_IN[name].replace(".", "/") + SUFFIX)
        return _read(name, path, built_in=True)
    path = Path(name_or_path)
    if path.suffix != SUFFIX:
        raise UserError(
            f"there is no method {name!r}. Choose one of {name_list(sorted(BUILT_IN))}, or give "
            "the path of your own file, such as my_method.py."
        )
    return _read(path.stem, path, built_in=False)


def _read(name: str, path: Path, built_in: bool) -> Method:
    if path.exists() and not path.is_file():
        raise UserError(f"method file {path} is not a file. Give the file itself.")
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"method file {path} cannot be read ({describe(error)}).") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"method file {path} is not Python ({describe(error)}).") from None
    docstring = ast.get_docstring(tree) or ""
    description = docstring.splitlines()[0] if docstring else "(no docstring)"
    return Method(name, source, path, built_in, _literals(tree, path), description)


def _literals(tree: ast.Module, path: Path) -> dict[str, Any]:
    """The assignments of the known names, as values; nothing is run."""
    found: dict[str, Any] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        for target in targets:
            if not isinstance(target, ast.Name) or target.id not in LITERALS:
                continue
            value = node.value  # type: ignore[attr-defined]
            try:
                found[target.id] = ast.literal_eval(value)
            except (ValueError, TypeError, RecursionError, MemoryError):
                raise UserError(
                    f"{path}: `{target.id}` must be written out as plain values (numbers, texts, "
                    "lists, dictionaries), so that it can be read without running the file."
                ) from None
            _check_kind_of(target.id, found[target.id], path)
    return found


def _check_kind_of(name: str, value: Any, path: Path) -> None:
    """Refuse a literal of a wrong type, before anything uses it.

    Raises:
        UserError: it is of one.
    """
    kind, words = LITERALS[name]
    parts = list(value.values()) if isinstance(value, dict) else []
    fits = type(value) is kind
    if name == "grid":
        fits = fits and all(isinstance(own, (list, tuple)) for own in parts)
    if name == "training_by_classes":
        fits = fits and all(isinstance(own, dict) for own in parts)
        fits = fits and all(type(key) is int for key in value)
    if name in RANGES:
        fits = fits and RANGES[name][0] <= value <= RANGES[name][1]
    if kind is dict and name != "training_by_classes":
        fits = fits and all(isinstance(key, str) for key in value)
    if not fits:
        raise UserError(f"{path}: `{name}` must be {words}, not {reprlib.repr(value)}.")


def _run_source(source: str, path: Path) -> ModuleType:
    """The module of a user's file, kept for the next call of the same text."""
    name = f"method_{hashlib.sha256(source.encode()).hexdigest()[:HASH_LENGTH]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    # In place before it runs: dataclasses and saved estimators look their module up by name.
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    advice = (
        "Correct it; it must not need anything that is not installed or does not lie in its folder."
    )
    try:
        with user_code(path, "the file cannot be imported", advice):
            exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    return module


def _arguments(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())
