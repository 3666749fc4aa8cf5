"""Downloads: a 302 to another host, and the bytes there (box-api.md section 10, trap 16)."""

from __future__ import annotations

import mimetypes
import os
import re
import secrets
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes, standard_headers
from boxfs.emulator.represent import lock_of
from boxfs.emulator.store import Item

routes = Routes()
CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


@routes("GET", "/2.0/files/{file_id:int}/content")
def get_content(ctx: Context, file_id: int) -> Response:
    file = ctx.find("file", file_id)
    ctx.need(file, "can_download")
    lock = lock_of(ctx, file)
    if lock and lock["is_download_prevented"] and lock["created_by"]["id"] != str(ctx.user.id):
        raise errors.locked()
    version, sha1, size, name = _version(ctx, file)
    if ctx.settings.range_error_400 and _range(ctx, size) == EMPTY:
        raise errors.ApiError(400, "requested_page_out_of_range", "Requested Page Out Of Range")
    if ctx.app.not_yet(f"content {version}", ctx.settings.fresh_content_202):
        return Response(status_code=202, headers=standard_headers() | {"Retry-After": str(ctx.settings.retry_after_s)})
    url = make_url(ctx, sha1, size, name)
    watchers = {file.owner}
    ctx.app.events.record("ITEM_DOWNLOAD", ctx.user.id, file, users=watchers)
    return Response(status_code=302, headers=standard_headers() | {"Location": url})


def _version(ctx: Context, file: Item) -> tuple[int, str, int, str]:
    text = ctx.query.get("version")
    if text is None:
        assert file.version is not None
        assert file.sha1 is not None
        return file.version, file.sha1, file.size, file.name
    row = None
    if text.isdecimal():
        row = ctx.store.db.execute(
            "SELECT id, sha1, size, name FROM versions WHERE id=? AND file=?", (int(text), file.number)
        ).fetchone()
    if row is None:
        raise errors.not_found("file_version", text)
    return row[0], row[1], row[2], row[3]


def make_url(ctx: Context, sha1: str, size: int, name: str) -> str:
    """A URL good for a while, for anybody, on another host name."""
    token = secrets.token_urlsafe(24)
    now = ctx.store.time()
    db = ctx.store.db
    db.execute("DELETE FROM downloads WHERE expires_at < ?", (now - 60,))
    db.execute(
        "INSERT INTO downloads VALUES (?,?,?,?,?)", (token, sha1, size, name, now + ctx.settings.download_url_life_s)
    )
    return f"{ctx.scope['scheme']}://{_host(ctx)}/dl/1/{token}/{quote(name)}"


def _host(ctx: Context) -> str:
    """Another name of this server than the one it was called by."""
    if ctx.settings.download_host:
        return ctx.settings.download_host
    host, colon, port = ctx.headers.get("host", "127.0.0.1").partition(":")
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1", "api.box.com": "dl.boxcloud.com"}
    return other.get(host, host) + colon + port


@routes("GET", "/dl/1/{token}/{name:path}", auth=False)
def get_bytes(ctx: Context, token: str, name: str) -> Response:
    """200 or 206; 403 without JSON for a URL that is unknown or too old; 416."""
    row = ctx.store.db.execute("SELECT sha1, size, name, expires_at FROM downloads WHERE token=?", (token,)).fetchone()
    if row is None or row[3] < ctx.store.time():
        return Response(b"Forbidden", 403, media_type="text/plain")
    sha1, size, file_name, _expires = row
    return serve(ctx, str(ctx.store.blobs.path(sha1)), size, file_name)


def serve(ctx: Context, path: str, size: int, name: str) -> Response:
    headers = {
        "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{_ascii(name)}\"; filename*=UTF-8''{quote(name)}",
        "Accept-Ranges": "bytes",
    }
    asked = _range(ctx, size)
    if asked == EMPTY:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
    if asked is None:
        return Bytes(path, 0, size, 200, headers)
    start, stop = asked
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Bytes(path, start, stop, 206, headers)


EMPTY = (0, 0)


def _range(ctx: Context, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that the Range header asks for; EMPTY: none that are there; None: no range."""
    asked = _RANGE.match(ctx.headers.get("range", "").strip())
    if asked is None or not (asked[1] or asked[2]):
        return None
    if asked[1]:
        start, stop = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
    else:
        start, stop = max(0, size - int(asked[2])), size
    return (start, stop) if start < stop else EMPTY


def _ascii(name: str) -> str:
    return "".join(c if c.isascii() and c not in '"\\' else "_" for c in name)


class Bytes(Response):
    """A range of a file, sent in pieces of 1 MiB from the event loop: the page cache beats a thread."""

    def __init__(self, path: str, start: int, stop: int, status: int, headers: dict[str, str]) -> None:
        self.path, self.start, self.stop = path, start, stop
        super().__init__(status_code=status, headers=headers | {"Content-Length": str(stop - start)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:  # purged since
            await Response(b"Not Found", 404, media_type="text/plain")(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            at = self.start
            while True:
                piece = os.pread(fd, min(CHUNK, self.stop - at), at) if at < self.stop else b""
                at += len(piece)
                more = bool(piece) and at < self.stop
                message: dict[str, Any] = {"type": "http.response.body", "body": piece, "more_body": more}
                await send(message)
                if not more:
                    return
        finally:
            os.close(fd)
