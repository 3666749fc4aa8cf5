"""Node: one inode with its two states, what the mount shows (local) and what Box last told (remote).

Where the two differ the node is *pending*, and `Wanted` says how.  There is no log of operations: sync looks at
pending nodes only.  A node is changed by `core/change.py` alone, under its lock, in one transaction; everybody else
reads snapshots (`Node` is frozen; a change makes a new one with `dataclasses.replace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from boxfs.base.types import ROOT_INO, Etag, Ino, Item, ItemId, Kind, VersionId

NOTHING: Mapping[str, str] = MappingProxyType({})


class Wanted(Flag):
    """How the local state differs from the remote one, each answered by one kind of call."""

    NOTHING = 0
    CREATE = auto()  # Box has never had it: create the folder, upload the file
    CONTENT = auto()  # new bytes for an item that Box has: upload a version
    PLACE = auto()  # other name or other parent: one update
    TIME = auto()  # other content_modified_at, with the bytes unchanged: one update (folded into PLACE)
    PROPERTIES = auto()  # attributes that Box keeps in global.properties
    DELETE = auto()  # the mount shows it no more: to the trash


@dataclass(frozen=True, slots=True)
class Content:
    """Local bytes of a file that Box has not got: a spool file, and what it rests on.

    spool: number of the spool file.  edit: grows with every change of the bytes; an upload acknowledges the edit that
    it took, and no later one.  base: the version whose bytes stand wherever the spool has none (partial overwrite of a
    remote file); None where the spool holds all.  base_size: how many bytes of base count (truncate cuts it).
    base_etag: the item's etag when this edit began, the If-Match of its upload; None for a file that is new.
    base_file: the file that `base` is a version of, where that is another one than the node's own item (a backup of
    it, a copy inside the mount).  A new file whose spool holds nothing and whose base counts whole is a copy that Box
    can make.
    """

    spool: int
    edit: int
    base: VersionId | None = None
    base_size: int = 0
    base_etag: Etag | None = None
    base_file: ItemId | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One inode.

    parent: where the mount shows it, None where it shows it nowhere (deleted here).  name: as the mount shows it.
    size, *_ns: as stat shows them.  mode: permission bits, None for the mount's default; kind_bits: the S_IFMT bits of
    a symlink, fifo, socket or device (0: as `kind` says); target: of a symlink.  xattrs: user's own.
    remote: None where Box never had it.  A trashed remote (`remote.trashed`) is one that Box has put away.
    complete: of a folder: all its children are in the table, as of the stream position.  stale: why it is to be listed
    again (None: it need not).
    changed_ns: time of the last local change that made it pending (start of the settle window).
    attempts, not_before_ns, error: how sending went, for the back-off and for people.
    conflict_of: name of the file that this one is the conflict copy of.
    times_set: a user set the times (utimensat): worth keeping at Box where the policy keeps times.
    mark: number that tells its name at Box from one that differs by case only (case=encode); 0: none.
    """

    ino: Ino
    kind: Kind
    parent: Ino | None
    name: str
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    atime_ns: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    kind_bits: int = 0
    rdev: int = 0
    target: str | None = None
    xattrs: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    content: Content | None = None
    remote: Item | None = None
    complete: bool = False
    stale: str | None = None
    changed_ns: int = 0
    attempts: int = 0
    not_before_ns: int = 0
    error: str | None = None
    conflict_of: str | None = None
    times_set: bool = False
    mark: int = 0

    def but(self, **changes: Any) -> Node:
        """As dataclasses.replace, in a third of the time: for what every write and close goes through."""
        values = list(_values(self))
        for name, value in changes.items():
            values[_PLACES[name]] = value
        return Node(*values)

    def changed_since(self, old: Node) -> list[str]:
        """Return the names of the fields that are others than in `old`."""
        pairs = zip(_FIELDS, _values(self), _values(old), strict=True)
        return [name for name, now, before in pairs if now is not before and now != before]

    @property
    def is_folder(self) -> bool:
        return self.kind is Kind.FOLDER

    @property
    def is_listed(self) -> bool:
        """Of a folder: all its children are known, and nothing says that they may be others by now."""
        return self.complete and self.stale is None

    @property
    def is_shown(self) -> bool:
        """The mount shows it: it is the root, or has a name in a folder."""
        return self.parent is not None or self.ino == ROOT_INO

    @property
    def item_id(self) -> ItemId | None:
        return self.remote.id if self.remote is not None else None


_FIELDS = tuple(one.name for one in fields(Node))
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
_values = attrgetter(*_FIELDS)
