"""Imported last by a process whose forks do the work: its objects are no garbage of theirs, and a
script that is killed while it asks for a fork does not end it."""

import errno
import gc
import socket
from multiprocessing import reduction

_receive = reduction.recvfds


def _receive_or_skip(sock: socket.socket, size: int) -> list[int]:
    """The server passes over a connection that was aborted, but an end within it would end it."""
    try:
        return _receive(sock, size)
    except EOFError as error:
        raise OSError(errno.ECONNABORTED, "the script was killed") from error


reduction.recvfds = _receive_or_skip
gc.freeze()
