"""Conflicts: both sides changed.  Whoever loses a name keeps its bytes; nobody's are overwritten.

    new bytes there, new bytes here      same bytes: done; else ours become "name (conflicted copy HOST DATE)",
                                         or keep the name that they were given here, where Box's has another
    new bytes there that are our own     (a lost reply): the edit goes on from them
    etag moved, bytes did not            no conflict: send again
    gone there, new bytes here           ours are uploaded anew; a folder that is gone is made again
    same name made on both sides         folders become one; equal files become one; else ours steps back
The local bytes of a conflict copy stay with their inode, so that a program that has the file open goes on writing to
the copy; the name leads to a new inode with Box's version.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from boxfs.base.errors import Busy, Denied, FsError, InDoubt, NameTaken, NotFound
from boxfs.base.types import Item, ItemId, Kind
from boxfs.core import attempts
from boxfs.core.change import Change
from boxfs.core.conflict_names import conflict_name
from boxfs.core.incoming import Incoming
from boxfs.core.names import fold
from boxfs.core.node import Node
from boxfs.core.planner import temporary_name
from boxfs.core.remote import Remote
from boxfs.core.shown import shown_name
from boxfs.core.tree import Tree
from boxfs.core.uploading import Prepared
from boxfs.core.wanted import box_name

log = logging.getLogger(__name__)

REST_IS_GONE = "the part of the file that was not changed here is gone at Box; `boxfs rescue` saves what is here"
STUBBORN = 2  # after so many refusals of a name that nobody visible holds, the file takes another one


class Conflicts:
    def __init__(self, tree: Tree, remote: Remote, incoming: Incoming) -> None:
        self._tree, self._remote, self._incoming = tree, remote, incoming

    # Bytes
    def met(self, node: Node, ours: Prepared) -> bool:
        """Before anything is sent: tell whether Box's bytes, as we know them, settle the matter."""
        content, remote = node.content, node.remote
        assert content is not None
        assert remote is not None
        if remote.sha1 == ours.sha1:
            with self._tree.change(frees=True) as change:
                self._same(change, node, remote, ours)
            return True
        if content.base_etag in (None, remote.etag):
            return False
        return self._judge(node, remote)

    def look(self, node: Node, ours: Prepared, error: Exception) -> None:
        """Box refused the etag, or did not answer: see what it has.  Raises `error` where that says nothing."""
        assert node.remote is not None
        try:
            item = self._remote.item(Kind.FILE, node.remote.id)
        except NotFound:
            self.item_missing(node, asked=True)
            return
        if item.sha1 == ours.sha1 and item.version_id != node.remote.version_id:
            with self._tree.change(frees=True) as change:
                self._same(change, node, item, ours)
            return
        if item.version_id == node.remote.version_id:
            if item.etag == node.remote.etag:
                raise error
            with self._tree.change() as change:
                self._rebase(change, node, item)
            return
        self._judge(node, item)

    def _judge(self, node: Node, item: Item) -> bool:
        """Box has other bytes than those our edit began with; return whether that settles the matter."""
        with self._tree.change(frees=True) as change:
            now = change.node(node.ino)
            if now is None or now.content is None or now.remote is None:
                return True
            if attempts.is_this_edit(self._tree, now, item.sha1):
                self._lost_here(change, now, item)
                return True
            if item.sha1 is not None and item.sha1 == attempts.sent_sha1(self._tree, node.ino):
                self._rebase(change, node, item)  # our own of before; what was written since goes on from it
                return True
            if now.parent is None:
                return True
            self._split(change, now, item)
            return True

    def _same(self, change: Change, node: Node, item: Item, ours: Prepared) -> None:
        """Box has these very bytes: nothing is to be sent."""
        attempts.end(change, node.ino)
        self._hear(change, node, item)
        change.acknowledge(node.ino, item, ours.edit)

    def _lost_here(self, change: Change, node: Node, item: Item) -> None:
        """Box has the edit, and what is here is not what it was: a power cut came before the bytes were on disk."""
        log.warning(
            "%s: its bytes were lost in a power cut, after Box had them", self._tree.path(node.ino) or node.name
        )
        attempts.end(change, node.ino)
        self._incoming.memory.note(item)
        size = item.size if item.size is not None else node.size
        change.put(replace(node, remote=item, content=None, size=size, attempts=0, not_before_ns=0, error=None))
        change.content_changed(node.ino)

    def _rebase(self, change: Change, node: Node, item: Item) -> None:
        """Let the edit go on from Box's version.  A rename there is heard first, else our upload would undo it."""
        self._hear(change, node, item)
        now = change.node(node.ino)
        if now is not None and now.content is not None and now.remote is not None and now.remote.key == item.key:
            change.put(replace(now, remote=item, content=replace(now.content, base_etag=item.etag)))

    def _hear(self, change: Change, node: Node, item: Item) -> None:
        """Take in the item as any other news, although a call for its inode is under way: it is that call's answer."""
        memory = self._incoming.memory
        now = change.node(node.ino)
        if now is not None and now.remote is not None and now.remote.key == item.key:
            with memory.answering(node.ino, item.key):
                self._incoming.learn(change, [item])
        else:
            memory.note(item)

    def _split(self, change: Change, node: Node, item: Item) -> None:
        """Let the inode with our bytes become a conflict copy, and the name lead to Box's version."""
        assert node.parent is not None
        assert node.content is not None
        parent, options = node.parent, self._tree.options
        log.warning("%s was changed at Box and here: both are kept", self._tree.path(node.ino))
        name = node.name
        if not self._renamed_here(node, item):
            name = conflict_name(
                node.name, options.host, self._tree.clock(), lambda n: self._tree.holder(parent, n) is not None
            )
        base_file = node.content.base_file
        if node.content.base is not None and base_file is None:
            base_file = item.id
        content = replace(node.content, base_etag=None, base_file=base_file)
        attempts.end(change, node.ino)
        change.put(
            replace(
                node, name=name, mark=0 if name != node.name else node.mark, remote=None, content=content,
                conflict_of=node.name if name != node.name else None,
                attempts=0, not_before_ns=0, error=None, changed_ns=self._tree.clock(),
            )
        )  # fmt: skip
        if name != node.name:
            change.entry_gone(parent, node.name)
            change.entry_appeared(parent, name)
        self._incoming.memory.unbury(item.key)
        self._incoming.learn(change, [item])

    def _renamed_here(self, node: Node, item: Item) -> bool:
        """Our edit has a name of its own, given here: Box's version keeps the one it has there, and none need yield."""
        above = self._tree.by_item(Kind.FOLDER, item.parent_id) if item.parent_id is not None else None
        return above is not None and (above.ino, fold(shown_name(item))) != (node.parent, fold(node.name))

    # What is not there any more
    def refused(self, node: Node) -> None:
        """Box says "not found" to a change of the item alone.  Raises Denied where it is there: so Box may say "no"."""
        if self.item_missing(node):
            raise Denied("no right to change this item")

    def item_missing(self, node: Node, *, asked: bool = False) -> bool:
        """Box has no such item; return whether it has it after all (then something else was missing)."""
        assert node.remote is not None
        if not asked:
            try:
                item = self._remote.item(node.remote.kind, node.remote.id)
                if not item.trashed:
                    return True
            except NotFound:
                pass
        with self._tree.change(frees=True) as change:
            self._gone(change, node)
        return False

    def _gone(self, change: Change, node: Node) -> None:
        assert node.remote is not None
        self._incoming.memory.busy.discard(node.ino)  # it is we who are told
        self._incoming.missing(change, node.remote.key)

    def folder_missing(self, folder_id: ItemId) -> None:
        """Box says that there is no such folder to put something in.  Raises Denied where there is one."""
        try:
            item = self._remote.item(Kind.FOLDER, folder_id)
        except NotFound:
            pass
        else:
            if not item.trashed:
                raise Denied("no right to put something in this folder")
        with self._tree.change(frees=True) as change:
            self._incoming.missing(change, (Kind.FOLDER, folder_id))

    def base_gone(self, node: Node, parent_id: ItemId, name: str) -> None:
        """The file of which only a part was changed here is in the trash: take it out, for its other bytes.

        The node's own file comes back under the name that it has here.  So does another one (of which this is a copy or
        a backup) that was edited here; else it is put away again once it has served.  Raises FsError where the bytes
        cannot be had.
        """
        file_id = (node.content.base_file if node.content is not None else None) or node.item_id
        if file_id is None:
            raise FsError("the unchanged part of the file is not at Box any more")
        with self._tree.lock:
            other = self._tree.by_item(Kind.FILE, file_id) if file_id != node.item_id else node
            above = self._tree.node(other.parent) if other is not None and other.parent is not None else None
            if other is not None and other.ino != node.ino and other.ino in self._incoming.memory.busy:
                raise Busy("the file that it is a copy of is just being sent")
            if other is None or other.content is None or above is None or above.item_id is None:
                other = None
                aside = temporary_name(node.ino)
                self._incoming.memory.expect(node.ino, (parent_id, fold(aside)))
        if other is None:
            self._put_away(self._restored(node, file_id, parent_id, aside))
            return
        if other.ino != node.ino:
            assert above is not None
            assert above.item_id is not None
            parent_id, name = above.item_id, box_name(other)
        item = self._restored(other, file_id, parent_id, name)
        with self._tree.change() as change:
            self._rebase(change, other, item)

    def _put_away(self, item: Item) -> None:
        """A file was taken out of the trash for its bytes only: when they are used, it goes back."""
        with self._tree.change() as change:
            held = change.by_item(item.kind, item.id)
            self._incoming.memory.note(item)
            if held is None:
                change.entomb(item)
            elif held.parent is not None:
                change.entry_gone(held.parent, held.name)
                change.put(replace(held, parent=None, remote=item, changed_ns=self._tree.clock()))

    def served(self, change: Change, node: Node) -> None:
        """The node is sent: what was taken out of the trash for it goes back, though we never heard that it was."""
        base_file = node.content.base_file if node.content is not None else None
        held = change.by_item(Kind.FILE, base_file) if base_file is not None else None
        if held is not None and held.parent is not None and held.name == temporary_name(node.ino):
            change.entry_gone(held.parent, held.name)
            change.put(replace(held, parent=None, content=None, changed_ns=self._tree.clock()))

    def _restored(self, node: Node, file_id: ItemId, parent_id: ItemId, name: str) -> Item:
        try:
            return self._remote.restore(Kind.FILE, file_id, name=name, parent_id=parent_id)
        except InDoubt:
            item = self._remote.item(Kind.FILE, file_id)
            if item.name != name:
                raise
            return item
        except NotFound:
            pass
        # It may have gone with its folder, which is one unit in the trash.
        folder_id = node.remote.parent_id if node.remote is not None and file_id == node.item_id else None
        if folder_id is not None:
            with suppress(NotFound):
                folder = self._restored_folder(folder_id, node)
                with self._tree.change() as change:
                    self._incoming.learn(change, [folder])
                return self._remote.item(Kind.FILE, file_id)
        raise FsError(REST_IS_GONE)

    def _restored_folder(self, folder_id: ItemId, node: Node) -> Item:
        try:
            return self._remote.restore(Kind.FOLDER, folder_id)
        except NameTaken:
            options, now = self._tree.options, self._tree.clock()
            name = conflict_name(f"folder of {node.name}", options.host, now, lambda _name: False)
            return self._remote.restore(Kind.FOLDER, folder_id, name=name)

    def answered_otherwise(self, change: Change, node: Node, item: Item) -> None:
        """The reply tells of a place that we did not ask for: somebody has moved or renamed it in between."""
        self._hear(change, node, item)

    def refetch(self, node: Node) -> None:
        """Box has another state than we know: fetch it, and let the merge say what follows."""
        assert node.remote is not None
        try:
            item = self._remote.item(node.remote.kind, node.remote.id)
        except NotFound:
            self.item_missing(node, asked=True)
            return
        with self._tree.change() as change:
            self._hear(change, node, item)

    # Names
    def name_taken(self, node: Node, parent_id: ItemId, name: str, holder: Item | None, ours: Prepared | None) -> None:
        """Box has that name already: our own of before, or somebody's."""
        if holder is not None and ours is not None and self._is_ours(node, holder, ours):
            item = replace(holder, parent_id=holder.parent_id or parent_id, size=holder.size or ours.source.size)
            with self._tree.change(frees=True) as change:
                now = change.node(node.ino)
                if holder.sha1 == ours.sha1:
                    self._same(change, node, item, ours)
                elif now is not None and attempts.is_this_edit(self._tree, now, holder.sha1):
                    self._lost_here(change, now, item)
                else:
                    adopted = change.acknowledge(node.ino, item)
                    if adopted is not None and adopted.content is not None:
                        self._rebase(change, adopted, item)
            return
        if node.attempts >= STUBBORN:
            self._step_back(node)
            return
        if holder is not None:
            try:
                held = self._remote.item(holder.kind, holder.id)
            except NotFound:
                held = None
            if held is not None:
                with self._tree.change() as change:
                    self._incoming.learn(change, [held])
        else:
            above = self._tree.by_item(Kind.FOLDER, parent_id)
            if above is not None:
                self._incoming.list_folder(above.ino)
        with self._tree.lock:
            told = self._incoming.memory.has_news(node.ino)
            now = self._tree.node(node.ino)
        if not told and now is not None and (now.parent, now.name) == (node.parent, node.name):
            raise NameTaken(f"Box has another item under the name {name!r}", holder)

    def _is_ours(self, node: Node, holder: Item, ours: Prepared) -> bool:
        if holder.kind is not Kind.FILE or self._tree.by_item(holder.kind, holder.id) is not None:
            return False
        return holder.sha1 is not None and holder.sha1 in (ours.sha1, attempts.sent_sha1(self._tree, node.ino))

    def _step_back(self, node: Node) -> None:
        with self._tree.change() as change:
            now = change.node(node.ino)
            if now is None or now.parent is None:
                return
            parent = now.parent
            name = conflict_name(
                now.name,
                self._tree.options.host,
                self._tree.clock(),
                lambda n: self._tree.holder(parent, n) is not None,
            )
            change.entry_gone(parent, now.name)
            change.entry_appeared(parent, name)
            change.put(replace(now, name=name, mark=0, conflict_of=now.name, attempts=0, not_before_ns=0, error=None))
