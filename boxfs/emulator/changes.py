"""What the body of a PUT on an item asks to be changed.

Areas add keys of their own with `changer`: a function (ctx, item, value) that checks the value and gives the columns
to set ({} where it did its work itself).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from boxfs.emulator import errors, names, times, tree
from boxfs.emulator.context import Context
from boxfs.emulator.store import KINDS, Item

Changer = Callable[[Context, Item, Any], dict[str, Any]]
CHANGERS: dict[str, dict[str, Changer]] = {kind: {} for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Changes:
    name: str | None = None
    parent: Item | None = None
    values: dict[str, Any] = field(default_factory=dict)


def changer(key: str, *kinds: str) -> Callable[[Changer], Changer]:
    def add(function: Changer) -> Changer:
        for kind in kinds or KINDS:
            CHANGERS[kind][key] = function
        return function

    return add


def changes_of(ctx: Context, item: Item, body: dict[str, Any]) -> Changes:
    """Check the body and the rights for it.  Raises 400, 403, 404 (parent), 412.

    if-match guards everything but a move (trap 19).  Keys that nobody knows are ignored.
    """
    if body.get("parent") is None:
        ctx.check_etag(item)
    name = None
    if body.get("name") is not None:
        name = tree.check_name(ctx, body["name"])
        if name != item.name:
            ctx.need(item, "can_rename")
    parent = ctx.parent_of(body, required=False)
    if parent is not None and parent.number != item.parent:
        ctx.need(item, "can_delete")
        if ctx.app.access.role(ctx, parent) is None:
            raise errors.denied()
    values: dict[str, Any] = {}
    for key, value in body.items():
        change = CHANGERS[item.kind].get(key)
        if change is not None:
            values |= change(ctx, item, value)
    return Changes(name, parent, values)


@changer("description")
def _description(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    text = names.description(value)
    ctx.need(item, "can_rename")
    return {} if text == item.description else {"description": text}


@changer("content_modified_at", "file")
def _content_modified_at(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    seconds = times.parse(value, "content_modified_at")
    ctx.need(item, "can_upload")
    return {} if seconds == item.content_modified_at else {"content_modified_at": seconds}


@changer("content_created_at", "file")
def _content_created_at(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    seconds = times.parse(value, "content_created_at")
    ctx.need(item, "can_upload")
    return {} if seconds == item.content_created_at else {"content_created_at": seconds}


@changer("tags")
def _tags(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise errors.bad_request("tags", "Invalid value")
    ctx.need(item, "can_rename")
    return extra_value(item, "tags", value)


@changer("disposition_at", "file")
def _disposition_at(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    return extra_value(item, "disposition_at", value)


@changer("sync_state", "folder")
def _sync_state(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    if value not in ("synced", "not_synced", "partially_synced"):
        raise errors.bad_request("sync_state", "Invalid value")
    return extra_value(item, "sync_state", value)


@changer("can_non_owners_invite", "folder")
def _can_non_owners_invite(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    return extra_value(item, "can_non_owners_invite", bool(value))


@changer("can_non_owners_view_collaborators", "folder")
def _can_non_owners_view_collaborators(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    return extra_value(item, "can_non_owners_view_collaborators", bool(value))


def extra_value(item: Item, key: str, value: Any) -> dict[str, Any]:
    """Columns that put a key into the item's extra.  item.extra keeps what earlier keys of the body put there."""
    if item.extra.get(key) == value:
        return {}
    item.extra[key] = value
    return {"extra": json.dumps(item.extra)}
