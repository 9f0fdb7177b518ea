"""Command lines of the scripts: a frozen dataclass of settings, from flags over a YAML file."""

import contextlib
import io
import os
import reprlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro
from pydantic import TypeAdapter, ValidationError

from common.bounds import check_bounds, check_text, read_number, read_whole
from common.errors import UserError, name_list
from common.version import VERSION
from common.yaml_files import read_yaml

Settings = TypeVar("Settings")
FLAG = "--config"
WIDE = 10_000
"""Columns of a terminal on which no message of tyro is wrapped."""
NARROWEST, WIDEST = 40, 400
"""Columns of a terminal that help is written for."""
FRAME = "╭╮╰╯│|+ "
"""What tyro draws around a message."""
_READERS: dict[type, Any] = {int: read_whole, float: read_number}

registry = tyro.constructors.ConstructorRegistry()


def parse_settings(settings: type[Settings], description: str | None) -> Settings:
    """Settings from ``sys.argv``: flags over the YAML file of ``--config FILE`` over the defaults.

    ``--version`` prints the suite's version and ends the program, as ``--help`` does.

    Raises:
        UserError: a flag or a value that is not understood or out of its bounds; a file that cannot
            be read, or holds an unknown key or a value of a wrong type.
    """
    arguments = sys.argv[1:]
    if "--version" in arguments:
        print(VERSION)
        raise SystemExit(0)
    for argument in arguments:
        check_text(argument)
    path, flags = _take_path(arguments)
    default = settings() if path is None else _read_file(settings, path)
    text = f"{description}\n{FLAG} FILE reads settings of the same names from a YAML file."
    parsed = _parse_flags(settings, default, flags, text)
    check_bounds(parsed)
    return parsed


def _parse_flags(
    settings: type[Settings], default: Settings, flags: list[str], description: str
) -> Settings:
    """tyro's reading of the flags; its framed messages become one sentence."""
    if {"-h", "--help"} & set(flags):
        # In fewer columns tyro looks for a layout without end.
        columns = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
        with _terminal_of(columns):
            return tyro.cli(settings, args=flags, default=default, description=description)
    framed = io.StringIO()
    try:
        with contextlib.redirect_stderr(framed), _terminal_of(WIDE):
            return tyro.cli(
                settings, args=flags, default=default, description=description, registry=registry
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise UserError(_sentence(framed.getvalue())) from None
    except _WrongValue as error:
        raise UserError(f"{_flag_before(error.text, flags)}: {error}") from None


class _WrongValue(UserError):
    """A text that is no value of its kind; the flag is not known where it is read."""

    def __init__(self, text: str, message: str) -> None:
        super().__init__(message)
        self.text = text


@registry.primitive_rule
def _bounded_number(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """Numbers of flags are read as ``common.bounds`` says, in place of Python's own reading."""
    reader = _READERS.get(info.type)
    if reader is None:
        return None

    def read(texts: list[str]) -> Any:
        try:
            return reader(texts[0])
        except UserError as error:
            raise _WrongValue(texts[0], str(error)) from None

    kind = info.type
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


@contextlib.contextmanager
def _terminal_of(columns: int) -> Iterator[None]:
    """tyro asks for the terminal's width and wraps and cuts its messages to it."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _sentence(framed: str) -> str:
    """The message in a frame, without its title, and what tyro writes below a line or a gap."""
    lines = [line.strip(FRAME) for line in framed.splitlines()[1:]]
    said: list[str] = []
    for line in lines:
        is_rule = not line.strip("─-")
        if said and is_rule:
            break
        if not is_rule:
            said.append(line)
    text = " ".join(said) or "the flags are not understood"
    return f"{text.rstrip('.')}. --help lists all flags."


def _flag_before(text: str, flags: list[str]) -> str:
    """The flag whose value a text is."""
    for place, argument in enumerate(flags):
        name, equals, value = argument.partition("=")
        if equals and value == text and name.startswith("--"):
            return name
        if argument == text:
            before = [flag for flag in flags[:place] if flag.startswith("--")]
            return before[-1].partition("=")[0] if before else "an argument"
    return "a value"


def _take_path(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """The value of ``--config`` and the other arguments."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag != FLAG:
            continue
        used = 1 if equals else 2
        rest = arguments[:place] + arguments[place + used :]
        text = value if equals else "".join(arguments[place + 1 : place + 2])
        if not text:
            raise UserError(f"{FLAG} needs the name of a YAML file.")
        return Path(text), rest
    return None, arguments


def _read_file(settings: type[Settings], path: Path) -> Settings:
    known = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    try:
        content: Any = read_yaml(path, "Give the name of a YAML file.")
    except UserError as error:
        raise UserError(f"{FLAG} {error}") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{FLAG} {path} is not a YAML mapping. Known settings: {name_list(known)}.")
    unknown = [key for key in content if key not in known]
    if unknown:
        raise UserError(
            f"{FLAG} {path}: unknown setting {name_list(unknown)}. Known: {name_list(known)}."
        )
    hints = get_type_hints(settings)
    for name, value in content.items():
        if not _fits(value, _kinds(hints[name])):
            raise UserError(
                f"{FLAG} {path}: {name} is {reprlib.repr(value)}, which is no such value."
            )
    try:
        return TypeAdapter(settings).validate_python(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"{FLAG} {path}: {'; '.join(problems)}.") from error


def _kinds(hint: Any) -> set[type]:
    """The types of the single values of a type: float and NoneType of tuple[float, ...] | None."""
    if get_origin(hint) is Literal:
        return {type(value) for value in get_args(hint)}
    parts = [part for part in get_args(hint) if part is not Ellipsis]
    return set().union(*map(_kinds, parts)) if parts else {hint}


def _fits(value: Any, kinds: set[type]) -> bool:
    """Whether a value of a YAML file, or each of a list, is of one of these types.

    So ``true`` and "5" are no numbers, and a number is no name.
    """
    if isinstance(value, (list, tuple)):
        return all(_fits(part, kinds) for part in value)
    allowed = kinds | ({int} if float in kinds else set()) | ({str} if Path in kinds else set())
    return type(value) in allowed
