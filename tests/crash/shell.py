"""Shell: does what programs do in a mount without FUSE, and notes what was promised and when.

It runs under strace.  A line to /dev/null is a marker: strace sees it among the system calls, so that it is known at
each of them which operation had been acknowledged, and what Box held.
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from boxfs.base.errors import FsError, InDoubt
from boxfs.base.types import ROOT_FOLDER, HandleNo, Kind
from tests.crash.disk import picture
from tests.crash.home import Home
from tests.support.drive import ME
from tests.support.memorybox import MemoryBox
from tests.support.memoryremote import WRITES, MemoryRemote
from tests.support.syncing import Clock

MARK = b"@boxfs-crash "


class Entry(NamedTuple):
    """What a path leads to.  file: who it is, whatever its name.  content: bytes; a link's target; None: a folder."""

    file: int
    content: bytes | None
    link: bool = False
    mode: int | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()


World = dict[str, Entry]


@dataclass
class Operation:
    """after: what is promised once it has returned.  during: what may be seen, besides, before that.

    mixed: the path whose bytes may be old and new ones while it runs, as POSIX lets a write be seen.
    synced: the file whose bytes it makes survive a power cut, and with them all that was done to names before.
    """

    after: World
    during: tuple[World, ...] = ()
    mixed: str | None = None
    synced: int | None = None


@dataclass
class Run:
    """What was recorded of one workload.  boxes: what Box held, by the number in the marker, and when."""

    name: str
    root: str
    settings: dict[str, Any]
    base: dict[str, bytes | None]
    operations: list[Operation]
    boxes: list[tuple[bytes, int]]
    strangers: bool = False
    trashes: bool = False


class NotingRemote(MemoryRemote):
    noted: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def _call(self, method: str, *args: object) -> Iterator[MemoryBox]:
        with super()._call(method, *args) as box:
            yield box
            if method in WRITES:
                self.noted()


@dataclass
class Shell:
    name: str
    folder: Path
    marks: int
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = Run(self.name, "", self.settings, {}, [], [])
        self.world: World = {}
        self.clock = Clock()
        self.remote = NotingRemote()
        self._files = 0
        self._tracing = False
        self._homes = 0
        self._open: Home | None = None

    # Life

    @property
    def home(self) -> Home:
        assert self._open is not None
        return self._open

    def begin(self) -> None:
        """From here on every system call counts.  A mount that is open is killed, and the next one finds its state."""
        old = self._open
        self._homes += 1
        root = self.folder / f"{self._homes}"
        if old is None:
            root.mkdir()
        else:
            shutil.copytree(old.folder, root)
            old.crash()
        self.run.root = str(root)
        self.run.base = picture(root)
        self.run.operations = [Operation(dict(self.world))]
        self.run.boxes = []
        self._tracing = True
        self._mark("begin")
        self.remote.noted = self._note_box
        self._note_box()
        self._start(root)

    def prepare(self) -> None:
        """Open a mount whose system calls do not count."""
        self._homes += 1
        root = self.folder / f"{self._homes}"
        root.mkdir()
        self._start(root)

    def _start(self, root: Path) -> None:
        self._open = Home(root, self.remote, self.clock, self.settings)
        self.home.ls()

    def restart(self) -> None:
        """Unmount in order, and mount again."""
        root = self.home.folder
        self.home.close()
        self._start(root)

    def end(self) -> None:
        self._mark("end")
        self._tracing = False
        self.remote.noted = lambda: None
        self.home.close()

    def _mark(self, text: str) -> None:
        if self._tracing:
            os.write(self.marks, MARK + f"{self.name} {text}".encode())

    def _note_box(self) -> None:
        self.run.boxes.append((pickle.dumps((self.remote.box, self.remote.sessions)), self.clock.now_ns))
        self._mark(f"box {len(self.run.boxes) - 1}")

    # Operations

    def do(
        self,
        act: Callable[[], object],
        after: World,
        *,
        during: tuple[World, ...] = (),
        mixed: str | None = None,
        synced: int | None = None,
    ) -> None:
        self.run.operations.append(Operation(after, during, mixed, synced))
        number = len(self.run.operations) - 1
        self._mark(f"begun {number}")
        act()
        self.world = after
        self._mark(f"done {number}")

    def new(self) -> int:
        self._files += 1
        return self._files

    def given(self, path: str, data: bytes | None) -> None:
        """A file (None: a folder) that Box has from the begin.  Before there is a mount."""
        above, _, name = path.rpartition("/")
        box = self.remote.box
        parent = box.at(above).id if above else None
        box.create(Kind.FOLDER if data is None else Kind.FILE, parent or ROOT_FOLDER, name, data)
        self.world = self.world | {path: Entry(self.new(), data)}

    def _put(self, path: str, content: bytes | None, **more: Any) -> World:
        held = self.world.get(path)
        entry = Entry(self.new(), content) if held is None else held._replace(content=content)
        return self.world | {path: entry._replace(**more)}

    @contextmanager
    def opened(self, path: str, flags: int) -> Iterator[HandleNo]:
        """open(2); close(2) is the caller's, as an operation of its own."""
        if path in self.world:
            yield self.home.open(path, flags)
            return
        handles: list[HandleNo] = []
        self.do(lambda: handles.append(self.home.open(path, flags | os.O_CREAT)), self._put(path, b""))
        yield handles[0]

    def write(self, path: str, data: bytes, *, sync: bool = False) -> None:
        """open(O_CREAT | O_TRUNC), write, maybe fsync, close.  What was there stays until the close or the fsync."""
        with self.opened(path, os.O_WRONLY | os.O_TRUNC) as handle:
            after = self._put(path, data)

            def put() -> None:
                self.home.put(handle, data, 0)
                if sync:
                    self.home.fs.fsync(handle, False)
                else:
                    self.home.close_handle(handle)

            self.do(put, after, synced=after[path].file if sync else None)
            if sync:
                self.do(lambda: self.home.close_handle(handle), after)

    def patch(self, path: str, offset: int, data: bytes, *, sync: bool = False) -> None:
        """open, pwrite, maybe fsync, close."""
        with self.opened(path, os.O_RDWR) as handle:
            self.put(handle, path, offset, data, sync=sync, close=True)

    def put(
        self, handle: HandleNo, path: str, offset: int, data: bytes, *, sync: bool = False, close: bool = False
    ) -> None:
        """pwrite, and then fsync or close or both."""
        held = self.world[path].content or b""
        held = held.ljust(offset, b"\0")
        after = self._put(path, held[:offset] + data + held[offset + len(data) :])

        def act() -> None:
            self.home.put(handle, data, offset)
            if sync:
                self.home.fs.fsync(handle, True)
            if close:
                self.home.close_handle(handle)

        self.do(act, after, mixed=path, synced=after[path].file if sync else None)

    def close(self, handle: HandleNo) -> None:
        self.do(lambda: self.home.close_handle(handle), self.world)

    def truncate(self, path: str, size: int) -> None:
        held = self.world[path].content or b""
        after = self._put(path, held[:size].ljust(size, b"\0"))
        self.do(lambda: self.home.fs.setattr(self.home.ino(path), size=size), after)

    def mkdir(self, path: str) -> None:
        self.do(lambda: self.home.mkdir(path), self.world | {path: Entry(self.new(), None)})

    def remove(self, path: str) -> None:
        """unlink or rmdir."""
        folder = self.world[path].content is None
        after = {one: entry for one, entry in self.world.items() if one != path}
        self.do(lambda: self.home.rmdir(path) if folder else self.home.unlink(path), after)

    def rename(self, old: str, new: str) -> None:
        after = {path: entry for path, entry in self.world.items() if path != new}
        for path in [one for one in after if one == old or one.startswith(old + "/")]:
            after[new + path[len(old) :]] = after.pop(path)
        self.do(lambda: self.home.rename(old, new), after)

    def symlink(self, path: str, target: str) -> None:
        after = self._put(path, target.encode(), link=True)
        self.do(lambda: self.home.fs.symlink(*self.home.at(path), target, ME), after)

    def chmod(self, path: str, mode: int) -> None:
        after = self.world | {path: self.world[path]._replace(mode=mode)}
        self.do(lambda: self.home.fs.setattr(self.home.ino(path), mode=mode), after)

    def setxattr(self, path: str, name: str, value: bytes) -> None:
        xattrs = dict(self.world[path].xattrs) | {name: value}
        after = self.world | {path: self.world[path]._replace(xattrs=tuple(sorted(xattrs.items())))}
        self.do(lambda: self.home.fs.setxattr(self.home.ino(path), name, value, 0), after)

    def sync_folder(self, path: str) -> None:
        """fsync(2) of a folder: what was done to names before survives."""
        self.do(lambda: self.home.fs.fsyncdir(self.home.ino(path)), self.world, synced=0)

    # What the mount's threads do

    def push(self) -> None:
        """Send all that may be sent now."""
        self.clock.pass_(3)
        for _ in range(20):
            if not self.home.push_once():
                return

    def hear(self) -> None:
        self.home.hear()

    def lost(self) -> FsError:
        return InDoubt("the reply is lost")

    def theirs(self, path: str, data: bytes) -> None:
        """Somebody else saves a file."""
        with self.remote.someone() as box:
            box.overwrite(box.at(path), data)
        self._note_box()

    def keep_house(self, after_s: float = 200) -> None:
        self.clock.pass_(after_s)
        self.home.fs.keep_house()
