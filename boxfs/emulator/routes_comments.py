"""Comments on files (box-api.md section 16)."""

from __future__ import annotations

from typing import Any

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import member, stamp, user_mini
from boxfs.emulator.store import Item
from boxfs.emulator.tree import record

routes = Routes()
SCHEMA = """
CREATE TABLE IF NOT EXISTS comments (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL,
    reply_to INTEGER,                     -- the comment that it answers
    message TEXT NOT NULL, tagged TEXT NOT NULL DEFAULT '',
    user INTEGER NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS comments_file ON comments (file, id);
"""
_COLUMNS = "id, file, reply_to, message, tagged, user, created_at, modified_at"
_SIMILAR_S = 60  # the same words by the same person within a minute: recent_similar_comment


@routes("GET", "/2.0/files/{file_id:int}/comments")
def listed(ctx: Context, file_id: int) -> dict[str, Any]:
    item = ctx.find("file", file_id)
    ctx.need(item, "can_preview")
    limit, offset = ctx.number("limit", 100, 1000), ctx.number("offset", 0)
    rows = ctx.store.db.execute(
        f"SELECT {_COLUMNS} FROM comments WHERE file=? ORDER BY id LIMIT ? OFFSET ?", (file_id, limit, offset)
    ).fetchall()
    return {
        "total_count": _count(ctx, item),
        "offset": offset,
        "limit": limit,
        "entries": [_shown(ctx, row) for row in rows],
    }


@routes("POST", "/2.0/comments")
def create(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    message, tagged = body.get("message"), body.get("tagged_message") or ""
    if not message and not tagged:
        raise errors.missing("message")
    item, reply_to = _target(ctx, body.get("item"))
    ctx.need(item, "can_comment")
    db = ctx.store.db
    similar = db.execute(
        "SELECT 1 FROM comments WHERE file=? AND user=? AND message=? AND reply_to IS ? AND created_at > ?",
        (item.number, ctx.user.id, message or tagged, reply_to, ctx.now - _SIMILAR_S),
    ).fetchone()
    if similar:
        raise ApiError(409, "recent_similar_comment", "A similar comment has been made recently")
    number = ctx.store.next_number("comment")
    db.execute(
        f"INSERT INTO comments ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)",
        (number, item.number, reply_to, message or tagged, tagged, ctx.user.id, ctx.now, ctx.now),
    )
    record(ctx, "COMMENT_CREATE", item)
    return 201, _shown(ctx, _row(ctx, number))


@routes("GET", "/2.0/comments/{comment_id:int}")
def one(ctx: Context, comment_id: int) -> dict[str, Any]:
    return _shown(ctx, _row(ctx, comment_id))


@routes("PUT", "/2.0/comments/{comment_id:int}")
def edit(ctx: Context, comment_id: int) -> dict[str, Any]:
    row = _row(ctx, comment_id)
    message = ctx.json().get("message")
    if not message:
        raise errors.missing("message")
    if row[5] != ctx.user.id:
        raise errors.denied()
    ctx.store.db.execute("UPDATE comments SET message=?, modified_at=? WHERE id=?", (message, ctx.now, comment_id))
    return _shown(ctx, _row(ctx, comment_id))


@routes("DELETE", "/2.0/comments/{comment_id:int}")
def delete(ctx: Context, comment_id: int) -> None:
    row = _row(ctx, comment_id)
    item = ctx.find("file", row[1])
    if row[5] != ctx.user.id:
        ctx.need(item, "can_delete")
    ctx.store.db.execute("DELETE FROM comments WHERE id=? OR reply_to=?", (comment_id, comment_id))
    record(ctx, "COMMENT_DELETE", item)


def _target(ctx: Context, named: Any) -> tuple[Item, int | None]:
    """(file, comment that is answered or None) of the body's `item`."""
    if not isinstance(named, dict) or not str(named.get("id", "")).isdecimal():
        raise errors.missing("item")
    number = int(named["id"])
    if named.get("type") == "comment":
        row = _row(ctx, number)
        return ctx.find("file", row[1]), number
    if named.get("type") != "file":
        raise errors.bad_request("item", "A comment is on a file or on a comment")
    return ctx.find("file", number), None


def _row(ctx: Context, number: int) -> tuple[Any, ...]:
    """Raises 404 for a comment that is not there, or whose file is not there for this user."""
    row: tuple[Any, ...] | None = ctx.store.db.execute(
        f"SELECT {_COLUMNS} FROM comments WHERE id=?", (number,)
    ).fetchone()
    if row is None:
        raise errors.not_found("comment", number)
    ctx.find("file", row[1])
    return row


def _shown(ctx: Context, row: tuple[Any, ...]) -> dict[str, Any]:
    number, file, reply_to, message, tagged, user, created_at, modified_at = row
    comment = {
        "type": "comment",
        "id": str(number),
        "is_reply_comment": reply_to is not None,
        "message": message,
        "tagged_message": tagged,
        "created_by": user_mini(ctx, user),
        "created_at": stamp(ctx, created_at),
        "modified_at": stamp(ctx, modified_at),
        "item": {"type": "file", "id": str(file)},
    }
    if ctx.fields is not None:
        return {k: v for k, v in comment.items() if k in ("type", "id") or k in ctx.fields}
    return comment


def _count(ctx: Context, item: Item) -> int:
    row = ctx.store.db.execute("SELECT COUNT(*) FROM comments WHERE file=?", (item.number,)).fetchone()
    return int(row[0])


member("file", name="comment_count")(_count)
