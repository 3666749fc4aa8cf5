"""Upload sessions as they are kept: a row, a row for each part, and one file that the parts are written into.

A whole part is copied to its place in the file at once, so a commit only hashes it and gives it its name.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxfs.emulator import errors, times
from boxfs.emulator.context import Context
from boxfs.emulator.store import Store

MIB = 1 << 20
_DIGEST = re.compile(r"sha=([A-Za-z0-9+/=]+)", re.IGNORECASE)
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)$")


@dataclass(frozen=True, slots=True)
class Session:
    """A row of `sessions`.  parent: of a new file; file: of a new version."""

    id: str
    user: int
    parent: int | None
    file: int | None
    name: str
    size: int
    part_size: int
    expires_at: float
    state: str
    commits: int

    @property
    def total_parts(self) -> int:
        return -(-self.size // self.part_size)


@dataclass(frozen=True, slots=True)
class Part:
    id: str
    offset: int
    size: int
    sha1: str

    def as_json(self) -> dict[str, Any]:
        return {"part_id": self.id, "offset": self.offset, "size": self.size, "sha1": self.sha1}


def part_size(size: int, knob: int) -> int:
    """What the server dictates for a file of that size (trap 17)."""
    if knob:
        return knob
    return (8 if size < 1_000_000_000 else 32 if size < 4_000_000_000 else 64) * MIB


def represent(ctx: Context, session: Session) -> dict[str, Any]:
    url = f"{ctx.upload_base}/api/2.0/files/upload_sessions/{session.id}"
    (processed,) = ctx.store.db.execute("SELECT count(*) FROM parts WHERE session=?", (session.id,)).fetchone()
    return {
        "type": "upload_session",
        "id": session.id,
        "session_expires_at": times.zulu(session.expires_at),
        "part_size": session.part_size,
        "total_parts": session.total_parts,
        "num_parts_processed": processed,
        "session_endpoints": {
            "upload_part": url,
            "commit": f"{url}/commit",
            "abort": url,
            "list_parts": f"{url}/parts",
            "status": url,
            "log_event": f"{url}/log",
        },
    }


def get(store: Store, session: str) -> Session | None:
    row = store.db.execute(
        "SELECT id, user, parent, file, name, size, part_size, expires_at, state, commits FROM sessions WHERE id=?",
        (session,),
    ).fetchone()
    return Session(*row) if row else None


def parts(store: Store, session: str, limit: int = -1, offset: int = 0) -> list[Part]:
    """In the order of their offsets."""
    rows = store.db.execute(
        "SELECT id, offset, size, sha1 FROM parts WHERE session=? ORDER BY offset LIMIT ? OFFSET ?",
        (session, limit, offset),
    )
    return [Part(*row) for row in rows]


def forget(store: Store, session: str) -> None:
    """Drop the session with its parts."""
    store.db.execute("DELETE FROM parts WHERE session=?", (session,))
    store.db.execute("DELETE FROM sessions WHERE id=?", (session,))
    path = store.session_file(session)
    store.after_commit(lambda: path.unlink(missing_ok=True))


def digest_of(ctx: Context) -> str:
    """SHA-1 in hex that the Digest header gives in base64; the scheme is `sha` in any case (trap 14).  Raises 400."""
    match = _DIGEST.search(ctx.headers.get("digest", ""))
    if match is None:
        raise errors.missing("digest")
    try:
        return base64.b64decode(match[1], validate=True).hex()
    except ValueError:
        raise errors.bad_request("digest", "Invalid value") from None


def range_of(ctx: Context, session: Session) -> tuple[int, int]:
    """Offset and size of the part that Content-Range names: aligned and exact.  Raises 400, 416."""
    match = _RANGE.match(ctx.headers.get("content-range", "").strip())
    if match is None:
        raise errors.missing("content-range")
    first, last, total = (int(text) for text in match.groups())
    size = min(session.part_size, session.size - first)
    if total != session.size or first % session.part_size or first >= total or last - first + 1 != size:
        raise errors.ApiError(416, "invalid_range", "The range does not fit the upload session")
    return first, size


def hash_file(path: Path) -> str:
    """SHA-1 of a file in hex; for a thread of its own."""
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()


def splice(source: Path, target: Path, offset: int) -> None:
    """Copy a whole file into another at the offset, inside the kernel."""
    into = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        with source.open("rb", buffering=0) as file:
            left, at = os.fstat(file.fileno()).st_size, 0
            while left:
                done = os.copy_file_range(file.fileno(), into, left, at, offset + at)
                left, at = left - done, at + done
    finally:
        os.close(into)


class PartWriter:
    """Receives a part into a file of its own, hashing it."""

    def __init__(self, path: Path, size: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        self._at, self._end = 0, size
        self._hash = hashlib.sha1(usedforsecurity=False)

    def write(self, chunk: bytes) -> None:
        """Raises 416 for more bytes than the range has."""
        if self._at + len(chunk) > self._end:
            raise errors.ApiError(416, "invalid_range", "The body is longer than the range")
        self._hash.update(chunk)
        os.pwrite(self._fd, chunk, self._at)
        self._at += len(chunk)

    def finish(self) -> str:
        """The SHA-1 in hex.  Raises 416 for fewer bytes than the range has."""
        if self._at != self._end:
            raise errors.ApiError(416, "invalid_range", "The body is shorter than the range")
        return self._hash.hexdigest()

    def close(self) -> None:
        os.close(self._fd)
