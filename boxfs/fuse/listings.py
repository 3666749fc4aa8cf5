"""Listings as the kernel reads them: struct fuse_dirent and struct fuse_direntplus (linux/fuse.h).

What libfuse's fuse_add_direntry_plus makes of a struct stat, made at once: a listing goes through here name by name,
and the way by struct stat and a call of C costs three times as much.  The layout is that between kernel and daemon, the
same on every machine and with every libfuse 3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from boxfs.base.types import Attr
from boxfs.fuse.layout import BLOCK_SIZE, NANO

# ino, offset of the next entry, length of the name, kind (the mode above its 12 permission bits, as S_IFMT has it); the
# name follows, filled up to 8 bytes
_DIRENT = struct.Struct("=QQII")
# struct fuse_entry_out: nodeid, generation, entry and attribute time-out in seconds, then both in nanoseconds;
# struct fuse_attr: ino, size, blocks, three times in seconds, the same in nanoseconds, mode, nlink, uid, gid, rdev,
# block size, flags; struct fuse_dirent
_PLUS = struct.Struct("=QQQQIIQQQqqqIIIIIIIIII" + _DIRENT.format[1:])

Entries = Iterable[tuple[str, Attr, int, bool]]  # name, attributes, offset of the next, may the kernel keep them


class Listings:
    def __init__(
        self, attr_timeout_s: float, entry_timeout_s: float, led_to: Callable[[int, bytes, Attr], int]
    ) -> None:
        """led_to: asked for the kernel's inode behind each name (folder, name, attributes) that it is to keep."""
        self._led_to = led_to
        (attr_s, attr_ns), (entry_s, entry_ns) = _parts(attr_timeout_s), _parts(entry_timeout_s)
        self._kept = (entry_s, attr_s, entry_ns, attr_ns)

    def pack(self, buffer: memoryview, _folder: int, entries: Entries) -> int:
        """Fill the buffer with as many as it takes; return how many bytes."""
        used, size, head = 0, len(buffer), _DIRENT.size
        for name, attr, following, _ in entries:
            raw = name.encode("utf-8", "surrogateescape")
            start = used + head
            end = start + len(raw)
            if end + (-end & 7) > size:
                break
            _DIRENT.pack_into(buffer, used, attr.ino, following, len(raw), attr.mode >> 12)
            buffer[start:end] = raw
            used = end + (-end & 7)
        return used

    def pack_plus(self, buffer: memoryview, folder: int, entries: Entries) -> int:
        """The same with attributes.  A name whose attributes may not be kept goes without an inode (nodeid 0)."""
        used, size, head = 0, len(buffer), _PLUS.size
        pack_into, led_to, kept, nothing = _PLUS.pack_into, self._led_to, self._kept, (0, 0, 0, 0)
        for name, attr, following, fresh in entries:
            raw = name.encode("utf-8", "surrogateescape")
            start = used + head
            end = start + len(raw)
            after = end + (-end & 7)
            if after > size:
                break
            ino, mode, nlink, uid, gid, length, atime_ns, mtime_ns, ctime_ns, rdev = attr
            m = mtime_ns // NANO, mtime_ns % NANO
            a = m if atime_ns == mtime_ns else (atime_ns // NANO, atime_ns % NANO)
            c = m if ctime_ns == mtime_ns else (ctime_ns // NANO, ctime_ns % NANO)
            pack_into(
                buffer, used,
                led_to(folder, raw, attr) if fresh else 0, 0, *(kept if fresh else nothing),
                ino, length, (length + 511) // 512, a[0], m[0], c[0], a[1], m[1], c[1],
                mode, nlink, uid, gid, rdev & 0xFFFFFFFF, BLOCK_SIZE, 0,
                ino, following, end - start, mode >> 12,
            )  # fmt: skip
            buffer[start:end] = raw
            used = after
        return used


def _parts(timeout_s: float) -> tuple[int, int]:
    return int(timeout_s), int(timeout_s % 1 * NANO)
