"""Change: one transaction on the tree, under way (`Tree.change`).

What it does to nodes shows at once to the thread that began it, in memory; SQLite hears of it in as few statements as
may be, at the latest with the commit.  Tree and Change are two halves of one thing: Change alone may touch what of the
tree begins with an underscore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boxfs.base.errors import NoSpace
from boxfs.base.types import ROOT_INO, Ino, Item, ItemId, Kind
from boxfs.core import inodes
from boxfs.core.interface import Watcher
from boxfs.core.listings import listing_of
from boxfs.core.node import Content, Node
from boxfs.core.rows import difference, to_row, told_row
from boxfs.core.shown import shown_name, told

if TYPE_CHECKING:
    from boxfs.core.tree import Tree

_INO_STRIDE = 1024  # counted inode numbers are reserved on disk in blocks of so many


class Change:
    """One transaction under way; see `Tree.change`.  Used with the tree's lock held, by the thread that began it."""

    def __init__(self, tree: Tree, *, asked: bool = False) -> None:
        self.tree = tree
        self.moved: list[Ino] = []  # what a program moved from one folder to another, or removed
        self.renamed_in: dict[Ino, None] = {}  # folders whose listings do not stand any more, unknown to the kernel
        self._notes_names = not asked
        self.touched: dict[Ino, Node | None] = {}  # final state of all that this change put or removed
        self.dirty: dict[Ino, Node | None] = {}  # the part of it that is not in SQLite yet
        self._stored: dict[Ino, tuple[Node, bool]] = {}  # what SQLite has of some of those, and whether as pending
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
            self.touched.setdefault(ROOT_INO, tree.node(ROOT_INO))  # an undo must reset the count
            self.run(tree.records.set_fact, "next_ino", str(start + _INO_STRIDE))
            tree._next_ino, tree._reserved_ino = start, start + _INO_STRIDE
        ino = inodes.counted(tree._next_ino)
        tree._next_ino += 1
        self.absent.add(ino)
        return ino

    def put(self, node: Node) -> Node:
        """Store the node as it is now; whether it is pending is worked out here.  Returns it."""
        tree = self.tree
        ino = node.ino
        old = tree._load(ino)
        if old is node:
            return node
        moved = old is None or old.parent != node.parent or old.name != node.name
        self.touched.setdefault(ino, old)  # first: what fails between here and the end is undone
        if old is not None:
            if ino not in self.dirty:
                self._stored[ino] = (old, ino in tree._pending.inos)
            tree._pending.changes(old)
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
        elif old is not None and old.parent != node.parent:
            self.moved.append(ino)
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
            self.tree._pending.add(node)
        else:
            self.tree._pending.inos.discard(node.ino)

    def remove(self, ino: Ino) -> None:
        """Forget the node (not its children).  What it had in the spool is dropped with it."""
        tree = self.tree
        old = tree._load(ino)
        if old is None:
            return
        self.touched.setdefault(ino, old)
        tree._unlink(old)
        if self._notes_names:
            self._note_names(old.parent)
        tree._drop(ino)
        if old.content is not None:
            self._free_spool(old.content.spool)
        tree._pending.inos.discard(ino)
        tree._pending.changes(old)
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
        """To be called when the node was put."""
        if self.tree.watcher is not None:
            self.tree.watcher.content_changing(ino)
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
        pending = self.tree._pending.inos
        gone = [ino for ino, node in self.dirty.items() if node is None]
        if gone:
            self.tree.records.remove_nodes(gone)
        changed = [node for node in self.dirty.values() if node is not None and not self._update(node)]
        self.tree.records.put_nodes([to_row(node, node.ino in pending) for node in changed])
        self.dirty.clear()
        self._stored.clear()

    def _update(self, node: Node) -> bool:
        """Store the node where that is a matter of a few columns; return whether it is done."""
        stored, was_pending = self._stored.get(node.ino, (None, False))
        if stored is None or was_pending != (node.ino in self.tree._pending.inos):
            return False
        columns = difference(stored, node)
        if columns is None:
            return False
        return not columns or self.tree.records.update_node(node.ino, columns)

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
        self._stored.clear()


def _based(content: Content | None, old: Item | None, new: Item, *, ours: bool) -> Content | None:
    """Return the content on top of the item as it is now, where what moved the etag on was no edit of somebody else.

    ours: the new version, if there is one, is ours too.
    """
    if content is None or old is None or content.base_etag != old.etag:
        return content
    if not ours and new.version_id not in (None, old.version_id):
        return content
    return replace(content, base_etag=new.etag)
