"""The words that all layers share: items as Box tells them, attributes as the mount shows them.

Everything here is frozen and knows no I/O.  Ids and etags are Box's decimal strings (box-api.md section 5.1), times are
nanoseconds since the epoch, sizes are bytes.  (kind, id) is the key of an item: kinds may share a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, NewType

ItemId = NewType("ItemId", str)
VersionId = NewType("VersionId", str)
Etag = NewType("Etag", str)
Ino = NewType("Ino", int)
HandleNo = NewType("HandleNo", int)

ROOT_FOLDER = ItemId("0")
ROOT_INO = Ino(1)


class Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    WEB_LINK = "web_link"


@dataclass(frozen=True, slots=True)
class Item:
    """A file, folder or web link as Box told it.  None means "Box did not say", never "there is none", but for root.

    version_id, sha1, size: of a file's current version.  sequence_id: counts events applied to the item; an
    event whose sequence_id is not greater than the one held is old news.  url: of a web link.
    can_*: the rights of the account (Box's `permissions`); None where not asked.
    lock: {} where Box said that there is none; shared_link: "" likewise.
    properties: the instance of global.properties without the keys that begin with "$"; {} where Box said that there
    is none, None where it was not asked.
    """

    kind: Kind
    id: ItemId
    name: str
    parent_id: ItemId | None = None
    etag: Etag | None = None
    sequence_id: int | None = None
    version_id: VersionId | None = None
    sha1: str | None = None
    size: int | None = None
    created_ns: int | None = None
    modified_ns: int | None = None
    content_created_ns: int | None = None
    content_modified_ns: int | None = None
    trashed: bool = False
    url: str | None = None
    can_download: bool | None = None
    can_upload: bool | None = None
    can_rename: bool | None = None
    can_delete: bool | None = None
    properties: Mapping[str, str] | None = None
    description: str | None = None
    shared_link: str | None = None
    lock: Mapping[str, Any] | None = None
    owner: str | None = None
    tags: tuple[str, ...] | None = None

    @property
    def key(self) -> tuple[Kind, ItemId]:
        return (self.kind, self.id)


@dataclass(frozen=True, slots=True)
class Account:
    """The user behind the token.  space_*: bytes; max_upload_size: bytes of one file, by the plan."""

    id: str
    name: str
    login: str
    space_amount: int
    space_used: int
    max_upload_size: int


class EventKind(StrEnum):
    """What an event asks of a file system (box-api.md section 19.2); the rest of Box's types changes no tree."""

    CHANGED = "changed"  # created, uploaded, renamed, moved, copied, restored, promoted: `item` is today's state
    TRASHED = "trashed"
    COLLABORATION = "collaboration"  # a shared tree appeared, vanished, or its rights changed
    LOCK = "lock"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the user's event stream.  item: the source as of about now, None where Box gave none."""

    id: str
    kind: EventKind
    box_type: str
    item: Item | None
    created_ns: int | None = None
    by: str | None = None  # name of who did it


@dataclass(frozen=True, slots=True)
class EventPage:
    """next_position: where to go on; `events` empty means that the stream is read to its end (for now)."""

    next_position: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A past version of a file."""

    id: VersionId
    name: str
    size: int
    sha1: str
    modified_ns: int | None = None
    trashed: bool = False


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A chunked upload as Box opened it; urls are taken from its reply, whatever host they name."""

    id: str
    part_size: int
    total_parts: int
    upload_url: str
    commit_url: str
    abort_url: str
    list_parts_url: str
    status_url: str
    expires_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    part_id: str
    offset: int
    size: int
    sha1: str | None = None


class Attr(NamedTuple):
    """What stat(2) says of an inode.  mode: with the type bits.  blocks are of 512 bytes.

    (A tuple, as DirEntry: a listing makes one for each name, in a fifth of the time that a dataclass takes.)
    """

    ino: Ino
    mode: int
    nlink: int
    uid: int
    gid: int
    size: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    rdev: int = 0

    @property
    def blocks(self) -> int:
        return (self.size + 511) // 512


@dataclass(frozen=True, slots=True)
class StatFs:
    """What statfs(2) says; bytes."""

    total_bytes: int
    free_bytes: int
    block_size: int = 4096
    name_max: int = 255


class DirEntry(NamedTuple):
    """One name of a folder's listing, with its attributes."""

    name: str
    attr: Attr
