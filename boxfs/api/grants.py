"""The token endpoint: forms out, Tokens in.  Pure (box-api.md section 2.2): requests and replies as values, no I/O.

Its errors have a shape of their own, {"error", "error_description"}.  They become Unauthorized where somebody must log
in or mend the settings; never an error that looks as if waiting would help.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from boxfs.api import wire
from boxfs.api.errors import error_from
from boxfs.api.http import Bytes, Cost, Request, Response
from boxfs.api.tokens import Tokens
from boxfs.base.errors import BadReply, FsError, Unauthorized

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

Form = Mapping[str, str]


class GrantRefused(Unauthorized):
    """The token endpoint said no.  error, description: in OAuth's words."""

    def __init__(self, message: str, error: str, description: str, request_id: str | None = None) -> None:
        super().__init__(message, request_id)
        self.error = error
        self.description = description


def request(oauth_url: str, path: str, form: Form) -> Request:
    """Return the form post.  Repeatable: a token asked for twice does no harm; a refresh token that an unanswered
    request has spent is lost either way, and the repetition says so."""
    return Request(
        "POST",
        f"{oauth_url}/{path}",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=Bytes(urlencode(form).encode()),
        repeatable=True,
        authorize=False,
        cost=Cost.FREE,
    )


def tokens(response: Response, now_s: float) -> Tokens:
    """Return what the endpoint gave.  Raises GrantRefused, BadReply."""
    body = _body(response)
    if response.status != 200:
        raise refused(response)
    access = wire.text(body.get("access_token"))
    if access is None:
        raise BadReply("Box's token endpoint answered without a token")
    life_s = wire.number(body.get("expires_in")) or 3600.0
    return Tokens(
        access=access,
        refresh=wire.text(body.get("refresh_token")),
        got_s=now_s,
        expires_s=now_s + life_s,
        restricted_to=tuple(wire.array(body.get("restricted_to"))),
    )


def refused(response: Response) -> FsError:
    """Return the error of a refusal."""
    body = _body(response)
    error = (wire.text(body.get("error")) or wire.text(body.get("code")) or f"HTTP {response.status}")[:80]
    description = (wire.text(body.get("error_description")) or wire.text(body.get("message")) or "")[:200]
    request_id = wire.text(response.headers.get("box-request-id"))
    if response.status == 429 or response.status >= 500:
        return error_from(response, "POST /oauth2/token")
    said = " ".join(f"{error}: {description}".split()).rstrip(": ")
    return GrantRefused(f"Box does not give a token ({said}): {_advice(error)}", error, description, request_id)


def _advice(error: str) -> str:
    if error in ("invalid_client", "unauthorized_client"):
        return "check the client id, the client secret, and that the application is authorised in the enterprise"
    if error == "unsupported_grant_type":
        return "the application is not set up for this way in"
    return "log in again"


def date_s(response: Response) -> float | None:
    """Return the server's clock, seconds since the epoch, from the Date header."""
    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return None


def _body(response: Response) -> wire.Json:
    try:
        return wire.obj(json.loads(response.read()))
    except ValueError:
        return {}


def code(client_id: str, client_secret: str, code_: str) -> Form:
    return {
        "grant_type": "authorization_code",
        "code": code_,
        "client_id": client_id,
        "client_secret": client_secret,
    }


def refresh(client_id: str, client_secret: str, refresh_token: str) -> Form:
    return {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "client_secret": client_secret,
    }


def client_credentials(client_id: str, client_secret: str, subject_type: str, subject_id: str) -> Form:
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "box_subject_type": subject_type,
        "box_subject_id": subject_id,
    }


def jwt(client_id: str, client_secret: str, assertion: str) -> Form:
    return {
        "grant_type": JWT_BEARER,
        "client_id": client_id,
        "client_secret": client_secret,
        "assertion": assertion,
    }


def exchange(
    access_token: str, scopes: Iterable[str], *, resource: str | None = None, shared_link: str | None = None
) -> Form:
    """A narrower token for `scopes`, perhaps only on one item (its URL at the API) or what a shared link opens."""
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": access_token,
        "subject_token_type": ACCESS_TOKEN,
        "scope": " ".join(scopes),
    }
    if resource is not None:
        form["resource"] = resource
    if shared_link is not None:
        form["box_shared_link"] = shared_link
    return form


def revoke(client_id: str, client_secret: str, token: str) -> Form:
    return {"client_id": client_id, "client_secret": client_secret, "token": token}
