"""mmap(2), shared and private, and its peace with read and write."""

import mmap
import os
from pathlib import Path

from tests.mount.cases.register import case, opened, touch

RW = os.O_RDWR | os.O_CREAT


@case()
def private_mapping_reads_the_file(d: Path) -> None:
    with opened(touch(d / "f", b"abc" * 5000), os.O_RDONLY) as f:
        with mmap.mmap(f, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as m:
            assert m[:] == b"abc" * 5000


@case()
def shared_mapping_is_written_back(d: Path) -> None:
    with opened(touch(d / "f", bytes(20_000)), os.O_RDWR) as f:
        with mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
            m[10_000:10_005] = b"hello"
            m.flush()
    assert (d / "f").read_bytes() == bytes(10_000) + b"hello" + bytes(9_995)


@case()
def shared_mapping_is_written_back_without_msync(d: Path) -> None:
    with opened(touch(d / "f", bytes(20_000)), os.O_RDWR) as f:
        with mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
            m[5_000:5_005] = b"hello"
    with opened(d / "f", os.O_RDONLY) as f:
        assert os.pread(f, 5, 5_000) == b"hello"


@case()
def read_sees_a_store_to_the_mapping(d: Path) -> None:
    with opened(touch(d / "f", bytes(5000)), os.O_RDWR) as f, mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
        m[100:103] = b"abc"
        assert os.pread(f, 3, 100) == b"abc"


@case()
def mapping_sees_a_write(d: Path) -> None:
    with opened(touch(d / "f", bytes(5000)), os.O_RDWR) as f, mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
        assert m[0:3] == bytes(3)
        os.pwrite(f, b"abc", 0)
        assert m[0:3] == b"abc"


@case()
def store_to_a_private_mapping_stays_private(d: Path) -> None:
    with opened(touch(d / "f", bytes(5000)), os.O_RDWR) as f:
        with mmap.mmap(f, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as m:
            m[0:3] = b"abc"
    assert (d / "f").read_bytes() == bytes(5000)


@case()
def mapping_outlives_its_descriptor(d: Path) -> None:
    f = os.open(touch(d / "f", bytes(5000)), os.O_RDWR)
    with mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
        os.close(f)
        m[0:3] = b"abc"
        m.flush()
    assert (d / "f").read_bytes()[:3] == b"abc"


@case()
def mapping_outlives_its_name(d: Path) -> None:
    with opened(touch(d / "f", b"x" * 5000), os.O_RDWR) as f, mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
        os.unlink(d / "f")
        m[0:3] = b"abc"
        m.flush()
        assert os.pread(f, 4, 0) == b"abcx"


@case()
def two_processes_share_a_mapping(d: Path) -> None:
    with opened(touch(d / "f", bytes(4096)), os.O_RDWR) as f, mmap.mmap(f, 0, mmap.MAP_SHARED) as m:
        child = os.fork()
        if child == 0:
            m[0:5] = b"child"
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert m[0:5] == b"child"


@case()
def mapping_of_part_of_a_page_keeps_the_size(d: Path) -> None:
    with opened(touch(d / "f", b"abc"), os.O_RDWR) as f:
        with mmap.mmap(f, 3) as m:
            m[0:3] = b"xyz"
            m.flush()
    assert (d / "f").read_bytes() == b"xyz"


@case()
def mapping_of_a_file_just_extended(d: Path) -> None:
    with opened(d / "f", RW) as f:
        os.ftruncate(f, 100_000)
        with mmap.mmap(f, 100_000, mmap.MAP_SHARED) as m:
            m[99_995:] = b"final"
            m.flush()
    assert (d / "f").read_bytes() == bytes(99_995) + b"final"
