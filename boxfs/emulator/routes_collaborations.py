"""Collaborations: who else sees a file or folder, in which role (box-api.md section 16)."""

from __future__ import annotations

from typing import Any

from boxfs.emulator import errors, times
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import member, mini, stamp, user_mini
from boxfs.emulator.sharing import ORDER, SharedAccess
from boxfs.emulator.store import Item

routes = Routes()
_COLUMNS = (
    "id, pk, user, team, invite_email, role, status, created_by, created_at, modified_at, acknowledged_at, expires_at, "
    "can_view_path, is_access_only"
)
Row = dict[str, Any]


def access(ctx: Context) -> SharedAccess:
    found = ctx.app.access
    assert isinstance(found, SharedAccess)
    return found


@routes("POST", "/2.0/collaborations")
def create(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    item = _item(ctx, body.get("item"))
    ctx.need(item, "can_invite_collaborator")
    role = _role(body.get("role"))
    user, team, email = _grantee(ctx, body.get("accessible_by"))
    if user is not None and (user == item.owner or _existing(ctx, item, user, team)):
        raise ApiError(400, "user_already_collaborator", "User is already a collaborator")
    if team is not None and _existing(ctx, item, user, team):
        raise ApiError(400, "user_already_collaborator", "Group is already a collaborator")
    number = ctx.store.next_number("collaboration")
    known = email is None
    ctx.store.db.execute(
        f"INSERT INTO collaborations ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(number, item.pk, user, team, email, role, "accepted" if known else "pending"),
            *(ctx.user.id, ctx.now, ctx.now, ctx.now if known else None, _expiry(body)),
            *(int(bool(body.get("can_view_path"))), int(bool(body.get("is_access_only")))),
        ),
    )
    access(ctx).changed()
    _tell(ctx, "COLLAB_ADD_COLLABORATOR" if known else "COLLAB_INVITE_COLLABORATOR", item)
    return 201, _shown(ctx, _row(ctx, number))


@routes("GET", "/2.0/collaborations")
def pending(ctx: Context) -> dict[str, Any]:
    """The user's own invitations that wait; Box asks for status=pending and knows no other."""
    if ctx.query.get("status") != "pending":
        raise errors.bad_request("status", "status must be pending")
    rows = _rows(ctx, "status='pending' AND (user=? OR invite_email=?)", (ctx.user.id, ctx.user.login))
    limit, offset = ctx.number("limit", 100, 1000), ctx.number("offset", 0)
    entries = [_shown(ctx, row) for row in rows[offset : offset + limit]]
    return {"total_count": len(rows), "entries": entries, "offset": offset, "limit": limit}


@routes("GET", "/2.0/collaborations/{number:int}")
def one(ctx: Context, number: int) -> dict[str, Any]:
    return _shown(ctx, _row(ctx, number))


@routes("PUT", "/2.0/collaborations/{number:int}")
def update(ctx: Context, number: int) -> dict[str, Any] | None:
    """Role, status, expiry.  The role `owner` hands the item over and answers 204, as the collaboration is gone."""
    row, body = _row(ctx, number), ctx.json()
    item = _subject(ctx, row)
    db = ctx.store.db
    if "status" in body:
        if row["user"] != ctx.user.id or body["status"] not in ("accepted", "rejected"):
            raise errors.denied()
        db.execute(
            "UPDATE collaborations SET status=?, acknowledged_at=? WHERE id=?", (body["status"], ctx.now, number)
        )
    if "role" in body:
        if body["role"] == "owner":
            _hand_over(ctx, row, item)
            return None
        ctx.need(item, "can_invite_collaborator")
        db.execute("UPDATE collaborations SET role=? WHERE id=?", (_role(body["role"]), number))
    if "expires_at" in body:
        ctx.need(item, "can_invite_collaborator")
        db.execute("UPDATE collaborations SET expires_at=? WHERE id=?", (_expiry(body), number))
    db.execute("UPDATE collaborations SET modified_at=? WHERE id=?", (ctx.now, number))
    access(ctx).changed()
    if "role" in body:
        _tell(ctx, "COLLAB_ROLE_CHANGE", item)
    return _shown(ctx, _row(ctx, number))


@routes("DELETE", "/2.0/collaborations/{number:int}")
def delete(ctx: Context, number: int) -> None:
    """By somebody who may invite, or by the collaborator: that is leaving."""
    row = _row(ctx, number)
    item = _subject(ctx, row)
    if row["user"] != ctx.user.id:
        ctx.need(item, "can_invite_collaborator")
    watching = access(ctx).watchers(item)
    ctx.store.db.execute("DELETE FROM collaborations WHERE id=?", (number,))
    access(ctx).changed()
    ctx.app.events.record("COLLAB_REMOVE_COLLABORATOR", ctx.user.id, None, users=watching, source=mini(item))


@routes("GET", "/2.0/files/{item_id:int}/collaborations")
def of_file(ctx: Context, item_id: int) -> dict[str, Any]:
    return _of(ctx, ctx.find("file", item_id))


@routes("GET", "/2.0/folders/{item_id:int}/collaborations")
def of_folder(ctx: Context, item_id: int) -> dict[str, Any]:
    item = ctx.find("folder", item_id)
    if item.is_root:
        raise _not_on_root()
    return _of(ctx, item)


def _of(ctx: Context, item: Item) -> dict[str, Any]:
    rows = _rows(ctx, "pk=?", (item.pk,))
    return {"total_count": len(rows), "entries": [_shown(ctx, row) for row in rows], "next_marker": None}


@routes("GET", "/2.0/groups/{team:int}/collaborations")
def of_group(ctx: Context, team: int) -> dict[str, Any]:
    rows = _rows(ctx, "team=?", (team,))
    limit, offset = ctx.number("limit", 100, 1000), ctx.number("offset", 0)
    entries = [_shown(ctx, row) for row in rows[offset : offset + limit]]
    return {"total_count": len(rows), "entries": entries, "offset": offset, "limit": limit}


# Reading the body


def _item(ctx: Context, named: Any) -> Item:
    if not isinstance(named, dict) or not str(named.get("id", "")).isdecimal():
        raise errors.missing("item")
    if named.get("type") not in ("file", "folder"):
        raise errors.bad_request("item", "Only files and folders can be shared with collaborators")
    if named["type"] == "folder" and int(named["id"]) == 0:
        raise _not_on_root()
    return ctx.find(named["type"], int(named["id"]))


def _not_on_root() -> ApiError:
    code = "collaborations_not_available_on_root_folder"
    return ApiError(400, code, "Root folder cannot be collaborated")


def _role(role: Any) -> str:
    if role is None:
        raise errors.missing("role")
    if role not in ORDER or role == "owner":
        raise errors.bad_request("role", f"Invalid value '{role}'.")
    return str(role)


def _grantee(ctx: Context, named: Any) -> tuple[int | None, int | None, str | None]:
    """(user, group, address): one of the three."""
    if not isinstance(named, dict) or not (named.get("id") or named.get("login")):
        raise errors.missing("accessible_by")
    number = int(named["id"]) if str(named.get("id", "")).isdecimal() else None
    if named.get("type") == "group":
        if number is None or not ctx.store.db.execute("SELECT 1 FROM teams WHERE id=?", (number,)).fetchone():
            raise errors.not_found("group", str(named.get("id")))
        return None, number, None
    if number is not None:
        try:
            return ctx.store.user(number).id, None, None
        except KeyError:
            raise errors.not_found("user", number) from None
    user = ctx.store.user_by_login(str(named["login"]))
    return (user.id, None, None) if user else (None, None, str(named["login"]))


def _expiry(body: dict[str, Any]) -> int | None:
    return times.parse(body["expires_at"], "expires_at") if body.get("expires_at") else None


def _existing(ctx: Context, item: Item, user: int | None, team: int | None) -> bool:
    return bool(_rows(ctx, "pk=? AND user IS ? AND team IS ?", (item.pk, user, team)))


def _hand_over(ctx: Context, row: Row, item: Item) -> None:
    """The collaborator becomes the owner: the item moves to their root; the old owner stays as a co-owner."""
    if item.owner != ctx.user.id or row["user"] is None or item.kind != "folder":
        raise errors.denied()
    from boxfs.emulator import tree  # here: tree imports modules that import this one's neighbours

    old = item.owner
    ctx.store.db.execute("DELETE FROM collaborations WHERE id=?", (row["id"],))
    root = ctx.store.by_pk(-row["user"] * 4)
    assert root is not None
    item = tree.update(ctx, item, name=None, parent=root)
    ctx.store.db.execute(
        f"INSERT INTO collaborations ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(ctx.store.next_number("collaboration"), item.pk, old, None, None, "co-owner", "accepted"),
            *(row["user"], ctx.now, ctx.now, ctx.now, None, 0, 0),
        ),
    )
    access(ctx).changed()
    _tell(ctx, "COLLAB_ROLE_CHANGE", item)


def _tell(ctx: Context, what: str, item: Item) -> None:
    ctx.app.events.record(what, ctx.user.id, item)


# Rows and replies


def _rows(ctx: Context, where: str, values: tuple[Any, ...]) -> list[Row]:
    names = _COLUMNS.split(", ")
    found = ctx.store.db.execute(f"SELECT {_COLUMNS} FROM collaborations WHERE {where} ORDER BY id", values)
    return [dict(zip(names, row, strict=True)) for row in found]


def _row(ctx: Context, number: int) -> Row:
    """Raises 404 where there is none, or none that concerns this user."""
    rows = _rows(ctx, "id=?", (number,))
    if not rows:
        raise errors.not_found("collaboration", number)
    if rows[0]["user"] != ctx.user.id:
        _subject(ctx, rows[0])
    return rows[0]


def _subject(ctx: Context, row: Row) -> Item:
    item = ctx.store.by_pk(row["pk"])
    if item is None or (row["user"] != ctx.user.id and ctx.app.access.role(ctx, item) is None):
        raise errors.not_found("collaboration", row["id"])
    return item


def _shown(ctx: Context, row: Row) -> dict[str, Any]:
    item = ctx.store.by_pk(row["pk"])
    reply: dict[str, Any] = {
        "type": "collaboration",
        "id": str(row["id"]),
        "item": mini(item) if item is not None and row["status"] != "pending" else None,
        **({"accessible_by": who} if (who := _accessible_by(ctx, row)) else {}),
        "invite_email": row["invite_email"],
        "role": row["role"],
        "status": row["status"],
        "expires_at": stamp(ctx, row["expires_at"]),
        "is_access_only": bool(row["is_access_only"]),
        **({"acknowledged_at": stamp(ctx, row["acknowledged_at"])} if row["acknowledged_at"] else {}),
        "created_by": user_mini(ctx, row["created_by"]),
        "created_at": stamp(ctx, row["created_at"]),
        "modified_at": stamp(ctx, row["modified_at"]),
    }
    if ctx.fields is not None:
        extra = {"can_view_path": bool(row["can_view_path"])}
        return {k: v for k, v in (reply | extra).items() if k in ("type", "id") or k in ctx.fields}
    return reply


def _accessible_by(ctx: Context, row: Row) -> dict[str, Any] | None:
    if row["user"] is not None:
        return user_mini(ctx, row["user"])
    if row["team"] is None:
        return None
    found = ctx.store.db.execute("SELECT name FROM teams WHERE id=?", (row["team"],)).fetchone()
    return {"type": "group", "id": str(row["team"]), "name": found[0] if found else "", "group_type": "managed_group"}


def _has_collaborations(ctx: Context, item: Item) -> bool:
    return bool(_rows(ctx, "pk=?", (item.pk,)))


member("file", "folder", name="has_collaborations")(_has_collaborations)
