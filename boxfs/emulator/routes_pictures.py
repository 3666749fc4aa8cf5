"""Thumbnails and representations (box-api.md section 15)."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from boxfs.emulator import pictures
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes, standard_headers
from boxfs.emulator.errors import ApiError, not_found
from boxfs.emulator.represent import member
from boxfs.emulator.store import Item

routes = Routes()
SIZES = {"png": (32, 64, 128, 256), "jpg": (32, 160, 320)}
_FORMS = {"png": ("PNG", "image/png"), "jpg": ("JPEG", "image/jpeg"), "pdf": ("PDF", "application/pdf")}


@routes("GET", "/2.0/files/{file_id:int}/thumbnail.png")
def thumbnail_png(ctx: Context, file_id: int) -> Response:
    return _thumbnail(ctx, file_id, "png")


@routes("GET", "/2.0/files/{file_id:int}/thumbnail.jpg")
def thumbnail_jpg(ctx: Context, file_id: int) -> Response:
    return _thumbnail(ctx, file_id, "jpg")


def _thumbnail(ctx: Context, file_id: int, form: str) -> Response:
    """200 the picture; 202 not yet, 302 none can be made: both lead to a placeholder; 400 no such size."""
    file = ctx.find("file", file_id)
    ctx.need(file, "can_preview")
    least = max(ctx.number("min_height", 0), ctx.number("min_width", 0))
    most = min(ctx.number("max_height", 10**6), ctx.number("max_width", 10**6))
    size = next((size for size in SIZES[form] if least <= size <= most), None)
    if size is None:
        raise ApiError(400, "requested_preview_unavailable", "The requested preview is unavailable")
    placeholder = f"{ctx.base}/static/placeholder-{size}.{form}"
    if ctx.app.not_yet(f"thumbnail {file.version}", ctx.settings.fresh_content_202):
        retry = {"Location": placeholder, "Retry-After": str(ctx.settings.retry_after_s)}
        return Response(status_code=202, headers=standard_headers() | retry)
    try:
        picture = _draw(ctx, file, (size, size), form)
    except pictures.NoPicture:
        return Response(status_code=302, headers=standard_headers() | {"Location": placeholder})
    return Response(picture, 200, standard_headers(), _FORMS[form][1])


def _draw(ctx: Context, file: Item, box: tuple[int, int], form: str) -> bytes:
    assert file.sha1 is not None
    return pictures.draw(ctx.store.blobs.path(file.sha1), file.name, box, _FORMS[form][0])


@routes("GET", "/static/{name}", auth=False)
def placeholder(_ctx: Context, name: str) -> Response:
    """A grey square."""
    match = re.fullmatch(r"placeholder-(\d{1,3})\.(png|jpg)", name)
    if not match:
        raise ApiError(404, "not_found", "Not Found")
    import io

    from PIL import Image

    made = io.BytesIO()
    form, kind = _FORMS[match[2]]
    Image.new("RGB", (int(match[1]), int(match[1])), "#ddd").save(made, form)
    return Response(made.getvalue(), media_type=kind)


# Representations


def _offered(file: Item) -> list[dict[str, Any]]:
    """All that can be had of a file: name in URLs, representation, properties."""
    if not pictures.can_draw(file.name):
        return []
    found = [
        {"name": f"{form}_{size}x{size}", "representation": form,
         "properties": {"dimensions": f"{size}x{size}", "paged": "false", "thumb": "true"}}
        for form, sizes in (("jpg", (32, 94, 160, 320, 1024, 2048)), ("png", (1024, 2048)))
        for size in sizes
    ]  # fmt: skip
    found.append({"name": "pdf", "representation": "pdf", "properties": {}})
    if file.name.lower().endswith(pictures.TEXTS):
        found.append({"name": "extracted_text", "representation": "extracted_text", "properties": {}})
    return found


def _hinted(hints: str, offered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each [group] of alternatives the first that can be had; `jpg?dimensions=320x320` names its properties."""
    chosen = []
    for group in re.findall(r"\[([^\]]*)\]", hints):
        for wish in group.split(","):
            name, _, query = wish.strip().partition("?")
            wanted = dict(word.split("=", 1) for word in query.split("&") if "=" in word)
            fits = [
                each
                for each in offered
                if each["representation"] == name
                and all(each["properties"].get(key) == value for key, value in wanted.items())
            ]
            if fits:
                chosen.append(fits[0])
                break
    return chosen


@member("file")
def representations(ctx: Context, file: Item) -> dict[str, Any]:
    hints = ctx.headers.get("x-rep-hints")
    offered = _offered(file)
    base = f"{ctx.base}/2.0/internal_files/{file.id}/versions/{file.version}/representations"
    entries = []
    for each in offered if hints is None else _hinted(hints, offered):
        entry: dict[str, Any] = {
            "representation": each["representation"],
            "properties": each["properties"],
            "info": {"url": f"{base}/{each['name']}"},
        }
        if hints is not None:
            entry["status"] = {"state": _state(ctx, file, each["name"])}
            entry["content"] = {"url_template": f"{base}/{each['name']}/content/{{+asset_path}}"}
        entries.append(entry)
    return {"entries": entries}


def _state(ctx: Context, file: Item, name: str) -> str:
    """Thumbnails are made on upload; the rest begins when its info is asked for."""
    return (
        "success"
        if name not in ("pdf", "extracted_text") or f"representation {file.version} {name}" in ctx.app.patience
        else "none"
    )


def _one(ctx: Context, number: int, version: str, name: str) -> tuple[Item, dict[str, Any]]:
    file = ctx.find("file", number)
    ctx.need(file, "can_preview")
    found = next((each for each in _offered(file) if each["name"] == name), None)
    if found is None or version != str(file.version):
        raise not_found("representation", name)
    return file, found


_BASE = "/2.0/internal_files/{number:int}/versions/{version}/representations/{name}"


@routes("GET", _BASE)
def info(ctx: Context, number: int, version: str, name: str) -> dict[str, Any]:
    """Asking makes it: `none` turns to `pending` in this answer and to `success` in the next."""
    file, found = _one(ctx, number, version, name)
    before = _state(ctx, file, name)
    ctx.app.patience[f"representation {file.version} {name}"] = 1
    state = "pending" if before == "none" else before
    url = f"{ctx.base}/2.0/internal_files/{file.id}/versions/{file.version}/representations/{name}"
    return {
        "representation": found["representation"],
        "properties": found["properties"],
        "status": {"state": state},
        "info": {"url": url},
        "content": {"url_template": f"{url}/content/{{+asset_path}}"},
    }


@routes("GET", _BASE + "/content")
@routes("GET", _BASE + "/content/{asset:path}")
def content(ctx: Context, number: int, version: str, name: str, asset: str = "") -> Response:
    file, found = _one(ctx, number, version, name)
    if _state(ctx, file, name) == "none":
        return Response(status_code=202, headers=standard_headers() | {"Retry-After": "1"})
    kind = found["representation"]
    if kind == "extracted_text":
        assert file.sha1 is not None
        return Response(ctx.store.blobs.path(file.sha1).read_bytes(), 200, standard_headers(), "text/plain")
    edge = int(found["properties"].get("dimensions", "1024x1024").partition("x")[0])
    try:
        picture = _draw(ctx, file, (edge, edge), kind)
    except pictures.NoPicture:
        raise ApiError(404, "preview_cannot_be_generated", "The preview cannot be generated") from None
    return Response(picture, 200, standard_headers(), _FORMS[kind][1])
