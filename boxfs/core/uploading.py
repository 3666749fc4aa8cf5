"""Uploading: one file's bytes to Box, as a new file, a new version, or a copy that Box makes.

What has gone wrong is raised; core/sending.py decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from boxfs.base.types import Etag, Ino, Item, ItemId, UploadSession, VersionId
from boxfs.core import attempts
from boxfs.core.attempts import Target
from boxfs.core.bodies import Contents, GivenUp, Outgoing, sha1_of, whole
from boxfs.core.chunked import CHUNKED_FROM, ChunkedUpload
from boxfs.core.node import Node
from boxfs.core.remote import Remote
from boxfs.core.tree import Tree


class NoBytes:
    """The Outgoing of a file without bytes: empty, a symlink, a fifo."""

    size = 0
    edit = 0
    stale = False
    is_copy = False
    copied_from: tuple[ItemId, VersionId] | None = None

    def read_at(self, offset: int, size: int) -> bytes:  # noqa: ARG002
        return b""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Prepared:
    """Bytes ready to be sent, with their digest.  stopped: tells that nobody wants it any more."""

    source: Outgoing
    edit: int | None  # None: the node has no content of its own
    stopped: Callable[[], bool]

    @cached_property
    def sha1(self) -> str:
        """The digest, read when first asked for: a copy that Box makes needs none.  As `Uploading.prepared` raises."""
        return sha1_of(whole(self.source, lambda: self.source.stale or self.stopped()))


class Uploading:
    def __init__(
        self,
        tree: Tree,
        remote: Remote,
        contents: Contents,
        *,
        stopped: Callable[[], bool],
        progress: Callable[[Ino, int, int], None],
        chunked_from: int = CHUNKED_FROM,
    ) -> None:
        self._tree, self._remote, self._contents = tree, remote, contents
        self._stopped = stopped
        self._progress = progress
        self._chunked_from = chunked_from

    @contextmanager
    def prepared(self, node: Node) -> Iterator[Prepared]:
        """Hold the node's bytes still; their digest is read when asked for.  Raises GivenUp, BaseGone, Unreachable."""
        source: Outgoing | None = NoBytes() if node.content is None else self._contents.outgoing(node.ino)
        if source is None:
            raise GivenUp("there is nothing to send any more")
        try:
            yield Prepared(source, source.edit if node.content is not None else None, self._stopped)
        finally:
            source.close()

    def new_file(self, node: Node, bytes_: Prepared, parent_id: ItemId, name: str) -> Item:
        """Raises NameTaken, NotFound (the folder), InDoubt, GivenUp and whatever Box refuses it for."""
        source = bytes_.source
        if source.size >= self._chunked_from:

            def begin(size: int) -> UploadSession:
                return self._remote.create_session(parent_id=parent_id, name=name, size=size)

            return self._chunked(node, bytes_, Target("new", parent_id, name), begin, None)
        attempts.begin(self._tree, node.ino, source.edit, bytes_.sha1)
        body = whole(source, lambda: source.stale or self._stopped())
        return self._remote.upload_file(parent_id, name, body, sha1=bytes_.sha1, mtime_ns=node.mtime_ns)

    def new_version(self, node: Node, bytes_: Prepared, file_id: ItemId, etag: Etag | None, name: str | None) -> Item:
        """Raises Changed where Box has moved on from `etag`, NotFound, and as `new_file`."""
        source = bytes_.source
        if source.size >= self._chunked_from:

            def begin(size: int) -> UploadSession:
                return self._remote.create_version_session(file_id, size=size, name=name)

            return self._chunked(node, bytes_, Target(file_id, "", name or ""), begin, etag)
        attempts.begin(self._tree, node.ino, source.edit, bytes_.sha1)
        body = whole(source, lambda: source.stale or self._stopped())
        return self._remote.upload_version(
            file_id, body, sha1=bytes_.sha1, etag=etag, name=name, mtime_ns=node.mtime_ns
        )

    def copy(self, source: Outgoing, parent_id: ItemId, name: str) -> Item | None:
        """Let Box copy a version; None where the bytes are not exactly one."""
        origin = source.copied_from
        if not source.is_copy or origin is None:
            return None
        file_id, version_id = origin
        return self._remote.copy_file(file_id, parent_id, name, version_id=version_id)

    def _chunked(
        self, node: Node, bytes_: Prepared, target: Target, begin: Callable[[int], UploadSession], etag: Etag | None
    ) -> Item:
        size = bytes_.source.size
        upload = ChunkedUpload(
            self._tree,
            self._remote,
            node.ino,
            bytes_.source,
            bytes_.sha1,
            target,
            open_session=begin,
            stopped=self._stopped,
            progress=lambda sent: self._progress(node.ino, sent, size),
        )
        return upload.run(mtime_ns=node.mtime_ns, etag=etag)
