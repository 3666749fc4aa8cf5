"""libfuse's low-level callbacks (fuse_lowlevel.h), and the guard around them; what each does is in requests.py.

Every request is answered exactly once: the work is done under a guard that turns an exception into an errno, the reply
comes after it and cannot raise.  A FsError gives its errno; any other exception is a defect of ours: EIO for that
request, logged once for each place that it comes from, and the mount goes on.

NotFound means two things.  Of a name it is ENOENT.  Of an inode it is ESTALE: the kernel walked there by names that it
kept and that lead there no more; told ESTALE it drops them, walks again, and the caller sees the truth.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_uint64, c_void_p
from typing import Any

from boxfs.base.errors import FsError, NotFound
from boxfs.base.types import HandleNo, Ino
from boxfs.fuse.buffers import BUFFER_BYTES, Memory
from boxfs.fuse.defects import Defects
from boxfs.fuse.invalidation import SeenNames
from boxfs.fuse.library import SMALL, Library
from boxfs.fuse.operations import Operations
from boxfs.fuse.options import MountOptions
from boxfs.fuse.requests import Reply, Requests
from boxfs.fuse.table import ARGUMENTS, OF_A_NAME, XATTR_REQUESTS, LowlevelOps

_PYBUF_READ = 0x100

# Capabilities, fuse_common.h
_CAP_READDIRPLUS_AUTO = 1 << 14
_CAP_WRITEBACK_CACHE = 1 << 16
_CAP_PARALLEL_DIROPS = 1 << 18
_CAP_HANDLE_KILLPRIV_V2 = 1 << 21  # libfuse 3.17
_CAP_CACHE_SYMLINKS = 1 << 23
_CAP_OVER_IO_URING = 1 << 31
_EPOCH_MINOR = 44  # FUSE_NOTIFY_INC_EPOCH came with protocol 7.44, Linux 6.16

_u64 = c_uint64.from_address


class Binding:
    """The callbacks of one mount.  Keep it as long as the session lives: libfuse holds pointers into it."""

    def __init__(self, library: Library, operations: Operations, options: MountOptions) -> None:
        self._library = library
        self._operations = operations
        self._options = options
        self._layouts = library.layouts
        self._requests = Requests(library, operations, options)
        self._defects = Defects()
        self._callbacks: list[Any] = []  # keeps them alive
        self.table = LowlevelOps()
        self._fill()

    @property
    def seen_names(self) -> SeenNames | None:
        return self._requests.seen_names

    # The table
    def _fill(self) -> None:
        direct: dict[str, Callable[..., None]] = {
            "init": self._init,
            "lookup": self._make_lookup(),
            "getattr": self._make_getattr(),
            "read": self._make_read(),
            "write": self._make_write(),
            "getxattr": self._make_getxattr(),
        }
        for name, arguments in ARGUMENTS.items():
            if arguments is None or (name in XATTR_REQUESTS and not self._options.xattr):
                continue  # ENOSYS: the kernel never asks again
            function = direct.get(name) or self._guarded(name, getattr(self._requests, name))
            self._install(name, CFUNCTYPE(None, c_void_p, *arguments), function)

    def _install(self, name: str, prototype: Any, function: Callable[..., None]) -> None:
        callback = prototype(function)
        self._callbacks.append(callback)
        setattr(self.table, name, ctypes.cast(callback, c_void_p).value)

    def _guarded(self, name: str, work: Callable[..., Reply]) -> Callable[..., None]:
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
            # Else every write asks for security.capability first (handshake.py, where libfuse cannot say it).
            wished |= _CAP_HANDLE_KILLPRIV_V2
        want |= wished & conn.capable
        conn.want = want
        self._operations.clears_set_id = bool(want & _CAP_HANDLE_KILLPRIV_V2)
        conn.max_background = max(1, self._options.workers // 2)
        conn.congestion_threshold = max(1, conn.max_background * 3 // 4)
        if conn.proto_minor < _EPOCH_MINOR or not self._options.epoch:
            self._requests.seen_names = SeenNames()

    # The hot ones: no reply object, no second function
    def _make_lookup(self) -> Callable[..., None]:
        led_to, pack, reply = self._operations.led_to, self._requests.pack_entry, self._requests.reply_entry
        reply_err = self._library.reply_err
        negative = self._requests.packed.negative(self._options.negative_timeout_s)
        keep_negative = self._options.negative_timeout_s > 0

        def callback(req: int, parent: int, name: bytes) -> None:
            try:
                attr, node = led_to(Ino(parent), name)
                packed = pack(parent, name, attr, node)
            except NotFound:
                if keep_negative:
                    self._library.reply_entry(req, negative)
                else:
                    reply_err(req, errno.ENOENT)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "lookup", parent, error)
            else:
                reply(req, packed)

        return callback

    def _make_getattr(self) -> Callable[..., None]:
        getattr_, pack, reply = self._operations.getattr, self._requests.packed.stat, self._library.reply_attr
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
        read_into, fh = self._operations.files.read_into, self._requests.fh_offset
        small, large = self._library.reply_small, self._library.reply_large
        # The last one given back is the next one taken: as few as read at once, and still in the processor's cache.
        spare: list[Memory] = []

        def callback(req: int, ino: int, size: int, offset: int, fi: int) -> None:
            memory: Any = None
            try:
                if size > BUFFER_BYTES:
                    other: Any = (ctypes.c_char * size)()
                    address, view = ctypes.addressof(other), memoryview(other).cast("B")
                else:
                    try:
                        memory = spare.pop()
                    except IndexError:
                        memory = Memory()
                    address, view = memory.address, memory.view
                handle: Any = _u64(fi + fh).value
                count = read_into(handle, view[:size], offset)
            except BaseException as error:  # noqa: BLE001 - whatever happens, the request must be answered
                self._fail(req, "read", ino, error)
            else:
                (small if count <= SMALL else large)(req, address, count)
            if memory is not None:
                spare.append(memory)

        return callback

    def _make_write(self) -> Callable[..., None]:
        write, reply, view_memory, fh = (
            self._operations.write,
            self._library.reply_write,
            self._library.view_memory,
            self._requests.fh_offset,
        )
        needs_caller, get_caller = self._operations.writing_needs_caller, self._requests.caller

        def callback(req: int, ino: int, data: int, size: int, offset: int, fi: int) -> None:
            try:
                caller = get_caller(req) if needs_caller(ino) else None
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

    def _make_getxattr(self) -> Callable[..., None]:
        """The kernel asks for security.capability at the first write to each file."""
        reply_err, work = self._library.reply_err, self._guarded("getxattr", self._requests.getxattr)

        def callback(req: int, ino: int, name: bytes, size: int) -> None:
            if name.startswith(b"security."):
                reply_err(req, errno.EOPNOTSUPP)
            else:
                work(req, ino, name, size)

        return callback
