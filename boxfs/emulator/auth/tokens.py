"""Access tokens: who a request speaks for."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boxfs.emulator import errors
from boxfs.emulator.store import Store

if TYPE_CHECKING:
    from boxfs.emulator.context import Context


@dataclass(frozen=True, slots=True)
class Token:
    """extra: scopes, restrictions, client …, as the grant put them."""

    token: str
    user: int
    expires_at: float | None
    extra: dict[str, Any] = field(default_factory=dict)


def put(store: Store, token: str, user: int, life_s: float | None = None, **extra: Any) -> Token:
    """Make a token good for a user; for ever where life_s is None (developer tokens of the command line)."""
    expires_at = None if life_s is None else time.time() + life_s
    store.db.execute("INSERT OR REPLACE INTO tokens VALUES (?,?,?,?)", (token, user, expires_at, json.dumps(extra)))
    return Token(token, user, expires_at, extra)


def look_up(store: Store, token: str) -> Token | None:
    row = store.db.execute("SELECT token, user, expires_at, extra FROM tokens WHERE token=?", (token,)).fetchone()
    if row is None or (row[2] is not None and row[2] <= time.time()):
        return None
    return Token(row[0], row[1], row[2], json.loads(row[3]))


def authenticate(ctx: Context) -> Token:
    """The token of the request.  Raises 401 with WWW-Authenticate (trap 24)."""
    scheme, _, text = ctx.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        text = ""
    if not text and ctx.method == "GET" and ctx.path.endswith("/content"):
        text = ctx.query.get("access_token", "")
    found = look_up(ctx.store, text.strip()) if text else None
    if found is None:
        raise errors.unauthorized(with_body=ctx.settings.json_401)
    return found
