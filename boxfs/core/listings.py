"""Listings: who is in a folder, by name; a bounded cache of whole folders above the table.

Names are kept folded, as Box compares them.  Several inodes hold one name where Box let them slip through, or where
they are marked (case=encode).  Not thread-safe: the tree's lock guards it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from boxfs.base.types import Ino


class Listing:
    """The names of one folder.  Which of its inodes are folders it knows once it was told (`know_folders`)."""

    __slots__ = ("_folders", "_holders", "_sorted")

    def __init__(self) -> None:
        self._holders: dict[str, Ino | tuple[Ino, ...]] = {}
        self._folders: dict[Ino, str] | None = None  # inode -> name
        self._sorted: list[Ino] | None = None  # those by name, while it stands

    def __len__(self) -> int:
        return len(self._holders)

    def holders(self, folded: str) -> tuple[Ino, ...]:
        held = self._holders.get(folded)
        return () if held is None else held if isinstance(held, tuple) else (held,)

    def inos(self) -> list[Ino]:
        return [ino for held in self._holders.values() for ino in (held if isinstance(held, tuple) else (held,))]

    def know_folders(self, folders: Iterable[tuple[Ino, str]]) -> None:
        self._folders, self._sorted = dict(folders), None

    def folders(self) -> list[Ino] | None:
        """Return the folders in the order of their names; None where that is not known."""
        if self._folders is None:
            return None
        if self._sorted is None:
            self._sorted = sorted(self._folders, key=self._folders.__getitem__)
        return self._sorted

    def add(self, folded: str, ino: Ino, folder_name: str | None = None) -> None:
        """folder_name: its exact name, where it is a folder."""
        if folder_name is not None and self._folders is not None:
            self._folders[ino], self._sorted = folder_name, None
        held = self._holders.setdefault(folded, ino)
        if isinstance(held, tuple):
            if ino not in held:
                self._holders[folded] = (*held, ino)
        elif held != ino:
            self._holders[folded] = (held, ino)

    def discard(self, folded: str, ino: Ino) -> None:
        if self._folders is not None and self._folders.pop(ino, None) is not None:
            self._sorted = None
        held = self._holders.get(folded)
        if isinstance(held, tuple):
            rest = tuple(one for one in held if one != ino)
            self._holders[folded] = rest[0] if len(rest) == 1 else rest
        elif held == ino:
            del self._holders[folded]


class Listings:
    """The folders that were looked into lately, as many as `limit` names allow."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._cached: dict[Ino, Listing] = {}  # oldest first
        self._names = 0  # in all of _cached, and one more for each

    def get(self, folder: Ino) -> Listing | None:
        return self._cached.get(folder)

    def put(self, folder: Ino, listing: Listing) -> None:
        self.drop(folder)
        while self._cached and self._names + len(listing) >= self._limit():
            self.drop(next(iter(self._cached)))
        self._cached[folder] = listing
        self._names += len(listing) + 1

    def drop(self, folder: Ino) -> None:
        listing = self._cached.pop(folder, None)
        if listing is not None:
            self._names -= len(listing) + 1

    def clear(self) -> None:
        self._cached.clear()
        self._names = 0

    def link(self, folder: Ino, folded: str, ino: Ino, folder_name: str | None) -> None:
        """The inode has this name now; nothing happens where the folder is not cached."""
        listing = self._cached.get(folder)
        if listing is not None:
            before = len(listing)
            listing.add(folded, ino, folder_name)
            self._names += len(listing) - before

    def unlink(self, folder: Ino, folded: str, ino: Ino) -> None:
        listing = self._cached.get(folder)
        if listing is not None:
            before = len(listing)
            listing.discard(folded, ino)
            self._names += len(listing) - before


def listing_of(names: Iterable[tuple[str, Ino]]) -> Listing:
    """Return the listing of (folded name, inode)."""
    listing = Listing()
    for folded, ino in names:
        listing.add(folded, ino)
    return listing
