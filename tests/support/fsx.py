"""fsx: random operations on one file, each done on a file of boxfs and on one of the local disk, and compared.

In the manner of Apple's and xfstests' fsx: reads, writes, appends, truncations, mapped reads and writes, allocation,
holes, copies, fsync, closing and opening again, through several descriptors.  What one file system refuses and the
other does not is a difference, except where boxfs is allowed to refuse (`MAY_REFUSE`).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import random
from collections.abc import Callable
from pathlib import Path

LARGEST = 300_000
PUNCH, KEEP_SIZE, ZERO, COLLAPSE = 2, 1, 16, 8
# Of fallocate's kinds: a file system may not know one; it must say so, and leave the file as it is.
MAY_REFUSE = (errno.EOPNOTSUPP,)
_libc = ctypes.CDLL(None, use_errno=True)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    if _libc.fallocate(fd, mode, ctypes.c_longlong(offset), ctypes.c_longlong(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Fsx:
    """`subject` and `model` are paths; neither exists.  A difference raises AssertionError with the last steps."""

    def __init__(self, subject: Path, model: Path, seed: int) -> None:
        self.paths = (subject, model)
        self.random = random.Random(seed)
        self.trace: list[str] = []
        self.fds = [os.open(path, os.O_RDWR | os.O_CREAT, 0o644) for path in self.paths]
        self.maps: list[mmap.mmap] | None = None
        self.operations: list[Callable[[], None]] = [
            self.read, self.read, self.write, self.write, self.write, self.append, self.truncate, self.truncate_by_name,
            self.mapped_write, self.mapped_read, self.allocate, self.punch, self.zero, self.collapse, self.copy,
            self.fsync, self.reopen, self.unlink_and_make, self.rename_away_and_back, self.second_descriptor, self.seek,
        ]  # fmt: skip

    def run(self, steps: int, check_every: int = 50) -> None:
        try:
            for step in range(steps):
                self.random.choice(self.operations)()
                if step % check_every == 0:
                    self.compare()
            self.compare()
        except BaseException:
            print("\n".join(self.trace[-40:]))
            raise
        finally:
            self.close()

    def close(self) -> None:
        self._unmap()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    # Helpers
    def note(self, *words: object) -> None:
        self.trace.append(" ".join(map(str, words)))

    def both(self, call: Callable[[int, Path], object], may_refuse: tuple[int, ...] = ()) -> None:
        """The same call on both; the same answer, or the same error."""
        if may_refuse:
            try:
                found = call(self.fds[0], self.paths[0])
            except OSError as error:
                if error.errno not in may_refuse:
                    raise
                self.note("  refused:", error.strerror)
                return
            assert found == call(self.fds[1], self.paths[1])
            return
        found, wanted = (self._answer(call, fd, path) for fd, path in zip(self.fds, self.paths, strict=True))
        assert found == wanted, f"{found!r:.200} != {wanted!r:.200}"

    @staticmethod
    def _answer(call: Callable[[int, Path], object], fd: int, path: Path) -> object:
        try:
            return call(fd, path)
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    def compare(self) -> None:
        found, wanted = (os.fstat(fd).st_size for fd in self.fds)
        assert found == wanted, f"{found} bytes, not {wanted}"
        assert self.paths[0].stat().st_size == wanted
        self.both(lambda fd, _: os.pread(fd, LARGEST + 1, 0))

    def size(self) -> int:
        return os.fstat(self.fds[1]).st_size

    def somewhere(self, longest: int = 40_000) -> tuple[int, int]:
        offset = self.random.randrange(min(LARGEST, self.size() + 10_000) + 1)
        return offset, self.random.randrange(1, min(longest, LARGEST - offset + 1) + 1)

    def bytes(self, length: int) -> bytes:
        return self.random.randbytes(8) * (length // 8) + b"x" * (length % 8)

    # Operations
    def read(self) -> None:
        offset, length = self.somewhere()
        self.note("read", offset, length)
        self.both(lambda fd, _: os.pread(fd, length, offset))

    def write(self) -> None:
        offset, length = self.somewhere()
        data = self.bytes(length)
        self.note("write", offset, length)
        self.both(lambda fd, _: os.pwrite(fd, data, offset))

    def append(self) -> None:
        if self.size() > LARGEST:
            return
        data = self.bytes(self.random.randrange(1, 5000))
        self.note("append", len(data))

        def call(_fd: int, path: Path) -> int:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            try:
                return os.write(fd, data)
            finally:
                os.close(fd)

        self.both(call)

    def truncate(self) -> None:
        size = self.random.choice((0, self.random.randrange(LARGEST), self.random.randrange(self.size() + 1)))
        self.note("ftruncate", size)
        self._unmap()
        self.both(lambda fd, _: os.ftruncate(fd, size))

    def truncate_by_name(self) -> None:
        size = self.random.randrange(self.size() + 5000)
        self.note("truncate", size)
        self._unmap()
        self.both(lambda _, path: os.truncate(path, size))

    def _map(self) -> list[mmap.mmap] | None:
        if self.maps is None and self.size() > 0:
            self.note("mmap", self.size())
            self.maps = [mmap.mmap(fd, self.size()) for fd in self.fds]
        return self.maps

    def _unmap(self) -> None:
        for one in self.maps or ():
            one.close()
        self.maps = None

    def mapped_write(self) -> None:
        maps = self._map()
        if maps is None:
            return
        offset = self.random.randrange(len(maps[1]))
        data = self.bytes(self.random.randrange(1, 9000))[: len(maps[1]) - offset]
        self.note("mapped write", offset, len(data))
        flushes = self.random.random() < 0.3
        for one in maps:
            one[offset : offset + len(data)] = data
            if flushes:
                one.flush()

    def mapped_read(self) -> None:
        maps = self._map()
        if maps is None:
            return
        offset = self.random.randrange(len(maps[1]))
        self.note("mapped read", offset)
        assert maps[0][offset : offset + 9000] == maps[1][offset : offset + 9000]

    def _falloc(self, what: str, mode: int) -> None:
        offset, length = self.somewhere()
        self.note(what, offset, length)

        def call(fd: int, _path: Path) -> None:
            try:
                fallocate(fd, mode, offset, length)
            except OSError as error:
                if fd == self.fds[0] or error.errno != errno.EOPNOTSUPP or not mode & ZERO:
                    raise
                size = os.fstat(fd).st_size  # tmpfs as the local disk knows no ZERO_RANGE: written out
                end = min(offset + length, size) if mode & KEEP_SIZE else offset + length
                if end > offset:
                    os.pwrite(fd, bytes(end - offset), offset)

        self.both(call, MAY_REFUSE)

    def allocate(self) -> None:
        self._falloc("allocate", self.random.choice((0, KEEP_SIZE)))

    def punch(self) -> None:
        self._falloc("punch", PUNCH | KEEP_SIZE)

    def zero(self) -> None:
        self._falloc("zero", self.random.choice((ZERO, ZERO | KEEP_SIZE)))

    def collapse(self) -> None:
        """boxfs does not do it; it must say so and change nothing."""
        before = self.size()
        self.note("collapse")
        try:
            fallocate(self.fds[0], COLLAPSE, 0, 4096)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
        else:
            raise AssertionError("collapsed, which boxfs does not promise")
        assert os.fstat(self.fds[0]).st_size == before

    def copy(self) -> None:
        offset, length = self.somewhere(20_000)
        target = self.random.randrange(LARGEST)
        if target < offset + length and offset < target + length:
            return  # overlapping within one file is EINVAL by the kernel's word
        self.note("copy_file_range", offset, length, target)
        data = os.pread(self.fds[1], length, offset)
        copied = os.copy_file_range(self.fds[0], self.fds[0], length, offset, target)
        assert copied == len(data)
        os.pwrite(self.fds[1], data, target)

    def fsync(self) -> None:
        self.note("fsync")
        self.both(lambda fd, _: self.random.choice((os.fsync, os.fdatasync))(fd))

    def reopen(self) -> None:
        self.note("close, open")
        self._unmap()
        flags = self.random.choice((0, 0, os.O_SYNC))
        for at, path in enumerate(self.paths):
            os.close(self.fds[at])
            self.fds[at] = os.open(path, os.O_RDWR | flags)

    def unlink_and_make(self) -> None:
        if self.random.random() < 0.8:
            return
        self.note("unlink, make")
        self._unmap()
        for at, path in enumerate(self.paths):
            os.unlink(path)
            data = os.pread(self.fds[at], LARGEST, 0)  # without a name it goes on
            os.close(self.fds[at])
            path.write_bytes(data)
            self.fds[at] = os.open(path, os.O_RDWR)

    def rename_away_and_back(self) -> None:
        self.note("rename and back")
        for path in self.paths:
            away = path.with_name(path.name + ".away")
            os.rename(path, away)
            os.rename(away, path)

    def second_descriptor(self) -> None:
        offset, length = self.somewhere(3000)
        data = self.bytes(length)
        self.note("write by another descriptor", offset, length)

        def call(fd: int, path: Path) -> bytes:
            other = os.open(path, os.O_RDWR)
            try:
                os.pwrite(other, data, offset)
                return os.pread(fd, length, offset)
            finally:
                os.close(other)

        self.both(call)

    def seek(self) -> None:
        """Where data and holes are may differ; that what is called a hole reads as zeros may not."""
        size = self.size()
        if not size:
            return
        offset = self.random.randrange(size)
        self.note("seek", offset)
        for one in self.maps or ():
            one.flush()  # the kernel asks a FUSE file system for holes without giving it mapped pages first
        hole = os.lseek(self.fds[0], offset, os.SEEK_HOLE)
        assert offset <= hole <= size
        try:
            data = os.lseek(self.fds[0], offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size
        assert os.pread(self.fds[1], data - offset, offset).strip(b"\0") == b""
