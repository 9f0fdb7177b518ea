"""What every room needs: user errors as one line, atomic writes, a folder lock, settings."""

import sys
from types import TracebackType


def _say_stopped(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Ctrl-C while a script still imports, which takes seconds, is no fault to print."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
    else:
        _before(kind, error, trace)


_before = sys.excepthook
sys.excepthook = _say_stopped
