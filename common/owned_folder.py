"""Nothing is replaced or deleted that the same command of this suite did not write and record.

A folder that a script writes to holds ``files.sha256``: a line for each file that was written there
or below, as ``sha256sum --check`` reads it, and a comment above it where its maker is not the run
that the folder is of. While a script has claimed the folder, every atomic write
(``common/files.py``) below it is recorded first and then done. A file in the way that is not
recorded, has changed since or is another maker's stays as it is, and so does a folder below that
has a record of its own: the script is refused.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from common.errors import UserError

RECORD_NAME = "files.sha256"
NAMES_SHOWN = 3
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MAKER = re.compile(r"# ([^:]+): (.+)")
ANY_MAKER = "*"
"""Of a script that makes files of other scripts anew from what they say."""
_LEVELS_ABOVE = 2
"""A folder such as ``<run>/<configuration>/oracle`` lies two levels below the run's record."""
_CHUNK = 2**20


@dataclass(frozen=True)
class _Lines:
    """What a record holds; a line that a kill left half is none."""

    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    latest: Mapping[str, str] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0


class OwnedFolder:
    """The record of a folder. Claim one with ``claimed``.

    Args:
        root: the folder.
        maker: which command writes, where it is not the one that the folder is of.

    Attributes:
        root: the folder, absolute.
        exists: whether it had a record when it was read.

    Raises:
        UserError: the record cannot be read.
    """

    def __init__(self, root: Path, maker: str = "") -> None:
        self.root, self.maker = _absolute(root), maker
        self.record = self.root / RECORD_NAME
        self.exists = self.record.is_file()
        self._found = self._read()
        self._new: dict[str, set[str]] = {}
        self._latest: dict[str, str] = {}
        self._written: set[str] = set()
        self._held: set[str] = set()
        self._removed: set[str] = set()
        self._place = _place_of(self.root)

    def _read(self) -> _Lines:
        if not self.record.is_file():
            if os.path.lexists(self.record):
                raise UserError(f"{self.record} is not a regular file. Move it away.")
            return _Lines()
        status = self.record.stat()
        return _read_lines(self.record, status.st_mtime_ns, status.st_size)

    def _known(self, name: str) -> frozenset[str] | set[str]:
        """The hashes with which a name is recorded."""
        found, new = self._found.hashes.get(name, frozenset()), self._new.get(name)
        return found | new if new else found

    def _last(self, name: str) -> str | None:
        return self._latest.get(name, self._found.latest.get(name))

    def _is_other_makers(self, name: str) -> bool:
        if name in self._new or self.maker == ANY_MAKER or name not in self._found.hashes:
            return False
        return self._found.makers.get(name, "") != self.maker

    def name(self, path: Path) -> str:
        """The path relative to the folder, with slashes."""
        return _absolute(path).relative_to(self.root).as_posix()

    def is_recorded(self, path: Path) -> bool:
        """Whether a file of this name was written by this suite."""
        return bool(self._known(self.name(path)))

    def is_unchanged(self, path: Path) -> bool:
        """Whether the file was written by this suite and has not changed since."""
        known = self._known(self.name(path))
        return bool(known) and _is_regular(path) and hash_file(path) in known

    def is_own(self, path: Path) -> bool:
        """Whether the file is unchanged, and was written by the same command."""
        return not self._is_other_makers(self.name(path)) and self.is_unchanged(path)

    def holds(self, path: Path, content: bytes) -> bool:
        """Whether the recorded file holds this content, and so need not be written again."""
        name = self.name(path)
        sha256 = hashlib.sha256(content).hexdigest()
        if self._last(name) != sha256 or not _is_regular(path):
            return False
        if path.stat().st_size != len(content) or hash_file(path) != sha256:
            return False
        self.check_there()
        self._held.add(name)
        return True

    def check(self, paths: Iterable[Path]) -> None:
        """Refuse to start where a file is in the way; paths at which nothing is are free.

        Raises:
            UserError: a file that is not recorded, has changed since, or is another command's; the
                first are named. Or a folder that another run has claimed.
        """
        paths = list(paths)
        self._check_folders(paths)
        foreign = [path for path in paths if os.path.lexists(path) and not self.is_own(path)]
        if foreign:
            raise UserError(self._in_the_way(foreign))

    def _check_folders(self, paths: Iterable[Path]) -> None:
        """Refuse folders between this one and the files that have a record of their own."""
        for folder in {_absolute(path).parent for path in paths}:
            for place in (folder, *folder.parents):
                if place == self.root:
                    break
                if (place / RECORD_NAME).is_file():
                    raise UserError(
                        f"{place} is the folder of another run, and this one would write there. "
                        "Move it away, or give another folder."
                    )

    def check_no_part(self) -> None:
        """Refuse a folder that holds what a run of a folder above has written.

        Raises:
            UserError: it does.
        """
        root = self.root.resolve()
        for above in root.parents:
            if (above / RECORD_NAME).is_file():
                part = f"{root.relative_to(above).as_posix()}/"
                names = OwnedFolder(above)._found.latest
                if any(name.startswith(part) and (above / name).exists() for name in names):
                    raise UserError(
                        f"{self.root} is a part of {above}, which another run has written. Give "
                        "another folder."
                    )

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
        self._check_folders([path])
        self._place = self._place or _place_of(self.root)
        sha256 = hash_file(content)
        is_free = not os.path.lexists(path) or self.is_own(path)
        if not is_free and not (_is_regular(path) and hash_file(path) == sha256):
            raise UserError(self._in_the_way([path]))
        self._append(self.name(path), sha256)
        self._written.add(self.name(path))
        self._removed.discard(self.name(path))

    def remove(self, path: Path) -> None:
        """Delete a file if it is there.

        Raises:
            UserError: it is not the suite's own.
        """
        if os.path.lexists(path):
            self.check([path])
            path.unlink()
        self._written.discard(self.name(path))
        self._held.discard(self.name(path))
        self._removed.add(self.name(path))

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
        self._check_names(self._written | self._held)

    def _check_names(self, names: Iterable[str]) -> None:
        lost = [name for name in sorted(names) if not (self.root / name).is_file()]
        if lost:
            raise UserError(
                f"{self.root}: {len(lost)} files vanished while this program wrote there, such as "
                f"{lost[0]}. Run the same command again."
            )

    def finish(self) -> None:
        """Check that what was written is there, by worker processes too, and write the record in
        order.

        Raises:
            UserError: something has vanished.
        """
        self.check_written()
        self._check_names(_names_after(self.record, self._found.size) - self._removed)
        found = self._read()
        names = [name for name in sorted(found.latest) if (self.root / name).is_file()]
        text = "".join(
            _line(name, found.latest[name], found.makers.get(name, "")) for name in names
        )
        if names and text != self.record.read_text("utf-8", "replace"):
            new = self.record.with_name(f"{RECORD_NAME}.new")
            new.write_text(text, encoding="utf-8")
            new.replace(self.record)

    def _in_the_way(self, paths: list[Path]) -> str:
        names = [self.name(path) for path in paths]
        others = [name for name in names if self._is_other_makers(name)]
        changed = [] if others else [name for name in names if self._known(name)]
        shown = ", ".join((others or changed or names)[:NAMES_SHOWN])
        more = f" and {len(paths) - NAMES_SHOWN} more" if len(paths) > NAMES_SHOWN else ""
        if others:
            maker = self._found.makers.get(others[0]) or "the run of that folder"
            return (
                f"{shown}{more} in {self.root} would be replaced, and is of {maker}. Give another "
                "name or folder."
            )
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
        if self._last(name) != sha256:
            maker = self._found.makers.get(name, "") if self.maker == ANY_MAKER else self.maker
            with self.record.open("ab+") as file:
                file.write(_line_end(file) + _line(name, sha256, maker).encode())
        self._latest[name] = sha256
        self._new.setdefault(name, set()).add(sha256)


def _line_end(file: BinaryIO) -> bytes:
    """What must be written first: a full disk may have left half a line at the end."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _line(name: str, sha256: str, maker: str) -> str:
    return (f"# {maker}: {name}\n" if maker else "") + f"{sha256}  {name}\n"


@lru_cache(maxsize=8)
def _read_lines(record: Path, mtime_ns: int, size: int) -> _Lines:
    """The same file is asked for once for every folder below it."""
    hashes: dict[str, set[str]] = {}
    latest: dict[str, str] = {}
    makers: dict[str, str] = {}
    said = None
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := _LINE.fullmatch(line):
            latest[match[2]] = match[1]
            hashes.setdefault(match[2], set()).add(match[1])
            makers[match[2]] = said[1] if said and said[2] == match[2] else ""
        said = _MAKER.fullmatch(line)
    return _Lines({name: frozenset(own) for name, own in hashes.items()}, latest, makers, size)


def _names_after(record: Path, size: int) -> set[str]:
    """The names in the lines of a record behind its first bytes."""
    if not record.is_file():
        return set()
    with record.open("rb") as file:
        file.seek(size)
        lines = file.read().decode("utf-8", "replace").splitlines()
    return {match[2] for line in lines if (match := _LINE.fullmatch(line))}


_claims: list[OwnedFolder] = []


@contextmanager
def claimed(owned: OwnedFolder) -> Iterator[OwnedFolder]:
    """Let every write below the folder be recorded, until the block ends."""
    _claims.append(owned)
    try:
        yield owned
    finally:
        _claims.remove(owned)


def claimed_roots() -> list[tuple[Path, str]]:
    """The folders that are claimed now, and by which maker, for worker processes."""
    return [(own.root, own.maker) for own in _claims]


def claim_for_good(roots: Iterable[tuple[Path, str]]) -> None:
    """Claim folders for the life of a worker process, which holds no lock of its own."""
    _claims.extend(OwnedFolder(root, maker) for root, maker in roots)


@contextmanager
def shared_record(folder: Path, maker: str) -> Iterator[OwnedFolder]:
    """Claim a folder of results for a script that adds to it: by its own record, or by that of the
    run whose part it is."""
    with claimed(OwnedFolder(_root_of(folder), maker)) as owned:
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
    owned = OwnedFolder(_root_of(folder), ANY_MAKER)
    there = (path for path in paths if owned.is_recorded(path) and os.path.lexists(path))
    changed = [path for path in there if not owned.is_unchanged(path)]
    if changed:
        raise UserError(owned._in_the_way(changed))


def changed_files(folder: Path, paths: Iterable[Path]) -> list[str]:
    """The names of a folder's recorded files that have changed or vanished since they were
    written."""
    owned = OwnedFolder(_root_of(folder), ANY_MAKER)
    return [p.name for p in paths if owned.is_recorded(p) and not owned.is_unchanged(p)]


@contextmanager
def claimed_files(paths: Iterable[Path], maker: str) -> Iterator[None]:
    """Claim single files that the user has named.

    Args:
        maker: the command; it replaces only what it wrote itself.

    Raises:
        UserError: two of them are one file, or something that is not this command's own is in the
            way of one of them.
    """
    paths = list(paths)
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(f"two files would be written to {paths[0]}. Give each a name of its own.")
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(shared_record(path.parent, maker)).check([path])
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
    while folder != root and not folder.is_symlink() and folder.is_dir():
        if any(folder.iterdir()):
            return
        folder.rmdir()
        folder = folder.parent
