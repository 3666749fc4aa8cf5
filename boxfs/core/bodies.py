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

from boxfs.base.errors import Changed

CHUNK = 1 << 20


class Source(Protocol):
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Return all bytes of [offset, offset + size).  Raises Changed where the file was cut meanwhile."""


@dataclass(frozen=True, slots=True)
class Empty:
    size: int = 0

    def read_at(self, offset: int, size: int) -> bytes:  # noqa: ARG002
        return b""


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
            raise Changed("the file was changed while it was being sent")
        data = self._source.read_at(self._at, want)
        if len(data) != want:
            raise Changed("the file was cut while it was being sent")
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
    """Return the hex digest of a body.  Raises Changed, and what reading its base raises."""
    digest = hashlib.sha1()
    with body.open() as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
