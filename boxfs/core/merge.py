"""Merge: what Box tells of items, laid into the tree within one change, without hurting what is pending here.

Rules, item by item (a *facet* is name, folder, bytes, times, properties):
- A facet that is not changed here follows Box; one that is changed here stays, and remains pending.
- What is deleted here stays deleted, unless Box has new bytes for it: an edit there wins over a delete here.
- What has gone at Box goes here, unless it holds bytes that Box never got, or something that does: that stays and is
  sent anew, folders above it too.
- Who gets a name that two want: core/places.py.  What goes along with what has gone: core/gone.py.
Moves of one batch are done together (all leave their places first), so that swapped names need no order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Ino, Item, Kind
from boxfs.core import attempts, attributes, names
from boxfs.core.change import Change
from boxfs.core.memory import Key, ListingUnderWay, Memory, older
from boxfs.core.node import Node, Wanted
from boxfs.core.places import Places
from boxfs.core.planting import plant
from boxfs.core.shown import fresh, is_vague, shown_mtime_ns, shown_name, shown_size, told

SECOND = 1_000_000_000


class Merge(Places):
    def __init__(self, change: Change, memory: Memory) -> None:
        super().__init__(change, memory)
        self.asked = False  # Box was asked for these very items: they say what they can
        self.makes_wait = False  # an unknown item that a call of ours may just have made waits for its answer

    # What is told
    def learn(self, items: Iterable[Item], *, listing: bool = False) -> None:
        """Take in items as Box has them now (or lately).  listing: they come from the folder itself, so they exist."""
        latest: dict[Key, Item] = {}
        for item in items:
            if not listing:
                self._memory.note(item)
            if not older(item, latest.get(item.key)):
                latest[item.key] = item
        todo = {key: item for key, item in latest.items() if self._is_news(item, listing)}
        self._batch = {key for key, item in todo.items() if not item.trashed}
        movers: list[tuple[Node, Item]] = []  # as they were
        new: dict[Key, Item] = {}
        gone: list[Item] = []
        revived: list[Ino] = []
        for key, item in todo.items():
            node = self._change.by_item(*key)
            if item.trashed:
                gone.append(item)
            elif node is None:
                new[key] = item
            elif node.parent is None:
                if self._take_of_deleted(node, item):
                    revived.append(node.ino)
            elif self._take(node, item):
                movers.append((node, item))
        for before, _ in movers:  # all leave before any arrives, and before what they were in goes
            self._change.put(replace(self._node(before.ino), parent=None))
        for item in gone:
            self.vanish(item.key, item.sequence_id)
        for ino in revived:
            node = self._change.node(ino)
            if node is not None:
                self._revive(node)
        self._insert(new)
        for before, item in movers:
            self._arrive(before, item)

    def listed(self, folder: Node, items: list[Item], listing: ListingUnderWay) -> Node | None:
        """Take in the whole listing of a folder; returns the folder as it is now."""
        assert folder.remote is not None
        if not folder.complete:
            self._quiet.add(folder.ino)
        present = {item.key for item in items}
        for node in list(self._known_in(folder)):
            assert node.remote is not None
            key = node.remote.key
            if key in present or key in listing.news or node.ino in self._memory.busy:
                continue
            if self._tree.wanted(node) & ~Wanted.DELETE or self._holds_pending(node):
                self._memory.strays[key] = None  # it may have been moved: ask before its bytes are sent anew
            else:
                self.vanish(key)
        gone = {key for key, item in listing.news.items() if item.trashed}
        items = plant(self._change, self._memory, folder, [item for item in items if item.key not in gone])
        self._change.expect(items)
        self.learn(items, listing=True)
        self.learn([item for item in listing.news.values() if not item.trashed])
        now = self._change.node(folder.ino)
        return self._change.put(replace(now, complete=True, stale=None)) if now is not None else None

    # Sorting what is told
    def _is_news(self, item: Item, listing: bool) -> bool:
        node = self._change.by_item(*item.key)
        held = node.remote if node is not None else None
        if not self.asked and is_vague(item, held) and item.id != ROOT_FOLDER and not older(item, held):
            self._memory.strays[item.key] = None  # more is to be had for asking
            if not listing or not item.name:
                return False
        if node is None:
            if item.trashed:
                self._memory.bury(item.key, item.sequence_id)
                return False
            maker = self._memory.maker_of(item) if self.makes_wait or listing else None
            if maker is not None:
                self._memory.defer(maker, item)
                return False
            if listing:
                self._memory.unbury(item.key)
            return not self._memory.is_buried(item)
        if node.ino == ROOT_INO:
            if not item.trashed:
                self._change.put(replace(node, remote=told(node.remote, item)))
            return False
        if older(item, node.remote):
            return False
        caller = self._memory.caller_about(node.ino, item.key)
        if caller is not None:
            self._memory.defer(caller, item)
            return False
        return True

    # What the item says of itself
    def _take(self, node: Node, item: Item) -> bool:
        """Lay the facts of the item over the node; return whether it has to move."""
        old = node.remote
        assert old is not None
        new = told(old, item)
        wanted = self._tree.wanted(node)
        same_bytes = new.version_id == old.version_id and new.sha1 == old.sha1 and new.url == old.url
        changes: dict[str, Any] = {"remote": new}
        if node.content is not None:
            if same_bytes and node.content.base_etag == old.etag:
                changes["content"] = replace(node.content, base_etag=new.etag)
        elif not node.is_folder and not node.kind_bits:
            if not same_bytes:
                changes.update(size=shown_size(new), mtime_ns=shown_mtime_ns(new), ctime_ns=self._now_ns)
            elif Wanted.TIME not in wanted and shown_mtime_ns(new) // SECOND != node.mtime_ns // SECOND:
                changes["mtime_ns"] = shown_mtime_ns(new)
        result = replace(node, **changes)
        if Wanted.PROPERTIES not in wanted and (new.properties or {}) != (old.properties or {}):
            result = attributes.applied(result, new, self._tree.options)
        if result != node:
            self._change.put(result)
            if not same_bytes and node.content is None:
                self._change.content_changed(node.ino)
            elif (result.mtime_ns, result.mode, result.size) != (node.mtime_ns, node.mode, node.size):
                self._change.attributes_changed(node.ino)
        if node.is_folder and _rights_changed(old, new):
            below, todo = [], [node.ino]
            while todo:
                folders = self._tree.folders(todo.pop())
                below += folders
                todo += folders
            for ino in (*below, node.ino):
                self.mark_stale(ino, "rights changed")
        follows = self._follows(node, old)
        return (follows[0] and new.parent_id != old.parent_id) or (
            follows[1] and (shown_name(new), names.mark_of(new.name)) != (node.name, node.mark)
        )

    def _take_of_deleted(self, node: Node, item: Item) -> bool:
        """The same for what is deleted here; return whether Box has new bytes, which win over the deletion."""
        old = node.remote
        assert old is not None
        new = told(old, item)
        edited = new.version_id != old.version_id and not node.is_folder
        if edited and new.sha1 is not None and new.sha1 == attempts.sent_sha1(self._tree, node.ino):
            edited = False  # our own upload, whose reply was lost: what was deleted since stays so
        result = replace(node, remote=new)
        if edited:
            result = replace(result, size=shown_size(new), mtime_ns=shown_mtime_ns(new), content=None)
        self._change.put(result)
        return edited

    # What is new
    def _insert(self, new: dict[Key, Item]) -> None:
        """Make nodes, parents first."""
        while new:
            ready = [item for item in new.values() if self._above(item) is not None]
            for item in ready:
                del new[item.key]
                self._add(item)
            if not ready:
                break
        wanted = {item.parent_id for item in self._memory.later.values()}
        for item in new.values():  # in folders that were not looked at: they will be found there
            if item.kind is Kind.FOLDER and item.id in wanted and item.parent_id is not None:
                self._ask_for(item)

    def _add(self, item: Item) -> None:
        above = self._above(item)
        assert above is not None
        self._revive(above)  # something new in a folder that is deleted here
        name = shown_name(item)
        if self._make_room(above.ino, name, item, None):
            return
        node = fresh(self._change.new_ino(item.kind, item.id), above.ino, item, self._tree.options)
        self._change.put(node)
        self._appeared(above.ino, name)

    # Looking around
    def _known_in(self, folder: Node) -> Iterator[Node]:
        """Yield the nodes whose item was last known in the folder, wherever the mount shows them."""
        assert folder.remote is not None
        seen: set[Ino] = set()
        for node in [*self._change.children(folder.ino), *self._tree.pending_below(folder.remote.id)]:
            remote = node.remote
            if remote is None or remote.trashed or node.ino in seen:
                continue
            if remote.parent_id in (folder.remote.id, None):
                seen.add(node.ino)
                yield node


def _rights_changed(old: Item, new: Item) -> bool:
    return any(
        before is not None and now is not None and before != now
        for before, now in (
            (old.can_download, new.can_download),
            (old.can_upload, new.can_upload),
            (old.can_rename, new.can_rename),
            (old.can_delete, new.can_delete),
        )
    )
