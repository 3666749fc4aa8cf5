"""Groups and their members: enough to share a folder with a team."""

from __future__ import annotations

import sqlite3
from typing import Any

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import stamp, user_mini
from boxfs.emulator.routes_collaborations import access

routes = Routes()


def _paged(ctx: Context, entries: list[dict[str, Any]]) -> dict[str, Any]:
    limit, offset = ctx.number("limit", 100, 1000), ctx.number("offset", 0)
    shown = entries[offset : offset + limit]
    return {"total_count": len(entries), "entries": shown, "offset": offset, "limit": limit}


def _group(ctx: Context, number: int) -> dict[str, Any]:
    row = ctx.store.db.execute("SELECT name, created_at, modified_at FROM teams WHERE id=?", (number,)).fetchone()
    if row is None:
        raise errors.not_found("group", number)
    return {
        **_mini(number, row[0]),
        "created_at": stamp(ctx, row[1]),
        "modified_at": stamp(ctx, row[2]),
    }


def _mini(number: int, name: str) -> dict[str, Any]:
    return {"type": "group", "id": str(number), "name": name, "group_type": "managed_group"}


def _membership(ctx: Context, number: int) -> dict[str, Any]:
    row = ctx.store.db.execute(
        "SELECT m.user, m.role, m.created_at, m.modified_at, t.id, t.name FROM memberships m "
        "JOIN teams t ON t.id = m.team WHERE m.id=?",
        (number,),
    ).fetchone()
    if row is None:
        raise errors.not_found("group_membership", number)
    return {
        "type": "group_membership",
        "id": str(number),
        "user": user_mini(ctx, row[0]),
        "group": _mini(row[4], row[5]),
        "role": row[1],
        "created_at": stamp(ctx, row[2]),
        "modified_at": stamp(ctx, row[3]),
    }


@routes("GET", "/2.0/groups")
def listed(ctx: Context) -> dict[str, Any]:
    wanted = ctx.query.get("filter_term", "").casefold()
    rows = ctx.store.db.execute("SELECT id, name FROM teams ORDER BY name").fetchall()
    return _paged(ctx, [_group(ctx, number) for number, name in rows if name.casefold().startswith(wanted)])


@routes("POST", "/2.0/groups")
def create(ctx: Context) -> tuple[int, dict[str, Any]]:
    name = ctx.json().get("name")
    if not name:
        raise errors.missing("name")
    number = ctx.store.next_number("group")
    _write(
        ctx, "INSERT INTO teams (id, name, created_at, modified_at) VALUES (?,?,?,?)", number, name, ctx.now, ctx.now
    )
    return 201, _group(ctx, number)


@routes("GET", "/2.0/groups/{number:int}")
def one(ctx: Context, number: int) -> dict[str, Any]:
    return _group(ctx, number)


@routes("PUT", "/2.0/groups/{number:int}")
def update(ctx: Context, number: int) -> dict[str, Any]:
    group = _group(ctx, number)
    name = ctx.json().get("name", group["name"])
    _write(ctx, "UPDATE teams SET name=?, modified_at=? WHERE id=?", name, ctx.now, number)
    return _group(ctx, number)


@routes("DELETE", "/2.0/groups/{number:int}")
def delete(ctx: Context, number: int) -> None:
    _group(ctx, number)
    for sql in (
        "DELETE FROM teams WHERE id=?",
        "DELETE FROM memberships WHERE team=?",
        "DELETE FROM collaborations WHERE team=?",
    ):
        _write(ctx, sql, number)
    access(ctx).changed()


@routes("GET", "/2.0/groups/{number:int}/memberships")
def members(ctx: Context, number: int) -> dict[str, Any]:
    _group(ctx, number)
    return _paged(ctx, [_membership(ctx, n) for n in _ids(ctx, "team", number)])


@routes("GET", "/2.0/users/{number:int}/memberships")
def of_user(ctx: Context, number: int) -> dict[str, Any]:
    return _paged(ctx, [_membership(ctx, n) for n in _ids(ctx, "user", number)])


@routes("POST", "/2.0/group_memberships")
def join(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    numbers = []
    for name in ("user", "group"):
        if not str((body.get(name) or {}).get("id", "")).isdecimal():
            raise errors.missing(name)
        numbers.append(int(body[name]["id"]))
    user, team = numbers
    _group(ctx, team)
    try:
        ctx.store.user(user)
    except KeyError:
        raise errors.not_found("user", user) from None
    number = ctx.store.next_number("membership")
    _write(
        ctx,
        "INSERT INTO memberships (id, team, user, role, created_at, modified_at) VALUES (?,?,?,?,?,?)",
        *(number, team, user, body.get("role", "member"), ctx.now, ctx.now),
    )
    access(ctx).changed()
    reply = _membership(ctx, number)
    ctx.app.events.record("GROUP_ADD_USER", ctx.user.id, None, users={user, ctx.user.id}, source=reply["user"])
    return 201, reply


@routes("GET", "/2.0/group_memberships/{number:int}")
def membership(ctx: Context, number: int) -> dict[str, Any]:
    return _membership(ctx, number)


@routes("PUT", "/2.0/group_memberships/{number:int}")
def promote(ctx: Context, number: int) -> dict[str, Any]:
    _membership(ctx, number)
    _write(
        ctx,
        "UPDATE memberships SET role=?, modified_at=? WHERE id=?",
        ctx.json().get("role", "member"),
        ctx.now,
        number,
    )
    return _membership(ctx, number)


@routes("DELETE", "/2.0/group_memberships/{number:int}")
def leave(ctx: Context, number: int) -> None:
    reply = _membership(ctx, number)
    _write(ctx, "DELETE FROM memberships WHERE id=?", number)
    access(ctx).changed()
    users = {int(reply["user"]["id"]), ctx.user.id}
    ctx.app.events.record("GROUP_REMOVE_USER", ctx.user.id, None, users=users, source=reply["user"])


def _ids(ctx: Context, column: str, value: int) -> list[int]:
    return [
        row[0] for row in ctx.store.db.execute(f"SELECT id FROM memberships WHERE {column}=? ORDER BY id", (value,))
    ]


def _write(ctx: Context, sql: str, *values: Any) -> None:
    try:
        ctx.store.db.execute(sql, values)
    except sqlite3.IntegrityError:
        raise ApiError(409, "conflict", "Entity with this name already exists") from None
