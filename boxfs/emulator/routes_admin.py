"""/_emulator: what Box does not have.  Log, knobs, faults, reset, the trees as they are, and "someone else does X".

No token is wanted, so only this machine is let in: the peer must be a loopback address, and a page of another origin
in a browser of this machine is refused as well.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from boxfs.emulator import stranger
from boxfs.emulator.auth import tokens
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError, not_found
from boxfs.emulator.settings import BadSetting
from boxfs.emulator.store import Item, User

routes = Routes()
_NAMES = ("localhost", "api.box.com", "upload.box.com", "account.box.com")


def only_here(ctx: Context) -> None:
    """Raises 403 for everybody but programs of this machine that mean it."""
    client = ctx.scope.get("client")
    try:
        near = client is None or ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        near = False
    host = urlsplit(f"//{ctx.headers.get('host', 'localhost')}").hostname or ""
    try:
        named = host in _NAMES or ipaddress.ip_address(host).is_loopback
    except ValueError:
        named = False  # a name of somebody else's that leads here (DNS rebinding)
    origin = ctx.headers.get("origin")
    if not near or not named or (origin and urlsplit(origin).netloc != ctx.headers.get("host")):
        raise ApiError(403, "forbidden", "/_emulator is for this machine only")


def admin(method: str, path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(handler: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(ctx: Context, **values: str) -> Any:
            only_here(ctx)
            return handler(ctx, **values)

        routes(method, f"/_emulator/{path}", auth=False)(guarded)
        return handler

    return add


@routes("GET", "/", auth=False)
def page(ctx: Context) -> Response:
    """The web page."""
    only_here(ctx)
    text = resources.files("boxfs.emulator").joinpath("page.html").read_text(encoding="utf-8")
    return Response(text, 200, {"Cache-Control": "no-cache"}, "text/html; charset=utf-8")


# Knobs, faults, log


@admin("GET", "settings")
def get_settings(ctx: Context) -> dict[str, Any]:
    return ctx.settings.as_dict()


@admin("PUT", "settings")
def put_settings(ctx: Context) -> dict[str, Any]:
    try:
        ctx.settings.update(ctx.json())
    except BadSetting as error:
        raise ApiError(400, "bad_request", str(error)) from None
    return ctx.settings.as_dict()


@admin("GET", "faults")
def get_faults(ctx: Context) -> dict[str, Any]:
    """The plan with how often each was seen and fired."""
    return {"faults": ctx.app.plan.listed()}


@admin("POST", "faults")
def add_fault(ctx: Context) -> tuple[int, dict[str, Any]]:
    """One fault, or a list of them."""
    described = ctx.json_any()
    many = described if isinstance(described, list) else [described]
    try:
        added = [ctx.app.plan.add(each).as_dict() for each in many]
    except (ValueError, TypeError) as e:
        raise ApiError(400, "bad_request", str(e)) from None
    return 201, {"faults": added} if isinstance(described, list) else added[0]


@admin("DELETE", "faults")
def clear_faults(ctx: Context) -> None:
    ctx.app.plan.clear()


@admin("DELETE", "faults/{fault}")
def drop_fault(ctx: Context, fault: str) -> None:
    if not ctx.app.plan.remove(fault):
        raise not_found("fault", fault)


@admin("GET", "log")
def get_log(ctx: Context) -> dict[str, Any]:
    """?since=NUMBER: entries after that one.  ?limit=N: only the last N of them; the counts are of all."""
    limit = ctx.number("limit", -1) if "limit" in ctx.query else None
    return ctx.app.log.report(ctx.number("since", 0), limit)


@admin("POST", "log/clear")
def clear_log(ctx: Context) -> None:
    ctx.app.log.clear()


@admin("POST", "reset")
def reset(ctx: Context) -> None:
    """A fresh account, the knobs of the start, no faults, an empty log."""
    ctx.app.reset()


# Tokens and users


@admin("GET", "users")
def users(ctx: Context) -> Response:
    found = [_user(user) for user in ctx.store.users() if not user.extra.get("service")]
    return Response(json.dumps(found), media_type="application/json")


def _user(user: User) -> dict[str, Any]:
    return {"id": str(user.id), "name": user.name, "login": user.login, "role": user.extra.get("role", "user")}


@admin("GET", "application")
def application(ctx: Context) -> dict[str, Any]:
    """What the developer console would show: ids, secret, keys, redirects, and the service account."""
    app = ctx.app.application
    assert app is not None
    extra = {"service_account": str(app.service_account), "redirect_uris": list(app.redirect_uris)}
    return {"config": app.console_config(), **extra}


@admin("POST", "tokens")
def make_token(ctx: Context) -> dict[str, Any]:
    """{"user": LOGIN, "life_s"?: seconds}: a developer token."""
    body = ctx.json()
    user = stranger.user_named(ctx, body.get("user"))
    life_s = float(body.get("life_s", ctx.settings.token_life_s))
    token = tokens.put(ctx.store, tokens.draw("1!"), user.id, life_s)
    return {"access_token": token.token, "expires_in": life_s, "user": _user(user)}


@admin("POST", "tokens/expire")
def expire_tokens(ctx: Context) -> dict[str, Any]:
    """All access tokens, or those of {"user": LOGIN}, are expired from now on."""
    named = ctx.json().get("user")
    user = stranger.user_named(ctx, named).id if named else None
    return {"expired": tokens.expire(ctx.store, user)}


# The trees, and someone else


@admin("GET", "tree")
def get_tree(ctx: Context) -> dict[str, Any]:
    """A user's tree (?user=LOGIN, else the first): path -> type, id, etag, version, sha1, size …; and the trash."""
    user = stranger.user_named(ctx, ctx.query.get("user"))
    items: dict[str, Any] = {}
    paths = {-user.id: ""}
    for pk in [-user.id * 4, *sorted(ctx.app.access.shared_roots(user.id))]:
        top = ctx.store.by_pk(pk)
        if top is None:
            continue
        if not top.is_root:
            paths[top.number] = f"/{top.name}"
            items[f"/{top.name}"] = _dumped(top)
        for item in ctx.store.subtree(top.number) if top.kind == "folder" else ():
            assert item.parent is not None
            path = f"{paths[item.parent]}/{item.name}"
            if item.kind == "folder":
                paths[item.number] = path
            items[path] = _dumped(item)
    return {"user": user.login, "items": items, "trash": [_dumped(item) for item in stranger.trash_of(ctx, user)]}


def _dumped(item: Item) -> dict[str, Any]:
    return {
        "type": item.kind,
        "id": item.id,
        "name": item.name,
        "etag": str(item.etag),
        "size": item.size,
        "sha1": item.sha1,
        "version": str(item.version) if item.version else None,
        "content_modified_at": item.content_modified_at,
        "url": item.url,
    }


@routes("POST", "/_emulator/act", auth=False)
async def act(ctx: Context) -> Any:
    """{"do": …, "user"?: LOGIN, …}: see `stranger`.  A body that is no JSON is the content of ?do=upload&path=…"""
    only_here(ctx)
    words: dict[str, Any] = dict(ctx.query)
    if ctx.headers.get("content-type", "").startswith("application/json"):
        words |= ctx.json()
    elif words:
        words["bytes"] = ctx.body
    else:
        words = ctx.json()
    return await stranger.act(ctx, words)


@admin("GET", "file")
def get_file(ctx: Context) -> Response:
    """The bytes of ?path=… of ?user=LOGIN."""
    item = stranger.item_at(ctx, stranger.user_named(ctx, ctx.query.get("user")), ctx.query.get("path", ""))
    if item.sha1 is None:
        raise not_found("file", item.id)
    return Response(ctx.store.blobs.path(item.sha1).read_bytes(), media_type="text/plain; charset=utf-8")
