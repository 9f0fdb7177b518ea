"""An object's state as safetensors bytes, where it holds arrays, numbers, texts, lists and dicts.

Arrays are tensors of the file; all else is one JSON text in its header. Reading runs no code.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

HEADER = "state"
ARRAY, TEXTS, TUPLE, DICT = "array", "texts", "tuple", "dict"
DTYPES = "?bBhHiIlLqQefd"
"""NumPy's characters of the types that safetensors stores and gives back as they were."""

Tensors = dict[str, NDArray[Any]]


class NotPlainError(TypeError):
    """Something that only its own class can rebuild."""


def dump_state(state: Mapping[str, Any]) -> bytes:
    """The file's content; equal states give equal bytes.

    Raises:
        NotPlainError: the state holds something else than is named above.
    """
    tensors: Tensors = {}
    header = {name: _encode(value, name, tensors) for name, value in state.items()}
    return bytes(save(tensors, {HEADER: json.dumps(header, sort_keys=True)}))


def load_state(content: bytes) -> dict[str, Any]:
    """What ``dump_state`` was given.

    Raises:
        ValueError: the content is damaged or of another kind.
    """
    try:
        tensors = load(content)
        header = json.loads(_header(content)[HEADER])
        return {name: _decode(value, tensors) for name, value in header.items()}
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no stored state: {error}") from error


def _header(content: bytes) -> dict[str, str]:
    """The texts in a safetensors header: 8 bytes of its length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length])["__metadata__"])


def _encode(value: Any, path: str, tensors: Tensors) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, np.ndarray):
        return _encode_array(value, path, tensors)
    if isinstance(value, (list, tuple)):
        parts = [_encode(part, f"{path}.{n}", tensors) for n, part in enumerate(value)]
        return {TUPLE: parts} if isinstance(value, tuple) else parts
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        own = {name: _encode(part, f"{path}.{name}", tensors) for name, part in value.items()}
        # A list of pairs keeps the order, on which sums may depend.
        return {DICT: [[name, part] for name, part in own.items()]}
    raise NotPlainError(f"{path} is a {type(value).__name__}")


def _encode_array(value: NDArray[Any], path: str, tensors: Tensors) -> Any:
    if value.dtype.kind == "U":
        return {TEXTS: value.tolist()}
    if value.dtype.char not in DTYPES:
        raise NotPlainError(f"{path} is an array of {value.dtype}")
    tensors[path] = np.ascontiguousarray(value).reshape(value.shape)
    return {ARRAY: path}


def _decode(value: Any, tensors: Tensors) -> Any:
    if isinstance(value, list):
        return [_decode(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    [(kind, held)] = value.items()
    if kind == ARRAY:
        return tensors[held]
    if kind == TEXTS:
        return np.array(held, dtype=np.str_)
    if kind == TUPLE:
        return tuple(_decode(part, tensors) for part in held)
    return {name: _decode(part, tensors) for name, part in held}
