"""Open folders: one listing per open folder, so that offsets stay where they were while names come and go.

The listing is taken when reading starts at offset 0 (so also by rewinddir); offset n+2 is its n-th entry, after "."
and "..".  It is in order of names: as long as none changes, an offset means the same in every listing, and the kernel
may go on with one where it left off with another.

Listings go out with attributes (READDIRPLUS) that the kernel keeps for an hour; an entry may therefore only go out as
the core knows it at that moment.  The first replies come straight from the listing.  Once anything has changed since it
was taken (`Changes`), each entry is looked up again, and one that has gone is left out: otherwise the kernel would show
a removed file.  The kernel runs a listing and a change of the same folder one after the other, so there is no gap
between the look and the reply.

The kernel keeps whole listings too (FOPEN_CACHE_DIR): a folder that was read once is read again without a question.
It drops by itself what its own requests change; of all else it is told (invalidation.py), and besides, each opendir
says whether what it holds still stands (`Opening.keep`): only where nothing has been told since the last one that did
not.  A listing that may be out of date (the core's `is_stale`) is neither kept nor begun to be.
"""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from boxfs.base.errors import BadHandle, FsError, NotFound
from boxfs.base.types import Attr, DirEntry, HandleNo, Ino
from boxfs.core.interface import Files

_name = operator.itemgetter(0)


class Changes:
    """A number that is another one after every change of attributes or names that the mount was told of."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.number = 0

    def note(self) -> None:
        # Unguarded: every number is given once, so whoever stores last, nobody sees an old number again.
        self.number = next(self._numbers)


@dataclass(slots=True)
class OpenFolder:
    ino: Ino
    entries: Sequence[DirEntry] = ()
    as_of: tuple[int, int] = (-1, -1)
    taken: bool = False


class Opening(NamedTuple):
    """cache: the kernel may keep the listing that this handle reads.  keep: the one that it holds still stands."""

    handle: HandleNo
    cache: bool
    keep: bool


class Folders:
    """The open folders of a mount, and those whose listing the kernel may hold."""

    def __init__(self, files: Files, changes: Changes) -> None:
        self._files = files
        self._changes = changes
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: dict[int, OpenFolder] = {}  # guarded by _lock
        self._kept: set[Ino] = set()  # guarded by _lock; listings of which nothing was told since

    def open(self, ino: Ino) -> Opening:
        stale = self._files.is_stale(ino)
        with self._lock:
            number = next(self._numbers)
            self._open[number] = OpenFolder(ino)
            keep = not stale and ino in self._kept
            if not stale:
                self._kept.add(ino)  # before it is read, so that what changes from here on is seen to
        return Opening(HandleNo(number), not stale, keep)

    def close(self, handle: HandleNo) -> None:
        with self._lock:
            self._open.pop(handle, None)

    def names_changed(self, ino: Ino) -> None:
        """What the kernel holds of the folder's listing does not stand any more."""
        with self._lock:
            self._kept.discard(ino)

    def all_names_changed(self) -> list[Ino]:
        """The same of all; return those whose listing the kernel may hold."""
        with self._lock:
            kept, self._kept = self._kept, set()
        return list(kept)

    def forget(self, ino: Ino) -> None:
        """The kernel holds nothing of the inode any more."""
        if ino in self._kept:
            self.names_changed(ino)

    def read(self, handle: HandleNo, offset: int) -> Iterator[tuple[str, Attr, int, bool]]:
        """Yield (name, attributes, offset of the next entry, whether the kernel may keep it) from `offset` on.

        Raises BadHandle, and what Files.readdir raises.
        """
        folder = self._open.get(handle)
        if folder is None:
            raise BadHandle("the folder is not open")
        if offset == 0 or not folder.taken:
            as_of = self._now()
            folder.entries = sorted(self._files.readdir(folder.ino), key=_name)
            folder.as_of = as_of
            folder.taken = True
        return self._entries(folder, folder.entries, offset)

    def _entries(
        self, folder: OpenFolder, entries: Sequence[DirEntry], offset: int
    ) -> Iterator[tuple[str, Attr, int, bool]]:
        if offset < 2:
            here = self._files.getattr(folder.ino)
            for index, name in enumerate((".", "..")):
                if offset <= index:
                    yield name, here, index + 1, False
        changes, generation, (number, of) = self._changes, self._files.generation, folder.as_of
        for index in range(max(0, offset - 2), len(entries)):
            name, attr = entries[index]
            if changes.number == number and generation() == of:
                yield name, attr, index + 3, True
                continue
            try:
                yield name, self._files.lookup(folder.ino, name), index + 3, True
            except NotFound:
                continue
            except FsError:
                yield name, attr, index + 3, False

    def _now(self) -> tuple[int, int]:
        return self._changes.number, self._files.generation()
