"""FileSystem: what is mounted.  It puts the parts together, and answers what belongs to none of them.

    ground -> namespace -> fileio -> xattrs -> FileSystem      each builds on the one before

Threads: one of its own, "boxfs-house": saves what long-open files hold, lets go of bytes kept after an upload, and asks
for the account's space when somebody wants to know it.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from boxfs.base.ending import wait_for
from boxfs.base.errors import Denied, FsError, NotPermitted, ReadOnly
from boxfs.base.types import Account, Attr, HandleNo, Ino, StatFs
from boxfs.core import attributes
from boxfs.core.fileio import LATE_NS, Handle
from boxfs.core.ground import Lists
from boxfs.core.interface import Caller, Watcher
from boxfs.core.names import MAX_LOCAL_BYTES
from boxfs.core.namespace import stirred
from boxfs.core.node import Node
from boxfs.core.openfiles import Opens
from boxfs.core.recovery import recover
from boxfs.core.tree import Tree
from boxfs.core.watchers import Watchers
from boxfs.core.xattrs import Xattrs
from boxfs.store.spool import Spool

log = logging.getLogger(__name__)

ROUND_S = 1.0
HOUSE_S = 5.0  # how long a stop may take for the housekeeper's last round
LAST_ADOPTIONS_S = 2.0  # how long a stop may take for moving uploaded bytes into the cache
SPACE_AGE_S = 600.0  # df may be so much behind; only looked at when somebody asks
UNKNOWN_SPACE = 10 << 40  # what df shows before Box was ever asked


LAST_NS = (1 << 63) // 10**9 * 10**9  # a whole second


def kept_time(ns: int) -> int:
    """Return the time nearest to it that can be kept (64 bits: 1677 to 2262), as other file systems do."""
    return max(-LAST_NS, min(ns, LAST_NS))


class FileSystem(Xattrs):
    def __init__(self, tree: Tree, spool: Spool, reading: Opens, lists: Lists, account: Callable[[], Account]) -> None:
        """Takes what the last process left: unsent bytes are there before the first call is answered."""
        recover(tree, spool)
        super().__init__(tree, spool, reading, lists)
        spool.sync_rows = tree.sync
        self._account = account
        self.listeners: list[Watcher] = []  # hear what the mount's watcher hears; to be set before that one
        self._handles: dict[HandleNo, Handle] = {}
        self._numbers = itertools.count(1)
        self._replaced_files = deque()
        self._wanted_space = threading.Event()
        self.wants_account = False  # it was not asked for yet: to be done after the first round
        self._asked_space_s = float("-inf")  # monotonic
        self._space = self._known_space()
        self._stopping = threading.Event()
        self._house: threading.Thread | None = None

    def start(self) -> None:
        """Start the housekeeper.  After the fork, if there is one."""
        self._house = threading.Thread(target=self._keep_house, name="boxfs-house", daemon=True)
        self._house.start()

    def stop(self) -> None:
        """Save everything that open files hold.  The tree stays open."""
        self._stopping.set()
        self._wanted_space.set()
        wait_for(self._house, HOUSE_S)
        self._forget_handles()
        deadline = time.monotonic() + LAST_ADOPTIONS_S
        self.files.adopt_retired(lambda: time.monotonic() > deadline)
        self.files.drop_retired(1 << 63)
        self._guarded(self._spool.clear_out)

    def is_in_use(self) -> bool:
        """Tell whether a program has a file or folder open."""
        return bool(self._handles)

    def set_watcher(self, watcher: Watcher) -> None:
        self.tree.watcher = Watchers(*self.listeners, watcher)

    # Attributes

    def getattr(self, ino: Ino) -> Attr:
        return self._attr(self._node(ino))

    def setattr(
        self,
        ino: Ino,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        size: int | None = None,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        handle: HandleNo | None = None,
        caller: Caller | None = None,  # noqa: ARG002 - the kernel has checked who may
    ) -> Attr:
        self._may_change()
        node = self._node(ino)
        if size is not None:
            self._set_size(ino, size, handle)
        if mode is not None or uid is not None or gid is not None:
            self._refuse_owners(node, mode, uid, gid)
        if any(one is not None for one in (mode, uid, gid, atime_ns, mtime_ns)):

            def changed(node: Node, now_ns: int) -> Node:
                return self._with_attributes(node, now_ns, mode, uid, gid, atime_ns, mtime_ns)

            node = self._change_node(ino, changed)
            file = self.files.live(ino)
            if mtime_ns is not None and file is not None:
                with file.lock:
                    file.mtime_ns = kept_time(mtime_ns)
        return self._attr(self._node(ino))

    def _with_attributes(
        self,
        node: Node,
        now_ns: int,
        mode: int | None,
        uid: int | None,
        gid: int | None,
        atime_ns: int | None,
        mtime_ns: int | None,
    ) -> Node:
        node = stirred(node, now_ns)
        options = self.options
        if options.attributes != "off":
            if mode is not None:
                node = replace(node, mode=self._mode(node, mode))
            if uid is not None:
                node = replace(node, uid=None if uid == options.uid else uid)
            if gid is not None:
                node = replace(node, gid=None if gid == options.gid else gid)
        if atime_ns is not None:
            node = replace(node, atime_ns=kept_time(atime_ns))
        if mtime_ns is not None:
            node = replace(node, mtime_ns=kept_time(mtime_ns), times_set=True)
        return node

    def _refuse_owners(self, node: Node, mode: int | None, uid: int | None, gid: int | None) -> None:
        """With attributes=off nothing is kept, so a change that would be one is refused."""
        if self.options.attributes != "off":
            return
        if (
            (mode is not None and mode & 0o7777 != attributes.default_mode(node, self.options))
            or uid not in (None, self.options.uid)
            or gid not in (None, self.options.gid)
        ):
            raise NotPermitted("modes and owners are not kept (attributes=off)")

    def access(self, ino: Ino, mask: int, caller: Caller | None = None) -> None:
        attr = self.getattr(ino)
        if mask & os.W_OK:
            if self.options.read_only:
                raise ReadOnly("the mount is read-only")
            self._may_write_or_add(self._node(ino))
        if caller is None or mask == os.F_OK:
            return
        if caller.uid == 0:
            allowed = 0o6 | (1 if attr.mode & 0o111 or self._node(ino).is_folder else 0)
        elif caller.uid == attr.uid:
            allowed = attr.mode >> 6 & 7
        elif caller.gid == attr.gid:
            allowed = attr.mode >> 3 & 7
        else:
            allowed = attr.mode & 7
        if mask & ~allowed & 7:
            raise Denied("the permission bits do not allow it")

    def _may_write_or_add(self, node: Node) -> None:
        if node.is_folder:
            self._may_add_to(node)
        else:
            self._may_write(node)

    # Space

    def statfs(self) -> StatFs:
        if time.monotonic() - self._asked_space_s > SPACE_AGE_S:
            self._wanted_space.set()
        total, used = self._space
        free = max(0, total - used)
        return StatFs(total, free, name_max=MAX_LOCAL_BYTES)

    def ask_account(self) -> None:
        """Ask Box for the account and its space now, in the house's thread."""
        self._wanted_space.set()

    def know_space(self, total: int, used: int) -> None:
        """Box has just told the space of the account, in bytes: nobody needs to ask for a while."""
        self._asked_space_s = time.monotonic()
        self._space = (total, used)

    def _known_space(self) -> tuple[int, int]:
        text = self.tree.fact("space")
        if text is None:
            return UNKNOWN_SPACE, 0
        total, used = json.loads(text)
        return total, used

    def _ask_space(self) -> None:
        self._asked_space_s = time.monotonic()
        try:
            account = self._account()
        except FsError as error:
            log.debug("the account's space is not known: %s", error)
            return
        self._space = (account.space_amount, account.space_used)
        with self.tree.change() as change:
            change.set_fact("space", json.dumps(self._space))

    # The house

    def _keep_house(self) -> None:
        while not self._stopping.is_set():
            if self._wanted_space.wait(ROUND_S) or self.wants_account:
                self._wanted_space.clear()
                self.wants_account = False
                if not self._stopping.is_set():
                    self._guarded(self._ask_space)
            self._guarded(self.keep_house)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except FsError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("housekeeping failed")

    def keep_house(self) -> None:
        """One round: save what was written to files that stay open, let go of what was kept long enough."""
        now = self.tree.clock()
        self.let_late_ones_go(before_ns=now - LATE_NS)
        self.files.save_old(now)
        self.files.adopt_retired(self._stopping.is_set)
        self.files.drop_retired(self.tree.clock())
        self._spool.clear_out()
        with self.tree.lock:
            self.tree.records.keep_ballast()
