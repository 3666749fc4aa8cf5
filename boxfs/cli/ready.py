"""Telling the world that a mount is ready, or why it is not: the parent of a background mount, and systemd.

The parent gives the child the write end of a pipe (BOXFS_READY_FD) and waits for lines of JSON: any number of
`{"waiting": …}`, then `{"ready": …}` or `{"error": …, "code": …}`; end of file without one of these two means that the
child died.  systemd gets sd_notify(3) datagrams.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from boxfs.base.ending import wait_for

READY_FD = "BOXFS_READY_FD"


class Parent:
    """Whoever started us and waits; hears how it ended once, and before that what we wait for."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        text = environ.pop(READY_FD, "")
        self._fd = int(text) if text.isdigit() else -1
        if self._fd >= 0:
            os.set_inheritable(self._fd, False)

    @property
    def waits(self) -> bool:
        return self._fd >= 0

    def progress(self, line: str) -> None:
        self._write({"waiting": line})

    def tell(self, **message: Any) -> None:
        if self._fd < 0:
            return
        self._write(message)
        os.close(self._fd)
        self._fd = -1

    def _write(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the parent is gone: nobody to tell
            os.write(self._fd, json.dumps(message).encode() + b"\n")


class Systemd:
    """sd_notify(3) without libsystemd: READY, STOPPING, STATUS, WATCHDOG on $NOTIFY_SOCKET, where there is one."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watchdog_us = environ.pop("WATCHDOG_USEC", "")
        for_us = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # Half the time that systemd waits, as sd_watchdog_enabled(3) recommends.
        self.watchdog_s = int(watchdog_us) / 2e6 if self._address and watchdog_us.isdigit() and for_us else 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def notify(self, **words: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        message = "\n".join(f"{name}={value}" for name, value in words.items()).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message, address)

    def ready(self, status: str) -> None:
        self.notify(READY="1", STATUS=status, MAINPID=str(os.getpid()))

    def stopping(self, status: str) -> None:
        self.notify(STOPPING="1", STATUS=status)

    def extend(self, seconds: float) -> None:
        """Ask for `seconds` more before systemd gives up on a start or a stop."""
        self.notify(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)))

    def start_watchdog(self, healthy: Callable[[], bool]) -> None:
        """Pat the watchdog for as long as `healthy` says so; a mount that hangs is then restarted by systemd."""
        if not self.watchdog_s:
            return

        def run() -> None:
            while not self._stop.wait(self.watchdog_s):
                if healthy():
                    self.notify(WATCHDOG="1")

        self._thread = threading.Thread(target=run, name="watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        wait_for(self._thread, 5.0)
