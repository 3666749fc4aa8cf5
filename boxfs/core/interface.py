"""Files: what the core offers to whoever mounts it, and Watcher: what it tells them.

`boxfs.core.filesystem.FileSystem` is the implementation; `boxfs.fuse` knows this shape only.  Everything is in inodes:
names are `str` as the mount shows them (decoded, surrogateescape for bytes that are not UTF-8), paths are the caller's
business.  Every method may be called from many threads, raises only `FsError`s, and never hangs on a dead network: what
must be asked of Box is asked with the transport's time-outs.

`Caller` is who asks (for default owners of what is created and for options that look at the program's name).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from boxfs.base.types import Attr, DirEntry, HandleNo, Ino, StatFs


@dataclass(frozen=True, slots=True)
class Caller:
    uid: int
    gid: int
    pid: int


class Watcher(Protocol):
    """Told of changes that did not come through the mount.  Must return at once (a queue); no lock is held, but see
    `content_changing`.
    """

    def content_changing(self, ino: Ino) -> None:
        """`content_changed` will follow.  Told with the tree's lock held, before anybody can open the new content."""

    def content_changed(self, ino: Ino) -> None:
        """Data and attributes of the inode are no longer what the kernel may hold."""

    def attributes_changed(self, ino: Ino) -> None: ...

    def entry_gone(self, parent: Ino, name: str) -> None:
        """The name does not lead there any more (deleted, renamed, moved, replaced)."""

    def entry_appeared(self, parent: Ino, name: str) -> None:
        """A name that the kernel may hold as absent exists now."""

    def names_changed(self, folder: Ino) -> None:
        """A listing of the folder that the kernel may hold does not stand any more."""

    def everything_changed(self) -> None:
        """Nothing that the kernel holds of names may be trusted (the event stream was lost)."""


class Files(Protocol):
    def set_watcher(self, watcher: Watcher) -> None: ...

    # Names
    def lookup(self, parent: Ino, name: str) -> Attr:
        """Raises NotFound, NotADirectory, NameTooLong, Unreachable (an unknown folder that cannot be asked for)."""

    def path_of(self, ino: Ino) -> str | None:
        """The path below the mount's root ("" for the root, "a/b" else), None where the inode has no name now."""

    def generation(self) -> int:
        """Grows whenever a name stops leading where it led, so that paths kept by others can be dropped."""

    # Attributes
    def getattr(self, ino: Ino) -> Attr: ...

    def setattr(
        self,
        ino: Ino,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        size: int | None = None,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        handle: HandleNo | None = None,
        caller: Caller | None = None,
    ) -> Attr:
        """Change what is given.  size: truncate(2), ftruncate(2) with `handle`."""

    def access(self, ino: Ino, mask: int, caller: Caller | None = None) -> None: ...

    def statfs(self) -> StatFs:
        """Answered from what is known; never waits for Box."""

    # Folders
    def readdir(self, ino: Ino) -> Sequence[DirEntry]:
        """Return a snapshot of the folder, without "." and "..".  Raises NotADirectory, Unreachable."""

    def is_stale(self, ino: Ino) -> bool:
        """Whether the listing of the folder, as far as one is known, may be out of date: nobody may keep it."""

    def mkdir(self, parent: Ino, name: str, mode: int, caller: Caller) -> Attr: ...

    def mknod(self, parent: Ino, name: str, mode: int, rdev: int, caller: Caller) -> Attr: ...

    def symlink(self, parent: Ino, name: str, target: str, caller: Caller) -> Attr: ...

    def readlink(self, ino: Ino) -> str: ...

    def unlink(self, parent: Ino, name: str) -> None:
        """Remove a file's name; open handles go on."""

    def rmdir(self, parent: Ino, name: str) -> None: ...

    def rename(self, old_parent: Ino, old_name: str, new_parent: Ino, new_name: str, flags: int = 0) -> None:
        """renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE; open handles of a replaced file go on."""

    def fsyncdir(self, ino: Ino) -> None: ...

    # Open files
    def open(self, ino: Ino, flags: int, caller: Caller) -> HandleNo: ...

    def create(self, parent: Ino, name: str, mode: int, flags: int, caller: Caller) -> tuple[Attr, HandleNo]:
        """open(2) with O_CREAT of a name that is not there; raises NameTaken where it is and O_EXCL is given."""

    def handle_ino(self, handle: HandleNo) -> Ino:
        """Raises BadHandle."""

    def is_current(self, handle: HandleNo) -> bool:
        """Whether a new handle of the inode would read the same bytes as this one does.

        No longer so where Box has a new version and the handle keeps the one that it was opened at.  Raises BadHandle.
        """

    def handle_attr(self, handle: HandleNo) -> Attr:
        """getattr, but of the bytes that this handle reads: their size and time.  Raises BadHandle."""

    def read_into(self, handle: HandleNo, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; return how many bytes, fewer than asked only at the end of the file."""

    def write(self, handle: HandleNo, data: memoryview, offset: int) -> int:
        """Write all of `data` (at the end of the file where the handle has O_APPEND).  Raises NoSpace, TooBig."""

    def flush(self, handle: HandleNo) -> None:
        """close(2) of one descriptor: what was written survives the death of this process from here on."""

    def fsync(self, handle: HandleNo, datasync: bool) -> None: ...

    def release(self, handle: HandleNo) -> None: ...

    def fallocate(self, handle: HandleNo, mode: int, offset: int, length: int) -> None: ...

    def seek(self, handle: HandleNo, offset: int, whence: int) -> int:
        """SEEK_DATA and SEEK_HOLE of lseek(2)."""

    def copy_range(
        self, source: HandleNo, source_offset: int, target: HandleNo, target_offset: int, length: int
    ) -> int:
        """copy_file_range(2): a whole file onto an empty one becomes a copy made by Box.  Returns bytes copied."""

    # Extended attributes
    def getxattr(self, ino: Ino, name: str) -> bytes: ...

    def setxattr(self, ino: Ino, name: str, value: bytes, flags: int) -> None: ...

    def listxattr(self, ino: Ino) -> Sequence[str]: ...

    def removexattr(self, ino: Ino, name: str) -> None: ...
