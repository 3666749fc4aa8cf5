"""A mount of MemoryFiles in a process of its own, driven by lines of JSON on its standard input.

    python -m tests.support.memorymount MOUNTPOINT '{"negative_timeout_s": 3600}'

Every line in is [command, arguments...], every line out one answer: {"ok": value} or {"error": text}.  Told without a
question: {"event": "ready"}, {"event": "signal", "number": 15}, {"event": "hangup"}, {"event": "unmounted"}.
A mount in the test's own process would hang with it: the kernel waits for the daemon, the daemon for the test's lock.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

from boxfs.base.errors import FsError
from boxfs.base.types import HandleNo
from boxfs.fuse.operations import Operations
from boxfs.fuse.options import MountOptions
from boxfs.fuse.session import Hooks, Session
from tests.support.memoryfiles import MemoryFiles, Remote

_out = threading.Lock()


def say(**words: Any) -> None:
    with _out:
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


class Awkward(MemoryFiles):
    """Counts calls, fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.broken: set[str] = set()

    def read_into(self, handle: HandleNo, buffer: memoryview, offset: int) -> int:
        self.counts["read"] = self.counts.get("read", 0) + 1
        if "read" in self.broken:
            raise RuntimeError("broken on purpose")
        return super().read_into(handle, buffer, offset)

    def getattr(self, ino: Any) -> Any:
        self.counts["getattr"] = self.counts.get("getattr", 0) + 1
        return super().getattr(ino)

    def lookup(self, parent: Any, name: str) -> Any:
        self.counts["lookup"] = self.counts.get("lookup", 0) + 1
        if "lookup" in self.broken:
            raise RuntimeError("broken on purpose")
        return super().lookup(parent, name)

    def count_requests(self, *names: str) -> None:
        """At the layer's own door: what reaches it at all."""
        for name in names:
            setattr(Operations, name, self._counting(name, getattr(Operations, name)))

    def _counting(self, name: str, original: Any) -> Any:
        def counting(*arguments: Any) -> Any:
            self.counts[name] = self.counts.get(name, 0) + 1
            return original(*arguments)

        return counting


def main() -> int:
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    given = json.loads(sys.argv[2])
    grace_s = given.pop("grace_s", 10.0)
    if given.pop("refuse_ready", False):

        def ready() -> None:
            raise RuntimeError("not ready, on purpose")
    else:

        def ready() -> None:
            say(event="ready")

    if "extra" in given:
        given["extra"] = tuple(given["extra"])
    files = Awkward()
    files.count_requests("getxattr", "readdir", "flush")
    remote = Remote(files)
    hooks = Hooks(
        on_ready=ready,
        on_signal=lambda number: say(event="signal", number=number),
        on_hangup=lambda: say(event="hangup"),
        on_unmounted=lambda: say(event="unmounted"),
    )
    session = Session(files, sys.argv[1], MountOptions(**given), hooks, grace_s=grace_s)

    def obey(command: str, *arguments: Any) -> Any:
        if command == "settle":
            assert session.invalidator is not None
            return session.invalidator.settle(30)
        if command == "counts":
            found = dict(files.counts)
            files.counts.clear()
            return found
        if command == "break":
            files.broken = set(arguments)
            return None
        if command == "detach":
            return session.detach()
        if command == "handles":
            return len(files._handles)
        if command == "quietly":
            return getattr(remote, arguments[0])(*arguments[1:], tell=False)
        return getattr(remote, command)(*arguments)

    def serve() -> None:
        for line in sys.stdin:
            try:
                say(ok=obey(*json.loads(line)))
            except Exception as error:  # noqa: BLE001 - told to the test
                say(error=repr(error))

    threading.Thread(target=serve, daemon=True).start()
    try:
        code = session.run()
    except FsError as error:
        say(event="failed", text=str(error))
        return getattr(error, "exit_code", 1)
    return code


if __name__ == "__main__":
    sys.exit(main())
