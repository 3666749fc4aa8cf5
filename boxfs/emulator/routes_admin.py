"""/_emulator: what Box does not have.  Settings, reset, the tree as it is."""

from __future__ import annotations

from typing import Any

from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.settings import BadSetting

routes = Routes()


@routes("GET", "/_emulator/settings", auth=False)
def get_settings(ctx: Context) -> dict[str, Any]:
    return ctx.settings.as_dict()


@routes("PUT", "/_emulator/settings", auth=False)
def put_settings(ctx: Context) -> dict[str, Any]:
    try:
        ctx.settings.update(ctx.json())
    except BadSetting as error:
        raise ApiError(400, "bad_request", str(error)) from None
    return ctx.settings.as_dict()


@routes("POST", "/_emulator/reset", auth=False)
def reset(ctx: Context) -> None:
    ctx.app.reset()


@routes("GET", "/_emulator/tree", auth=False)
def get_tree(ctx: Context) -> dict[str, Any]:
    """Everything below a user's root (?user=LOGIN, else the first): path -> kind, id, etag, version, sha1, size, …."""
    login = ctx.query.get("user")
    user = ctx.store.user_by_login(login) if login else ctx.store.users()[0]
    if user is None:
        raise ApiError(404, "not_found", f"no user has the login {login}")
    paths = {-user.id: ""}
    found: dict[str, Any] = {}
    for item in ctx.store.subtree(-user.id):
        assert item.parent is not None
        path = f"{paths[item.parent]}/{item.name}"
        if item.kind == "folder":
            paths[item.number] = path
        found[path] = {
            "type": item.kind,
            "id": item.id,
            "etag": str(item.etag),
            "size": item.size,
            "sha1": item.sha1,
            "version": str(item.version) if item.version else None,
            "content_modified_at": item.content_modified_at,
            "url": item.url,
        }
    return {"user": user.login, "items": found}
