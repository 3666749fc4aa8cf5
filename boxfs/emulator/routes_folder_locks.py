"""Folder locks: against move and delete (box-api.md section 8)."""

from __future__ import annotations

import json
from typing import Any

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import mini, stamp, user_mini
from boxfs.emulator.store import Item

routes = Routes()


@routes("POST", "/2.0/folder_locks")
def create_lock(ctx: Context) -> dict[str, Any]:
    """200, not 201 (trap 12)."""
    body = ctx.json()
    named = body.get("folder")
    if not isinstance(named, dict) or "id" not in named:
        raise errors.missing("folder")
    folder = ctx.find("folder", ctx.folder_number(named["id"]))
    _need_owner(ctx, folder)
    if folder.is_root:
        raise errors.denied()
    operations = {"move": True, "delete": True} | (body.get("locked_operations") or {})
    if _rows(ctx, "folder=?", folder.number):
        raise errors.ApiError(409, "conflict", "A folder lock already exists")
    number = ctx.store.next_number("folder_lock")
    ctx.store.db.execute(
        "INSERT INTO folder_locks VALUES (?,?,?,?,?)",
        (number, folder.number, ctx.user.id, ctx.now, json.dumps(operations)),
    )
    return _rows(ctx, "id=?", number)[0]


@routes("GET", "/2.0/folder_locks")
def list_locks(ctx: Context) -> dict[str, Any]:
    if "folder_id" not in ctx.query:
        raise errors.missing("folder_id")
    folder = ctx.find("folder", ctx.folder_number(ctx.query["folder_id"]))
    _need_owner(ctx, folder)
    return {"entries": _rows(ctx, "folder=?", folder.number), "limit": "1000", "next_marker": None}


@routes("DELETE", "/2.0/folder_locks/{lock_id:int}")
def delete_lock(ctx: Context, lock_id: int) -> None:
    row = ctx.store.db.execute("SELECT folder FROM folder_locks WHERE id=?", (lock_id,)).fetchone()
    if row is None:
        raise errors.not_found("folder_lock", lock_id)
    _need_owner(ctx, ctx.find("folder", row[0]))
    ctx.store.db.execute("DELETE FROM folder_locks WHERE id=?", (lock_id,))


def _need_owner(ctx: Context, folder: Item) -> None:
    if ctx.app.access.role(ctx, folder) not in ("owner", "co-owner"):
        raise errors.denied()


def _rows(ctx: Context, where: str, value: int) -> list[dict[str, Any]]:
    found = ctx.store.db.execute(
        f"SELECT id, folder, user, created_at, operations FROM folder_locks WHERE {where}", (value,)
    )
    locks = []
    for number, folder, user, created_at, operations in found.fetchall():
        row = ctx.folder_row(folder)
        locks.append(
            {
                "id": str(number),
                "type": "folder_lock",
                "lock_type": "freeze",
                "folder": mini(row) if row else None,
                "created_by": user_mini(ctx, user),
                "created_at": stamp(ctx, created_at),
                "locked_operations": json.loads(operations),
            }
        )
    return locks
