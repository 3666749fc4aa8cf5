"""MemoryBox: what Box holds, in memory: items by (kind, id), versions, trash, events.  No faults, no log, no threads.

It follows box-api.md where a file system could tell the difference: names are unique case-insensitively over all kinds,
nothing is ever overwritten, etag and sequence_id grow with each change of an item, a folder goes to the trash as one
unit and with one event, an event's source is the item as of now, and files and folders share numbers.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from boxfs.base.errors import Changed, InvalidName, NameTaken, NotEmpty, NotFound
from boxfs.base.types import ROOT_FOLDER, Etag, Event, EventKind, Item, ItemId, Kind, Version, VersionId

Key = tuple[Kind, ItemId]
ROOT_KEY: Key = (Kind.FOLDER, ROOT_FOLDER)
SECOND = 1_000_000_000
START_NS = 1_770_000_000 * SECOND


def fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


@dataclass
class Held:
    """One item.  versions: oldest first, the current one last."""

    kind: Kind
    id: ItemId
    name: str
    parent: ItemId | None
    etag: int = 0
    trashed: bool = False
    versions: list[tuple[Version, bytes]] = field(default_factory=list)
    mtime_ns: int = START_NS
    properties: dict[str, str] = field(default_factory=dict)
    url: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return (self.kind, self.id)


@dataclass(frozen=True)
class Told:
    """An entry of the event stream, with the item as it was then."""

    position: int
    kind: EventKind
    box_type: str
    item: Item


class MemoryBox:
    def __init__(self) -> None:
        self.items: dict[Key, Held] = {ROOT_KEY: Held(Kind.FOLDER, ROOT_FOLDER, "All Files", None)}
        self.stream: list[Told] = []
        self.position = 30_401_068_076_164_000
        self._last = dict.fromkeys(Kind, 0)
        self._children: dict[ItemId, set[Key]] = {ROOT_FOLDER: set()}
        self._version = 900

    # Looking
    def alive(self, held: Held) -> bool:
        """Neither the item nor a folder above it is in the trash."""
        while True:
            if held.trashed:
                return False
            if held.parent is None:
                return True
            held = self.items[(Kind.FOLDER, held.parent)]

    def find(self, kind: Kind, item_id: ItemId) -> Held:
        held = self.items.get((kind, item_id))
        if held is None or not self.alive(held):
            raise NotFound(f"no {kind} {item_id}")
        return held

    def children(self, folder_id: ItemId) -> list[Held]:
        return [held for key in self._children[folder_id] if not (held := self.items[key]).trashed]

    def holder(self, folder_id: ItemId, name: str, but: Key | None = None) -> Held | None:
        wanted = fold(name)
        return next((h for h in self.children(folder_id) if fold(h.name) == wanted and h.key != but), None)

    def item(self, held: Held) -> Item:
        version, data = held.versions[-1] if held.versions else (None, b"")
        root = held.key == ROOT_KEY
        return Item(
            kind=held.kind,
            id=held.id,
            name=held.name,
            parent_id=held.parent,
            etag=None if root else Etag(str(held.etag)),
            sequence_id=None if root else held.etag,
            version_id=version.id if version else None,
            sha1=version.sha1 if version else None,
            size=len(data) if held.kind is Kind.FILE else None,
            created_ns=START_NS,
            modified_ns=START_NS,
            content_modified_ns=None if root else held.mtime_ns,
            trashed=not self.alive(held),
            url=held.url,
            can_download=True,
            can_upload=True,
            can_rename=True,
            can_delete=True,
            properties=dict(held.properties),
            description=held.description,
            tags=held.tags,
        )

    def walk(self, folder_id: ItemId = ROOT_FOLDER, path: str = "") -> Iterator[tuple[str, Held]]:
        """Yield (path, item) of all that is not in the trash, parents first."""
        todo = [(path, folder_id)]
        while todo:
            above, at = todo.pop()
            held_here = sorted(self.children(at), key=lambda h: h.name)
            here = [(f"{above}/{held.name}" if above else held.name, held) for held in held_here]
            yield from here
            todo.extend((each, held.id) for each, held in reversed(here) if held.kind is Kind.FOLDER)

    def at(self, path: str) -> Held:
        return next(held for where, held in self.walk() if where == path)

    def data(self, held: Held) -> bytes:
        return held.versions[-1][1]

    def tree(self) -> dict[str, bytes | None]:
        """Path -> bytes of a file, None for a folder."""
        return {path: self.data(h) if h.kind is Kind.FILE else None for path, h in self.walk()}

    def every_content(self) -> set[bytes]:
        """All bytes that a person can get at: current files, their versions, the trash."""
        return {data for held in self.items.values() for _, data in held.versions}

    # Changing
    def create(self, kind: Kind, parent_id: ItemId, name: str, data: bytes | None = None, mtime_ns: int = 0) -> Held:
        self._check(parent_id, name)
        self._last[kind] += 1
        held = Held(kind, ItemId(str(self._last[kind])), name, parent_id, mtime_ns=whole(mtime_ns) or START_NS)
        self.items[held.key] = held
        self._children[parent_id].add(held.key)
        if kind is Kind.FOLDER:
            self._children[held.id] = set()
        if data is not None:
            self._add_version(held, data)
        self.tell(held, "ITEM_CREATE" if kind is Kind.FOLDER else "ITEM_UPLOAD")
        return held

    def overwrite(
        self, held: Held, data: bytes, *, etag: Etag | None = None, name: str | None = None, mtime_ns: int = 0
    ) -> Held:
        self._guard(held, etag)
        if name is not None and name != held.name:
            assert held.parent is not None
            self._check(held.parent, name, held)
            held.name = name
        self._add_version(held, data)
        held.mtime_ns = whole(mtime_ns) or START_NS
        held.etag += 1
        self.tell(held, "ITEM_UPLOAD")
        return held

    def change(
        self,
        held: Held,
        *,
        name: str | None = None,
        parent_id: ItemId | None = None,
        mtime_ns: int | None = None,
        etag: Etag | None = None,
    ) -> Held:
        moves = parent_id is not None and parent_id != held.parent
        if not moves:
            self._guard(held, etag)  # box-api.md section 8: a move is not guarded
        assert held.parent is not None
        parent = parent_id if parent_id is not None else held.parent
        self._check(parent, name if name is not None else held.name, held)
        above: Held | None = self.items[(Kind.FOLDER, parent)]
        while above is not None and held.kind is Kind.FOLDER:
            if above is held:
                raise InvalidName("cyclical_folder_structure")
            above = self.items[(Kind.FOLDER, above.parent)] if above.parent is not None else None
        renames = name is not None and name != held.name
        if moves:
            self._children[held.parent].remove(held.key)
            self._children[parent].add(held.key)
            held.parent = parent
        if name is not None:
            held.name = name
        if mtime_ns is not None:
            held.mtime_ns = whole(mtime_ns)
        held.etag += 1
        for happened, what in ((moves, "ITEM_MOVE"), (renames, "ITEM_RENAME")):
            if happened:
                self.tell(held, what)
        return held

    def delete(self, held: Held, *, etag: Etag | None = None, recursive: bool = False) -> None:
        self._guard(held, etag)
        if held.kind is Kind.FOLDER and not recursive and self.children(held.id):
            raise NotEmpty("folder_not_empty")
        held.trashed = True
        held.etag += 1
        self.tell(held, "ITEM_TRASH", EventKind.TRASHED)

    def restore(self, held: Held, name: str | None = None, parent_id: ItemId | None = None) -> Held:
        if not held.trashed:
            raise NotFound("not_trashed")
        parent = parent_id if parent_id is not None else held.parent
        assert parent is not None
        assert held.parent is not None
        self._check(parent, name or held.name, held)
        self._children[held.parent].discard(held.key)
        self._children[parent].add(held.key)
        held.parent, held.name, held.trashed = parent, name or held.name, False
        held.etag += 1
        self.tell(held, "ITEM_UNDELETE_VIA_TRASH")
        return held

    def purge(self, held: Held) -> None:
        for child in list(self._children.get(held.id, ())) if held.kind is Kind.FOLDER else []:
            self.purge(self.items[child])
        assert held.parent is not None
        self._children[held.parent].discard(held.key)
        del self.items[held.key]

    def set_properties(self, held: Held, changes: Mapping[str, str | None]) -> None:
        for key, value in changes.items():
            if value is None:
                held.properties.pop(key, None)
            else:
                held.properties[key] = value

    def tell(self, held: Held, box_type: str, kind: EventKind = EventKind.CHANGED) -> None:
        self.position += 7
        self.stream.append(Told(self.position, kind, box_type, self.item(held)))

    def event(self, told: Told, *, fresh: bool = True) -> Event:
        """fresh: with the item as it is now, else as it was then; Box says "about now"."""
        held = self.items.get(told.item.key)
        item = told.item if not fresh else self.item(held) if held is not None else None
        return Event(f"e{told.position}", told.kind, told.box_type, item)

    # Inside
    def _add_version(self, held: Held, data: bytes) -> None:
        self._version += 1
        sha1 = hashlib.sha1(data).hexdigest()
        held.versions.append((Version(VersionId(str(self._version)), held.name, len(data), sha1), data))

    def _guard(self, held: Held, etag: Etag | None) -> None:
        if etag is not None and etag != str(held.etag):
            raise Changed(f"etag is {held.etag}, not {etag}")

    def _check(self, parent_id: ItemId, name: str, but: Held | None = None) -> None:
        self.find(Kind.FOLDER, parent_id)
        if name in ("", ".", "..") or name != name.rstrip(" ") or any(c in "/\\" or ord(c) < 32 for c in name):
            raise InvalidName(f"Box refuses the name {name!r}")
        holder = self.holder(parent_id, name, but.key if but is not None else None)
        if holder is not None:
            raise NameTaken(f"{name} is taken", self.item(holder) if but is None else None)


def whole(mtime_ns: int | None) -> int:
    """Box keeps whole seconds."""
    return (mtime_ns or 0) // SECOND * SECOND
