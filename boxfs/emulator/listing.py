"""Listings of folders: offset and marker pages, sort, holes and lag (box-api.md section 6).

Folders come first, then files, then web links, whatever the sort (trap 8).  Holes are slots of the listing that
nobody sees: they count for offset, limit and total_count, so a client must advance by `limit` (trap 7).
"""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxfs.emulator.context import Context
from boxfs.emulator.errors import bad_request
from boxfs.emulator.represent import entry
from boxfs.emulator.store import COLUMNS, Item

if TYPE_CHECKING:
    from boxfs.emulator.app import Emulator

MAX_LIMIT = 1000
SORTS: dict[str, str] = {"name": "folded", "id": "number", "date": "modified_at", "size": "size"}
KEYS: dict[str, Callable[[Item], Any]] = {
    "name": lambda item: item.folded,
    "id": lambda item: item.number,
    "date": lambda item: item.modified_at,
    "size": lambda item: item.size,
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a listing is asked for."""

    sort: str
    descending: bool
    offset: int
    limit: int

    @property
    def order(self) -> list[dict[str, str]]:
        direction = "DESC" if self.descending else "ASC"
        return [{"by": "type", "direction": "ASC"}, {"by": self.sort, "direction": direction}]


FIRST = Page("name", False, 0, 100)


class Listings:
    """Remembers, where the knob listing_lag_s is set, how changed items looked, so that listings can lag."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._before: deque[tuple[float, int, Item | None]] = deque()

    def reset(self) -> None:
        self._before.clear()

    def changed(self, pk: int, before: Item | None) -> None:
        """An item is about to change (None: to appear)."""
        if self.emulator.settings.listing_lag_s > 0:
            self._before.append((time.monotonic() + self.emulator.settings.listing_lag_s, pk, before))

    def lagging(self) -> dict[int, Item | None]:
        """Items whose listings still show an earlier state: pk -> that state (None: not there yet)."""
        now = time.monotonic()
        while self._before and self._before[0][0] <= now:
            self._before.popleft()
        shown: dict[int, Item | None] = {}
        for _until, pk, before in self._before:
            shown.setdefault(pk, before)
        return shown


def asked(ctx: Context, *, maximum_offset: int) -> Page:
    """Page parameters of the query.  Raises 400."""
    sort = ctx.query.get("sort", "name")
    if sort not in SORTS:
        raise bad_request("sort", f"Invalid value '{sort}'.")
    direction = ctx.query.get("direction", "ASC").upper()
    if direction not in ("ASC", "DESC"):
        raise bad_request("direction", f"Invalid value '{direction}'.")
    offset = ctx.number("offset", 0)
    if offset > maximum_offset:
        raise bad_request("offset", f"Invalid value '{offset}'. Offset must not exceed {maximum_offset}")
    return Page(sort, direction == "DESC", offset, max(1, ctx.number("limit", 100, MAX_LIMIT)))


def offset_page(ctx: Context, folder: Item, page: Page, fields: Sequence[str] | None) -> dict[str, Any]:
    """The reply of an offset listing."""
    real = count(ctx, folder)
    holes = ctx.settings.listing_holes
    slot = page.offset
    if holes:
        first, last = slot - slot // (holes + 1), slot + page.limit - (slot + page.limit) // (holes + 1)
        total = real + real // holes
    else:
        first, last, total = slot, slot + page.limit, real
    items = rows(ctx, folder, page, first, last - first)
    return {
        "total_count": total,
        "entries": [entry(ctx, item, fields) for item in items],
        "offset": page.offset,
        "limit": page.limit,
        "order": page.order,
    }


def marker_page(ctx: Context, folder: Item, page: Page, fields: Sequence[str] | None) -> dict[str, Any]:
    """The reply of a marker listing.  The marker names the last entry, so that other changes shift nothing."""
    if folder.is_root:  # sort has no say there
        page = Page("id", False, 0, page.limit)
    after = read_marker(ctx.query.get("marker"))
    size = page.limit
    if ctx.settings.listing_holes:
        size = max(1, page.limit - page.limit // (ctx.settings.listing_holes + 1))
    items = rows(ctx, folder, page, 0, size + 1, after)
    more = items[size:]
    items = items[:size]
    reply: dict[str, Any] = {"limit": page.limit, "entries": [entry(ctx, item, fields) for item in items]}
    put_marker(ctx, reply, [items[-1].rank, KEYS[page.sort](items[-1]), items[-1].number] if more else None)
    return reply


def put_marker(ctx: Context, reply: dict[str, Any], key: list[Any] | None) -> None:
    """Write next_marker; key None: there is no more."""
    if key is not None:
        reply["next_marker"] = base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
    elif ctx.settings.last_marker != "absent":
        reply["next_marker"] = "" if ctx.settings.last_marker == "empty" else None


def read_marker(text: str | None) -> list[Any] | None:
    """The key that a marker holds.  Raises 400."""
    if not text or text == "0":
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(text))
        if isinstance(key, list):
            return key
    except ValueError:
        pass
    raise bad_request("marker", f"Invalid value '{text}'.")


def count(ctx: Context, folder: Item) -> int:
    if _odd(ctx, folder):
        return len(_all(ctx, folder))
    row = ctx.store.db.execute(
        "SELECT count(*) FROM items WHERE parent=? AND trashed_at IS NULL", (folder.number,)
    ).fetchone()
    return int(row[0])


def rows(ctx: Context, folder: Item, page: Page, skip: int, size: int, after: list[Any] | None = None) -> list[Item]:
    """`size` children from the skipped ones on, or from behind the key `after` = [rank, sort key, number]."""
    if _odd(ctx, folder):
        return _rows_in_python(_all(ctx, folder), page, skip, size, after)
    key, way, direction = SORTS[page.sort], ("<" if page.descending else ">"), ("DESC" if page.descending else "ASC")
    values: list[Any] = [folder.number]
    where = ""
    if after is not None:
        where = f"AND (rank > ? OR (rank = ? AND ({key}, number) {way} (?, ?)))"
        values += [after[0], after[0], after[1], after[2]]
    found = ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM items WHERE parent=? AND trashed_at IS NULL {where} "
        f"ORDER BY rank, {key} {direction}, number {direction} LIMIT ? OFFSET ?",
        (*values, size, skip),
    )
    return [Item(*row) for row in found]


def _odd(ctx: Context, folder: Item) -> bool:
    """Whether the listing is not simply the rows of the folder: others' shares in a root, or a lag."""
    return bool(ctx.settings.listing_lag_s) or (folder.is_root and bool(ctx.app.access.shared_roots(ctx.user.id)))


def _all(ctx: Context, folder: Item) -> list[Item]:
    items = {item.pk: item for item in ctx.store.children(folder.number)}
    if folder.is_root:
        for pk in ctx.app.access.shared_roots(ctx.user.id):
            item = ctx.store.by_pk(pk)
            if item is not None and item.trashed_at is None and not ctx.in_trash(item):
                items[pk] = item
    for pk, before in ctx.app.listings.lagging().items():
        items.pop(pk, None)
        if before is not None and before.parent == folder.number and before.trashed_at is None:
            items[pk] = before
    return list(items.values())


def _rows_in_python(items: list[Item], page: Page, skip: int, size: int, after: list[Any] | None) -> list[Item]:
    key = KEYS[page.sort]
    items.sort(key=lambda item: (key(item), item.number), reverse=page.descending)
    items.sort(key=lambda item: item.rank)
    if after is not None:
        edge = (after[1], after[2])

        def behind(item: Item) -> bool:
            here = (key(item), item.number)
            return item.rank > after[0] or (item.rank == after[0] and (here < edge if page.descending else here > edge))

        items = [item for item in items if behind(item)]
    return items[skip : skip + size]
