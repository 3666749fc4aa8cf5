"""Retired: what was uploaded lately: files that nobody has open, whose bytes are still here, and items that are new.

They are kept for a while (`young_s`), so that who opens such a file again needs no download, and who renames it over
another can give it that one's identity.  Used with the lock of core/openfiles.py held.
"""

from __future__ import annotations

from boxfs.base.types import ItemId
from boxfs.core.openfile import OpenFile

MOST_BYTES = 256 << 20
MOST_ITEMS = 10_000


class Retired:
    def __init__(self, young_ns: int) -> None:
        self._young_ns = young_ns
        self._files: dict[OpenFile, int] = {}  # and since when; oldest first
        self._born: dict[ItemId, int] = {}  # items that our own uploads made, and when; oldest first

    def __contains__(self, file: OpenFile) -> bool:
        return file in self._files

    def files(self) -> list[OpenFile]:
        return list(self._files)

    def keep(self, file: OpenFile, now_ns: int) -> None:
        self._files.pop(file, None)
        self._files[file] = now_ns

    def forget(self, file: OpenFile) -> None:
        """It is open again, or goes; nothing happens where it is not kept."""
        self._files.pop(file, None)

    def bear(self, item_id: ItemId, now_ns: int) -> None:
        """An upload of ours has made the item."""
        self._born[item_id] = now_ns
        while len(self._born) > MOST_ITEMS:
            del self._born[next(iter(self._born))]

    def born_ns(self, item_id: ItemId) -> int | None:
        """Return when an upload of ours made the item, if that was lately."""
        return self._born.get(item_id)

    def take_old(self, now_ns: int) -> list[OpenFile]:
        """Forget what was kept long enough, or is too much; return the files, to be dropped."""
        held = sum(file.extents.total for file in self._files)
        old = []
        for file, since_ns in list(self._files.items()):
            if now_ns - since_ns > self._young_ns or held > MOST_BYTES:
                held -= file.extents.total
                self.forget(file)
                old.append(file)
        for item_id, born_ns in list(self._born.items()):
            if now_ns - born_ns <= self._young_ns:
                break
            del self._born[item_id]
        return old
