"""Places: where what Box tells of comes to stand in the tree, and who makes room for whom, within one change.

A name is held by one item at Box.  What was made or moved here under a name that Box now tells of another item becomes
one with it where both are new (folder with folder; file with file, to be compared when sent), else steps back to a
conflict name.
"""

from __future__ import annotations

from dataclasses import replace

from boxfs.base.types import ROOT_INO, Etag, Ino, Item, Kind
from boxfs.core import attempts, names
from boxfs.core.change import Change
from boxfs.core.conflict_names import conflict_name
from boxfs.core.gone import Gone
from boxfs.core.memory import Key, Memory
from boxfs.core.names import fold
from boxfs.core.node import Node, Wanted
from boxfs.core.shown import shown_mtime_ns, shown_name, shown_size
from boxfs.core.wanted import box_name

# base_etag of an edit that was never based on what Box has under that name: to be compared before it is sent.
UNMET = Etag("unmet")


class Places(Gone):
    def __init__(self, change: Change, memory: Memory) -> None:
        super().__init__(change, memory)
        self._batch: set[Key] = set()  # what is being told of just now
        self._quiet: set[Ino] = set()  # folders whose names the kernel cannot hold: they were not listed before

    def _follows(self, node: Node, old: Item) -> tuple[bool, bool]:
        """Tell of folder and name whether they stand where Box had them, so that Box may change them."""
        above = self._change.node(node.parent) if node.parent is not None else None
        in_folder = above is not None and (old.parent_id is None or above.item_id == old.parent_id)
        return in_folder, shown_name(old) == node.name and names.mark_of(old.name) == node.mark

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
        self._revive(self._node(parent))
        self._put_at(node, parent, name, mark, item)

    def _put_at(self, node: Node, parent: Ino, name: str, mark: int, item: Item) -> None:
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

    def _revive(self, node: Node) -> None:
        """Show again what is deleted here, where Box has it, and folders above it that are; what is shown stays."""
        chain: dict[Ino, Node] = {}
        at: Node | None = node
        while at is not None and at.ino not in chain and not at.is_shown:
            chain[at.ino] = at
            at = self._above(at.remote) if at.remote is not None else None
        for each in reversed(chain.values()):
            remote = each.remote
            above = self._above(remote) if remote is not None else None
            if remote is not None and above is not None:
                self._put_at(self._node(each.ino), above.ino, shown_name(remote), names.mark_of(remote.name), remote)

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
        self._change.put(met)
        if holder.content is None and not holder.is_folder:
            self._change.content_changed(holder.ino)
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
