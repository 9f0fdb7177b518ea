"""Files that are not what their name says: told from the first bytes, named with what to do."""

from pathlib import Path

from common.refusals import Refusal

A_NUMPY_ARRAY = "a NumPy array"
IMPOSTORS = {
    b"version https://git-lfs": ("a Git LFS pointer", "run git lfs pull"),
    b"<!doctype html": ("a web page", "download the file itself"),
    b"<html": ("a web page", "download the file itself"),
    b"<table": ("a web page", "download the file itself"),
    b"<head": ("a web page", "download the file itself"),
    b"<meta": ("a web page", "download the file itself"),
    b"<script": ("a web page", "download the file itself"),
    b"<!--": ("a web page", "download the file itself"),
    b"mime-version:": ("a web page", "download the file itself"),
    b"404: not found": ("a server's error message", "download the file itself"),
    b'{"error': ("a server's error message", "download the file itself"),
    b'{"message': ("a server's error message", "download the file itself"),
    b"[internetshortcut]": ("a link to a page", "download the file itself"),
    b'{"url"': ("a link to a page", "download the file itself"),
    b"/annex/objects": ("a git-annex pointer", "run git annex get"),
    b"../.git/annex": ("a git-annex pointer", "run git annex get"),
    b".git/annex": ("a git-annex pointer", "run git annex get"),
    b"\x93numpy": (A_NUMPY_ARRAY, "save it in the form that is asked for"),
    b"\x89hdf": ("an HDF5 file", "save it in the form that is asked for"),
    b"\x1f\x8b": ("a gzip archive", "unpack it"),
    b"bzh": ("a bzip2 archive", "unpack it"),
    b"\xfd7zxz": ("an xz archive", "unpack it"),
    b"rar!": ("a RAR archive", "unpack it"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"\0\x05\x16\x07": ("what macOS keeps beside a file", "give the file without ._"),
    b"<?xml": ("an XML file", "save it in the form that is asked for"),
    b"<workbook": ("an XML file", "save it in the form that is asked for"),
    b"sqlite format": ("a database", "save it in the form that is asked for"),
    b"matlab 5": ("a MATLAB file", "save it in the form that is asked for"),
    b"%pdf": ("a PDF", "save it in the form that is asked for"),
    b"{\\rtf": ("a text document", "save it in the form that is asked for"),
}
"""First bytes, in lower case, of what a failed download or a wrong click leaves."""
START = 64
"""How many bytes are looked at."""


def impostor(content: bytes) -> tuple[str, str] | None:
    """What a file is in truth and what to do; None where its first bytes say nothing."""
    if len(content) >= START and not any(content[:START]):
        return "a file of zero bytes", "copy or download it again"
    start = _in_bytes(content[:START]).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for first, what in IMPOSTORS.items() if start.startswith(first)), None)


def _in_bytes(start: bytes) -> bytes:
    """The start with each character of UTF-16 as one byte."""
    if not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return start
    return start.decode("utf-16", "ignore").encode("utf-8", "ignore")


def impostor_at(path: Path) -> tuple[str, str] | None:
    """``impostor`` of a file's first bytes; None also where it cannot be read."""
    try:
        with path.open("rb") as file:
            return impostor(file.read(START))
    except OSError:
        return None


def refuse_impostor(path: Path, content: bytes, wanted: str) -> None:
    """Refuse a file whose first bytes are of something else than what is wanted, in words.

    Raises:
        Refusal: it is such a file.
    """
    found = impostor(content)
    if found:
        raise Refusal(path, f"is {found[0]}, not {wanted}; {found[1]}.")
