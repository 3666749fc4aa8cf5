"""JSON of Box into the words of `boxfs.base.types`, and back.  Pure functions, as forgiving as Box is careless.

Numbers come as numbers, strings and floats in exponent form; times with the account's offset or `Z`; members are null,
absent, or of another type than documented (box-api.md sections 5, 9, 19, 20).  What has no id is refused: BadReply.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from boxfs.base.errors import BadReply
from boxfs.base.types import (
    Account,
    Etag,
    Event,
    EventKind,
    EventPage,
    Item,
    ItemId,
    Kind,
    Part,
    UploadSession,
    Version,
    VersionId,
)

Json = Mapping[str, Any]

# Every field that an Item needs.  `fields` replaces the standard ones, and names that a type does not have do no harm.
ITEM_FIELDS = (
    "type,id,etag,sequence_id,name,size,sha1,file_version,parent,created_at,modified_at,content_created_at,"
    "content_modified_at,item_status,trashed_at,url,description,permissions,lock,shared_link,owned_by,tags"
)
# With the attributes that POSIX has and Box lacks, at no extra call.
WHOLE_FIELDS = ITEM_FIELDS + ",metadata.global.properties"
# Of every entry of a listing.  Where it is, and that it is not in the trash, the listing says; nobody asks when it was
# made.  Every field of every entry costs Box time, and us.
LIST_FIELDS = ",".join(
    name
    for name in WHOLE_FIELDS.split(",")
    if name not in ("parent", "item_status", "trashed_at", "created_at", "content_created_at")
)

# Of what most items have none of, one for all.
_NOTHING: Json = MappingProxyType({})
_HALF = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KINDS = {one.value: one for one in Kind}
_LAST_NS = (1 << 63) // 10**9 * 10**9
_TOO_LARGE = 1 << 63
_LAST_S = 253402300799  # 9999-12-31T23:59:59Z


def obj(value: Any) -> Json:
    """Return the value if it is an object, else an empty one."""
    # A plain dict, which JSON gives, is told from others ten times as quickly as any mapping.
    return value if type(value) is dict or isinstance(value, Mapping) else _NOTHING


def array(value: Any) -> list[Json]:
    """Return the objects of a list; one object alone counts as a list of one (conflicts), all else as none."""
    if isinstance(value, Mapping):
        return [value]
    return (
        [each for each in value if type(each) is dict or isinstance(each, Mapping)] if isinstance(value, list) else []
    )


def text(value: Any) -> str | None:
    """Return a string; a number that should have been one is written out; "" and null are None."""
    if type(value) is str:
        return value or None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return str(int(value)) if value == value and abs(value) != float("inf") else None
    return str(value) if isinstance(value, int) else None


def whole_text(value: str) -> str:
    """Return the string with half characters (JSON can hold them, UTF-8 and so a file name cannot) replaced."""
    if value.isascii() or not _HALF.search(value):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def integer(value: Any) -> int | None:
    """Return an integer from 12, "12", 12.0 or 1.0034576983313e+14; None from anything else."""
    if type(value) is int:
        return value
    if type(value) is str and value.isdecimal():
        return int(value)
    if isinstance(value, bool):
        return None
    try:
        return int(value) if isinstance(value, str) and "e" not in value.lower() else int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _stored(value: Any) -> int | None:
    """Return a count that fits into 63 bits, as it is to be stored; None from anything else."""
    found = value if type(value) is int else integer(value)
    return found if found is not None and 0 <= found < _TOO_LARGE else None


def number(value: Any) -> float | None:
    """Return a number, also from its decimal string; None from anything else."""
    try:
        return float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None


def flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def time(value: Any) -> datetime | None:
    """Return an RFC 3339 time, aware; None where there is none."""
    if not isinstance(value, str) or not value:
        return None
    try:
        when = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def time_ns(value: Any) -> int | None:
    """Return nanoseconds since the epoch of an RFC 3339 time; None where there is none.  Cut off to 64 bits."""
    return _ns_of(value) if isinstance(value, str) else None


@lru_cache(maxsize=4096)
def _ns_of(value: str) -> int | None:
    """The four times of an item are mostly one, and those of a folder's items often the same."""
    when = time(value)
    if when is None:
        return None
    return max(-_LAST_NS, min((when - _EPOCH) // _MICROSECOND * 1000, _LAST_NS))


def box_time(ns: int) -> str:
    """Return the time as Box takes it: whole seconds, cut off; before 1970 Box refuses, so that becomes 1970."""
    seconds = min(max(ns // 1_000_000_000, 0), _LAST_S)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def entries(reply: Json) -> list[Json]:
    return array(reply.get("entries"))


def first_entry(reply: Json, what: str) -> Json:
    """Return the one entry of an upload's reply (a list, always; a bare file is forgiven)."""
    if reply.get("type") in ("file", "folder"):
        return reply
    found = entries(reply)
    if not found:
        raise BadReply(f"Box answered {what} without the file")
    return found[0]


def kind(value: Any) -> Kind | None:
    return _KINDS.get(value) if isinstance(value, str) else None


def properties(instance: Any) -> dict[str, str]:
    """Return the user's keys of a metadata instance."""
    return {key: value for key, value in obj(instance).items() if not key.startswith("$") and isinstance(value, str)}


def item(reply: Json, *, metadata_asked: bool = False) -> Item:
    """Return the Item of a mini, standard or full representation.  Raises BadReply without type or id.

    metadata_asked: global.properties were among the fields, so that their absence means that there are none.
    """
    found = maybe_item(reply, metadata_asked=metadata_asked)
    if found is None:
        raise BadReply(f"Box sent an item without type or id ({str(reply.get('type'))[:20]!r})")
    return found


def listed(folder_id: ItemId) -> Callable[[Json], Item | None]:
    """Return what makes items of the entries of a folder's listing; None of what is no file, folder or web link.

    Where an entry is, the listing says better than the entry: Box may name no parent of what is shared with us.
    """
    return lambda reply: maybe_item(reply, metadata_asked=True, listed_in=folder_id)


def maybe_item(reply: Json, *, metadata_asked: bool = False, listed_in: ItemId | None = None) -> Item | None:
    """Return the Item, as `item` and `listed`; None without type or id.

    Every entry of every listing comes through here: what is as it should be costs no call.
    """
    get = reply.get
    what, item_id, name = kind(get("type")), get("id"), get("name")
    if type(item_id) is not str or not item_id:
        item_id = text(item_id)
    if what is None or item_id is None:
        return None
    rights, version, owner = obj(get("permissions")).get, obj(get("file_version")).get, obj(get("owned_by")).get
    parent = listed_in if listed_in is not None else text(obj(get("parent")).get("id"))
    instance = obj(obj(get("metadata")).get("global")).get("properties") if get("metadata") else None
    created, modified = get("created_at"), get("modified_at")
    content_created, content_modified = get("content_created_at"), get("content_modified_at")
    description, shared_link, lock, tags = get("description"), get("shared_link"), get("lock"), get("tags")
    who = text(owner("login")) or text(owner("name")) or text(owner("id"))
    etag, version_id, sha1 = text(get("etag")), text(version("id")), text(get("sha1")) or text(version("sha1"))
    return Item(
        what,
        ItemId(item_id),
        whole_text(name) if isinstance(name, str) else "",
        ItemId(parent) if parent is not None else None,
        Etag(etag) if etag is not None else None,
        _stored(get("sequence_id")),
        VersionId(version_id) if version_id is not None else None,
        sha1.lower() if sha1 is not None else None,
        _stored(get("size")),
        _ns_of(created) if type(created) is str else None,
        _ns_of(modified) if type(modified) is str else None,
        _ns_of(content_created) if type(content_created) is str else None,
        _ns_of(content_modified) if type(content_modified) is str else None,
        get("item_status") in ("trashed", "deleted") or text(get("trashed_at")) is not None,
        text(get("url")),
        flag(rights("can_download")),
        flag(rights("can_upload")),
        flag(rights("can_rename")),
        flag(rights("can_delete")),
        properties(instance) if instance else _NOTHING if metadata_asked else None,
        whole_text(description) if isinstance(description, str) else None,
        (text(obj(shared_link).get("url")) or "") if shared_link or "shared_link" in reply else None,
        obj(lock) if lock or "lock" in reply else None,
        sys.intern(who) if who is not None else None,
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else None,
    )


def _sha1(reply: Json) -> str | None:
    sha1 = text(reply.get("sha1"))
    return sha1.lower() if sha1 else None


def account(reply: Json) -> Account:
    user_id = text(reply.get("id"))
    if user_id is None:
        raise BadReply("Box did not say who the user is")
    return Account(
        id=user_id,
        name=text(reply.get("name")) or "",
        login=text(reply.get("login")) or "",
        space_amount=integer(reply.get("space_amount")) or 0,
        space_used=integer(reply.get("space_used")) or 0,
        max_upload_size=integer(reply.get("max_upload_size")) or 0,
    )


def version(reply: Json) -> Version:
    version_id = text(reply.get("id"))
    if version_id is None:
        raise BadReply("Box sent a version without an id")
    return Version(
        id=VersionId(version_id),
        name=text(reply.get("name")) or "",
        size=integer(reply.get("size")) or 0,
        sha1=_sha1(reply) or "",
        modified_ns=time_ns(reply.get("modified_at")),
        trashed=text(reply.get("trashed_at")) is not None,
    )


# box-api.md section 19.2: the types of user streams that change a tree.  What is not here is OTHER.
_EVENT_KINDS = {
    "ITEM_CREATE": EventKind.CHANGED,
    "ITEM_UPLOAD": EventKind.CHANGED,
    "ITEM_RENAME": EventKind.CHANGED,
    "ITEM_MOVE": EventKind.CHANGED,
    "ITEM_COPY": EventKind.CHANGED,
    "ITEM_MODIFY": EventKind.CHANGED,
    "ITEM_UNDELETE_VIA_TRASH": EventKind.CHANGED,
    "ITEM_MAKE_CURRENT_VERSION": EventKind.CHANGED,
    "FILE_VERSION_RESTORE": EventKind.CHANGED,
    "ITEM_TRASH": EventKind.TRASHED,
    "LOCK_CREATE": EventKind.LOCK,
    "LOCK_DESTROY": EventKind.LOCK,
    "COLLAB_ADD_COLLABORATOR": EventKind.COLLABORATION,
    "COLLAB_INVITE_COLLABORATOR": EventKind.COLLABORATION,
    "COLLAB_ROLE_CHANGE": EventKind.COLLABORATION,
    "COLLAB_REMOVE_COLLABORATOR": EventKind.COLLABORATION,
    "GROUP_ADD_USER": EventKind.COLLABORATION,
    "GROUP_REMOVE_USER": EventKind.COLLABORATION,
}


def event(reply: Json) -> Event:
    """Return an event; one without an id gets one made of what it says, so that it can be told from others."""
    box_type = text(reply.get("event_type")) or ""
    source = obj(reply.get("source"))
    made = f"{box_type}:{reply.get('created_at')}:{source.get('type')}:{source.get('id')}"
    return Event(
        id=text(reply.get("event_id")) or made,
        kind=_EVENT_KINDS.get(box_type, EventKind.OTHER),
        box_type=box_type,
        item=maybe_item(source),
        created_ns=time_ns(reply.get("created_at")),
        by=text(obj(reply.get("created_by")).get("name")),
    )


def event_page(reply: Json, position: int) -> EventPage:
    after = integer(reply.get("next_stream_position"))
    return EventPage(position if after is None else after, tuple(event(each) for each in entries(reply)))


def upload_session(reply: Json) -> UploadSession:
    urls = obj(reply.get("session_endpoints"))
    session_id, part_size = text(reply.get("id")), integer(reply.get("part_size"))
    upload_url = text(urls.get("upload_part"))
    if session_id is None or not part_size or part_size < 0 or upload_url is None:
        raise BadReply("Box opened an upload session without saying where or how")
    return UploadSession(
        id=session_id,
        part_size=part_size,
        total_parts=integer(reply.get("total_parts")) or 0,
        upload_url=upload_url,
        commit_url=text(urls.get("commit")) or f"{upload_url}/commit",
        abort_url=text(urls.get("abort")) or upload_url,
        list_parts_url=text(urls.get("list_parts")) or f"{upload_url}/parts",
        status_url=text(urls.get("status")) or upload_url,
        expires_ns=time_ns(reply.get("session_expires_at")),
    )


def part(reply: Json) -> Part:
    part_id, offset, size = text(reply.get("part_id")), integer(reply.get("offset")), integer(reply.get("size"))
    if part_id is None or offset is None or size is None:
        raise BadReply("Box sent a part without id or place")
    return Part(part_id=part_id, offset=offset, size=size, sha1=_sha1(reply))
