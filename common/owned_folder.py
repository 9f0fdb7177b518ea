"""Nothing is replaced or deleted that this suite did not write and record.

A folder that a script writes to holds ``files.sha256``: a line for each file that was written there
or below, as ``sha256sum --check`` reads it. While a script has claimed the folder, every atomic
write (``common/files.py``) below it is recorded first and then done, and a file in the way that is
not recorded, or has changed since, stays as it is: the script is refused.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from common.errors import UserError

RECORD_NAME = "files.sha256"
NAMES_SHOWN = 3
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_LEVELS_ABOVE = 2
"""A folder such as ``<run>/<configuration>/oracle`` lies two levels below the run's record."""
_CHUNK = 2**20


class OwnedFolder:
    """The record of a folder. Claim one with ``claimed``.

    Attributes:
        root: the folder, absolute.
        exists: whether it had a record when it was read.

    Raises:
        UserError: the record cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = _absolute(root)
        self.record = self.root / RECORD_NAME
        self.exists = self.record.is_file()
        self._hashes: dict[str, set[str]] = {}
        self._written: set[str] = set()
        self._place = _place_of(self.root)
        self._latest: dict[str, str] = {}
        for name, sha256 in self._read():
            self._latest[name] = sha256
            self._hashes.setdefault(name, set()).add(sha256)

    def _read(self) -> Iterator[tuple[str, str]]:
        """(name, hash) of every line; a line that a kill left half is none."""
        if not self.record.is_file():
            if os.path.lexists(self.record):
                raise UserError(f"{self.record} is not a regular file. Move it away.")
            return
        status = self.record.stat()
        yield from _read_lines(self.record, status.st_mtime_ns, status.st_size)

    def name(self, path: Path) -> str:
        """The path relative to the folder, with slashes."""
        return _absolute(path).relative_to(self.root).as_posix()

    def is_recorded(self, path: Path) -> bool:
        """Whether a file of this name was written by this suite."""
        return self.name(path) in self._hashes

    def is_own(self, path: Path) -> bool:
        """Whether the file was written by this suite and has not changed since."""
        known = self._hashes.get(self.name(path))
        return known is not None and _is_regular(path) and hash_file(path) in known

    def holds(self, path: Path, content: bytes) -> bool:
        """Whether the recorded file holds this content, and so need not be written again."""
        name = self.name(path)
        sha256 = hashlib.sha256(content).hexdigest()
        if self._latest.get(name) != sha256 or not _is_regular(path):
            return False
        if path.stat().st_size != len(content) or hash_file(path) != sha256:
            return False
        self.check_there()
        self._written.add(name)
        return True

    def check(self, paths: Iterable[Path]) -> None:
        """Refuse to start where a file is in the way; paths at which nothing is are free.

        Raises:
            UserError: a file that is not recorded, or has changed since; the first are named.
        """
        foreign = [path for path in paths if os.path.lexists(path) and not self.is_own(path)]
        if foreign:
            raise UserError(self._in_the_way(foreign))

    def adopt(self, paths: Iterable[Path]) -> None:
        """Record files as they are: those of a run from before there were such records."""
        for path in paths:
            if _is_regular(path):
                self._append(self.name(path), hash_file(path))

    def admit(self, path: Path, content: Path) -> None:
        """Record that ``content`` is about to take the place of ``path``.

        Raises:
            UserError: a file that is not the suite's own is there, or the folder has vanished.
        """
        self.check_there()
        self._place = self._place or _place_of(self.root)
        sha256 = hash_file(content)
        is_free = not os.path.lexists(path) or self.is_own(path)
        if not is_free and not (_is_regular(path) and hash_file(path) == sha256):
            raise UserError(self._in_the_way([path]))
        self._append(self.name(path), sha256)
        self._written.add(self.name(path))

    def remove(self, path: Path) -> None:
        """Delete a file if it is there.

        Raises:
            UserError: it is not the suite's own.
        """
        if os.path.lexists(path):
            self.check([path])
            path.unlink()
        self._written.discard(self.name(path))

    def remove_written(self) -> None:
        """Delete what was written since the folder was claimed, and folders that are then empty."""
        for name in sorted(self._written):
            path = self.root / name
            self.remove(path)
            _remove_empty(path.parent, self.root)
        if not self.exists:
            self.record.unlink(missing_ok=True)

    def check_there(self) -> None:
        """Raise where the folder was deleted or moved since it was claimed.

        Raises:
            UserError: it was.
        """
        if self._place is not None and _place_of(self.root) != self._place:
            raise UserError(
                f"{self.root} was removed while this program wrote to it. Run the same command "
                "again."
            )

    def check_written(self) -> None:
        """Check that what was written is there.

        Raises:
            UserError: something has vanished.
        """
        self.check_there()
        lost = [name for name in sorted(self._written) if not (self.root / name).is_file()]
        if lost:
            raise UserError(
                f"{self.root}: {len(lost)} files vanished while this program wrote there, such as "
                f"{lost[0]}. Run the same command again."
            )

    def finish(self) -> None:
        """Check that what was written is there, and write the record in order.

        Raises:
            UserError: something has vanished.
        """
        self.check_written()
        latest = {name: sha256 for name, sha256 in self._read() if (self.root / name).is_file()}
        lines = [f"{latest[name]}  {name}\n" for name in sorted(latest)]
        if latest and lines != self.record.read_text("utf-8", "replace").splitlines(keepends=True):
            new = self.record.with_name(f"{RECORD_NAME}.new")
            new.write_text("".join(lines), encoding="utf-8")
            new.replace(self.record)

    def _in_the_way(self, paths: list[Path]) -> str:
        names = [self.name(path) for path in paths]
        changed = [name for name in names if name in self._hashes]
        shown = ", ".join((changed or names)[:NAMES_SHOWN])
        more = f" and {len(paths) - NAMES_SHOWN} more" if len(paths) > NAMES_SHOWN else ""
        if changed:
            return (
                f"{shown}{more} in {self.root} changed since this suite wrote it. Restore it; or "
                "move it away, and the same command makes it again."
            )
        return (
            f"{shown}{more} in {self.root} would be replaced, and is not recorded as this suite's "
            "own. Move it away, or give another folder."
        )

    def _append(self, name: str, sha256: str) -> None:
        if self._latest.get(name) != sha256:
            with self.record.open("ab+") as file:
                file.write(_line_end(file) + f"{sha256}  {name}\n".encode())
        self._latest[name] = sha256
        self._hashes.setdefault(name, set()).add(sha256)


def _line_end(file: BinaryIO) -> bytes:
    """What must be written first: a full disk may have left half a line at the end."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


@lru_cache(maxsize=8)
def _read_lines(record: Path, mtime_ns: int, size: int) -> tuple[tuple[str, str], ...]:
    """(name, hash) of every line; the same file is asked for once for every folder below it."""
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    return tuple((match[2], match[1]) for line in lines if (match := _LINE.fullmatch(line)))


_claims: list[OwnedFolder] = []


@contextmanager
def claimed(owned: OwnedFolder) -> Iterator[OwnedFolder]:
    """Let every write below the folder be recorded, until the block ends."""
    _claims.append(owned)
    try:
        yield owned
    finally:
        _claims.remove(owned)


def claimed_roots() -> list[Path]:
    """The folders that are claimed now, for worker processes."""
    return [own.root for own in _claims]


def claim_for_good(roots: Iterable[Path]) -> None:
    """Claim folders for the life of a worker process, which holds no lock of its own."""
    _claims.extend(map(OwnedFolder, roots))


@contextmanager
def shared_record(folder: Path) -> Iterator[OwnedFolder]:
    """Claim a folder of results for a script that adds to it: by its own record, or by that of the
    run whose part it is."""
    with claimed(OwnedFolder(_root_of(folder))) as owned:
        yield owned
        owned.check_written()


def _root_of(folder: Path) -> Path:
    """The folder whose record holds this one's files; itself where there is no record yet."""
    folder = _absolute(folder)
    candidates = (folder, *list(folder.parents)[:_LEVELS_ABOVE])
    return next((place for place in candidates if (place / RECORD_NAME).is_file()), folder)


def check_unchanged(folder: Path, paths: Iterable[Path]) -> None:
    """Refuse to read recorded files of a folder that have changed; others may be of any making.

    Raises:
        UserError: a file is not what was written; the first are named.
    """
    owned = OwnedFolder(_root_of(folder))
    owned.check(path for path in paths if owned.is_recorded(path))


def changed_files(folder: Path, paths: Iterable[Path]) -> list[str]:
    """The names of a folder's recorded files that have changed since they were written."""
    owned = OwnedFolder(_root_of(folder))
    return [p.name for p in paths if owned.is_recorded(p) and not owned.is_own(p)]


@contextmanager
def claimed_files(paths: Iterable[Path]) -> Iterator[None]:
    """Claim single files that the user has named.

    Raises:
        UserError: something that is not the suite's own is in the way of one of them.
    """
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(shared_record(path.parent)).check([path])
        yield


def owner_of(path: Path) -> OwnedFolder | None:
    """The innermost claimed folder above a path."""
    absolute = _absolute(path)
    above = [own for own in _claims if absolute != own.root and absolute.is_relative_to(own.root)]
    return max(above, key=lambda own: len(str(own.root)), default=None)


def remove_file(path: Path) -> None:
    """Delete a file that the suite wrote, if it is there.

    Raises:
        UserError: it is not the suite's own.
        RuntimeError: nobody has claimed its folder.
    """
    owner = owner_of(path)
    if owner is None:
        raise RuntimeError(f"{path}: only a script that has claimed the folder may delete in it")
    owner.remove(path)


def hash_file(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _absolute(path: Path) -> Path:
    """Without dots; links are not followed, as the last one may be the file itself."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _place_of(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
