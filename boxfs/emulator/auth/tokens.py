"""Access tokens: who a request speaks for, and what it may do (box-api.md sections 2.4, 2.5)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boxfs.emulator import errors
from boxfs.emulator.store import Store, User

if TYPE_CHECKING:
    from boxfs.emulator.context import Context

ITEM_SCOPES = (
    *("base_explorer", "base_picker", "base_preview", "base_sidebar", "base_upload"),
    *("item_download", "item_preview", "item_rename", "item_delete", "item_share", "item_upload"),
    *("annotation_edit", "annotation_view_all", "annotation_view_self"),
)
"""Scopes that a token can be narrowed to, besides those it has."""


@dataclass(frozen=True, slots=True)
class Token:
    """expires_at: None for developer tokens of the command line, which live for ever.

    extra, as the grant put it: scopes (none for a developer token: all), family (tokens that end together),
    narrowed (made by a token exchange), resource ([type, id] of the one item that it is for).
    """

    token: str = field(repr=False)
    user: int
    expires_at: float | None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def scopes(self) -> list[str]:
        return list(self.extra.get("scopes", ()))

    @property
    def narrowed(self) -> bool:
        return bool(self.extra.get("narrowed"))

    def has(self, scope: str) -> bool:
        """Whether the token carries an application scope."""
        return "scopes" not in self.extra or scope in self.extra["scopes"]


def draw(prefix: str) -> str:
    """A token's text: long, and not alphanumeric (changelog 2021-08)."""
    return f"{prefix}{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(24)}_-{secrets.token_urlsafe(9)}."


def put(store: Store, token: str, user: int, life_s: float | None = None, **extra: Any) -> Token:
    """Make a token good for a user; for ever where life_s is None (developer tokens of the command line)."""
    expires_at = None if life_s is None else store.time() + life_s
    store.db.execute("INSERT OR REPLACE INTO tokens VALUES (?,?,?,?)", (token, user, expires_at, json.dumps(extra)))
    return Token(token, user, expires_at, extra)


def look_up(store: Store, token: str, *, dead: bool = False) -> Token | None:
    """The token; dead: also one that has expired."""
    row = store.db.execute("SELECT token, user, expires_at, extra FROM tokens WHERE token=?", (token,)).fetchone()
    if row is None or (not dead and row[2] is not None and row[2] <= store.time()):
        return None
    return Token(row[0], row[1], row[2], json.loads(row[3]))


def expire(store: Store, user: int | None = None) -> int:
    """All access tokens (of one user) are past their time from now on, developer tokens too; how many."""
    where, values = ("WHERE user=?", [user]) if user is not None else ("", [])
    return store.db.execute(f"UPDATE tokens SET expires_at=? {where}", (store.time(), *values)).rowcount


def drop_family(store: Store, family: str) -> None:
    store.db.execute("DELETE FROM tokens WHERE json_extract(extra, '$.family')=?", (family,))


def shown(ctx: Context) -> str:
    """The token that the request shows; "" for none."""
    scheme, _, text = ctx.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if ctx.method == "GET" and ctx.path.endswith("/content"):
        return ctx.query.get("access_token", "")
    return ""


def authenticate(ctx: Context) -> Token:
    """The token of the request.  Raises 401 with WWW-Authenticate (trap 24)."""
    text = shown(ctx)
    found = look_up(ctx.store, text) if text else None
    if found is None:
        expired = bool(text) and look_up(ctx.store, text, dead=True) is not None
        word = "expired_token" if expired and ctx.settings.expired_token_word else "invalid_token"
        raise errors.unauthorized(with_body=ctx.settings.json_401, word=word)
    return found


def acting_user(ctx: Context) -> User:
    """Whom the request acts as: the token's user, or the one that As-User names.

    As-User is for administrators and the service account, with a token that was not narrowed.  Raises 403.
    """
    own = ctx.store.user(ctx.token.user)
    named = ctx.headers.get("as-user")
    if named is None or named == str(own.id):
        return own
    allowed = own.extra.get("role") == "admin" or own.extra.get("service")
    if ctx.token.narrowed or not ctx.token.has("manage_managed_users"):
        raise errors.insufficient_scope()
    try:
        if allowed and named.isdecimal() and len(named) < 19:
            return ctx.store.user(int(named))
    except KeyError:
        pass
    raise errors.denied()
