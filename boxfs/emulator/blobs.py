"""Contents by SHA-1 under one folder: DIR/blobs/ab/abcdef….  A content is written once and never changed.

A content appears under its name by rename only, so what is there is whole.  `drop_if_unused` is for purges.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from pathlib import Path


class Incoming:
    """A content that is being received: bytes go to a file, the hash goes along."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file = path.open("wb", buffering=1 << 16)
        self._hash = hashlib.sha1(usedforsecurity=False)

    def write(self, chunk: bytes | memoryview) -> None:
        self._hash.update(chunk)
        self._file.write(chunk)
        self.size += len(chunk)

    def finish(self) -> str:
        """Close the file; return the SHA-1 in hex."""
        self._file.close()
        return self._hash.hexdigest()

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class Blobs:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs, self._incoming = root / "blobs", root / "incoming"
        self._folders: set[str] = set()
        self._blobs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._incoming, ignore_errors=True)  # what was being received when the process died
        self._incoming.mkdir()

    def path(self, sha1: str) -> Path:
        return self._blobs / sha1[:2] / sha1

    def spare(self) -> Path:
        """A path for a file that is gone after a restart."""
        return self._incoming / secrets.token_hex(12)

    def receive(self) -> Incoming:
        return Incoming(self.spare())

    def adopt(self, file: Path, sha1: str) -> None:
        """Make a finished file the content `sha1`; it is moved."""
        target = self.path(sha1)
        if target.exists():
            file.unlink()
            return
        if sha1[:2] not in self._folders:
            target.parent.mkdir(exist_ok=True)
            self._folders.add(sha1[:2])
        os.rename(file, target)

    def put(self, content: bytes) -> str:
        incoming = self.receive()
        incoming.write(content)
        sha1 = incoming.finish()
        self.adopt(incoming.path, sha1)
        return sha1

    def put_hole(self, size: int) -> str:
        """So many zeros, which take no disk."""
        spare = self.spare()
        with spare.open("wb") as file:
            file.truncate(size)
        sha1, zeros = hashlib.sha1(usedforsecurity=False), bytes(1 << 20)
        for at in range(0, size, len(zeros)):
            sha1.update(zeros[: size - at])
        self.adopt(spare, sha1.hexdigest())
        return sha1.hexdigest()

    def drop(self, sha1: str) -> None:
        self.path(sha1).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all contents."""
        self._folders.clear()
        for folder in (self._blobs, self._incoming):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            folder.mkdir()
