"""struct fuse_lowlevel_ops (fuse_lowlevel.h): the requests in their order, and what each brings along."""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

_INO = c_uint64
_MODE = c_uint32
_FI = c_void_p
_OFFSET = c_int64
# What follows the request; None where libfuse or the kernel does by itself what we want (locks) or refuses (ioctl).
# Later releases of libfuse only append.
ARGUMENTS: dict[str, tuple[Any, ...] | None] = {
    "init": (c_void_p,),
    "destroy": None,
    "lookup": (_INO, c_char_p),
    "forget": (_INO, c_uint64),
    "getattr": (_INO, _FI),
    "setattr": (_INO, c_void_p, c_int, _FI),
    "readlink": (_INO,),
    "mknod": (_INO, c_char_p, _MODE, c_uint64),
    "mkdir": (_INO, c_char_p, _MODE),
    "unlink": (_INO, c_char_p),
    "rmdir": (_INO, c_char_p),
    "symlink": (c_char_p, _INO, c_char_p),
    "rename": (_INO, c_char_p, _INO, c_char_p, c_uint32),
    "link": (_INO, _INO, c_char_p),
    "open": (_INO, _FI),
    "read": (_INO, c_size_t, _OFFSET, _FI),
    "write": (_INO, c_void_p, c_size_t, _OFFSET, _FI),
    "flush": (_INO, _FI),
    "release": (_INO, _FI),
    "fsync": (_INO, c_int, _FI),
    "opendir": (_INO, _FI),
    "readdir": (_INO, c_size_t, _OFFSET, _FI),
    "releasedir": (_INO, _FI),
    "fsyncdir": (_INO, c_int, _FI),
    "statfs": (_INO,),
    "setxattr": (_INO, c_char_p, c_void_p, c_size_t, c_int),
    "getxattr": (_INO, c_char_p, c_size_t),
    "listxattr": (_INO, c_size_t),
    "removexattr": (_INO, c_char_p),
    "access": (_INO, c_int),
    "create": (_INO, c_char_p, _MODE, _FI),
    "getlk": None,
    "setlk": None,
    "bmap": None,
    "ioctl": None,
    "poll": None,
    "write_buf": None,
    "retrieve_reply": None,
    "forget_multi": (c_size_t, c_void_p),
    "flock": None,
    "fallocate": (_INO, c_int, _OFFSET, _OFFSET, _FI),
    "readdirplus": (_INO, c_size_t, _OFFSET, _FI),
    "copy_file_range": (_INO, _OFFSET, _FI, _INO, _OFFSET, _FI, c_size_t, c_int),
    "lseek": (_INO, _OFFSET, c_int, _FI),
}
XATTR_REQUESTS = {"setxattr", "getxattr", "listxattr", "removexattr"}
# Where NotFound is said of the name that is asked for; elsewhere it is of the inode.
OF_A_NAME = {"lookup", "unlink", "rmdir", "rename"}


class LowlevelOps(ctypes.Structure):
    _fields_ = [(name, c_void_p) for name in ARGUMENTS]


class ForgetOne(ctypes.Structure):
    """struct fuse_forget_data."""

    _fields_ = [("ino", c_uint64), ("nlookup", c_uint64)]
