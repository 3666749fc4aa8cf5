"""Machine: a tree and its sync over a MemoryRemote, run step by step in the test's own thread, on a clock of its own.

Local operations are the least that POSIX needs (core/filesystem.py does them in earnest); bytes are kept in a dict.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from boxfs.base.errors import Unreachable
from boxfs.base.types import ROOT_INO, Ino, ItemId, Kind, VersionId
from boxfs.core.names import fold
from boxfs.core.node import Content, Node
from boxfs.core.options import CoreOptions
from boxfs.core.sync import Sync
from boxfs.core.tree import Tree
from boxfs.store.records import Records
from tests.support.memoryremote import MemoryRemote

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 1_790_000_000 * SECOND

    def __call__(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def pass_(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND)


class HeldBytes:
    """The Outgoing of bytes held in memory."""

    is_copy = False
    copied_from: tuple[ItemId, VersionId] | None = None
    stale = False

    def __init__(self, data: bytes, edit: int) -> None:
        self._data, self.edit, self.size = data, edit, len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def close(self) -> None: ...


class Heard:
    """A Watcher that remembers."""

    def __init__(self) -> None:
        self.notes: list[tuple[object, ...]] = []
        self.listings: list[Ino] = []  # folders whose names changed

    def content_changing(self, ino: Ino) -> None: ...

    def content_changed(self, ino: Ino) -> None:
        self.notes.append(("content", ino))

    def attributes_changed(self, ino: Ino) -> None:
        self.notes.append(("attributes", ino))

    def entry_gone(self, parent: Ino, name: str) -> None:
        self.notes.append(("gone", parent, name))

    def entry_appeared(self, parent: Ino, name: str) -> None:
        self.notes.append(("appeared", parent, name))

    def names_changed(self, folder: Ino) -> None:
        self.listings.append(folder)

    def everything_changed(self) -> None:
        self.notes.append(("everything",))


class Machine:
    def __init__(self, remote: MemoryRemote, folder: Path, *, host: str = "here", clock: Clock | None = None) -> None:
        self.remote = remote
        self.folder = folder
        self.host = host
        self.clock = clock or Clock()
        self.bytes: dict[int, bytes] = {}  # by spool number
        self.writing: set[Ino] = set()
        self.heard = Heard()
        self._last_spool = 0
        self._start()

    def _start(self) -> None:
        self.tree = Tree(Records(self.folder), CoreOptions(host=self.host), clock=self.clock)
        self.sync = Sync(self.tree, self.remote, self)
        self.sync.hearing._gap_s = 0.0
        self.tree.watcher = self.heard
        locked = self.tree.lock

        def no_lock_is_held(method: str) -> None:
            assert not locked._is_owned(), f"{method} was called with the tree's lock held"  # type: ignore[attr-defined]

        self.remote.on_call = no_lock_is_held

    def restart(self) -> None:
        """As after kill -9: what is in memory is gone."""
        self.tree.close()
        self._start()

    def close(self) -> None:
        self.tree.close()

    # Contents
    def outgoing(self, ino: Ino) -> HeldBytes | None:
        node = self.tree.node(ino)
        if node is None or node.content is None:
            return None
        return HeldBytes(self.bytes[node.content.spool], node.content.edit)

    def is_writing(self, ino: Ino) -> bool:
        return ino in self.writing

    def is_open(self, ino: Ino) -> bool:
        return ino in self.writing

    # What a program does
    def node(self, path: str) -> Node:
        node = self.tree.node(ROOT_INO)
        for name in path.split("/") if path else []:
            assert node is not None
            node = self.tree.child(node.ino, name)
            if node is None:
                raise KeyError(path)
        assert node is not None
        return node

    def has(self, path: str) -> bool:
        try:
            self.node(path)
        except KeyError:
            return False
        return True

    def _split(self, path: str) -> tuple[Ino, str]:
        above, _, name = path.rpartition("/")
        return self.node(above).ino, name

    def mkdir(self, path: str) -> Ino:
        parent, name = self._split(path)
        with self.tree.change() as change:
            ino = change.new_ino()
            change.put(Node(ino, Kind.FOLDER, parent, name, complete=True, changed_ns=self.clock()))
        return ino

    def write(self, path: str, data: bytes) -> Ino:
        self._last_spool += 1
        self.bytes[self._last_spool] = data
        parent, name = self._split(path)
        with self.tree.change() as change:
            old = change.child(parent, name)
            now = self.clock()
            if old is None:
                old = Node(change.new_ino(), Kind.FILE, parent, name)
            etag = old.remote.etag if old.remote is not None else None
            held = old.content
            content = Content(self._last_spool, 1, base_etag=etag)
            if held is not None:
                content = replace(content, edit=held.edit + 1, base_etag=held.base_etag)
            change.put(replace(old, content=content, size=len(data), mtime_ns=now, changed_ns=now))
            return old.ino

    def rename(self, old: str, new: str) -> None:
        """Onto a free name."""
        node = self.node(old)
        parent, name = self._split(new)
        with self.tree.change() as change:
            change.put(replace(node, parent=parent, name=name, changed_ns=self.clock()))

    def delete(self, path: str) -> None:
        """A file, or a folder with all that it holds."""
        self._delete(self.node(path))

    def _delete(self, node: Node) -> None:
        if node.is_folder:
            for child in self.tree.children(node.ino):
                self._delete(child)
        with self.tree.change() as change:
            if node.remote is None:
                change.remove(node.ino)
            else:
                change.put(replace(node, parent=None, content=None, changed_ns=self.clock()))

    def list(self, path: str = "") -> list[str]:
        node = self.node(path)
        if not node.complete or node.stale is not None:
            node = self.sync.incoming.list_folder(node.ino)
        return sorted(child.name for child in self.tree.children(node.ino))

    def list_all(self, path: str = "") -> None:
        for name in self.list(path):
            below = f"{path}/{name}" if path else name
            if self.has(below) and self.node(below).is_folder:
                self.list_all(below)

    def read(self, path: str) -> bytes:
        node = self.node(path)
        if node.content is not None:
            return self.bytes[node.content.spool]
        if node.remote is None:
            return b""
        held = self.remote.box.items[node.remote.key]
        return next(data for version, data in held.versions if version.id == node.remote.version_id)

    def files(self) -> dict[str, bytes | None]:
        out: dict[str, bytes | None] = {}
        for node in self.tree.descendants(ROOT_INO):
            path = self.tree.path(node.ino)
            assert path is not None
            out[path] = None if node.is_folder else self.read(path)
        return out

    def check(self) -> None:
        """Nowhere do two siblings have names that Box takes for one."""
        for folder in [self.node(""), *(n for n in self.tree.descendants(ROOT_INO) if n.is_folder)]:
            children = self.tree.children(folder.ino)
            assert len({fold(child.name) for child in children}) == len(children), children

    # What the threads do
    def hear(self) -> None:
        self.sync.hearing.catch_up()

    def push(self, *, dice: random.Random | None = None, limit: int | None = None) -> int:
        """Plan once, and make the calls; return how many."""
        answer = self.sync.pushing.plan()
        calls = answer.calls if dice is None else dice.sample(answer.calls, len(answer.calls))
        made = 0
        for call in calls[:limit]:
            if self.sync.sending.claim(call):
                self.sync.sending.run(call)
                made += 1
        return made

    def settle(self, *, quiet: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until nothing is pending and nothing is news."""
        for _ in range(400):
            self.clock.pass_(130)
            try:
                self.hear()
            except Unreachable:
                continue
            made = self.push()
            with self.tree.lock:
                open_questions = self.sync.incoming.memory.strays or self.sync.incoming.memory.relist
            if not made and not self.tree.pending_count() and not open_questions:
                return
        raise AssertionError(f"it does not settle: {[self.sync._describe(n) for n in self.tree.pending()]}")
