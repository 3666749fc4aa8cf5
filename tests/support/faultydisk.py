"""FaultyDisk: each step by which boxfs writes to this disk, counted; one of them, or all from one on, finds no room.

A step is a statement of SQLite's that writes, or a call to the system by the spool or by what makes things last.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Container
from typing import Any

import pytest

from boxfs.store import lasting, records, spool
from tests.support.drive import Drive

_READS = ("SELECT", "PRAGMA", "ROLLBACK")
_CALLS = ("pwrite", "posix_fallocate", "copy_file_range", "fdatasync", "fsync")


class FaultyDisk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []  # since it was armed
        self._armed = False
        self._failing: Container[int] = ()  # numbers of steps
        self._short = False  # a write is cut short before there is no room at all
        for module in (lasting, records, spool):
            monkeypatch.setattr(module, "os", _Calls(self))

    def watch(self, drive: Drive) -> None:
        held = drive.tree.records
        held._db = _Statements(held._db, self)  # type: ignore[assignment]

    def arm(self, step: int | None = None, *, lasting: bool = False, short: bool = False) -> None:
        """From here on steps are counted, and that one fails; with `lasting`, all from it on."""
        self.steps, self._armed, self._short = [], True, short
        self._failing = () if step is None else range(step, 1 << 30) if lasting else (step,)

    def disarm(self) -> None:
        self._armed = False

    def step(self, what: str) -> bool:
        """Count a step; return whether it fails."""
        if not self._armed:
            return False
        self.steps.append(what)
        return len(self.steps) - 1 in self._failing

    def is_short(self) -> bool:
        """Tell whether the step that fails is to do a part of its work; the next one then is not."""
        short, self._short = self._short, False
        return short


class _Calls:
    """The module os."""

    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name == "open":
            return self._open
        if name not in _CALLS:
            return real

        def call(*arguments: Any) -> Any:
            if self._disk.step(name):
                if name == "pwrite" and len(arguments[1]) > 1 and self._disk.is_short():
                    return real(arguments[0], arguments[1][:1], arguments[2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments)

        return call

    def _open(self, path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and not os.path.exists(path) and self._disk.step("open"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.open(path, flags, *mode)


class _Statements:
    """A connection of SQLite's, which ends the transaction by itself where it finds no room, as it may."""

    def __init__(self, real: sqlite3.Connection, disk: FaultyDisk) -> None:
        self._real, self._disk = real, disk

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self._step(sql)
        return self._real.execute(sql, *values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._step(sql)
        return self._real.executemany(sql, rows)

    def close(self) -> None:
        self._real.close()

    def _step(self, sql: str) -> None:
        if sql.lstrip().startswith(_READS) or not self._disk.step(" ".join(sql.split()[:3])):
            return
        if self._real.in_transaction:
            self._real.execute("ROLLBACK")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error
