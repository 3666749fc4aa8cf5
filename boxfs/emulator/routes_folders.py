"""Folders: get, items, create, update and move, delete, copy (box-api.md section 8)."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from boxfs.emulator import errors, listing, tree
from boxfs.emulator.changes import changes_of
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import member, standard
from boxfs.emulator.store import Item

routes = Routes()
EMBEDDED = 100


@member("folder")
def item_collection(ctx: Context, item: Item) -> dict[str, Any]:
    """The first children, as minis, whatever `fields` says of the folder."""
    own = ctx.route == "GET /2.0/folders/{folder_id:int}"
    page = listing.asked(ctx, maximum_offset=ctx.settings.max_items_offset) if own else listing.FIRST
    page = listing.Page(page.sort, page.descending, page.offset, min(page.limit, EMBEDDED))
    return listing.offset_page(ctx, item, page, None)


@routes("GET", "/2.0/folders/{folder_id:int}")
def get_folder(ctx: Context, folder_id: int) -> Any:
    folder = ctx.find("folder", folder_id)
    if ctx.unchanged(folder) and not folder.is_root:
        return Response(status_code=304)
    return standard(ctx, folder, ctx.fields)


@routes("GET", "/2.0/folders/{folder_id:int}/items")
def get_items(ctx: Context, folder_id: int) -> dict[str, Any]:
    folder = ctx.find("folder", folder_id)
    page = listing.asked(ctx, maximum_offset=ctx.settings.max_items_offset)
    if ctx.query.get("usemarker", "").lower() == "true":
        return listing.marker_page(ctx, folder, page, ctx.fields)
    return listing.offset_page(ctx, folder, page, ctx.fields)


@routes("POST", "/2.0/folders")
def create_folder(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    if "name" not in body:
        raise errors.missing("name")
    parent = ctx.parent_of(body)
    assert parent is not None
    name = tree.check_name(ctx, body["name"])
    folder = tree.create_folder(ctx, parent, name)
    if body.get("sync_state"):
        folder = ctx.store.set_extra(folder, sync_state=body["sync_state"])
    return 201, standard(ctx, folder, ctx.fields)


@routes("PUT", "/2.0/folders/{folder_id:int}")
def update_folder(ctx: Context, folder_id: int) -> dict[str, Any]:
    folder = ctx.find("folder", folder_id)
    body = ctx.json()
    if folder.is_root and set(body) & {"name", "parent", "shared_link", "description"}:
        raise errors.denied()
    asked = changes_of(ctx, folder, body)
    if asked.parent is not None and asked.parent.number != folder.parent:
        require_unlocked(ctx, folder, "move")
    folder = tree.update(ctx, folder, name=asked.name, parent=asked.parent, **asked.values)
    return standard(ctx, folder, ctx.fields)


@routes("DELETE", "/2.0/folders/{folder_id:int}")
def delete_folder(ctx: Context, folder_id: int) -> None:
    folder = ctx.find("folder", folder_id)
    if folder.is_root:
        raise errors.denied()
    ctx.need(folder, "can_delete")
    ctx.check_etag(folder)
    require_unlocked(ctx, folder, "delete")
    recursive = ctx.query.get("recursive", "false").lower() == "true"
    if not recursive and next(ctx.store.children(folder.number), None) is not None:
        raise errors.ApiError(400, "folder_not_empty", "Cannot delete - folder not empty")  # trap 23
    tree.trash(ctx, folder)


@routes("POST", "/2.0/folders/{folder_id:int}/copy")
def copy_folder(ctx: Context, folder_id: int) -> tuple[int, dict[str, Any]]:
    folder = ctx.find("folder", folder_id)
    if folder.is_root:
        raise errors.ApiError(500, "internal_server_error", "Internal Server Error")
    ctx.need(folder, "can_download")
    body = ctx.json()
    parent = ctx.parent_of(body)
    assert parent is not None
    name = tree.check_name(ctx, body.get("name") or folder.name)
    return 201, standard(ctx, tree.copy(ctx, folder, parent, name), ctx.fields)


def require_unlocked(ctx: Context, folder: Item, operation: str) -> None:
    """Raises 403 where a folder lock forbids "move" or "delete"."""
    row = ctx.store.db.execute("SELECT operations FROM folder_locks WHERE folder=?", (folder.number,)).fetchone()
    if row is not None and json.loads(row[0]).get(operation):
        raise errors.ApiError(403, "access_denied_item_locked", "Access denied - item locked")
