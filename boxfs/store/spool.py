"""Spool: local bytes that Box has not got, one numbered sparse file for each edited file.

A spool file by itself says nothing: its extents, kept beside the row that names it, say which of its ranges hold
bytes of the file.  What lies outside them is meaningless, whatever the disk has there.  So truncating and growing a
file again needs no write, and a file that was never written to needs none on disk.

Numbers only grow and are never used twice while the process lives.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from boxfs.base.errors import FsError
from boxfs.store.extents import Extents
from boxfs.store.lasting import disk_error, make_folder, sync_names

_COPY_CHUNK = 1 << 20
_OWNER = "owner"
_ROOM = 64 << 20  # asked for at a time when the disk is full


class Spool:
    def __init__(self, folder: Path) -> None:
        """Open or make the folder.  Raises NoSpace, FsError."""
        self.folder = folder
        try:
            make_folder(folder)
            self._last = max((int(name) for name in os.listdir(folder) if name.isdigit()), default=0)
        except OSError as error:
            raise disk_error(error, folder) from error
        self._lock = threading.Lock()  # guards _last
        self._placed = False  # the folder's own name is known to be on disk
        self._leaving: set[int] = set()  # let go by the rows; guarded by _lock
        # Makes what the rows say survive a power cut.  Raises FsError.
        self.sync_rows: Callable[[], None] = lambda: None
        # Asked for so many bytes when the disk is full; returns how many it gave back (the cache makes room).
        self.make_room: Callable[[int], int] = lambda _wanted: 0

    def path(self, number: int) -> Path:
        return self.folder / str(number)

    def new(self, at_least: int = 0) -> SpoolFile:
        """Return a spool file under a number that was never used; nothing is on disk yet."""
        with self._lock:
            self._last = max(self._last, at_least) + 1
            return SpoolFile(self, self._last)

    def file(self, number: int) -> SpoolFile:
        """Return a spool file that may be on disk."""
        with self._lock:
            self._last = max(self._last, number)
        return SpoolFile(self, number)

    def remove(self, number: int) -> None:
        """Raises FsError."""
        try:
            os.unlink(self.path(number))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_error(error, self.path(number)) from error

    def let_go(self, number: int) -> None:
        """No row names the file any more: have it removed by `clear_out`.

        Not at once: after a power cut the row may be there again, if the disk had not got its end, and then the bytes
        have to be.
        """
        with self._lock:
            self._leaving.add(number)

    def clear_out(self) -> int:
        """Remove what was let go, once that is on the disk; return how many files.  Raises FsError, and keeps them."""
        with self._lock:
            leaving, self._leaving = self._leaving, set()
        if not leaving:
            return 0
        try:
            self.sync_rows()
            for number in leaving:
                self.remove(number)
        except FsError:
            with self._lock:
                self._leaving |= leaving
            raise
        return len(leaving)

    def owner(self) -> str | None:
        """Return the name of the records that the files belong to, None where nobody has claimed them."""
        try:
            return (self.folder / _OWNER).read_text().strip()
        except FileNotFoundError:
            return None

    def set_owner(self, name: str) -> None:
        try:
            with open(self.folder / _OWNER, "w") as file:
                file.write(name + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.sync_names()
        except OSError as error:
            raise disk_error(error, self.folder) from error

    def set_aside(self) -> Path | None:
        """Move the files into a folder of their own beside the spool; return it, None where there were none."""
        found = [name for name in os.listdir(self.folder) if name.isdigit()]
        if not found:
            return None
        aside = self.folder.with_name(time.strftime(f"{self.folder.name}-set-aside-%Y%m%d-%H%M%S"))
        aside.mkdir(exist_ok=True, mode=0o700)
        for name in found:
            os.rename(self.folder / name, aside / name)
        return aside

    def orphans(self, named: Iterable[int]) -> list[int]:
        """Return the numbers of the files that no row names, left by a crash."""
        kept = set(named)
        return [int(name) for name in os.listdir(self.folder) if name.isdigit() and int(name) not in kept]

    def sync_names(self) -> None:
        """Make the files' own names survive a power cut."""
        sync_names(self.folder)
        if not self._placed:
            sync_names(self.folder.parent)
            self._placed = True


class SpoolFile:
    """One file of the spool.  Its descriptor is opened when first needed.  Who writes guards it with a lock."""

    def __init__(self, spool: Spool, number: int) -> None:
        self.number = number
        self._spool = spool
        self._fd = -1
        self._named = False  # its name in the folder is known to be on disk

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, data: memoryview, offset: int) -> int:
        """Write `data`; return how much of it: less than all where the disk takes no more.

        Raises NoSpace, FsError where it takes nothing.
        """
        fd = self._open()
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(fd, data[done:], offset + done)
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                if full and (self._spool.clear_out() or self._spool.make_room(max(len(data), _ROOM))):
                    continue
                if done:
                    break
                raise disk_error(error, self._spool.path(self.number)) from error
        return done

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill the buffer.  Raises FsError where the file ends before: bytes that were there are lost."""
        fd = self._open(create=False)
        done = 0
        while done < len(buffer):
            got = os.preadv(fd, [buffer[done:]], offset + done) if fd >= 0 else 0
            if got == 0:
                raise FsError(f"{self._spool.path(self.number)} has lost its bytes from {offset + done} on")
            done += got

    def reserve(self, offset: int, length: int) -> None:
        """Take room on the disk for a range.  Raises NoSpace."""
        try:
            os.posix_fallocate(self._open(), offset, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise disk_error(error, self._spool.path(self.number)) from error

    def cut(self, size: int) -> None:
        """Give back the room beyond `size`, if the file is longer."""
        fd = self._open(create=False)
        if fd >= 0 and os.fstat(fd).st_size > size:
            os.ftruncate(fd, size)

    def copy_to(self, other: SpoolFile, extents: Extents) -> None:
        """Copy ranges to the same places of another spool file, by the file system's own means where it has them."""
        if not extents:
            return
        source, target = self._open(), other._open()
        try:
            for start, stop in extents:
                while start < stop:
                    start += _copied(source, target, start, min(stop - start, 1 << 30)) or stop - start
        except OSError as error:
            raise disk_error(error, self._spool.path(other.number)) from error

    def size(self) -> int:
        """Return how long the file on disk is; 0 where there is none."""
        try:
            return self._spool.path(self.number).stat().st_size
        except FileNotFoundError:
            return 0

    def sync(self) -> None:
        """Make what was written survive a power cut, the name too.  Waits for the disk.  Raises NoSpace, FsError."""
        fd = self._open(create=False)
        if fd < 0:
            return
        try:
            os.fdatasync(fd)
            if not self._named:
                self._spool.sync_names()
                self._named = True
        except OSError as error:
            raise disk_error(error, self._spool.path(self.number)) from error

    def _open(self, *, create: bool = True) -> int:
        if self._fd < 0:
            try:
                flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
                self._fd = os.open(f"{self._spool.folder}/{self.number}", flags, 0o600)
            except FileNotFoundError:
                return -1
            except OSError as error:
                raise disk_error(error, self._spool.path(self.number)) from error
        return self._fd


def _copied(source: int, target: int, offset: int, length: int) -> int:
    """Copy some bytes at `offset`; return how many, 0 at the end of the source."""
    try:
        return os.copy_file_range(source, target, length, offset, offset)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    data = os.pread(source, min(length, _COPY_CHUNK), offset)
    return os.pwrite(target, data, offset) if data else 0
