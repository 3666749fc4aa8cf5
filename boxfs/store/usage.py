"""Usage: how much the block cache takes and what was used longest ago.  Accounting only: losing it loses no block.

One SQLite table, written in batches and never synced.  What it cannot take (a full disk) is kept in memory and tried
again.  A cache that was not closed in order, or with something left to be written, is counted again from its files
(`found`, by the owner).  Not thread-safe: the owner holds its lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
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
CREATE TABLE IF NOT EXISTS proven (key TEXT PRIMARY KEY) WITHOUT ROWID;  -- whole, and of the right sha1
CREATE TABLE IF NOT EXISTS clean (closed INTEGER);  -- one row: the numbers are right
"""


class Use(NamedTuple):
    key: str
    number: int
    bytes: int


BATCH = 1000

_GROW = """
INSERT INTO segment (key, number, bytes, used_s, pinned)
VALUES (?1, ?2, ?3, ?4, EXISTS (SELECT 1 FROM pin WHERE pin.key = ?1))
ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, used_s = max(used_s, excluded.used_s)
"""
_AT_LEAST = _GROW.replace("bytes + excluded.bytes", "max(bytes, excluded.bytes)")


class Usage:
    def __init__(self, path: Path) -> None:
        """Open the table, or begin a new one where it is not readable.  Raises OSError where nothing can be written."""
        self._pending: dict[tuple[str, int], tuple[int, int]] = {}  # (key, number) -> bytes added, used_s
        self._gone: set[tuple[str, int]] = set()  # removed, but the table still has them
        self._due = BATCH  # when so many are pending they are written
        try:
            self._begin(path)
        except sqlite3.DatabaseError:
            for name in (path.name, path.name + "-wal", path.name + "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    (path.parent / name).unlink()
            try:
                self._begin(path)
            except sqlite3.DatabaseError:  # a full or read-only disk: count in memory
                self._begin(":memory:")
        self._write("DELETE FROM clean")

    def _begin(self, path: Path | str) -> None:
        self._db = self._open(path)
        try:
            self.was_clean = self._db.execute("SELECT 1 FROM clean").fetchone() is not None
            self._pins = {str(row[0]) for row in self._db.execute("SELECT key FROM pin")}
            self._count()
        except sqlite3.DatabaseError:
            self._db.close()
            raise

    def _count(self) -> None:
        every, pinned = self._db.execute(
            "SELECT coalesce(sum(bytes), 0), coalesce(sum(bytes * pinned), 0) FROM segment"
        ).fetchone()
        self.total, self.pinned_bytes = int(every), int(pinned)

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

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]] = ((),)) -> bool:
        """Do all of it or nothing; return whether it could be done."""
        try:
            self._db.execute("BEGIN")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError:
            with contextlib.suppress(sqlite3.DatabaseError):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            return False
        return True

    def add(self, key: str, number: int, more_bytes: int, used_s: float) -> None:
        """The segment grew by `more_bytes` (0: it was only used)."""
        before = self._pending.get((key, number), (0, 0))
        self._pending[(key, number)] = (before[0] + more_bytes, max(before[1], int(used_s)))
        self._grow(key, more_bytes)
        if len(self._pending) >= self._due:
            self.flush()

    def _grow(self, key: str, more_bytes: int) -> None:
        self.total = max(0, self.total + more_bytes)
        if key in self._pins:
            self.pinned_bytes = max(0, self.pinned_bytes + more_bytes)

    def flush(self) -> bool:
        """Write down what is pending; return whether nothing is left."""
        if self._gone and self._write("DELETE FROM segment WHERE key = ? AND number = ?", self._gone):
            self._gone.clear()
        rows = [(key, number, size, used) for (key, number), (size, used) in self._pending.items()]
        if rows and not self._gone and self._write(_GROW, rows):
            self._pending.clear()
        self._due = len(self._pending) + BATCH
        return not self._pending and not self._gone

    def oldest(self, count: int) -> list[Use]:
        """Return unpinned segments, the one used longest ago first."""
        found = self._select("WHERE pinned = 0 ORDER BY used_s LIMIT ?", count, lambda key: key not in self._pins)
        return found[:count]

    def of(self, key: str) -> list[Use]:
        return self._select("WHERE key = ?", key, key.__eq__)

    def _select(self, where: str, value: object, wanted: Callable[[str], bool]) -> list[Use]:
        """What the table names, and then what it could not take yet."""
        known: dict[tuple[str, int], int] = {}
        if not self.flush():
            recent = sorted(self._pending.items(), key=lambda each: each[1][1])
            known = {place: size for place, (size, _) in recent if wanted(place[0])}
        found: list[Use] = []
        with contextlib.suppress(sqlite3.DatabaseError):
            for key, number, size in self._db.execute(f"SELECT key, number, bytes FROM segment {where}", (value,)):
                if (key, number) not in self._gone and wanted(key):
                    found.append(Use(key, number, size + known.pop((key, number), 0)))
        return found + [Use(key, number, size) for (key, number), size in known.items()]

    def remove(self, uses: Iterable[Use]) -> int:
        """Forget segments that were unlinked; return their bytes."""
        freed = 0
        gone = list(uses)
        for use in gone:
            self._pending.pop((use.key, use.number), None)
            self._gone.add((use.key, use.number))
            self._grow(use.key, -use.bytes)
            freed += use.bytes
        self.flush()
        self._write("DELETE FROM proven WHERE key = ?", [(key,) for key in {use.key for use in gone}])
        return freed

    def pin(self, key: str, pinned: bool) -> None:
        if pinned == (key in self._pins):
            return
        held = sum(use.bytes for use in self.of(key))
        (self._pins.add if pinned else self._pins.discard)(key)
        self.pinned_bytes = max(0, self.pinned_bytes + (held if pinned else -held))
        self._write("INSERT OR IGNORE INTO pin VALUES (?)" if pinned else "DELETE FROM pin WHERE key = ?", [(key,)])
        self._write("UPDATE segment SET pinned = ? WHERE key = ?", [(int(pinned), key)])

    def prove(self, key: str, proven: bool) -> None:
        self._write(
            "INSERT OR IGNORE INTO proven VALUES (?)" if proven else "DELETE FROM proven WHERE key = ?", [(key,)]
        )

    def is_proven(self, key: str) -> bool:
        with contextlib.suppress(sqlite3.DatabaseError):
            return self._db.execute("SELECT 1 FROM proven WHERE key = ?", (key,)).fetchone() is not None
        return False

    def pins(self) -> list[str]:
        return list(self._pins)

    def found(self, on_disk: Iterable[tuple[str, int, int, float]]) -> None:
        """Correct the numbers by what is on disk: (key, number, bytes, used_s).

        Upwards only: a segment may have grown since somebody looked.
        """
        rows = [(key, number, size, int(used_s)) for key, number, size, used_s in on_disk]
        if self.flush() and self._write(_AT_LEAST, rows):
            with contextlib.suppress(sqlite3.DatabaseError):
                self._count()

    def all(self) -> list[Use]:
        return self._select("WHERE ?", 1, lambda _key: True)

    def clear(self) -> None:
        uses = [] if self._write("DELETE FROM segment") else self.all()
        self._gone = {(use.key, use.number) for use in uses}
        self._pending.clear()
        self.total = self.pinned_bytes = 0

    def close(self) -> None:
        if self.flush():
            self._write("INSERT INTO clean VALUES (1)")
        self._db.close()
