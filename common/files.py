"""Atomic writes and a folder lock: a kill leaves the old file or the new, never half a file."""

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from common.errors import UserError
from common.owned_folder import RECORD_NAME, OwnedFolder, claimed, owner_of

LOCK_NAME = ".lock"
LONGEST_NAME = 255
"""Bytes of a file's or folder's name on all usual file systems."""
TEMPORARY_PREFIX = ".unfinished-"
TEMPORARY_NAME = re.compile(re.escape(TEMPORARY_PREFIX) + "[a-z0-9_]{8}")
"""As ``tempfile`` makes them."""


def check_output_file(path: Path) -> None:
    """Refuse a name under which no file can be written; scripts ask before they compute.

    Raises:
        UserError: it is a folder, a link, a pipe or a device, or a folder above it is a file.
    """
    _check_lengths(path)
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    if mode is not None and stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder. Give the name of a file.")
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a pipe or a device"
        raise UserError(f"{path} is {kind}, and no file. Give the name of a file.")
    check_output_folder(path.parent)


def check_output_folder(path: Path) -> None:
    """Refuse a name that can be no folder.

    Raises:
        UserError: it is a file, a folder above it is one, or a name in it is too long.
    """
    _check_lengths(path)
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists())
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    if not nearest.is_dir():
        raise UserError(f"{nearest} is a file, and a folder is needed there. Give another name.")


def _check_lengths(path: Path) -> None:
    """A file system says it only once the folders above are there."""
    if any(len(os.fsencode(name)) > LONGEST_NAME for name in path.parts):
        raise UserError(f"{path} has a name of over {LONGEST_NAME} bytes. Give a shorter one.")


def _cannot_write(path: Path, error: OSError) -> str:
    return f"{path} cannot be written: {error.strerror}. Give another place."


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``; what was written there takes its place at the end.

    An error within leaves ``path`` as it was and removes the temporary file. Below a claimed folder
    the write is recorded (``common/owned_folder.py``).

    Raises:
        UserError: there can be no such file, or none may be written there; below a claimed folder
            also where a file that is not the suite's own is in the way.
    """
    check_output_file(path)
    owner = owner_of(path)
    if owner is not None:
        owner.check_there()
    try:
        make_folder(path.parent)
        handle, temporary = _open_temporary(path.parent)
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from None
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        if owner is not None:
            owner.admit(path, temporary)
        temporary.replace(path)
    except OSError as error:
        raise UserError(_cannot_write(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _open_temporary(folder: Path) -> tuple[int, Path]:
    """A new temporary file and an open handle that holds its lock.

    The lock dies with the process: a temporary file that is not locked belongs to nobody.
    """
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY_PREFIX)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        # Another process has removed it before it was locked.
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary file beside ``path``, then rename it into place.

    A recorded file that holds it already stays, so that a resumed run writes little.
    """
    owner = owner_of(path)
    if owner is not None and owner.holds(path, content):
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """``write_bytes`` for text: UTF-8, line ends as given on every platform."""
    write_bytes(path, content.encode("utf-8"))


def remove_unfinished(folder: Path) -> None:
    """Delete the temporary files that killed processes left below ``folder``; not those of
    processes that are at work."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*"):
        if TEMPORARY_NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with suppress(FileNotFoundError):
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink()


class lock_folder:
    """Hold a folder for this process; a context manager.

    The lock dies with the process, even when killed. A process that fails before anything is
    written leaves the folder as it was.

    Raises:
        UserError: on entry: another process holds it, or it can be no folder to write to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        self._made = _missing_folders(self.folder)
        self._had_lock = (self.folder / LOCK_NAME).exists()
        self._lock = acquire_folder(self.folder)

    def __exit__(self, *exception: object) -> None:
        path = self.folder / LOCK_NAME
        is_unused = not self._had_lock and not any(self._others())
        if is_unused:
            path.unlink(missing_ok=True)
        self._lock.release()
        if is_unused:
            for folder in self._made:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _others(self) -> Iterator[Path]:
        """What else lies in a folder that this process has made; the record of another."""
        if self._made:
            return (path for path in self.folder.glob("*") if path.name != LOCK_NAME)
        return self.folder.glob(RECORD_NAME)


@contextmanager
def claim_folder(folder: Path, maker: str = "") -> Iterator[OwnedFolder]:
    """Hold ``folder``, and record what is written there (``common/owned_folder.py``).

    At the end, temporary files of killed processes are removed.

    Args:
        maker: which command writes; none for a run and its weights.

    Raises:
        UserError: see ``lock_folder``; the folder is a part of another run's; or something that was
            written there has vanished at the end.
    """
    with lock_folder(folder), claimed(OwnedFolder(folder, maker)) as owned:
        owned.check_no_part()
        yield owned
        owned.finish()
        remove_unfinished(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; where that fails, none of them stays.

    Raises:
        OSError: it cannot be made.
    """
    missing = _missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        for place in missing:
            with suppress(OSError):
                place.rmdir()
        raise


def _missing_folders(folder: Path) -> list[Path]:
    """The folders that must be made for this one, the innermost first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def acquire_folder(folder: Path) -> BaseFileLock:
    """The lock of ``lock_folder``, held until its ``release`` is called."""
    check_output_folder(folder)
    lock = FileLock(folder / LOCK_NAME)
    try:
        make_folder(folder)
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder} is in use by another process. Wait for it to end, "
            "or write to another folder."
        ) from None
    except OSError as error:
        raise UserError(_cannot_write(folder, error)) from None
    return lock
