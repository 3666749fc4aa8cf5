"""SQLite on the mount, and what programs were told is safe when boxfs is killed under them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.support.mounting import Mounted, eventually

pytestmark = pytest.mark.fuse

JOURNALS = ("delete", "truncate", "persist", "memory", "wal", "off")
ROUNDS = 8 if os.environ.get("BOXFS_BIG") else 1


@pytest.fixture
def drive(mount: Callable[..., Mounted]) -> Mounted:
    return mount(options=["settle=0.2"])


def sound(path: Path) -> list[int]:
    """The numbers in the database, which is checked as a whole first."""
    with closing(sqlite3.connect(path, timeout=60)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [number for (number,) in db.execute("SELECT n FROM t ORDER BY n")]


@pytest.mark.parametrize("journal", JOURNALS)
def test_sqlite_works_in_every_journal_mode(journal: str, drive: Mounted, tmp_path: Path) -> None:
    path = drive.path / "a.db"
    with closing(sqlite3.connect(path, timeout=60)) as db, closing(sqlite3.connect(path, timeout=60)) as reader:
        assert db.execute(f"PRAGMA journal_mode={journal}").fetchone() == (journal,)
        db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
        for start in range(0, 400, 100):
            with db:
                db.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * 200) for n in range(start, start + 100)])
            assert reader.execute("SELECT count(*) FROM t").fetchone() == (start + 100,)
        if journal not in ("off", "memory"):
            db.execute("DELETE FROM t WHERE n >= 200")
            db.rollback()
        db.execute("VACUUM")
    assert drive.unmount().returncode == 0
    os.rename(drive.cache_dir, tmp_path / "old")
    drive.start()
    assert sound(path) == list(range(400))


def has_lines(path: Path, count: int) -> bool:
    return path.read_bytes().count(b"\n") >= count


WRITER = """
import os, sqlite3, sys
folder, journal = sys.argv[1:]
log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
db = sqlite3.connect(f"{folder}/a.db", isolation_level=None)
db.execute(f"PRAGMA journal_mode={journal}")
db.execute("PRAGMA synchronous=FULL")
db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, text TEXT)")
n = 0
while True:
    n += 1
    os.write(log, b"line %06d\\n" % n)
    os.fsync(log)
    print("line", n, flush=True)
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 3000))
    db.execute("COMMIT")
    print("row", n, flush=True)
"""


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_kill_9_loses_no_fsynced_line_and_no_committed_row(journal: str, drive: Mounted, tmp_path: Path) -> None:
    """The log and the database stay open all the time; what the writer printed had been promised to it."""
    for round_ in range(ROUNDS):
        folder = drive.path / f"round{round_}"
        folder.mkdir()
        said = tmp_path / f"said{round_}"
        with said.open("wb") as out:
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), journal],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
            )
        try:
            # Long enough that uploads of the open files have begun and ended meanwhile.
            eventually(partial(has_lines, said, 60), "sixty promises")
            drive.signal(signal.SIGKILL)
            drive.ended()
        finally:
            writer.kill()
            writer.wait()
        drive.close()
        drive.start()
        promised = [line.split() for line in said.read_text().splitlines()]
        lines = max(int(n) for what, n in promised if what == "line")
        rows = max(int(n) for what, n in promised if what == "row")
        kept = (folder / "log").read_bytes()
        assert kept[: lines * 12] == b"".join(b"line %06d\n" % n for n in range(1, lines + 1))
        found = sound(folder / "a.db")
        assert found[:rows] == list(range(1, rows + 1))
        assert len(found) <= rows + 1
    drive.sync()
    assert drive.unmount().returncode == 0
    os.rename(drive.cache_dir, tmp_path / "old")
    drive.start()
    assert sound(folder / "a.db") == found
