"""Usage: how much the block cache takes and what was used longest ago.  Accounting only: losing it loses no block.

One SQLite table, written in batches and never synced.  A cache that was not closed in order is counted again from its
files (`found`, by the owner).  Not thread-safe: the owner holds its lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    key     TEXT NOT NULL,      -- of the version, see blocks.py
    number  INTEGER NOT NULL,   -- of the segment within the version, from 0
    bytes   INTEGER NOT NULL,   -- what it costs on disk, rounded up
    used_s  INTEGER NOT NULL,   -- Unix time of the last use, as far as known
    pinned  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segment_by_use ON segment (pinned, used_s);
CREATE TABLE IF NOT EXISTS pin (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clean (closed INTEGER);  -- one row: the numbers are right
"""


class Use(NamedTuple):
    key: str
    number: int
    bytes: int


class Usage:
    def __init__(self, path: Path) -> None:
        """Open the table, or begin a new one where it is not readable.  Raises OSError where nothing can be written."""
        try:
            self._db = self._open(path)
        except sqlite3.DatabaseError:
            for name in (path.name, path.name + "-wal", path.name + "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    (path.parent / name).unlink()
            try:
                self._db = self._open(path)
            except sqlite3.DatabaseError:  # a full or read-only disk: count in memory
                self._db = self._open(":memory:")
        self.was_clean = self._db.execute("SELECT 1 FROM clean").fetchone() is not None
        self._write("DELETE FROM clean")
        self.total: int = self._db.execute("SELECT coalesce(sum(bytes), 0) FROM segment").fetchone()[0]
        self._pending: dict[tuple[str, int], tuple[int, int]] = {}  # (key, number) -> bytes added, used_s

    @staticmethod
    def _open(path: Path | str) -> sqlite3.Connection:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA cache_size = -2000")
            db.executescript(_SCHEMA)
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]] | None = None) -> None:
        """Best effort: a number that cannot be written (full disk) is counted again some day."""
        with contextlib.suppress(sqlite3.DatabaseError):
            if rows is None:
                self._db.execute(statement)
                return
            self._db.execute("BEGIN")
            try:
                self._db.executemany(statement, rows)
            finally:
                self._db.execute("COMMIT")

    def add(self, key: str, number: int, more_bytes: int, used_s: float) -> None:
        """The segment grew by `more_bytes` (0: it was only used)."""
        before = self._pending.get((key, number), (0, 0))
        self._pending[(key, number)] = (before[0] + more_bytes, max(before[1], int(used_s)))
        self.total += more_bytes
        if len(self._pending) >= 1000:
            self.flush()

    def flush(self) -> None:
        pending, self._pending = self._pending, {}
        self._write(
            "INSERT INTO segment (key, number, bytes, used_s, pinned)"
            " VALUES (?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM pin WHERE pin.key = ?1))"
            " ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, used_s = max(used_s, excluded.used_s)",
            [(key, number, size, used) for (key, number), (size, used) in pending.items()],
        )

    def oldest(self, count: int) -> list[Use]:
        """Return unpinned segments, the one used longest ago first."""
        return self._select("WHERE pinned = 0 ORDER BY used_s LIMIT ?", count)

    def of(self, key: str) -> list[Use]:
        return self._select("WHERE key = ?", key)

    def _select(self, where: str, value: object) -> list[Use]:
        """A table that cannot be read names nothing: then nothing is evicted, and what needs room is not stored."""
        self.flush()
        with contextlib.suppress(sqlite3.DatabaseError):
            rows = self._db.execute(f"SELECT key, number, bytes FROM segment {where}", (value,))
            return [Use(*row) for row in rows]
        return []

    def remove(self, uses: Iterable[Use]) -> int:
        """Forget segments that were unlinked; return their bytes."""
        gone = list(uses)
        self._write("DELETE FROM segment WHERE key = ? AND number = ?", [(use.key, use.number) for use in gone])
        freed = sum(use.bytes for use in gone)
        self.total = max(0, self.total - freed)
        return freed

    def pin(self, key: str, pinned: bool) -> None:
        self.flush()
        self._write("INSERT OR IGNORE INTO pin VALUES (?)" if pinned else "DELETE FROM pin WHERE key = ?", [(key,)])
        self._write("UPDATE segment SET pinned = ? WHERE key = ?", [(int(pinned), key)])

    def pins(self) -> list[str]:
        with contextlib.suppress(sqlite3.DatabaseError):
            return [row[0] for row in self._db.execute("SELECT key FROM pin")]
        return []

    def found(self, on_disk: Iterable[tuple[str, int, int, float]]) -> None:
        """Correct the numbers by what is on disk: (key, number, bytes, used_s).

        Upwards only: a segment may have grown since somebody looked.
        """
        self.flush()
        self._write(
            "INSERT INTO segment (key, number, bytes, used_s, pinned)"
            " VALUES (?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM pin WHERE pin.key = ?1))"
            " ON CONFLICT DO UPDATE SET bytes = max(bytes, excluded.bytes), used_s = max(used_s, excluded.used_s)",
            [(key, number, size, int(used_s)) for key, number, size, used_s in on_disk],
        )
        self.total = self._db.execute("SELECT coalesce(sum(bytes), 0) FROM segment").fetchone()[0]

    def all(self) -> list[Use]:
        return self._select("WHERE ?", 1)

    def clear(self) -> None:
        self._pending.clear()
        self._write("DELETE FROM segment")
        self.total = 0

    def close(self) -> None:
        self.flush()
        self._write("INSERT INTO clean VALUES (1)")
        self._db.close()
