"""A Box of a few hundred lines in memory: what the emulator must agree with, call by call.

Slow and obvious on purpose: one dict of items, every question answered by walking it.  Each method gives what the API
must answer: (status, code of the error or None, what matters of the reply).  Ids are the server's: `Reply.item` of a
creation is bound to the id that the server gave.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ROOT = "0"


@dataclass
class Thing:
    """An item.  parent: id of a folder, kept in the trash."""

    kind: str
    parent: str
    name: str
    content: bytes = b""
    etag: int = 0
    trashed: bool = False
    id: str = ""
    versions: list[bytes] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.id


class Reply(NamedTuple):
    """What the API must answer.  item: what it shows; a list: names of a listing, in order."""

    status: int
    code: str | None = None
    item: Thing | None = None
    names: list[tuple[str, str]] | None = None


class Wrong(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.reply = Reply(status, code)


def fold(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


Snapshot = list[tuple[Thing, "Snapshot"]]


class Model:
    def __init__(self) -> None:
        self.things: dict[tuple[str, str], Thing] = {}

    def bind(self, thing: Thing, number: str) -> None:
        """Take over the id that the server gave a new thing."""
        thing.id = number
        self.things[thing.key] = thing

    # Looking

    def children(self, folder: str) -> list[Thing]:
        return [t for t in self.things.values() if t.parent == folder and not t.trashed]

    def below(self, folder: str) -> list[Thing]:
        found = []
        for thing in self.children(folder):
            found.append(thing)
            if thing.kind == "folder":
                found += self.below(thing.id)
        return found

    def snapshot(self, folder: str) -> Snapshot:
        """Everything below a folder as it is now, nested."""
        return [(t, self.snapshot(t.id) if t.kind == "folder" else []) for t in self.children(folder)]

    def size(self, thing: Thing) -> int:
        if thing.kind == "file":
            return len(thing.content)
        return sum(len(each.content) for each in self.below(thing.id))

    def reachable(self, folder: str) -> bool:
        while folder != ROOT:
            here = self.things.get(("folder", folder))
            if here is None or here.trashed:
                return False
            folder = here.parent
        return True

    def tree(self) -> dict[str, tuple[str, str, str | None, int]]:
        """What Box.tree must say."""
        found: dict[str, tuple[str, str, str | None, int]] = {}

        def walk(folder: str, path: str) -> None:
            for thing in self.children(folder):
                here = f"{path}/{thing.name}"
                sha1 = hashlib.sha1(thing.content).hexdigest() if thing.kind == "file" else None
                found[here] = (thing.kind, thing.id, sha1, self.size(thing))
                if thing.kind == "folder":
                    walk(thing.id, here)

        walk(ROOT, "")
        return found

    def trash(self) -> set[tuple[str, str]]:
        return {thing.key for thing in self.things.values() if thing.trashed}

    def space_used(self) -> int:
        return sum(len(thing.content) for thing in self.things.values())

    def _find(self, kind: str, number: str) -> Thing:
        thing = self.things.get((kind, number))
        if thing is None:
            raise Wrong(404, "not_found")
        if thing.trashed or not self.reachable(thing.parent):
            raise Wrong(404, "trashed")
        return thing

    def _parent(self, folder: str) -> None:
        if not self.reachable(folder):
            raise Wrong(404, "not_found")

    @staticmethod
    def _name(name: str) -> None:
        if len(name) > 255:
            raise Wrong(400, "item_name_too_long")
        if not name or name in (".", "..") or name[-1] == " " or "/" in name or "\\" in name or "\n" in name:
            raise Wrong(400, "item_name_invalid")

    def _free(self, folder: str, name: str, but: Thing | None = None) -> None:
        if any(fold(each.name) == fold(name) and each is not but for each in self.children(folder)):
            raise Wrong(409, "item_name_in_use")

    # Calls

    def get(self, kind: str, number: str) -> Reply:
        thing = self.things.get((kind, number))
        if thing is not None and thing.trashed and kind == "file":
            return Reply(200, item=thing)
        return Reply(200, item=self._find(kind, number))

    def list(self, folder: str) -> Reply:
        if folder != ROOT:
            self._find("folder", folder)
        order = sorted(self.children(folder), key=lambda t: (t.kind == "file", fold(t.name)))
        return Reply(200, names=[(t.kind, t.name) for t in order])

    def mkdir(self, parent: str, name: str) -> Reply:
        self._parent(parent)
        self._name(name)
        self._free(parent, name)
        return Reply(201, item=Thing("folder", parent, name))

    def upload(self, parent: str, name: str, content: bytes) -> Reply:
        self._parent(parent)
        self._name(name)
        self._free(parent, name)
        return Reply(201, item=Thing("file", parent, name, content))

    def version(self, number: str, content: bytes, etag: str | None) -> Reply:
        file = self._find("file", number)
        self._match(file, etag)
        file.versions.append(file.content)
        file.content, file.etag = content, file.etag + 1
        return Reply(201, item=file)

    @staticmethod
    def _match(thing: Thing, etag: str | None) -> None:
        if etag is not None and etag != str(thing.etag):
            raise Wrong(412, "precondition_failed")

    def update(self, kind: str, number: str, name: str | None, parent: str | None, etag: str | None) -> Reply:
        thing = self._find(kind, number)
        if parent is None:
            self._match(thing, etag)
        if name is not None:
            self._name(name)
        if parent is not None:
            self._parent(parent)
            if kind == "folder" and (parent == number or self._inside(parent, number)):
                raise Wrong(400, "cyclical_folder_structure")
        new_name, new_parent = name or thing.name, parent or thing.parent
        if (new_name, new_parent) != (thing.name, thing.parent):
            self._free(new_parent, new_name, but=thing)
            thing.name, thing.parent, thing.etag = new_name, new_parent, thing.etag + 1
        return Reply(200, item=thing)

    def _inside(self, folder: str, top: str) -> bool:
        while folder != ROOT:
            folder = self.things["folder", folder].parent
            if folder == top:
                return True
        return False

    def delete(self, kind: str, number: str, recursive: bool, etag: str | None) -> Reply:
        thing = self._find(kind, number)
        self._match(thing, etag)
        if kind == "folder" and not recursive and self.children(number):
            raise Wrong(400, "folder_not_empty")
        thing.trashed, thing.etag = True, thing.etag + 1
        return Reply(204)

    def restore(self, kind: str, number: str, name: str | None, parent: str | None) -> Reply:
        thing = self._in_trash(kind, number)
        folder = parent or thing.parent
        self._parent(folder)
        self._name(name or thing.name)
        self._free(folder, name or thing.name)
        thing.trashed, thing.parent, thing.name, thing.etag = False, folder, name or thing.name, thing.etag + 1
        return Reply(201, item=thing)

    def purge(self, kind: str, number: str) -> Reply:
        thing = self._in_trash(kind, number)
        for each in [thing, *(self.below(number) if kind == "folder" else ())]:
            del self.things[each.key]
        return Reply(204)

    def _in_trash(self, kind: str, number: str) -> Thing:
        thing = self.things.get((kind, number))
        if thing is None:
            raise Wrong(404, "not_found")
        if not thing.trashed:
            raise Wrong(404, "not_trashed")
        return thing

    def copy(self, kind: str, number: str, parent: str, name: str | None) -> Reply:
        thing = self._find(kind, number)
        self._parent(parent)
        self._name(name or thing.name)
        self._free(parent, name or thing.name)
        return Reply(201, item=Thing(kind, parent, name or thing.name, thing.content))

    def shown(self, thing: Thing) -> dict[str, Any]:
        """Members of a reply that must be so."""
        found: dict[str, Any] = {
            "type": thing.kind,
            "name": thing.name,
            "etag": str(thing.etag),
            "sequence_id": str(thing.etag),
            "item_status": "trashed" if thing.trashed else "active",
            "size": self.size(thing),
        }
        if thing.kind == "file":
            found["sha1"] = hashlib.sha1(thing.content).hexdigest()
        return found
