"""Atomic writes and a folder lock: a kill leaves the old file or the new, never half a file."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from common.errors import UserError

LOCK_NAME = ".lock"
TEMPORARY_PREFIX = ".unfinished-"


def check_output_file(path: Path) -> None:
    """Refuse a name under which no file can be written; scripts ask before they compute.

    Raises:
        UserError: it is a folder, or a folder above it is a file.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    if is_folder:
        raise UserError(f"{path} is a folder. Give the name of a file.")
    check_output_folder(path.parent)


def check_output_folder(path: Path) -> None:
    """Refuse a name that can be no folder.

    Raises:
        UserError: it is a file, or a folder above it is one.
    """
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    if not nearest.is_dir():
        raise UserError(f"{nearest} is a file, and a folder is needed there. Give another name.")


def _cannot_write(path: Path, error: OSError) -> str:
    return f"{path} cannot be written: {error.strerror}. Give another place."


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; what was written there takes its place at the end.

    An error within leaves ``path`` as it was and removes the temporary file.

    Raises:
        UserError: there can be no such file, or none may be written there.
    """
    check_output_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY_PREFIX)
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file beside ``path``, then rename it into place."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """``write_bytes`` for text: UTF-8, line ends as given on every platform."""
    write_bytes(path, content.encode("utf-8"))


def remove_unfinished(folder: Path) -> None:
    """Delete the temporary files that a killed process left below ``folder``."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        path.unlink(missing_ok=True)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; the lock dies with the process, even when killed.

    Raises:
        UserError: another process holds it, or it can be no folder to write to.
    """
    lock = acquire_folder(folder)
    try:
        yield
    finally:
        lock.release()


def acquire_folder(folder: Path) -> BaseFileLock:
    """The lock of ``lock_folder``, held until its ``release`` is called."""
    check_output_folder(folder)
    lock = FileLock(folder / LOCK_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder} is in use by another process. Wait for it to end, "
            "or write to another folder."
        ) from None
    except OSError as error:
        raise UserError(_cannot_write(folder, error)) from None
    return lock
