"""Drive: a FileSystem over a MemoryRemote, spoken to by paths as a shell would.  No threads, no FUSE, no sync.

`push` sends what is pending in the plainest way (no settle window, one call after the other); tests of what sync
promises use the real one.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from boxfs.base.errors import NotFound
from boxfs.base.types import ROOT_INO, Attr, HandleNo, Ino, ItemId, Kind, VersionId
from boxfs.core.bodies import sha1_of, whole
from boxfs.core.filesystem import FileSystem
from boxfs.core.incoming import Incoming
from boxfs.core.interface import Caller
from boxfs.core.node import Node, Wanted
from boxfs.core.options import CoreOptions
from boxfs.core.reading import FileVersion
from boxfs.core.tree import Tree
from boxfs.core.wanted import box_name
from boxfs.store.records import Records
from boxfs.store.spool import Spool
from tests.support.memoryremote import MemoryRemote

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
        data = b"".join(self._download.read_range(offset, min(offset + len(buffer), self.version.size)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None: ...


class Drive:
    def __init__(self, folder: Path, remote: MemoryRemote | None = None, **options: Any) -> None:
        self.remote = remote if remote is not None else MemoryRemote()
        self.options = CoreOptions(**options)
        self.tree = Tree(Records(folder), self.options)
        self.incoming = Incoming(self.tree, self.remote)
        self.spool = Spool(folder / "spool")
        self.reading = PlainReading(self.remote)
        self.fs = FileSystem(self.tree, self.spool, self.reading, self.incoming, self.remote.account)
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
        """Names of the spool's files."""
        return sorted(path.name for path in self.spool.folder.iterdir() if path.name.isdigit())

    # Box
    def push(self) -> None:
        """Send everything that is pending."""
        for _ in range(100):
            todo = sorted(self.tree.pending(), key=lambda node: (node.parent is not None, not node.is_folder, node.ino))
            if not todo:
                return
            for node in todo:
                fresh = self.tree.node(node.ino)
                if fresh is not None and self.tree.is_pending(node.ino):
                    self._push(fresh)
        raise AssertionError(f"still pending: {list(self.tree.pending())}")

    def _push(self, node: Node) -> None:
        wanted = self.tree.wanted(node)
        remote = node.remote
        if Wanted.DELETE in wanted:
            assert remote is not None
            with suppress(NotFound):  # it went with its folder
                self.remote.delete(remote.kind, remote.id, recursive=True)
            with self.tree.change() as change:
                change.remove(node.ino)
            return
        parent = self.tree.node(node.parent) if node.parent is not None else None
        assert parent is not None
        if parent.item_id is None:
            return
        edit = None
        if Wanted.CREATE in wanted and node.kind is Kind.FOLDER:
            item = self.remote.create_folder(parent.item_id, box_name(node))
        elif Wanted.CREATE in wanted or Wanted.CONTENT in wanted:
            sending = self.fs.files.sending(node.ino)
            try:
                body, edit = whole(sending), sending.edit
                if remote is None:
                    item = self.remote.upload_file(
                        parent.item_id, box_name(node), body, sha1=sha1_of(body), mtime_ns=node.mtime_ns
                    )
                else:
                    assert node.content is not None
                    item = self.remote.upload_version(
                        remote.id, body, sha1=sha1_of(body), etag=node.content.base_etag, mtime_ns=node.mtime_ns
                    )
            finally:
                sending.close()
        elif wanted & (Wanted.PLACE | Wanted.TIME):
            assert remote is not None
            item = self.remote.update(
                remote.kind, remote.id, name=box_name(node), parent_id=parent.item_id, mtime_ns=node.mtime_ns
            )
        else:
            self._push_properties(node)
            return
        with self.tree.change() as change:
            change.acknowledge(node.ino, item, edit)

    def _push_properties(self, node: Node) -> None:
        from dataclasses import replace

        from boxfs.core.attributes import changes

        assert node.remote is not None
        known = self.remote.set_properties(
            node.kind, node.remote.id, changes(node, self.options), known=node.remote.properties
        )
        with self.tree.change() as change:
            change.acknowledge(node.ino, replace(node.remote, properties=known))


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
