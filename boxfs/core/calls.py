"""Calls: what the planner may ask the pushers to do, each one call to Box (an upload in parts counts as one)."""

from __future__ import annotations

from dataclasses import dataclass

from boxfs.base.types import Ino, ItemId, Kind


@dataclass(frozen=True, slots=True)
class MakeFolder:
    ino: Ino
    parent_id: ItemId
    name: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that Box has never had."""

    ino: Ino
    parent_id: ItemId
    name: str


@dataclass(frozen=True, slots=True)
class UploadVersion:
    """New bytes for a file that Box has.  name: renames on the way (box-api.md section 11.3), None to leave it."""

    ino: Ino
    file_id: ItemId
    name: str | None


@dataclass(frozen=True, slots=True)
class Update:
    """Rename, move, set the time, in one.  aside: the name is a temporary one, to free the name that is held."""

    ino: Ino
    kind: Kind
    item_id: ItemId
    name: str | None
    parent_id: ItemId | None
    set_time: bool
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """To the trash, with all below.  covers: inodes of the pending deletions that this call settles, itself first."""

    ino: Ino
    kind: Kind
    item_id: ItemId
    covers: tuple[Ino, ...]


@dataclass(frozen=True, slots=True)
class SetProperties:
    ino: Ino
    kind: Kind
    item_id: ItemId


Call = MakeFolder | Upload | UploadVersion | Update | Delete | SetProperties
