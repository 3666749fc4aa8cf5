"""Drive: a FileSystem with its Sync over a MemoryRemote, spoken to by paths as a shell would.

No FUSE and no threads: what the threads do is done step by step in the test's own, on a clock of its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, BinaryIO

from boxfs.base.types import ROOT_INO, Attr, HandleNo, Ino, ItemId, VersionId
from boxfs.core.filesystem import FileSystem
from boxfs.core.incoming import Incoming
from boxfs.core.interface import Caller
from boxfs.core.node import Node, Wanted
from boxfs.core.openfiles import Opens
from boxfs.core.options import CoreOptions
from boxfs.core.outgoing import OpenContents
from boxfs.core.sync import Sync
from boxfs.core.tree import Tree
from boxfs.core.version import FileVersion
from boxfs.store.records import Records
from boxfs.store.spool import Spool
from tests.support.memoryremote import MemoryRemote
from tests.support.syncing import Clock

ME = Caller(0, 0, 1)


class PlainReading:
    """Reads from the remote, with no cache; keeps what it is given to adopt in `adopted`."""

    def __init__(self, remote: MemoryRemote) -> None:
        self._remote = remote
        self.adopted: dict[FileVersion, bytes] = {}

    def adopt(self, version: FileVersion, body: BinaryIO) -> None:
        self.adopted[version] = body.read()

    def open(self, file_id: ItemId, version_id: VersionId, size: int, sha1: str | None) -> PlainReader:
        return PlainReader(self._remote, FileVersion(file_id, version_id, size, sha1))


class PlainReader:
    def __init__(self, remote: MemoryRemote, version: FileVersion) -> None:
        self.version = version
        self._download = remote.download(version.file_id, version.version_id)

    def read_into(self, buffer: memoryview, offset: int, *, cached_only: bool = False) -> int:
        return sum(self._download.read_into(buffer[: max(0, self.version.size - offset)], offset))

    def close(self) -> None: ...


class Drive:
    def __init__(
        self,
        folder: Path,
        remote: MemoryRemote | None = None,
        reading: Opens | None = None,
        *,
        real_time: bool = False,
        **options: Any,
    ) -> None:
        """real_time: for tests that start the threads."""
        self.remote = remote if remote is not None else MemoryRemote()
        self.options = CoreOptions(**options)
        self.clock = Clock()
        self.tree = Tree(Records(folder), self.options, clock=time.time_ns if real_time else self.clock)
        self.spool = Spool(folder / "spool")
        self.reading = PlainReading(self.remote)
        lists = Later()
        self.fs = FileSystem(self.tree, self.spool, reading or self.reading, lists, self.remote.account)
        self.sync = Sync(self.tree, self.remote, OpenContents(self.fs.files))
        self.sync.hearing._gap_s = 0.0
        self.fs.annotate = self.sync.annotate
        self.fs.is_uploading = self.sync.incoming.memory.busy.__contains__
        self.incoming = lists.incoming = self.sync.incoming
        # No call to Box may be made with a lock of the tree held.
        self.remote.on_call = lambda method: self._refuse_locked(method)

    def _refuse_locked(self, method: str) -> None:
        assert not self.tree.lock._is_owned(), f"{method} was called with the lock held"  # type: ignore[attr-defined]

    def close(self) -> None:
        self.fs.stop()
        self.tree.close()

    def crash(self) -> None:
        """As kill -9 leaves it: nothing is saved any more."""
        for held in self.fs._handles.values():
            held.file.close()
        self.tree.close()

    # Paths
    def ino(self, path: str) -> Ino:
        ino = ROOT_INO
        for name in filter(None, path.split("/")):
            ino = self.fs.lookup(ino, name).ino
        return ino

    def at(self, path: str) -> tuple[Ino, str]:
        parent, _, name = path.rpartition("/")
        return self.ino(parent), name

    def stat(self, path: str) -> Attr:
        return self.fs.getattr(self.ino(path))

    def node(self, path: str) -> Node:
        node = self.tree.node(self.ino(path))
        assert node is not None
        return node

    def ls(self, path: str = "") -> list[str]:
        return sorted(entry.name for entry in self.fs.readdir(self.ino(path)))

    def exists(self, path: str) -> bool:
        parent, name = self.at(path)
        return name in [entry.name for entry in self.fs.readdir(parent)]

    # Whole files
    def open(self, path: str, flags: int = os.O_RDONLY, mode: int = 0o644) -> HandleNo:
        parent, name = self.at(path)
        if flags & os.O_CREAT and not self.exists(path):
            return self.fs.create(parent, name, mode, flags, ME)[1]
        return self.fs.open(self.ino(path), flags, ME)

    def close_handle(self, handle: HandleNo) -> None:
        self.fs.flush(handle)
        self.fs.release(handle)

    def write(self, path: str, data: bytes, flags: int = os.O_WRONLY | os.O_CREAT | os.O_TRUNC) -> None:
        handle = self.open(path, flags)
        self.put(handle, data, 0)
        self.close_handle(handle)

    def put(self, handle: HandleNo, data: bytes, offset: int) -> None:
        assert self.fs.write(handle, memoryview(data), offset) == len(data)

    def get(self, handle: HandleNo, offset: int = 0, size: int = 1 << 20) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.fs.read_into(handle, memoryview(buffer), offset)])

    def read(self, path: str) -> bytes:
        handle = self.open(path)
        try:
            return self.get(handle, 0, self.stat(path).size + 10)
        finally:
            self.close_handle(handle)

    def rename(self, old: str, new: str, flags: int = 0) -> None:
        self.fs.rename(*self.at(old), *self.at(new), flags)

    def unlink(self, path: str) -> None:
        self.fs.unlink(*self.at(path))

    def rmdir(self, path: str) -> None:
        self.fs.rmdir(*self.at(path))

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        self.fs.mkdir(*self.at(path), mode, ME)

    def wanted(self, path: str) -> Wanted:
        return self.tree.wanted(self.node(path))

    def spooled(self) -> list[str]:
        """Names of the spool's files, less those that are about to go."""
        self.spool.clear_out()
        return sorted(path.name for path in self.spool.folder.iterdir() if path.name.isdigit())

    # Box
    def hear(self) -> None:
        self.sync.hearing.catch_up()

    def push_once(self) -> int:
        """Plan, and make the calls; return how many."""
        made = 0
        for call in self.sync.pushing.plan().calls:
            if self.sync.sending.claim(call):
                self.sync.sending.run(call)
                made += 1
        return made

    def push(self) -> None:
        """Let time pass until Box has everything that is pending."""
        for round_ in range(100):
            self.clock.pass_(3 if round_ < 5 else 130)
            if not self.push_once() and not self.tree.pending_count():
                return
        raise AssertionError(f"still pending: {[self.sync._describe(node) for node in self.tree.pending()]}")


class Later:
    """The file system lists through Sync, which is built on the file system."""

    incoming: Incoming

    def listed(self, ino: Ino, *, background: bool = False) -> Node:
        return self.incoming.listed(ino, background=background)
