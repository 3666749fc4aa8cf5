"""FileIo: the operations on open files: open, read, write, truncate, flush, fsync, allocate, seek, copy.

What makes bytes safe: `flush` (close) saves what was written in SQLite and the spool, which survive the process;
`fsync` waits until the disk has both; with fsync=box, until Box has them too.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections import deque
from dataclasses import dataclass

from boxfs.base.errors import (
    BadHandle,
    FsError,
    InvalidArgument,
    IsADirectory,
    NameTaken,
    NotFound,
    NotSupported,
    TooBig,
)
from boxfs.base.types import Attr, HandleNo, Ino, Kind
from boxfs.core.interface import Caller
from boxfs.core.namespace import Namespace
from boxfs.core.openfile import Base, OpenFile
from boxfs.core.openfiles import OpenFiles
from boxfs.core.proof import WrongBytes
from boxfs.core.tree import Tree

MAX_SIZE = 1 << 42  # far above what any plan of Box takes; keeps sparse files within what the disk's file system can
COPY_CHUNK = 1 << 20
MOST_LATE = 64  # replaced files that are kept open for those who come late, and for how long
LATE_NS = 2_000_000_000

FALLOC_KEEP_SIZE = 1
FALLOC_PUNCH_HOLE = 2
FALLOC_ZERO_RANGE = 16


class NoData(FsError):
    """SEEK_DATA beyond the last data, SEEK_HOLE beyond the end."""

    errno = errno.ENXIO


@dataclass(slots=True)
class Handle:
    file: OpenFile
    ino: Ino
    readable: bool
    writable: bool
    append: bool
    sync: bool


class FileIo(Namespace):
    tree: Tree
    files: OpenFiles
    _handles: dict[HandleNo, Handle]
    _numbers: itertools.count[int]
    _replaced_files: deque[tuple[int, OpenFile]]  # (since when, a file kept open for those who come late)

    # Names

    def rename(self, old_parent: Ino, old_name: str, new_parent: Ino, new_name: str, flags: int = 0) -> None:
        """A file that is replaced can be opened for a moment longer.

        open(2) is two questions, for the name and for what it led to.  Where files are replaced in a row, the second
        can come too late again and again; the kernel repeats both only once before the program hears of it (ESTALE).
        """
        target = self.tree.child(new_parent, new_name) if flags == 0 else None
        if target is None or target.kind is not Kind.FILE or target.kind_bits:
            return super().rename(old_parent, old_name, new_parent, new_name, flags)
        try:
            file = self.files.open(target.ino, writing=False)
        except FsError:  # nobody can open it
            return super().rename(old_parent, old_name, new_parent, new_name, flags)
        try:
            super().rename(old_parent, old_name, new_parent, new_name, flags)
        finally:
            if file.unlinked:
                self._replaced_files.append((self.tree.clock(), file))
                self.let_late_ones_go(keep=MOST_LATE)
            else:
                self.files.release(file, writing=False)

    def let_late_ones_go(self, keep: int = 0, before_ns: int = 1 << 63) -> None:
        """Close files that were replaced before then, all but the last `keep`."""
        while len(self._replaced_files) > keep:
            try:
                since, file = self._replaced_files.popleft()
            except IndexError:
                return
            if since >= before_ns:
                self._replaced_files.appendleft((since, file))
                return
            self.files.release(file, writing=False)

    # Opening

    def open(self, ino: Ino, flags: int, caller: Caller) -> HandleNo:
        node = self._node(ino)
        if node.is_folder:
            raise IsADirectory(f"{node.name!r} is a folder")
        access = flags & os.O_ACCMODE
        writable = access in (os.O_WRONLY, os.O_RDWR) or bool(flags & os.O_TRUNC)
        if writable:
            self._may_write(node)
        if access != os.O_WRONLY:
            self._may_read(node)
            if self.foresight is not None and not flags & os.O_TRUNC:
                self.foresight.opens(node, caller.pid)
        file = self.files.open(ino, writing=writable)
        try:
            if flags & os.O_TRUNC and (file.size or file.is_dirty):
                self._truncate(file, 0)
        except BaseException:
            self.files.release(file, writing=writable)
            raise
        return self._handle(file, ino, flags, writable)

    def create(self, parent: Ino, name: str, mode: int, flags: int, caller: Caller) -> tuple[Attr, HandleNo]:
        folder = self._prepare(parent, name)
        existing = self.tree.child(parent, name)
        if existing is None:
            try:
                node, file = self._make_file(folder, name, mode, caller)
            except NameTaken:
                existing = self.tree.child(parent, name)
                if existing is None:  # taken by a name that differs by case
                    raise
            else:
                return self._attr(node), self._handle(file, node.ino, flags, True)
        if flags & os.O_EXCL:
            raise NameTaken(f"{name!r} is there already")
        handle = self.open(existing.ino, flags, caller)
        return self._attr(self._node(existing.ino)), handle

    def _handle(self, file: OpenFile, ino: Ino, flags: int, writable: bool) -> HandleNo:
        number = HandleNo(next(self._numbers))
        access = flags & os.O_ACCMODE
        self._handles[number] = Handle(
            file,
            ino,
            access != os.O_WRONLY,
            writable,
            bool(flags & os.O_APPEND),
            bool(flags & (os.O_SYNC | os.O_DSYNC)),
        )
        return number

    def _of(self, handle: HandleNo) -> Handle:
        found = self._handles.get(handle)
        if found is None:
            raise BadHandle(f"no open file {handle}")
        return found

    def handle_ino(self, handle: HandleNo) -> Ino:
        return self._of(handle).ino

    def is_current(self, handle: HandleNo) -> bool:
        return self.files.is_current(self._of(handle).file)

    def handle_attr(self, handle: HandleNo) -> Attr:
        held = self._of(handle)
        try:
            node = self._node(held.ino)
        except NotFound:
            node = held.file.node
        file = held.file
        with file.lock:
            return self._attr(node)._replace(size=file.size, mtime_ns=file.mtime_ns)

    def release(self, handle: HandleNo) -> None:
        held = self._handles.pop(handle, None)
        if held is None:
            raise BadHandle(f"no open file {handle}")
        self.files.release(held.file, writing=held.writable)
        if held.writable:
            self.tree.on_pending()  # its settle window may run now

    # Reading

    def read_into(self, handle: HandleNo, buffer: memoryview, offset: int) -> int:
        held = self._handles.get(handle)
        if held is None:
            raise BadHandle(f"no open file {handle}")
        if offset < 0:
            raise InvalidArgument("an offset below zero")
        try:
            return held.file.read_into(buffer, offset, self.files.open_base)
        except WrongBytes:
            if self.tree.watcher is not None:
                self.tree.watcher.content_changed(held.ino)  # the kernel must not keep what was shown of them
            raise

    # Writing

    def write(self, handle: HandleNo, data: memoryview, offset: int) -> int:
        held = self._of(handle)
        if not held.writable:
            raise BadHandle("the file is not open for writing")
        if not len(data):
            return 0
        file = self._current_for(held)
        with file.lock:
            if held.append:
                offset = file.size
            if offset < 0:
                raise InvalidArgument("an offset below zero")
            if offset + len(data) > MAX_SIZE:
                raise TooBig("the file would grow beyond what can be kept")
            with self.files.spools.editing(file):
                count = file.write(data, offset, self.files.spools.new, self.tree.clock())
        if held.sync:
            self.fsync(handle, True)
        return count

    def _current_for(self, held: Handle) -> OpenFile:
        """Return the file to write to: the inode's current one, where another handle has changed that meanwhile."""
        file = held.file
        if file.spool is None and not file.unlinked:
            live = self.files.live(file.ino)
            if live is not None and live is not file and live.is_dirty:
                self.files.move_handle(file, live, writing=True)
                held.file = live
                return live
        return file

    def _truncate(self, file: OpenFile, size: int, *, save: bool = False) -> None:
        if size < 0:
            raise InvalidArgument("a size below zero")
        if size > MAX_SIZE:
            raise TooBig("the file would grow beyond what can be kept")
        with self.files.spools.editing(file):
            file.truncate(size, self.files.spools.new, self.tree.clock())
            if save:
                self.files.saving.save(file)

    def _set_size(self, ino: Ino, size: int, handle: HandleNo | None) -> None:
        """truncate(2), ftruncate(2)."""
        if handle is not None:
            held = self._of(handle)
            if not held.writable:
                raise InvalidArgument("the file is not open for writing")
            file = self._current_for(held)
            with file.lock:
                if file.size != size:
                    self._truncate(file, size)
            return
        node = self._node(ino)
        if node.is_folder:
            raise IsADirectory(f"{node.name!r} is a folder")
        self._may_write(node)
        file = self.files.open(ino, writing=True)
        try:
            if file.size != size:
                self._truncate(file, size, save=True)
            else:
                self.files.saving.save(file)
        finally:
            self.files.release(file, writing=True)

    # Keeping

    def flush(self, handle: HandleNo) -> None:
        held = self._of(handle)
        if held.writable and held.file.unsaved:
            self.files.saving.save(held.file)
        if held.writable and self.options.sync_on_close and not held.file.unlinked:
            self.barrier(held.file.ino)

    def fsync(self, handle: HandleNo, datasync: bool) -> None:  # noqa: ARG002 - size and bytes are one record
        held = self._of(handle)
        file = held.file
        if file.unsaved:
            self.files.saving.save(file)
        if file.unlinked:
            return
        self.files.saving.sync(file)
        self.tree.sync()
        if self.options.fsync == "box" and self.tree.is_pending(file.ino):
            self.barrier(file.ino)

    def fsyncdir(self, ino: Ino) -> None:
        self._folder(ino)
        self.tree.sync()
        if self.options.fsync == "box":
            for child in self.tree.children(ino):
                if self.tree.is_pending(child.ino) and not self.files.has_writer(child.ino):
                    self.barrier(child.ino)

    # Places

    def fallocate(self, handle: HandleNo, mode: int, offset: int, length: int) -> None:
        held = self._of(handle)
        if not held.writable:
            raise BadHandle("the file is not open for writing")
        if offset < 0 or length <= 0:
            raise InvalidArgument("an empty range")
        if offset + length > MAX_SIZE:
            raise TooBig("the file would grow beyond what can be kept")
        keep = bool(mode & FALLOC_KEEP_SIZE)
        kind = mode & ~FALLOC_KEEP_SIZE
        if kind not in (0, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE) or (kind == FALLOC_PUNCH_HOLE and not keep):
            raise NotSupported("this kind of fallocate is not supported")
        now = self.tree.clock()
        file = self._current_for(held)
        with self.files.spools.editing(file):
            if kind == 0:
                if not keep and offset + length > file.size:
                    file.reserve(offset, length, self.files.spools.new, now)
                    file.grow(offset + length, now)
            else:
                file.zero(offset, offset + length, self.files.spools.new, now)
                if not keep:
                    file.grow(offset + length, now)

    def seek(self, handle: HandleNo, offset: int, whence: int) -> int:
        file = self._of(handle).file
        with file.lock:
            if whence not in (os.SEEK_DATA, os.SEEK_HOLE):
                raise InvalidArgument("only SEEK_DATA and SEEK_HOLE come here")
            if not 0 <= offset < file.size:
                raise NoData("beyond the end of the file")
            for start, stop, is_data in file.pieces(offset):
                if is_data == (whence == os.SEEK_DATA):
                    return max(start, offset)
                offset = max(offset, stop)
            if whence == os.SEEK_DATA:
                raise NoData("no data from there on")
            return file.size

    def copy_range(
        self, source: HandleNo, source_offset: int, target: HandleNo, target_offset: int, length: int
    ) -> int:
        giver, taker = self._of(source), self._of(target)
        if not giver.readable or not taker.writable:
            raise BadHandle("the files are not open for this")
        length = min(length, max(0, giver.file.size - source_offset))
        if length <= 0:
            return 0
        if taker.file is not giver.file and self._copy_whole(giver.file, source_offset, taker, target_offset, length):
            return length
        return self._copy_bytes(giver.file, source_offset, target, target_offset, length)

    def _copy_whole(self, giver: OpenFile, source_offset: int, held: Handle, target_offset: int, length: int) -> bool:
        """Make an empty file a copy of a version at Box, without moving a byte; tell whether it could be done."""
        with giver.lock:
            whole = source_offset == target_offset == 0 and length == giver.size
            base: Base | None = None
            if giver.spool is None:
                base = giver.base
            elif giver.uploaded is not None and not giver.unsaved:
                item = giver.uploaded
                if item.version_id is not None:
                    base = Base(item.id, item.version_id, giver.size, item.sha1)
        if base is None or not whole or base.size != length:
            return False
        now = self.tree.clock()
        file = self._current_for(held)
        with file.lock:
            if file.size or file.unlinked or file.static is not None:
                return False
            with self.files.spools.editing(file):
                file.begin_edit(self.files.spools.new, now)
                file.stand_on(base, now)
        return True

    def _copy_bytes(self, giver: OpenFile, source_offset: int, target: HandleNo, offset: int, length: int) -> int:
        buffer = memoryview(bytearray(min(length, COPY_CHUNK)))
        done = 0
        while done < length:
            got = giver.read_into(buffer[: min(COPY_CHUNK, length - done)], source_offset + done, self.files.open_base)
            if got == 0:
                break
            try:
                done += self.write(target, buffer[:got], offset + done)
            except FsError:
                if done:
                    return done
                raise
        return done

    def _forget_handles(self) -> None:
        self.let_late_ones_go()
        for handle in list(self._handles):
            with contextlib.suppress(FsError):
                self.release(handle)
