"""Shown: how an item of Box looks in the mount, and how what Box tells is laid over what it told before."""

from __future__ import annotations

from dataclasses import fields, replace

from boxfs.base.types import Ino, Item, Kind
from boxfs.core import attributes, names
from boxfs.core.node import Node
from boxfs.core.options import CoreOptions


def shown_name(item: Item) -> str:
    """Return the mount's name of an item: decoded, and with ".url" for a web link."""
    name = names.to_local(item.name)
    if item.kind is Kind.WEB_LINK and not name.endswith(".url"):
        return name + ".url"
    return name


def link_text(item: Item) -> bytes:
    """Return what a web link reads as: the shortcut file that desktops of all kinds open."""
    return f"[InternetShortcut]\r\nURL={item.url or ''}\r\n".encode("utf-8", "replace")


def shown_size(item: Item) -> int:
    if item.kind is Kind.WEB_LINK:
        return len(link_text(item))
    return (item.size or 0) if item.kind is Kind.FILE else 0


def shown_mtime_ns(item: Item) -> int:
    return item.content_modified_ns or item.modified_ns or item.created_ns or 0


def fresh(ino: Ino, parent: Ino, item: Item, options: CoreOptions) -> Node:
    """Return the node of an item that the mount has nothing of its own on."""
    mtime_ns = shown_mtime_ns(item)
    node = Node(
        ino,
        item.kind,
        parent,
        shown_name(item),
        size=shown_size(item),
        mtime_ns=mtime_ns,
        ctime_ns=item.modified_ns or mtime_ns,
        atime_ns=mtime_ns,
        remote=item,
        mark=names.mark_of(item.name),
    )
    return attributes.applied(node, item, options) if item.properties else node


_OPTIONAL = tuple(one.name for one in fields(Item) if one.name not in ("kind", "id", "name", "trashed"))


def is_vague(item: Item, held: Item | None) -> bool:
    """Tell whether the item says too little to be shown: no name, or a file's new bytes without version or size."""
    if item.trashed or item.kind is not Kind.FILE:
        return not item.name and not item.trashed
    now = told(held, item)
    return not now.name or now.version_id is None or now.size is None


def told(old: Item | None, new: Item) -> Item:
    """Return `new`, with what Box did not say this time as `old` had it.

    What belongs to a version is not carried over to another one, nor is its id to other bytes.
    """
    if old is None or old.key != new.key:
        return new
    other_bytes = None not in (new.sha1, old.sha1) and new.sha1 != old.sha1
    same = new.version_id in (None, old.version_id) and not (new.version_id is None and other_bytes)
    missing = {
        name: value
        for name in _OPTIONAL
        if getattr(new, name) is None
        and (value := getattr(old, name)) is not None
        and (same or name not in ("version_id", "sha1", "size", "content_modified_ns"))
    }
    return replace(new, **missing) if missing else new
