"""Bytes on their way up (bodies of whatever the caller has) and down (checked streams)."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from boxfs.api.http import Body, Bytes
from boxfs.base.errors import BadReply

# What a caller may give: bytes, the path of a file, or a binary stream (also one that cannot seek).
Source = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileBody:
    """A Body: `size` bytes of a file from `offset` on.  Each `open` has a file position of its own."""

    path: Path
    size: int
    offset: int = 0

    def open(self) -> BinaryIO:
        stream = self.path.open("rb")
        stream.seek(self.offset)
        return stream


@dataclass(frozen=True, slots=True)
class Slice:
    """A Body: a piece of another one."""

    whole: Body
    offset: int
    size: int

    def open(self) -> BinaryIO:
        stream = self.whole.open()
        stream.seek(self.offset)
        return stream


@contextmanager
def body_of(source: Source) -> Iterator[Body]:
    """Give a Body for what the caller has; a stream is read to its end into a temporary file first."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield Bytes(bytes(source))
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        yield FileBody(path, path.stat().st_size)
    else:
        with tempfile.NamedTemporaryFile(prefix="boxfs-upload-", buffering=PIECE_BYTES) as spool:
            while piece := source.read(PIECE_BYTES):
                spool.write(piece)
            spool.flush()
            yield FileBody(Path(spool.name), spool.tell())


def sha1_of(body: Body) -> str:
    """Return the SHA-1 in hex, by which Box and we know that all arrived (no security rests on it)."""
    digest = hashlib.sha1(usedforsecurity=False)
    left = body.size
    with body.open() as stream:
        while left and (piece := stream.read(min(PIECE_BYTES, left))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


class Content(io.RawIOBase):
    """A download as a file object: read it, iterate over `pieces()`, close it (or use `with`).

    sha1, size: of the whole; checked at the end, and a difference raises BadReply, so that nothing short or broken is
    taken as whole.  None: Box gave nothing to check by.
    """

    def __init__(
        self, pieces: Iterator[bytes], close: Callable[[], None], *, sha1: str | None = None, size: int | None = None
    ) -> None:
        self._pieces = pieces
        self._close = close
        self._sha1 = sha1
        self._size = size
        self._digest = hashlib.sha1(usedforsecurity=False)
        self._got = 0
        self._rest = b""
        self._ended = False

    def pieces(self) -> Iterator[bytes]:
        """Yield what is left, in pieces as they come."""
        while piece := self._next():
            yield piece

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._next()
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(piece))
        view[:count] = piece[:count]
        self._rest = piece[count:]
        return count

    def readall(self) -> bytes:
        return b"".join(self.pieces())

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()

    def _next(self) -> bytes:
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        for piece in self._pieces:
            if piece:
                self._got += len(piece)
                self._digest.update(piece)
                return piece
        if not self._ended:
            self._ended = True
            self._check()
        return b""

    def _check(self) -> None:
        if self._size is not None and self._got != self._size:
            raise BadReply(f"the download ended after {self._got} of {self._size} bytes")
        if self._sha1 is not None and self._digest.hexdigest() != self._sha1:
            raise BadReply("the download is not what Box holds: the sha1 differs")


def as_stream(content: Content) -> BinaryIO:
    """Return the same as a buffered stream with `read(n)` that gives n bytes, `readline` and so on."""
    return cast(BinaryIO, io.BufferedReader(content, PIECE_BYTES))
