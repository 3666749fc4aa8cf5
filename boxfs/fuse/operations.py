"""What each request of the kernel means to the core; no C here.

Names come as bytes and go to the core as `str`, undecodable bytes as surrogates.  Errors leave as FsError; the binding
makes errno of them.  Umask: the kernel has applied it to every mode that arrives here (FUSE_CAP_DONT_MASK is not asked
for).  Locks (flock, fcntl) are kept by the kernel; nothing of them arrives.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import threading
from collections.abc import Iterator

from boxfs.base.errors import FsError, InvalidArgument, NotFound, NotPermitted, NotSupported
from boxfs.base.types import Attr, HandleNo, Ino, StatFs
from boxfs.core.interface import Caller, Files
from boxfs.fuse.folders import Changes, Folders
from boxfs.fuse.openings import Openings

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
_SET_ID = stat.S_ISUID | stat.S_ISGID
# Asked by the kernel or by ls at every turn; Box has no place for them.
_REFUSED_XATTRS = ("security.", "system.")


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class Operations:
    """One method per request, in the words of fuse_lowlevel.h.  Called from many threads."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.changes = Changes()
        self.folders = Folders(files, self.changes)
        self.openings = Openings()
        self._lock = threading.Lock()
        # Folders removed while the kernel still holds them (somebody's working directory): the last attributes, so
        # that stat(".") goes on.  Dropped when the kernel forgets the inode.
        self._removed: dict[Ino, Attr] = {}  # guarded by _lock
        # Whether clearing set-user-id and set-group-id bits is ours (FUSE_CAP_HANDLE_KILLPRIV_V2): by chown, and by a
        # change of content by anybody but root.  Else the kernel does it by a setattr of the mode.
        self.clears_set_id = False
        self._set_id: set[Ino] = set()  # inodes seen with such a bit

    # Names
    def lookup(self, parent: Ino, name: bytes) -> Attr:
        return self._seen(self.files.lookup(parent, text(name)))

    def forget(self, ino: Ino) -> None:
        if ino in self._removed:
            with self._lock:
                self._removed.pop(ino, None)
        self._set_id.discard(ino)
        self.openings.forget(ino)

    def _seen(self, attr: Attr) -> Attr:
        if attr.mode & _SET_ID and stat.S_ISREG(attr.mode):
            self._set_id.add(attr.ino)
        return attr

    # Attributes
    def getattr(self, ino: Ino) -> Attr:
        try:
            return self._seen(self.files.getattr(ino))
        except NotFound:
            removed = self._removed.get(ino)
            if removed is None:
                raise
            return removed

    def setattr(
        self,
        ino: Ino,
        caller: Caller,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        size: int | None = None,
        atime_ns: int | None = None,
        mtime_ns: int | None = None,
        handle: HandleNo | None = None,
    ) -> Attr:
        if self.clears_set_id and mode is None and (uid is not None or gid is not None):
            mode = self._cleared_mode(ino)
        attr = self.files.setattr(
            ino,
            mode=mode,
            uid=uid,
            gid=gid,
            size=size,
            atime_ns=atime_ns,
            mtime_ns=mtime_ns,
            handle=handle,
            caller=caller,
        )
        self.changes.note()
        if self.clears_set_id and size is not None:
            return self._content_changed(ino, caller) or attr
        return self._seen(attr)

    def access(self, ino: Ino, mask: int, caller: Caller) -> None:
        if ino not in self._removed:
            self.files.access(ino, mask, caller)

    def statfs(self) -> StatFs:
        return self.files.statfs()

    # Making and removing names
    def mkdir(self, parent: Ino, name: bytes, mode: int, caller: Caller) -> Attr:
        return self.files.mkdir(parent, text(name), mode, caller)

    def mknod(self, parent: Ino, name: bytes, mode: int, rdev: int, caller: Caller) -> Attr:
        return self._seen(self.files.mknod(parent, text(name), mode, rdev, caller))

    def symlink(self, parent: Ino, name: bytes, target: bytes, caller: Caller) -> Attr:
        return self.files.symlink(parent, text(name), text(target), caller)

    def readlink(self, ino: Ino) -> bytes:
        return os.fsencode(self.files.readlink(ino))

    def link(self) -> Attr:
        raise NotPermitted("Box has no hard links")

    def unlink(self, parent: Ino, name: bytes) -> None:
        self.files.unlink(parent, text(name))
        self.changes.note()

    def rmdir(self, parent: Ino, name: bytes) -> None:
        attr = self.files.lookup(parent, text(name))
        self.files.rmdir(parent, text(name))
        self._remember_removed(attr)
        self.changes.note()

    def rename(self, parent: Ino, name: bytes, new_parent: Ino, new_name: bytes, flags: int) -> None:
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE):
            raise InvalidArgument("renameat2: this flag is not supported")
        replaced: Attr | None = None
        if not flags:
            try:
                replaced = self.files.lookup(new_parent, text(new_name))
            except FsError:
                replaced = None  # nothing there, or the rename itself will say what is wrong
        self.files.rename(parent, text(name), new_parent, text(new_name), flags)
        if replaced is not None and stat.S_ISDIR(replaced.mode):
            self._remember_removed(replaced)
        self.changes.note()

    def _remember_removed(self, attr: Attr) -> None:
        with self._lock:
            self._removed[attr.ino] = dataclasses.replace(attr, nlink=0)

    # Folders
    def opendir(self, ino: Ino) -> HandleNo:
        self.getattr(ino)
        return self.folders.open(ino)

    def readdir(self, ino: Ino, handle: HandleNo, offset: int) -> Iterator[tuple[str, Attr, int, bool]]:
        if ino in self._removed:
            return iter(())
        return self.folders.read(handle, offset)

    def releasedir(self, handle: HandleNo) -> None:
        self.folders.close(handle)

    def fsyncdir(self, ino: Ino) -> None:
        if ino not in self._removed:
            self.files.fsyncdir(ino)

    # Open files
    def open(self, ino: Ino, flags: int, caller: Caller) -> tuple[HandleNo, bool]:
        """Return the handle, and whether the kernel may keep what it holds of the file."""
        ticket = self.openings.opening(ino)
        try:
            handle = self.files.open(ino, flags, caller)
        except BaseException:
            self.openings.gave_up(ino, ticket)
            raise
        keeps = self.openings.opened(ino, ticket, handle)
        if flags & os.O_TRUNC:
            if self.clears_set_id:
                self._content_changed(ino, caller)
            self.changes.note()
        return handle, keeps

    def create(self, parent: Ino, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Attr, HandleNo]:
        attr, handle = self.files.create(parent, text(name), mode, flags, caller)
        self.openings.opened(attr.ino, self.openings.opening(attr.ino), handle)
        if flags & os.O_TRUNC:
            self.changes.note()
        return self._seen(attr), handle

    def read_into(self, handle: HandleNo, buffer: memoryview, offset: int) -> int:
        return self.files.read_into(handle, buffer, offset)

    def write(self, ino: Ino, handle: HandleNo, data: memoryview, offset: int, caller: Caller | None) -> int:
        """caller: only needed where `writing_needs_caller` says so."""
        count = self.files.write(handle, data, offset)
        if caller is not None:
            self._content_changed(ino, caller)
        self.changes.note()
        return count

    def writing_needs_caller(self, ino: Ino) -> bool:
        return self.clears_set_id and ino in self._set_id

    def _content_changed(self, ino: Ino, caller: Caller) -> Attr | None:
        mode = None if caller.uid == 0 else self._cleared_mode(ino)
        return None if mode is None else self.files.setattr(ino, mode=mode, caller=caller)

    def _cleared_mode(self, ino: Ino) -> int | None:
        """The mode without the bits that give rights away, None where there are none."""
        if ino not in self._set_id:
            return None
        mode = self.files.getattr(ino).mode
        cleared = mode & ~stat.S_ISUID
        if mode & stat.S_IXGRP:  # without it, S_ISGID means mandatory locking and stays
            cleared &= ~stat.S_ISGID
        self._set_id.discard(ino)
        return None if cleared == mode else stat.S_IMODE(cleared)

    def flush(self, handle: HandleNo) -> None:
        self.files.flush(handle)

    def fsync(self, handle: HandleNo, datasync: bool) -> None:
        self.files.fsync(handle, datasync)

    def release(self, handle: HandleNo) -> None:
        self.files.release(handle)
        self.openings.released(handle)

    def fallocate(self, handle: HandleNo, mode: int, offset: int, length: int) -> None:
        self.files.fallocate(handle, mode, offset, length)
        self.changes.note()

    def lseek(self, handle: HandleNo, offset: int, whence: int) -> int:
        return self.files.seek(handle, offset, whence)

    def copy_range(
        self, source: HandleNo, source_offset: int, target: HandleNo, target_offset: int, length: int, flags: int
    ) -> int:
        if flags:
            raise InvalidArgument("copy_file_range: no flags are defined")
        copied = self.files.copy_range(source, source_offset, target, target_offset, length)
        self.changes.note()
        return copied

    # Extended attributes
    def getxattr(self, ino: Ino, name: bytes) -> bytes:
        return self.files.getxattr(ino, self._xattr_name(name))

    def setxattr(self, ino: Ino, name: bytes, value: bytes, flags: int) -> None:
        self.files.setxattr(ino, self._xattr_name(name), value, flags)
        self.changes.note()

    def listxattr(self, ino: Ino) -> bytes:
        return b"".join(os.fsencode(name) + b"\0" for name in self.files.listxattr(ino))

    def removexattr(self, ino: Ino, name: bytes) -> None:
        self.files.removexattr(ino, self._xattr_name(name))
        self.changes.note()

    @staticmethod
    def _xattr_name(name: bytes) -> str:
        decoded = text(name)
        if decoded.startswith(_REFUSED_XATTRS):
            raise NotSupported("only user.* attributes are kept")
        return decoded
