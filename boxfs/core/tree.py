"""Tree: every inode that the mount knows, with its local and its remote state.

The tree owns the one lock of the core's state, the records on disk, and a bounded cache of nodes above them.

    LOCK.  `Tree.lock` is re-entrant and is never held while anything waits for the network or for fsync.  A file's own
    lock (core/openfiles.py) is taken before it, never after it.

Reading methods take the lock for a moment and return frozen snapshots.  All changes go through one transaction:

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
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from boxfs.base.errors import NoSpace
from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Ino, Item, ItemId, Kind
from boxfs.core import inodes
from boxfs.core.interface import Watcher
from boxfs.core.listings import Listing, Listings, listing_of
from boxfs.core.names import fold
from boxfs.core.node import Content, Node, Wanted
from boxfs.core.options import CoreOptions
from boxfs.core.rows import from_row, to_row, told_row, untext
from boxfs.core.shown import shown_name, told
from boxfs.core.wanted import in_place, wanted
from boxfs.store.records import Records

ROOM_BYTES = 4 << 20
_INO_STRIDE = 1024  # counted inode numbers are reserved on disk in blocks of so many


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
        self._pending: set[Ino] = set()
        self._vacated: dict[tuple[ItemId, str], Ino] = {}  # (folder, folded name) at Box of who is not shown there
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
            inos = list(self._pending)
        for ino in inos:
            node = self.node(ino)
            if node is not None and ino in self._pending:
                yield node

    def pending_count(self) -> int:
        return len(self._pending)

    def is_pending(self, ino: Ino) -> bool:
        return ino in self._pending

    def pending_below(self, folder_id: ItemId) -> list[Node]:
        """Return the pending nodes whose item Box has in that folder, wherever the mount shows them."""
        with self.lock:
            self._flush()
            rows = self.records.pending_below(folder_id)
            return [self._nodes.get(Ino(row[0])) or self._remember(from_row(row)) for row in rows]

    def vacated(self, folder_id: ItemId, box_name: str) -> Node | None:
        """Return the pending node that has this name at Box, and is shown elsewhere or nowhere here."""
        with self.lock:
            ino = self._vacated.get((folder_id, fold(box_name)))
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
            woke = bool(change.touched and any(ino in self._pending for ino in change.touched))
        if self.watcher is not None:
            for note in change.notes:
                note(self.watcher)
            for folder in change.renamed_in:
                self.watcher.names_changed(folder)
        for action in change.after:
            action()
        if woke:
            self.on_pending()

    def sync(self) -> None:
        """Make every committed change survive a power cut.  Waits for the disk; not to be called with the lock held."""
        self.records.sync()

    def forget_clean(self) -> int:
        """Drop every row that is only cache (`boxfs cache clear`); return how many."""
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
        self._pending.clear()
        self._vacated.clear()
        for row in self.records.pending():
            node = from_row(row)
            self._pending.add(node.ino)
            self._note_vacated(node)

    def _note_vacated(self, node: Node) -> None:
        remote = node.remote
        if remote is None or remote.parent_id is None or remote.trashed or node.ino not in self._pending:
            return
        parent = None if node.parent is None else self._load(node.parent)
        if parent is None or not in_place(node, parent):
            self._vacated[remote.parent_id, fold(remote.name)] = node.ino

    def _forget_vacated(self, node: Node) -> None:
        remote = node.remote
        if remote is not None and remote.parent_id is not None and self._vacated:
            key = (remote.parent_id, fold(remote.name))
            if self._vacated.get(key) == node.ino:
                del self._vacated[key]


class Change:
    """One transaction under way; see `Tree.change`.  Used with the tree's lock held, by the thread that began it."""

    def __init__(self, tree: Tree, *, asked: bool = False) -> None:
        self.tree = tree
        self.renamed_in: dict[Ino, None] = {}  # folders whose listings do not stand any more, unknown to the kernel
        self._notes_names = not asked
        self.touched: dict[Ino, Node | None] = {}  # final state of all that this change put or removed
        self.dirty: dict[Ino, Node | None] = {}  # the part of it that is not in SQLite yet
        self.absent: set[Ino] = set()  # known to have no row, so that nobody asks SQLite again
        self.absent_items: set[tuple[Kind, ItemId]] = set()
        self.notes: list[Callable[[Watcher], None]] = []
        self.after: list[Callable[[], None]] = []  # run after the commit, with no lock held
        self.undo: list[Callable[[], None]] = []  # run where the change fails, with the lock held
        self._began = False
        self._steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    # Reading: as Tree, seeing what this change did
    def node(self, ino: Ino) -> Node | None:
        return self.tree.node(ino)

    def child(self, parent: Ino, name: str) -> Node | None:
        return self.tree.child(parent, name)

    def holder(self, parent: Ino, name: str) -> Node | None:
        return self.tree.holder(parent, name)

    def children(self, parent: Ino) -> list[Node]:
        return self.tree.children(parent)

    def by_item(self, kind: Kind, item_id: ItemId) -> Node | None:
        return self.tree.by_item(kind, item_id)

    def expect(self, items: Sequence[Item]) -> None:
        """Many items are about to be looked for: find out in one go which of them are not there."""
        tree = self.tree
        if len(items) < 8:
            return
        self._flush()
        for kind in Kind:
            ids = [item.id for item in items if item.kind is kind and item.key not in tree._items]
            found = tree.records.items_among(kind.value, ids)
            self.absent_items.update((kind, item_id) for item_id in ids if item_id not in found)
        inos = [inodes.of_item(item.kind, item.id) for item in items]
        missing = [ino for ino in inos if ino not in tree._nodes]
        self.absent.update(set(missing) - {Ino(ino) for ino in tree.records.inos_among(missing)})

    # Nodes
    def new_ino(self, kind: Kind | None = None, item_id: ItemId | None = None) -> Ino:
        """Return a number for a new node: that of the item, or the next count for what Box has never had.

        An item whose number is taken (its identity went to another inode once) gets a counted one.
        """
        tree = self.tree
        if kind is not None and item_id is not None:
            ino = inodes.of_item(kind, item_id)
            if tree.node(ino) is None and ino not in tree.held_inos():
                return ino
        if tree._next_ino >= tree._reserved_ino:
            start = tree._reserved_ino or int(tree.records.fact("next_ino") or "1")
            tree._next_ino, tree._reserved_ino = start, start + _INO_STRIDE
            self.run(tree.records.set_fact, "next_ino", str(tree._reserved_ino))
            self.touched.setdefault(ROOT_INO, tree.node(ROOT_INO))  # an undo must reset the count
        ino = inodes.counted(tree._next_ino)
        tree._next_ino += 1
        return ino

    def put(self, node: Node) -> Node:
        """Store the node as it is now; whether it is pending is worked out here.  Returns it."""
        tree = self.tree
        ino = node.ino
        old = tree._load(ino)
        if old is node:
            return node
        moved = old is None or old.parent != node.parent or old.name != node.name
        if old is not None:
            tree._forget_vacated(old)
            if moved:
                tree._unlink(old)
                if old.parent is not None:
                    tree._generation += 1
            if old.remote is not None and tree._items.get(old.remote.key) == ino:
                del tree._items[old.remote.key]
            if old.content is not None and (node.content is None or node.content.spool != old.content.spool):
                self._free_spool(old.content.spool)
        tree._nodes[ino] = node
        self.absent.discard(ino)
        if node.remote is not None:
            tree._items[node.remote.key] = ino
            self.absent_items.discard(node.remote.key)
        if moved:
            tree._link(node)
        if self._notes_names and (moved or (old is not None and old.kind_bits != node.kind_bits)):
            self._note_names(node.parent)
            if old is not None and old.parent != node.parent:
                self._note_names(old.parent)
        self.dirty[ino] = self.touched[ino] = node
        self._mark(node)
        if node.is_folder and old is not None and old.item_id != node.item_id:
            for child in tree.children(ino):  # whether they are in place depends on the folder's id
                if child.remote is not None:
                    self.dirty[child.ino] = self.touched[child.ino] = child
                    self._mark(child)
        if len(tree._nodes) > tree.options.cached_nodes + 1024:
            self._flush()
            tree._evict()
        return node

    def plant(self, folder: Ino, new: Sequence[tuple[Node, str]]) -> bool:
        """Store nodes, each with its folded name: all that is in the folder, nothing of them changed here.

        Returns False, with nothing stored, where the table has one of the inodes or items already.
        """
        tree = self.tree
        self._flush()
        self._begin()
        try:
            if not tree.records.add_told([told_row(node, folded) for node, folded in new]):
                return False
        except NoSpace:  # to be done by the commit, which knows how to make room
            self._restart()
            return False
        listing = listing_of((folded, node.ino) for node, folded in new)
        listing.know_folders((node.ino, node.name) for node, _ in new if node.is_folder)
        tree._listings.put(folder, listing)
        for node, _ in new:
            assert node.remote is not None
            tree._nodes[node.ino] = self.touched[node.ino] = node
            tree._items[node.remote.key] = node.ino
        self.absent.difference_update(node.ino for node, _ in new)
        self.absent_items.clear()
        tree._evict()
        return True

    def _mark(self, node: Node) -> None:
        if self.tree.wanted(node):
            self.tree._pending.add(node.ino)
            self.tree._note_vacated(node)
        else:
            self.tree._pending.discard(node.ino)

    def remove(self, ino: Ino) -> None:
        """Forget the node (not its children).  What it had in the spool is dropped with it."""
        tree = self.tree
        old = tree._load(ino)
        if old is None:
            return
        tree._unlink(old)
        if self._notes_names:
            self._note_names(old.parent)
        tree._drop(ino)
        if old.content is not None:
            self._free_spool(old.content.spool)
        tree._pending.discard(ino)
        tree._forget_vacated(old)
        tree._generation += 1
        tree._listings.drop(ino)
        self.dirty[ino] = self.touched[ino] = None

    def _note_names(self, folder: Ino | None) -> None:
        """What the kernel may hold of a folder's listing does not stand.  (Of one that is not complete it has none.)"""
        if folder is not None and folder not in self.renamed_in:
            node = self.tree._load(folder)
            if node is not None and node.complete:
                self.renamed_in[folder] = None

    def remove_tree(self, ino: Ino) -> list[Node]:
        """Forget the node and everything below it; return all of them, parents first."""
        top = self.node(ino)
        gone = [] if top is None else [top, *(self.tree.descendants(ino) if top.is_folder else ())]
        for node in reversed(gone):
            self.remove(node.ino)
        return gone

    def acknowledge(self, ino: Ino, item: Item, edit: int | None = None) -> Node | None:
        """Take in what Box answered to a write of ours; return the node as it is now, None where it is gone.

        For the inode itself, or for what has taken the item's identity meanwhile; an item that belongs to nobody any
        more (its inode was deleted, or replaced another file) is entombed.

        edit: the `Content.edit` that was uploaded, None where the call sent no bytes.  Later edits stay pending, based
        on the version that was just made.  What is not different from Box any more ceases to be pending by itself.
        """
        node = self.node(ino)
        held = node.remote if node is not None and (node.remote is None or not node.remote.trashed) else None
        if node is None or (held is not None and held.key != item.key):
            return self._acknowledge_stray(item, edit)
        remote = told(node.remote, item)
        content = node.content
        changes: dict[str, Any] = {"remote": remote, "attempts": 0, "not_before_ns": 0, "error": None}
        if content is not None and content.edit == edit:
            changes["content"] = None
            extents = self.tree.records.spool(content.spool) or ""
            self.after.append(lambda: self.tree.on_uploaded(node, item, extents))
        elif content is not None and edit is not None:
            changes["content"] = replace(content, base_etag=item.etag)
        else:
            changes["content"] = _based(content, node.remote, item, ours=False)
        other = self.by_item(item.kind, item.id)
        if other is not None and other.ino != ino:
            self._part_with(other)
        return self.put(replace(node, **changes))

    def _part_with(self, other: Node) -> None:
        """The item turned out to be another node's: `other` was made of an event that told of it first, or took its
        identity while the call was under way.
        """
        content = other.content
        if content is None or other.parent is None or other.remote is None:
            self.remove(other.ino)
            return
        base_file = content.base_file or (other.remote.id if content.base is not None else None)
        self.put(replace(other, remote=None, content=replace(content, base_etag=None, base_file=base_file)))

    def _acknowledge_stray(self, item: Item, edit: int | None) -> Node | None:
        """Box did something for an inode that has gone meanwhile, or that has become another item.

        What the item belongs to now hears of it; an item that belongs to nobody is put away.
        """
        holder = self.by_item(item.kind, item.id)
        if holder is not None:
            content = _based(holder.content, holder.remote, item, ours=edit is not None)
            return self.put(replace(holder, remote=told(holder.remote, item), content=content))
        if item.trashed:
            return None
        heir = self._heir(item)
        if heir is not None:
            assert heir.content is not None
            return self.put(replace(heir, remote=item, content=replace(heir.content, base_etag=item.etag)))
        self.entomb(item)
        return None

    def _heir(self, item: Item) -> Node | None:
        """Return a new file under the item's name: what was uploaded was removed meanwhile, and made anew."""
        parent = self.by_item(Kind.FOLDER, item.parent_id) if item.parent_id is not None else None
        heir = self.child(parent.ino, shown_name(item)) if parent is not None else None
        if heir is None or item.kind is not Kind.FILE:
            return None
        new = heir.remote is None and heir.content is not None and heir.kind is Kind.FILE and not heir.kind_bits
        return heir if new else None

    def entomb(self, item: Item) -> Node:
        """Make a node that the mount shows nowhere, so that the item goes to the trash."""
        now = self.tree.clock()
        return self.put(Node(self.new_ino(), item.kind, None, item.name, ctime_ns=now, remote=item, changed_ns=now))

    def _free_spool(self, number: int) -> None:
        self.run(self.tree.records.drop_spool, number)
        self.after.append(lambda: self.tree.on_spool_free(number))

    # What is not nodes
    def run(self, step: Callable[..., object], *values: Any) -> None:
        """Call a writing method of the records as a part of this transaction."""
        self._begin()
        self._steps.append((step, values))
        step(*values)

    def set_fact(self, name: str, value: str | None) -> None:
        self.run(self.tree.records.set_fact, name, value)

    # What the watcher hears after the commit.  Only of what did not come through the mount.
    def content_changed(self, ino: Ino) -> None:
        self.notes.append(lambda watcher: watcher.content_changed(ino))

    def attributes_changed(self, ino: Ino) -> None:
        self.notes.append(lambda watcher: watcher.attributes_changed(ino))

    def entry_gone(self, parent: Ino, name: str) -> None:
        self.notes.append(lambda watcher: watcher.entry_gone(parent, name))

    def entry_appeared(self, parent: Ino, name: str) -> None:
        self.notes.append(lambda watcher: watcher.entry_appeared(parent, name))

    def everything_changed(self) -> None:
        self.notes.append(lambda watcher: watcher.everything_changed())

    # SQLite
    def _begin(self) -> None:
        if not self._began:
            self.tree.records.begin()
            self._began = True

    def _flush(self) -> None:
        if not self.dirty:
            return
        self._begin()
        pending = self.tree._pending
        gone = [ino for ino, node in self.dirty.items() if node is None]
        if gone:
            self.tree.records.remove_nodes(gone)
        self.tree.records.put_nodes([to_row(node, node.ino in pending) for node in self.dirty.values() if node])
        self.dirty.clear()

    def _commit(self) -> None:
        self._flush()
        if self._began:
            self.tree.records.commit()

    def _again(self) -> None:
        """Do it once more from the start, after SQLite gave up for want of room."""
        self._restart()
        self._commit()

    def _restart(self) -> None:
        self.tree.records.rollback()
        self._began = False
        self._begin()
        for step, values in self._steps:
            step(*values)
        self.dirty = dict(self.touched)


def _based(content: Content | None, old: Item | None, new: Item, *, ours: bool) -> Content | None:
    """Return the content on top of the item as it is now, where what moved the etag on was no edit of somebody else.

    ours: the new version, if there is one, is ours too.
    """
    if content is None or old is None or content.base_etag != old.etag:
        return content
    if not ours and new.version_id not in (None, old.version_id):
        return content
    return replace(content, base_etag=new.etag)
