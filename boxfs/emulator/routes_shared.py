"""Shared links: made and removed by PUT on an item, opened by GET /shared_items (box-api.md section 16)."""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from boxfs.emulator import errors, times, tree
from boxfs.emulator.changes import changer, extra_value
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import member, stamp, standard
from boxfs.emulator.routes_downloads import serve
from boxfs.emulator.sharing import opens, shown_link
from boxfs.emulator.store import Item

routes = Routes()
_LEVELS = ("open", "company", "collaborators")


@changer("shared_link")
def change_link(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    """null removes; an object makes or changes, what it leaves out stays as it was or is the default."""
    if item.is_root:
        raise errors.denied("The root folder cannot be shared")
    ctx.need(item, "can_share")
    old = item.extra.get("shared_link")
    if value is None:
        if old is None:
            return {}
        tree.record(ctx, "ITEM_SHARED_UNSHARE", item)
        item.extra.pop("shared_link")
        return {"extra": json.dumps(item.extra)}
    if not isinstance(value, dict):
        raise errors.bad_request("shared_link", "Invalid value")
    link = _changed(ctx, item, old or _new(item), value)
    if old is None:
        tree.record(ctx, "ITEM_SHARED_CREATE", item)
    return extra_value(item, "shared_link", link)


def _new(item: Item) -> dict[str, Any]:
    key = secrets.token_hex(16)
    return {
        "key": key,
        "url": f"https://app.box.com/s/{key}",
        "access": "open",
        "permissions": {"can_download": True, "can_preview": True, "can_edit": False},
    }


def _changed(ctx: Context, item: Item, old: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    link = dict(old)
    level = value.get("access") or link["access"]
    if level not in _LEVELS:
        raise errors.bad_request("shared_link.access", f"Invalid value '{level}'.")
    if value.get("access") or value.get("password") is not None:
        ctx.need(item, "can_set_share_access")
    link["access"] = level
    if "password" in value:
        if value["password"] and level != "open":
            raise errors.bad_request("shared_link.password", "A password wants open access")
        link["password"] = value["password"] or None
    if "unshared_at" in value:
        ends = value["unshared_at"]
        link["unshared_at"] = None if ends is None else times.parse(ends, "shared_link.unshared_at")
        if ends is not None and link["unshared_at"] <= ctx.now:
            raise errors.bad_request("shared_link.unshared_at", "The date must be in the future")
    if "vanity_name" in value:
        name = value["vanity_name"]
        if name is not None and (not isinstance(name, str) or len(name) < 12):
            raise errors.bad_request("shared_link.vanity_name", "A vanity name has at least 12 characters")
        link["vanity_name"] = name
        link["vanity_url"] = f"https://app.box.com/v/{quote(name)}" if name else None
    if isinstance(value.get("permissions"), dict):
        wishes = {k: bool(v) for k, v in value["permissions"].items() if k in link["permissions"] and v is not None}
        link["permissions"] = {**link["permissions"], **wishes}
    return link


@member()
def shared_link(ctx: Context, item: Item) -> dict[str, Any] | None:
    link = item.extra.get("shared_link")
    if item.trashed_at is not None or link is None:
        return None
    ends = link.get("unshared_at")
    if ends is not None and ends <= ctx.now:
        return None
    rights = link["permissions"]
    can = "can_edit" if rights.get("can_edit") else "can_download" if rights["can_download"] else "can_preview"
    suffix = f".{item.name.rpartition('.')[2]}" if "." in item.name else ""
    direct = item.kind == "file" and rights["can_download"] and link["access"] == "open" and not link.get("password")
    return {
        "url": link["url"],
        "download_url": f"{ctx.base}/shared/static/{link['key']}{quote(suffix)}" if direct else None,
        "vanity_url": link.get("vanity_url"),
        "vanity_name": link.get("vanity_name"),
        "access": link["access"],
        "effective_access": link["access"],
        "effective_permission": can,
        "unshared_at": stamp(ctx, ends),
        "is_password_enabled": bool(link.get("password")),
        "permissions": rights if item.kind == "file" else {**rights, "can_edit": False},
        "download_count": link.get("download_count", 0),
        "preview_count": 0,
    }


def linked(ctx: Context, url: str | None) -> Item | None:
    """The untrashed item that the link belongs to."""
    rows = ctx.store.db.execute("SELECT pk, extra FROM items WHERE trashed_at IS NULL AND extra LIKE '%shared_link%'")
    for pk, extra in rows.fetchall():
        link = json.loads(extra).get("shared_link") or {}
        if url and url in (link.get("url"), link.get("vanity_url")):
            return ctx.store.by_pk(pk)
    return None


@routes("GET", "/2.0/shared_items")
def shared_item(ctx: Context) -> Any:
    """The item behind the BoxApi header's link."""
    header = ctx.headers.get("boxapi", "")
    shown = shown_link(header)
    item = linked(ctx, shown.get("shared_link"))
    if item is None or ctx.in_trash(item):
        raise ApiError(404, "not_found", "Not Found")
    link = item.extra["shared_link"]
    if not opens(header, link, ctx.now) and ctx.app.access.role(ctx, item) is None:
        if link.get("password") and shown.get("shared_link_password") != link["password"]:
            raise ApiError(403, "incorrect_shared_item_password", "Incorrect shared item password")
        raise ApiError(404, "not_found", "Not Found")
    if link.get("password") and shown.get("shared_link_password") != link["password"] and item.owner != ctx.user.id:
        raise ApiError(403, "incorrect_shared_item_password", "Incorrect shared item password")
    if ctx.unchanged(item):
        return Response(status_code=304)
    return standard(ctx, item, ctx.fields)


@routes("GET", "/shared/static/{key}", auth=False)
def direct_bytes(ctx: Context, key: str) -> Response:
    """The bytes behind a download_url, for anybody."""
    for pk, extra in ctx.store.db.execute(
        "SELECT pk, extra FROM items WHERE trashed_at IS NULL AND extra LIKE '%key%'"
    ):
        link = json.loads(extra).get("shared_link") or {}
        if link.get("key") != key.partition(".")[0] or link["access"] != "open" or link.get("password"):
            continue
        item = ctx.store.by_pk(pk)
        if item is not None and item.sha1 is not None:
            link["download_count"] = link.get("download_count", 0) + 1
            ctx.store.set_extra(item, shared_link=link)
            return serve(ctx, str(ctx.store.blobs.path(item.sha1)), item.size, item.name)
    return Response(b"Not Found", 404, media_type="text/plain")
