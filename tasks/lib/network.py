"""A watch over connections: reading a task's data needs none, unless its metadata say so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused(really: bool = True) -> Iterator[list[str]]:
    """Refuse connections for a while, if `really`; yield the list of where they were to go.

    An error that comes of a refusal ends what was being done, and goes no further.
    """
    opened: list[str] = []

    def refuse(*to: object, **_: object) -> None:
        opened.append(str(to[-1] if isinstance(to[0], socket.socket) else to[0]))
        raise OSError("no connection while a task is checked")

    connect, look_up = socket.socket.connect, socket.getaddrinfo
    if really:
        socket.socket.connect, socket.getaddrinfo = refuse, refuse  # type: ignore[assignment,method-assign]
    try:
        yield opened
    except Exception:
        if not opened:
            raise
    finally:
        socket.socket.connect, socket.getaddrinfo = connect, look_up  # type: ignore[method-assign]
