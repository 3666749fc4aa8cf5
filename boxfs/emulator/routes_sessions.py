"""Chunked uploads: create, part, look, commit, abort (box-api.md section 12, traps 17 and 18)."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from starlette.responses import Response

from boxfs.emulator import errors, names, sessions, tree
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes, standard_headers
from boxfs.emulator.routes_uploads import content_of, find_target, one_file, upload_name
from boxfs.emulator.sessions import Part, Session

routes = Routes()
BASE = "/api/2.0/files/upload_sessions/{session_id}"


@routes("POST", "/api/2.0/files/upload_sessions")
def create_for_new(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    if "folder_id" not in body:
        raise errors.ApiError(400, "missing_destination", "folder_id is required")
    if not str(body["folder_id"]).isdecimal():
        raise errors.ApiError(400, "invalid_folder_id", "folder_id is not valid")
    if not body.get("file_name"):
        raise errors.ApiError(400, "missing_file_name", "file_name is required")
    size = _file_size(ctx, body)
    parent = ctx.parent_of({"parent": {"id": body["folder_id"]}})
    assert parent is not None
    name = upload_name(ctx, body["file_name"])
    tree.require_free(ctx, parent.number, name, "object")
    tree.require_space(ctx, parent.owner, size)
    return 201, _create(ctx, parent.number, None, name, size)


@routes("POST", "/api/2.0/files/{file_id:int}/upload_sessions")
def create_for_version(ctx: Context, file_id: int) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    size = _file_size(ctx, body)
    file = find_target(ctx, file_id)
    ctx.check_etag(file)
    name = upload_name(ctx, body["file_name"]) if body.get("file_name") else file.name
    assert file.parent is not None
    tree.require_free(ctx, file.parent, name, "object", but=file)
    tree.require_space(ctx, file.owner, size - file.size)
    return 201, _create(ctx, None, file.number, name, size)


def _file_size(ctx: Context, body: dict[str, Any]) -> int:
    size = body.get("file_size")
    if size is None:
        raise errors.ApiError(400, "missing_file_size", "file_size is required")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise errors.ApiError(400, "invalid_file_size", "file_size is not valid")
    if size < ctx.settings.min_session_size:
        raise errors.ApiError(400, "file_size_too_small", "The file is too small for an upload session")
    return size


def _create(ctx: Context, parent: int | None, file: int | None, name: str, size: int) -> dict[str, Any]:
    """A session for the target, unless one is open for it already: 409 session_conflict with that session."""
    row = ctx.store.db.execute(
        "SELECT id FROM sessions WHERE user=? AND parent IS ? AND file IS ? AND name=? AND state='open' "
        "AND expires_at > ?",
        (ctx.user.id, parent, file, name, time.time()),
    ).fetchone()
    if row is not None and ctx.settings.session_conflict:
        other = sessions.get(ctx.store, row[0])
        assert other is not None
        shown = sessions.represent(ctx, other)
        raise errors.ApiError(409, "session_conflict", "A session for this file is open already", {"session": shown})
    session = secrets.token_hex(16).upper()
    part_size = sessions.part_size(size, ctx.settings.part_size)
    ctx.store.db.execute(
        "INSERT INTO sessions (id, user, parent, file, name, size, part_size, expires_at) VALUES (?,?,?,?,?,?,?,?)",
        (session, ctx.user.id, parent, file, name, size, part_size, time.time() + ctx.settings.session_life_s),
    )
    made = sessions.get(ctx.store, session)
    assert made is not None
    return sessions.represent(ctx, made)


def _find(ctx: Context, session_id: str) -> Session:
    """The open session.  Raises 404, 403 for another user, 410 session_expired."""
    session = sessions.get(ctx.store, session_id)
    if session is None or session.state != "open":
        raise errors.not_found("upload_session", session_id)
    if session.user != ctx.user.id:
        raise errors.ApiError(403, "forbidden", "The session belongs to another user")
    if session.expires_at <= time.time():
        raise errors.ApiError(410, "session_expired", "The upload session has expired")
    return session


@routes("GET", BASE)
def get_session(ctx: Context, session_id: str) -> dict[str, Any]:
    return sessions.represent(ctx, _find(ctx, session_id))


@routes("GET", BASE + "/parts")
def list_parts(ctx: Context, session_id: str) -> dict[str, Any]:
    session = _find(ctx, session_id)
    limit, offset = max(1, ctx.number("limit", 100, 1000)), ctx.number("offset", 0)
    if offset > ctx.settings.max_offset:
        raise errors.bad_request("offset", f"Invalid value '{offset}'.")
    (total,) = ctx.store.db.execute("SELECT count(*) FROM parts WHERE session=?", (session.id,)).fetchone()
    return {
        "entries": [part.as_json() for part in sessions.parts(ctx.store, session.id, limit, offset)],
        "total_count": total,
        "offset": offset,
        "limit": limit,
        "order": [{"by": "offset", "direction": "ASC"}],
    }


@routes("POST", BASE + "/log")
def log_event(ctx: Context, session_id: str) -> None:
    _find(ctx, session_id)


@routes("PUT", BASE, body="stream")
async def put_part(ctx: Context, session_id: str) -> dict[str, Any]:
    """Parts are aligned, exact, and are never rewritten (409 range_overlaps_existing_part)."""
    session = _find(ctx, session_id)
    wanted = sessions.digest_of(ctx)
    offset, size = sessions.range_of(ctx, session)
    _require_free(ctx, session, offset)
    incoming = ctx.store.blobs.spare()  # of its own until it is whole: two requests may bring the same part
    writer = sessions.PartWriter(incoming, size)
    try:
        async for chunk in ctx.stream():
            writer.write(chunk)
        sha1 = writer.finish()
        if sha1 != wanted:
            raise errors.precondition_failed()
        session = _find(ctx, session_id)
        _require_free(ctx, session, offset)
        sessions.splice(incoming, ctx.store.session_file(session.id), offset)
    finally:
        writer.close()
        incoming.unlink(missing_ok=True)
    part = Part(secrets.token_hex(4).upper(), offset, size, sha1)
    ctx.store.db.execute("INSERT INTO parts VALUES (?,?,?,?,?)", (session.id, offset, part.id, size, sha1))
    return {"part": part.as_json()}


def _require_free(ctx: Context, session: Session, offset: int) -> None:
    row = ctx.store.db.execute("SELECT 1 FROM parts WHERE session=? AND offset=?", (session.id, offset)).fetchone()
    if row is not None:
        raise errors.ApiError(409, "range_overlaps_existing_part", "The part has been uploaded already")


@routes("POST", BASE + "/commit")
async def commit(ctx: Context, session_id: str) -> Any:
    """201 with a list of one; perhaps a few 202 or 400 parts_mismatch before (knobs)."""
    session = _find(ctx, session_id)
    wanted = sessions.digest_of(ctx)
    body = ctx.json()
    settings = ctx.settings
    if session.commits < settings.commit_202 + settings.commit_parts_mismatch:
        ctx.store.db.execute("UPDATE sessions SET commits=commits+1 WHERE id=?", (session.id,))
        if session.commits < settings.commit_202:
            headers = standard_headers() | {"Retry-After": str(settings.retry_after_s)}
            return Response(status_code=202, headers=headers)
        ctx.store.commit()  # the error below would take the count back
        raise _mismatch(f"part at {body.get('parts', [{}])[0].get('offset', 0) if body.get('parts') else 0}")
    _check_parts(session, body.get("parts"), sessions.parts(ctx.store, session.id))
    path = ctx.store.session_file(session.id)
    sha1 = await asyncio.to_thread(sessions.hash_file, path)
    session = _find(ctx, session_id)  # somebody may have been quicker
    if sha1 != wanted:
        raise errors.ApiError(400, "bad_digest", "The digest does not match the content of the parts")
    attributes = body.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise errors.bad_request("attributes", "Invalid value")
    content = content_of(attributes, sha1, session.size)
    name = upload_name(ctx, attributes["name"]) if attributes.get("name") else session.name
    if session.file is not None:
        file = find_target(ctx, session.file)
        ctx.check_etag(file)
        file = tree.new_version(ctx, file, content, name)
    else:
        parent = ctx.parent_of({"parent": {"id": str(max(0, session.parent or 0))}})
        assert parent is not None
        file = tree.create_file(
            ctx, parent, name, content, description=names.description(attributes.get("description"))
        )
    ctx.store.blobs.adopt(path, sha1)
    ctx.store.db.execute("UPDATE sessions SET state='done' WHERE id=?", (session.id,))
    ctx.store.db.execute("DELETE FROM parts WHERE session=?", (session.id,))
    return 201, one_file(ctx, file)


def _check_parts(session: Session, named: Any, held: list[Part]) -> None:
    """Raises 400 parts_mismatch unless the parts named are those held, all of them, in order."""
    if not isinstance(named, list):
        raise errors.missing("parts")
    if len(named) != session.total_parts or len(held) != session.total_parts:
        raise _mismatch(f"{session.total_parts} parts")
    for told, part in zip(named, held, strict=True):
        if not isinstance(told, dict) or (told.get("part_id"), told.get("offset"), told.get("size")) != (
            part.id,
            part.offset,
            part.size,
        ):
            raise _mismatch(f"part {told}")


def _mismatch(what: str) -> errors.ApiError:
    return errors.ApiError(400, "parts_mismatch", f"No matching part found on server for {what}")


@routes("DELETE", BASE)
def abort(ctx: Context, session_id: str) -> None:
    """204, also after a commit; 404 the second time."""
    session = sessions.get(ctx.store, session_id)
    if session is None:
        raise errors.not_found("upload_session", session_id)
    if session.user != ctx.user.id:
        raise errors.ApiError(403, "forbidden", "The session belongs to another user")
    sessions.forget(ctx.store, session.id)
