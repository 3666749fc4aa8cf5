"""Requests: what each request brings along as C values, asked of the operations, and its reply.

Every method does what is asked and returns the reply as a function, to be called when all that can fail is done
(binding.py, which answers the hottest four itself).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import time
from collections.abc import Callable
from ctypes import c_int, c_uint32, c_uint64

from boxfs.base.types import Attr, HandleNo, Ino
from boxfs.core.interface import Caller
from boxfs.fuse.buffers import BUFFER_BYTES, WorkersMemory
from boxfs.fuse.invalidation import SeenNames
from boxfs.fuse.layout import StatLayout, statvfs, time_ns
from boxfs.fuse.library import Library
from boxfs.fuse.listings import Listings
from boxfs.fuse.operations import RENAME_EXCHANGE, Operations
from boxfs.fuse.options import MountOptions
from boxfs.fuse.table import ForgetOne

# What setattr is asked to set, fuse_lowlevel.h
_SET_MODE, _SET_UID, _SET_GID, _SET_SIZE, _SET_ATIME, _SET_MTIME = 1, 2, 4, 8, 16, 32
_SET_ATIME_NOW, _SET_MTIME_NOW = 128, 256


_ENTRY_INO = struct.Struct("=Q")  # the first of struct fuse_entry_param
_u64 = c_uint64.from_address
_i32 = c_int.from_address

Reply = Callable[[], object]


class Requests:
    def __init__(self, library: Library, operations: Operations, options: MountOptions) -> None:
        self._library = library
        self._operations = operations
        self._options = options
        self._layouts = library.layouts
        self.fh_offset = library.layouts.fuse_file_info.fh.offset
        self._entries = Listings(options.attr_timeout_s, options.entry_timeout_s, self._listed_to)
        self._buffer = WorkersMemory()
        self.packed = StatLayout(library.layouts.c_stat, options.attr_timeout_s, options.entry_timeout_s)
        # Names that the kernel holds; filled only where it cannot drop all names at one word.
        self.seen_names: SeenNames | None = None

    # Arguments
    def caller(self, req: int) -> Caller:
        context = (c_uint32 * 3).from_address(self._library.req_ctx(req))
        return Caller(*context)

    def _handle(self, fi: int) -> HandleNo:
        return HandleNo(_u64(fi + self.fh_offset).value)

    # Replies
    def _done(self, req: int) -> Reply:
        return lambda: self._library.reply_err(req, 0)

    def _entry(self, req: int, parent: int, name: bytes, attr: Attr) -> Reply:
        packed = self.pack_entry(parent, name, attr)
        return lambda: self.reply_entry(req, packed)

    def reply_entry(self, req: int, packed: bytes) -> None:
        if self._library.reply_entry(req, packed) == -errno.ENOENT:
            # Who asked was killed meanwhile (interrupts.py): the kernel will not forget what it has not heard.
            self._operations.views.forget(_ENTRY_INO.unpack_from(packed)[0], 1)

    def pack_entry(self, parent: int, name: bytes, attr: Attr, node: int | None = None) -> bytes:
        return self.packed.entry(attr, self._led_to(parent, name, attr, node))

    def _led_to(self, parent: int, name: bytes, attr: Attr, node: int | None = None) -> int:
        """Return the kernel's inode that the name is about to lead to."""
        if node is None:
            node = self._operations.views.node(attr.ino)
        self._operations.views.told(node, attr.ino)
        if self.seen_names is not None:
            self.seen_names.note(node, parent, name)
        return node

    def _listed_to(self, parent: int, name: bytes, attr: Attr) -> int:
        """The same for a listing; 0 where the attributes may be of former bytes: the kernel asks when it needs."""
        return 0 if self._operations.views.is_changing(attr.ino) else self._led_to(parent, name, attr)

    # The rest
    def forget(self, req: int, ino: int, nlookup: int) -> Reply:
        self._forget_inode(ino, nlookup)
        return lambda: self._library.reply_none(req)

    def forget_multi(self, req: int, count: int, forgets: int) -> Reply:
        for one in (ForgetOne * count).from_address(forgets):
            self._forget_inode(one.ino, one.nlookup)
        return lambda: self._library.reply_none(req)

    def _forget_inode(self, ino: int, nlookup: int) -> None:
        self._operations.forget(ino, nlookup)
        if self.seen_names is not None:
            self.seen_names.forget(ino)

    def setattr(self, req: int, ino: int, attributes: int, to_set: int, fi: int | None) -> Reply:
        given = self._layouts.c_stat.from_address(attributes)
        now = None
        if to_set & (_SET_ATIME_NOW | _SET_MTIME_NOW):
            now = time.time_ns()
        atime_ns = now if to_set & _SET_ATIME_NOW else time_ns(given.st_atimespec) if to_set & _SET_ATIME else None
        mtime_ns = now if to_set & _SET_MTIME_NOW else time_ns(given.st_mtimespec) if to_set & _SET_MTIME else None
        attr = self._operations.setattr(
            ino,
            self.caller(req),
            mode=given.st_mode & 0o7777 if to_set & _SET_MODE else None,
            uid=given.st_uid if to_set & _SET_UID else None,
            gid=given.st_gid if to_set & _SET_GID else None,
            size=given.st_size if to_set & _SET_SIZE else None,
            atime_ns=atime_ns,
            mtime_ns=mtime_ns,
            handle=self._handle(fi) if fi else None,
        )
        packed = self.packed.stat(attr)
        return lambda: self._library.reply_attr(req, packed, self._options.attr_timeout_s)

    def readlink(self, req: int, ino: int) -> Reply:
        target = self._operations.readlink(ino)
        return lambda: self._library.reply_readlink(req, target)

    def mknod(self, req: int, parent: int, name: bytes, mode: int, rdev: int) -> Reply:
        attr = self._operations.mknod(Ino(parent), name, mode, rdev, self.caller(req))
        return self._entry(req, parent, name, attr)

    def mkdir(self, req: int, parent: int, name: bytes, mode: int) -> Reply:
        return self._entry(req, parent, name, self._operations.mkdir(Ino(parent), name, mode, self.caller(req)))

    def unlink(self, req: int, parent: int, name: bytes) -> Reply:
        self._operations.unlink(Ino(parent), name)
        return self._done(req)

    def rmdir(self, req: int, parent: int, name: bytes) -> Reply:
        self._operations.rmdir(Ino(parent), name)
        return self._done(req)

    def symlink(self, req: int, target: bytes, parent: int, name: bytes) -> Reply:
        return self._entry(req, parent, name, self._operations.symlink(Ino(parent), name, target, self.caller(req)))

    def rename(self, req: int, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int) -> Reply:
        self._operations.rename(Ino(parent), name, Ino(new_parent), new_name, flags)
        if self.seen_names is not None:
            exchanged = bool(flags & RENAME_EXCHANGE)
            self.seen_names.renamed(parent, name, new_parent, new_name, exchanged=exchanged)
        return self._done(req)

    def link(self, _req: int, _ino: int, _parent: int, _name: bytes) -> Reply:
        self._operations.link()
        raise AssertionError("link is always refused")

    def open(self, req: int, ino: int, fi: int) -> Reply:
        flags = _i32(fi).value
        handle, direct = self._operations.open(ino, flags, self.caller(req))
        info = self._opened(fi, handle, direct=direct, reads=not flags & (os.O_ACCMODE | os.O_TRUNC))

        def reply() -> None:
            # -ENOENT: the caller was interrupted and there will be no release.
            if self._library.reply_open(req, info) == -errno.ENOENT:
                self._operations.release(ino, handle)

        return reply

    def _opened(self, fi: int, handle: HandleNo, *, direct: bool = False, reads: bool = False) -> int:
        info = self._layouts.fuse_file_info.from_address(fi)
        info.fh = handle
        info.direct_io = direct
        info.keep_cache = not direct  # what the kernel holds is right until an invalidation says otherwise
        info.noflush = reads  # its close has nothing to keep (libfuse 3.11)
        return fi

    def create(self, req: int, parent: int, name: bytes, mode: int, fi: int) -> Reply:
        attr, node, handle = self._operations.create(Ino(parent), name, mode, _i32(fi).value, self.caller(req))
        packed = self.pack_entry(parent, name, attr, node)
        info = self._opened(fi, handle)

        def reply() -> None:
            if self._library.reply_create(req, packed, info) == -errno.ENOENT:
                self._operations.release(node, handle)

        return reply

    def flush(self, req: int, _ino: int, fi: int) -> Reply:
        self._operations.flush(self._handle(fi))
        return self._done(req)

    def release(self, req: int, ino: int, fi: int) -> Reply:
        self._operations.release(ino, self._handle(fi))
        return lambda: self._library.reply_released(req, 0)

    def fsync(self, req: int, _ino: int, datasync: int, fi: int) -> Reply:
        self._operations.fsync(self._handle(fi), bool(datasync))
        return self._done(req)

    def opendir(self, req: int, ino: int, fi: int) -> Reply:
        handle, cache, keep = self._operations.opendir(Ino(ino))
        info = self._layouts.fuse_file_info.from_address(fi)
        info.fh = handle
        info.cache_readdir = cache
        info.keep_cache = keep

        def reply() -> None:
            if self._library.reply_open(req, fi) == -errno.ENOENT:
                self._operations.releasedir(handle)

        return reply

    def readdir(self, req: int, ino: int, size: int, offset: int, fi: int) -> Reply:
        return self._list(req, ino, size, offset, fi, plus=False)

    def readdirplus(self, req: int, ino: int, size: int, offset: int, fi: int) -> Reply:
        return self._list(req, ino, size, offset, fi, plus=True)

    def _list(self, req: int, ino: int, size: int, offset: int, fi: int, *, plus: bool) -> Reply:
        buffer = self._buffer
        entries = self._operations.readdir(Ino(ino), self._handle(fi), offset)
        pack = self._entries.pack_plus if plus else self._entries.pack
        used = pack(buffer.view[: min(size, BUFFER_BYTES)], ino, entries)
        address = buffer.address
        return lambda: self._library.reply_buf(req, address, used)

    def releasedir(self, req: int, _ino: int, fi: int) -> Reply:
        self._operations.releasedir(self._handle(fi))
        return lambda: self._library.reply_released(req, 0)

    def fsyncdir(self, req: int, ino: int, _datasync: int, _fi: int) -> Reply:
        self._operations.fsyncdir(Ino(ino))
        return self._done(req)

    def statfs(self, req: int, _ino: int) -> Reply:
        found = statvfs(self._layouts.c_statvfs, self._operations.statfs())
        return lambda: self._library.reply_statfs(req, ctypes.addressof(found))

    def access(self, req: int, ino: int, mask: int) -> Reply:
        self._operations.access(ino, mask, self.caller(req))
        return self._done(req)

    def fallocate(self, req: int, _ino: int, mode: int, offset: int, length: int, fi: int) -> Reply:
        self._operations.fallocate(self._handle(fi), mode, offset, length)
        return self._done(req)

    def lseek(self, req: int, _ino: int, offset: int, whence: int, fi: int) -> Reply:
        found = self._operations.lseek(self._handle(fi), offset, whence)
        return lambda: self._library.reply_lseek(req, found)

    def copy_file_range(
        self,
        req: int,
        _source: int,
        source_offset: int,
        source_fi: int,
        _target: int,
        target_offset: int,
        target_fi: int,
        length: int,
        flags: int,
    ) -> Reply:
        copied = self._operations.copy_range(
            self._handle(source_fi), source_offset, self._handle(target_fi), target_offset, length, flags
        )
        return lambda: self._library.reply_write(req, copied)

    # Extended attributes
    def _sized(self, req: int, value: bytes, size: int) -> Reply:
        """getxattr(2): size 0 asks how long it is."""
        if size == 0:
            return lambda: self._library.reply_xattr(req, len(value))
        if len(value) > size:
            return lambda: self._library.reply_err(req, errno.ERANGE)
        return lambda: self._library.reply_bytes(req, value, len(value))

    def getxattr(self, req: int, ino: int, name: bytes, size: int) -> Reply:
        return self._sized(req, self._operations.getxattr(ino, name), size)

    def listxattr(self, req: int, ino: int, size: int) -> Reply:
        return self._sized(req, self._operations.listxattr(ino), size)

    def setxattr(self, req: int, ino: int, name: bytes, value: int, size: int, flags: int) -> Reply:
        data = ctypes.string_at(value, size) if size else b""
        self._operations.setxattr(ino, name, data, flags)
        return self._done(req)

    def removexattr(self, req: int, ino: int, name: bytes) -> Reply:
        self._operations.removexattr(ino, name)
        return self._done(req)
