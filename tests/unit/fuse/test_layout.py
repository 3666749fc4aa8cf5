"""struct stat as the C library of this machine lays it out."""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from boxfs.base.types import Attr, Ino, StatFs
from boxfs.fuse.layout import StatLayout, statvfs, time_ns
from boxfs.fuse.library import FuseMissing, Library, load


@pytest.fixture
def library() -> Library:
    try:
        return load()
    except FuseMissing as missing:
        pytest.skip(str(missing))


def test_packed_stat_is_what_the_c_library_says_of_a_real_file(library: Library, tmp_path: Path) -> None:
    """Our bytes of a file's attributes, compared field by field with what stat(2) itself fills in."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 5000)
    os.utime(file, ns=(-1, 1_500_000_000_123_456_789))
    found = file.stat()
    attr = Attr(
        ino=Ino(found.st_ino),
        mode=found.st_mode,
        nlink=found.st_nlink,
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size,
        atime_ns=found.st_atime_ns,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
    )
    ours = library.layouts.c_stat.from_buffer_copy(StatLayout(library.layouts.c_stat, 1.0, 1.0).stat(attr))
    real = library.layouts.c_stat()
    libc = ctypes.CDLL(None)
    assert libc.stat(os.fsencode(file), ctypes.byref(real)) == 0
    for field in ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_rdev"):
        assert getattr(ours, field) == getattr(real, field), field
    for field in ("st_atimespec", "st_mtimespec", "st_ctimespec"):
        assert time_ns(getattr(ours, field)) == time_ns(getattr(real, field)), field
    assert ours.st_blocks * 512 >= 5000


def test_entry_holds_inode_attributes_and_timeouts(library: Library) -> None:
    class Entry(ctypes.Structure):
        _fields_ = [
            ("ino", ctypes.c_uint64),
            ("generation", ctypes.c_uint64),
            ("attr", library.layouts.c_stat),
            ("attr_timeout", ctypes.c_double),
            ("entry_timeout", ctypes.c_double),
        ]

    def entry(packed: bytes) -> Any:
        return Entry.from_buffer_copy(packed)

    layout = StatLayout(library.layouts.c_stat, 12.0, 34.0)
    attr = Attr(Ino((1 << 40) + 5), stat.S_IFREG | 0o644, 1, 2, 3, 4, 5, 6, 7)
    kept = entry(layout.entry(attr, 99))
    assert (kept.ino, kept.attr.st_ino, kept.attr_timeout, kept.entry_timeout) == (99, attr.ino, 12.0, 34.0)
    negative = entry(layout.negative(56.0))
    assert (negative.ino, negative.entry_timeout) == (0, 56.0)


def test_statvfs_counts_blocks(library: Library) -> None:
    found = statvfs(library.layouts.c_statvfs, StatFs(10_000_000, -5, block_size=4096, name_max=200))
    assert (found.f_blocks, found.f_bfree, found.f_bavail, found.f_namemax) == (2441, 0, 0, 200)
