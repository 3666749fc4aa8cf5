"""Listings, byte by byte as libfuse makes them of struct stat."""

from __future__ import annotations

import ctypes
import stat
from ctypes import c_char_p, c_int64, c_size_t, c_void_p

import pytest

from boxfs.base.types import Attr, Ino
from boxfs.fuse.layout import StatLayout
from boxfs.fuse.library import FuseMissing, Library, load
from boxfs.fuse.listings import Listings

ATTR_S, ENTRY_S = 3600.5, 7.25
ENTRIES = [
    (".", Attr(Ino(1), stat.S_IFDIR | 0o755, 2, 0, 0, 0, 5, 5, 5), 1, False),
    ("a", Attr(Ino((1 << 40) + 5), stat.S_IFREG | 0o4644, 1, 1000, 1001, 4097, 1, 2_000_000_003, -4), 3, True),
    ("näme", Attr(Ino(7), stat.S_IFLNK | 0o777, 1, 0, 0, 9, 0, 0, 0), 4, True),
    ("b\udcff" * 60, Attr(Ino(8), stat.S_IFCHR | 0o600, 1, 0, 0, 0, 0, 0, 0, 0x103), 5, True),
]


@pytest.fixture
def library() -> Library:
    try:
        return load()
    except FuseMissing as missing:
        pytest.skip(str(missing))


def by_libfuse(library: Library, *, plus: bool) -> bytes:
    name = "fuse_add_direntry_plus" if plus else "fuse_add_direntry"
    arguments = (c_void_p, c_void_p, c_size_t, c_char_p, c_char_p, c_int64)
    add = ctypes.CFUNCTYPE(c_size_t, *arguments)((name, library.layouts._libfuse))
    layout = StatLayout(library.layouts.c_stat, ATTR_S, ENTRY_S)
    buffer, used = ctypes.create_string_buffer(4096), 0
    for name_, attr, following, fresh in ENTRIES:
        raw = name_.encode("utf-8", "surrogateescape")
        packed = (
            layout.entry(attr, attr.ino + 100) if fresh else StatLayout(library.layouts.c_stat, 0, 0).entry(attr, 0)
        )
        packed = packed if plus else layout.stat(attr)
        used += add(None, ctypes.addressof(buffer) + used, 4096 - used, raw, packed, following)
    return buffer.raw[:used]


@pytest.mark.parametrize("plus", [True, False])
def test_bytes_are_those_of_libfuse(library: Library, plus: bool) -> None:
    listings = Listings(ATTR_S, ENTRY_S, lambda _folder, _name, attr: attr.ino + 100)
    pack = listings.pack_plus if plus else listings.pack
    buffer = bytearray(4096)
    used = pack(memoryview(buffer), 1, ENTRIES)
    assert bytes(buffer[:used]) == by_libfuse(library, plus=plus)


@pytest.mark.parametrize("plus", [True, False])
def test_what_does_not_fit_is_left_for_the_next_time_and_not_led_to(plus: bool) -> None:
    led: list[bytes] = []

    def led_to(_folder: int, name: bytes, attr: Attr) -> int:
        led.append(name)
        return attr.ino

    listings = Listings(ATTR_S, ENTRY_S, led_to)
    pack = listings.pack_plus if plus else listings.pack
    whole = pack(memoryview(bytearray(4096)), 1, ENTRIES)
    led.clear()
    assert pack(memoryview(bytearray(whole)), 1, ENTRIES) == whole
    assert led == ([b"a", "näme".encode(), b"b\xff" * 60] if plus else [])
    led.clear()
    assert 0 < pack(memoryview(bytearray(whole - 1)), 1, ENTRIES) < whole
    assert led == ([b"a", "näme".encode()] if plus else [])
    assert pack(memoryview(bytearray(8)), 1, ENTRIES) == 0
