"""OpenFile: the bytes of one inode, as all its handles see them.

Bytes lie in layers: the spool where its extents cover, below it the base (a version at Box) up to `base_size`, zeros
above that up to `size`.  A file that nobody writes to has no spool: its base is the version that it was opened at, and
it stays at that version whatever Box does.  A file that was written and uploaded keeps its spool for a while
(`uploaded`), so that its bytes need not come back over the wire.

What is written is in the spool at once and visible to every handle; the tree (and with it `stat` after a crash) learns
of it when it is saved: at flush, fsync, the last close, and now and then by the housekeeper.

LOCK.  `lock` guards the fields below it.  It is taken before the tree's lock, and is not held over the network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from boxfs.base.errors import FsError
from boxfs.base.types import Etag, Ino, Item, ItemId, VersionId
from boxfs.core.node import Content, Node
from boxfs.core.proof import WrongBytes
from boxfs.core.reading import VersionReader
from boxfs.store.extents import Extents
from boxfs.store.spool import SpoolFile

ZEROS = 1 << 20
CLONE_LIMIT = 64 << 20  # a spool that is being sent is copied for a writer up to this size; beyond, the sending yields


# What an edit changes of an OpenFile.
_EDITED = (
    *("unsaved", "unsaved_since_ns", "spool", "extents", "sending"),
    *("base", "base_size", "size", "mtime_ns", "ctime_ns"),
)
_edited = attrgetter(*_EDITED)
State = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Base:
    """The version below the spool."""

    file_id: ItemId
    version_id: VersionId
    size: int
    sha1: str | None


class OpenFile:
    def __init__(self, node: Node, base: Base | None, base_size: int, etag: Etag | None) -> None:
        self.ino: Ino = node.ino
        self.static: bytes | None = None  # all that it reads as (a web link)
        self.lock = threading.RLock()
        # Guarded by lock
        self.node = node  # as it was when opened, or when it lost its name
        self.unlinked = False  # by this mount: what is written goes nowhere
        self.base = base
        self.base_size = base_size  # invariant: <= base.size
        self.etag = etag  # of the item as of `base`: what an edit that begins now must meet at Box
        self.size = node.size
        self.mtime_ns = node.mtime_ns
        self.ctime_ns = node.ctime_ns
        self.spool: SpoolFile | None = None
        self.extents = Extents()
        self.saved_number: int | None = None  # the spool that the tree's node names
        self.uploaded: Item | None = None  # the bytes are those of this item's version
        self.adopted = False  # and the block cache has them
        self.unsaved = False  # invariant, with the lock: implies spool is not None
        self.unsaved_since_ns = 0
        self.sending: list[Sending] = []  # who reads the spool for an upload
        self.reader: VersionReader | None = None  # of base, opened when first needed
        self.whole: VersionReader | None = None  # the same, where all that is read is the base's
        self.spoiled = False  # wrong bytes of the base were shown
        self._old_readers: list[VersionReader] = []
        # Guarded by the registry's lock (core/openfiles.py)
        self.handles = 0
        self.opened_as: Ino = node.ino  # under which inode it is counted among the open ones
        self.writers = 0

    @property
    def is_dirty(self) -> bool:
        """The bytes are not (or not known to be) those of a version at Box."""
        return self.spool is not None and (self.uploaded is None or self.unsaved)

    @property
    def is_spoiled(self) -> bool:
        """Wrong bytes of the base were shown.  Who has it open gets no more of them: the kernel asks again for what it
        was refused, and would put right bytes behind wrong ones.  Who opens it now begins anew.
        """
        return self.spoiled and self.spool is None

    # Reading

    def read_into(
        self,
        buffer: memoryview,
        offset: int,
        open_base: Callable[[Base], VersionReader],
    ) -> int:
        """Fill `buffer` from `offset`; return how many bytes, fewer only at the end.

        Raises what reading Box raises.
        """
        whole = self.whole
        if whole is not None:  # without the lock: an edit that begins just now comes after this read
            try:
                return whole.read_into(buffer, offset)
            except WrongBytes:
                self.spoiled, self.whole = True, None
                raise
        if self.static is not None:
            piece = self.static[offset : offset + len(buffer)]
            buffer[: len(piece)] = piece
            return len(piece)
        with self.lock:
            if self.is_spoiled:
                raise WrongBytes("wrong bytes of the file were read; open it again")
            length = max(0, min(len(buffer), self.size - offset))
            below: list[tuple[int, int]] = []
            spool = self.spool
            if length and spool is None:
                below.append((offset, offset + length))
            elif length:
                assert spool is not None
                for start, stop, covered in self.extents.split(offset, offset + length):
                    if covered:
                        spool.read_into(buffer[start - offset : stop - offset], start)
                    else:
                        below.append((start, stop))
            base_size = self.base_size
            if below and below[0][0] < base_size:
                self._open_reader(open_base)
            reader = self.reader
        for start, stop in below:
            edge = max(start, min(stop, base_size))
            if start < edge:
                assert reader is not None
                read_fully(reader, buffer[start - offset : edge - offset], start)
            if edge < stop:
                buffer[edge - offset : stop - offset] = bytes(stop - edge)
        return length

    def _open_reader(self, open_base: Callable[[Base], VersionReader]) -> None:
        if self.reader is None:
            assert self.base is not None
            self.reader = open_base(self.base)
            if self.spool is None and self.size == self.base_size == self.base.size:
                self.whole = self.reader

    # Writing; all with the lock held.  Where one of these raises, `restore` makes it undone: therefore the extents are
    # changed in a copy, or when nothing can fail any more.

    def state(self) -> State:
        """Return what an edit changes."""
        state: State = _edited(self)
        return state

    def restore(self, state: State) -> None:
        """Be as before an edit that failed.  A spool that it brought is dropped by who knows who needs it."""
        for name, value in zip(_EDITED, state, strict=True):
            setattr(self, name, value)
        for sending in self.sending:
            sending.owned = [spool for spool in sending.owned if spool is not self.spool]

    def write(self, data: memoryview, offset: int, new_spool: Callable[[], SpoolFile], now_ns: int) -> int:
        """Return how many bytes were written: less than all where the disk takes no more.  Raises NoSpace."""
        spool = self.begin_edit(new_spool, now_ns)
        stop = offset + spool.write(data, offset)
        self.extents.add(offset, stop)
        self.size = max(self.size, stop)
        self.mtime_ns = self.ctime_ns = now_ns
        return stop - offset

    def truncate(self, size: int, new_spool: Callable[[], SpoolFile], now_ns: int) -> None:
        if size == 0 and self.spool is not None and (self.uploaded or self.spool.number == self.saved_number):
            # Closed bytes stay as they are until what replaces them is saved; and what a power cut loses of the new
            # ones is found missing, where uploaded ones in its place would pass for them.
            self._replace_spool(new_spool())
        self.begin_edit(new_spool, now_ns)
        self.extents = self.extents.copy()
        self.extents.cut(size)
        self.base_size = min(self.base_size, size)
        self.size = size
        self.mtime_ns = self.ctime_ns = now_ns

    def grow(self, size: int, now_ns: int) -> None:
        """Have at least `size` bytes; an edit has begun."""
        if size > self.size:
            self.size = size
            self.mtime_ns = self.ctime_ns = now_ns

    def reserve(self, offset: int, length: int, new_spool: Callable[[], SpoolFile], now_ns: int) -> None:
        """Take room on the disk for a range that is to be written.  Raises NoSpace."""
        self.begin_edit(new_spool, now_ns).reserve(offset, length)

    def zero(self, start: int, stop: int, new_spool: Callable[[], SpoolFile], now_ns: int) -> None:
        """Have zeros in [start, stop), as far as the file goes.  Raises NoSpace."""
        spool = self.begin_edit(new_spool, now_ns)
        stop = min(stop, self.size)
        covered = max(start, min(stop, self.base_size))  # zeros must lie over what the base has
        zeros = memoryview(bytes(min(ZEROS, covered - start)))
        # First where the spool holds nothing that counts yet: the rest needs no more room.
        for at, end, _ in sorted(self.extents.split(start, covered), key=itemgetter(2)):
            while at < end:
                at += spool.write(zeros[: end - at], at)
        self.extents = self.extents.copy()
        self.extents.add(start, covered)
        self.extents.remove(covered, stop)
        self.mtime_ns = self.ctime_ns = now_ns

    def rebase(self, item: Item) -> None:
        """Rest on the version that was just made of these bytes, as the one below may go.

        Where nothing was written since, that has the bytes of the old base, and what was written lies above it.
        """
        if self.base_size and item.version_id is not None:
            self._set_base(Base(item.id, item.version_id, item.size or 0, item.sha1))

    def _set_base(self, base: Base) -> None:
        self.whole = None
        if self.reader is not None:
            self._old_readers.append(self.reader)  # somebody may be reading from it just now
            self.reader = None
        self.base = base

    def stand_on(self, base: Base, now_ns: int) -> None:
        """Become a copy of a version at Box; an edit has begun, and the file is empty."""
        self._set_base(base)
        self.base_size = self.size = base.size
        self.extents = Extents()
        self.mtime_ns = self.ctime_ns = now_ns

    def pieces(self, offset: int) -> Iterator[tuple[int, int, bool]]:
        """Yield [start, stop) and whether it is data, from `offset` to the end; pieces of one kind may touch."""
        if self.spool is None:
            yield offset, self.size, True
            return
        for start, stop, covered in self.extents.split(offset, self.size):
            edge = stop if covered else max(start, min(stop, self.base_size))
            if start < edge:
                yield start, edge, True
            if edge < stop:
                yield edge, stop, False

    def begin_edit(self, new_spool: Callable[[], SpoolFile], now_ns: int) -> SpoolFile:
        """Have a spool file that may be written to.  Raises NoSpace."""
        if not self.unsaved:
            self.unsaved_since_ns = now_ns
            self.unsaved = True  # first: whoever opens the file now, without our lock, is to share it
        self.whole = None
        if self.spool is None:
            self.extents = Extents()
            self.spool = new_spool()
        elif self.sending:
            self._leave_to_sender(new_spool)
        assert self.spool is not None
        return self.spool

    def _leave_to_sender(self, new_spool: Callable[[], SpoolFile]) -> None:
        """The spool is being sent: go on with a copy of it, or where that is too much, stop the sending."""
        spool = self.spool
        assert spool is not None
        if self.extents.total <= CLONE_LIMIT:
            copy = new_spool()
            self._replace_spool(copy)
            spool.copy_to(copy, self.extents)
        else:
            for sending in self.sending:
                sending.stale = True
            self.sending = []

    def _replace_spool(self, new: SpoolFile) -> None:
        assert self.spool is not None
        if not self.sending:
            self.spool.close()
        else:
            self.sending[-1].owned.append(self.spool)
            self.sending = []
        self.spool = new

    # What the tree is told

    def content(self, node: Node, edit: int) -> Content:
        """Return what the node is to hold."""
        assert self.spool is not None
        base = self.base if self.base_size else None
        held, remote = node.content, node.remote
        if held is not None:
            etag = held.base_etag
        elif remote is not None and self.saved_number is not None:
            etag = remote.etag  # what was saved last has been acknowledged, though `uploaded` does not say so yet
        elif remote is not None and remote.version_id is not None and remote.version_id == self.version_id:
            etag = remote.etag  # it may have been renamed since, which is no conflict
        else:
            etag = self.etag
        file_id = base.file_id if base is not None else None
        return Content(
            self.spool.number,
            edit,
            base.version_id if base is not None else None,
            self.base_size if base is not None else 0,
            etag,
            None if file_id is None or file_id == node.item_id else file_id,
        )

    @property
    def version_id(self) -> VersionId | None:
        """The version that the bytes were when they were last known to be at Box."""
        if self.uploaded is not None:
            return self.uploaded.version_id
        return self.base.version_id if self.base is not None else None

    def close(self) -> None:
        """Give back descriptors; the bytes stay readable."""
        if self.spool is not None and not self.sending:
            self.spool.close()
        for reader in (self.reader, *self._old_readers):
            if reader is not None:
                reader.close()
        self.reader = self.whole = None
        self._old_readers.clear()


class Sending:
    """A source for an upload: the bytes of one edit, unchanged until `close` (or `stale`: then they have changed).

    Reading at any place gives all that was asked for.  The base is read through the block cache.
    """

    def __init__(
        self,
        file: OpenFile,
        edit: int,
        open_base: Callable[[Base], VersionReader],
        finish: Callable[[Sending], None],
    ) -> None:
        """With file.lock held."""
        self.ino = file.ino
        self.edit = edit
        self.size = file.size
        self.mtime_ns = file.mtime_ns
        self.base = file.base if file.base_size else None
        self.extents = file.extents.copy()
        self.stale = False
        self.owned: list[SpoolFile] = []  # to be closed with this, as the file has left them
        self.file = file
        self._finish = finish
        self._base_size = file.base_size
        self._open_base = open_base
        assert file.spool is not None
        self._spool = file.spool
        self.number = file.spool.number
        self._reader: VersionReader | None = None
        self._lock = threading.Lock()  # guards _reader
        file.sending.append(self)

    @property
    def is_copy(self) -> bool:
        """The bytes are exactly those of `base`: Box could copy them."""
        return self.base is not None and not self.extents and self.size == self._base_size == self.base.size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return the bytes of [offset, offset + size), cut at the end.  Raises what reading Box raises."""
        size = max(0, min(size, self.size - offset))
        out = bytearray(size)
        view = memoryview(out)
        for start, stop, covered in self.extents.split(offset, offset + size):
            if covered:
                self._spool.read_into(view[start - offset : stop - offset], start)
            elif start < self._base_size:
                read_fully(self._base_reader(), view[start - offset : min(stop, self._base_size) - offset], start)
        return bytes(out)

    def _base_reader(self) -> VersionReader:
        with self._lock:
            if self._reader is None:
                assert self.base is not None
                self._reader = self._open_base(self.base)
            return self._reader

    def close(self) -> None:
        self._finish(self)
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def read_fully(reader: VersionReader, buffer: memoryview, offset: int) -> None:
    done = 0
    while done < len(buffer):
        got = reader.read_into(buffer[done:], offset + done)
        if got <= 0:
            raise FsError(f"version {reader.version.version_id} ended at {offset + done} of {reader.version.size}")
        done += got
