"""Search with its lag, recent items, and the one collection: favorites (box-api.md sections 16, 18)."""

from __future__ import annotations

import re
from typing import Any

from boxfs.emulator import errors, times
from boxfs.emulator.changes import changer
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.names import fold
from boxfs.emulator.represent import entry, member, mini, stamp, standard
from boxfs.emulator.sharing import SharedAccess
from boxfs.emulator.store import COLUMNS, Item

routes = Routes()
SCHEMA = """
CREATE TABLE IF NOT EXISTS favorites (
    user INTEGER NOT NULL, pk INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user, pk)
) WITHOUT ROWID;
"""
FAVORITES = "1"
_WORD = re.compile(r"\w+")


@routes("GET", "/2.0/search")
def search(ctx: Context) -> dict[str, Any]:
    query = ctx.query
    text = query.get("query", "")
    if not text and not query.get("mdfilters"):
        raise errors.missing("query")
    if query.get("scope", "user_content") == "enterprise_content" and not ctx.user.extra.get("role") == "admin":
        raise ApiError(403, "forbidden", "enterprise_content wants an administrator")
    limit, offset = max(1, ctx.number("limit", 30, 200)), ctx.number("offset", 0)
    if offset > ctx.settings.max_offset:
        raise errors.bad_request(
            "offset", f"Invalid value '{offset}'. Offset must not exceed {ctx.settings.max_offset}"
        )
    found = [item for item in _visible(ctx) if _wanted(ctx, item, text)]
    if query.get("sort") == "modified_at":
        found.sort(key=lambda item: item.modified_at, reverse=query.get("direction", "DESC").upper() != "ASC")
    page = found[offset : offset + limit]
    return {
        "type": "search_results_items",
        "total_count": len(found),
        "limit": limit,
        "offset": offset,
        "entries": [standard(ctx, item, ctx.fields) for item in page],
    }


def _visible(ctx: Context) -> list[Item]:
    """What the index knows: the user's own items and those shared with them, not younger than the lag."""
    trash = ctx.query.get("trash_content", "non_trashed_only")
    ancestors = _ancestors(ctx)
    latest = ctx.store.time() - ctx.settings.search_lag_s
    access = ctx.app.access
    assert isinstance(access, SharedAccess)
    found = []
    for row in ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM items WHERE number > 0 AND modified_at <= ? ORDER BY modified_at DESC, number",
        (latest,),
    ).fetchall():
        item = Item(*row)
        if item.owner != ctx.user.id and access.role(ctx, item) is None:
            continue
        trashed = item.trashed_at is not None or ctx.in_trash(item)
        if trashed != (trash == "trashed_only") and trash != "all_items":
            continue
        if ancestors and not any(above.number in ancestors for above in ctx.store.ancestors(item)):
            continue
        found.append(item)
    return found


def _ancestors(ctx: Context) -> set[int]:
    """Numbers of `ancestor_folder_ids`; empty: everywhere.  Raises 404 for an unknown one."""
    text = ctx.query.get("ancestor_folder_ids", "")
    return {ctx.find("folder", ctx.folder_number(word.strip())).number for word in text.split(",") if word.strip()}


def _wanted(ctx: Context, item: Item, text: str) -> bool:
    query = ctx.query
    if query.get("type") and item.kind != query["type"]:
        return False
    extensions = [e.strip().lower().lstrip(".") for e in query.get("file_extensions", "").split(",") if e.strip()]
    if extensions and (item.kind != "file" or item.name.rpartition(".")[2].lower() not in extensions):
        return False
    owners = [word.strip() for word in query.get("owner_user_ids", "").split(",") if word.strip()]
    if owners and str(item.owner) not in owners:
        return False
    for name, value in (("created_at_range", item.created_at), ("updated_at_range", item.modified_at)):
        low, _, high = query.get(name, "").partition(",")
        if (low and value < times.parse(low, name)) or (high and value > times.parse(high, name)):
            return False
    low, _, high = query.get("size_range", "").partition(",")
    if (low.isdecimal() and item.size < int(low)) or (high.isdecimal() and item.size > int(high)):
        return False
    return matches(text, _texts(ctx, item))


def _texts(ctx: Context, item: Item) -> list[str]:
    kinds = [k for k in ctx.query.get("content_types", "").split(",") if k] or ["name", "description", "tags"]
    texts = []
    if "name" in kinds:
        texts.append(item.name)
    if "description" in kinds:
        texts.append(item.description)
    if "tags" in kinds:
        texts += item.extra.get("tags", [])
    if "comments" in kinds and item.kind == "file":
        texts += [row[0] for row in ctx.store.db.execute("SELECT message FROM comments WHERE file=?", (item.number,))]
    return texts


def matches(query: str, texts: list[str]) -> bool:
    """Each word of the query begins a word of the texts; in double quotes: the words in a row, exactly."""
    query = query.strip()
    folded = [fold(text) for text in texts]
    if len(query) > 2 and query[0] == query[-1] == '"':
        wanted = " ".join(_words(fold(query)))
        return any(f" {wanted} " in f" {' '.join(_words(text))} " for text in folded)
    words = [word for text in folded for word in _words(text)]
    return all(any(word.startswith(wanted) for word in words) for wanted in _words(fold(query)))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("_", " "))


# Recent items


@routes("GET", "/2.0/recent_items")
def recent(ctx: Context) -> dict[str, Any]:
    """Files that the user put there or changed, the latest first."""
    limit = max(1, ctx.number("limit", 100, 1000))
    rows = ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM items WHERE kind='file' AND modified_by=? AND trashed_at IS NULL "
        "ORDER BY modified_at DESC, number DESC LIMIT ?",
        (ctx.user.id, limit),
    ).fetchall()
    entries = []
    for row in rows:
        item = Item(*row)
        if ctx.app.access.role(ctx, item) is None or ctx.in_trash(item):
            continue
        entries.append(
            {
                "type": "recent_item",
                "interaction_type": "item_upload" if item.version_number == 1 else "item_modify",
                "interacted_at": stamp(ctx, item.modified_at),
                "item": mini(item) if ctx.fields is None else entry(ctx, item, ctx.fields),
            }
        )
    return {"limit": limit, "next_marker": None, "entries": entries}


# Collections


def _favorites() -> dict[str, Any]:
    return {"type": "collection", "id": FAVORITES, "name": "Favorites", "collection_type": "favorites"}


@routes("GET", "/2.0/collections")
def collections(ctx: Context) -> dict[str, Any]:
    return {"total_count": 1, "limit": ctx.number("limit", 100, 1000), "offset": 0, "entries": [_favorites()]}


@routes("GET", "/2.0/collections/{collection}")
def collection(ctx: Context, collection: str) -> dict[str, Any]:
    _known(collection)
    return _favorites()


@routes("GET", "/2.0/collections/{collection}/items")
def collected(ctx: Context, collection: str) -> dict[str, Any]:
    _known(collection)
    limit, offset = max(1, ctx.number("limit", 100, 1000)), ctx.number("offset", 0)
    rows = ctx.store.db.execute("SELECT pk FROM favorites WHERE user=? ORDER BY at, pk", (ctx.user.id,)).fetchall()
    items = [item for row in rows if (item := ctx.store.by_pk(row[0])) is not None]
    items = [i for i in items if i.trashed_at is None and not ctx.in_trash(i) and ctx.app.access.role(ctx, i)]
    entries = [entry(ctx, item, ctx.fields) for item in items[offset : offset + limit]]
    return {"total_count": len(items), "limit": limit, "offset": offset, "entries": entries}


def _known(collection: str) -> None:
    if collection != FAVORITES:
        raise errors.not_found("collection", collection)


@changer("collections")
def _change_collections(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    """Membership is the user's own affair: it changes nothing of the item."""
    if value is None:
        value = []
    if not isinstance(value, list) or not all(isinstance(each, dict) and "id" in each for each in value):
        raise errors.bad_request("collections", "Invalid value")
    for each in value:
        _known(str(each["id"]))
    if value:
        ctx.store.db.execute("INSERT OR IGNORE INTO favorites VALUES (?,?,?)", (ctx.user.id, item.pk, ctx.now))
    else:
        ctx.store.db.execute("DELETE FROM favorites WHERE user=? AND pk=?", (ctx.user.id, item.pk))
    return {}


@member(name="collections")
def _collections_of(ctx: Context, item: Item) -> list[dict[str, Any]]:
    row = ctx.store.db.execute("SELECT 1 FROM favorites WHERE user=? AND pk=?", (ctx.user.id, item.pk)).fetchone()
    return [_favorites()] if row else []
