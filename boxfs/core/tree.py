"""Tree: every inode that the mount knows, with its local and its remote state.

The tree owns the one lock of the core's state, the records on disk, and a bounded cache of nodes above them.

    LOCK.  `Tree.lock` is re-entrant and is never held while anything waits for the network or for fsync.  A file's own
    lock (core/openfiles.py) is taken before it, never after it.

Reading methods take the lock for a moment and return frozen snapshots.  A change is a transaction (core/change.py):

    with tree.change() as change:
        node = change.node(ino)
        change.put(replace(node, name="b"))

On a normal exit the rows are committed, then, with the lock released, the watcher hears what the change noted and
`on_pending` is called if there is new work for sync.  An exception undoes everything, in memory too.

Names are looked up exactly as given; `holder` finds who has a name as Box compares names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from boxfs.base.errors import NoSpace
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Ino, Item, ItemId, Kind
from boxfs.core.change import Change
from boxfs.core.interface import Watcher
from boxfs.core.listings import Listing, Listings, listing_of
from boxfs.core.names import fold
from boxfs.core.node import Node, Wanted
from boxfs.core.options import CoreOptions
from boxfs.core.pending import Pending
from boxfs.core.rows import from_row, untext
from boxfs.core.wanted import wanted
from boxfs.store.records import Records

ROOM_BYTES = 4 << 20


class Tree:
    def __init__(
        self,
        records: Records,
        options: CoreOptions,
        *,
        root_folder: ItemId = ROOT_FOLDER,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        # Dependencies
        self.records = records
        self.options = options
        self.clock = clock  # nanoseconds since the epoch
        self.watcher: Watcher | None = None
        self.on_pending: Callable[[], None] = lambda: None
        # Called after an upload was acknowledged (node as it was, item as it is, extents of its spool), no lock held.
        self.on_uploaded: Callable[[Node, Item, str], None] = lambda _node, _item, _extents: None
        # Called after a program moved an inode to another folder, or removed it, with the tree's lock free.
        self.on_moved: Callable[[Ino], None] = lambda _ino: None
        # Called when no row names a spool file any more, with no lock held, after on_uploaded.
        self.on_spool_free: Callable[[int], None] = lambda _number: None
        # Inodes that open files hold although no row may have them any more.
        self.held_inos: Callable[[], Container[Ino]] = tuple
        # Has the caches give room to what must be kept; returns the bytes that it freed.  Called with the lock held.
        self.make_room: Callable[[int], int] = lambda _bytes: 0
        # The lock (see above) and what it guards
        self.lock = threading.RLock()
        self._nodes: dict[Ino, Node] = {}  # cache, oldest first; invariant: holds every node that is dirty
        self._items: dict[tuple[Kind, ItemId], Ino] = {}  # of the cached nodes with a remote
        self._listings = Listings(lambda: self.options.cached_names)
        self._change: Change | None = None  # the one under way
        self._generation = 0
        self._last_edit = 0
        self._next_ino = 0  # the next count, and where the reserved block ends
        self._reserved_ino = 0
        self._pending = Pending(self._load)
        self._recall_pending()
        with self.change() as change:
            root = change.node(ROOT_INO)
            if root is None or root.item_id != root_folder:
                now = clock()
                change.put(
                    Node(
                        ROOT_INO,
                        Kind.FOLDER,
                        None,
                        "",
                        mtime_ns=now,
                        ctime_ns=now,
                        atime_ns=now,
                        remote=Item(Kind.FOLDER, root_folder, ""),
                    )
                )

    def close(self) -> None:
        with self.lock:
            self.records.close()

    def new_edit(self) -> int:
        """Return a number for an edit: greater than all before, also those of earlier runs (it follows the clock)."""
        with self.lock:
            self._last_edit = max(self._last_edit + 1, self.clock() // 1000)
            return self._last_edit

    # Reading

    def node(self, ino: Ino) -> Node | None:
        """Return the node, also of one that is deleted here but not yet at Box; None where there is none."""
        node = self._nodes.get(ino)  # a dict read is atomic: the usual case needs no lock
        if node is not None:
            return node
        with self.lock:
            return self._load(ino)

    def child(self, parent: Ino, name: str) -> Node | None:
        """Return who has exactly this name in the folder, as far as the table knows."""
        with self.lock:
            for node in self._holders(parent, name):
                if node.name == name:
                    return node
            return None

    def holder(self, parent: Ino, name: str) -> Node | None:
        """Return who has the name as Box compares names (the exact one first), as far as the table knows."""
        with self.lock:
            found = None
            for node in self._holders(parent, name):
                if node.name == name:
                    return node
                found = found or node
            return found

    def holders(self, parent: Ino, name: str) -> list[Node]:
        """Return all who have the name as Box compares names: more than one where Box let them, or they are marked."""
        with self.lock:
            return list(self._holders(parent, name))

    def children(self, parent: Ino) -> list[Node]:
        """Return all children that the table knows; whether these are all is the folder's `complete`."""
        with self.lock:
            inos = self._listing(parent).inos()
            nodes = self._nodes
            missing = [ino for ino in inos if ino not in nodes]
            if len(missing) > 8:
                self._flush()
                few = len(missing) < len(inos) // 2
                for row in self.records.nodes(missing) if few else self.records.children(parent):
                    if Ino(row[0]) not in nodes:
                        self._remember(from_row(row), evict=False)
            out = [node for ino in inos if (node := self._load(ino)) is not None]
            self._evict()
            return out

    def folders(self, parent: Ino) -> list[Ino]:
        """Return those children that are folders, by name, as far as the table knows.  Not to be changed."""
        with self.lock:
            listing = self._listing(parent)
            found = listing.folders()
            if found is None:
                self._flush()
                listing.know_folders((Ino(ino), untext(name)) for ino, name in self.records.folders_in(parent))
                found = listing.folders() or []
            return found

    def by_item(self, kind: Kind, item_id: ItemId) -> Node | None:
        with self.lock:
            ino = self._items.get((kind, item_id))
            if ino is not None:
                return self._load(ino)
            change = self._change
            if change is not None and (kind, item_id) in change.absent_items:
                return None
            row = self.records.by_item(kind.value, item_id)
            if row is None or (change is not None and Ino(row[0]) in change.dirty):
                if change is not None:
                    change.absent_items.add((kind, item_id))
                return None
            return self._nodes.get(Ino(row[0])) or self._remember(from_row(row))

    def pending(self) -> Iterator[Node]:
        """Yield every node that differs from Box, each as it is when it is reached; no lock is held between them."""
        with self.lock:
            inos = list(self._pending.inos)
        for ino in inos:
            node = self.node(ino)
            if node is not None and ino in self._pending.inos:
                yield node

    def pending_count(self) -> int:
        return len(self._pending.inos)

    def is_pending(self, ino: Ino) -> bool:
        return ino in self._pending.inos

    def pending_below(self, folder_id: ItemId) -> list[Node]:
        """Return the pending nodes whose item Box has in that folder, wherever the mount shows them."""
        with self.lock:
            self._flush()
            rows = self.records.pending_below(folder_id)
            return [self._nodes.get(Ino(row[0])) or self._remember(from_row(row)) for row in rows]

    def vacated(self, folder_id: ItemId, box_name: str) -> Node | None:
        """Return the pending node that has this name at Box, and is shown elsewhere or nowhere here."""
        with self.lock:
            ino = self._pending.who_vacated(folder_id, box_name)
            return None if ino is None else self._load(ino)

    def wanted(self, node: Node) -> Wanted:
        """Return how the node differs from Box."""
        parent = self.node(node.parent) if node.parent is not None else None
        return wanted(node, parent, self.options)

    def path(self, ino: Ino) -> str | None:
        """Return the path below the root ("" for the root); None where the inode has no name now."""
        parts: list[str] = []
        with self.lock:
            while ino != ROOT_INO:
                node = self.node(ino)
                if node is None or node.parent is None:
                    return None
                parts.append(node.name)
                ino = node.parent
        return "/".join(reversed(parts))

    def is_below(self, ino: Ino, ancestor: Ino) -> bool:
        """Tell whether `ino` is `ancestor` or shown somewhere below it."""
        with self.lock:
            at: Ino | None = ino
            while at is not None:
                if at == ancestor:
                    return True
                node = self.node(at)
                at = node.parent if node is not None else None
        return False

    def descendants(self, ino: Ino) -> Iterator[Node]:
        """Yield what the table knows below a folder, parents first."""
        todo = [ino]
        while todo:
            for node in self.children(todo.pop()):
                yield node
                if node.is_folder:
                    todo.append(node.ino)

    def generation(self) -> int:
        return self._generation

    def fact(self, name: str) -> str | None:
        """Return a small fact by name (store/schema.py, table facts)."""
        with self.lock:
            return self.records.fact(name)

    # Changing

    @contextmanager
    def change(self, *, frees: bool = False, asked: bool = False) -> Iterator[Change]:
        """One transaction; a change inside a change joins it.

        frees: it makes room (a deletion, an acknowledgement), so on a full disk it may use the room kept for that.
        asked: a program asked for it through the mount, so the kernel knows which names change.
        Raises NoSpace where the disk is full, with nothing changed.
        """
        with self.lock:
            outer = self._change
            if outer is not None:
                yield outer
                return
            change = self._change = Change(self, asked=asked)
            try:
                yield change
                try:
                    change._commit()
                except NoSpace:
                    if not (self.make_room(ROOM_BYTES) or (frees and self.records.release_ballast())):
                        raise
                    change._again()
            except BaseException:
                self._undo(change)
                raise
            finally:
                self._change = None
            woke = bool(change.touched and any(ino in self._pending.inos for ino in change.touched))
        if self.watcher is not None:
            for note in change.notes:
                note(self.watcher)
            for folder in change.renamed_in:
                self.watcher.names_changed(folder)
        for action in change.after:
            action()
        for ino in change.moved:
            self.on_moved(ino)
        if woke:
            self.on_pending()

    def sync(self) -> None:
        """Make every committed change survive a power cut.  Waits for the disk; not to be called with the lock held."""
        self.records.sync()

    def forget_clean(self) -> int:
        """Drop every row that is only cache; return how many.  Whoever looks next asks Box again."""
        with self.lock:
            self.records.begin()
            try:
                dropped = self.records.drop_clean([ROOT_INO])
                self.records.commit()
            except BaseException:
                self.records.rollback()
                raise
            self._drop_caches()
        if self.watcher is not None:
            self.watcher.everything_changed()
        return dropped

    # Inside, with the lock held

    def _load(self, ino: Ino) -> Node | None:
        node = self._nodes.get(ino)
        if node is None:
            change = self._change
            if change is not None and (ino in change.dirty or ino in change.absent):
                return None  # removed in this transaction, or looked for before
            row = self.records.node(ino)
            if row is None:
                if change is not None:
                    change.absent.add(ino)
                return None
            node = self._remember(from_row(row))
        return node

    def _remember(self, node: Node, *, evict: bool = True) -> Node:
        self._nodes[node.ino] = node
        if node.remote is not None:
            self._items[node.remote.key] = node.ino
        if evict:
            self._evict()
        return node

    def _evict(self) -> None:
        limit = self.options.cached_nodes
        if len(self._nodes) <= limit:
            return
        dirty = self._change.dirty if self._change is not None else {}
        for ino in list(self._nodes)[: len(self._nodes) - limit + limit // 8]:
            if ino not in dirty and ino != ROOT_INO:
                self._drop(ino)

    def _drop(self, ino: Ino) -> None:
        node = self._nodes.pop(ino, None)
        if node is not None and node.remote is not None and self._items.get(node.remote.key) == ino:
            del self._items[node.remote.key]

    def _drop_caches(self) -> None:
        self._nodes.clear()
        self._items.clear()
        self._listings.clear()
        self._generation += 1

    def _listing(self, parent: Ino) -> Listing:
        listing = self._listings.get(parent)
        if listing is None:
            self._flush()
            listing = listing_of((untext(folded), Ino(ino)) for folded, ino in self.records.names(parent))
            self._listings.put(parent, listing)
        return listing

    def _holders(self, parent: Ino, name: str) -> Iterator[Node]:
        for ino in self._listing(parent).holders(fold(name)):
            node = self._load(ino)
            if node is not None:
                yield node

    def _flush(self) -> None:
        if self._change is not None:
            self._change._flush()

    def _link(self, node: Node) -> None:
        if node.parent is not None:
            self._listings.link(node.parent, fold(node.name), node.ino, node.name if node.is_folder else None)

    def _unlink(self, node: Node) -> None:
        if node.parent is not None:
            self._listings.unlink(node.parent, fold(node.name), node.ino)

    def _undo(self, change: Change) -> None:
        self.records.rollback()
        for step in reversed(change.undo):
            step()
        if change.touched:
            self._drop_caches()
            self._next_ino = self._reserved_ino = 0
            self._recall_pending()

    def _recall_pending(self) -> None:
        self._pending.recall(from_row(row) for row in self.records.pending())
