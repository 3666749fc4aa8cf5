"""Namespace: the operations on names: lookup, list, make, remove, rename.

Each changes the local tree in one transaction and returns; what Box must be told follows from the difference.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from boxfs.base.errors import (
    InvalidArgument,
    IsADirectory,
    NameTaken,
    NameTooLong,
    NotADirectory,
    NotEmpty,
    NotFound,
    NotPermitted,
)
from boxfs.base.types import Attr, DirEntry, Ino, Kind
from boxfs.core import names
from boxfs.core.change import Change
from boxfs.core.ground import Ground
from boxfs.core.identity import is_regular
from boxfs.core.interface import Caller
from boxfs.core.node import Content, Node
from boxfs.core.openfile import OpenFile

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

_SPECIAL = (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK)
MAX_TARGET = 4095  # PATH_MAX without the final NUL


class Namespace(Ground):
    # Looking

    def lookup(self, parent: Ino, name: str) -> Attr:
        return self._attr(self._child(parent, name))

    def _child(self, parent: Ino, name: str) -> Node:
        """Raises NotFound, NotADirectory, NameTooLong, Unreachable."""
        node = self.tree.child(parent, name)
        if node is not None:
            folder = self.tree.node(parent)
            if folder is not None and folder.is_listed:
                return node
        self._listed(parent)
        node = self.tree.child(parent, name)
        if node is None:
            if len(name) > names.MAX_BOX_NAME:
                raise NameTooLong(f"the name is longer than Box allows ({names.MAX_BOX_NAME} characters)")
            raise NotFound(f"{name!r} is not there")
        return node

    def path_of(self, ino: Ino) -> str | None:
        return self.tree.path(ino)

    def generation(self) -> int:
        return self.tree.generation()

    def readdir(self, ino: Ino) -> Sequence[DirEntry]:
        node = self.tree.node(ino)
        if node is not None and node.is_folder and not node.is_shown:
            return []  # removed while it was open
        ahead = self.foresight
        if ahead is not None:
            ahead.lists(ino)
        if self._listed(ino) is not node and ahead is not None:
            ahead.has_listed()
        attr = self._attr
        return [DirEntry(node.name, attr(node)) for node in self.tree.children(ino)]

    def readlink(self, ino: Ino) -> str:
        node = self._node(ino)
        if node.kind_bits != stat.S_IFLNK or node.target is None:
            raise InvalidArgument(f"{node.name!r} is no symbolic link")
        return node.target

    # Making

    def mkdir(self, parent: Ino, name: str, mode: int, caller: Caller) -> Attr:
        folder = self._prepare(parent, name)
        with self.tree.change(asked=True) as change:
            node = self._new(change, folder.ino, name, Kind.FOLDER, mode, caller)
            node = replace(node, complete=True)
            change.put(node)
        return self._attr(node)

    def mknod(self, parent: Ino, name: str, mode: int, rdev: int, caller: Caller) -> Attr:
        bits = stat.S_IFMT(mode)
        if bits in (stat.S_IFREG, 0):
            folder = self._prepare(parent, name)
            node, file = self._make_file(folder, name, mode, caller)
            self.files.release(file, writing=True)
            return self._attr(node)
        if bits not in _SPECIAL:
            raise InvalidArgument("this kind of file cannot be made")
        return self._attr(self._make_special(parent, name, bits, mode, caller, rdev=rdev))

    def symlink(self, parent: Ino, name: str, target: str, caller: Caller) -> Attr:
        if len(os.fsencode(target)) > MAX_TARGET:
            raise NameTooLong("the target of the link is too long")
        return self._attr(self._make_special(parent, name, stat.S_IFLNK, 0o777, caller, target=target))

    def _make_special(
        self, parent: Ino, name: str, bits: int, mode: int, caller: Caller, *, rdev: int = 0, target: str | None = None
    ) -> Node:
        """An empty file at Box, whose kind is in the metadata."""
        folder = self._prepare(parent, name)
        if not self.options.stores_attributes:
            raise NotPermitted("links and special files need attributes=auto or attributes=store")
        spool = self.files.spools.new()
        try:
            with self.tree.change(asked=True) as change:
                node = self._new(change, folder.ino, name, Kind.FILE, 0, caller)
                node = replace(
                    node,
                    kind_bits=bits,
                    rdev=rdev if bits in (stat.S_IFCHR, stat.S_IFBLK) else 0,
                    target=target,
                    size=len(os.fsencode(target)) if target is not None else 0,
                    content=Content(spool.number, self.tree.new_edit()),
                    mode=None,
                )
                return change.put(replace(node, mode=self._mode(node, mode)))
        finally:
            self.files.spools.let_go(spool.number)

    def _make_file(self, folder: Node, name: str, mode: int, caller: Caller) -> tuple[Node, OpenFile]:
        """Return a new empty file, and its bytes, open for writing."""
        with self.files.lock:
            spool = self.files.spools.new()
            try:
                with self.tree.change(asked=True) as change:
                    node = self._new(change, folder.ino, name, Kind.FILE, mode, caller)
                    node = self.identities.claim(change, node.but(content=Content(spool.number, self.tree.new_edit())))
                    change.put(node)
            except BaseException:
                self.files.spools.let_go(spool.number)
                raise
            return node, self.files.created(node, spool)

    def _prepare(self, parent: Ino, name: str) -> Node:
        """Return the folder in which the name may be made, as far as can be told without its children."""
        folder = self._listed(parent)
        if len(name) > names.MAX_BOX_NAME or not name.isalnum():
            names.check(name)
        self._may_add_to(folder)
        return folder

    def _new(self, change: Change, parent: Ino, name: str, kind: Kind, mode: int, caller: Caller) -> Node:
        """Return a node for a name that is free, not put yet.  Raises NameTaken, NotFound."""
        folder = self._folder(parent)  # it may have gone since it was listed
        mark = self._mark_for(change, parent, name, None)
        now = self.tree.clock()
        uid, gid = self._owned(caller, folder)
        node = Node(change.new_ino(), kind, parent, name, 0, now, now, now, uid=uid, gid=gid, changed_ns=now, mark=mark)
        if kind is Kind.FOLDER and folder.mode is not None and folder.mode & stat.S_ISGID:
            mode |= stat.S_ISGID
        self._touch(change, parent, now)
        kept = self._mode(node, mode)
        return node if kept is None else node.but(mode=kept)

    def _mark_for(self, change: Change, parent: Ino, name: str, mover: Node | None) -> int:
        """Return the mark that the name needs at Box; 0 where nobody else has it, as Box compares.

        mover: who is to have the name.  Raises NameTaken where somebody has exactly this one, or the policy is to
        refuse.
        """
        taken = [one for one in change.tree.holders(parent, name) if mover is None or one.ino != mover.ino]
        if not taken:
            return 0
        if any(one.name == name for one in taken):
            raise NameTaken(f"{name!r} is there already")
        if self.options.case == "refuse":
            raise NameTaken(f"Box takes {name!r} and {taken[0].name!r} for the same name (see the option case)")
        marks = {one.mark for one in taken}
        return next(mark for mark in range(1, len(marks) + 2) if mark not in marks)

    # Removing

    def unlink(self, parent: Ino, name: str) -> None:
        self._may_change()
        node = self._child(parent, name)
        if node.is_folder:
            raise IsADirectory(f"{name!r} is a folder")
        self._may_remove(node)
        with self.tree.change(frees=True, asked=True) as change:
            now_node = change.child(parent, name)
            if now_node is None:
                raise NotFound(f"{name!r} is gone")
            now = self.tree.clock()
            self._remove(change, now_node, now)
            self._touch(change, parent, now)

    def _remove(self, change: Change, node: Node, now_ns: int) -> None:
        """Take the node's name away; what Box has of it goes to the trash."""
        self.files.unlink(change, node, now_ns)
        if node.remote is None:
            change.remove(node.ino)
        elif not self.identities.give_back(change, node):
            change.put(replace(stirred(node, now_ns), parent=None, content=None, mark=0))

    def rmdir(self, parent: Ino, name: str) -> None:
        self._may_change()
        node = self._child(parent, name)
        if not node.is_folder:
            raise NotADirectory(f"{name!r} is no folder")
        self._may_remove(node)
        self._listed(node.ino)
        with self.tree.change(frees=True, asked=True) as change:
            now_node = change.child(parent, name)
            if now_node is None:
                raise NotFound(f"{name!r} is gone")
            self._refuse_full(change, now_node)
            now = self.tree.clock()
            self._remove(change, now_node, now)
            self._touch(change, parent, now)

    def _refuse_full(self, change: Change, folder: Node) -> None:
        if change.children(folder.ino):
            raise NotEmpty(f"{folder.name!r} is not empty")

    # Renaming

    def rename(self, old_parent: Ino, old_name: str, new_parent: Ino, new_name: str, flags: int = 0) -> None:
        if flags not in (0, RENAME_NOREPLACE, RENAME_EXCHANGE):
            raise InvalidArgument("these rename flags are not supported")
        self._may_change()
        node = self._child(old_parent, old_name)
        folder = self._listed(new_parent)
        names.check(new_name)
        target = self.tree.child(new_parent, new_name)
        if target is not None and target.is_folder and flags == 0:
            self._listed(target.ino)
        if old_parent != new_parent:
            self._may_add_to(folder)
        file = self._may_hand_over(node, target)
        with ExitStack() as locks:
            if file is not None:  # in this order, and the registry's too: what follows the change needs it
                locks.enter_context(self.files.lock)
                locks.enter_context(file.lock)
            with self.tree.change(asked=True) as change:
                found, target = change.child(old_parent, old_name), change.child(new_parent, new_name)
                if found is None:
                    raise NotFound(f"{old_name!r} is gone")
                node = found
                self._may_rename(node)
                self._folder(new_parent)
                if target is not None and target.ino == node.ino:
                    return
                if node.is_folder and self.tree.is_below(new_parent, node.ino):
                    raise InvalidArgument("a folder cannot be moved into itself")
                if target is not None and flags == RENAME_NOREPLACE:
                    raise NameTaken(f"{new_name!r} is there already")
                if flags == RENAME_EXCHANGE:
                    self._exchange(change, node, target, new_name)
                    return
                self._move(change, node, target, new_parent, new_name, file)

    def _move(
        self, change: Change, node: Node, target: Node | None, new_parent: Ino, new_name: str, file: OpenFile | None
    ) -> None:
        now = self.tree.clock()
        if target is not None:
            self._refuse_replacing(change, node, target)
        old_parent = node.parent
        assert old_parent is not None
        moved = replace(
            node,
            parent=new_parent,
            name=new_name,
            ctime_ns=now,
            changed_ns=now,
            attempts=0,
            not_before_ns=0,
            error=None,
        )
        if target is not None:
            moved = replace(moved, mark=target.mark)
            moved = self._replaced(change, moved, target, file, now)
        else:
            moved = replace(moved, mark=self._mark_for(change, new_parent, new_name, node))
            if moved.remote is None and moved.content is not None and is_regular(moved):
                moved = self.identities.claim(change, moved)
        change.put(moved)
        self._touch(change, old_parent, now)
        if new_parent != old_parent:
            self._touch(change, new_parent, now)

    def _refuse_replacing(self, change: Change, node: Node, target: Node) -> None:
        if node.is_folder and not target.is_folder:
            raise NotADirectory(f"{target.name!r} is no folder")
        if target.is_folder and not node.is_folder:
            raise IsADirectory(f"{target.name!r} is a folder")
        self._may_remove(target)
        if target.is_folder:
            self._refuse_full(change, target)

    def _replaced(self, change: Change, node: Node, target: Node, file: OpenFile | None, now_ns: int) -> Node:
        """Return the node as it is once it has taken the target's name, and maybe its item; the target is gone."""
        if target.remote is None or target.remote.trashed or not (is_regular(node) and is_regular(target)):
            self._remove(change, target, now_ns)
            return node
        if node.remote is not None:
            young = self._revived(change, node, file)
            if young is None:  # two established files: the source keeps its own identity
                self._remove(change, target, now_ns)
                return node
            node = young
        self.files.unlink(change, target, now_ns)
        gone = replace(target, parent=None)
        return self.identities.hand_over(change, gone, node)

    def _may_hand_over(self, node: Node, target: Node | None) -> OpenFile | None:
        """Return the open file whose bytes could become a version of the target, although they are uploaded already."""
        if target is None or target.remote is None or node.remote is None or not is_regular(node):
            return None
        born = self.files.born_ns(node.remote.id)
        if born is None or self.tree.clock() - born > self.options.young_s * 1_000_000_000:
            return None
        file = self.files.live(node.ino)
        return file if file is not None and (file.uploaded is not None or node.content is not None) else None

    def _revived(self, change: Change, node: Node, file: OpenFile | None) -> Node | None:
        """Return a young node without its own item (that is entombed) and with its content as unsent, else None."""
        remote = node.remote
        assert remote is not None
        if file is None or file.ino != node.ino:
            return None
        if node.content is None:
            if file.spool is None or file.uploaded is None or file.uploaded.version_id != remote.version_id:
                return None
            node = self.files.saving.revive(change, file, node)
        content = node.content
        assert content is not None
        if content.base is not None:
            content = replace(content, base_file=content.base_file or remote.id)
        node = change.put(replace(node, remote=None, content=content))
        change.entomb(remote)
        return node

    def _exchange(self, change: Change, node: Node, target: Node | None, new_name: str) -> None:
        if target is None:
            raise NotFound(f"{new_name!r} is not there")
        self._may_rename(target)
        assert node.parent is not None
        assert target.parent is not None
        if target.is_folder and self.tree.is_below(node.parent, target.ino):
            raise InvalidArgument("a folder cannot be moved into itself")
        now = self.tree.clock()
        change.put(replace(stirred(node, now), parent=target.parent, name=target.name, mark=target.mark))
        change.put(replace(stirred(target, now), parent=node.parent, name=node.name, mark=node.mark))
        self._touch(change, node.parent, now)
        self._touch(change, target.parent, now)


def stirred(node: Node, now_ns: int) -> Node:
    """Return the node as one that was changed just now: its settle window begins anew, and so do the attempts."""
    return node.but(ctime_ns=now_ns, changed_ns=now_ns, attempts=0, not_before_ns=0, error=None)
