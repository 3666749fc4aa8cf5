"""OpenFiles: which inodes are open, and what becomes of an open file when it is closed, uploaded, removed.

Of each inode one `OpenFile` is the current one: new handles share it, so that they see each other's writes.  When Box's
version moves on, handles that only read keep theirs, and new ones get a new one.  How what was written is recorded is
in core/saving.py, who needs which spool file in core/spooluse.py.

LOCK.  `_lock` guards the tables; it is taken before a file's lock, which is taken before the tree's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, Protocol

from boxfs.base.errors import FsError, NotFound
from boxfs.base.types import Ino, Item, ItemId, VersionId
from boxfs.core.bodies import whole
from boxfs.core.change import Change
from boxfs.core.node import Node
from boxfs.core.openfile import Base, OpenFile, Sending
from boxfs.core.opening import file_of, file_sent
from boxfs.core.reading import VersionReader
from boxfs.core.retired import Retired
from boxfs.core.saving import Saving
from boxfs.core.shown import link_text
from boxfs.core.spooluse import SpoolUse
from boxfs.core.tree import Tree
from boxfs.core.version import FileVersion
from boxfs.store.spool import Spool, SpoolFile

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
SAVE_AFTER_NS = 5 * SECOND  # what a long-open file holds is saved so often, so that a crash costs little
TRIES = 10


class Opens(Protocol):
    """The part of `Reading` that is needed here."""

    def open(self, file_id: ItemId, version_id: VersionId, size: int, sha1: str | None) -> VersionReader: ...

    def adopt(self, version: FileVersion, body: BinaryIO) -> None: ...


class OpenFiles:
    def __init__(self, tree: Tree, spool: Spool, reading: Opens) -> None:
        self._tree = tree
        self._reading = reading
        self.spools = SpoolUse(tree, spool)
        self.saving = Saving(tree, self.spools)
        self._lock = threading.RLock()
        self._current: dict[Ino, OpenFile] = {}  # guarded by _lock for writing
        self._open: dict[Ino, list[OpenFile]] = {}  # those with handles; guarded by _lock for writing
        self._retired = Retired(int(tree.options.young_s * SECOND))  # guarded by _lock
        # Closed, but the disk was too full to record it.  Guarded by _lock, invariant: without handles, not dropped.
        self._unsaved: list[OpenFile] = []
        # Called when what was uploaded from here, and then closed, is in the block cache as far as it takes it.
        self.on_adopted: Callable[[Ino], None] = lambda _ino: None
        tree.on_uploaded = self._uploaded
        tree.held_inos = lambda: self._open

    # Asked by others

    def is_open(self, ino: Ino) -> bool:
        return ino in self._open

    def has_writer(self, ino: Ino) -> bool:
        return any(file.writers for file in self._open.get(ino, ()))

    def writing(self) -> list[Ino]:
        """Return the inodes that are open for writing."""
        return [ino for ino, files in list(self._open.items()) if any(file.writers for file in files)]

    def live(self, ino: Ino) -> OpenFile | None:
        """Return the current open file of an inode, also one that nobody has open just now."""
        return self._current.get(ino)

    def held(self, ino: Ino) -> OpenFile | None:
        """Return an open file of the inode that somebody has open: the current one, if that is so."""
        file = self._current.get(ino)
        if file is not None and file.handles:
            return file
        return next(iter(self._open.get(ino, ())), None)

    def sending(self, ino: Ino) -> Sending:
        """Return the bytes of a node that is to be uploaded, as they are now; to be closed.

        `edit` is what the upload acknowledges.  Writers go on meanwhile: they do not change what is read here, but for
        files so large that they are not copied; then `stale` turns true and the upload is to be given up.
        Raises NotFound where the inode has no content to be sent.
        """
        with self._lock:
            for _ in range(TRIES):
                sending = self._sending(ino)
                if sending is not None:
                    return sending
        raise NotFound(f"inode {ino} changes faster than it can be read")

    def _sending(self, ino: Ino) -> Sending | None:
        """One try; None where a writer or a rename came between."""
        file = self._current.get(ino)
        if file is not None and file.unsaved:
            self.saving.save(file)
        with self._tree.lock:  # the node and the extents of its spool, as of one moment
            node = self._tree.node(ino)
            if node is None or node.content is None:
                raise NotFound(f"inode {ino} has nothing to send")
            if file is None or file.saved_number != node.content.spool:
                file = self._for(node)
        with file.lock:
            if file.unsaved:
                self.saving.save(file)
            node = self._tree.node(ino)
            spool = file.spool
            content = node.content if node is not None else None
            if content is not None and spool is not None and content.spool == spool.number == file.saved_number:
                if node is not None and node.kind_bits:
                    file.size = 0  # a link, fifo or device is an empty file at Box
                self.spools.hold(spool.number)
                return Sending(file, content.edit, self.open_base, self._sent)
            if not file.handles and not file.sending and self._current.get(ino) is file:
                del self._current[ino]
                self._drop(file)
            return None

    def _sent(self, sending: Sending) -> None:
        file = sending.file
        with self._lock, file.lock:
            if sending in file.sending:
                file.sending.remove(sending)
            for spool in sending.owned:
                spool.close()
            if not file.handles and not file.sending:
                if self._current.get(file.ino) is file and file not in self._retired:
                    self._put_away(file)
                else:
                    file.close()
        self.spools.let_go(sending.number)

    def born_ns(self, item_id: ItemId) -> int | None:
        """Return when an upload of ours made the item, if that was lately."""
        return self._retired.born_ns(item_id)

    # Opening

    def open(self, ino: Ino, *, writing: bool) -> OpenFile:
        """Raises NotFound."""
        with self._lock:
            file = self._current.get(ino)
            with self._tree.lock:
                node = self._tree.node(ino)
                if file is None or not self._serves(file, node):
                    if node is None:
                        raise NotFound(f"inode {ino} is gone")
                    file = self._for(node)
            self._count(file, writing)
            return file

    def is_current(self, file: OpenFile) -> bool:
        """Tell whether `open` would give the same bytes.

        What is being written is current, also while its upload is recorded.
        """
        with self._lock, self._tree.lock:
            node = self._tree.node(file.ino)
            if node is None or file.unlinked:
                return True  # there are no others
            if file.static is not None:
                return node.remote is not None and link_text(node.remote) == file.static
            return self._current.get(file.ino) is file and (file.is_dirty or self._serves(file, node))

    @property
    def lock(self) -> threading.RLock:
        """To be held, before the tree's, while a file is made and until it is `created`: nobody may open it between."""
        return self._lock

    def created(self, node: Node, spool: SpoolFile) -> OpenFile:
        """Open a file that was just made, for writing.  spool: from `new_spool`.  With `lock` held."""
        file = OpenFile(node, None, 0, None)
        file.spool = spool
        file.saved_number = spool.number
        self.spools.name(spool.number)
        with self._lock:
            self._current[node.ino] = file
            self._count(file, True)
        return file

    def _count(self, file: OpenFile, writing: bool) -> None:
        file.handles += 1
        file.writers += writing
        self._forget_unsaved(file)  # its release sees to it from now on
        self._retired.forget(file)
        if file.handles == 1:
            file.opened_as = file.ino
            self._open[file.ino] = [*self._open.get(file.ino, ()), file]

    def _uncount(self, file: OpenFile, writing: bool) -> bool:
        """Forget one handle; return whether it was the last."""
        file.handles -= 1
        file.writers -= writing
        if file.handles:
            return False
        left = [one for one in self._open.get(file.opened_as, ()) if one is not file]
        if left:
            self._open[file.opened_as] = left
        else:
            self._open.pop(file.opened_as, None)
        return True

    def move_handle(self, file: OpenFile, to: OpenFile, *, writing: bool) -> None:
        """A handle goes on with another open file of the same inode."""
        with self._lock:
            self._count(to, writing)
            if self._uncount(file, writing):
                with file.lock:
                    self._drop(file)

    def release(self, file: OpenFile, *, writing: bool) -> None:
        """Forget one handle.  What it wrote has been saved by its flush; else it is now."""
        with self._lock:
            if not self._uncount(file, writing):
                return
            with file.lock:
                try:
                    if file.unsaved:
                        self.saving.save(file)
                except FsError as error:
                    # The writer has been told at its flush; what it wrote is kept, and tried again.
                    log.warning("what was written to %s cannot be recorded yet: %s", file.node.name, error)
                    self._unsaved.append(file)
                    return
                self._put_away(file)

    def _forget_unsaved(self, file: OpenFile) -> None:
        if file in self._unsaved:
            self._unsaved.remove(file)

    def _put_away(self, file: OpenFile) -> None:
        """Nobody has the file open any more, and it is saved.  With the lock and the file's held."""
        self._forget_unsaved(file)
        if self._current.get(file.ino) is not file:
            self._drop(file)
        elif file.sending and not file.unlinked:
            file.close()  # it stays the current one: who opens it must not write under the sender (`_sent` goes on)
        elif file.uploaded is not None and file.spool is not None and not file.unlinked:
            self._retire(file)
        else:
            del self._current[file.ino]
            self._drop(file)

    def _serves(self, file: OpenFile, node: Node | None) -> bool:
        """Tell whether a new handle of the node may share the open file."""
        if node is None or (file.unlinked and node.parent is None):
            return file.handles > 0
        if file.unlinked or file.is_spoiled:
            return False  # the name came back with what Box has: an edit there wins over a deletion here
        if file.unsaved and file.saved_number is None:
            return True
        if node.content is not None:
            return file.saved_number == node.content.spool
        if file.saved_number is not None:
            # Box has just acknowledged it and we are about to hear; or its content was given to another inode.
            return self.saving.holder(file.saved_number) is None
        shown = node.remote.version_id if node.remote is not None else None
        if file.spool is not None:
            return file.uploaded is not None and file.uploaded.version_id == shown
        return file.static is None and file.base is not None and file.base.version_id == shown

    def _for(self, node: Node) -> OpenFile:
        """Make the node's open file the current one.  With the lock held."""
        file = file_of(node, self._tree, self.spools)
        before = self._current.get(node.ino)
        self._current[node.ino] = file
        if before is not None and not before.handles:
            self._drop(before)
        return file

    # Saving

    def save_old(self, now_ns: int) -> None:
        """Save what long-open files hold.  Never raises; the next flush tells the writer what is wrong."""
        for file in list(self._current.values()):
            if file.unsaved and file.handles and now_ns - file.unsaved_since_ns > SAVE_AFTER_NS:
                try:
                    self.saving.save(file)
                except FsError as error:
                    log.warning("what was written to %s cannot be recorded: %s", file.node.name, error)
        for file in self._unsaved[:]:
            with self._lock, file.lock:
                if file not in self._unsaved:
                    continue
                try:
                    self.saving.save(file)
                except FsError:
                    continue
                self._put_away(file)

    # After an upload

    def _uploaded(self, node: Node, item: Item, extents: str) -> None:
        """The bytes of node.content are at Box as the version of `item`."""
        content = node.content
        assert content is not None
        with self._lock:
            if node.remote is None:
                self._retired.bear(item.id, self._tree.clock())
            file = self._current.get(node.ino)
            if file is None:
                file = self._current[node.ino] = file_sent(node, content, item, extents, self.spools)
            with file.lock:
                if file.saved_number != content.spool:
                    return  # it was saved anew before we came
                file.saved_number = None
                file.etag = item.etag
                file.uploaded = item
                file.adopted = False
                file.rebase(item)
                if not file.handles and not file.unsaved:
                    self._retire(file)

    def _retire(self, file: OpenFile) -> None:
        """Keep the bytes of an uploaded file for a while.  With the lock and the file's held."""
        file.close()
        self._retired.keep(file, self._tree.clock())

    def adopt_retired(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Hand what was uploaded to the block cache, so that it is not fetched when its spool is gone."""
        with self._lock:
            files = self._retired.files()
        for file in files:
            if stopped():
                return
            with self._lock, file.lock:
                item = file.uploaded
                if file not in self._retired or file.adopted or item is None:
                    continue
                file.adopted = True
                source: Sending | None = None
                if item.version_id is not None and file.size and not file.base_size and file.spool is not None:
                    self.spools.hold(file.spool.number)
                    source = Sending(file, 0, self.open_base, self._sent)
            if source is not None:
                self._adopt(source, item)
            self.on_adopted(file.ino)

    def _adopt(self, source: Sending, item: Item) -> None:
        assert item.version_id is not None
        try:
            with whole(source).open() as body:
                self._reading.adopt(FileVersion(item.id, item.version_id, source.size, item.sha1), body)
        except FsError as error:
            log.debug("%s was not kept in the cache: %s", source.file.node.name, error)
        finally:
            source.close()

    def drop_retired(self, now_ns: int) -> None:
        """Let go of spools that were kept long enough, or are too many."""
        with self._lock:
            for file in self._retired.take_old(now_ns):
                if self._current.get(file.ino) is file:
                    del self._current[file.ino]
                self._drop(file)

    # Names that go

    def unlink(self, change: Change, node: Node, now_ns: int) -> None:
        """The mount shows the inode no more: what is written to it from now on goes nowhere."""
        files = {id(file): file for file in (self._current.get(node.ino), *self._open.get(node.ino, ()))}
        for file in files.values():
            if file is not None:
                self._unlink_file(change, file, node, now_ns)

    def _unlink_file(self, change: Change, file: OpenFile, node: Node, now_ns: int) -> None:
        before = file.node
        file.node = replace(node, parent=None, ctime_ns=now_ns)
        file.unlinked = True  # without the file's lock: who saves looks again with the tree's

        def undo() -> None:
            file.unlinked = False
            file.node = before

        change.undo.append(undo)
        change.after.append(lambda: self._unlinked(file))

    def _unlinked(self, file: OpenFile) -> None:
        node = file.node
        with self._lock:
            if not file.handles:
                if self._current.get(node.ino) is file:
                    del self._current[node.ino]
                self._drop(file)

    # Spool files

    def open_base(self, base: Base) -> VersionReader:
        return self._reading.open(base.file_id, base.version_id, base.size, base.sha1)

    def _drop(self, file: OpenFile) -> None:
        self._retired.forget(file)
        self._forget_unsaved(file)
        file.close()
        if file.spool is not None:
            self.spools.let_go(file.spool.number)
