"""libfuse's low-level callbacks (fuse_lowlevel.h): C arguments to Python values, results to replies.

Every request is answered exactly once: the work is done under a guard that turns an exception into an errno, the reply
comes after it and cannot raise.  A FsError gives its errno; any other exception is a defect of ours: EIO for that
request, logged once for each place that it comes from, and the mount goes on.

NotFound means two things.  Of a name it is ENOENT.  Of an inode it is ESTALE: the kernel walked there by names that it
kept and that lead there no more; told ESTALE it drops them, walks again, and the caller sees the truth.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import threading
import time
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char, c_int, c_uint32, c_uint64, c_void_p
from typing import Any

from boxfs.base.errors import FsError, NotFound
from boxfs.base.types import Attr, HandleNo, Ino
from boxfs.core.interface import Caller
from boxfs.fuse.defects import Defects
from boxfs.fuse.invalidation import SeenNames
from boxfs.fuse.layout import StatLayout, statvfs, time_ns
from boxfs.fuse.library import Library
from boxfs.fuse.listings import Listings
from boxfs.fuse.operations import RENAME_EXCHANGE, Operations
from boxfs.fuse.options import MountOptions
from boxfs.fuse.table import ARGUMENTS, OF_A_NAME, XATTR_REQUESTS, ForgetOne, LowlevelOps

_READ_BUFFER = 1 << 20  # max_pages of the kernel, 256, times 4 KiB
_PYBUF_READ = 0x100

# Capabilities, fuse_common.h
_CAP_READDIRPLUS_AUTO = 1 << 14
_CAP_WRITEBACK_CACHE = 1 << 16
_CAP_PARALLEL_DIROPS = 1 << 18
_CAP_HANDLE_KILLPRIV_V2 = 1 << 21  # libfuse 3.17
_CAP_CACHE_SYMLINKS = 1 << 23
_CAP_OVER_IO_URING = 1 << 31
_EPOCH_MINOR = 44  # FUSE_NOTIFY_INC_EPOCH came with protocol 7.44, Linux 6.16

# What setattr is asked to set, fuse_lowlevel.h
_SET_MODE, _SET_UID, _SET_GID, _SET_SIZE, _SET_ATIME, _SET_MTIME = 1, 2, 4, 8, 16, 32
_SET_ATIME_NOW, _SET_MTIME_NOW = 128, 256


_u64 = c_uint64.from_address
_i32 = c_int.from_address


class _Memory:
    """Where reads go.  Its pages are made only as they are used."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _READ_BUFFER, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(c_char.from_buffer(self._memory))
        self.view = memoryview(self._memory)


class _Buffer(threading.local, _Memory):
    """Where a worker's listings go; made once for each worker."""


class Binding:
    """The callbacks of one mount.  Keep it as long as the session lives: libfuse holds pointers into it."""

    def __init__(self, library: Library, operations: Operations, options: MountOptions) -> None:
        self._library = library
        self._operations = operations
        self._options = options
        self._layouts = library.layouts
        self._packed = StatLayout(library.layouts.c_stat, options.attr_timeout_s, options.entry_timeout_s)
        self._entries = Listings(options.attr_timeout_s, options.entry_timeout_s, self._led_to)
        self._fh_offset = library.layouts.fuse_file_info.fh.offset
        self._buffer = _Buffer()
        self._defects = Defects()
        self._callbacks: list[Any] = []  # keeps them alive
        # Names that the kernel holds; filled only where it cannot drop all names at one word.
        self.seen_names: SeenNames | None = None
        self.table = LowlevelOps()
        self._fill()

    # The table
    def _fill(self) -> None:
        direct: dict[str, Callable[..., None]] = {
            "init": self._init,
            "lookup": self._make_lookup(),
            "getattr": self._make_getattr(),
            "read": self._make_read(),
            "write": self._make_write(),
        }
        for name, arguments in ARGUMENTS.items():
            if arguments is None or (name in XATTR_REQUESTS and not self._options.xattr):
                continue  # ENOSYS: the kernel never asks again
            function = direct.get(name) or self._guarded(name, getattr(self, "_" + name))
            self._install(name, CFUNCTYPE(None, c_void_p, *arguments), function)

    def _install(self, name: str, prototype: Any, function: Callable[..., None]) -> None:
        callback = prototype(function)
        self._callbacks.append(callback)
        setattr(self.table, name, ctypes.cast(callback, c_void_p).value)

    def _guarded(self, name: str, work: Callable[..., Callable[[], object]]) -> Callable[..., None]:
        """`work` does what is asked and returns the reply, to be sent when all that can fail is done."""
        fail = self._fail

        def callback(req: int, ino: Any, *arguments: Any) -> None:
            try:
                reply = work(req, ino, *arguments)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                fail(req, name, ino, error)
            else:
                reply()

        return callback

    def _fail(self, req: int, request: str, ino: Any, error: BaseException) -> None:
        if isinstance(error, FsError):
            number = error.errno
            if number == errno.ENOENT and request not in OF_A_NAME:
                number = errno.ESTALE
        else:
            number = errno.EIO
            self._defects.report(request, ino if isinstance(ino, int) else 0, error)
        self._library.reply_err(req, number)

    def _init(self, _userdata: int, conn: int) -> None:
        try:
            self._configure(self._layouts.fuse_conn_info.from_address(conn))
        except BaseException as error:  # noqa: BLE001 - C is above us
            self._defects.report("init", 0, error)

    def _configure(self, conn: Any) -> None:
        want = conn.want & ~(_CAP_READDIRPLUS_AUTO | _CAP_WRITEBACK_CACHE | _CAP_OVER_IO_URING)
        wished = _CAP_PARALLEL_DIROPS | _CAP_CACHE_SYMLINKS
        if self._options.xattr:
            # Else every write asks for security.capability first (and does, with libfuse before 3.17).
            wished |= _CAP_HANDLE_KILLPRIV_V2
        want |= wished & conn.capable
        conn.want = want
        self._operations.clears_set_id = bool(want & _CAP_HANDLE_KILLPRIV_V2)
        conn.max_background = self._options.max_background
        conn.congestion_threshold = self._options.max_background * 3 // 4
        if conn.proto_minor < _EPOCH_MINOR or not self._options.epoch:
            self.seen_names = SeenNames()

    # Arguments
    def _caller(self, req: int) -> Caller:
        context = (c_uint32 * 3).from_address(self._library.req_ctx(req))
        return Caller(*context)

    def _handle(self, fi: int) -> HandleNo:
        return HandleNo(_u64(fi + self._fh_offset).value)

    # Replies
    def _done(self, req: int) -> Callable[[], object]:
        return lambda: self._library.reply_err(req, 0)

    def _entry(self, req: int, parent: int, name: bytes, attr: Attr) -> Callable[[], object]:
        packed = self._pack_entry(parent, name, attr)
        return lambda: self._library.reply_entry(req, packed)

    def _pack_entry(self, parent: int, name: bytes, attr: Attr, node: int | None = None) -> bytes:
        return self._packed.entry(attr, self._led_to(parent, name, attr, node))

    def _led_to(self, parent: int, name: bytes, attr: Attr, node: int | None = None) -> int:
        """Return the kernel's inode that the name is about to lead to."""
        if node is None:
            node = self._operations.views.node(attr.ino)
        if self.seen_names is not None:
            self.seen_names.note(node, parent, name)
        return node

    # The hot four: no reply object, no second function
    def _make_lookup(self) -> Callable[..., None]:
        lookup, pack, reply = self._operations.lookup, self._pack_entry, self._library.reply_entry
        reply_err = self._library.reply_err
        negative = self._packed.negative(self._options.negative_timeout_s)
        keep_negative = self._options.negative_timeout_s > 0

        def callback(req: int, parent: int, name: bytes) -> None:
            try:
                packed = pack(parent, name, lookup(Ino(parent), name))
            except NotFound:
                if keep_negative:
                    reply(req, negative)
                else:
                    reply_err(req, errno.ENOENT)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "lookup", parent, error)
            else:
                reply(req, packed)

        return callback

    def _make_getattr(self) -> Callable[..., None]:
        getattr_, pack, reply = self._operations.getattr, self._packed.stat, self._library.reply_attr
        timeout_s = self._options.attr_timeout_s

        def callback(req: int, ino: int, _fi: int) -> None:
            try:
                packed = pack(getattr_(ino))
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "getattr", ino, error)
            else:
                reply(req, packed, timeout_s)

        return callback

    def _make_read(self) -> Callable[..., None]:
        read_into, reply, fh = self._operations.read_into, self._library.reply_buf, self._fh_offset
        # The last one given back is the next one taken: as few as read at once, and still in the processor's cache.
        spare: list[_Memory] = []

        def callback(req: int, ino: int, size: int, offset: int, fi: int) -> None:
            memory: Any = None
            try:
                if size > _READ_BUFFER:
                    large: Any = (ctypes.c_char * size)()
                    address, view = ctypes.addressof(large), memoryview(large).cast("B")
                else:
                    try:
                        memory = spare.pop()
                    except IndexError:
                        memory = _Memory()
                    address, view = memory.address, memory.view
                count = read_into(HandleNo(_u64(fi + fh).value), view[:size], offset)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "read", ino, error)
            else:
                reply(req, address, count)
            if memory is not None:
                spare.append(memory)

        return callback

    def _make_write(self) -> Callable[..., None]:
        write, reply, view_memory, fh = (
            self._operations.write,
            self._library.reply_write,
            self._library.view_memory,
            self._fh_offset,
        )
        needs_caller = self._operations.writing_needs_caller

        def callback(req: int, ino: int, data: int, size: int, offset: int, fi: int) -> None:
            try:
                caller = self._caller(req) if needs_caller(ino) else None
                # libfuse's own memory, which goes when this callback returns: release() fails where somebody still
                # holds a slice of it.  (Not after an exception, whose traceback holds some.)
                view = view_memory(data, size, _PYBUF_READ)
                count = write(ino, HandleNo(_u64(fi + fh).value), view, offset, caller)
                view.release()
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "write", ino, error)
            else:
                reply(req, count)

        return callback

    # The rest
    def _forget(self, req: int, ino: int, _nlookup: int) -> Callable[[], object]:
        self._forget_inode(ino)
        return lambda: self._library.reply_none(req)

    def _forget_multi(self, req: int, count: int, forgets: int) -> Callable[[], object]:
        for one in (ForgetOne * count).from_address(forgets):
            self._forget_inode(one.ino)
        return lambda: self._library.reply_none(req)

    def _forget_inode(self, ino: int) -> None:
        self._operations.forget(ino)
        if self.seen_names is not None:
            self.seen_names.forget(ino)

    def _setattr(self, req: int, ino: int, attributes: int, to_set: int, fi: int | None) -> Callable[[], object]:
        given = self._layouts.c_stat.from_address(attributes)
        now = None
        if to_set & (_SET_ATIME_NOW | _SET_MTIME_NOW):
            now = time.time_ns()
        atime_ns = now if to_set & _SET_ATIME_NOW else time_ns(given.st_atimespec) if to_set & _SET_ATIME else None
        mtime_ns = now if to_set & _SET_MTIME_NOW else time_ns(given.st_mtimespec) if to_set & _SET_MTIME else None
        attr = self._operations.setattr(
            ino,
            self._caller(req),
            mode=given.st_mode & 0o7777 if to_set & _SET_MODE else None,
            uid=given.st_uid if to_set & _SET_UID else None,
            gid=given.st_gid if to_set & _SET_GID else None,
            size=given.st_size if to_set & _SET_SIZE else None,
            atime_ns=atime_ns,
            mtime_ns=mtime_ns,
            handle=self._handle(fi) if fi else None,
        )
        packed = self._packed.stat(attr)
        return lambda: self._library.reply_attr(req, packed, self._options.attr_timeout_s)

    def _readlink(self, req: int, ino: int) -> Callable[[], object]:
        target = self._operations.readlink(ino)
        return lambda: self._library.reply_readlink(req, target)

    def _mknod(self, req: int, parent: int, name: bytes, mode: int, rdev: int) -> Callable[[], object]:
        attr = self._operations.mknod(Ino(parent), name, mode, rdev, self._caller(req))
        return self._entry(req, parent, name, attr)

    def _mkdir(self, req: int, parent: int, name: bytes, mode: int) -> Callable[[], object]:
        return self._entry(req, parent, name, self._operations.mkdir(Ino(parent), name, mode, self._caller(req)))

    def _unlink(self, req: int, parent: int, name: bytes) -> Callable[[], object]:
        self._operations.unlink(Ino(parent), name)
        return self._done(req)

    def _rmdir(self, req: int, parent: int, name: bytes) -> Callable[[], object]:
        self._operations.rmdir(Ino(parent), name)
        return self._done(req)

    def _symlink(self, req: int, target: bytes, parent: int, name: bytes) -> Callable[[], object]:
        return self._entry(req, parent, name, self._operations.symlink(Ino(parent), name, target, self._caller(req)))

    def _rename(
        self, req: int, parent: int, name: bytes, new_parent: int, new_name: bytes, flags: int
    ) -> Callable[[], object]:
        self._operations.rename(Ino(parent), name, Ino(new_parent), new_name, flags)
        if self.seen_names is not None:
            exchanged = bool(flags & RENAME_EXCHANGE)
            self.seen_names.renamed(parent, name, new_parent, new_name, exchanged=exchanged)
        return self._done(req)

    def _link(self, _req: int, _ino: int, _parent: int, _name: bytes) -> Callable[[], object]:
        self._operations.link()
        raise AssertionError("link is always refused")

    def _open(self, req: int, ino: int, fi: int) -> Callable[[], object]:
        flags = _i32(fi).value
        handle, direct = self._operations.open(ino, flags, self._caller(req))
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

    def _create(self, req: int, parent: int, name: bytes, mode: int, fi: int) -> Callable[[], object]:
        attr, node, handle = self._operations.create(Ino(parent), name, mode, _i32(fi).value, self._caller(req))
        packed = self._pack_entry(parent, name, attr, node)
        info = self._opened(fi, handle)

        def reply() -> None:
            if self._library.reply_create(req, packed, info) == -errno.ENOENT:
                self._operations.release(node, handle)

        return reply

    def _flush(self, req: int, _ino: int, fi: int) -> Callable[[], object]:
        self._operations.flush(self._handle(fi))
        return self._done(req)

    def _release(self, req: int, ino: int, fi: int) -> Callable[[], object]:
        self._operations.release(ino, self._handle(fi))
        return lambda: self._library.reply_released(req, 0)

    def _fsync(self, req: int, _ino: int, datasync: int, fi: int) -> Callable[[], object]:
        self._operations.fsync(self._handle(fi), bool(datasync))
        return self._done(req)

    def _opendir(self, req: int, ino: int, fi: int) -> Callable[[], object]:
        handle, cache, keep = self._operations.opendir(Ino(ino))
        info = self._layouts.fuse_file_info.from_address(fi)
        info.fh = handle
        info.cache_readdir = cache
        info.keep_cache = keep

        def reply() -> None:
            if self._library.reply_open(req, fi) == -errno.ENOENT:
                self._operations.releasedir(handle)

        return reply

    def _readdir(self, req: int, ino: int, size: int, offset: int, fi: int) -> Callable[[], object]:
        return self._list(req, ino, size, offset, fi, plus=False)

    def _readdirplus(self, req: int, ino: int, size: int, offset: int, fi: int) -> Callable[[], object]:
        return self._list(req, ino, size, offset, fi, plus=True)

    def _list(self, req: int, ino: int, size: int, offset: int, fi: int, *, plus: bool) -> Callable[[], object]:
        buffer = self._buffer
        entries = self._operations.readdir(Ino(ino), self._handle(fi), offset)
        pack = self._entries.pack_plus if plus else self._entries.pack
        used = pack(buffer.view[: min(size, _READ_BUFFER)], ino, entries)
        address = buffer.address
        return lambda: self._library.reply_buf(req, address, used)

    def _releasedir(self, req: int, _ino: int, fi: int) -> Callable[[], object]:
        self._operations.releasedir(self._handle(fi))
        return lambda: self._library.reply_released(req, 0)

    def _fsyncdir(self, req: int, ino: int, _datasync: int, _fi: int) -> Callable[[], object]:
        self._operations.fsyncdir(Ino(ino))
        return self._done(req)

    def _statfs(self, req: int, _ino: int) -> Callable[[], object]:
        found = statvfs(self._layouts.c_statvfs, self._operations.statfs())
        return lambda: self._library.reply_statfs(req, ctypes.addressof(found))

    def _access(self, req: int, ino: int, mask: int) -> Callable[[], object]:
        self._operations.access(ino, mask, self._caller(req))
        return self._done(req)

    def _fallocate(self, req: int, _ino: int, mode: int, offset: int, length: int, fi: int) -> Callable[[], object]:
        self._operations.fallocate(self._handle(fi), mode, offset, length)
        return self._done(req)

    def _lseek(self, req: int, _ino: int, offset: int, whence: int, fi: int) -> Callable[[], object]:
        found = self._operations.lseek(self._handle(fi), offset, whence)
        return lambda: self._library.reply_lseek(req, found)

    def _copy_file_range(
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
    ) -> Callable[[], object]:
        copied = self._operations.copy_range(
            self._handle(source_fi), source_offset, self._handle(target_fi), target_offset, length, flags
        )
        return lambda: self._library.reply_write(req, copied)

    # Extended attributes
    def _sized(self, req: int, value: bytes, size: int) -> Callable[[], object]:
        """getxattr(2): size 0 asks how long it is."""
        if size == 0:
            return lambda: self._library.reply_xattr(req, len(value))
        if len(value) > size:
            return lambda: self._library.reply_err(req, errno.ERANGE)
        return lambda: self._library.reply_bytes(req, value, len(value))

    def _getxattr(self, req: int, ino: int, name: bytes, size: int) -> Callable[[], object]:
        return self._sized(req, self._operations.getxattr(ino, name), size)

    def _listxattr(self, req: int, ino: int, size: int) -> Callable[[], object]:
        return self._sized(req, self._operations.listxattr(ino), size)

    def _setxattr(self, req: int, ino: int, name: bytes, value: int, size: int, flags: int) -> Callable[[], object]:
        data = ctypes.string_at(value, size) if size else b""
        self._operations.setxattr(ino, name, data, flags)
        return self._done(req)

    def _removexattr(self, req: int, ino: int, name: bytes) -> Callable[[], object]:
        self._operations.removexattr(ino, name)
        return self._done(req)
