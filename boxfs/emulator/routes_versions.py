"""Versions of files: list, get, promote, delete, restore (box-api.md section 13, trap 30)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxfs.emulator import errors, tree
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import stamp, user_mini
from boxfs.emulator.store import Item

routes = Routes()
COLUMNS = (
    "id, file, number, sha1, name, size, created_at, modified_at, modified_by, content_modified_at, "
    "trashed_at, trashed_by, restored_at, restored_by"
)
_STANDARD = "sha1 name size created_at modified_at modified_by trashed_at purged_at uploader_display_name".split()


@dataclass(frozen=True, slots=True)
class Version:
    """A row of `versions`."""

    id: int
    file: int
    number: int
    sha1: str
    name: str
    size: int
    created_at: int
    modified_at: int
    modified_by: int
    content_modified_at: int
    trashed_at: int | None
    trashed_by: int | None
    restored_at: int | None
    restored_by: int | None


def represent(ctx: Context, version: Version) -> dict[str, Any]:
    members: dict[str, Any] = {
        "sha1": version.sha1,
        "name": version.name,
        "size": version.size,
        "created_at": stamp(ctx, version.created_at),
        "modified_at": stamp(ctx, version.modified_at),
        "modified_by": user_mini(ctx, version.modified_by),
        "trashed_at": stamp(ctx, version.trashed_at),
        "trashed_by": None if version.trashed_by is None else user_mini(ctx, version.trashed_by),
        "purged_at": None,
        "uploader_display_name": user_mini(ctx, version.modified_by)["name"],
        "version_number": str(version.number),
        "restored_at": stamp(ctx, version.restored_at),
        "restored_by": None if version.restored_by is None else user_mini(ctx, version.restored_by),
    }
    names = _STANDARD if ctx.fields is None else ctx.fields
    return {"type": "file_version", "id": str(version.id)} | {n: members[n] for n in names if n in members}


@routes("GET", "/2.0/files/{file_id:int}/versions")
def list_versions(ctx: Context, file_id: int) -> dict[str, Any]:
    """Past versions, newest first; never the current one; deleted ones stay with trashed_at."""
    file = ctx.find("file", file_id)
    limit = max(1, ctx.number("limit", 1000, 1000))
    offset = ctx.number("offset", 0)
    if offset > ctx.settings.max_offset:
        raise errors.bad_request("offset", f"Invalid value '{offset}'.")
    past = "FROM versions WHERE file=? AND id<>?"
    (total,) = ctx.store.db.execute(f"SELECT count(*) {past}", (file.number, file.version)).fetchone()
    rows = ctx.store.db.execute(
        f"SELECT {COLUMNS} {past} ORDER BY id DESC LIMIT ? OFFSET ?", (file.number, file.version, limit, offset)
    )
    return {
        "total_count": total,
        "entries": [represent(ctx, Version(*row)) for row in rows],
        "limit": limit,
        "offset": offset,
        "order": [{"by": "id", "direction": "DESC"}],
    }


@routes("GET", "/2.0/files/{file_id:int}/versions/{version_id:int}")
def get_version(ctx: Context, file_id: int, version_id: int) -> dict[str, Any]:
    return represent(ctx, _find(ctx, ctx.find("file", file_id), version_id))


@routes("POST", "/2.0/files/{file_id:int}/versions/current")
def promote(ctx: Context, file_id: int) -> tuple[int, dict[str, Any]]:
    """Make a copy of an old version the current one, with its old name.  201 and the new version."""
    file = ctx.find("file", file_id)
    ctx.need(file, "can_upload")
    tree.require_unlocked(ctx, file)
    body = ctx.json()
    wanted = str(body.get("id", ""))
    if not wanted.isdecimal():
        raise errors.missing("id")
    version = _find(ctx, file, int(wanted))
    if version.trashed_at is not None:
        raise errors.not_found("file_version", version.id)
    if version.name != file.name:
        assert file.parent is not None
        tree.require_free(ctx, file.parent, version.name, "object", but=file)
    tree.require_space(ctx, file.owner, version.size - file.size)
    file = tree.put_version(ctx, file, version.name, version.sha1, version.size, version.content_modified_at)
    tree.record(ctx, "ITEM_MAKE_CURRENT_VERSION", file)
    assert file.version is not None
    return 201, represent(ctx, _find(ctx, file, file.version))


@routes("DELETE", "/2.0/files/{file_id:int}/versions/{version_id:int}")
def delete_version(ctx: Context, file_id: int, version_id: int) -> None:
    file = ctx.find("file", file_id)
    ctx.need(file, "can_delete")
    ctx.check_etag(file)
    version = _find(ctx, file, version_id)
    if version.id == file.version:
        raise errors.denied()
    if version.trashed_at is None:
        _set(ctx, version.id, trashed_at=ctx.now, trashed_by=ctx.user.id)


@routes("PUT", "/2.0/files/{file_id:int}/versions/{version_id:int}")
def restore_version(ctx: Context, file_id: int, version_id: int) -> dict[str, Any]:
    file = ctx.find("file", file_id)
    ctx.need(file, "can_delete")
    version = _find(ctx, file, version_id)
    body = ctx.json()
    if "trashed_at" not in body or body["trashed_at"] is not None:
        raise errors.bad_request("trashed_at", "'trashed_at' must be null")
    if version.trashed_at is not None:
        _set(ctx, version.id, trashed_at=None, trashed_by=None, restored_at=ctx.now, restored_by=ctx.user.id)
        tree.record(ctx, "FILE_VERSION_RESTORE", file)
    return represent(ctx, _find(ctx, file, version_id))


def _find(ctx: Context, file: Item, number: int) -> Version:
    row = ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM versions WHERE id=? AND file=?", (number, file.number)
    ).fetchone()
    if row is None:
        raise errors.not_found("file_version", number)
    return Version(*row)


def _set(ctx: Context, version: int, **values: Any) -> None:
    ctx.store.db.execute(
        f"UPDATE versions SET {', '.join(f'{k}=?' for k in values)} WHERE id=?", (*values.values(), version)
    )
