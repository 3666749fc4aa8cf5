"""Reading: the bytes of file versions, from the block cache or from Box.

A reader is pinned to one version; what Box does with the file meanwhile does not reach it.  Nothing here knows inodes,
handles or dirty bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from boxfs.base.errors import Changed, NotFound
from boxfs.base.types import ItemId, VersionId
from boxfs.core.remote import Download, Remote

Progress = Callable[[int, int], None]  # bytes held, bytes in all


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Which bytes are meant.  sha1: hex, None where it is not known (then nothing is checked or shared)."""

    file_id: ItemId
    version_id: VersionId
    size: int
    sha1: str | None


class VersionReader(Protocol):
    """One open handle's view of one version."""

    version: FileVersion

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; return how many bytes, fewer than asked only at the end of the version.

        Raises Changed (ESTALE) where Box no longer has the version, Unreachable, Denied, BadReply; never gives bytes of
        another version.
        """

    def close(self) -> None: ...


class Reading:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def open(self, file_id: ItemId, version_id: VersionId, size: int, sha1: str | None) -> VersionReader:
        """Return a reader of that version.  Makes no call."""
        version = FileVersion(file_id, version_id, size, sha1)
        return _Direct(version, self._remote.download(file_id, version_id))

    def fetch_all(self, version: FileVersion, *, progress: Progress | None = None) -> None:
        """Bring the whole version into the cache.  Raises as `read_into` does, and NoSpace."""

    def cached_bytes(self, version: FileVersion) -> int:
        """Return how many bytes of the version can be read without Box."""
        return version.size * 0

    def pin(self, version: FileVersion) -> None:
        """Never evict this version's bytes."""

    def unpin(self, version: FileVersion) -> None: ...

    def evict(self, version: FileVersion) -> int:
        """Drop what the cache holds of the version (pinned or not); return the bytes freed."""
        return version.size * 0

    def adopt(self, version: FileVersion, source: BinaryIO) -> None:
        """Take the bytes of a version that we have just uploaded into the cache, so that they are not fetched again.

        Best effort: a full disk is no error.
        """

    def close(self) -> None:
        """Stop all fetching; readers that wait get Unreachable."""


class _Direct:
    def __init__(self, version: FileVersion, download: Download) -> None:
        self.version = version
        self._download = download

    def read_into(self, buffer: memoryview, offset: int) -> int:
        stop = min(offset + len(buffer), self.version.size)
        at = 0
        if offset >= stop:
            return 0
        try:
            for chunk in self._download.read_range(offset, stop):
                buffer[at : at + len(chunk)] = chunk
                at += len(chunk)
        except NotFound as error:
            raise Changed(f"version {self.version.version_id} is no longer at Box") from error
        return at

    def close(self) -> None: ...
