"""POST /oauth2/token: every grant of Box (box-api.md section 2.2), and revoking.

Invariants: a code and a refresh token are spent at most once; tokens that came from one consent are one family, and
revoking any of them ends all.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jwt

from boxfs.emulator.auth import tokens
from boxfs.emulator.auth.tokens import ITEM_SCOPES, Token

if TYPE_CHECKING:
    from boxfs.emulator.auth.application import Application
    from boxfs.emulator.context import Context

AUDIENCE = "https://api.box.com/oauth2/token"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:id_token"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ALGORITHMS = ["RS256", "RS384", "RS512"]
EXP_AHEAD_S = 60

SCHEMA = """
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token TEXT PRIMARY KEY, user INTEGER NOT NULL, expires_at REAL NOT NULL, family TEXT NOT NULL,
    scopes TEXT NOT NULL,                 -- JSON list
    spent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, user INTEGER NOT NULL, redirect_uri TEXT, scopes TEXT NOT NULL,
    expires_at REAL NOT NULL, spent INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent_jtis (jti TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
"""

Form = Mapping[str, str]
Resolve = Callable[[Token, Form], dict[str, Any]]


class OAuthError(Exception):
    """An error of the token endpoint: OAuth's own shape, not the API's."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error, self.description, self.status = error, description, status


def grant(ctx: Context, app: Application, form: Form, resolve: Resolve) -> dict[str, Any]:
    """The reply to one request for a token.

    resolve(subject, form): the mini of the item that a token exchange names.  Raises OAuthError.
    """
    kind = form.get("grant_type", "")
    if not kind:
        raise OAuthError("invalid_request", "Invalid grant_type parameter or parameter missing")
    if kind == EXCHANGE_GRANT:
        return _by_exchange(ctx, form, resolve)
    grants = {
        "authorization_code": _by_code,
        "refresh_token": _by_refresh,
        "client_credentials": _by_credentials,
        JWT_GRANT: _by_assertion,
    }
    if kind not in grants:
        raise OAuthError("unsupported_grant_type", f"Unrecognized grant type: {kind[:80]}")
    check_client(app, form)
    return grants[kind](ctx, app, form)


def check_client(app: Application, form: Form) -> None:
    secret = form.get("client_secret", "").encode()
    if form.get("client_id") != app.client_id or not secrets.compare_digest(secret, app.client_secret.encode()):
        raise OAuthError("invalid_client", "The client credentials are invalid")


def new_code(ctx: Context, user: int, redirect_uri: str, scopes: Sequence[str]) -> str:
    """A code that lives 30 s (knob code_life_s) and works once."""
    code = secrets.token_urlsafe(24)
    ctx.store.db.execute(
        "INSERT INTO codes (code, user, redirect_uri, scopes, expires_at) VALUES (?,?,?,?,?)",
        (code, user, redirect_uri, json.dumps(list(scopes)), ctx.store.time() + ctx.settings.code_life_s),
    )
    return code


def printed(ctx: Context, token: Token) -> dict[str, Any]:
    """An access token as the token endpoint prints it."""
    assert token.expires_at is not None
    life = max(0, round(token.expires_at - ctx.store.time()))
    return {"access_token": token.token, "expires_in": life, "token_type": "bearer", "restricted_to": []}


def _access(ctx: Context, user: int, scopes: Sequence[str], family: str | None = None) -> Token:
    family = family or secrets.token_hex(12)
    return tokens.put(ctx.store, tokens.draw("1!"), user, ctx.settings.token_life_s, scopes=list(scopes), family=family)


def _pair(ctx: Context, user: int, scopes: Sequence[str], family: str | None = None) -> dict[str, Any]:
    access = _access(ctx, user, scopes, family)
    refresh = tokens.draw("")
    ctx.store.db.execute(
        "INSERT INTO refresh_tokens (token, user, expires_at, family, scopes) VALUES (?,?,?,?,?)",
        (
            *(refresh, user, ctx.store.time() + ctx.settings.refresh_life_s),
            *(access.extra["family"], json.dumps(list(scopes))),
        ),
    )
    return {**printed(ctx, access), "refresh_token": refresh}


def _by_code(ctx: Context, app: Application, form: Form) -> dict[str, Any]:
    code = wanted(form, "code")
    row = ctx.store.db.execute(
        "SELECT user, redirect_uri, scopes, expires_at, spent FROM codes WHERE code=?", (code,)
    ).fetchone()
    if row is None:
        raise OAuthError("invalid_grant", "Auth code doesn't exist or is invalid for the client")
    user, redirect_uri, scopes, expires_at, spent = row
    if spent or expires_at <= ctx.store.time():
        raise OAuthError("invalid_grant", "The authorization code has expired")
    if form.get("redirect_uri") and form["redirect_uri"] != redirect_uri:
        raise OAuthError("invalid_grant", "The redirect URI does not match that of the authorization code")
    ctx.store.db.execute("UPDATE codes SET spent=1 WHERE code=?", (code,))
    return _pair(ctx, user, json.loads(scopes))


def _by_refresh(ctx: Context, app: Application, form: Form) -> dict[str, Any]:
    token = wanted(form, "refresh_token")
    row = ctx.store.db.execute(
        "SELECT user, expires_at, family, scopes, spent FROM refresh_tokens WHERE token=?", (token,)
    ).fetchone()
    if row is None or row[4]:
        raise OAuthError("invalid_grant", "Invalid refresh token")
    user, expires_at, family, scopes, _ = row
    if expires_at <= ctx.store.time():
        raise OAuthError("invalid_grant", "Refresh token has expired")
    ctx.store.db.execute("UPDATE refresh_tokens SET spent=1 WHERE token=?", (token,))
    if ctx.settings.old_token_dies:
        tokens.drop_family(ctx.store, family)
    return _pair(ctx, user, json.loads(scopes), family)


def _by_credentials(ctx: Context, app: Application, form: Form) -> dict[str, Any]:
    kind, subject = form.get("box_subject_type", ""), form.get("box_subject_id", "")
    return printed(ctx, _access(ctx, _subject(ctx, app, kind, subject, "Grant credentials are invalid"), app.scopes))


def _subject(ctx: Context, app: Application, kind: str, subject: str, complaint: str) -> int:
    """The user behind (box_sub_type, sub): for the enterprise its service account."""
    if kind == "enterprise" and subject == app.enterprise_id:
        return app.service_account
    if kind == "user" and subject.isdecimal() and len(subject) < 19:
        try:
            return ctx.store.user(int(subject)).id
        except KeyError:
            pass
    raise OAuthError("invalid_grant", complaint)


def _by_assertion(ctx: Context, app: Application, form: Form) -> dict[str, Any]:
    claims = _claims(app, wanted(form, "assertion"))
    now, exp = ctx.store.time(), claims.get("exp")
    if not isinstance(exp, int | float) or exp <= now:
        complaint = "Current date/time MUST be before the expiration date/time listed in the 'exp' claim"
        raise OAuthError("invalid_grant", complaint)
    if exp > now + EXP_AHEAD_S:
        raise OAuthError("invalid_grant", "Please check the 'exp' claim.")
    not_before = claims.get("nbf", now)
    if not isinstance(not_before, int | float) or not_before > now + EXP_AHEAD_S:
        raise OAuthError("invalid_grant", "Please check the 'nbf' claim.")
    if claims.get("aud") != AUDIENCE:
        raise OAuthError("invalid_grant", "Please check the 'aud' claim.")
    if claims.get("iss") != app.client_id:
        raise OAuthError("invalid_grant", "Please check the 'iss' claim.")
    kind, subject = str(claims.get("box_sub_type", "")), str(claims.get("sub", ""))
    user = _subject(ctx, app, kind, subject, "Please check the 'sub' claim.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 16 <= len(jti) <= 128:
        raise OAuthError("invalid_grant", "Please check the 'jti' claim.")
    try:
        ctx.store.db.execute("INSERT INTO spent_jtis VALUES (?,?)", (jti, exp))
    except sqlite3.IntegrityError:
        raise OAuthError("invalid_grant", "Please check the 'jti' claim.") from None
    return printed(ctx, _access(ctx, user, app.scopes))


def _claims(app: Application, assertion: str) -> dict[str, Any]:
    """The claims of an assertion signed with our key; what they say is still to be checked, by our own clock."""
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        raise OAuthError("invalid_grant", "Please check the JWT assertion: it cannot be read.") from None
    if header.get("kid") != app.key_id:
        raise OAuthError("invalid_grant", "OAuth JWT Public Key Id doesn't exist or is not authorized.")
    if header.get("alg") not in ALGORITHMS:
        raise OAuthError("invalid_grant", "Please check the 'alg' header.")
    try:
        found = jwt.PyJWS().decode(assertion, app.public_key, algorithms=ALGORITHMS)
        claims = json.loads(found)
    except (jwt.InvalidTokenError, ValueError):
        raise OAuthError("invalid_grant", "OAuth JWT signature is invalid.") from None
    return claims if isinstance(claims, dict) else {}


def _by_exchange(ctx: Context, form: Form, resolve: Resolve) -> dict[str, Any]:
    if form.get("subject_token_type") != ACCESS_TOKEN_TYPE:
        raise OAuthError("invalid_request", "subject_token_type must be that of an access token")
    if form.get("actor_token") and form.get("actor_token_type") != ID_TOKEN_TYPE:
        raise OAuthError("invalid_request", "actor_token_type must be that of an id token")
    subject = tokens.look_up(ctx.store, wanted(form, "subject_token"))
    if subject is None:
        raise OAuthError("invalid_grant", "Invalid subject token")
    scopes = wanted(form, "scope").split()
    unknown = [s for s in scopes if s not in ITEM_SCOPES and s not in subject.scopes]
    if unknown or not scopes:
        raise OAuthError("invalid_scope", f"The scope {' '.join(unknown)[:80]!r} is not one that may be asked for")
    if subject.narrowed and not set(scopes) <= set(subject.scopes):
        raise OAuthError("invalid_scope", "A narrowed token cannot be widened")
    item = resolve(subject, form) if form.get("resource") or form.get("box_shared_link") else None
    life_s = ctx.settings.token_life_s
    if subject.expires_at is not None:
        life_s = min(life_s, subject.expires_at - ctx.store.time())
    token = tokens.put(
        ctx.store,
        tokens.draw("1!"),
        subject.user,
        life_s,
        scopes=scopes,
        narrowed=True,
        resource=[item["type"], item["id"]] if item else subject.extra.get("resource"),
        family=subject.extra.get("family") or secrets.token_hex(12),
    )
    restricted = [{"scope": scope, **({"object": item} if item else {})} for scope in scopes]
    return {**printed(ctx, token), "issued_token_type": ACCESS_TOKEN_TYPE, "restricted_to": restricted}


def revoke(ctx: Context, app: Application, form: Form) -> None:
    """End the token and all of its family; an unknown one is no error (RFC 7009).  Raises OAuthError."""
    check_client(app, form)
    token = wanted(form, "token")
    db = ctx.store.db
    row = db.execute("SELECT family FROM refresh_tokens WHERE token=?", (token,)).fetchone()
    access = tokens.look_up(ctx.store, token)
    family = row[0] if row else access.extra.get("family") if access else None
    if family:
        tokens.drop_family(ctx.store, family)
        db.execute("DELETE FROM refresh_tokens WHERE family=?", (family,))
    elif access:
        db.execute("DELETE FROM tokens WHERE token=?", (token,))


def wanted(form: Form, name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise OAuthError("invalid_request", f"Missing required parameter: {name}")
    return value
