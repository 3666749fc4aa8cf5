"""What the kernel keeps and should not: told to it by one thread, which holds no lock.

The kernel takes the lock of an inode or folder to drop what it holds of it, and a request under way holds that lock
until we answer.  So a worker must never send such a notice itself, nor wait for one: the core's calls only put a notice
in the queue.  Notices that say the same are sent once.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from boxfs.base.ending import wait_for
from boxfs.base.errors import FsError
from boxfs.base.types import Ino
from boxfs.fuse.operations import Operations

log = logging.getLogger(__name__)

LATE_S = 1.0  # how long an answer may be on its way, at least, to a program that does not come to run

_EVERYTHING = ("everything",)
_Notice = tuple[str, Ino] | tuple[str, Ino, str] | tuple[str]


class Kernel(Protocol):
    """The notices that the kernel understands.  Each returns 0 or -errno; -ENOENT means that it held nothing."""

    def drop_inode(self, ino: int) -> int:
        """Attributes and data."""

    def drop_attributes(self, ino: int) -> int: ...

    def drop_name(self, parent: int, name: bytes) -> int: ...

    def drop_listing(self, ino: int) -> int:
        """The names of a folder, as it was read; not before who is reading it just now has what they asked for."""

    def drop_all_names(self) -> int:
        """Only from Linux 6.16 on."""


class SeenNames:
    """The names that the kernel holds, for kernels that cannot drop all names at one word (before Linux 6.16)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # guarded by _lock, invariant: _inodes[_places[i]] == i
        self._places: dict[int, tuple[int, bytes]] = {}
        self._inodes: dict[tuple[int, bytes], int] = {}

    def note(self, ino: int, parent: int, name: bytes) -> None:
        place = (parent, name)
        if self._places.get(ino) == place:
            return
        with self._lock:
            self._forget_locked(ino)
            former = self._inodes.get(place)
            if former is not None:
                self._forget_locked(former)
            self._places[ino] = place
            self._inodes[place] = ino

    def renamed(self, parent: int, name: bytes, new_parent: int, new_name: bytes, *, exchanged: bool) -> None:
        """The kernel moves its own names after a rename."""
        with self._lock:
            moved = self._inodes.get((parent, name))
            other = self._inodes.get((new_parent, new_name))
        if moved is not None:
            self.note(moved, new_parent, new_name)
        if other is not None and exchanged:
            self.note(other, parent, name)

    def forget(self, ino: int) -> None:
        with self._lock:
            self._forget_locked(ino)

    def all(self) -> list[tuple[int, bytes]]:
        with self._lock:
            return list(self._inodes)

    def _forget_locked(self, ino: int) -> None:
        place = self._places.pop(ino, None)
        if place is not None:
            self._inodes.pop(place, None)


class Invalidator:
    """The core's Watcher.  Start it once the mount is there; stop it when the workers have ended."""

    def __init__(self, kernel: Kernel, operations: Operations, seen_names: Callable[[], SeenNames | None]) -> None:
        """seen_names: asked when needed, since the kernel says what it can do only when the mount begins."""
        self._kernel = kernel
        self._operations = operations
        operations.views.on_moved = self._names_moved
        operations.views.on_changed = self.content_changed
        self._seen_names = seen_names
        self._condition = threading.Condition()
        self._queue: dict[_Notice, None] = {}  # guarded by _condition; in order, each once
        self._later: deque[tuple[float, Ino]] = deque()  # of the thread alone: contents to be told of again, and when
        self._sending = False  # guarded by _condition
        self._stopped = False  # guarded by _condition
        self._thread = threading.Thread(target=self._run, name="boxfs-notify", daemon=True)

    # The core calls these
    def content_changing(self, ino: Ino) -> None:
        self._operations.changes.note()
        self._operations.views.expect(ino)

    def content_changed(self, ino: Ino) -> None:
        self._operations.views.expect(ino)
        self._put(("content", ino))

    def attributes_changed(self, ino: Ino) -> None:
        self._put(("attributes", ino))

    def entry_gone(self, parent: Ino, name: str) -> None:
        self._put(("name", parent, name))

    entry_appeared = entry_gone

    def names_changed(self, folder: Ino) -> None:
        self._operations.folders.names_changed(folder)
        self._put(("listing", folder))

    def everything_changed(self) -> None:
        folders = self._operations.folders.all_names_changed()
        self._put(_EVERYTHING, *(("listing", folder) for folder in folders))

    def _names_moved(self, ino: Ino) -> None:
        """Names of the file lead to another inode of the kernel now (views.py)."""
        self._put(("moved", ino))

    # The session calls these
    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        wait_for(self._thread, timeout_s)

    def settle(self, timeout_s: float) -> bool:
        """Wait until everything queued has been told; False where that took longer."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queue and not self._sending, timeout_s)

    def _put(self, *notices: _Notice) -> None:
        self._operations.changes.note()
        with self._condition:
            if not self._stopped:
                self._queue.update(dict.fromkeys(notices))
                self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._sending = False
                self._condition.notify_all()
                late_s = self._later[0][0] - time.monotonic() if self._later else None
                self._condition.wait_for(lambda: self._queue or self._stopped, late_s)
                if self._stopped:
                    return
                while self._later and self._later[0][0] <= time.monotonic():
                    self._queue["content again", self._later.popleft()[1]] = None
                notices = list(self._queue)
                self._queue.clear()
                self._sending = True
            for notice in notices:
                try:
                    self._send(notice)
                except Exception:  # one notice lost is one stale name; the thread must go on
                    log.exception("could not tell the kernel: %s", notice)

    def _send(self, notice: _Notice) -> None:
        match notice:
            case ("content", ino):
                result = self._drop_content(ino)
                if result == -errno.ENOENT:  # or an answer that tells of it is on its way to who asked
                    self._later.append((time.monotonic() + LATE_S, ino))
            case ("content again", ino):
                result = self._drop_content(ino, last=True)
            case ("attributes", ino):
                result = self._kernel.drop_attributes(self._operations.views.node(ino))
            case ("name", parent, name):
                result = self._kernel.drop_name(parent, os.fsencode(name))
            case ("listing", ino):
                result = self._kernel.drop_listing(ino)
            case ("moved", ino):
                result = self._drop_name_of(ino)
            case _:
                result = self._drop_everything()
        # ENOENT: the kernel holds nothing.  ENOTDIR: what was a folder is none.  ENODEV, EBADF: the mount has gone.
        if result and -result not in (errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.EBADF, errno.ENOTCONN):
            log.warning("the kernel refused a notice %s: %s", notice, os.strerror(-result))

    def _drop_content(self, ino: Ino, *, last: bool = False) -> int:
        views = self._operations.views
        change = views.change_of(ino)
        node = views.content_changed(ino)
        result = 0 if node is None else self._kernel.drop_inode(node)
        if last or result != -errno.ENOENT:
            views.dropped(ino, change)
        return result

    def _drop_name_of(self, ino: Ino) -> int:
        try:
            place = self._operations.place_of(ino)
        except FsError:
            return self._drop_everything()  # on its way from one place to another
        return 0 if place is None else self._kernel.drop_name(*place)

    def _drop_everything(self) -> int:
        seen_names = self._seen_names()
        if seen_names is None:
            return self._kernel.drop_all_names()
        for parent, name in seen_names.all():
            self._kernel.drop_name(parent, name)
        return 0
