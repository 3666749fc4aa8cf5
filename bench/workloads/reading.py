"""Reading: whole files, many small ones, one large one, its end, its middle."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from bench.budget import Budget, Calls
from bench.workload import FEW, LONGEST_S, Limits, Place, Start, Workload
from bench.workloads.data import MIB, content, fill
from bench.workloads.listing import HELD_BY_TWIN
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


def _copy_out(place: Place) -> None:
    place.sh(f"cp -r . '{place.scratch}/out'")


def _clear_out(place: Place) -> None:
    shutil.rmtree(place.scratch / "out", ignore_errors=True)


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
        with warnings.catch_warnings():  # the tests have threads of their own, of which a child needs none
            warnings.simplefilter("ignore", DeprecationWarning)
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


def _eight(place: Place) -> None:
    """Eight readers, each of a large file of its own."""
    in_children(8, lambda n: place.sh(f"dd if=large{n} of=/dev/null bs=1M"))


def _eight_meanwhile(place: Place) -> float:
    """A stat and the read of a small file, ten times while the eight read; how long one takes on average."""
    readers = [
        subprocess.Popen(["dd", f"if=large{n}", "of=/dev/null", "bs=1M"], cwd=place.path, stderr=subprocess.DEVNULL)
        for n in range(8)
    ]
    time.sleep(0.2)  # all of them are under way
    times = []
    for n in range(10):
        path = place.path / f"small/f{n}"
        begun = time.perf_counter()
        os.stat(path)
        path.read_bytes()
        times.append(time.perf_counter() - begun)
        time.sleep(0.02)
    if any(reader.wait(LONGEST_S) for reader in readers):
        raise OSError("a reader failed")
    return sum(times) / len(times)


def _eight_large(box: Box, fast: bool) -> None:
    box.makedirs("/data/small")
    for n in range(8):
        box.upload(f"/data/large{n}", content((MIB if fast else 8 * MIB), n))
    for n in range(10):
        box.upload(f"/data/small/f{n}", content(SMALL, 100 + n))


_LARGE, _MIDDLE = _one(SIZE), _one(RANDOM_SIZE)
_NOTHING = Budget(Calls(0), Calls(0))
_DISK = Limits("requests of the kernel, each through Python")
_STREAMS = ("--vfs-read-chunk-streams", "8", "--vfs-read-chunk-size", "8M")

WORKLOADS = (
    Workload("cat-200", "reading", "`cat` of 200 files of 10 KB, cold, 50 ms", _cat, prepare=_small(200, 0), goal=8,
             latency_s=0.05, rounds=FEW, budget=Budget(Calls(202, 200, 3), Calls(22, 20)),
             limits=Limits("two requests a file (Box gives a URL, then the bytes), 32 files at once", waves=16)),
    Workload("grep-500", "reading", "`grep -r` over 500 files of 10 KB in 25 folders, cold, 50 ms", _grep, goal=8,
             prepare=_small(500, 25), latency_s=0.05, budget=Budget(Calls(527, 500, 7), Calls(57, 50)),
             rounds=FEW,
             limits=Limits("two requests a file, 32 files at once", waves=35)),
    Workload("seq-cold", "reading", "200 MiB, sequential, cold, no limit", _read_all, account="200M", prepare=_LARGE,
             goal=2, budget=Budget(Calls(3, 100, 202), Calls(3, 20, 21)),
             limits=Limits("one process encrypts, another decrypts, checks and stores, on the same processors")),
    Workload("seq-cold-142", "reading",
             "200 MiB, sequential, cold, 142 MB/s a connection (what rclone read when the goal was set)", _read_all,
             account="200M", prepare=_LARGE, bandwidth=142_000_000, goal=2,
             budget=Budget(Calls(3, 100, 202), Calls(3, 20, 21)), held_by=HELD_BY_TWIN + "[seq-cold]",
             limits=Limits("four connections, then the processors", connections=4)),
    Workload("seq-cold-50ms", "reading", "200 MiB, sequential, cold, no limit, 50 ms", _read_all, account="200M",
             prepare=_LARGE, latency_s=0.05, budget=Budget(Calls(3, 100, 202), Calls(3, 20, 21)),
             held_by=HELD_BY_TWIN + "[seq-cold]",
             limits=Limits("a listing, a call, the first MiB, then the processors", waves=3)),
    Workload("seq-cold-8", "reading", "200 MiB, sequential, cold, 8 MiB/s a connection", _read_all, account="200M",
             prepare=_LARGE, bandwidth=8 * MIB, goal=4, rounds=FEW, budget=Budget(Calls(3, 100, 202), Calls(3, 20, 21)),
             held_by=HELD_BY_TWIN + "[seq-cold]", limits=Limits("eight connections", connections=8)),
    Workload("seq-cold-8-streams", "reading",
             "200 MiB, sequential, cold, 8 MiB/s a connection, rclone with eight `--vfs-read-chunk-streams`",
             _read_all, account="200M", prepare=_LARGE, bandwidth=8 * MIB, rounds=FEW, rclone=_STREAMS,
             budget=Budget(Calls(3, 100, 202), Calls(3, 20, 21)), held_by=HELD_BY_TWIN + "[seq-cold]",
             limits=Limits("eight connections", connections=8)),
    Workload("copy-out", "reading", "`cp -r` of 40 files of 5 MB in 4 folders out of the mount, cold, 50 ms", _copy_out,
             prepare=_small(40, 4, 5_000_000), each=_clear_out, latency_s=0.05,
             budget=Budget(Calls(46, 120, 202), Calls(6, 24, 21)),
             limits=Limits("two requests a file, ever more at once; then the processors", waves=8)),
    Workload("tail", "reading", "the last 1 MiB of 200 MiB, cold, 50 ms", _tail, account="200M", prepare=_LARGE,
             latency_s=0.05, budget=Budget(Calls(3, 1, 2), Calls(3, 1, 2)),
             limits=Limits("one listing on the way (the root is known), one call, one download", waves=3)),
    Workload("seq-remount", "reading", "200 MiB after a remount, from the daemon's disk cache", _read_all, Start.AGAIN,
             account="200M", home="read", prepare=_LARGE, warm=_read_all, rests=True, goal=2, budget=_NOTHING,
             limits=Limits("copies: file, daemon, kernel, reader")),
    Workload("seq-kernel", "reading", "200 MiB again, from the kernel", _read_all, Start.WARM, account="200M",
             home="read", prepare=_LARGE, goal=3, warm=_read_all, budget=_NOTHING, limits=Limits("memory")),
    Workload("heads", "reading", "the first 4 KB of 20 files of 8 MB, at once, cold, 50 ms", _heads,
             prepare=_small(20, 0, 8_000_000), latency_s=0.05, budget=Budget(Calls(22, 20, 24), Calls(4, 2, 2.4)),
             limits=Limits("one listing, then two requests a file, all at once", waves=3)),
    Workload("eight-readers", "reading", "8 files of 8 MiB by 8 readers at once, cold, 2 MiB/s a connection", _eight,
             account="eight", prepare=_eight_large, bandwidth=2 * MIB, rounds=FEW,
             budget=Budget(Calls(10, 80, 66), Calls(10, 16, 9)),
             limits=Limits("sixteen connections at once", connections=16)),
    Workload("eight-meanwhile", "reading", "a `stat` and the read of a small file meanwhile (mean of 10)",
             _eight_meanwhile, account="eight", prepare=_eight_large, bandwidth=2 * MIB, rounds=FEW,
             budget=Budget(Calls(21, 90, 66), Calls(21, 26, 9)),
             limits=Limits("two requests, before what is read ahead", disk=False, load=False)),
    Workload("random-1", "reading", "4,000 random 4 KB reads, 1 job, from the daemon's cache", _random_1, Start.AGAIN,
             account="64M", home="read", prepare=_MIDDLE, warm=_read_all, rests=True, goal=1.5, budget=_NOTHING,
             limits=_DISK),
    Workload("random-8", "reading", "4,000 random 4 KB reads, 8 jobs, from the daemon's cache", _random_8, Start.AGAIN,
             account="64M", home="read", prepare=_MIDDLE, warm=_read_all, rests=True, goal=1.5, budget=_NOTHING,
             limits=_DISK),
    Workload("random-cold-1", "reading", "100 random 4 KB reads, 1 job, cold, 0 ms", _random_cold, account="64M",
             prepare=_MIDDLE, budget=Budget(Calls(3, 100, 26), Calls(3, 100, 8)), limits=Limits("a request a read")),
    Workload("random-cold-8", "reading", "200 random 4 KB reads, 8 jobs, cold, 0 ms", _random_cold_8, account="64M",
             prepare=_MIDDLE, budget=Budget(Calls(3, 200, 50), Calls(3, 200, 8)), limits=Limits("a request a read")),
    Workload("random-cold-8-50ms", "reading", "200 random 4 KB reads, 8 jobs, cold, 50 ms", _random_cold_8,
             account="64M", prepare=_MIDDLE, latency_s=0.05, budget=Budget(Calls(3, 200, 66), Calls(3, 200, 8)),
             held_by=HELD_BY_TWIN + "[random-cold-8]", limits=Limits("requests, ever larger ones", waves=9)),
    Workload("random-first", "reading", "the first random 4 KB read, cold, 50 ms", _first_random, account="64M",
             prepare=_MIDDLE, latency_s=0.05, budget=Budget(Calls(3, 1, 2), Calls(3, 1, 2)),
             limits=Limits("one listing, one call, one download, one after the other", waves=3)),
    Workload("photos", "reading", "a thumbnailer: 64 KiB of 100 photos of 300 KB, cold, 50 ms", _photos,
             prepare=_small(100, 0, 300_000), latency_s=0.05, budget=Budget(Calls(102, 100, 30), Calls(12, 10, 4)),
             limits=Limits("two requests a photo, 32 at once", waves=10)),
)  # fmt: skip
