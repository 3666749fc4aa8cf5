"""Saving: the tree is told what was written to a file, so that it survives this process; the disk, so that it survives
a power cut.

Its bytes are in the spool already.  A save is one transaction: the node, and the ranges of the spool that hold bytes.
"""

from __future__ import annotations

import json
from dataclasses import replace

from boxfs.core.change import Change
from boxfs.core.node import Node
from boxfs.core.openfile import OpenFile
from boxfs.core.spooluse import SpoolUse
from boxfs.core.tree import Tree
from boxfs.store.records import synced_fact


class Saving:
    def __init__(self, tree: Tree, spools: SpoolUse) -> None:
        self._tree = tree
        self._spools = spools

    def save(self, file: OpenFile) -> None:
        """Tell the tree what was written.  Raises NoSpace; nothing is lost then, the file stays unsaved."""
        with file.lock:
            if not file.unsaved or file.unlinked:
                file.unsaved = False
                return
            assert file.spool is not None
            with self._tree.change() as change:
                self._undone(change, file)
                node = None if file.unlinked else self._owner(file) or self._raised(file)
                if node is None:
                    file.unlinked = True
                    file.unsaved = False
                    return
                content = file.content(node, self._tree.new_edit())
                now = self._tree.clock()
                change.run(self._tree.records.save_spool, content.spool, file.extents.to_text())
                file.node = change.put(
                    node.but(
                        content=content,
                        size=file.size,
                        mtime_ns=file.mtime_ns,
                        ctime_ns=max(file.ctime_ns, node.ctime_ns),
                        changed_ns=now,
                        attempts=0,
                        not_before_ns=0,
                        error=None,
                    )
                )
                # Within the change: who looks at node and file together must see both before or both after.
                self._saved(change, file, content.spool)
                file.unsaved = False

    def _undone(self, change: Change, file: OpenFile) -> None:
        """Where the change fails, nothing was saved."""
        node, etag = file.node, file.etag

        def undo() -> None:
            file.node, file.etag, file.unsaved = node, etag, True

        change.undo.append(undo)

    def _saved(self, change: Change, file: OpenFile, number: int) -> None:
        """The node names the file's spool from now on."""
        before = (file.saved_number, file.uploaded)

        def undo() -> None:
            file.saved_number, file.uploaded = before

        change.undo.append(undo)
        file.saved_number, file.uploaded = number, None
        self._spools.name(number, change)

    def sync(self, file: OpenFile) -> None:
        """Have the disk hold the bytes as they were saved last, and note that they are there.  Waits for the disk.

        What is written and saved after this may be lost in a power cut although its row is not (another file's fsync
        takes that along): then these bytes are still the file's (core/recovery.py).
        """
        with file.lock:
            spool = file.spool
            if spool is None or file.uploaded is not None:
                return
            base = file.base if file.base_size else None
            held = {
                "extents": file.extents.to_text(),
                "size": file.size,
                "base": base.version_id if base is not None else None,
                "base_size": file.base_size,
                "base_file": base.file_id if base is not None else None,
            }
        spool.sync()
        with file.lock, self._tree.change() as change:
            if file.saved_number == spool.number:
                change.set_fact(synced_fact(spool.number), json.dumps(held))

    def holder(self, number: int) -> Node | None:
        """Return the node whose content is in that spool file."""
        for node in self._tree.pending():
            if node.content is not None and node.content.spool == number:
                return node
        return None

    def _owner(self, file: OpenFile) -> Node | None:
        """Return the node that the file's bytes belong to: its own, or that which its content was given to."""
        node = self._tree.node(file.ino)
        if file.saved_number is not None and (
            node is None or node.content is None or node.content.spool != file.saved_number
        ):
            other = self.holder(file.saved_number)
            if other is not None:
                file.ino = other.ino
                return other
        return node if node is not None and node.parent is not None else None

    def _raised(self, file: OpenFile) -> Node | None:
        """Return a new node for bytes whose file Box has taken away while they were being written."""
        last = file.node
        if last.parent is None or self._tree.node(last.ino) is not None:
            return None
        parent = self._tree.node(last.parent)
        if parent is None or not parent.is_shown:
            return None
        if self._tree.holder(parent.ino, last.name) is not None:
            return None
        file.etag = None
        return replace(last, remote=None, content=None)

    def revive(self, change: Change, file: OpenFile, node: Node) -> Node:
        """Return the node with the uploaded file's bytes as content to be sent.  With the file's lock held."""
        assert file.spool is not None
        number = file.spool.number
        change.run(self._tree.records.save_spool, number, file.extents.to_text())
        content = file.content(node, self._tree.new_edit())
        self._saved(change, file, number)
        return replace(node, content=content, size=file.size)
