"""Users: me, and for administrators and the service account all of the enterprise (box-api.md sections 2.3, 20)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from boxfs.emulator import errors, tree
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.errors import ApiError
from boxfs.emulator.represent import stamp, standard
from boxfs.emulator.store import User

routes = Routes()

_STANDARD: dict[str, Callable[[Context, User], Any]] = {
    "name": lambda _c, u: u.name,
    "login": lambda _c, u: u.login,
    "created_at": lambda c, u: stamp(c, u.created_at),
    "modified_at": lambda c, u: stamp(c, u.modified_at),
    "language": lambda _c, u: u.extra.get("language", "en"),
    "timezone": lambda c, u: u.extra.get("timezone", c.settings.timezone),
    "space_amount": lambda c, u: c.settings.space_amount if u.space_amount is None else u.space_amount,
    "space_used": lambda _c, u: u.space_used,
    "max_upload_size": lambda c, _u: c.settings.max_upload_size,
    "status": lambda _c, u: u.extra.get("status", "active"),
    "job_title": lambda _c, u: u.extra.get("job_title", ""),
    "phone": lambda _c, u: u.extra.get("phone", ""),
    "address": lambda _c, u: u.extra.get("address", ""),
    "avatar_url": lambda c, u: f"{c.base}/api/avatar/large/{u.id}",
    "notification_email": lambda _c, u: u.extra.get("notification_email", []),
}
_FULL: dict[str, Callable[[Context, User], Any]] = _STANDARD | {
    "role": lambda _c, u: u.extra.get("role", "user"),
    "enterprise": lambda c, _u: _enterprise(c),
    "tracking_codes": lambda _c, u: u.extra.get("tracking_codes", []),
    "can_see_managed_users": lambda _c, u: u.extra.get("can_see_managed_users", False),
    "is_sync_enabled": lambda _c, u: u.extra.get("is_sync_enabled", True),
    "is_external_collab_restricted": lambda _c, u: u.extra.get("is_external_collab_restricted", False),
    "is_exempt_from_device_limits": lambda _c, u: u.extra.get("is_exempt_from_device_limits", False),
    "is_exempt_from_login_verification": lambda _c, u: u.extra.get("is_exempt_from_login_verification", False),
    "is_platform_access_only": lambda _c, u: u.extra.get("is_platform_access_only", False),
    "my_tags": lambda _c, _u: [],
    "hostname": lambda c, _u: f"{c.base}/",
    "external_app_user_id": lambda _c, u: u.extra.get("external_app_user_id"),
}


def represent_user(ctx: Context, user: User) -> dict[str, Any]:
    """Standard, or type, id and what `fields` asks for."""
    fields = ctx.fields
    members = _STANDARD if fields is None else {name: _FULL[name] for name in fields if name in _FULL}
    return {"type": "user", "id": str(user.id)} | {name: member(ctx, user) for name, member in members.items()}


@routes("GET", "/2.0/users/me")
def get_me(ctx: Context) -> dict[str, Any]:
    return represent_user(ctx, ctx.user)


def _enterprise(ctx: Context) -> dict[str, Any] | None:
    app = ctx.app.application
    return {"type": "enterprise", "id": app.enterprise_id, "name": "Emulated"} if app else None


def _need_manager(ctx: Context) -> None:
    """Raises 403 unless the request may manage the users of the enterprise."""
    own = ctx.store.user(ctx.token.user)
    if own.extra.get("role") != "admin" and not own.extra.get("service"):
        raise errors.denied()
    if ctx.token.narrowed or not (ctx.token.has("manage_managed_users") or ctx.token.has("manage_app_users")):
        raise errors.insufficient_scope()


def _user(ctx: Context, number: int) -> User:
    try:
        return ctx.store.user(number)
    except KeyError:
        raise errors.not_found("user", number) from None


@routes("GET", "/2.0/users")
def list_users(ctx: Context) -> dict[str, Any]:
    """?filter_term= begins the name or login; ?user_type=managed|external|all; ?external_app_user_id=."""
    _need_manager(ctx)
    term = ctx.query.get("filter_term", "").casefold()
    external = ctx.query.get("external_app_user_id")
    found = [
        user
        for user in ctx.store.users()
        if (user.name.casefold().startswith(term) or user.login.casefold().startswith(term))
        and (external is None or user.extra.get("external_app_user_id") == external)
        and ctx.query.get("user_type") != "external"
    ]
    limit, offset = max(1, ctx.number("limit", 100, 1000)), ctx.number("offset", 0)
    entries = [represent_user(ctx, user) for user in found[offset : offset + limit]]
    if ctx.query.get("usemarker") == "true":
        return {"limit": limit, "next_marker": "", "entries": entries}
    return {"total_count": len(found), "entries": entries, "offset": offset, "limit": limit}


@routes("POST", "/2.0/users")
def create_user(ctx: Context) -> tuple[int, dict[str, Any]]:
    """A managed user with a login, or an app user, whose login Box makes up."""
    _need_manager(ctx)
    body = ctx.json()
    if not body.get("name"):
        raise errors.missing("name")
    app_user = bool(body.get("is_platform_access_only"))
    login = body.get("login")
    if app_user and not login:
        login = f"AppUser_{secrets.randbelow(10**7)}_{secrets.token_hex(5)}@boxdevedition.com"
    if not isinstance(login, str) or "@" not in login:
        raise errors.missing("login")
    if ctx.store.user_by_login(login) is not None:
        raise ApiError(409, "user_login_already_used", "User with the specified login already exists")
    user = ctx.store.add_user(login, str(body["name"]), **_extra(body))
    amount = body.get("space_amount")
    if isinstance(amount, int):
        user = ctx.store.update_user(user.id, space_amount=10**15 if amount < 0 else amount)
    return 201, represent_user(ctx, user)


_COLUMNS = ("name", "login", "space_amount", "notification_email", "enterprise", "notify")


def _extra(body: dict[str, Any]) -> dict[str, Any]:
    """What of the body goes into the user's extra: all the members that are shown and are no columns."""
    return {key: value for key, value in body.items() if key in _FULL and key not in _COLUMNS}


@routes("GET", "/2.0/users/{number:int}")
def get_user(ctx: Context, number: int) -> dict[str, Any]:
    user = _user(ctx, number)
    if user.id != ctx.user.id:
        _need_manager(ctx)
    return represent_user(ctx, user)


@routes("PUT", "/2.0/users/{number:int}")
def update_user(ctx: Context, number: int) -> dict[str, Any]:
    user, body = _user(ctx, number), ctx.json()
    if user.id != ctx.user.id:
        _need_manager(ctx)
    values: dict[str, Any] = {"modified_at": ctx.now}
    if body.get("name"):
        values["name"] = str(body["name"])
    if isinstance(body.get("space_amount"), int):
        values["space_amount"] = 10**15 if body["space_amount"] < 0 else body["space_amount"]
    extra = user.extra | _extra(body)
    if "notification_email" in body:
        address = (body["notification_email"] or {}).get("email")
        extra["notification_email"] = {"email": address, "is_confirmed": True} if address else []
    user = ctx.store.update_user(user.id, **values, extra=json.dumps(extra))
    return represent_user(ctx, user)


@routes("DELETE", "/2.0/users/{number:int}")
def delete_user(ctx: Context, number: int) -> None:
    """Without ?force=true only a user who owns nothing."""
    _need_manager(ctx)
    user = _user(ctx, number)
    root = ctx.store.by_pk(-user.id * 4)
    assert root is not None
    content = list(ctx.store.children(root.number))
    if content and ctx.query.get("force") != "true":
        raise ApiError(400, "user_has_content", "The user still owns content; give force=true")
    if user.id in (ctx.user.id, ctx.token.user):
        raise errors.denied()
    for item in content:
        tree.purge(ctx, item)
    for (pk,) in ctx.store.db.execute(
        "SELECT pk FROM items WHERE owner=? AND trashed_at IS NOT NULL", (user.id,)
    ).fetchall():
        trashed = ctx.store.by_pk(pk)
        if trashed is not None:
            tree.purge(ctx, trashed)
    for sql in (
        "DELETE FROM items WHERE owner=?",
        "DELETE FROM tokens WHERE user=?",
        "DELETE FROM refresh_tokens WHERE user=?",
        "DELETE FROM collaborations WHERE user=?",
        "DELETE FROM memberships WHERE user=?",
        "DELETE FROM streams WHERE user=?",
        "DELETE FROM users WHERE id=?",
    ):
        ctx.store.db.execute(sql, (user.id,))
    ctx.store.forget_users()


@routes("PUT", "/2.0/users/{number:int}/folders/0")
def hand_over(ctx: Context, number: int) -> dict[str, Any]:
    """The user's whole tree becomes one folder in the new owner's root."""
    _need_manager(ctx)
    user = _user(ctx, number)
    owner = (ctx.json().get("owned_by") or {}).get("id", "")
    if not str(owner).isdecimal():
        raise errors.missing("owned_by")
    heir = ctx.store.by_pk(-_user(ctx, int(owner)).id * 4)
    assert heir is not None
    name = f"{user.login} - {user.name}'s Files and Folders"
    folder = tree.create_folder(ctx, heir, name)
    for item in list(ctx.store.children(-user.id)):
        tree.update(ctx, item, name=None, parent=folder)
    ctx.user = ctx.store.user(int(owner))
    made = ctx.store.by_pk(folder.pk)
    assert made is not None
    return standard(ctx, made, ctx.fields)
