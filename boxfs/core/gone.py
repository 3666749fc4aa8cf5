"""Gone: what becomes of items that Box has no more, or not where the mount may look, within one change."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from boxfs.base.types import ROOT_INO, Ino, Item, Kind
from boxfs.core.change import Change
from boxfs.core.memory import Key, Memory
from boxfs.core.node import Node

Steps = Generator[Node, bool, bool]


class Gone:
    def __init__(self, change: Change, memory: Memory) -> None:
        self._change = change
        self._tree = change.tree
        self._memory = memory
        self._now_ns = change.tree.clock()

    def vanish(self, key: Key, sequence_id: int | None = None) -> None:
        """The item is gone at Box (trashed, purged, or not ours to see any more), with everything below it."""
        node = self._change.by_item(*key)
        held = node.remote.sequence_id if node is not None and node.remote is not None else None
        self._memory.bury(key, sequence_id if sequence_id is not None else held)
        if node is not None and node.ino != ROOT_INO:
            self._let_go(node)

    def missing(self, key: Key) -> None:
        """Box said "not found" to a question: the item is gone, or a folder above it, which may be restored."""
        node = self._change.by_item(*key)
        above = self._above(node.remote) if node is not None and node.remote is not None else None
        self.vanish(key)
        if above is not None:
            self.mark_stale(above.ino, "something in it was not found")

    def mark_stale(self, ino: Ino, why: str) -> None:
        """Let the folder be listed again, soon: the kernel may hold names of it."""
        node = self._change.node(ino)
        if node is not None and node.is_folder and node.complete:
            self._change.put(replace(node, stale=why))
            self._memory.relist[ino] = None

    def _let_go(self, node: Node) -> None:
        """Let go of a node whose item is gone, and of all below it; folders may be nested deeper than Python calls."""
        stack = [self._letting_go(node)]
        entered = {node.ino}  # what was told of two folders at different times may have each in the other
        stays: bool | None = None
        while stack:
            try:
                below = stack[-1].send(stays)  # type: ignore[arg-type]  # None begins a generator
            except StopIteration as end:
                stack.pop()
                stays = end.value
                continue
            stays = None
            if below.ino in entered:
                stays = True
            else:
                entered.add(below.ino)
                stack.append(self._letting_go(below))

    def _letting_go(self, node: Node) -> Steps:
        """Yield what is to be let go of first, and be told whether it stays; return whether the node has to stay."""
        remote = node.remote
        assert remote is not None
        if node.ino in self._memory.busy:
            self._memory.defer(node.ino, replace(remote, trashed=True))
            return True
        stays = False
        if node.is_folder:
            for child in self._change.children(node.ino):
                elsewhere = child.remote is None or child.remote.trashed
                if not elsewhere and child.remote is not None:
                    elsewhere = child.remote.parent_id not in (remote.id, None)
                stays = elsewhere or (yield child) or stays
            for other in self._tree.pending_below(remote.id):
                if self._change.node(other.ino) is not None and other.parent != node.ino:
                    yield other
        if node.content is not None and node.parent is not None:
            # A part of the bytes may be at Box only, in the trash: who sends the file takes it out of there.
            kept = replace(remote, trashed=True) if node.content.base is not None else None
            content = replace(node.content, base_etag=None)
            self._change.put(replace(node, remote=kept, content=content, changed_ns=self._now_ns))
            return True
        if stays and node.parent is not None:
            self._change.put(replace(node, remote=None, complete=True, stale=None, changed_ns=self._now_ns))
            return True
        self._change.remove(node.ino)
        if node.parent is not None:
            self._change.entry_gone(node.parent, node.name)
        return False

    def _remove(self, node: Node) -> None:
        """Forget a subtree with nothing pending in it: the mount shows it no more, Box has it elsewhere."""
        self._change.remove_tree(node.ino)
        if node.parent is not None:
            self._change.entry_gone(node.parent, node.name)

    # Looking around
    def _node(self, ino: Ino) -> Node:
        node = self._change.node(ino)
        assert node is not None
        return node

    def _above(self, item: Item) -> Node | None:
        return self._change.by_item(Kind.FOLDER, item.parent_id) if item.parent_id is not None else None

    def _holds_pending(self, node: Node) -> bool:
        if self._tree.is_pending(node.ino):
            return True
        if not node.is_folder or not self._tree.pending_count():
            return False
        return any(self._tree.is_below(one.ino, node.ino) for one in self._tree.pending())
