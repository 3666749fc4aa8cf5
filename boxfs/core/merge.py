"""Merge: what Box tells of items, laid into the tree within one change, without hurting what is pending here.

Rules, item by item (a *facet* is name, folder, bytes, times, properties):
- A facet that is not changed here follows Box; one that is changed here stays, and remains pending.
- What is deleted here stays deleted, unless Box has new bytes for it: an edit there wins over a delete here.
- What has gone at Box goes here, unless it holds bytes that Box never got, or something that does: that stays and is
  sent anew, folders above it too.
- A name is held by one item at Box.  What was made or moved here under a name that Box now tells of another item
  becomes one with it where both are new (folder with folder; file with file, to be compared when sent), else steps
  back to a conflict name.
Moves of one batch are done together (all leave their places first), so that swapped names need no order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from boxfs.base.types import ROOT_FOLDER, ROOT_INO, Etag, Ino, Item, Kind
from boxfs.core import attempts, attributes, names
from boxfs.core.conflict_names import conflict_name
from boxfs.core.memory import Key, ListingUnderWay, Memory, older
from boxfs.core.names import fold
from boxfs.core.node import Node, Wanted
from boxfs.core.planting import plant
from boxfs.core.shown import fresh, is_vague, shown_mtime_ns, shown_name, shown_size, told
from boxfs.core.tree import Change
from boxfs.core.wanted import box_name

SECOND = 1_000_000_000
# base_etag of an edit that was never based on what Box has under that name: to be compared before it is sent.
UNMET = Etag("unmet")


class Merge:
    def __init__(self, change: Change, memory: Memory) -> None:
        self._change = change
        self._tree = change.tree
        self._memory = memory
        self._now_ns = change.tree.clock()
        self._batch: set[Key] = set()
        self.asked = False  # Box was asked for these very items: they say what they can
        self.makes_wait = False  # an unknown item that a call of ours may just have made waits for its answer
        self._quiet: set[Ino] = set()  # folders whose names the kernel cannot hold: they were not listed before

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

    def vanish(self, key: Key, sequence_id: int | None = None) -> None:
        """The item is gone at Box (trashed, purged, or not ours to see any more), with everything below it."""
        node = self._change.by_item(*key)
        held = node.remote.sequence_id if node is not None and node.remote is not None else None
        self._memory.bury(key, sequence_id if sequence_id is not None else held)
        if node is not None and node.ino != ROOT_INO:
            self._vanish(node)

    def missing(self, key: Key) -> None:
        """Box said "not found" to a question: the item is gone, or a folder above it, which may be restored."""
        node = self._change.by_item(*key)
        above = self._above(node.remote) if node is not None and node.remote is not None else None
        self.vanish(key)
        if above is not None:
            self.mark_stale(above.ino, "something in it was not found")

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

    def mark_stale(self, ino: Ino, why: str) -> None:
        """Let the folder be listed again, soon: the kernel may hold names of it."""
        node = self._change.node(ino)
        if node is not None and node.is_folder and node.complete:
            self._change.put(replace(node, stale=why))
            self._memory.relist[ino] = None

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
            for below in list(self._tree.descendants(node.ino)):
                self.mark_stale(below.ino, "rights changed")
            self.mark_stale(node.ino, "rights changed")
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
        result = replace(node, remote=new)
        if edited:
            result = replace(result, size=shown_size(new), mtime_ns=shown_mtime_ns(new), content=None)
        self._change.put(result)
        return edited

    def _follows(self, node: Node, old: Item) -> tuple[bool, bool]:
        """Tell of folder and name whether they stand where Box had them, so that Box may change them."""
        above = self._change.node(node.parent) if node.parent is not None else None
        in_folder = above is not None and (old.parent_id is None or above.item_id == old.parent_id)
        return in_folder, shown_name(old) == node.name and names.mark_of(old.name) == node.mark

    # Places
    def _arrive(self, before: Node, item: Item) -> None:
        """Put a node that has left its place where Box has it now, in what of the place was not changed here."""
        node, old = self._change.node(before.ino), before.remote
        assert old is not None
        if node is None:  # where it went is gone, and it with it
            assert before.parent is not None
            self._change.entry_gone(before.parent, before.name)
            return
        follow_folder, follow_name = self._follows(before, old)
        parent = before.parent
        if follow_folder and item.parent_id is not None:
            above = self._change.by_item(Kind.FOLDER, item.parent_id)
            if above is None:
                self._leave(before, item)
                return
            parent = above.ino
        if parent is None or self._change.node(parent) is None:  # gone in this batch
            above = self._above(item)
            if above is None:
                self._remove(node)
                return
            parent = above.ino
        if self._tree.is_below(parent, node.ino):
            self._untangle(before, item, parent)
            return
        name, mark = (shown_name(item), names.mark_of(item.name)) if follow_name else (before.name, before.mark)
        if not (follow_folder and follow_name) and self._tree.holder(parent, name) is not None:
            # Our own wish of a place, which Box knows nothing of yet: we make way, not who is there.
            name, mark = before.name, before.mark
            if self._tree.holder(parent, name) is not None:
                name, mark = self._conflict_name(parent, name), 0
        self._stand(node, parent, name, mark, item)
        if (parent, name) != (before.parent, before.name):
            assert before.parent is not None
            self._change.entry_gone(before.parent, before.name)

    def _stand(self, node: Node, parent: Ino, name: str, mark: int, item: Item) -> None:
        folder = self._node(parent)
        if folder.parent is None and parent != ROOT_INO:
            self._revive(folder)
        self._make_room(parent, name, item, node.ino)
        self._change.put(replace(node, parent=parent, name=name, mark=mark))
        self._appeared(parent, name)

    def _appeared(self, parent: Ino, name: str) -> None:
        if parent not in self._quiet:
            self._change.entry_appeared(parent, name)

    def _leave(self, before: Node, item: Item) -> None:
        """The item went where the mount has not looked yet, or cannot look."""
        assert before.parent is not None
        self._change.put(before)  # holding what Box had told: so nothing is sent back to the old place meanwhile
        if self._holds_pending(before):
            self._ask_for(item)
        else:
            self._memory.bury(item.key, item.sequence_id)  # late news that still show it here are no news
            self._remove(before)

    def _untangle(self, before: Node, item: Item, parent: Ino) -> None:
        """Box has the folder inside one that the mount shows inside this very folder."""
        self._change.put(replace(self._node(before.ino), parent=before.parent))
        if self._tree.is_below(before.parent or ROOT_INO, before.ino):
            self._stand(self._node(before.ino), ROOT_INO, self._conflict_name(ROOT_INO, before.name), 0, item)
            return
        at: Ino | None = parent
        while at is not None and at != before.ino:
            between = self._node(at)
            if self._tree.is_pending(at):
                return  # moved here: our place of it stands, and this folder goes back where it was
            if between.remote is not None and at != ROOT_INO:
                self._memory.strays[between.remote.key] = None
            at = between.parent
        self._change.put(before)
        self._memory.later[item.key] = item

    def _ask_for(self, item: Item) -> None:
        assert item.parent_id is not None
        self._memory.later[item.key] = item
        self._memory.strays[(Kind.FOLDER, item.parent_id)] = None

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

    def _above(self, item: Item) -> Node | None:
        return self._change.by_item(Kind.FOLDER, item.parent_id) if item.parent_id is not None else None

    def _add(self, item: Item) -> None:
        above = self._above(item)
        assert above is not None
        if above.parent is None and above.ino != ROOT_INO:
            self._revive(above)  # something new in a folder that is deleted here
        name = shown_name(item)
        if self._make_room(above.ino, name, item, None):
            return
        node = fresh(self._change.new_ino(item.kind, item.id), above.ino, item, self._tree.options)
        self._change.put(node)
        self._appeared(above.ino, name)

    def _revive(self, node: Node) -> None:
        """Show again, where Box has it, what was deleted here."""
        remote = node.remote
        above = self._above(remote) if remote is not None else None
        if remote is None or above is None or node.parent is not None:
            return
        self._stand(node, above.ino, shown_name(remote), names.mark_of(remote.name), remote)

    # Names
    def _make_room(self, parent: Ino, name: str, item: Item, ino: Ino | None) -> bool:
        """Free the name for the item; return whether an inode that is there already has become the item's."""
        for holder in self._tree.holders(parent, name):
            if holder.ino == ino or not (holder.name == name or fold(box_name(holder)) == fold(item.name)):
                continue
            remote = holder.remote
            if remote is None or remote.trashed:
                if ino is None and holder.ino in self._memory.busy:
                    self._memory.defer(holder.ino, item)  # our own call may have made it
                    return True
                if ino is None and remote is None and self._become_one(holder, item):
                    return True
                self._step_back(holder)
            elif Wanted.PLACE in self._tree.wanted(holder):
                self._step_back(holder)
            elif remote.key not in self._batch:  # Box has moved or removed it, and we have not heard yet
                if self._holds_pending(holder):
                    self._step_back(holder)
                    self._memory.strays[remote.key] = None
                else:
                    self._remove(holder)
                self.mark_stale(parent, "two items under one name")
        return False

    def _become_one(self, holder: Node, item: Item) -> bool:
        """Both sides made the same name: a folder becomes the folder, a file the file, to be compared when sent."""
        if holder.kind is not item.kind:
            return False
        special = holder.kind_bits or (item.properties or {}).get("boxfs.type")
        if special and (item.sha1 is None or item.sha1 != attempts.sent_sha1(self._tree, holder.ino)):
            return False  # no upload of ours whose reply was lost
        name, mark = shown_name(item), names.mark_of(item.name)
        met = replace(holder, remote=item, name=name, mark=mark)
        if holder.is_folder:
            met = replace(met, complete=True)
        elif holder.content is not None:
            met = replace(met, content=replace(holder.content, base_etag=UNMET))
        else:
            met = replace(met, size=shown_size(item), mtime_ns=shown_mtime_ns(item))
            self._change.content_changed(holder.ino)
        self._change.put(met)
        if name != holder.name and holder.parent is not None:
            self._change.entry_gone(holder.parent, holder.name)
            self._change.entry_appeared(holder.parent, name)
        self.mark_stale(holder.ino, "made here and at Box")
        return True

    def _step_back(self, holder: Node) -> None:
        assert holder.parent is not None
        name = self._conflict_name(holder.parent, holder.name)
        self._change.put(
            replace(holder, name=name, mark=0, conflict_of=holder.name, changed_ns=self._now_ns, error=None)
        )
        self._change.entry_gone(holder.parent, holder.name)
        self._change.entry_appeared(holder.parent, name)

    def _conflict_name(self, parent: Ino, name: str) -> str:
        host = self._tree.options.host
        return conflict_name(name, host, self._now_ns, lambda n: self._tree.holder(parent, n) is not None)

    # What has gone
    def _vanish(self, node: Node) -> bool:
        """Let go of a node whose item is gone; return whether it has to stay, to be made anew."""
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
                stays = elsewhere or self._vanish(child) or stays
            for other in self._tree.pending_below(remote.id):
                if self._change.node(other.ino) is not None and other.parent != node.ino:
                    self._vanish(other)
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

    def _holds_pending(self, node: Node) -> bool:
        if self._tree.is_pending(node.ino):
            return True
        if not node.is_folder or not self._tree.pending_count():
            return False
        return any(self._tree.is_below(one.ino, node.ino) for one in self._tree.pending())


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
