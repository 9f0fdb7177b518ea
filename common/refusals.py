"""Files that are refused: one line each, and one line for many that share a reason."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from common.errors import LONGEST_LINE, UserError, printable

LONGEST_FILE = 90
NAMES_SHOWN = 3
ROOM_FOR_NAMES = 100
ROOM_FOR_OTHERS = 30


class Refusal(UserError):
    """A file that cannot be used. Its line is the file's name and the reason.

    Attributes:
        file: as the user gave it.
        reason: a verb phrase and what to do; the same text for files of the same fault.
    """

    def __init__(self, file: object, reason: str) -> None:
        self.file, self.reason = file, one_line(reason, LONGEST_LINE)
        name = one_line(str(file), LONGEST_FILE, keep_end=True)
        super().__init__(one_line(f"{name} {self.reason}", LONGEST_LINE))

    def __reduce__(self) -> tuple[type["Refusal"], tuple[object, str]]:
        """For the way from a worker process to the one that asked."""
        return type(self), (str(self.file), self.reason)

    @classmethod
    def of(cls, file: object, error: UserError) -> "Refusal":
        """The error as a refusal of ``file``; one that already names a file stays as it is."""
        return error if isinstance(error, cls) else cls(file, f"is refused: {error}")


def one_line(text: str, longest: int, *, keep_end: bool = False) -> str:
    """The text with unprintable characters escaped, cut to ``longest`` characters."""
    clean = printable(text)
    if len(clean) <= longest:
        return clean
    return f"…{clean[1 - longest :]}" if keep_end else f"{clean[: longest - 1]}…"


def few(names: Iterable[object], room: int = ROOM_FOR_NAMES) -> str:
    """The first names, up to three and as many as ``room`` characters hold, and how many more."""
    texts = [one_line(str(name), room) for name in names]
    shown = texts[:NAMES_SHOWN]
    while len(", ".join(shown)) > room:
        shown.pop()
    hidden = len(texts) - len(shown)
    return ", ".join(shown) + (f" and {hidden} more" if hidden else "")


def summarize_refusals(refusals: Sequence[Refusal]) -> str:
    """One line of at most 300 characters: each reason once, with a few files and their number.

    The reason of most files comes first; of reasons that find no room only the files are named.
    """
    if len(refusals) == 1:
        return str(refusals[0])
    groups: dict[str, list[str]] = {}
    for refusal in refusals:
        groups.setdefault(refusal.reason, []).append(Path(str(refusal.file)).name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    line = f"{len(refusals)} refused:"
    for place, (reason, files) in enumerate(ordered):
        later = [file for _, others in ordered[place + 1 :] for file in others]
        text = f"{few(files)}{': each' if len(files) > 1 else ''} {reason}"
        room = LONGEST_LINE - len(line) - 1 - len(_for_other_reasons(later))
        if place and len(text) > room:
            return line + _for_other_reasons([*files, *later])
        line = f"{line} {one_line(text, room)}"
    return line


def _for_other_reasons(files: Sequence[str]) -> str:
    return f" For other reasons: {few(files, ROOM_FOR_OTHERS)}." if files else ""
