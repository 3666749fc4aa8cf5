"""Identity follows the name: a new file under a name that Box knows becomes the next version of that item.

That is how programs save: they write a temporary file and rename it over (rsync, LibreOffice, git), or move the old one
to a backup and write anew (vim, emacs), or remove and create.  Box's file must keep its id, versions, shared link,
comments and collaborators through all of these, so the item goes from the inode that had the name to the one that has
it now (docs/SEMANTICS.md has the table).  Nothing is sent here: only who stands for which item is changed.

What gave its item away and is still shown (a backup that stays) becomes a new file whose bytes are the version that it
showed; if the file that took the item is removed again, it gets the item back.

All functions run inside a change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from boxfs.base.types import Ino, ItemId, Kind
from boxfs.core import attempts
from boxfs.core.change import Change
from boxfs.core.node import Content, Node
from boxfs.core.wanted import box_name
from boxfs.store.spool import Spool


class Identities:
    def __init__(self, spool: Spool, is_busy: Callable[[Ino], bool]) -> None:
        """is_busy: tells whether a call to Box about the inode is under way."""
        self._spool = spool
        self._is_busy = is_busy
        self._lent: dict[ItemId, Ino] = {}  # who gave an item away and is still shown; guarded by the tree's lock

    def claim(self, change: Change, node: Node) -> Node:
        """Return the node with the item that Box has under its name, if an inode that left the name holds that.

        node: a regular file that Box never had, with content, in its new place; not put yet.
        """
        parent = change.node(node.parent) if node.parent is not None else None
        if parent is None or parent.item_id is None:
            return node
        old = change.tree.vacated(parent.item_id, box_name(node))
        if old is None or old.ino == node.ino or not is_regular(old):
            return node
        if self._is_busy(old.ino):
            return node  # Box is just putting it away, or giving it its new name
        return self.hand_over(change, old, node)

    def hand_over(self, change: Change, old: Node, new: Node) -> Node:
        """Return `new` with the item of `old`; what `old` is without it is put.

        old: a regular file of Box's.  new: has content, and no item.  It is left to the caller to put it.
        """
        remote = old.remote
        assert remote is not None
        assert new.content is not None
        unsent = not self._is_being_sent(change, old)
        attempts.inherit(change, old.ino, new.ino)
        etag = remote.etag if old.content is None else old.content.base_etag
        if old.parent is None:
            change.remove(old.ino)
        else:
            content = old.content
            if content is None:
                number, edit = self._spool.new().number, change.tree.new_edit()
                content = Content(number, edit, remote.version_id, remote.size or 0, None, remote.id)
                self._lend(remote.id, old.ino)
                change.undo.append(lambda: self._lend(remote.id, None))
            elif content.base is not None:
                content = replace(content, base_etag=None, base_file=content.base_file or remote.id)
            else:
                content = replace(content, base_etag=None)
            change.put(replace(old, remote=None, content=content))
        content = replace(new.content, base_etag=etag)
        if content.base is not None and content.base == remote.version_id and content.base_file == remote.id:
            content = replace(content, base_file=None)
            untouched = not change.tree.records.spool(content.spool)
            if unsent and untouched and content.base_size == new.size == remote.size:
                return replace(new, remote=remote, content=None)  # the backup came back untouched
        return replace(new, remote=remote, content=content)

    def give_back(self, change: Change, node: Node) -> bool:
        """Where the node, which is about to be removed, took its item from a file that is still shown and untouched,
        return the item to that; tell whether it was so.
        """
        remote = node.remote
        ino = self._lent.pop(remote.id, None) if remote is not None else None
        if remote is None or ino is None:
            return False
        change.undo.append(lambda: self._lend(remote.id, ino))
        lender = change.node(ino)
        if lender is None or lender.remote is not None or lender.content is None:
            return False
        if self._is_being_sent(change, node):
            return False
        content = lender.content
        untouched = (
            content.base_file == remote.id
            and content.base == remote.version_id
            and content.base_size == lender.size == remote.size
            and not change.tree.records.spool(content.spool)
        )
        if lender.parent is None or not untouched:
            return False
        change.remove(node.ino)
        change.put(replace(lender, remote=remote, content=None))
        return True

    def _lend(self, item_id: ItemId, ino: Ino | None) -> None:
        """Note who gave the item away; None: nobody."""
        if ino is None:
            self._lent.pop(item_id, None)
        else:
            self._lent[item_id] = ino

    def _is_being_sent(self, change: Change, node: Node) -> bool:
        """Other bytes are on their way to the item, or there although no reply said so: it is not what it was."""
        return self._is_busy(node.ino) or attempts.sent_sha1(change.tree, node.ino) is not None


def is_regular(node: Node) -> bool:
    return node.kind is Kind.FILE and not node.kind_bits
