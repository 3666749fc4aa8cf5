"""Ahead: a connection to the host that will be asked next, made while the answer that says so is on its way.

Box answers who asks for bytes with an address at another host.  To connect there takes two or three trips, about as
long as the question.  Nothing is sent over the connection; where the address turns out to be elsewhere it idles.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from boxfs.api.connections import IDLE_S

log = logging.getLogger(__name__)


def host_of(url: str) -> str:
    """The part of a URL that says where to connect to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Ahead:
    """Thread-safe: of two who find the same host idle at once both may connect, which does no harm."""

    def __init__(self, connect: Callable[[str], None]) -> None:
        """connect: has the connection made, and kept for the next request; may raise anything."""
        self._connect = connect
        self._asked: dict[str, float] = {}  # hosts, and when they were last asked something (monotonic)

    def asks(self, host: str) -> None:
        """A request goes to the host: connections to it are there, or are being made."""
        self._asked[host] = time.monotonic()

    def expect(self, host: str) -> None:
        """A request to the host will follow.  Returns at once."""
        now = time.monotonic()
        if now < self._asked.get(host, -IDLE_S) + IDLE_S:
            return
        self._asked[host] = now
        threading.Thread(target=self._make, args=(host,), name="boxfs-connect", daemon=True).start()

    def _make(self, host: str) -> None:
        try:
            self._connect(host)
        except Exception as error:  # noqa: BLE001 - who asks next is told what is wrong
            log.debug("no connection ahead of need: %s", type(error).__name__)
