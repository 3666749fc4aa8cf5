"""Bodies: what is sent to Box, as streams over a file's bytes here, whole or by part.

A `Source` gives bytes by position.  Where a large file was changed in places only, the source is the spool's extents
with the base version between them, read through the block cache: nothing is copied to disk for an upload.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from boxfs.base.errors import Changed, FsError, NotFound
from boxfs.base.types import Ino, ItemId, VersionId

CHUNK = 1 << 20


class Source(Protocol):
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Return all bytes of [offset, offset + size).  Raises Changed where a version below is gone at Box."""


@dataclass(frozen=True, slots=True)
class Empty:
    size: int = 0

    def read_at(self, offset: int, size: int) -> bytes:  # noqa: ARG002
        return b""


class GivenUp(FsError):
    """The bytes were changed while they were being sent, or sending was told to stop: nothing is wrong."""


class BaseGone(FsError):
    """The version under a partly changed file is not at Box any more (its file is in the trash)."""


class Stream(io.RawIOBase):
    """Reads [start, stop) of a source.  stopped: asked between reads; where it says so, the upload is given up."""

    def __init__(self, source: Source, start: int, stop: int, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._source, self._at, self._stop, self._stopped = source, start, stop, stopped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        want = min(len(buffer), self._stop - self._at)
        if want <= 0:
            return 0
        if self._stopped():
            raise GivenUp("the file was changed while it was being sent")
        try:
            data = self._source.read_at(self._at, want)
        except (Changed, NotFound) as error:
            raise BaseGone("the unchanged part of the file is not at Box any more") from error
        if len(data) != want:
            raise GivenUp("the file was cut while it was being sent")
        buffer[:want] = data
        self._at += want
        return want


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class RangeBody:
    """A Body over [start, start + size) of a source."""

    source: Source
    start: int
    size: int
    stopped: Callable[[], bool] = _never

    def open(self) -> BinaryIO:
        raw = Stream(self.source, self.start, self.start + self.size, self.stopped)
        return cast(BinaryIO, io.BufferedReader(raw, CHUNK))


def whole(source: Source, stopped: Callable[[], bool] = _never) -> RangeBody:
    return RangeBody(source, 0, source.size, stopped)


def sha1_of(body: RangeBody) -> str:
    """Return the hex digest of a body.  Raises GivenUp, BaseGone, and what reading a version raises."""
    digest = hashlib.sha1()
    with body.open() as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


class Outgoing(Source, Protocol):
    """The bytes of one edit, unchanged until `close`; or `stale`, and then they are not to be sent on.

    edit: of the node's content.  is_copy: they are exactly those of version `base_version` of file `base_file`.
    """

    edit: int
    stale: bool

    @property
    def is_copy(self) -> bool: ...

    @property
    def copied_from(self) -> tuple[ItemId, VersionId] | None:
        """(file, version) below the local bytes, None where all bytes are local."""

    def close(self) -> None: ...


class Contents(Protocol):
    """Who has the bytes (core/openfiles.py)."""

    def outgoing(self, ino: Ino) -> Outgoing | None:
        """Return the closed bytes of the inode for an upload, None where it holds none that Box has not."""

    def is_writing(self, ino: Ino) -> bool:
        """Tell whether a program has the file open for writing."""

    def is_open(self, ino: Ino) -> bool:
        """Tell whether a program has the file open at all."""
