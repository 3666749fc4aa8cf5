"""Ground: what all operations of the file system stand on: nodes, rights, listings, the shape of stat.

The parts of `FileSystem` (names, open files, extended attributes) are classes over this one, each one idea; none has
state of its own.
"""

from __future__ import annotations

import logging
import stat
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from boxfs.base.errors import Denied, Locked, NotADirectory, NotFound, ReadOnly, RemoteError, Unreachable
from boxfs.base.types import Attr, Ino, Item, Kind
from boxfs.core import attributes, boxlock
from boxfs.core.change import Change
from boxfs.core.foresight import Foresight
from boxfs.core.identity import Identities
from boxfs.core.interface import Caller
from boxfs.core.node import Node
from boxfs.core.openfiles import OpenFiles, Opens
from boxfs.core.options import CoreOptions
from boxfs.core.tree import Tree
from boxfs.store.spool import Spool

log = logging.getLogger(__name__)

ASK_AGAIN_S = 15.0  # after Box could not be asked, what is known but stale is shown so long without asking


class Lists(Protocol):
    """The part of `core/incoming.py` that is needed here."""

    def listed(self, ino: Ino, *, background: bool = False) -> Node: ...


def _nobody_annotates(_ino: Ino, _description: str | None, _tags: Sequence[str] | None) -> None:
    raise Unreachable("there is nobody to tell Box")


class Ground:
    def __init__(self, tree: Tree, spool: Spool, reading: Opens, lists: Lists) -> None:
        # Dependencies
        self.tree = tree
        self.files = OpenFiles(tree, spool, reading)
        # Tells whether a call to Box about the inode is under way; set by who makes the calls.
        self.is_uploading: Callable[[Ino], bool] = lambda _ino: False
        self.identities = Identities(spool, lambda ino: self.is_uploading(ino))
        self._spool = spool
        self._lists = lists
        # Called with an inode where a program asked to wait until Box has it; raises the upload's error.
        self.barrier: Callable[[Ino], None] = lambda _ino: None
        # Sets the description, the tags of an inode's item at Box, what is None stays; returns when Box has it.
        self.annotate: Callable[[Ino, str | None, Sequence[str] | None], None] = _nobody_annotates
        # Tells whether all bytes of a file's version are in the block cache.
        self.is_cached: Callable[[Item], bool] = lambda _item: False
        # Hears what programs open and list; None: nothing is done ahead.
        self.foresight: Foresight | None = None
        # Who we are to Box, so that our own locks are told from those of others; None: not known.
        self.account_id: str | None = None
        # Tells why Box cannot be reached just now; None where it can.  Told when it can after all.
        self.why_offline: Callable[[], str | None] = lambda: None
        self.came_back: Callable[[], None] = lambda: None
        # Mutable state
        self._try_after = 0.0
        self._ask_after = 0.0  # monotonic; a float is written and read at once

    @property
    def options(self) -> CoreOptions:
        """The tree's: some change while the mount runs."""
        return self.tree.options

    # Nodes

    def _node(self, ino: Ino) -> Node:
        """Return the node, also that of an open file whose name is gone.  Raises NotFound."""
        node = self.tree.node(ino)
        if node is None or not node.is_shown:
            file = self.files.held(ino)
            if file is not None:
                return file.node
            if node is None or not node.is_folder:
                raise NotFound("it is gone")
        return node  # a folder that is still open, or somebody's working directory

    def _folder(self, ino: Ino) -> Node:
        node = self.tree.node(ino)
        if node is None or not node.is_shown:
            raise NotFound("the folder is gone")
        if node.kind is not Kind.FOLDER:
            raise NotADirectory(f"{node.name!r} is no folder")
        return node

    def _listed(self, ino: Ino) -> Node:
        """Return the folder with all its children in the tree.  Raises NotFound, NotADirectory, Unreachable."""
        folder = self._folder(ino)
        if folder.is_listed:
            return folder
        why = self.why_offline()
        if folder.complete and (why is not None or time.monotonic() < self._ask_after):
            return folder
        if why is not None:
            if time.monotonic() < self._try_after:
                raise Unreachable(why)
            self._try_after = time.monotonic() + ASK_AGAIN_S  # one tries: a dead network takes its time
        try:
            listed = self._lists.listed(ino)
            if why is not None:
                self.came_back()
            return listed
        except RemoteError:
            if not folder.complete:
                raise
            self._ask_after = time.monotonic() + ASK_AGAIN_S
            return folder  # what was known stands, rather than nothing

    def _touch(self, change: Change, ino: Ino, now_ns: int) -> None:
        """A folder's names changed."""
        folder = change.node(ino)
        if folder is not None:
            change.put(folder.but(mtime_ns=now_ns, ctime_ns=now_ns, times_set=False))

    def is_stale(self, ino: Ino) -> bool:
        node = self.tree.node(ino)
        return node is None or (node.complete and node.stale is not None)

    # Rights

    def _may_change(self) -> None:
        if self.options.read_only:
            raise ReadOnly("the mount is read-only")

    def _may_add_to(self, folder: Node) -> None:
        self._may_change()
        if folder.remote is not None and folder.remote.can_upload is False:
            raise Denied(f"your role at Box does not allow new files in {folder.name!r}")

    def _may_remove(self, node: Node) -> None:
        self._may_change()
        if node.remote is not None and node.remote.can_delete is False:
            raise Denied(f"your role at Box does not allow deleting {node.name!r}")

    def _may_rename(self, node: Node) -> None:
        self._may_change()
        if node.remote is not None and node.remote.can_rename is False:
            raise Denied(f"your role at Box does not allow renaming {node.name!r}")

    def _may_write(self, node: Node) -> None:
        self._may_change()
        if node.kind is Kind.WEB_LINK:
            raise Denied("a web link cannot be written to; change it at Box")
        if node.remote is not None and node.remote.can_upload is False:
            raise Denied(f"your role at Box does not allow changing {node.name!r}")
        if node.remote is not None and node.remote.lock:
            who = boxlock.holder(node.remote.lock, self.account_id, self.tree.clock())
            if who is not None:
                raise Locked(f"{node.name!r} is locked at Box by {who}")

    def _may_read(self, node: Node) -> None:
        if node.remote is not None and node.remote.can_download is False:
            raise Denied(f"your role at Box does not allow downloading {node.name!r}")

    # Stat

    def _attr(self, node: Node) -> Attr:
        options = self.options
        mode = node.mode
        if mode is None:
            mode = attributes.default_mode(node, options)
        size, mtime_ns, ctime_ns = node.size, node.mtime_ns, node.ctime_ns
        nlink = 1  # of a folder: "not counted"; 2 would say that it has no folders in it, and some programs skip them
        if node.kind is Kind.FOLDER:
            mode |= stat.S_IFDIR
        elif node.kind_bits:
            mode |= node.kind_bits
        else:
            mode |= stat.S_IFREG
            file = self.files.live(node.ino) if node.parent is not None else self.files.held(node.ino)
            if file is not None:
                if file.unsaved or file.unlinked:
                    size, mtime_ns, ctime_ns = file.size, file.mtime_ns, max(ctime_ns, file.ctime_ns)
                if file.unlinked:
                    nlink = 0
        return Attr(
            node.ino,
            mode,
            nlink,
            options.uid if node.uid is None else node.uid,
            options.gid if node.gid is None else node.gid,
            size,
            node.atime_ns,
            mtime_ns,
            ctime_ns,
            node.rdev,
        )

    def _owned(self, caller: Caller, folder: Node) -> tuple[int | None, int | None]:
        """Return uid and gid of what the caller makes in the folder, None where they are the mount's own."""
        if self.options.attributes == "off":
            return None, None
        gid = caller.gid
        if folder.mode is not None and folder.mode & stat.S_ISGID:
            gid = self.options.gid if folder.gid is None else folder.gid
        return (
            None if caller.uid == self.options.uid else caller.uid,
            None if gid == self.options.gid else gid,
        )

    def _mode(self, node: Node, mode: int) -> int | None:
        """Return permission bits as a node keeps them: None for the default."""
        if self.options.attributes == "off":
            return None
        mode &= 0o7777
        return None if mode == attributes.default_mode(node, self.options) else mode

    def _change_node(self, ino: Ino, changed: Callable[[Node, int], Node]) -> Node:
        """Put what `changed` makes of the node; of one that is only open still, remember it with the open file."""
        now_ns = self.tree.clock()
        with self.tree.change() as change:
            node = change.node(ino)
            if node is not None and node.is_shown:
                return change.put(changed(node, now_ns))
        file = self.files.held(ino)
        if file is None:
            raise NotFound("it is gone")
        file.node = changed(file.node, now_ns)
        return file.node
