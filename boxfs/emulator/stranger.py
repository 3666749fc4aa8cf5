"""Someone else at work on the account: what tests and the web page do "from elsewhere", in the name of a user.

Every act is the API call that it stands for, asked of the emulator itself with a token of that user: rights, conflicts
and events are exactly those of a client.  Nothing of it goes through the awkward network, and the log does not see it.

| do          | words                                                              |
|-------------|--------------------------------------------------------------------|
| mkdir       | path (missing parents are made too)                                |
| upload      | path, content or content_base64: a new file, or a new version      |
| edit        | path, content: a new version; or append: put behind what is there  |
| rename      | path, name                                                         |
| move, copy  | path, to (the new path)                                            |
| delete      | path (a folder with all below)                                     |
| restore     | type and id, or name: the latest of that name in the trash         |
| purge       | the same                                                           |
| lock, unlock| path                                                               |
| share       | path: a shared link                                                |
| invite      | path, login, role                                                  |
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from boxfs.emulator.auth import tokens
from boxfs.emulator.context import Context
from boxfs.emulator.errors import ApiError, bad_request, missing
from boxfs.emulator.store import COLUMNS, Item, User

Act = Callable[[Context, User, dict[str, Any]], Awaitable[Any]]
_ACTS: dict[str, Act] = {}
_BOUNDARY = "emulator-stranger"


def _named(*names: str) -> Callable[[Act], Act]:
    def add(function: Act) -> Act:
        for name in names:
            _ACTS[name] = function
        return function

    return add


async def act(ctx: Context, words: dict[str, Any]) -> Any:
    """Do what the words say; the JSON of the call's reply.  Raises ApiError as the call does, 400 for bad words."""
    do = words.get("do")
    if do not in _ACTS:
        raise bad_request("do", f"There is {', '.join(_ACTS)}; not {do!r}")
    return await _ACTS[do](ctx, user_named(ctx, words.get("user")), words)


# Who and what


def user_named(ctx: Context, name: Any) -> User:
    """By login, id or name; the first user where there is no name.  Raises 404."""
    users = ctx.store.users()
    if not name:
        return users[0]
    for user in users:
        if str(name) in (user.login, str(user.id), user.name):
            return user
    raise ApiError(404, "not_found", f"no user is called {name}")


def item_at(ctx: Context, user: User, path: str) -> Item:
    """The item at a path as the user sees it.  Raises 404."""
    here = ctx.store.by_pk(-user.id * 4)
    for name in [word for word in path.split("/") if word]:
        below = _child(ctx, user, here, name) if here is not None else None
        if below is None:
            raise ApiError(404, "not_found", f"there is no {path}")
        here = below
    assert here is not None
    return here


def _child(ctx: Context, user: User, folder: Item, name: str) -> Item | None:
    found = ctx.store.child(folder.number, name) if folder.kind == "folder" else None
    if found is not None or not folder.is_root:
        return found
    for pk in ctx.app.access.shared_roots(user.id):
        item = ctx.store.by_pk(pk)
        if item is not None and item.name == name:
            return item
    return None


def trash_of(ctx: Context, user: User) -> list[Item]:
    """What the user has in the trash, the latest first."""
    rows = ctx.store.db.execute(
        f"SELECT {COLUMNS} FROM items WHERE owner=? AND trashed_at IS NOT NULL ORDER BY trashed_at DESC, etag DESC",
        (user.id,),
    )
    return [Item(*row) for row in rows]


def _split(path: Any) -> tuple[str, str]:
    """(parent path, name).  Raises 400."""
    parent, _, name = str(path or "").rstrip("/").rpartition("/")
    if not name:
        raise missing("path")
    return parent, name


# A call of the API, asked of the emulator itself


async def call(
    ctx: Context, user: User, method: str, path: str, body: Any = None, *, raw: tuple[str, bytes] | None = None
) -> Any:
    """The JSON of the reply, None for an empty one.  raw: (Content-Type, body).  Raises ApiError."""
    token = tokens.put(ctx.store, f"stranger-{secrets.token_hex(16)}", user.id, 60)
    ctx.store.commit()
    kind, content = raw or ("application/json", b"" if body is None else json.dumps(body).encode())
    path, _, query = path.partition("?")
    headers = {"authorization": f"Bearer {token.token}", "content-type": kind, "host": ctx.headers.get("host", "")}
    scope = {
        **ctx.scope,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    status, reply = 500, b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, reply
        status = message.get("status", status)
        reply += message.get("body", b"")

    await ctx.app.dispatcher(scope, receive, send)
    ctx.store.db.execute("DELETE FROM tokens WHERE token=?", (token.token,))
    answer = json.loads(reply) if reply else None
    if status >= 400:
        told = answer or {}
        code, message = told.get("code", "error"), told.get("message", "Error")
        raise ApiError(status, code, f"{message} ({method} {path})", told.get("context_info"))
    return answer


# The acts


@_named("mkdir")
async def _mkdir(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    parent, name = _split(words.get("path"))
    try:
        folder = item_at(ctx, user, parent)
    except ApiError:
        await _mkdir(ctx, user, {"path": parent})
        folder = item_at(ctx, user, parent)
    return await call(ctx, user, "POST", "/2.0/folders", {"name": name, "parent": {"id": folder.id}})


@_named("upload", "edit")
async def _upload(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    parent, name = _split(words.get("path"))
    content = _content(words)
    try:
        item = item_at(ctx, user, words["path"])
    except ApiError:
        if words["do"] == "edit":
            raise
        attributes: dict[str, Any] = {"name": name, "parent": {"id": item_at(ctx, user, parent).id}}
        return await _send(ctx, user, "/api/2.0/files/content", attributes, content)
    if "append" in words and item.sha1 is not None:
        content = ctx.store.blobs.path(item.sha1).read_bytes() + str(words["append"]).encode()
    if item.kind != "file":
        raise bad_request("path", f"{words['path']} is no file")
    return await _send(ctx, user, f"/api/2.0/files/{item.id}/content", {"name": item.name}, content)


def _content(words: dict[str, Any]) -> bytes:
    if "bytes" in words:
        return bytes(words["bytes"])
    if "content_base64" in words:
        return base64.b64decode(words["content_base64"])
    return str(words.get("content", "")).encode()


async def _send(ctx: Context, user: User, path: str, attributes: dict[str, Any], content: bytes) -> Any:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n{json.dumps(attributes)}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    )
    body = head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    reply = await call(ctx, user, "POST", path, raw=(kind, body))
    return reply["entries"][0]


@_named("rename")
async def _rename(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    return await call(ctx, user, "PUT", f"/2.0/{item.kind}s/{item.id}", {"name": words.get("name")})


@_named("move", "copy")
async def _move(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    parent, name = _split(words.get("to"))
    body = {"name": name, "parent": {"id": item_at(ctx, user, parent).id}}
    if words["do"] == "copy":
        return await call(ctx, user, "POST", f"/2.0/{item.kind}s/{item.id}/copy", body)
    return await call(ctx, user, "PUT", f"/2.0/{item.kind}s/{item.id}", body)


@_named("delete")
async def _delete(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    query = "?recursive=true" if item.kind == "folder" else ""
    await call(ctx, user, "DELETE", f"/2.0/{item.kind}s/{item.id}{query}")
    return {"type": item.kind, "id": item.id}


@_named("restore", "purge")
async def _restore(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    for item in trash_of(ctx, user):
        if (item.kind, item.id) == (words.get("type"), str(words.get("id"))) or item.name == words.get("name"):
            if words["do"] == "restore":
                return await call(ctx, user, "POST", f"/2.0/{item.kind}s/{item.id}", {})
            await call(ctx, user, "DELETE", f"/2.0/{item.kind}s/{item.id}/trash")
            return {"type": item.kind, "id": item.id}
    raise ApiError(404, "not_found", "that is not in the trash")


@_named("lock", "unlock")
async def _lock(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    lock = {"type": "lock", "expires_at": words.get("expires_at")} if words["do"] == "lock" else None
    return await call(ctx, user, "PUT", f"/2.0/files/{item.id}?fields=lock", {"lock": lock})


@_named("share")
async def _share(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    link = {"access": words.get("access", "open")}
    return await call(ctx, user, "PUT", f"/2.0/{item.kind}s/{item.id}?fields=shared_link", {"shared_link": link})


@_named("invite")
async def _invite(ctx: Context, user: User, words: dict[str, Any]) -> Any:
    item = item_at(ctx, user, words.get("path", ""))
    body = {
        "item": {"type": item.kind, "id": item.id},
        "accessible_by": {"type": "user", "login": words.get("login")},
        "role": words.get("role", "editor"),
    }
    return await call(ctx, user, "POST", "/2.0/collaborations", body)
