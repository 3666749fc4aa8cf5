"""GET /users/me (box-api.md section 20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes
from boxfs.emulator.represent import stamp
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
    "enterprise": lambda _c, u: u.extra.get("enterprise"),
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
