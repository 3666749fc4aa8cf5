"""Preflight, new files and new versions in one request (box-api.md section 11).

Uploads live under /api/2.0, as on the upload host; preflights under /2.0.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from boxfs.emulator import errors, multipart, names, times, tree
from boxfs.emulator.blobs import Incoming
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import standard
from boxfs.emulator.store import Item

routes = Routes()


@routes("OPTIONS", "/2.0/files/content")
def preflight_new(ctx: Context) -> dict[str, Any]:
    body = ctx.json()
    parent, _ = _check_new(ctx, body)
    tree.require_space(ctx, parent.owner, _size(body))
    return {"upload_url": _upload_url(ctx, "/api/2.0/files/content"), "upload_token": None}


@routes("OPTIONS", "/2.0/files/{file_id:int}/content")
def preflight_version(ctx: Context, file_id: int) -> dict[str, Any]:
    body = ctx.json()
    file = find_target(ctx, file_id)
    if body.get("name") is not None:
        name = upload_name(ctx, body["name"])
        assert file.parent is not None
        tree.require_free(ctx, file.parent, name, "object", but=file)
    tree.require_space(ctx, file.owner, _size(body) - file.size)
    return {"upload_url": _upload_url(ctx, f"/api/2.0/files/{file_id}/content"), "upload_token": None}


@routes("POST", "/api/2.0/files/content", body="stream")
async def upload_new(ctx: Context) -> tuple[int, dict[str, Any]]:
    attributes, incoming = await receive(ctx, lambda found: _check_new(ctx, found))
    content = accept(ctx, attributes, incoming)
    parent, name = _check_new(ctx, attributes)  # again: the tree may have changed while the bytes came
    file = tree.create_file(ctx, parent, name, content, description=names.description(attributes.get("description")))
    return 201, one_file(ctx, file)


@routes("POST", "/api/2.0/files/{file_id:int}/content", body="stream")
async def upload_version(ctx: Context, file_id: int) -> tuple[int, dict[str, Any]]:
    ctx.check_etag(find_target(ctx, file_id))
    attributes, incoming = await receive(ctx, lambda _found: find_target(ctx, file_id))
    content = accept(ctx, attributes, incoming)
    file = find_target(ctx, file_id)
    ctx.check_etag(file)
    name = upload_name(ctx, attributes["name"]) if attributes.get("name") is not None else None
    file = tree.new_version(ctx, file, content, name)
    return ctx.settings.new_version_status, one_file(ctx, file)


def one_file(ctx: Context, file: Item) -> dict[str, Any]:
    """Uploads are answered with a list of one (trap 13)."""
    return {"total_count": 1, "entries": [standard(ctx, file, ctx.fields)]}


def find_target(ctx: Context, file_id: int) -> Item:
    """The file that gets a new version.  Raises 404, 403 (no right, or someone else's lock)."""
    file = ctx.find("file", file_id)
    ctx.need(file, "can_upload")
    tree.require_unlocked(ctx, file)
    return file


def upload_name(ctx: Context, name: object) -> str:
    if ctx.settings.trim_upload_names and isinstance(name, str):
        name = name.rstrip(" ")
    return tree.check_name(ctx, name)


def _check_new(ctx: Context, attributes: dict[str, Any]) -> tuple[Item, str]:
    parent = ctx.parent_of(attributes)
    assert parent is not None
    if "name" not in attributes:
        raise errors.missing("name")
    name = upload_name(ctx, attributes["name"])
    tree.require_free(ctx, parent.number, name, "object")
    return parent, name


async def receive(ctx: Context, check: Any) -> tuple[dict[str, Any], Incoming]:
    """Read the form: (attributes, the bytes).  check: called with the attributes before the bytes are read."""
    boundary = multipart.boundary_of(ctx.headers.get("content-type", ""))
    incoming = ctx.store.blobs.receive()
    attributes: dict[str, Any] = {}

    def start(text: bytes) -> None:
        attributes.update(attributes_of(text))
        check(attributes)

    try:
        await multipart.read(ctx.stream(), boundary, start, incoming.write)
    except BaseException:
        incoming.discard()
        raise
    return attributes, incoming


def attributes_of(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise errors.bad_request("attributes", "Invalid JSON") from None
    if not isinstance(found, dict):
        raise errors.bad_request("attributes", "Invalid JSON")
    return found


def accept(ctx: Context, attributes: dict[str, Any], incoming: Incoming) -> tree.Content:
    """Check Content-MD5, which holds the SHA-1 in hex (trap 14), and the dates; keep the bytes.  Raises 400."""
    sha1 = incoming.finish()
    try:
        wanted = ctx.headers.get("content-md5")
        if wanted is not None and wanted.strip().lower() != sha1:
            raise errors.ApiError(400, "bad_digest", "The specified content-md5 did not match what we received")
        content = content_of(attributes, sha1, incoming.size)
    except BaseException:
        incoming.discard()
        raise
    ctx.store.blobs.adopt(incoming.path, sha1)
    ctx.store.unused(sha1)  # unless a version comes of it
    return content


def content_of(attributes: dict[str, Any], sha1: str, size: int) -> tree.Content:
    found: dict[str, int] = {}
    for key in ("content_created_at", "content_modified_at"):
        if attributes.get(key) is not None:
            found[key] = times.parse(attributes[key], key)
    return tree.Content(sha1, size, found.get("content_created_at"), found.get("content_modified_at"))


def _size(body: dict[str, Any]) -> int:
    size = body.get("size", 0)
    if isinstance(size, str) and size.isdecimal():
        size = int(size)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise errors.bad_request("size", f"Invalid value '{size}'.")
    return size


def _upload_url(ctx: Context, path: str) -> str:
    return f"{ctx.upload_base}{path}?upload_session_id={secrets.token_hex(8)}"
