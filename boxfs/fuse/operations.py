"""What each request of the kernel means to the core; no C here.

Names come as bytes and go to the core as `str`, undecodable bytes as surrogates.  Errors leave as FsError; the binding
makes errno of them.  Umask: the kernel has applied it to every mode that arrives here (FUSE_CAP_DONT_MASK is not asked
for).  Locks (flock, fcntl) are kept by the kernel; nothing of them arrives.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator

from boxfs.base.errors import Changed, FsError, InvalidArgument, NotFound, NotPermitted, NotSupported
from boxfs.base.types import ROOT_INO, Attr, HandleNo, Ino, StatFs
from boxfs.core.interface import Caller, Files
from boxfs.fuse.folders import Changes, Folders, Opening
from boxfs.fuse.views import Views

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
_SET_ID = stat.S_ISUID | stat.S_ISGID
# Asked by the kernel or by ls at every turn; Box has no place for them.
_REFUSED_XATTRS = ("security.", "system.")


_MANY = 10_000
_REOPENINGS = 3  # of a file whose version changes between its open and the look at it


def text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class Operations:
    """One method per request, in the words of fuse_lowlevel.h.  Called from many threads.

    `node` is what the kernel calls an inode: the core's number, or for some files an alias of it (views.py).  Folders
    have no aliases.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.changes = Changes()
        self.folders = Folders(files, self.changes)
        self.views = Views(files)
        self._lock = threading.Lock()
        # Folders removed while the kernel still holds them (somebody's working directory): the last attributes, so
        # that stat(".") goes on.  Dropped when the kernel forgets the inode.
        self._removed: dict[Ino, Attr] = {}  # guarded by _lock
        # Whether clearing set-user-id and set-group-id bits is ours (FUSE_CAP_HANDLE_KILLPRIV_V2): by chown, and by a
        # change of content by anybody but root.  Else the kernel does it by a setattr of the mode.
        self.clears_set_id = False
        self._set_id: set[Ino] = set()  # inodes seen with such a bit
        self._sent_back: set[int] = set()  # threads that were told to look up again what they open

    # Names
    def lookup(self, parent: Ino, name: bytes) -> Attr:
        return self._seen(self.files.lookup(parent, text(name)))

    def led_to(self, parent: Ino, name: bytes) -> tuple[Attr, int]:
        """Return the attributes behind a name, and the kernel's inode that it leads to, of one moment."""
        while True:
            turn = self.views.turn
            attr = self.lookup(parent, name)
            node = self.views.node(attr.ino)
            if turn == self.views.turn:
                return attr, node

    def place_of(self, ino: Ino) -> tuple[Ino, bytes] | None:
        """The folder and the name that lead to the inode now."""
        path = self.files.path_of(ino)
        if not path:
            return None
        *above, name = path.split("/")
        parent = ROOT_INO
        for part in above:
            parent = self.files.lookup(parent, part).ino
        return parent, name.encode("utf-8", "surrogateescape")

    def forget(self, node: int, times: int) -> None:
        ino = self.views.forget(node, times)
        if ino is None:
            return
        if ino in self._removed:
            with self._lock:
                self._removed.pop(ino, None)
        self._set_id.discard(ino)
        self.folders.forget(ino)

    def _seen(self, attr: Attr) -> Attr:
        if attr.mode & _SET_ID and not stat.S_ISDIR(attr.mode):  # as chown(2): all but folders
            self._set_id.add(attr.ino)
        return attr

    # Attributes
    def getattr(self, node: int) -> Attr:
        try:
            former = self.views.former(node)
            if former is None:
                attr = self._seen(self.files.getattr(self.views.ino(node)))
                former = self.views.former(node)  # it may have become so meanwhile, and the attributes another's
            return former if former is not None else attr
        except NotFound:
            removed = self._removed.get(Ino(node))
            if removed is None:
                raise
            return removed

    def setattr(
        self,
        node: int,
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
        ino = self.views.ino(node)
        if size is not None and handle is None and self.views.former(node) is not None:
            raise Changed("the name that led here leads to other bytes now")
        clears = self.clears_set_id and mode is None and (uid is not None or gid is not None)
        if clears:
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
        if clears:
            self._set_id.discard(ino)
        self.changes.note()
        if size is not None and self.views.is_former(node):
            self.views.on_changed(ino)
        if self.clears_set_id and size is not None:
            attr = self._content_changed(ino, caller) or attr
        return self.views.former(node) or self._seen(attr)

    def access(self, node: int, mask: int, caller: Caller) -> None:
        ino = self.views.ino(node)
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

    def readlink(self, node: int) -> bytes:
        return os.fsencode(self.files.readlink(self.views.ino(node)))

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
            self._removed[attr.ino] = attr._replace(nlink=0)

    # Folders
    def opendir(self, ino: Ino) -> Opening:
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
    def open(self, node: int, flags: int, caller: Caller) -> tuple[HandleNo, bool]:
        """Return the handle, and whether it must pass the kernel's pages by (direct_io).

        Raises Changed where the node's bytes are not those of the file any more: told so, the kernel looks the name up
        again and opens what it leads to now.  It does that once; who comes again (the file changes all the time, or was
        opened by /proc/self/fd) reads without the kernel's pages, which are of the former bytes.
        """
        ino = self.views.ino(node)
        direct = False
        for _ in range(_REOPENINGS):
            handle = self.files.open(ino, flags, caller)
            try:
                if self.views.opened(node, handle):
                    break
            except Changed:
                if caller.pid in self._sent_back:
                    direct = True
                    break
                self.files.release(handle)
                self._send_back(caller)
                raise
            except BaseException:
                self.files.release(handle)
                raise
            self.files.release(handle)
        else:
            handle = self.files.open(ino, flags, caller)
            direct = True
        if direct:
            self.views.opened_direct(node, handle)
        self._sent_back.discard(caller.pid)
        if flags & os.O_TRUNC:
            if self.clears_set_id:
                self._content_changed(ino, caller)
            self.changes.note()
        return handle, direct

    def _send_back(self, caller: Caller) -> None:
        if len(self._sent_back) > _MANY:  # of those that never came again
            self._sent_back.clear()
        self._sent_back.add(caller.pid)

    def create(self, parent: Ino, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Attr, int, HandleNo]:
        """Return the node as well: of a file that was there it may be an alias."""
        attr, handle = self.files.create(parent, text(name), mode, flags, caller)
        node = self.views.node(attr.ino)
        self.views.created(node, handle)
        if flags & os.O_TRUNC:
            self.changes.note()
        return self._seen(attr), node, handle

    def write(self, node: int, handle: HandleNo, data: memoryview, offset: int, caller: Caller | None) -> int:
        """caller: only needed where `writing_needs_caller` says so."""
        if caller is not None:
            self._content_changed(self.views.ino(node), caller)
        count = self.files.write(handle, data, offset)
        if self.views.is_former(node):
            self.views.on_changed(self.views.ino(node))
        self.changes.note()
        return count

    def writing_needs_caller(self, node: int) -> bool:
        return self.clears_set_id and self.views.ino(node) in self._set_id

    def _content_changed(self, ino: Ino, caller: Caller) -> Attr | None:
        if caller.uid == 0 or ino not in self._set_id:
            return None
        mode = self._cleared_mode(ino)
        attr = None if mode is None else self.files.setattr(ino, mode=mode, caller=caller)
        self._set_id.discard(ino)
        return attr

    def _cleared_mode(self, ino: Ino) -> int | None:
        """The mode without the bits that give rights away, None where there are none."""
        if ino not in self._set_id:
            return None
        mode = self.files.getattr(ino).mode
        cleared = mode & ~stat.S_ISUID
        if mode & stat.S_IXGRP:  # without it, S_ISGID means mandatory locking and stays
            cleared &= ~stat.S_ISGID
        return None if cleared == mode else stat.S_IMODE(cleared)

    def flush(self, handle: HandleNo) -> None:
        self.files.flush(handle)

    def fsync(self, handle: HandleNo, datasync: bool) -> None:
        self.files.fsync(handle, datasync)

    def release(self, node: int, handle: HandleNo) -> None:
        self.views.released(node, handle)
        self.files.release(handle)

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
    def getxattr(self, node: int, name: bytes) -> bytes:
        return self.files.getxattr(self.views.ino(node), self._xattr_name(name))

    def setxattr(self, node: int, name: bytes, value: bytes, flags: int) -> None:
        self.files.setxattr(self.views.ino(node), self._xattr_name(name), value, flags)
        self.changes.note()

    def listxattr(self, node: int) -> bytes:
        return b"".join(os.fsencode(name) + b"\0" for name in self.files.listxattr(self.views.ino(node)))

    def removexattr(self, node: int, name: bytes) -> None:
        self.files.removexattr(self.views.ino(node), self._xattr_name(name))
        self.changes.note()

    @staticmethod
    def _xattr_name(name: bytes) -> str:
        decoded = text(name)
        if decoded.startswith(_REFUSED_XATTRS):
            raise NotSupported("only user.* attributes are kept")
        return decoded
