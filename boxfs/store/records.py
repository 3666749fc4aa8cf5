"""Records: the local state on disk, one SQLite file.  See store/schema.py for what the columns mean.

It stores and finds rows and knows nothing of what they stand for.  Not thread-safe by itself: the tree's lock guards
every call but `sync`, which may run beside them.  Nothing is written outside begin/commit.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from boxfs.base.errors import FsError, NoSpace
from boxfs.store.lasting import disk_error, make_folder, sync_names
from boxfs.store.schema import INDEXES, NODE_COLUMNS, TABLES, UNTOUCHED, VERSION

NodeRow = tuple[Any, ...]  # in the order of NODE_COLUMNS
ToldRow = tuple[Any, ...]  # in the order of TOLD_COLUMNS

BALLAST_BYTES = 1 << 20  # room for some thousands of deletions on a disk that is full

_COLUMNS = ", ".join(NODE_COLUMNS)
_PUT = f"INSERT OR REPLACE INTO nodes ({_COLUMNS}) VALUES ({', '.join('?' * len(NODE_COLUMNS))})"
_TOLD = f"({', '.join(UNTOUCHED.get(name, '?') for name in NODE_COLUMNS)})"
# Rows of one statement, which is one step without the interpreter's lock: row by row, it is lost to other threads at
# each.  SQLite takes 32,766 parameters in one, old builds 999.
_TOGETHER = (32, 8, 1)


class RecordsDamaged(FsError):
    """The state file cannot be read; it was moved aside.  The message says where and what to do."""


class _Taken(FsError):
    """There is such a row already."""


class Records:
    def __init__(self, folder: Path) -> None:
        """Open or make `folder`/state.db.  Raises RecordsDamaged, NoSpace, FsError where the folder is unusable."""
        self.folder = folder
        self.path = folder / "state.db"
        self._ballast = folder / "ballast"
        self._has_ballast = False
        self._wal_fd = -1
        try:
            make_folder(folder)
        except OSError as error:
            raise FsError(f"cannot make the folder {folder}: {error.strerror}") from error
        try:
            self._open()
        except sqlite3.OperationalError as error:
            raise _translated(error, self.path) from error
        except sqlite3.DatabaseError as error:
            raise self._moved_aside(error) from error
        self.keep_ballast()

    def _open(self) -> None:
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            os.chmod(self.path, 0o600)
            execute = self._db.execute
            execute("PRAGMA locking_mode = EXCLUSIVE")  # one process per state; spares each transaction its file locks
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = NORMAL")  # `sync` makes a commit durable where somebody asks for it
            execute("PRAGMA wal_autocheckpoint = 4000")
            execute("PRAGMA cache_size = -16000")
            execute("PRAGMA temp_store = MEMORY")
            (version,) = execute("PRAGMA user_version").fetchone()
            if version == 0:
                execute("BEGIN IMMEDIATE")
                for statement in TABLES:
                    execute(statement)
                execute(f"PRAGMA user_version = {VERSION}")
                execute("COMMIT")
            elif version != VERSION:
                raise FsError(
                    f"the local state {self.path} was written by another boxfs (format {version}, this one reads "
                    f"{VERSION}): use that one to upload what is pending, then remove the file"
                )
            for statement in INDEXES:
                execute(statement)
            # Every table and index is touched once: damage shows here, not in the middle of somebody's work.
            execute("SELECT count(*) FROM nodes WHERE pending = 1").fetchone()
            execute("SELECT max(ino) FROM nodes").fetchone()
            execute("SELECT count(*) FROM facts").fetchone()
            execute("SELECT max(number) FROM spools").fetchone()
        except BaseException:
            self._db.close()
            raise

    def _moved_aside(self, error: Exception) -> RecordsDamaged:
        """Move the damaged state out of the way, with a spool that lies in its folder.

        One that lies elsewhere is set aside by core/recovery.py, as it belongs to no records then: no sweep touches it.
        """
        aside = self.folder / time.strftime("damaged-%Y%m%d-%H%M%S")
        aside.mkdir(exist_ok=True)
        for name in ("state.db", "state.db-wal", "state.db-shm", "spool"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.folder / name, aside / name)
        return RecordsDamaged(
            f"the local state is damaged ({error}); it was moved to {aside}. What was not uploaded yet stays on this "
            "disk: start again to go on without it; it is moved out of the way then, and the log says where to"
        )

    def close(self) -> None:
        if self._wal_fd >= 0:
            os.close(self._wal_fd)
            self._wal_fd = -1
        self._db.close()

    # Transactions

    def begin(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # SQLite rolls back by itself where the disk is full
            self._db.execute("ROLLBACK")

    def release_ballast(self) -> bool:
        """Give the disk the room that was kept for deletions; return whether there was any."""
        self._has_ballast = False
        try:
            self._ballast.unlink()
        except OSError:
            return False
        return True

    def keep_ballast(self) -> None:
        """Take room for deletions, if there is none taken and the disk has it."""
        if self._has_ballast:
            return
        try:
            fd = os.open(self._ballast, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(fd, 0, BALLAST_BYTES)
            finally:
                os.close(fd)
            self._has_ballast = True
        except OSError:  # a full disk: there is none to keep
            with contextlib.suppress(OSError):
                self._ballast.unlink()

    def sync(self) -> None:
        """Make every commit so far survive a power cut.  Needs no lock.  Raises NoSpace, FsError."""
        try:
            if self._wal_fd < 0:
                self._open_log()
            # A checkpoint beside this has the log and then the database written before it begins the log anew.
            os.fdatasync(self._wal_fd)
        except OSError as error:
            raise disk_error(error, self.path) from error

    def _open_log(self) -> None:
        fd = os.open(f"{self.path}-wal", os.O_RDONLY)
        try:
            sync_names(self.folder)  # the log's own name
            sync_names(self.folder.parent)
        except OSError:
            os.close(fd)
            raise
        if self._wal_fd < 0:
            self._wal_fd = fd
        else:
            os.close(fd)

    # Nodes

    def put_nodes(self, rows: Iterable[NodeRow]) -> None:
        self._many(_PUT, rows)

    def update_node(self, ino: int, columns: Mapping[str, Any]) -> bool:
        """Change some columns of a row; return whether there is one.  Those of no index cost a third of a whole row."""
        names = ", ".join([f"{name} = ?" for name in columns])
        return self._run(f"UPDATE nodes SET {names} WHERE ino = ?", *columns.values(), ino).rowcount == 1

    def add_told(self, rows: Sequence[ToldRow]) -> bool:
        """Store rows of items nothing of which was changed here.

        Returns False, with none of them stored, where one of the inodes or items has a row.
        """
        self._run("SAVEPOINT added")
        try:
            self._add_told(rows)
        except _Taken:
            self._run("ROLLBACK TO added")
            self._run("RELEASE added")
            return False
        self._run("RELEASE added")
        return True

    def _add_told(self, rows: Sequence[ToldRow]) -> None:
        at = 0
        for count in _TOGETHER:
            sql = f"INSERT INTO nodes ({_COLUMNS}) VALUES {', '.join([_TOLD] * count)}"
            while at + count <= len(rows):
                self._run(sql, *chain.from_iterable(rows[at : at + count]))
                at += count

    def remove_nodes(self, inos: Iterable[int]) -> None:
        self._many("DELETE FROM nodes WHERE ino = ?", ((ino,) for ino in inos))

    def node(self, ino: int) -> NodeRow | None:
        row: NodeRow | None = self._one(f"SELECT {_COLUMNS} FROM nodes WHERE ino = ?", ino)
        return row

    def nodes(self, inos: Sequence[int]) -> list[NodeRow]:
        """Return the rows of those of the inodes that have one."""
        sql = f"SELECT {_COLUMNS} FROM nodes WHERE ino IN"
        return [row for part in _parts(inos) for row in self._in(sql, part)]

    def by_item(self, kind: str, item_id: str) -> NodeRow | None:
        row: NodeRow | None = self._one(f"SELECT {_COLUMNS} FROM nodes WHERE kind = ? AND item_id = ?", kind, item_id)
        return row

    def inos_among(self, inos: Sequence[int]) -> set[int]:
        """Return those of the inode numbers that have a row."""
        return {ino for part in _parts(inos) for (ino,) in self._in("SELECT ino FROM nodes WHERE ino IN", part)}

    def items_among(self, kind: str, item_ids: Sequence[str]) -> set[str]:
        """Return those of the items that have a row."""
        sql = f"SELECT item_id FROM nodes WHERE kind = '{kind}' AND item_id IN"
        return {item_id for part in _parts(item_ids) for (item_id,) in self._in(sql, part)}

    def names(self, parent: int) -> list[tuple[Any, int]]:
        """Return (folded name, ino) of all children."""
        return self._all("SELECT folded, ino FROM nodes WHERE parent = ?", parent)

    def folders_in(self, parent: int) -> list[tuple[int, Any]]:
        """Return (ino, name) of those children that are folders."""
        return self._all("SELECT ino, name FROM nodes WHERE parent = ? AND kind = 'folder'", parent)

    def children(self, parent: int) -> list[NodeRow]:
        return self._all(f"SELECT {_COLUMNS} FROM nodes WHERE parent = ?", parent)

    def pending(self) -> list[NodeRow]:
        return self._all(f"SELECT {_COLUMNS} FROM nodes WHERE pending = 1")

    def pending_below(self, remote_parent: str) -> list[NodeRow]:
        """Return the pending rows whose item Box has in that folder."""
        return self._all(f"SELECT {_COLUMNS} FROM nodes WHERE pending = 1 AND remote_parent = ?", remote_parent)

    def count_nodes(self) -> int:
        return int(self._one("SELECT count(*) FROM nodes")[0])

    def folders(self, *, stale: bool) -> list[int]:
        """Return the folders that are stale, or else all that are complete."""
        which = "stale IS NOT NULL" if stale else "complete = 1"
        return [ino for (ino,) in self._all(f"SELECT ino FROM nodes WHERE kind = 'folder' AND {which}")]

    def spools_of_nodes(self) -> set[int]:
        return {number for (number,) in self._all("SELECT spool FROM nodes WHERE spool IS NOT NULL")}

    # Facts

    def fact(self, name: str) -> str | None:
        row = self._one("SELECT value FROM facts WHERE name = ?", name)
        return None if row is None else row[0]

    def set_fact(self, name: str, value: str | None) -> None:
        if value is None:
            self._run("DELETE FROM facts WHERE name = ?", name)
        else:
            self._run("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", name, value)

    # Spools

    def save_spool(self, number: int, extents: str) -> None:
        self._run("INSERT OR REPLACE INTO spools (number, extents) VALUES (?, ?)", number, extents)

    def spool(self, number: int) -> str | None:
        row = self._one("SELECT extents FROM spools WHERE number = ?", number)
        return None if row is None else row[0]

    def drop_spool(self, number: int) -> None:
        self._run("DELETE FROM spools WHERE number = ?", number)
        self._run("DELETE FROM facts WHERE name = ?", synced_fact(number))

    def spool_numbers(self) -> set[int]:
        return {number for (number,) in self._all("SELECT number FROM spools")}

    # Chunked uploads

    def save_session(self, ino: int, edit: int, session: str) -> None:
        """Begin the journal of an upload; what an earlier one of this inode left is forgotten."""
        self._run("DELETE FROM parts WHERE ino = ?", ino)
        self._run("INSERT OR REPLACE INTO sessions (ino, edit, session) VALUES (?, ?, ?)", ino, edit, session)

    def session(self, ino: int) -> tuple[int, str] | None:
        """Return (edit, session) of the upload under way."""
        row = self._one("SELECT edit, session FROM sessions WHERE ino = ?", ino)
        return None if row is None else (row[0], row[1])

    def sessions(self) -> list[tuple[int, int, str]]:
        return self._all("SELECT ino, edit, session FROM sessions")

    def save_part(self, ino: int, offset: int, part: str) -> None:
        self._run("INSERT OR REPLACE INTO parts (ino, offset, part) VALUES (?, ?, ?)", ino, offset, part)

    def parts(self, ino: int) -> list[tuple[int, str]]:
        """Return (offset, part) in order."""
        return self._all("SELECT offset, part FROM parts WHERE ino = ? ORDER BY offset", ino)

    def drop_session(self, ino: int) -> None:
        self._run("DELETE FROM sessions WHERE ino = ?", ino)
        self._run("DELETE FROM parts WHERE ino = ?", ino)

    # The cache

    def drop_clean(self, keep: Sequence[int]) -> int:
        """Forget every row that is not pending, but `keep` and the folders above what is pending; return how many."""
        marks = ", ".join("?" * len(keep))
        before = self.count_nodes()
        self._run(
            f"""WITH RECURSIVE kept(ino) AS (
                  SELECT ino FROM nodes WHERE pending = 1 OR ino IN ({marks})
                  UNION SELECT nodes.parent FROM nodes JOIN kept ON nodes.ino = kept.ino
                        WHERE nodes.parent IS NOT NULL)
                DELETE FROM nodes WHERE ino NOT IN (SELECT ino FROM kept WHERE ino IS NOT NULL)""",
            *keep,
        )
        self._run("UPDATE nodes SET complete = 0 WHERE kind = 'folder' AND item_id IS NOT NULL")
        return before - self.count_nodes()

    # SQLite

    def _run(self, sql: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def _many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def _in(self, sql: str, values: Sequence[object]) -> list[Any]:
        return self._all(f"{sql} ({', '.join('?' * len(values))})", *values)

    def _one(self, sql: str, *values: object) -> Any:
        return self._run(sql, *values).fetchone()

    def _all(self, sql: str, *values: object) -> list[Any]:
        return self._run(sql, *values).fetchall()


def synced_fact(number: int) -> str:
    """Return the name of the fact that says what of a spool file was fsynced."""
    return f"synced:{number}"


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(values), 500):  # SQLite takes 32,766 parameters, old builds 999
        yield values[at : at + 500]


def _translated(error: sqlite3.Error, path: Path) -> FsError:
    if isinstance(error, sqlite3.IntegrityError):
        return _Taken(f"a row is in {path} already")
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return NoSpace(f"the disk that holds {path} is full")
    if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
        return FsError(f"another process uses {path}")
    return FsError(f"the local state {path} cannot be used: {error}")
