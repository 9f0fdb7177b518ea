"""YAML from files and flags, within bounds: deep or self-multiplying text is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from common.errors import UserError

MOST_BYTES = 2**24
DEEPEST = 30
MOST_VALUES = 1_000_000
"""Of a file with all its aliases written out."""
LONGEST_NUMBER = 1000
"""Characters; Python takes long to read and refuses to print numbers of thousands of digits."""
NUMBER_LIKE = re.compile(r"[-+]?[0-9][0-9a-fA-FxX_:.]*")
# libyaml reads ten times faster; the record of a large grid is read several times.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, what_to_do: str = "Correct it or move it away.") -> Any:
    """What a YAML file holds, as plain types, or a file .json, in which 1e-5 is a number.

    Raises:
        UserError: it is no regular file, cannot be read, or is not plain YAML within the bounds.
    """
    try:
        if not path.is_file():
            kind = "it is not a regular file" if path.exists() else "there is no such file"
            raise UserError(f"{path} cannot be read: {kind}. {what_to_do}")
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is too large for a file of settings. {what_to_do}")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. {what_to_do}") from error
    except UnicodeDecodeError:
        raise UserError(f"{path} cannot be read: it is not UTF-8 text. {what_to_do}") from None
    try:
        return _parse(text, json.loads if path.suffix == ".json" else _load)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}. {what_to_do}") from error


def parse_yaml(text: str) -> Any:
    """What YAML text holds, as plain types.

    Raises:
        ValueError: it is not plain YAML, or beyond the bounds; the message is one line.
    """
    return _parse(text, _load)


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


def _parse(text: str, load: Callable[[str], Any]) -> Any:
    try:
        _check_events(text)
    except yaml.YAMLError as error:
        raise ValueError(_one_sentence(error)) from error
    try:
        content = load(text)
    except yaml.YAMLError as error:
        raise ValueError(_one_sentence(error)) from error
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"a value in it is no plain value ({str(error)[:60]})") from error
    if _count_values(content, {}, set()) > MOST_VALUES:
        raise ValueError("it multiplies itself by its aliases")
    return content


def _one_sentence(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    mark = getattr(error, "problem_mark", None)
    return f"{problem} in line {mark.line + 1}" if mark is not None else problem


def _check_events(text: str) -> None:
    """Refuse what takes long to build, or would vanish.

    Events come one after the other, whatever the depth; building values is recursive. A merge can
    double what it merges, and of a key that stands twice only the last value would count.
    """
    # Of each open collection how many nodes it has, and the keys of a mapping; None for a list.
    counts: list[int] = []
    keys: list[set[str] | None] = []
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES} values")
        if isinstance(event, yaml.CollectionEndEvent):
            counts.pop()
            keys.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        known = keys[-1] if keys else None
        is_key = known is not None and counts[-1] % 2 == 0
        if isinstance(event, yaml.ScalarEvent):
            _check_scalar(event, known if is_key else None)
        if counts:
            counts[-1] += 1
        if isinstance(event, yaml.CollectionStartEvent):
            counts.append(0)
            keys.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
        if len(counts) > DEEPEST:
            raise ValueError(f"it is deeper than {DEEPEST} levels")


def _check_scalar(event: yaml.ScalarEvent, known: set[str] | None) -> None:
    """Refuse a scalar; ``known`` are the keys before it where it is one itself."""
    text = event.value
    if event.implicit[0] and len(text) > LONGEST_NUMBER and NUMBER_LIKE.fullmatch(text):
        raise ValueError(f"a number in it has {len(text)} characters")
    if known is None:
        return
    if text == "<<":
        raise ValueError("it merges mappings (<<); write them out")
    if text in known:
        raise ValueError(f"it gives {text[:40]!r} twice; keep one")
    known.add(text)


def _count_values(content: Any, known: dict[int, int], above: set[int]) -> int:
    """Values with all aliases written out; more than allowed where a value holds itself."""
    if not isinstance(content, (list, dict, set)):
        return 1
    own = id(content)
    if own in above:
        return MOST_VALUES + 1
    if own not in known:
        parts = content.values() if isinstance(content, dict) else content
        known[own] = 1 + sum(_count_values(part, known, above | {own}) for part in parts)
    return known[own]
