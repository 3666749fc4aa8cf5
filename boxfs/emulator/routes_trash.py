"""The trash: list, look, restore, purge; for files, folders and web links alike (box-api.md section 14, trap 22)."""

from __future__ import annotations

from functools import partial
from typing import Any

from boxfs.emulator import errors, listing, tree
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import entry, standard
from boxfs.emulator.store import COLUMNS, KINDS, Item

routes = Routes()


@routes("GET", "/2.0/folders/trash/items")
def list_trash(ctx: Context) -> dict[str, Any]:
    """Only what was itself trashed, not what lies inside."""
    if ctx.query.get("usemarker", "").lower() == "true":
        for name in ("sort", "direction", "offset"):
            if name in ctx.query:
                raise errors.bad_request(name, f"'{name}' is not supported with marker-based paging")
        return _marker_page(ctx)
    page = listing.asked(ctx, maximum_offset=ctx.settings.max_items_offset)
    direction = "DESC" if page.descending else "ASC"
    items = _rows(ctx, f"ORDER BY rank, {listing.SORTS[page.sort]} {direction}, number LIMIT ? OFFSET ?",
                  page.limit, page.offset)  # fmt: skip
    (total,) = ctx.store.db.execute(
        "SELECT count(*) FROM items WHERE owner=? AND trashed_at IS NOT NULL", (ctx.user.id,)
    ).fetchone()
    return {
        "total_count": total,
        "entries": [entry(ctx, item, ctx.fields) for item in items],
        "offset": page.offset,
        "limit": page.limit,
        "order": page.order,
    }


def _marker_page(ctx: Context) -> dict[str, Any]:
    limit = max(1, ctx.number("limit", 100, listing.MAX_LIMIT))
    after = listing.read_marker(ctx.query.get("marker"))
    if after is None:
        items = _rows(ctx, "ORDER BY pk LIMIT ?", limit + 1)
    else:
        items = _rows(ctx, "AND pk > ? ORDER BY pk LIMIT ?", after[0], limit + 1)
    more, items = len(items) > limit, items[:limit]
    reply: dict[str, Any] = {"entries": [entry(ctx, item, ctx.fields) for item in items], "limit": limit}
    listing.put_marker(ctx, reply, [items[-1].pk] if more else None)
    return reply


def _rows(ctx: Context, tail: str, *values: Any) -> list[Item]:
    found = ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM items WHERE owner=? AND trashed_at IS NOT NULL {tail}", (ctx.user.id, *values)
    )
    return [Item(*row) for row in found]


def _find(ctx: Context, kind: str, number: int) -> Item:
    """An item that was itself trashed.  Raises 404: not_found, or not_trashed for one that is not in the trash."""
    item = ctx.store.item(kind, number)
    if item is None or ctx.app.access.role(ctx, item) is None:
        raise errors.not_found(kind, number)
    if item.trashed_at is None:
        raise errors.ApiError(404, "not_trashed", "Item is not trashed")
    return item


def get_trashed(ctx: Context, item_id: int, *, kind: str) -> dict[str, Any]:
    item = _find(ctx, kind, item_id)
    reply = standard(ctx, item, ctx.fields)
    if ctx.fields is None:
        reply.pop("item_collection", None)
    return reply


def restore(ctx: Context, item_id: int, *, kind: str) -> tuple[int, dict[str, Any]]:
    """To the old parent, unless the body names another; under another name if it says so."""
    item = _find(ctx, kind, item_id)
    ctx.need(item, "can_delete")
    body = ctx.json()
    old = item.parent
    assert old is not None
    named = body.get("parent")
    if isinstance(named, dict) and "id" in named:
        parent = ctx.parent_of(body)
    else:
        parent = ctx.find("folder", old, name="parent")
    assert parent is not None
    name = tree.check_name(ctx, body.get("name") or item.name)
    item = tree.restore(ctx, item, parent, name)
    reply = standard(ctx, item, ctx.fields)
    if ctx.fields is None:
        reply.pop("item_collection", None)
    return 201, reply


def purge(ctx: Context, item_id: int, *, kind: str) -> None:
    item = _find(ctx, kind, item_id)
    ctx.need(item, "can_delete")
    tree.purge(ctx, item)


for _kind in KINDS:
    routes("GET", f"/2.0/{_kind}s/{{item_id:int}}/trash")(partial(get_trashed, kind=_kind))
    routes("POST", f"/2.0/{_kind}s/{{item_id:int}}")(partial(restore, kind=_kind))
    routes("DELETE", f"/2.0/{_kind}s/{{item_id:int}}/trash")(partial(purge, kind=_kind))
