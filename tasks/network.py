"""Refuses network connections while a task's data is checked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def refused(really: bool = True) -> Iterator[list[str]]:
    """Refuse connections, if `really`; yield the list of attempted destinations.

    An error after a refusal ends the block and is not raised.
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
