"""Whichever way a program reads, it gets the file's bytes, from Box, from the cache and from the kernel."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.box import Box
from tests.support.downloads import content
from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

MIB = 1 << 20
SIZE = 5 * MIB + 123
STEP = 300_000


@contextlib.contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        yield fd
    finally:
        os.close(fd)


def by_mmap(path: Path, _scratch: Path) -> bytes:
    with opened(path) as fd, mmap.mmap(fd, 0, prot=mmap.PROT_READ) as view:
        pages = list(range(0, SIZE, mmap.PAGESIZE))
        random.Random(1).shuffle(pages)
        found = bytearray(SIZE)
        for at in pages:
            found[at : at + mmap.PAGESIZE] = view[at : at + mmap.PAGESIZE]
        return bytes(found)


def by_direct(path: Path, _scratch: Path) -> bytes:
    found = b""
    with opened(path, os.O_DIRECT) as fd, mmap.mmap(-1, 1 << 16) as buffer:
        while count := os.preadv(fd, [buffer], len(found)):
            found += buffer[:count]
    return found


def by_scattered(path: Path, _scratch: Path) -> bytes:
    found = b""
    parts = [bytearray(size) for size in (1, 4095, 70_000, 200_000)]
    with opened(path) as fd:
        while count := os.readv(fd, parts):
            found += b"".join(parts)[:count]
    return found


def by_backwards(path: Path, _scratch: Path) -> bytes:
    with opened(path) as fd:
        parts = [os.pread(fd, STEP, at) for at in range(SIZE - SIZE % STEP, -1, -STEP)]
    return b"".join(reversed(parts))


def by_sendfile(path: Path, scratch: Path) -> bytes:
    with opened(path) as fd, scratch.open("wb") as out:
        at = 0
        while count := os.sendfile(out.fileno(), fd, at, STEP):
            at += count
    return scratch.read_bytes()


def by_splice(path: Path, _scratch: Path) -> bytes:
    found = b""
    out_of, into = os.pipe()
    try:
        with opened(path) as fd:
            while count := os.splice(fd, into, 1 << 16):
                while count:
                    piece = os.read(out_of, count)
                    found += piece
                    count -= len(piece)
    finally:
        os.close(out_of)
        os.close(into)
    return found


WAYS: list[Callable[[Path, Path], bytes]] = [by_mmap, by_direct, by_scattered, by_backwards, by_sendfile, by_splice]


@pytest.fixture(scope="module")
def place(emulator_of_module: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    with Mounted(emulator_of_module.url, tmp_path_factory.mktemp("ways")) as mounted:
        yield mounted


def new_file(box: Box, place: Mounted, name: str, data: bytes) -> Path:
    box.upload(f"/{name}", data)
    eventually((place.path / name).exists, "the file is listed")
    return place.path / name


def forget_pages(path: Path) -> None:
    with opened(path) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_of_reading_gives_the_bytes(
    emulator_of_module: Box, place: Mounted, tmp_path: Path, way: Callable[[Path, Path], bytes]
) -> None:
    data = content(SIZE, WAYS.index(way))
    path = new_file(emulator_of_module, place, way.__name__, data)
    assert way(path, tmp_path / "cold") == data
    assert way(path, tmp_path / "from the kernel") == data
    forget_pages(path)
    assert way(path, tmp_path / "from the cache") == data
    assert place.run("evict", str(path)).returncode == 0
    forget_pages(path)
    assert way(path, tmp_path / "from Box again") == data


def test_a_file_that_is_opened_and_read_no_further_costs_its_first_mib(emulator_of_module: Box, place: Mounted) -> None:
    box, data = emulator_of_module, content(24 * MIB)
    path = new_file(box, place, "large", data)
    box.clear_log()
    with opened(path):
        pass
    with opened(path) as fd:
        assert not [entry for entry in box.log() if entry["path"].startswith("/dl")]
        assert os.pread(fd, 4096, 0) == data[:4096]
        assert place.run("evict", str(path)).returncode == 0  # which takes a while, and asks for what is held
        assert sum(entry["bytes_out"] for entry in box.log() if entry["path"].startswith("/dl")) <= 1.2 * MIB
