"""libfuse 3 and mfusepy, found and loaded when first needed.

mfusepy (the maintained fork of fusepy) brings the library and the layouts of its structures, which differ between
releases of libfuse.  boxfs uses libfuse's low-level interface: it speaks of inodes, as the core does.  So nothing is
asked by path, a file that was removed while open needs no hidden name, and a rename over an open file is one step.

`Library` holds the functions with their C types.  Two kinds: `quick` ones keep the interpreter's lock, the others let
it go since they may wait.  A small answer is quick: it enters the kernel for a copy and a wake-up only, and who lets go
of the lock for that has to fight for it again with those just woken.  What may end an inode in the kernel (the answer
to a release), or copies much, is not.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Callable
from ctypes import c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any

from boxfs.base.errors import FsError

# libfuse 3.17 and later have the soname .so.4; the functions and layouts used here exist in both.
_NAMES = ("libfuse3.so.4", "libfuse3.so.3")
SMALL = 64 << 10  # bytes that are copied in less time than it takes to get the interpreter's lock back
_PATH_VARIABLE = "FUSE_LIBRARY_PATH"  # what mfusepy reads


class FuseMissing(FsError):
    """libfuse 3 or its helper program is not there, or too strange to be used."""

    errno = errno.ENODEV


class Arguments(ctypes.Structure):
    """struct fuse_args: what libfuse parses options from."""

    _fields_ = [("argc", c_int), ("argv", ctypes.POINTER(c_char_p)), ("allocated", c_int)]


class Library:
    """The functions of libfuse 3 that boxfs calls.  `layouts` is mfusepy, for its structures."""

    def __init__(self, layouts: Any) -> None:
        self.layouts = layouts
        self._lib = layouts._libfuse
        self.version = (layouts.fuse_version_major, layouts.fuse_version_minor)
        call, quick = self._function, self._quick_function
        # The session.  fuse_lowlevel.h
        self.session_new = call("fuse_session_new", c_void_p, ctypes.POINTER(Arguments), c_void_p, c_size_t, c_void_p)
        self.session_mount = call("fuse_session_mount", c_int, c_void_p, c_char_p)
        self.session_unmount = call("fuse_session_unmount", None, c_void_p)
        self.session_destroy = call("fuse_session_destroy", None, c_void_p)
        self.session_receive_buf = call("fuse_session_receive_buf", c_int, c_void_p, c_void_p)
        self.session_process_buf = call("fuse_session_process_buf", None, c_void_p, c_void_p)
        self.session_process_held = quick("fuse_session_process_buf", None, c_void_p, c_void_p)
        self.session_fd = call("fuse_session_fd", c_int, c_void_p)
        # Answers.  They return 0, or -errno where the kernel no longer waits.
        self.reply_none = quick("fuse_reply_none", None, c_void_p)
        self.reply_err = quick("fuse_reply_err", c_int, c_void_p, c_int)
        self.reply_released = call("fuse_reply_err", c_int, c_void_p, c_int)
        self.reply_entry = quick("fuse_reply_entry", c_int, c_void_p, c_char_p)
        self.reply_create = quick("fuse_reply_create", c_int, c_void_p, c_char_p, c_void_p)
        self.reply_attr = quick("fuse_reply_attr", c_int, c_void_p, c_char_p, c_double)
        self.reply_readlink = quick("fuse_reply_readlink", c_int, c_void_p, c_char_p)
        self.reply_open = quick("fuse_reply_open", c_int, c_void_p, c_void_p)
        self.reply_write = quick("fuse_reply_write", c_int, c_void_p, c_size_t)
        self.reply_large = call("fuse_reply_buf", c_int, c_void_p, c_void_p, c_size_t)
        self.reply_small = quick("fuse_reply_buf", c_int, c_void_p, c_void_p, c_size_t)
        self.reply_bytes = quick("fuse_reply_buf", c_int, c_void_p, c_char_p, c_size_t)
        self.reply_statfs = quick("fuse_reply_statfs", c_int, c_void_p, c_void_p)
        self.reply_xattr = quick("fuse_reply_xattr", c_int, c_void_p, c_size_t)
        self.reply_lseek = quick("fuse_reply_lseek", c_int, c_void_p, c_int64)
        # What the kernel keeps and should not.  They return 0 or -errno, -ENOENT where the kernel holds nothing.
        inode, entry = "fuse_lowlevel_notify_inval_inode", "fuse_lowlevel_notify_inval_entry"
        self.inval_inode = call(inode, c_int, c_void_p, c_uint64, c_int64, c_int64)
        self.inval_entry = call(entry, c_int, c_void_p, c_uint64, c_char_p, c_size_t)
        # Memory only.
        self.free = ctypes.PYFUNCTYPE(None, c_void_p)(("free", ctypes.CDLL(None)))
        self.req_ctx = quick("fuse_req_ctx", c_void_p, c_void_p)
        self.view_memory = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, ctypes.c_ssize_t, c_int)(
            ("PyMemoryView_FromMemory", ctypes.pythonapi)
        )

    def reply_buf(self, req: int, address: int, size: int) -> int:
        reply = self.reply_small if size <= SMALL else self.reply_large
        found: int = reply(req, address, size)
        return found

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return ctypes.CFUNCTYPE(result, *arguments)((name, self._lib))

    def _quick_function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return ctypes.PYFUNCTYPE(result, *arguments)((name, self._lib))


@functools.cache
def load() -> Library:
    """Return libfuse 3.  Raises FuseMissing, saying what to install."""
    name = next((name for name in _NAMES if _can_load(name)), None)
    if name is None:
        raise FuseMissing("libfuse 3 is not installed: apt install fuse3")
    # Told through the environment since mfusepy would search, and take libfuse 2 where it is installed as well.
    before = os.environ.get(_PATH_VARIABLE)
    os.environ[_PATH_VARIABLE] = name
    try:
        import mfusepy
    except ImportError as error:
        raise FuseMissing("the Python package mfusepy is not installed: pip install mfusepy") from error
    except (OSError, AttributeError) as error:
        raise FuseMissing(f"{name} cannot be used: {error}") from error
    finally:
        if before is None:
            del os.environ[_PATH_VARIABLE]
        else:
            os.environ[_PATH_VARIABLE] = before
    if mfusepy.fuse_version_major != 3:
        raise FuseMissing("mfusepy was loaded with libfuse 2 before boxfs: import boxfs.fuse.library first")
    try:
        return Library(mfusepy)
    except AttributeError as error:
        raise FuseMissing(f"{name} is too old for boxfs, 3.10 is needed: {error}") from error


def _can_load(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
