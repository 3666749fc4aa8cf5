"""C structures as bytes: struct stat, struct fuse_entry_param, struct statvfs.

`struct.pack` takes a microsecond where filling a ctypes structure takes five; the formats are made from mfusepy's
layouts at start, so they hold on every machine that mfusepy knows.
"""

from __future__ import annotations

import ctypes
import operator
import struct
from typing import Any

from boxfs.base.types import Attr, StatFs

BLOCK_SIZE = 131072  # st_blksize: what stdio, Python and cp use as their buffer; one request of the kernel's read-ahead
NANO = 1_000_000_000

_FIELDS = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize", "st_blocks")
_TIMES = ("st_atimespec", "st_mtimespec", "st_ctimespec")
_SIGNED = {"st_size"}


class StatLayout:
    """Packs Attr as struct stat, alone or inside struct fuse_entry_param (fuse_lowlevel.h)."""

    def __init__(self, stat_type: Any, attr_timeout_s: float, entry_timeout_s: float) -> None:
        offsets: list[tuple[int, str, int]] = []  # offset, struct code, index of the value
        for index, name in enumerate(_FIELDS):
            field = getattr(stat_type, name)
            code = {4: "I", 8: "Q"}[field.size]
            offsets.append((field.offset, code.lower() if name in _SIGNED else code, index))
        for number, name in enumerate(_TIMES):
            start = getattr(stat_type, name).offset
            index = len(_FIELDS) + 2 * number
            offsets += [(start, "q", index), (start + 8, "q", index + 1)]
        self.size = ctypes.sizeof(stat_type)
        offsets.sort()
        body = ""
        position = 0
        for offset, code, _ in offsets:
            body += f"{offset - position}x{code}"
            position = offset + struct.calcsize("=" + code)
        body += f"{self.size - position}x"
        self._order = operator.itemgetter(*(index for _, _, index in offsets))
        self._stat = struct.Struct("=" + body)
        # ino, generation, attr, attr_timeout, entry_timeout
        self._entry = struct.Struct("=QQ" + body + "dd")
        self._attr_timeout_s = attr_timeout_s
        self._entry_timeout_s = entry_timeout_s

    def _values(self, attr: Attr) -> Any:
        size = attr.size
        times = (*divmod(attr.atime_ns, NANO), *divmod(attr.mtime_ns, NANO), *divmod(attr.ctime_ns, NANO))
        return self._order(
            (attr.ino, attr.mode, attr.nlink, attr.uid, attr.gid, attr.rdev, size, BLOCK_SIZE, attr.blocks, *times)
        )

    def stat(self, attr: Attr) -> bytes:
        return self._stat.pack(*self._values(attr))

    def entry(self, attr: Attr, node: int) -> bytes:
        """The name leads to the inode that the kernel is to call `node`; both may be kept for the timeouts."""
        return self._entry.pack(node, 0, *self._values(attr), self._attr_timeout_s, self._entry_timeout_s)

    def negative(self, timeout_s: float) -> bytes:
        """There is no such name, and that may be kept."""
        return struct.pack("=QQ", 0, 0) + bytes(self.size) + struct.pack("=dd", 0.0, timeout_s)


def statvfs(statvfs_type: Any, found: StatFs) -> Any:
    blocks = found.total_bytes // found.block_size
    free = max(0, found.free_bytes) // found.block_size
    return statvfs_type(
        f_bsize=found.block_size,
        f_frsize=found.block_size,
        f_blocks=blocks,
        f_bfree=free,
        f_bavail=free,
        f_namemax=found.name_max,
    )


def time_ns(value: Any) -> int:
    return int(value.tv_sec) * NANO + int(value.tv_nsec)
