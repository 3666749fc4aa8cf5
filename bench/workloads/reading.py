"""Reading: whole files, many small ones, one large one, its end, its middle."""

from __future__ import annotations

import mmap
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from bench.workload import Place, Start, Workload
from bench.workloads.data import MIB, content, fill
from tests.support.box import Box

SIZE = 200 * MIB
RANDOM_SIZE = 64 * MIB
READS = 4_000
SMALL = 4096


def _small(files: int, folders: int, size: int = 10_000) -> Callable[[Box, bool], None]:
    return lambda box, fast: fill(box, files // 10 if fast else files, folders // 5 if fast else folders, size)


def _one(size: int) -> Callable[[Box, bool], None]:
    def put(box: Box, fast: bool) -> None:
        box.makedirs("/data")
        box.upload("/data/large", content(size // 10 if fast else size, 1))

    return put


def _cat(place: Place) -> None:
    place.sh("cat *")


def _grep(place: Place) -> None:
    place.sh("grep -r needle . || test $? = 1")


def _read_all(place: Place) -> None:
    place.sh("dd if=large of=/dev/null bs=1M")


def _tail(place: Place) -> None:
    place.sh(f"tail -c {MIB} large")


def _heads(place: Place) -> None:
    in_children(20, lambda n: _head(place.path / f"f{n:05d}.txt"), of=len(os.listdir(place.path)))


def _head(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.pread(fd, SMALL, 0)
    os.close(fd)


def in_children(count: int, work: Callable[[int], None], of: int | None = None) -> None:
    """Call work(0), work(1) … in processes at once: clients without an interpreter's lock between them."""
    children = []
    for number in range(min(count, of or count)):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(number)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    ends = [os.waitpid(child, 0)[1] for child in children]
    if any(ends):
        raise OSError("a reader failed")


def _random_reads(place: Place, jobs: int, count: int) -> None:
    path = place.path / "large"
    blocks = os.stat(path).st_size // SMALL

    def work(job: int) -> None:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        chosen = random.Random(job).sample(range(blocks), min(count // jobs, blocks))
        buffer = mmap.mmap(-1, SMALL)
        for block in chosen:
            if os.preadv(fd, [buffer], block * SMALL) != SMALL:
                raise OSError("a short read")
        os.close(fd)

    in_children(jobs, work)


def _random_1(place: Place) -> None:
    _random_reads(place, 1, READS)


def _random_8(place: Place) -> None:
    _random_reads(place, 8, READS)


def _random_cold(place: Place) -> None:
    _random_reads(place, 1, 100)


def _random_cold_8(place: Place) -> None:
    _random_reads(place, 8, 200)


def _first_random(place: Place) -> float:
    begun = time.perf_counter()
    _random_reads(place, 1, 1)
    return time.perf_counter() - begun


def _photos(place: Place) -> None:
    """A thumbnailer: the first 64 KiB of every photo, where the embedded preview is, four at once."""
    names = sorted(os.listdir(place.path))

    def work(job: int) -> None:
        for name in names[job::4]:
            with open(place.path / name, "rb", buffering=0) as file:
                file.read(65536)

    in_children(4, work)


_WIRE = "the wire: one server process encrypts, the daemon decrypts"
_DISK = "requests of the kernel, each through Python"

WORKLOADS = (
    Workload("cat-200", "reading", "`cat` of 200 files of 10 KB, cold, 50 ms", _cat, prepare=_small(200, 0), goal=8,
             latency_s=0.05, limit="two requests a file (Box gives a URL, then the bytes), 8 at once"),
    Workload("grep-500", "reading", "`grep -r` over 500 files of 10 KB in 25 folders, cold, 50 ms", _grep, goal=8,
             prepare=_small(500, 25), latency_s=0.05, limit="two requests a file, 8 at once"),
    Workload("seq-cold", "reading", "200 MiB, sequential, cold, no limit", _read_all, prepare=_one(SIZE), goal=2,
             max_calls=2, limit=_WIRE),
    Workload("seq-cold-8", "reading", "200 MiB, sequential, cold, 8 MiB/s a connection", _read_all, prepare=_one(SIZE),
             bandwidth=8 * MIB, goal=4, max_calls=2, limit="8 connections of 8 MiB/s: 3.1 s"),
    Workload("seq-kernel", "reading", "200 MiB again, from the kernel", _read_all, Start.WARM, prepare=_one(SIZE),
             goal=3, warm=_read_all, max_calls=0, limit="memory"),
    Workload("seq-remount", "reading", "200 MiB after a remount, from the daemon's disk cache", _read_all, Start.AGAIN,
             prepare=_one(SIZE), warm=_read_all, goal=2, max_calls=0, limit="copies: file, daemon, kernel, reader"),
    Workload("tail", "reading", "the last 1 MiB of 200 MiB, cold, 50 ms", _tail, prepare=_one(SIZE), latency_s=0.05,
             max_calls=1, limit="listings, one call, one download"),
    Workload("heads", "reading", "the first 4 KB of 20 files of 8 MB, at once, cold, 50 ms", _heads,
             prepare=_small(20, 0, 8_000_000), latency_s=0.05, max_calls=21, limit="two requests a file"),
    Workload("random-1", "reading", "4,000 random 4 KB reads, 1 job, from the daemon's cache", _random_1, Start.AGAIN,
             prepare=_one(RANDOM_SIZE), warm=_read_all, goal=1.5, max_calls=0, limit=_DISK),
    Workload("random-8", "reading", "4,000 random 4 KB reads, 8 jobs, from the daemon's cache", _random_8, Start.AGAIN,
             prepare=_one(RANDOM_SIZE), warm=_read_all, goal=1.5, max_calls=0, limit=_DISK),
    Workload("random-cold-1", "reading", "100 random 4 KB reads, 1 job, cold, 0 ms", _random_cold,
             prepare=_one(RANDOM_SIZE), limit="a request a read"),
    Workload("random-cold-8", "reading", "200 random 4 KB reads, 8 jobs, cold, 0 ms", _random_cold_8,
             prepare=_one(RANDOM_SIZE), limit="a request a read"),
    Workload("random-first", "reading", "the first random 4 KB read, cold, 50 ms", _first_random, latency_s=0.05,
             prepare=_one(RANDOM_SIZE), limit="three or four answers of Box, one after the other"),
    Workload("photos", "reading", "a thumbnailer: 64 KiB of 100 photos of 300 KB, cold, 50 ms", _photos,
             prepare=_small(100, 0, 300_000), latency_s=0.05, limit="two requests a photo"),
)  # fmt: skip
