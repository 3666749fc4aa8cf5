"""The state of the emulator: one SQLite database (WAL) and the contents beside it.

One thread uses it: the event loop's.  A request's writes are one transaction, committed before its reply leaves, so
kill -9 loses nothing that was answered.  A handler that awaits must do all its writes after its last await.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boxfs.emulator.blobs import Blobs
from boxfs.emulator.names import fold
from boxfs.emulator.schema import FIRST_NUMBER, SCHEMA

KINDS = ("folder", "file", "web_link")
RANK = {kind: rank for rank, kind in enumerate(KINDS)}
FIRST_USER = 20_000_000_007


@dataclass
class Item:
    """A row of `items`: a folder, file or web link.  See schema.py for the columns."""

    pk: int
    number: int
    kind: str
    parent: int | None
    owner: int
    name: str
    folded: str
    rank: int
    etag: int
    created_at: int
    modified_at: int
    content_created_at: int
    content_modified_at: int
    created_by: int
    modified_by: int
    description: str
    trashed_at: int | None
    trashed_by: int | None
    size: int
    sha1: str | None
    version: int | None
    version_number: int | None
    url: str | None
    lock_json: str | None
    extra_json: str

    @property
    def id(self) -> str:
        """The id as Box tells it."""
        return "0" if self.number < 0 else str(self.number)

    @property
    def is_root(self) -> bool:
        return self.number < 0

    @cached_property
    def extra(self) -> dict[str, Any]:
        """What few items have: tags, shared_link, collections …  A copy; write with `Store.set_extra`."""
        return dict(json.loads(self.extra_json))

    @property
    def lock(self) -> dict[str, Any] | None:
        return json.loads(self.lock_json) if self.lock_json else None


COLUMNS = (
    "pk, number, kind, parent, owner, name, folded, rank, etag, created_at, modified_at, content_created_at, "
    "content_modified_at, created_by, modified_by, description, trashed_at, trashed_by, size, sha1, version, "
    "version_number, url, lock, extra"
)


@dataclass(frozen=True, slots=True)
class User:
    id: int
    name: str
    login: str
    created_at: int
    modified_at: int
    space_amount: int | None
    space_used: int
    extra_json: str

    @property
    def extra(self) -> dict[str, Any]:
        return dict(json.loads(self.extra_json))


USER_COLUMNS = "id, name, login, created_at, modified_at, space_amount, space_used, extra"


def pk_of(kind: str, number: int) -> int:
    return number * 4 + RANK[kind]


class Store:
    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.blobs = Blobs(root)
        (root / "sessions").mkdir(exist_ok=True)
        self.db = sqlite3.connect(root / "box.sqlite", check_same_thread=False, cached_statements=512)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")  # safe against kill -9; a power cut may cost the last moments
        self.db.execute("PRAGMA cache_size=-65536")
        self.db.execute("PRAGMA temp_store=MEMORY")
        self.add_schema(SCHEMA)
        self.ahead_s: Callable[[], float] = lambda: 0.0
        self._users: dict[int, User] = {}
        self._after_commit: list[Callable[[], None]] = []
        self._unused: set[str] = set()

    # Life

    def add_schema(self, sql: str) -> None:
        """Create tables of an area (CREATE … IF NOT EXISTS)."""
        self.db.executescript(sql)

    def commit(self) -> None:
        if self.db.in_transaction:
            self.db.commit()
        self._drop_unused()
        hooks, self._after_commit = self._after_commit, []
        for hook in hooks:
            hook()

    def rollback(self) -> None:
        self._after_commit.clear()
        self._users.clear()
        if self.db.in_transaction:
            self.db.rollback()
        self._drop_unused()

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call hook once the running transaction is on record; never if it is rolled back."""
        self._after_commit.append(hook)

    def close(self) -> None:
        self.rollback()
        self.db.close()

    def clear(self) -> None:
        """Forget everything."""
        self.rollback()
        tables = [r[0] for r in self.db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            if not table.startswith("sqlite_"):
                self.db.execute(f'DELETE FROM "{table}"')
        self.db.commit()
        self._users.clear()
        self.blobs.clear()
        for file in (self.root / "sessions").iterdir():
            file.unlink()

    def time(self) -> float:
        """Seconds since the epoch by the server's clock, which a knob can set ahead."""
        return time.time() + self.ahead_s()

    def now(self) -> int:
        return int(self.time())

    # Numbers

    def next_number(self, name: str, first: int = FIRST_NUMBER) -> int:
        """Next of a row of numbers.  Files, folders, web links, versions … each have their own (trap 2)."""
        row = self.db.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name, first),
        ).fetchone()
        return int(row[0])

    # Users

    def add_user(self, login: str, name: str | None = None, **extra: Any) -> User:
        """Make a user with an empty root."""
        now, number = self.now(), self.next_number("user", FIRST_USER)
        name = name or login.partition("@")[0].capitalize()
        self.db.execute(
            "INSERT INTO users (id, name, login, created_at, modified_at, extra) VALUES (?,?,?,?,?,?)",
            (number, name, login, now, now, json.dumps(extra)),
        )
        self.db.execute(
            "INSERT INTO items (pk, number, kind, parent, owner, name, folded, rank, created_at, modified_at, "
            "content_created_at, content_modified_at, created_by, modified_by) "
            "VALUES (?,?,'folder',NULL,?,'All Files','all files',0,?,?,?,?,?,?)",
            (pk_of("folder", -number), -number, number, now, now, now, now, number, number),
        )
        return self.user(number)

    def user(self, number: int) -> User:
        """Raises KeyError."""
        found = self._users.get(number)
        if found is None:
            row = self.db.execute(f"SELECT {USER_COLUMNS} FROM users WHERE id=?", (number,)).fetchone()
            if row is None:
                raise KeyError(number)
            found = self._users[number] = User(*row)
        return found

    def forget_users(self) -> None:
        """Users were deleted: read them again."""
        self._users.clear()

    def user_by_login(self, login: str) -> User | None:
        row = self.db.execute("SELECT id FROM users WHERE login=?", (login,)).fetchone()
        return self.user(row[0]) if row else None

    def users(self) -> list[User]:
        return [User(*row) for row in self.db.execute(f"SELECT {USER_COLUMNS} FROM users ORDER BY id")]

    def update_user(self, number: int, **values: Any) -> User:
        self.db.execute(
            f"UPDATE users SET {', '.join(f'{k}=?' for k in values)} WHERE id=?", (*values.values(), number)
        )
        self._users.pop(number, None)
        return self.user(number)

    # Items

    def item(self, kind: str, number: int) -> Item | None:
        return self.by_pk(pk_of(kind, number))

    def by_pk(self, pk: int) -> Item | None:
        row = self.db.execute(f"SELECT {COLUMNS} FROM items WHERE pk=?", (pk,)).fetchone()
        return Item(*row) if row else None

    def child(self, parent: int, name: str) -> Item | None:
        """The untrashed item that holds the name (folded) in the folder."""
        row = self.db.execute(
            f"SELECT {COLUMNS} FROM items WHERE parent=? AND folded=? AND trashed_at IS NULL", (parent, fold(name))
        ).fetchone()
        return Item(*row) if row else None

    def children(self, parent: int) -> Iterator[Item]:
        """Untrashed children: folders, files, web links, each by name."""
        rows = self.db.execute(
            f"SELECT {COLUMNS} FROM items WHERE parent=? AND trashed_at IS NULL ORDER BY rank, folded", (parent,)
        )
        return (Item(*row) for row in rows.fetchall())

    def ancestors(self, item: Item) -> list[Item]:
        """From the top down to the parent.  The top is a root, or a folder whose parent was purged."""
        found: list[Item] = []
        parent = item.parent
        while parent is not None:
            folder = self.by_pk(parent * 4)
            if folder is None:
                break
            found.append(folder)
            parent = folder.parent
        found.reverse()
        return found

    def insert_item(self, **values: Any) -> Item:
        """Add a row; size goes up the tree and into the owner's space."""
        values["folded"] = fold(values["name"])
        values["rank"] = RANK[values["kind"]]
        values["pk"] = pk_of(values["kind"], values["number"])
        marks = ", ".join("?" * len(values))
        self.db.execute(f"INSERT INTO items ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
        if values.get("size"):
            self.grow(values["parent"], values["size"])
            self.use_space(values["owner"], values["size"])
        item = self.by_pk(values["pk"])
        assert item is not None
        return item

    def update_item(self, pk: int, **values: Any) -> Item:
        """Change columns of a row.  Sizes of folders are the caller's business (`grow`)."""
        if "name" in values:
            values["folded"] = fold(values["name"])
        self.db.execute(f"UPDATE items SET {', '.join(f'{k}=?' for k in values)} WHERE pk=?", (*values.values(), pk))
        item = self.by_pk(pk)
        assert item is not None
        return item

    def set_extra(self, item: Item, **values: Any) -> Item:
        """Set (None: remove) keys of the item's extra."""
        extra = {k: v for k, v in (item.extra | values).items() if v is not None}
        return self.update_item(item.pk, extra=json.dumps(extra))

    def grow(self, folder: int | None, size: int) -> None:
        """Add size (may be negative) to the folder and all above it."""
        if folder is None or not size:
            return
        self.db.execute(
            "WITH RECURSIVE up(number) AS (SELECT ? UNION ALL SELECT items.parent FROM items, up "
            "WHERE items.pk = up.number * 4 AND items.parent IS NOT NULL AND items.trashed_at IS NULL) "
            "UPDATE items SET size = size + ? WHERE pk IN (SELECT number * 4 FROM up)",
            (folder, size),
        )

    def use_space(self, user: int, size: int) -> None:
        self.db.execute("UPDATE users SET space_used = space_used + ? WHERE id=?", (size, user))
        self._users.pop(user, None)

    def subtree(self, folder: int) -> list[Item]:
        """Everything below the folder but what was trashed on its own, parents first."""
        found: list[Item] = []
        queue = [folder]
        while queue:
            here = queue.pop()
            for item in self.children(here):
                found.append(item)
                if item.kind == "folder":
                    queue.append(item.number)
        return found

    # Contents

    def unused(self, sha1: str) -> None:
        """A version with that content is gone, or may not come: drop the content if none has it in the end."""
        self._unused.add(sha1)

    def _drop_unused(self) -> None:
        for sha1 in self._unused:
            if self.db.execute("SELECT 1 FROM versions WHERE sha1=? LIMIT 1", (sha1,)).fetchone() is None:
                self.blobs.drop(sha1)
        self._unused.clear()

    def session_file(self, session: str) -> Path:
        return self.root / "sessions" / session

    def disk_free(self) -> int:
        stat = os.statvfs(self.root)
        return stat.f_bavail * stat.f_frsize
