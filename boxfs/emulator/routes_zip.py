"""Zip downloads: one archive of many items, fetched once, without a token (box-api.md section 21)."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from boxfs.emulator import errors
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.store import Item
from boxfs.emulator.times import zulu

routes = Routes()
MAX_FILES = 10_000
AT_ONCE = 5
LIFE_S, STATUS_LIFE_S = 15.0, 12 * 3600.0
_CHUNK = 1 << 20


@dataclass
class Archive:
    """files: (name inside, sha1); folders: names inside that end with "/"."""

    user: int
    name: str
    expires_at: float
    files: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    started_at: float | None = None
    running: bool = False
    downloaded: int = 0
    skipped: int = 0

    @property
    def state(self) -> str:
        if self.started_at is None or self.running:
            return "in_progress"
        return "succeeded" if self.downloaded + self.skipped == len(self.files) else "failed"


def _archives(ctx: Context) -> dict[str, Archive]:
    """Those of this server, in memory: they live for seconds."""
    return ctx.app.archives


@routes("POST", "/2.0/zip_downloads")
def create(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    named = body.get("items")
    if not isinstance(named, list) or not named:
        raise errors.missing("items")
    items = [_item(ctx, each) for each in named]
    name = str(body.get("download_file_name") or f"Box Download {zulu(ctx.now)}".replace(":", "."))
    archive = Archive(ctx.user.id, name, ctx.store.time() + LIFE_S)
    names, conflicts = _names(items)
    for item, inside in zip(items, names, strict=True):
        _fill(ctx, archive, item, inside)
    if len(archive.files) > MAX_FILES:
        raise ApiError(400, "zip_download_file_count_exceeded_limit", "Too many files for one zip")
    if sum(item.size for item in items) > ctx.settings.max_upload_size:
        raise ApiError(400, "zip_download_file_size_exceeded_limit", "Too many bytes for one zip")
    key = secrets.token_urlsafe(48)
    archives = _archives(ctx)
    for old in [k for k, a in archives.items() if a.expires_at + STATUS_LIFE_S < ctx.store.time()]:
        del archives[old]
    archives[key] = archive
    return 202, {
        "download_url": f"{ctx.base}/2.0/zip_downloads/{key}/content",
        "status_url": f"{ctx.base}/2.0/zip_downloads/{key}/status",
        "expires_at": zulu(archive.expires_at),
        "name_conflicts": conflicts,
    }


def _item(ctx: Context, named: Any) -> Item:
    if not isinstance(named, dict) or named.get("type") not in ("file", "folder"):
        raise errors.bad_request("items", "Only files and folders can be zipped")
    if not str(named.get("id", "")).isdecimal() or (named["type"] == "folder" and int(named["id"]) == 0):
        raise errors.bad_request("items", "The root folder cannot be zipped")
    item = ctx.find(named["type"], int(named["id"]))
    ctx.need(item, "can_download")
    return item


def _names(items: list[Item]) -> tuple[list[str], list[list[dict[str, str]]]]:
    """(name inside for each, conflicts): where several items have one name all of them get another."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.folded, []).append(item)
    new: dict[int, str] = {}
    conflicts = []
    for group in groups.values():
        if len(group) < 2:
            continue
        told = []
        for item in group:
            stem, dot, suffix = item.name.rpartition(".") if item.kind == "file" else (item.name, "", "")
            new[item.pk] = f"{stem or suffix}-{item.id}{dot}{suffix if stem else ''}"
            told.append({"id": item.id, "type": item.kind, "original_name": item.name, "download_name": new[item.pk]})
        conflicts.append(told)
    return [new.get(item.pk, item.name) for item in items], conflicts


def _fill(ctx: Context, archive: Archive, item: Item, inside: str) -> None:
    if item.kind == "file":
        assert item.sha1 is not None
        archive.files.append((inside, item.sha1))
    elif item.kind == "folder":
        archive.folders.append(inside + "/")
        for child in ctx.store.children(item.number):
            _fill(ctx, archive, child, f"{inside}/{child.name}")


def _archive(ctx: Context, key: str) -> Archive:
    archive = _archives(ctx).get(key)
    if archive is None:
        raise ApiError(404, "not_found", "Not Found")
    return archive


@routes("GET", "/2.0/zip_downloads/{key}/content", auth=False)
def content(ctx: Context, key: str) -> Response:
    archive = _archive(ctx, key)
    if archive.started_at is not None or archive.expires_at <= ctx.store.time():
        raise ApiError(404, "not_found", "Not Found")
    running = sum(a.running for a in _archives(ctx).values() if a.user == archive.user)
    if running >= AT_ONCE:
        raise ApiError(429, "rate_limit_exceeded", "Too many zip downloads at once", headers={"Retry-After": "5"})
    archive.started_at, archive.running = ctx.store.time(), True
    return _Zip(ctx, archive)


@routes("GET", "/2.0/zip_downloads/{key}/status")
def status(ctx: Context, key: str) -> dict[str, Any]:
    archive = _archive(ctx, key)
    if archive.user != ctx.user.id or ctx.store.time() > archive.expires_at + STATUS_LIFE_S:
        raise ApiError(404, "not_found", "Not Found")
    return {
        "total_file_count": len(archive.files),
        "downloaded_file_count": archive.downloaded,
        "skipped_file_count": archive.skipped,
        "skipped_folder_count": 0,
        "state": archive.state,
    }


class _Pipe:
    """A file that zipfile can only write to; what it wrote is taken out piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class _Zip(Response):
    """The archive, made while it is sent."""

    def __init__(self, ctx: Context, archive: Archive) -> None:
        self._archive, self._ctx = archive, ctx
        name = f"{archive.name}.zip"
        super().__init__(
            headers={
                "Content-Type": "application/zip",
                "Content-Disposition": f"attachment; filename=\"download.zip\"; filename*=UTF-8''{quote(name)}",
            }
        )
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            for piece in self._pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._archive.running = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._archive.running = False

    def _pieces(self) -> Iterator[bytes]:
        pipe = _Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
            for folder in self._archive.folders:
                archive.writestr(folder, b"")
            for name, sha1 in self._archive.files:
                try:
                    file = self._ctx.store.blobs.path(sha1).open("rb")
                except FileNotFoundError:  # purged since
                    self._archive.skipped += 1
                    continue
                with file, archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                    while chunk := file.read(_CHUNK):
                        entry.write(chunk)
                        yield pipe.take()
                self._archive.downloaded += 1
        yield pipe.take()
