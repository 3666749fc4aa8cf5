"""Two real file systems and a stranger on one account: programs save as they do, Box and the network as they please.

As test_sync_model.py, but with everything between a system call and Box in play: open files, spool, identities handed
over by renames, partial overwrites that rest on versions at Box, copies, deaths of the process.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from boxfs.base.errors import FsError, InDoubt, RateLimited, Unreachable
from boxfs.base.types import ROOT_INO, HandleNo, Kind
from boxfs.core.conflicts import REST_IS_GONE
from boxfs.core.node import Node
from tests.property.test_sync_model import History, parent
from tests.support.drive import Drive
from tests.support.memoryremote import MemoryRemote

HISTORIES = int(os.environ.get("BOXFS_HISTORIES", "60"))
NAMES = ["a", "b", "c", "x.tmp"]


class Mount:
    """One mount with its machine."""

    def __init__(self, remote: MemoryRemote, folder: Path, host: str) -> None:
        self.remote, self.folder, self.host = remote, folder, host
        self.handles: list[tuple[HandleNo, str]] = []
        self._start()

    def _start(self) -> None:
        self.drive = Drive(self.folder, self.remote, host=self.host, attributes="off")
        # The two mounts' clocks only need to run; they may differ.
        self.drive.sync.sending.making.uploading._chunked_from = 150

    def crash(self) -> None:
        self.handles.clear()
        self.drive.crash()
        self._start()

    def close(self) -> None:
        self.drive.close()

    def shown(self) -> dict[str, Kind]:
        """What is known here, without asking Box."""
        tree = self.drive.tree
        nodes = list(tree.descendants(ROOT_INO))
        return {path: node.kind for node in nodes if (path := tree.path(node.ino)) is not None}

    def known(self, path: str) -> Node | None:
        node = self.drive.tree.node(ROOT_INO)
        for name in path.split("/"):
            node = self.drive.tree.child(node.ino, name) if node is not None else None
        return node

    def whole(self) -> dict[str, bytes | None]:
        """Everything, as a program reads it."""
        out: dict[str, bytes | None] = {}
        todo = [""]
        while todo:
            folder = todo.pop()
            for name in self.drive.ls(folder):
                path = f"{folder}/{name}" if folder else name
                if self.drive.node(path).is_folder:
                    out[path] = None
                    todo.append(path)
                else:
                    out[path] = self.drive.read(path)
        return out

    def settle(self) -> None:
        drive = self.drive
        for _ in range(300):
            drive.clock.pass_(130)
            drive.fs.keep_house()
            drive.hear()
            made = drive.push_once()
            memory = drive.sync.incoming.memory
            left = [node for node in drive.tree.pending() if node.error != REST_IS_GONE]
            if not made and not left and not memory.strays and not memory.relist:
                return
        raise AssertionError(f"it does not settle: {[drive.sync._describe(n) for n in drive.tree.pending()]}")


class Saves(History):
    mounts: list[Mount]

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder / "unused")
        for at in self.machines:
            at.close()
        self.machines = []
        self.latest: dict[tuple[str, int], bytes] = {}  # what a mount's file holds by the word of its last author there
        self.mounts = []
        for n in range(2):
            remote = MemoryRemote(self.box, part_size=64)
            remote.tell = self.awkwardly
            remote.page_size = self.dice.choice([2, 5, 100])
            self.mounts.append(Mount(remote, folder / f"mount{n}", f"host{n}"))

    def run(self, steps: int) -> None:
        for _ in range(steps):
            at = self.dice.choice([*self.mounts, None])
            if at is None:
                self.stranger()
            elif self.dice.random() < 0.6:
                self._guarded(lambda at=at: self.save(at))  # type: ignore[misc]
            else:
                self.weather(at)
        self.calm()

    def _guarded(self, what: Callable[[], object]) -> None:
        try:
            what()
        except FsError as error:
            self.log.append(f"   {type(error).__name__}: {error}")

    def _data(self) -> bytes:
        self._count += 1
        return (b"content %d " % self._count) * self.dice.choice([1, 1, 3, 40])

    # Programs
    def save(self, at: Mount) -> None:
        shown = at.shown()
        folders = ["", *(path for path, kind in shown.items() if kind is Kind.FOLDER)]
        files = [path for path, kind in shown.items() if kind is Kind.FILE]
        new = "/".join(filter(None, (self.dice.choice(folders), self.dice.choice(NAMES))))
        file = self.dice.choice(files) if files else new
        ways: list[Callable[[Mount, str, str], None]] = [
            self.write, self.write, self.write, self.patch, self.patch, self.append, self.cut, self.atomic, self.atomic,
            self.vim, self.move, self.move_folder, self.unlink, self.remove_tree, self.mkdir, self.copy,
            self.hold_open, self.write_held, self.let_go,
        ]  # fmt: skip
        way = self.dice.choice(ways)
        self.log.append(f"{at.host} {way.__name__} {file!r} {new!r}")
        way(at, file, new)

    @contextmanager
    def _saving(self, at: Mount, path: str) -> Iterator[None]:
        """The author replaces what the name led to; what it leads to afterwards must be reachable."""
        self._forgo_path(at, path)
        yield
        self._keep(at, path)

    def _forgo_path(self, at: Mount, path: str) -> None:
        node = at.known(path)
        data = self.latest.pop((at.host, node.ino), None) if node is not None else None
        if data is not None:
            self.closed.pop(data, None)

    def _keep(self, at: Mount, path: str) -> None:
        node = at.known(path)
        with suppress(FsError):
            data = at.drive.read(path)
            if node is not None:
                self.latest[at.host, node.ino] = data
                self.closed[data] = f"{at.host} {path}"

    def write(self, at: Mount, file: str, new: str) -> None:
        path = self.dice.choice([file, new])
        with self._saving(at, path):
            at.drive.write(path, self._data())

    def patch(self, at: Mount, file: str, new: str) -> None:
        with self._saving(at, file):
            handle = at.drive.open(file, os.O_RDWR)
            try:
                at.drive.put(handle, b"<%d>" % self._count, self.dice.randint(0, 12))
                self._count += 1
            finally:
                at.drive.close_handle(handle)

    def append(self, at: Mount, file: str, new: str) -> None:
        with self._saving(at, file):
            at.drive.write(file, self._data(), os.O_WRONLY | os.O_APPEND)

    def cut(self, at: Mount, file: str, new: str) -> None:
        with self._saving(at, file):
            at.drive.fs.setattr(at.drive.ino(file), size=self.dice.choice([0, 3, 5000]))

    def atomic(self, at: Mount, file: str, new: str) -> None:
        """Write beside, rename over (rsync, LibreOffice, git)."""
        temporary = "/".join(filter(None, (parent(file), "x.tmp")))
        data = self._data()
        with self._saving(at, temporary):
            at.drive.write(temporary, data)
        if temporary != file:
            with self._saving(at, file):
                at.drive.rename(temporary, file)

    def vim(self, at: Mount, file: str, new: str) -> None:
        backup = file + "~"
        self._forgo_path(at, backup)
        at.drive.rename(file, backup)
        with self._saving(at, file):
            at.drive.write(file, self._data())
        if self.dice.random() < 0.7:
            self._forgo_path(at, backup)
            at.drive.unlink(backup)

    def move(self, at: Mount, file: str, new: str) -> None:
        if file != new:
            self._forgo_path(at, new)
        at.drive.rename(file, new)

    def move_folder(self, at: Mount, file: str, new: str) -> None:
        folder = parent(file)
        if folder and not f"{new}/".startswith(f"{folder}/"):
            at.drive.rename(folder, new)

    def unlink(self, at: Mount, file: str, new: str) -> None:
        self._forgo_path(at, file)
        at.drive.unlink(file)

    def remove_tree(self, at: Mount, file: str, new: str) -> None:
        def remove(folder: str) -> None:
            for name in at.drive.ls(folder):
                path = f"{folder}/{name}"
                if at.drive.node(path).is_folder:
                    remove(path)
                else:
                    self.unlink(at, path, new)
            at.drive.rmdir(folder)

        if parent(file):
            remove(parent(file))

    def mkdir(self, at: Mount, file: str, new: str) -> None:
        at.drive.mkdir(new)

    def copy(self, at: Mount, file: str, new: str) -> None:
        with self._saving(at, new):
            source = at.drive.open(file)
            target = at.drive.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                at.drive.fs.copy_range(source, 0, target, 0, at.drive.stat(file).size)
            finally:
                at.drive.close_handle(source)
                at.drive.close_handle(target)

    def hold_open(self, at: Mount, file: str, new: str) -> None:
        at.handles.append((at.drive.open(file, os.O_RDWR), file))

    def write_held(self, at: Mount, file: str, new: str) -> None:
        if at.handles:
            handle, path = self.dice.choice(at.handles)
            self._forgo_path(at, at.drive.fs.path_of(at.drive.fs.handle_ino(handle)) or path)
            at.drive.put(handle, self._data(), self.dice.choice([0, 7]))
            at.drive.fs.flush(handle)

    def let_go(self, at: Mount, file: str, new: str) -> None:
        if at.handles:
            handle, _ = at.handles.pop(self.dice.randrange(len(at.handles)))
            at.drive.close_handle(handle)

    # Weather
    def weather(self, at: Mount) -> None:
        what = self.dice.choice(["hear", "hear", "push", "push", "push", "wait", "crash", "outage", "fault", "cut in"])
        self.log.append(f"{at.host} {what}")
        drive, remote = at.drive, at.remote
        if what == "hear":
            self._guarded(drive.hear)
        elif what == "push":
            drive.clock.pass_(self.dice.choice([1, 5, 40]))
            drive.push_once()
        elif what == "wait":
            drive.clock.pass_(100)
            drive.fs.keep_house()
        elif what == "crash":
            at.crash()
        elif what == "outage":
            remote.offline = not remote.offline
        elif what == "fault":
            error = self.dice.choice([InDoubt("lost"), Unreachable("down"), RateLimited("slow", 3.0)])
            after = isinstance(error, InDoubt) and self.dice.random() < 0.8
            remote.fail("write", error, after=after, skip=self.dice.randint(0, 2))
        elif what == "cut in":
            method = self.dice.choice(
                [
                    "upload_file",
                    "upload_version",
                    "update",
                    "create_folder",
                    "delete",
                    "list_folder",
                    "item",
                    "copy_file",
                ]
            )
            if method == "list_folder" or self.dice.random() < 0.5:
                remote.during[method] = self.stranger
            else:
                remote.during[method] = lambda: self._guarded(lambda: self.save(at))

    def calm(self) -> None:
        for at in self.mounts:
            at.remote.offline = False
            at.remote.faults.clear()
            at.remote.during.clear()
            while at.handles:
                at.drive.close_handle(at.handles.pop()[0])
        for _ in range(4):
            for at in self.mounts:
                at.settle()
                if at.drive.tree.pending_count():
                    return  # its bytes were at Box only, in a folder that somebody put in the trash: it says so
                self._known(at)
        want = self.box.tree()
        for at in self.mounts:
            assert self._known(at) == want, f"{at.host} shows something else than Box has"
            assert not at.drive.tree.pending_count()
        held = self.box.every_content()
        lost = {data: who for data, who in self.closed.items() if data not in held}
        assert not lost, f"lost: {lost}"

    def _known(self, at: Mount) -> dict[str, bytes | None]:
        deadline = time.monotonic() + 60
        while True:
            try:
                return at.whole()
            except FsError:
                assert time.monotonic() < deadline
                at.drive.hear()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_history_of_saves(seed: int, tmp_path: Path) -> None:
    history = Saves(seed, tmp_path)
    try:
        history.run(random.Random(seed * 7919).choice([10, 25, 60]))
    finally:
        for at in history.mounts:
            at.close()
