"""Web links: bookmarks that share the name space of their folder (box-api.md section 16).  Trash: `routes_trash`."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from boxfs.emulator import errors, tree
from boxfs.emulator.changes import changer, changes_of
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import standard
from boxfs.emulator.store import Item

routes = Routes()


def _url(value: Any) -> str:
    if not value:
        raise errors.missing("url")
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise errors.bad_request("url", "The URL must start with http:// or https://")
    return value


@routes("POST", "/2.0/web_links")
def create(ctx: Context) -> tuple[int, dict[str, Any]]:
    body = ctx.json()
    url = _url(body.get("url"))
    parent = ctx.parent_of(body)
    assert parent is not None
    # A URL holds slashes, which no name may: the default name keeps what is before the first of them.
    name = body.get("name") or url.partition("://")[2].partition("/")[0] or url
    link = tree.create_web_link(ctx, parent, tree.check_name(ctx, name), url, str(body.get("description") or ""))
    return ctx.settings.web_link_status, standard(ctx, link, ctx.fields)


@routes("GET", "/2.0/web_links/{number:int}")
def one(ctx: Context, number: int) -> Any:
    """One that was itself trashed is still shown."""
    link = ctx.find("web_link", number, trashed=True)
    if ctx.unchanged(link):
        return Response(status_code=304)
    return standard(ctx, link, ctx.fields)


@routes("PUT", "/2.0/web_links/{number:int}")
def update(ctx: Context, number: int) -> dict[str, Any]:
    link = ctx.find("web_link", number)
    asked = changes_of(ctx, link, ctx.json())
    return standard(ctx, tree.update(ctx, link, name=asked.name, parent=asked.parent, **asked.values), ctx.fields)


@routes("DELETE", "/2.0/web_links/{number:int}")
def delete(ctx: Context, number: int) -> None:
    link = ctx.find("web_link", number)
    ctx.need(link, "can_delete")
    ctx.check_etag(link)
    tree.trash(ctx, link)


@routes("POST", "/2.0/web_links/{number:int}/copy")
def copy(ctx: Context, number: int) -> tuple[int, dict[str, Any]]:
    link, body = ctx.find("web_link", number), ctx.json()
    parent = ctx.parent_of(body)
    assert parent is not None
    name = tree.check_name(ctx, body.get("name") or link.name)
    return 201, standard(ctx, tree.copy(ctx, link, parent, name), ctx.fields)


@changer("url", "web_link")
def _change_url(ctx: Context, item: Item, value: Any) -> dict[str, Any]:
    ctx.need(item, "can_rename")
    url = _url(value)
    return {} if url == item.url else {"url": url}
