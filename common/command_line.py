"""Command lines of the scripts: a frozen dataclass of settings, from flags over a YAML file."""

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import tyro
import yaml
from pydantic import TypeAdapter, ValidationError

from common.errors import UserError, name_list

Settings = TypeVar("Settings")
FLAG = "--config"


def parse_settings(settings: type[Settings], description: str | None) -> Settings:
    """Settings from ``sys.argv``: flags over the YAML file of ``--config FILE`` over the defaults.

    Unknown flags end the program with exit code 2, as tyro does it.

    Raises:
        UserError: the file cannot be read, or holds an unknown key or a value of a wrong type.
    """
    path, flags = _take_path(sys.argv[1:])
    default = settings() if path is None else _read_yaml(settings, path)
    text = f"{description}\n{FLAG} FILE reads settings of the same names from a YAML file."
    return tyro.cli(settings, args=flags, default=default, description=text)


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


def _read_yaml(settings: type[Settings], path: Path) -> Settings:
    known = [field.name for field in fields(settings)]  # type: ignore[arg-type]
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{FLAG} {path} cannot be read: {error}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"{FLAG} {path} is not a YAML mapping. Known settings: {name_list(known)}.")
    unknown = [key for key in content if key not in known]
    if unknown:
        raise UserError(
            f"{FLAG} {path}: unknown setting {name_list(unknown)}. Known: {name_list(known)}."
        )
    try:
        return TypeAdapter(settings).validate_python(content)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
        raise UserError(f"{FLAG} {path}: {'; '.join(problems)}.") from error
