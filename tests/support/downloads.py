"""A Box that is only good for downloads: versions in memory, a record of what was asked, and faults by script."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator

from boxfs.base.errors import BadReply, NotFound
from boxfs.base.types import ItemId, VersionId
from boxfs.core.version import FileVersion

# Gets the chunks that would be right, yields what comes instead.
Fault = Callable[[Iterator[bytes]], Iterator[bytes]]


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def into(buffer: memoryview, chunks: Iterator[bytes]) -> Iterator[int]:
    """`Download.read_into` of bytes that come in chunks."""
    at = 0
    with contextlib.closing(chunks):  # type: ignore[type-var]
        for chunk in chunks:
            if at + len(chunk) > len(buffer):
                raise BadReply("more bytes than were asked for")
            buffer[at : at + len(chunk)] = chunk
            at += len(chunk)
            yield len(chunk)


class ScriptedBox:
    """Thread-safe.  `asked`: the ranges, as (version, start, stop), in order of asking."""

    def __init__(self, chunk: int = 64 * 1024) -> None:
        self.chunk = chunk
        self.versions: dict[str, bytes] = {}
        self.asked: list[tuple[str, int, int]] = []
        self.faults: deque[Fault] = deque()
        self.sent = 0
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def add(self, version_id: str, data: bytes, file_id: str = "1", *, sha1: bool = True) -> FileVersion:
        self.versions[version_id] = data
        digest = hashlib.sha1(data).hexdigest() if sha1 else None
        return FileVersion(ItemId(file_id), VersionId(version_id), len(data), digest)

    def download(self, file_id: ItemId, version_id: VersionId | None) -> _Download:
        assert version_id is not None
        return _Download(self, version_id)

    def read(self, version_id: str, start: int, stop: int) -> Iterator[bytes]:
        with self._lock:
            self.asked.append((version_id, start, stop))
            fault = self.faults.popleft() if self.faults else None
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            right = self._right(version_id, start, stop)
            yield from fault(right) if fault else right
        finally:
            with self._lock:
                self.at_once -= 1

    def _right(self, version_id: str, start: int, stop: int) -> Iterator[bytes]:
        if version_id not in self.versions:
            raise NotFound("404")
        data = self.versions[version_id]
        assert 0 <= start < stop <= len(data)
        for at in range(start, stop, self.chunk):
            piece = data[at : min(at + self.chunk, stop)]
            with self._lock:
                self.sent += len(piece)
            yield piece


class _Download:
    def __init__(self, box: ScriptedBox, version_id: str) -> None:
        self._box = box
        self._version_id = version_id

    def read_into(self, buffer: memoryview, start: int, *, background: bool = False) -> Iterator[int]:
        return into(buffer, self._box.read(self._version_id, start, start + len(buffer)))
