"""BoxLocks: Box's own lock on a file for as long as a program here has it open for writing (`-o boxlock`).

A lock keeps others from saving over the file and shows them who is at work (box-api.md section 9).  It is a lease:
taken for `LEASE_S` at a time, renewed while it is needed, and given up once the file is closed and what was written is
at Box.  If this machine dies, it ends by itself.  A lock that cannot be had is no error for the writer: a conflict is
still found when the file is sent.

Also here: whose lock a lock is (`holder`), so that writing to a file that somebody else has locked is refused at open.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from boxfs.base.ending import wait_for
from boxfs.base.errors import FsError
from boxfs.base.types import Ino, ItemId
from boxfs.core.openfiles import OpenFiles
from boxfs.core.tree import Tree

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
LEASE_S = 600
ROUND_S = 2.0
RETRY_S = 60
STOP_S = 5.0

SetLock = Callable[[ItemId, int | None], object]  # file, when it expires (ns), None to unlock


class BoxLocks:
    def __init__(self, tree: Tree, files: OpenFiles, set_lock: SetLock) -> None:
        self._tree = tree
        self._files = files
        self._set_lock = set_lock
        # Of the thread alone
        self._held: dict[ItemId, tuple[Ino, int]] = {}  # what is locked: for which inode, until when
        self._not_before: dict[ItemId, int] = {}  # what could not be locked: when to try again
        self._stopping = threading.Event()
        self._until_s = float("inf")  # monotonic: when even a lock that is held is left to itself
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="boxfs-lock", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Give up all locks, and end; where Box does not answer in time, the locks end by themselves."""
        self._until_s = time.monotonic() + timeout_s
        self._stopping.set()
        wait_for(self._thread, timeout_s)

    def _loop(self) -> None:
        while not self._stopping.wait(ROUND_S):
            try:
                self.round()
            except Exception:
                log.exception("locking failed")
        self.give_up()

    def round(self) -> None:
        """Lock what is open for writing, renew what runs out, unlock what is done."""
        now = self._tree.clock()
        wanted: dict[ItemId, Ino] = {}
        for ino in self._files.writing():
            node = self._tree.node(ino)
            if node is not None and node.parent is not None and node.remote is not None:
                wanted[node.remote.id] = ino
        for item_id, (ino, _) in list(self._held.items()):
            if item_id not in wanted:
                if self._tree.is_pending(ino):
                    wanted[item_id] = ino  # closed, but not yet sent
                else:
                    self._unlock(item_id)
        for item_id, ino in wanted.items():
            held = self._held.get(item_id)
            if (held is None or held[1] - now < LEASE_S * SECOND // 2) and self._not_before.get(item_id, 0) <= now:
                self._lock(item_id, ino, now)

    def give_up(self) -> None:
        for item_id in list(self._held):
            if time.monotonic() > self._until_s:
                log.warning("%d locks at Box end by themselves", len(self._held))
                return
            self._unlock(item_id)

    def _lock(self, item_id: ItemId, ino: Ino, now_ns: int) -> None:
        until = now_ns + LEASE_S * SECOND
        try:
            self._set_lock(item_id, until)
        except FsError as error:
            log.warning("%s could not be locked at Box: %s", self._tree.path(ino), error)
            self._not_before[item_id] = now_ns + RETRY_S * SECOND
            return
        self._not_before.pop(item_id, None)
        self._held[item_id] = (ino, until)

    def _unlock(self, item_id: ItemId) -> None:
        ino, _ = self._held.pop(item_id)
        try:
            self._set_lock(item_id, None)
        except FsError as error:
            log.warning("the lock on %s ends by itself: %s", self._tree.path(ino), error)


def holder(lock: Mapping[str, Any] | None, account_id: str | None, now_ns: int) -> str | None:
    """Return the name of who else holds the lock; None where nobody does, or it cannot be told."""
    if not lock or account_id is None:
        return None
    by = lock.get("created_by") or {}
    if not by or by.get("id") == account_id:
        return None
    expires = lock.get("expires_at") or lock.get("expired_at")
    if isinstance(expires, str):
        try:
            if datetime.fromisoformat(expires).timestamp() * SECOND < now_ns:
                return None
        except ValueError:
            pass
    return str(by.get("name") or by.get("login") or by.get("id"))
