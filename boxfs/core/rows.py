"""Rows: a `Node` as the tuple that store/schema.py describes, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from boxfs.base.types import Etag, Ino, Item, ItemId, Kind, VersionId
from boxfs.core.names import fold
from boxfs.core.node import NOTHING, Content, Node
from boxfs.store.records import NodeRow, ToldRow

_KINDS = {kind.value: kind for kind in Kind}
_NO_REMOTE = (None,) * 16
_NO_CONTENT = (None,) * 6
# Fields of a node that are one column each, and in no index; and those columns of its content that are in none.
_PLAIN = frozenset(
    {
        *("size", "mtime_ns", "ctime_ns", "atime_ns", "mode", "uid", "gid", "rdev", "times_set", "mark", "complete"),
        *("changed_ns", "attempts", "not_before_ns"),
    }
)
_CONTENT = ("edit", "base", "base_size", "base_etag", "base_file")
_EXTRA = ("url", "description", "shared_link", "lock", "owner", "tags")


def text(value: str) -> str | bytes:
    """Return what SQLite can hold: the text, or the bytes of one that is no UTF-8."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return os.fsencode(value)
    return value


def untext(value: str | bytes) -> str:
    return value if isinstance(value, str) else os.fsdecode(value)


def to_row(node: Node, pending: bool) -> NodeRow:
    content = node.content
    return (
        node.ino,
        node.parent,
        text(node.name),
        text(fold(node.name)),
        node.kind.value,
        1 if pending else 0,
        node.size,
        node.mtime_ns,
        node.ctime_ns,
        node.atime_ns,
        node.mode,
        node.uid,
        node.gid,
        node.kind_bits,
        node.rdev,
        None if node.target is None else text(node.target),
        json.dumps(dict(node.xattrs)) if node.xattrs else None,
        1 if node.times_set else 0,
        node.mark,
        *(_NO_CONTENT if content is None else _content_row(content)),
        1 if node.complete else 0,
        node.stale,
        node.changed_ns,
        node.attempts,
        node.not_before_ns,
        None if node.error is None else text(node.error),
        None if node.conflict_of is None else text(node.conflict_of),
        *(_NO_REMOTE if node.remote is None else _remote_row(node.remote)),
    )


def difference(old: Node, new: Node) -> dict[str, Any] | None:
    """Return what differs between the rows of a node, by column; None where it is much, or in an index."""
    columns: dict[str, Any] = {}
    for name in new.changed_since(old):
        if name in _PLAIN:
            columns[name] = getattr(new, name)
        elif name == "error":
            columns[name] = None if new.error is None else text(new.error)
        elif name == "content" and old.content and new.content and old.content.spool == new.content.spool:
            columns.update(zip(_CONTENT, _content_row(new.content)[1:], strict=True))
        else:
            return None
    return columns


def told_row(node: Node, folded: str) -> ToldRow:
    """Return the row of a node on which nothing was changed here.  folded: its name as Box compares names."""
    assert node.remote is not None
    return (
        node.ino,
        node.parent,
        text(node.name),
        text(folded),
        node.kind.value,
        node.size,
        node.mtime_ns,
        node.ctime_ns,
        node.atime_ns,
        *_remote_row(node.remote),
    )


def _content_row(content: Content) -> tuple[Any, ...]:
    return (content.spool, content.edit, content.base, content.base_size, content.base_etag, content.base_file)


def _remote_row(item: Item) -> tuple[Any, ...]:
    return (
        item.id,
        item.parent_id,
        text(item.name),
        item.etag,
        item.sequence_id,
        item.version_id,
        item.sha1,
        item.size,
        item.created_ns,
        item.modified_ns,
        item.content_created_ns,
        item.content_modified_ns,
        1 if item.trashed else 0,
        _rights(item),
        _properties(item.properties),
        _extra(item),
    )


def _properties(properties: Mapping[str, str] | None) -> str | None:
    return None if properties is None else json.dumps(dict(properties)) if properties else "{}"


def _extra(item: Item) -> str | None:
    if item.lock:
        return json.dumps({key: value for key in _EXTRA if (value := getattr(item, key)) is not None}, default=dict)
    return _extra_again(
        item.url, item.description, item.shared_link, None if item.lock is None else False, item.owner, item.tags
    )


@lru_cache(maxsize=256)
def _extra_again(*told: Any) -> str | None:
    """In a folder, all but the owner is mostly nothing, and the owner is one.  A lock that is False was asked for."""
    values = {key: value for key, value in zip(_EXTRA, told, strict=True) if value is not None}
    if "lock" in values:
        values["lock"] = {}
    return json.dumps(values) if values else None


_DIGITS = {None: 0, False: 1, True: 2}


def _rights(item: Item) -> int:
    return (
        _DIGITS[item.can_download]
        + 3 * _DIGITS[item.can_upload]
        + 9 * _DIGITS[item.can_rename]
        + 27 * _DIGITS[item.can_delete]
    )


_RIGHTS = (None, False, True)
_EMPTY: Mapping[str, str] = MappingProxyType({})


def from_row(row: NodeRow) -> Node:
    (
        ino, parent, name, _folded, kind, _pending,
        size, mtime_ns, ctime_ns, atime_ns, mode, uid, gid, kind_bits, rdev, target, xattrs, times_set, mark,
        spool, edit, base, base_size, base_etag, base_file,
        complete, stale, changed_ns, attempts, not_before_ns, error, conflict_of,
        item_id, *remote,
    ) = row  # fmt: skip
    kind = _KINDS[kind]
    return Node(
        Ino(ino),
        kind,
        None if parent is None else Ino(parent),
        untext(name),
        size,
        mtime_ns,
        ctime_ns,
        atime_ns,
        mode,
        uid,
        gid,
        kind_bits,
        rdev,
        None if target is None else untext(target),
        json.loads(xattrs) if xattrs else NOTHING,
        None if spool is None else Content(spool, edit, base, base_size, base_etag, base_file),
        None if item_id is None else _item(kind, item_id, *remote),
        bool(complete),
        stale,
        changed_ns,
        attempts,
        not_before_ns,
        None if error is None else untext(error),
        None if conflict_of is None else untext(conflict_of),
        bool(times_set),
        mark,
    )


def _item(
    kind: Kind, item_id: str, parent: str | None, name: Any, etag: str | None, sequence_id: int | None,
    version_id: str | None, sha1: str | None, size: int | None, created_ns: int | None, modified_ns: int | None,
    content_created_ns: int | None, content_modified_ns: int | None, trashed: int, rights: int,
    properties: str | None, extra: str | None,
) -> Item:  # fmt: skip
    more: dict[str, Any] = json.loads(extra) if extra else {}
    return Item(
        kind,
        ItemId(item_id),
        untext(name),
        None if parent is None else ItemId(parent),
        None if etag is None else Etag(etag),
        sequence_id,
        None if version_id is None else VersionId(version_id),
        sha1,
        size,
        created_ns,
        modified_ns,
        content_created_ns,
        content_modified_ns,
        bool(trashed),
        more.get("url"),
        _RIGHTS[rights % 3],
        _RIGHTS[rights // 3 % 3],
        _RIGHTS[rights // 9 % 3],
        _RIGHTS[rights // 27],
        None if properties is None else _EMPTY if properties == "{}" else json.loads(properties),
        more.get("description"),
        more.get("shared_link"),
        more.get("lock"),
        more.get("owner"),
        tuple(more["tags"]) if "tags" in more else None,
    )
