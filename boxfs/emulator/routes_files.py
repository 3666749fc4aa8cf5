"""Files: get, update, delete, copy, lock (box-api.md section 9)."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from boxfs.emulator import errors, times, tree
from boxfs.emulator.changes import changer, changes_of
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import stamp, standard, user_mini
from boxfs.emulator.store import Item

routes = Routes()


@routes("GET", "/2.0/files/{file_id:int}")
def get_file(ctx: Context, file_id: int) -> Any:
    """A file that was itself trashed is still shown (trap 22)."""
    file = ctx.find("file", file_id, trashed=True)
    if ctx.unchanged(file):
        return Response(status_code=304)
    return standard(ctx, file, ctx.fields)


@routes("PUT", "/2.0/files/{file_id:int}")
def update_file(ctx: Context, file_id: int) -> dict[str, Any]:
    file = ctx.find("file", file_id)
    body = ctx.json()
    tree.require_unlocked(ctx, file)
    if "lock" in body:
        file = _change_lock(ctx, file, body["lock"])
    asked = changes_of(ctx, file, body)
    file = tree.update(ctx, file, name=asked.name, parent=asked.parent, **asked.values)
    return standard(ctx, file, ctx.fields)


@routes("DELETE", "/2.0/files/{file_id:int}")
def delete_file(ctx: Context, file_id: int) -> None:
    file = ctx.find("file", file_id)
    ctx.need(file, "can_delete")
    tree.require_unlocked(ctx, file)
    ctx.check_etag(file)
    tree.trash(ctx, file)


@routes("POST", "/2.0/files/{file_id:int}/copy")
def copy_file(ctx: Context, file_id: int) -> tuple[int, dict[str, Any]]:
    """if-match has no say (trap 19)."""
    file = ctx.find("file", file_id)
    ctx.need(file, "can_download")
    body = ctx.json()
    parent = ctx.parent_of(body)
    assert parent is not None
    name = tree.check_name(ctx, body.get("name") or file.name)
    if body.get("version"):
        file = _as_of(ctx, file, str(body["version"]))
    return 201, standard(ctx, tree.copy(ctx, file, parent, name), ctx.fields)


def _as_of(ctx: Context, file: Item, version: str) -> Item:
    row = None
    if version.isdecimal():
        row = ctx.store.db.execute(
            "SELECT sha1, size, content_modified_at FROM versions WHERE id=? AND file=?", (int(version), file.number)
        ).fetchone()
    if row is None:
        raise errors.not_found("file_version", version)
    file.sha1, file.size, file.content_modified_at = row
    return file


@changer("lock", "file")
def _lock_is_done(_ctx: Context, _item: Item, _value: Any) -> dict[str, Any]:
    return {}  # `_change_lock` did it: a lock leaves etag and modified_at alone


def _change_lock(ctx: Context, file: Item, lock: Any) -> Item:
    """Lock or unlock, with an event; etag stays (section 23), but for a knob."""
    bump = {"etag": file.etag + 1} if ctx.settings.lock_bumps_etag else {}
    ctx.need(file, "can_upload")
    if lock is None:
        if file.lock is None:
            return file
        file = ctx.store.update_item(file.pk, lock=None, **bump)
        tree.record(ctx, "LOCK_DESTROY", file)
        return file
    if not isinstance(lock, dict):
        raise errors.bad_request("lock", "Invalid value")
    expires = lock.get("expires_at")
    made = {
        "type": "lock",
        "id": str(ctx.store.next_number("lock")),
        "created_by": user_mini(ctx, ctx.user.id),
        "created_at": stamp(ctx, ctx.now),
        "expires_at": None if expires is None else stamp(ctx, times.parse(expires, "lock.expires_at")),
        "is_download_prevented": bool(lock.get("is_download_prevented")),
        "app_type": None,
    }
    file = ctx.store.update_item(file.pk, lock=json.dumps(made), **bump)
    tree.record(ctx, "LOCK_CREATE", file)
    return file
