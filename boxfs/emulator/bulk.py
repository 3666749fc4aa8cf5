"""Fill an account with many items at once: a million take seconds, not hours.

Rows go in directly, past names, rights, quota and events; sizes of folders and the space used are right afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxfs.emulator.names import fold
from boxfs.emulator.schema import FIRST_NUMBER
from boxfs.emulator.store import RANK, Store, pk_of

BATCH = 20_000
SPARSE = 256 << 20  # files of this size and larger are zeros, and take no disk


def spread(
    folders: int, files: int, size: int, under: str = "/Bulk", branching: int = 100
) -> Iterator[tuple[str, int]]:
    """Entries for `load`: `folders` folders in groups of `branching`, with `files` files of `size` bytes each."""
    for number in range(folders):
        group = f"{under}/{number // branching:04d}" if folders > branching else under
        folder = f"{group}/d{number:06d}"
        for file in range(files):
            yield f"{folder}/f{file:05d}.dat", size


class _Loader:
    def __init__(self, store: Store, user: int) -> None:
        self.store, self.user, self.now = store, user, store.now()
        self._folders: dict[str, int] = {"": -user}
        self._parents: dict[int, int] = {}
        self._grown: dict[int, int] = {}
        self._items: list[tuple[object, ...]] = []
        self._versions: list[tuple[object, ...]] = []
        self._next = {name: self._counter(name) for name in ("folder", "file", "version")}
        self._sha1s: dict[int, str] = {}
        self.count = 0

    def _counter(self, name: str) -> int:
        row = self.store.db.execute("SELECT value FROM counters WHERE name=?", (name,)).fetchone()
        return int(row[0]) + 1 if row else FIRST_NUMBER

    def _number(self, name: str) -> int:
        self._next[name] += 1
        return self._next[name] - 1

    def folder(self, path: str) -> int:
        """Number of the folder at the path; made, with what is missing above it, where there is none."""
        known = self._folders.get(path)
        if known is not None:
            return known
        above, _, name = path.rpartition("/")
        parent = self.folder(above)
        there = self.store.child(parent, name) if parent not in self._parents else None
        if there is not None:
            number = there.number
        else:
            number = self._number("folder")
            self._row("folder", number, parent, name)
            self._parents[number] = parent
        self._folders[path] = number
        return number

    def file(self, path: str, size: int) -> None:
        above, _, name = path.rpartition("/")
        parent = self.folder(above)
        sha1 = self._sha1s.get(size)
        if sha1 is None:
            sha1 = self._sha1s[size] = self._content(size)
        number, version = self._number("file"), self._number("version")
        self._row("file", number, parent, name, size, sha1, version)
        self._versions.append((version, number, 1, sha1, name, size, self.now, self.now, self.user, self.now))
        self._grown[parent] = self._grown.get(parent, 0) + size

    def _content(self, size: int) -> str:
        if size >= SPARSE:
            return self.store.blobs.put_hole(size)
        return self.store.blobs.put((b"boxfs bulk content\n" * (size // 19 + 1))[:size])

    def _row(
        self, kind: str, number: int, parent: int, name: str, size: int = 0, sha1: str | None = None,
        version: int | None = None,
    ) -> None:  # fmt: skip
        now, user = self.now, self.user
        self._items.append(
            (pk_of(kind, number), number, kind, parent, user, name, fold(name), RANK[kind], now, now, now, now,
             user, user, size, sha1, version, None if version is None else 1)
        )  # fmt: skip
        self.count += 1
        if len(self._items) >= BATCH:
            self.flush()

    def flush(self) -> None:
        self.store.db.executemany(
            "INSERT INTO items (pk, number, kind, parent, owner, name, folded, rank, created_at, modified_at, "
            "content_created_at, content_modified_at, created_by, modified_by, size, sha1, version, version_number) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            self._items,
        )
        self.store.db.executemany(
            "INSERT INTO versions (id, file, number, sha1, name, size, created_at, modified_at, modified_by, "
            "content_modified_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
            self._versions,
        )
        self._items.clear()
        self._versions.clear()

    def finish(self) -> None:
        self.flush()
        self.store.db.executemany("INSERT OR REPLACE INTO counters VALUES (?,?)",
                                  [(name, value - 1) for name, value in self._next.items()])  # fmt: skip
        below = dict(self._grown)
        for number in sorted(self._parents, reverse=True):  # children were made after their parents
            parent = self._parents[number]
            below[parent] = below.get(parent, 0) + below.get(number, 0)
        made = [(below[number], number * 4) for number in self._parents if below.get(number)]
        self.store.db.executemany("UPDATE items SET size=? WHERE pk=?", made)
        for number, size in below.items():
            if number not in self._parents:
                self.store.grow(number, size)
        self.store.use_space(self.user, sum(self._grown.values()))


def load(store: Store, user: int, entries: Iterable[tuple[str, int | None]]) -> int:
    """Put items below a user's root: (path, size of a file) or (path, None) for a folder.  Missing folders are made.

    Files of one size share one content, from SPARSE on a hole.  Nothing of it may be there already.  Commits.  Returns
    how many were made.
    """
    loader = _Loader(store, user)
    for path, size in entries:
        if size is None:
            loader.folder(path.rstrip("/"))
        else:
            loader.file(path, size)
    loader.finish()
    store.commit()
    return loader.count
