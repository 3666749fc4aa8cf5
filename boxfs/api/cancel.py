"""Cancel: stops a request from another thread by shutting down the socket under it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Protocol

from boxfs.base.errors import Unreachable


class Cancelled(Unreachable):
    """This side gave the request up (shutdown, or nobody waits for it any more)."""


class Connection(Protocol):
    """What is cancelled: urllib3's connection, which connects its `sock` when it likes."""

    sock: Any


# One lock for all: it guards only assignments and a non-blocking shutdown(2).  A connection goes from request to
# request, so who owns it now must be decided in one place, else a late cancel would cut off somebody else's request.
_lock = threading.Lock()
_owners: dict[int, Cancel] = {}  # guarded by _lock: id(connection) -> the request that uses it


class Cancel:
    """Given with a request; `cancel` may be called at any time, from any thread, more than once."""

    def __init__(self) -> None:
        self._connection: Connection | None = None  # guarded by the module's _lock
        self.cancelled = False

    def attach(self, connection: Connection) -> None:
        """Tell which connection works for this request from now on.  Raises Cancelled."""
        with _lock:
            if self._connection is not None and _owners.get(id(self._connection)) is self:
                del _owners[id(self._connection)]
            self._connection = connection
            _owners[id(connection)] = self
        self.check()

    def check(self) -> None:
        if self.cancelled:
            raise Cancelled("the request was given up")

    def detach(self) -> None:
        with _lock:
            if self._connection is not None and _owners.get(id(self._connection)) is self:
                del _owners[id(self._connection)]
            self._connection = None

    def cancel(self) -> None:
        with _lock:
            self.cancelled = True
            if self._connection is None or _owners.get(id(self._connection)) is not self:
                return
            sock = self._connection.sock
            if isinstance(sock, socket.socket):
                with contextlib.suppress(OSError):
                    # Not SSLSocket.shutdown, which takes the TLS object away from under a thread that reads it.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
