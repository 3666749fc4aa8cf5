"""A folder's entries, all of them, each once: the traps of Box's paging in one place (box-api.md sections 6, 22, 24).

Pages are asked by offset, the first alone and the rest in parallel.  We advance by the `limit` that Box used, never by
what came, since pages may have holes.  Offset pages are no snapshot: where `total_count` changed on the way or an entry
came twice, the folder is listed again, and in the end by markers, which are steadier but one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from boxfs.api import wire
from boxfs.api.http import Priority
from boxfs.api.session import Params, Session
from boxfs.api.wire import Json
from boxfs.base.errors import BadReply, InvalidArgument

T = TypeVar("T")
Key = tuple[str, str]  # type, id

LIMIT = 1000
PARALLEL = 6
TRIES = 3
# More pages than any folder has: a server that never ends its list must not hold us for ever.
MOST_PAGES = 20_000


@dataclass(slots=True)
class _Page(Generic[T]):
    """total, limit: as Box told them.  came: entries; found: what was made of them, by (type, id)."""

    total: int | None
    limit: int | None
    came: int
    found: dict[Key, T]


def whole_folder(
    session: Session,
    path: str,
    make: Callable[[Json], T],
    *,
    fields: str,
    priority: Priority = Priority.FOREGROUND,
    limit: int = LIMIT,
) -> list[T]:
    """Return what `make` makes of all entries of a list (`/folders/ID/items`, `/folders/trash/items`), none twice.

    It is called in several threads: what a page holds is taken in while others are still on their way.
    """

    def page(offset: int) -> _Page[T]:
        params: Params = {"fields": fields, "limit": limit, "offset": offset}
        reply = session.json("GET", path, params=params, priority=priority)
        entries = wire.entries(reply)
        found = {_key(entry): make(entry) for entry in entries}
        return _Page(wire.integer(reply.get("total_count")), wire.integer(reply.get("limit")), len(entries), found)

    for _ in range(TRIES):
        first = page(0)
        try:
            found, steady = _by_offset(first, page, limit)
        except InvalidArgument:
            break  # beyond the highest offset that Box takes
        if steady:
            return found
    return [make(entry) for entry in by_marker(session, path, fields=fields, priority=priority, limit=limit)]


def _key(entry: Json) -> Key:
    return str(entry.get("type")), str(entry.get("id"))


def _by_offset(first: _Page[T], page: Callable[[int], _Page[T]], limit: int) -> tuple[list[T], bool]:
    """Return the entries and whether they can be trusted to be one state of the folder."""
    total = first.total
    if total is None:
        raise InvalidArgument("no total_count")
    if not first.limit and first.came < min(limit, total):
        raise InvalidArgument("a short page that does not say how many were looked at")
    step = min(limit, first.limit or limit)
    offsets = range(step, total, step) if step > 0 else range(0)
    if not offsets:
        return _once([first])
    with ThreadPoolExecutor(min(PARALLEL, len(offsets)), "boxfs-list") as pool:
        rest = list(pool.map(page, offsets))
    found, steady = _once([first, *rest])
    return found, steady and all(each.total == total for each in rest)


def _once(pages: list[_Page[T]]) -> tuple[list[T], bool]:
    """Return the entries, each (type, id) once, and whether none came twice."""
    found: dict[Key, T] = {}
    for each in pages:
        found.update(each.found)
    return list(found.values()), sum(each.came for each in pages) == len(found)


def by_marker(
    session: Session,
    path: str,
    *,
    fields: str | None = None,
    priority: Priority = Priority.FOREGROUND,
    limit: int = LIMIT,
    params: Params | None = None,
) -> Iterator[Json]:
    """Yield all entries, each (type, id) once.  The last page has a marker that is null, "" or absent."""
    seen: set[Key] = set()
    marker: str | None = None
    for _ in range(MOST_PAGES):
        asked = {"fields": fields, **(params or {}), "limit": limit, "usemarker": True, "marker": marker}
        reply = session.json("GET", path, params=asked, priority=priority)
        total = wire.integer(reply.get("total_count"))
        if "next_marker" not in reply and total is not None and total > len(wire.entries(reply)):
            raise BadReply(f"{path}: Box lists no more than a part of it")  # it knows no markers here
        for entry in wire.entries(reply):
            key = _key(entry)
            if key not in seen:
                seen.add(key)
                yield entry
        after = wire.text(reply.get("next_marker"))
        if after is None:
            return
        if after == marker:
            raise BadReply(f"{path}: Box gives the same page again and again")
        marker = after
    raise BadReply(f"{path}: the list does not end")


def by_offset(session: Session, path: str, *, limit: int, params: Params | None = None) -> Iterator[Json]:
    """Yield all entries of an offset list, page after page, each (type, id) once."""
    seen: set[Key] = set()
    offset, total = 0, 1
    while offset < total:
        reply = session.json("GET", path, params={**(params or {}), "limit": limit, "offset": offset})
        for entry in wire.entries(reply):
            key = _key(entry)
            if key not in seen:
                seen.add(key)
                yield entry
        total = wire.integer(reply.get("total_count")) or 0
        offset += min(limit, wire.integer(reply.get("limit")) or limit) or limit
