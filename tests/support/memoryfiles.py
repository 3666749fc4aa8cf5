"""MemoryFiles: the core's `Files`, in memory, for tests of the mount alone.

One lock, plain dictionaries, files as bytearrays (sparse ones as they come).  Quick enough to measure the mount with,
and short enough to be seen to be right.  `Remote` on top makes the changes "by somebody else", telling the watcher as
the core would.
"""

from __future__ import annotations

import itertools
import os
import stat
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from boxfs.base.errors import (
    BadHandle,
    Denied,
    InvalidArgument,
    IsADirectory,
    NameTaken,
    NameTooLong,
    NoAttribute,
    NotADirectory,
    NotEmpty,
    NotFound,
    NotSupported,
    TooBig,
)
from boxfs.base.types import ROOT_INO, Attr, DirEntry, HandleNo, Ino, StatFs
from boxfs.core.interface import Caller, Watcher

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE = 1, 2, 16
MAX_SIZE = 1 << 40
PAGE = 1 << 17


class Bytes:
    """A file's content in pages, those never written are not there."""

    def __init__(self) -> None:
        self.size = 0
        self.pages: dict[int, bytearray] = {}

    def read_into(self, buffer: memoryview, offset: int) -> int:
        count = max(0, min(len(buffer), self.size - offset))
        done = 0
        while done < count:
            index, start = divmod(offset + done, PAGE)
            step = min(PAGE - start, count - done)
            page = self.pages.get(index)
            target = buffer[done : done + step]
            target[:] = bytes(step) if page is None else memoryview(page)[start : start + step]
            done += step
        return count

    def write(self, data: memoryview, offset: int) -> None:
        done = 0
        while done < len(data):
            index, start = divmod(offset + done, PAGE)
            step = min(PAGE - start, len(data) - done)
            piece = data[done : done + step]
            if step == PAGE:
                self.pages[index] = bytearray(piece)
            else:
                page = self.pages.get(index)
                if page is None:
                    page = self.pages[index] = bytearray(PAGE)
                page[start : start + step] = piece
            done += step
        self.size = max(self.size, offset + len(data))

    def zero(self, offset: int, length: int) -> None:
        end = offset + length
        for index in [index for index in self.pages if index * PAGE < end and (index + 1) * PAGE > offset]:
            start, stop = max(0, offset - index * PAGE), min(PAGE, end - index * PAGE)
            if stop - start == PAGE:
                del self.pages[index]
            else:
                self.pages[index][start:stop] = bytes(stop - start)

    def truncate(self, size: int) -> None:
        if size < self.size:
            self.zero(size, (max(self.pages, default=0) + 1) * PAGE)
        self.size = size

    def seek(self, offset: int, whence: int) -> int:
        if offset < 0 or offset >= self.size:
            raise _NoSuchOffset("beyond the end of the file")
        data = whence == os.SEEK_DATA
        index = offset // PAGE
        last = (self.size - 1) // PAGE
        while index <= last:
            if (index in self.pages) == data:
                return max(offset, index * PAGE)
            index += 1
        if data:
            raise _NoSuchOffset("no data after this")
        return self.size


class _NoSuchOffset(InvalidArgument):
    errno = 6  # ENXIO, lseek(2)


@dataclass
class Node:
    ino: Ino
    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    rdev: int = 0
    parent: Ino = ROOT_INO
    name: str | None = None  # None: removed, or the root
    children: dict[str, Ino] = field(default_factory=dict)
    content: Bytes = field(default_factory=Bytes)
    target: str = ""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    handles: int = 0
    attr: Attr | None = None  # as last told, until something changes

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class MemoryFiles:
    def __init__(self, name_max: int = 255) -> None:
        self._name_max = name_max
        self._lock = threading.RLock()
        self._inos = itertools.count(ROOT_INO + 1)
        self._handle_numbers = itertools.count(1)
        self._nodes: dict[Ino, Node] = {}
        self._handles: dict[HandleNo, tuple[Node, int, Bytes]] = {}
        self._generation = 0
        self.watcher: Watcher | None = None
        now = time.time_ns()
        self._nodes[ROOT_INO] = Node(ROOT_INO, stat.S_IFDIR | 0o755, os.getuid(), os.getgid(), now, now, now)

    # Inside
    def _node(self, ino: Ino) -> Node:
        node = self._nodes.get(ino)
        if node is None:
            raise NotFound(f"inode {ino}")
        return node

    def _folder(self, ino: Ino) -> Node:
        node = self._node(ino)
        if not node.is_folder:
            raise NotADirectory(f"inode {ino}")
        return node

    def _child(self, parent: Node, name: str) -> Node:
        ino = parent.children.get(name)
        if ino is None:
            raise NotFound(name)
        return self._nodes[ino]

    def _attr(self, node: Node) -> Attr:
        if node.attr is None:
            if node.is_folder:
                size, links = 0, 2 + sum(self._nodes[ino].is_folder for ino in node.children.values())
            elif stat.S_ISLNK(node.mode):
                size, links = len(os.fsencode(node.target)), 1
            else:
                size, links = node.content.size, 1
            if node.name is None and node.ino != ROOT_INO:
                links = 0
            times = (node.atime_ns, node.mtime_ns, node.ctime_ns)
            node.attr = Attr(node.ino, node.mode, links, node.uid, node.gid, size, *times, node.rdev)
        return node.attr

    def _touch(self, node: Node, *, content: bool = False) -> None:
        node.ctime_ns = time.time_ns()
        if content:
            node.mtime_ns = node.ctime_ns
        node.attr = None

    def _check_name(self, name: str) -> None:
        if len(os.fsencode(name)) > self._name_max:
            raise NameTooLong(name)

    def _add(self, parent_ino: Ino, name: str, mode: int, caller: Caller) -> Node:
        self._check_name(name)
        parent = self._folder(parent_ino)
        if parent.name is None and parent.ino != ROOT_INO:
            raise NotFound("the folder was removed")
        if name in parent.children:
            raise NameTaken(name)
        now = time.time_ns()
        gid = caller.gid
        if parent.mode & stat.S_ISGID:
            gid = parent.gid
            if stat.S_ISDIR(mode):
                mode |= stat.S_ISGID
        node = Node(Ino(next(self._inos)), mode, caller.uid, gid, now, now, now, parent=parent_ino, name=name)
        self._nodes[node.ino] = node
        parent.children[name] = node.ino
        self._touch(parent, content=True)
        return node

    def _remove(self, parent: Node, node: Node) -> None:
        assert node.name is not None
        del parent.children[node.name]
        node.name = None
        self._generation += 1
        self._touch(parent, content=True)
        self._touch(node)
        if not node.handles:
            del self._nodes[node.ino]

    # Names
    def set_watcher(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def lookup(self, parent: Ino, name: str) -> Attr:
        self._check_name(name)
        with self._lock:
            return self._attr(self._child(self._folder(parent), name))

    def path_of(self, ino: Ino) -> str | None:
        with self._lock:
            names: list[str] = []
            node = self._nodes.get(ino)
            while node is not None and node.ino != ROOT_INO:
                if node.name is None:
                    return None
                names.append(node.name)
                node = self._nodes.get(node.parent)
            return None if node is None else "/".join(reversed(names))

    def generation(self) -> int:
        return self._generation

    # Attributes
    def getattr(self, ino: Ino) -> Attr:
        with self._lock:
            return self._attr(self._node(ino))

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
        with self._lock:
            node = self._node(ino)
            if size is not None:
                if node.is_folder:
                    raise IsADirectory(f"inode {ino}")
                if size > MAX_SIZE:
                    raise TooBig(f"{size} bytes")
                (node.content if handle is None else self._of_handle(handle)[2]).truncate(size)
                self._touch(node, content=True)
            if mode is not None:
                node.mode = stat.S_IFMT(node.mode) | mode
            node.uid = node.uid if uid is None else uid
            node.gid = node.gid if gid is None else gid
            node.atime_ns = node.atime_ns if atime_ns is None else atime_ns
            node.mtime_ns = node.mtime_ns if mtime_ns is None else mtime_ns
            self._touch(node)
            return self._attr(node)

    def access(self, ino: Ino, mask: int, caller: Caller | None = None) -> None:
        with self._lock:
            node = self._node(ino)
            if caller is None or caller.uid == 0:
                return
            shift = 6 if caller.uid == node.uid else 3 if caller.gid == node.gid else 0
            if mask & ~(node.mode >> shift) & 7:
                raise Denied(f"inode {ino}")

    def statfs(self) -> StatFs:
        return StatFs(1 << 40, 1 << 39, name_max=self._name_max)

    # Folders
    def readdir(self, ino: Ino) -> Sequence[DirEntry]:
        with self._lock:
            return [DirEntry(name, self._attr(self._nodes[i])) for name, i in self._folder(ino).children.items()]

    def is_stale(self, ino: Ino) -> bool:
        return ino not in self._nodes

    def mkdir(self, parent: Ino, name: str, mode: int, caller: Caller) -> Attr:
        with self._lock:
            return self._attr(self._add(parent, name, stat.S_IFDIR | stat.S_IMODE(mode), caller))

    def mknod(self, parent: Ino, name: str, mode: int, rdev: int, caller: Caller) -> Attr:
        with self._lock:
            node = self._add(parent, name, mode, caller)
            node.rdev = rdev
            return self._attr(node)

    def symlink(self, parent: Ino, name: str, target: str, caller: Caller) -> Attr:
        with self._lock:
            node = self._add(parent, name, stat.S_IFLNK | 0o777, caller)
            node.target = target
            return self._attr(node)

    def readlink(self, ino: Ino) -> str:
        with self._lock:
            node = self._node(ino)
            if not stat.S_ISLNK(node.mode):
                raise InvalidArgument(f"inode {ino}")
            return node.target

    def unlink(self, parent: Ino, name: str) -> None:
        with self._lock:
            folder = self._folder(parent)
            node = self._child(folder, name)
            if node.is_folder:
                raise IsADirectory(name)
            self._remove(folder, node)

    def rmdir(self, parent: Ino, name: str) -> None:
        with self._lock:
            folder = self._folder(parent)
            node = self._child(folder, name)
            if not node.is_folder:
                raise NotADirectory(name)
            if node.children:
                raise NotEmpty(name)
            self._remove(folder, node)

    def rename(self, old_parent: Ino, old_name: str, new_parent: Ino, new_name: str, flags: int = 0) -> None:
        self._check_name(new_name)
        with self._lock:
            source_folder, target_folder = self._folder(old_parent), self._folder(new_parent)
            node = self._child(source_folder, old_name)
            above: Node | None = target_folder
            while above is not None and above.ino != ROOT_INO:
                if above is node:
                    raise InvalidArgument("a folder cannot go into itself")
                above = self._nodes.get(above.parent)
            taken = target_folder.children.get(new_name)
            other = None if taken is None else self._nodes[taken]
            if flags & RENAME_EXCHANGE:
                if other is None:
                    raise NotFound(new_name)
                self._place(source_folder, old_name, other)
                self._place(target_folder, new_name, node)
            else:
                if other is node:
                    return
                if other is not None:
                    if flags & RENAME_NOREPLACE:
                        raise NameTaken(new_name)
                    if other.is_folder and not node.is_folder:
                        raise IsADirectory(new_name)
                    if node.is_folder and not other.is_folder:
                        raise NotADirectory(new_name)
                    if other.children:
                        raise NotEmpty(new_name)
                    self._remove(target_folder, other)
                del source_folder.children[old_name]
                self._place(target_folder, new_name, node)
            self._generation += 1
            for changed in (source_folder, target_folder):
                self._touch(changed, content=True)

    def _place(self, folder: Node, name: str, node: Node) -> None:
        folder.children[name] = node.ino
        node.parent, node.name = folder.ino, name
        self._touch(node)

    def fsyncdir(self, ino: Ino) -> None:
        self._folder(ino)

    # Open files
    def _opened(self, node: Node, flags: int) -> HandleNo:
        if flags & os.O_TRUNC:
            node.content.truncate(0)
            self._touch(node, content=True)
        handle = HandleNo(next(self._handle_numbers))
        self._handles[handle] = (node, flags, node.content)
        node.handles += 1
        return handle

    def _of_handle(self, handle: HandleNo) -> tuple[Node, int, Bytes]:
        found = self._handles.get(handle)
        if found is None:
            raise BadHandle(f"handle {handle}")
        return found

    def open(self, ino: Ino, flags: int, caller: Caller) -> HandleNo:
        with self._lock:
            node = self._node(ino)
            if node.is_folder:
                raise IsADirectory(f"inode {ino}")
            return self._opened(node, flags)

    def create(self, parent: Ino, name: str, mode: int, flags: int, caller: Caller) -> tuple[Attr, HandleNo]:
        with self._lock:
            present = self._folder(parent).children.get(name)
            if present is not None and not flags & os.O_EXCL:
                node = self._nodes[present]
            else:
                node = self._add(parent, name, stat.S_IFREG | stat.S_IMODE(mode), caller)
            handle = self._opened(node, flags)
            return self._attr(node), handle

    def handle_ino(self, handle: HandleNo) -> Ino:
        return self._of_handle(handle)[0].ino

    def read_into(self, handle: HandleNo, buffer: memoryview, offset: int) -> int:
        content = self._of_handle(handle)[2]
        with self._lock:
            return content.read_into(buffer, offset)

    def is_current(self, handle: HandleNo) -> bool:
        node, _, content = self._of_handle(handle)
        return node.content is content

    def handle_attr(self, handle: HandleNo) -> Attr:
        with self._lock:
            node, _, content = self._of_handle(handle)
            return self._attr(node)._replace(size=content.size)

    def write(self, handle: HandleNo, data: memoryview, offset: int) -> int:
        node, flags, content = self._of_handle(handle)
        with self._lock:
            if flags & os.O_APPEND:
                offset = content.size
            if offset + len(data) > MAX_SIZE:
                raise TooBig(f"{offset + len(data)} bytes")
            content.write(data, offset)
            self._touch(node, content=True)
            return len(data)

    def flush(self, handle: HandleNo) -> None:
        self._of_handle(handle)

    def fsync(self, handle: HandleNo, datasync: bool) -> None:
        self._of_handle(handle)

    def release(self, handle: HandleNo) -> None:
        with self._lock:
            node, _, _ = self._of_handle(handle)
            del self._handles[handle]
            node.handles -= 1
            if node.name is None and not node.handles:
                self._nodes.pop(node.ino, None)

    def fallocate(self, handle: HandleNo, mode: int, offset: int, length: int) -> None:
        node, _, content = self._of_handle(handle)
        with self._lock:
            end = offset + length
            if end > MAX_SIZE:
                raise TooBig(f"{end} bytes")
            keep = mode & FALLOC_KEEP_SIZE
            match mode & ~FALLOC_KEEP_SIZE:
                case 0:
                    pass
                case 2 if keep:  # PUNCH_HOLE
                    content.zero(offset, length)
                case 16:  # ZERO_RANGE
                    content.zero(offset, length)
                case _:
                    raise NotSupported(f"fallocate mode {mode}")
            if not keep and end > content.size:
                content.size = end
            self._touch(node, content=True)

    def seek(self, handle: HandleNo, offset: int, whence: int) -> int:
        content = self._of_handle(handle)[2]
        with self._lock:
            return content.seek(offset, whence)

    def copy_range(
        self, source: HandleNo, source_offset: int, target: HandleNo, target_offset: int, length: int
    ) -> int:
        with self._lock:
            giver = self._of_handle(source)[2]
            node, _, taker = self._of_handle(target)
            buffer = bytearray(max(0, min(length, giver.size - source_offset)))
            giver.read_into(memoryview(buffer), source_offset)
            taker.write(memoryview(buffer), target_offset)
            self._touch(node, content=True)
            return len(buffer)

    # Extended attributes
    def getxattr(self, ino: Ino, name: str) -> bytes:
        with self._lock:
            value = self._node(ino).xattrs.get(name)
        if value is None:
            raise NoAttribute(name)
        return value

    def setxattr(self, ino: Ino, name: str, value: bytes, flags: int) -> None:
        with self._lock:
            node = self._node(ino)
            if flags & os.XATTR_CREATE and name in node.xattrs:
                raise NameTaken(name)
            if flags & os.XATTR_REPLACE and name not in node.xattrs:
                raise NoAttribute(name)
            node.xattrs[name] = value
            self._touch(node)

    def listxattr(self, ino: Ino) -> Sequence[str]:
        with self._lock:
            return list(self._node(ino).xattrs)

    def removexattr(self, ino: Ino, name: str) -> None:
        with self._lock:
            node = self._node(ino)
            if name not in node.xattrs:
                raise NoAttribute(name)
            del node.xattrs[name]
            self._touch(node)

    def new_version(self, ino: Ino, data: bytes) -> None:
        """Somebody else's: handles keep the bytes that they were opened at."""
        with self._lock:
            node = self._node(ino)
            node.content = Bytes()
            node.content.write(memoryview(data), 0)
            self._touch(node, content=True)


class Remote:
    """Changes that do not come through the mount, by path, told to the watcher when they are made."""

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self._caller = Caller(os.getuid(), os.getgid(), 0)

    def find(self, path: str) -> tuple[Ino, str, Ino]:
        """The parent, the name, and the inode (0 where there is none)."""
        parent = ROOT_INO
        *above, name = path.split("/")
        for part in above:
            parent = self._files.lookup(parent, part).ino
        try:
            return parent, name, self._files.lookup(parent, name).ino
        except NotFound:
            return parent, name, Ino(0)

    def write(self, path: str, text: str, *, tell: bool = True) -> None:
        """New content for a file that is there or not."""
        parent, name, ino = self.find(path)
        here = ino
        if not here:
            attr, handle = self._files.create(parent, name, 0o644, os.O_WRONLY, self._caller)
            self._files.release(handle)
            here = attr.ino
        self._files.new_version(here, text.encode())
        if tell and self._files.watcher is not None:
            if ino:
                self._files.watcher.content_changed(ino)
            else:
                self._appeared(parent, name)

    def mkdir(self, path: str, *, tell: bool = True) -> None:
        parent, name, _ = self.find(path)
        self._files.mkdir(parent, name, 0o755, self._caller)
        if tell:
            self._appeared(parent, name)

    def remove(self, path: str, *, tell: bool = True) -> None:
        parent, name, ino = self.find(path)
        if stat.S_ISDIR(self._files.getattr(ino).mode):
            for entry in self._files.readdir(ino):
                self.remove(f"{path}/{entry.name}", tell=False)
            self._files.rmdir(parent, name)
        else:
            self._files.unlink(parent, name)
        if tell:
            self._gone(parent, name)

    def rename(self, old: str, new: str, *, tell: bool = True) -> None:
        old_parent, old_name, _ = self.find(old)
        new_parent, new_name, taken = self.find(new)
        self._files.rename(old_parent, old_name, new_parent, new_name)
        if tell:
            self._gone(old_parent, old_name)
            (self._gone if taken else self._appeared)(new_parent, new_name)

    def _appeared(self, parent: Ino, name: str) -> None:
        if self._files.watcher is not None:
            self._files.watcher.entry_appeared(parent, name)
            self._files.watcher.names_changed(parent)

    def _gone(self, parent: Ino, name: str) -> None:
        if self._files.watcher is not None:
            self._files.watcher.entry_gone(parent, name)
            self._files.watcher.names_changed(parent)

    def chmod(self, path: str, mode: int) -> None:
        ino = self.find(path)[2]
        self._files.setattr(ino, mode=mode)
        if self._files.watcher is not None:
            self._files.watcher.attributes_changed(ino)

    def everything(self) -> None:
        if self._files.watcher is not None:
            self._files.watcher.everything_changed()
