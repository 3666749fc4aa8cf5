"""Which opens may find what the kernel holds of a file, and which must begin with nothing.

A handle reads the version that it opened.  One that was opened before a change and reads after the kernel was told of
it puts old bytes back into the kernel's cache, which all handles share, and nobody would ever tell the kernel again:
the next reader would see old content for an hour.  So from a change on, each open lets the kernel drop what it holds,
until one comes when no handle from before the change is open any more.
"""

from __future__ import annotations

import threading
from collections import Counter

from boxfs.base.types import HandleNo, Ino


class Openings:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        # guarded by _lock, all three: how many changes an inode has heard of since it is open; how many of its handles
        # are open, by the number of changes before them (no empty Counter); what the kernel may hold old bytes of.
        self._changes: dict[Ino, int] = {}
        self._open: dict[Ino, Counter[int]] = {}
        self._stale: set[Ino] = set()
        self._handles: dict[HandleNo, tuple[Ino, int]] = {}  # guarded by _lock

    def opening(self, ino: Ino) -> int:
        """Call it before the core opens: a change in between must count as one after.  Returns a ticket."""
        with self._lock:
            ticket = self._changes.setdefault(ino, 0)
            self._open.setdefault(ino, Counter())[ticket] += 1
            return ticket

    def opened(self, ino: Ino, ticket: int, handle: HandleNo) -> bool:
        """Return whether the kernel may keep what it holds of the file."""
        with self._lock:
            self._handles[handle] = (ino, ticket)
            if ino not in self._stale:
                return True
            if all(each == self._changes[ino] for each in self._open[ino]):
                self._stale.discard(ino)  # nobody can put old bytes back any more: this open drops them for good
            return False

    def gave_up(self, ino: Ino, ticket: int) -> None:
        """The open failed."""
        with self._lock:
            self._leave_locked(ino, ticket)

    def released(self, handle: HandleNo) -> None:
        with self._lock:
            known = self._handles.pop(handle, None)
            if known is not None:
                self._leave_locked(*known)

    def content_changed(self, ino: Ino) -> None:
        with self._lock:
            if ino in self._open:
                self._changes[ino] += 1
                self._stale.add(ino)

    def forget(self, ino: Ino) -> None:
        """The kernel holds nothing of the inode any more."""
        with self._lock:
            self._stale.discard(ino)

    def _leave_locked(self, ino: Ino, ticket: int) -> None:
        handles = self._open[ino]
        handles[ticket] -= 1
        if handles[ticket] <= 0:
            del handles[ticket]
        if not handles:
            del self._open[ino], self._changes[ino]
