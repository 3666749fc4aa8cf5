"""Open folders: one listing per open folder, so that offsets stay where they were while names come and go.

The listing is taken when reading starts at offset 0 (so also by rewinddir); offset n+2 is its n-th entry, after "."
and "..".  Listings go out with attributes (READDIRPLUS) that the kernel keeps for an hour; an entry may therefore only
go out as the core knows it at that moment.  The first replies come straight from the listing.  Once anything has
changed since it was taken (`Changes`), each entry is looked up again, and one that has gone is left out: otherwise the
kernel would show a removed file.  The kernel runs a listing and a change of the same folder one after the other, so
there is no gap between the look and the reply.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from boxfs.base.errors import BadHandle, FsError, NotFound
from boxfs.base.types import Attr, DirEntry, HandleNo, Ino
from boxfs.core.interface import Files


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


class Folders:
    """The open folders of a mount."""

    def __init__(self, files: Files, changes: Changes) -> None:
        self._files = files
        self._changes = changes
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._open: dict[int, OpenFolder] = {}  # guarded by _lock

    def open(self, ino: Ino) -> HandleNo:
        with self._lock:
            number = next(self._numbers)
            self._open[number] = OpenFolder(ino)
        return HandleNo(number)

    def close(self, handle: HandleNo) -> None:
        with self._lock:
            self._open.pop(handle, None)

    def read(self, handle: HandleNo, offset: int) -> Iterator[tuple[str, Attr, int, bool]]:
        """Yield (name, attributes, offset of the next entry, whether the kernel may keep it) from `offset` on.

        Raises BadHandle, and what Files.readdir raises.
        """
        folder = self._open.get(handle)
        if folder is None:
            raise BadHandle("the folder is not open")
        if offset == 0 or not folder.taken:
            as_of = self._now()
            folder.entries = self._files.readdir(folder.ino)
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
        for index in range(max(0, offset - 2), len(entries)):
            entry = entries[index]
            if folder.as_of == self._now():
                yield entry.name, entry.attr, index + 3, True
                continue
            try:
                yield entry.name, self._files.lookup(folder.ino, entry.name), index + 3, True
            except NotFound:
                continue
            except FsError:
                yield entry.name, entry.attr, index + 3, False

    def _now(self) -> tuple[int, int]:
        return self._changes.number, self._files.generation()
