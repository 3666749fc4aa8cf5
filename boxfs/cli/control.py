"""The control socket: how `boxfs status` and its kin talk to a running mount.

One Unix socket (0600) per mount in the runtime folder; the peer must be the mount's owner or root.  A line of JSON goes
in, `{"command": NAME, "args": {…}}`; lines come back: any number of `{"progress": …}`, then one `{"result": …}` or
`{"error": TEXT}`.  Commands are functions registered by name.  No state of its own: who hangs up has lost nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from boxfs.base.ending import wait_for
from boxfs.base.errors import FsError
from boxfs.cli.exits import CliError, Exit

log = logging.getLogger("boxfs.control")

Progress = Callable[[Any], None]
Command = Callable[[Mapping[str, Any], Progress], Any]
_LONGEST_LINE = 1 << 20


class HungUp(Exception):
    """Whoever asked does not listen any more; the command may stop or go on as it likes."""


class ControlServer:
    """Answers on `path` until `close`; a thread per connection, since a command may take minutes."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = dict(commands)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._threads: set[threading.Thread] = set()  # guarded by _lock
        self._open: set[socket.socket] = set()  # guarded by _lock
        self._lock = threading.Lock()
        self._accepter: threading.Thread | None = None
        self._closing = False
        self._ours: tuple[int, int] | None = None  # the socket's device and inode

    def start(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        # The folder is 0700, so nobody connects between bind and chmod.
        self._socket.bind(str(self._path))
        self._path.chmod(0o600)
        self._ours = self._identity()
        self._socket.listen(16)
        self._accepter = threading.Thread(target=self._accept, name="control", daemon=True)
        self._accepter.start()

    def _identity(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def close(self, patience_s: float = 5.0) -> None:
        """Stop listening; commands under way get `patience_s` seconds to say their last line.

        Those that tell how far they are hear of it there (HungUp).
        """
        self._closing = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(OSError):
            if self._identity() == self._ours:  # and not that of the next mount of the place, whose cache is another
                self._path.unlink()
        until = time.monotonic() + patience_s
        wait_for(self._accepter, patience_s)
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            wait_for(thread, until - time.monotonic(), "a command of the control socket")
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="control-call", daemon=True)
            with self._lock:
                self._threads.add(thread)
                self._open.add(connection)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError, HungUp):
                if _peer_uid(connection) not in (0, os.geteuid()):
                    return
                with connection.makefile("rb") as lines:
                    line = lines.readline(_LONGEST_LINE)
                if line:
                    self._answer(connection, line)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
                self._open.discard(connection)

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        def say(kind: str, value: Any) -> None:
            if self._closing and kind == "progress":
                raise HungUp
            try:
                connection.sendall(json.dumps({kind: value}).encode() + b"\n")
            except OSError:
                raise HungUp from None

        try:
            asked = json.loads(line)
            command = self._commands.get(asked["command"])
            if command is None:
                say("error", f"this mount does not know the command {asked['command']!r}; it runs another version")
                return
            result = command(asked.get("args") or {}, lambda value: say("progress", value))
        except (HungUp, SystemExit):
            raise
        except (FsError, CliError) as error:
            say("error", str(error))
        except Exception as error:
            log.exception("control command failed: %s", line[:200])
            say("error", f"internal error: {type(error).__name__}: {error}")
        else:
            say("result", result)


def _peer_uid(connection: socket.socket) -> int:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", raw)[1]
    return uid


class NotRunning(CliError):
    """Nobody answers on the socket."""


def call(
    path: Path,
    command: str,
    args: Mapping[str, Any] | None = None,
    *,
    progress: Progress | None = None,
    timeout_s: float | None = 30.0,
) -> Any:
    """Ask the mount behind `path`; return the result.

    timeout_s: the longest silence between two lines; None waits for ever.
    Raises NotRunning where nobody listens, CliError with the mount's own words where the command failed.
    """
    for kind, value in _lines(path, command, args or {}, timeout_s):
        if kind == "progress":
            if progress is not None:
                progress(value)
        elif kind == "error":
            raise CliError(str(value))
        else:
            return value
    raise NotRunning("the mount ended before it answered", Exit.UNAVAILABLE)


def _lines(path: Path, command: str, args: Mapping[str, Any], timeout_s: float | None) -> Iterator[tuple[str, Any]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning("no mount answers there", Exit.UNAVAILABLE) from None
        except OSError as error:
            raise CliError(f"cannot talk to the mount: {error.strerror or error}", Exit.NO_PERMISSION) from None
        try:
            connection.sendall(json.dumps({"command": command, "args": dict(args)}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    yield from json.loads(line).items()
        except TimeoutError:
            raise CliError(f"the mount did not answer {command!r} in {timeout_s:g} s", Exit.UNAVAILABLE) from None
        except (ConnectionError, ValueError):
            return
