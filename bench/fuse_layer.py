"""What the FUSE layer itself costs: an in-memory core behind a real mount, nothing asserted.

    python -m bench.fuse_layer [--rounds 5]

"asked" mounts with time-outs of 0, so that every call reaches the daemon; "as configured" is what users get.  CPU is
that of the daemon.  Compare columns of one run only: the machine's mood is in all of them.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.fusemount import MemoryMount

MIB = 1 << 20
TICK = os.sysconf("SC_CLK_TCK")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def list_all(folder: Path) -> None:
    os.listdir(folder)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """Clients without an interpreter's lock between them."""
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                work(number)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


class Bench:
    def __init__(self, mount: MemoryMount, rounds: int) -> None:
        self._mount = mount
        self._rounds = rounds
        self.path = mount.path

    def measure(self, name: str, operations: int, unit: str, work: Callable[[], None]) -> None:
        """unit: "us" per operation, "MB/s" where an operation is a MiB, "ms" for all together."""
        walls, cpus = [], []
        for _ in range(self._rounds):
            busy, start = cpu_s(self._mount.process.pid), time.perf_counter()
            work()
            walls.append(time.perf_counter() - start)
            cpus.append(cpu_s(self._mount.process.pid) - busy)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        match unit:
            case "us":
                text = f"{wall / operations * 1e6:9.1f} us   cpu {cpu / operations * 1e6:7.1f} us"
            case "MB/s":
                text = f"{operations * MIB / 1e6 / wall:9.0f} MB/s cpu {cpu / operations * 1e6:7.0f} us/MiB"
            case _:
                text = f"{wall * 1e3:9.1f} ms   cpu {cpu * 1e3:7.1f} ms"
        say(f"  {name:44}{text}")

    def small(self, count: int = 20_000) -> None:
        file = self.path / "small"
        file.write_bytes(b"x" * 4096)
        descriptor = os.open(file, os.O_RDONLY)

        def paths(_number: int, each: int = count) -> None:
            for _ in range(each):
                os.stat(file)

        def descriptors(_number: int, each: int = count) -> None:
            for _ in range(each):
                os.fstat(descriptor)

        def cycle(_number: int, each: int = count // 8) -> None:
            for _ in range(each):
                again = os.open(file, os.O_RDONLY)
                os.pread(again, 4096, 0)
                os.close(again)

        self.measure("stat by path, 1 client", count, "us", lambda: paths(0))
        self.measure("fstat, 1 client", count, "us", lambda: descriptors(0))
        self.measure(
            "fstat, 8 clients", 8 * (count // 4), "us", lambda: in_processes(8, lambda n: descriptors(n, count // 4))
        )
        self.measure("open+read+close, 1 client", count // 8, "us", lambda: cycle(0))
        self.measure("open+read+close, 4 clients", count // 2, "us", lambda: in_processes(4, cycle))
        os.close(descriptor)

    def listing(self, count: int, label: str) -> None:
        folder = self.path / f"many-{count}"
        folder.mkdir(exist_ok=True)
        if not any(os.scandir(folder)):
            for number in range(count):
                (folder / f"file-{number:06d}").touch()

        def long() -> None:
            subprocess.run(["ls", "-l", folder], stdout=subprocess.DEVNULL, check=True)

        def cold() -> None:
            self._mount.change("everything")
            long()

        self.measure(f"ls -l of {count}, {label}, cold names", 1, "ms", cold)
        self.measure(f"ls -l of {count}, {label}, again", 1, "ms", long)
        self.measure(f"ls -f of {count}, {label}", 1, "ms", lambda: list_all(folder))

    def random_reads(self, count: int = 8000) -> None:
        file = self.path / "random"
        file.write_bytes(os.urandom(MIB) * 32)

        def read(seed: int, each: int = count) -> None:
            offsets = random.Random(seed)
            descriptor = os.open(file, os.O_RDONLY | os.O_DIRECT)
            buffer = mmap.mmap(-1, 4096)
            for _ in range(each):
                os.preadv(descriptor, [buffer], offsets.randrange(32 * 256) * 4096)
            os.close(descriptor)

        self.measure("random 4K O_DIRECT, 1 client", count, "us", lambda: read(0))
        self.measure(
            "random 4K O_DIRECT, 8 clients", count, "us", lambda: in_processes(8, lambda n: read(n, count // 8))
        )

    def sequential(self, mebibytes: int = 256) -> None:
        file = self.path / "large"
        block = os.urandom(MIB)

        def write() -> None:
            with open(file, "wb", buffering=0) as f:
                for _ in range(mebibytes):
                    f.write(block)

        def read() -> None:
            with open(file, "rb", buffering=0) as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                buffer = bytearray(MIB)
                while f.readinto(buffer):
                    pass

        def direct() -> None:
            descriptor = os.open(file, os.O_RDONLY | os.O_DIRECT)
            buffer = mmap.mmap(-1, MIB)
            for index in range(mebibytes):
                os.preadv(descriptor, [buffer], index * MIB)
            os.close(descriptor)

        self.measure(f"write {mebibytes} MiB by 1 MiB", mebibytes, "MB/s", write)
        self.measure(f"read {mebibytes} MiB, pages dropped", mebibytes, "MB/s", read)
        self.measure(f"read {mebibytes} MiB O_DIRECT by 1 MiB", mebibytes, "MB/s", direct)

    def creating(self, count: int = 2000) -> None:
        data = b"x" * 4096

        def create(number: int, each: int = count) -> None:
            folder = self.path / f"create-{os.getpid()}-{time.monotonic_ns()}-{number}"
            folder.mkdir()
            for index in range(each):
                descriptor = os.open(folder / str(index), os.O_CREAT | os.O_WRONLY)
                os.write(descriptor, data)
                os.close(descriptor)

        def small_writes() -> None:
            descriptor = os.open(self.path / "writes", os.O_CREAT | os.O_WRONLY)
            for index in range(count * 4):
                os.pwrite(descriptor, data, index * 4096)
            os.close(descriptor)

        self.measure("create+write 4K+close, 1 client", count, "us", lambda: create(0))
        self.measure(
            "create+write 4K+close, 4 clients", count, "us", lambda: in_processes(4, lambda n: create(n, count // 4))
        )
        self.measure("write 4K", count * 4, "us", small_writes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        say("asked (time-outs 0)")
        with MemoryMount(where, attr_timeout_s=0, entry_timeout_s=0) as mount:
            bench = Bench(mount, rounds)
            bench.small()
            bench.listing(10_000, "time-outs 0")
        say("as configured")
        with MemoryMount(where) as mount:
            bench = Bench(mount, rounds)
            bench.listing(10_000, "kept")
            bench.random_reads()
            bench.sequential()
            bench.creating()
        say("without xattr")
        with MemoryMount(where, xattr=False) as mount:
            bench = Bench(mount, rounds)
            bench.listing(10_000, "kept")
            bench.creating()


if __name__ == "__main__":
    main()
