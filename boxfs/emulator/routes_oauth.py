"""The consent page, the token endpoint and revoking (box-api.md sections 2.1, 2.2, 2.4)."""

from __future__ import annotations

import html
import json
from importlib import resources
from string import Template
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import Response

from boxfs.emulator import represent
from boxfs.emulator.auth import application, grants
from boxfs.emulator.auth.grants import Form, OAuthError
from boxfs.emulator.auth.tokens import Token
from boxfs.emulator.context import Context
from boxfs.emulator.dispatch import Routes, standard_headers
from boxfs.emulator.errors import ApiError
from boxfs.emulator.store import Item

routes = Routes()


def form_of(ctx: Context) -> dict[str, str]:
    """The form of the body; a field that comes twice counts once, with its last value."""
    return dict(parse_qsl(ctx.body.decode("utf-8", "replace"), keep_blank_values=True))


def _application(ctx: Context) -> application.Application:
    app = ctx.app.application
    assert app is not None
    return app


# The token endpoint


@routes("POST", "/oauth2/token", auth=False)
@routes("POST", "/api/oauth2/token", auth=False)
def token(ctx: Context) -> Response:
    app = _application(ctx)
    try:
        return _json(200, grants.grant(ctx, app, form_of(ctx), lambda subject, form: _resource(ctx, subject, form)))
    except OAuthError as e:
        ctx.store.rollback()
        return _json(e.status, {"error": e.error, "error_description": e.description})


@routes("POST", "/oauth2/revoke", auth=False)
@routes("POST", "/api/oauth2/revoke", auth=False)
def revoke(ctx: Context) -> Response:
    app = _application(ctx)
    try:
        grants.revoke(ctx, app, form_of(ctx))
    except OAuthError as e:
        return _json(e.status, {"error": e.error, "error_description": e.description})
    return Response(status_code=200, headers=standard_headers())


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), status, standard_headers(), "application/json")


def _resource(ctx: Context, subject: Token, form: Form) -> dict[str, Any]:
    """The mini of the item that a token exchange names by URL or shared link.  Raises OAuthError."""
    ctx.token, ctx.user = subject, ctx.store.user(subject.user)
    try:
        item = _named(ctx, form)
    except ApiError:
        item = None
    if item is None:
        raise OAuthError("invalid_resource", "The resource is not one that the subject token can see")
    return represent.mini(item)


def _named(ctx: Context, form: Form) -> Item | None:
    if form.get("box_shared_link"):
        for row in ctx.store.db.execute("SELECT pk, extra FROM items WHERE extra LIKE '%\"shared_link\"%'"):
            if json.loads(row[1])["shared_link"].get("url") == form["box_shared_link"]:
                return ctx.store.by_pk(row[0])
        return None
    words = urlsplit(form["resource"]).path.strip("/").split("/")
    kinds = {"files": "file", "folders": "folder"}
    if len(words) < 2 or words[-2] not in kinds or not words[-1].isdecimal() or len(words[-1]) > 18:
        return None
    return ctx.find(kinds[words[-2]], int(words[-1]))


# The consent page


@routes("GET", "/oauth2/authorize", auth=False)
@routes("GET", "/api/oauth2/authorize", auth=False)
def consent(ctx: Context) -> Response:
    """A form: as whom, and yes or no.  What is wrong with the request is shown on the page, never redirected."""
    query = dict(ctx.query)
    try:
        _check(ctx, query)
    except OAuthError as e:
        return _page(400, f'<p class="error">{html.escape(e.error)}</p><p>{html.escape(e.description)}</p>')
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(query.get(name, ""))}">'
        for name in ("response_type", "client_id", "redirect_uri", "state", "scope")
    )
    users = "".join(
        f'<option value="{user.id}">{html.escape(user.name)} ({html.escape(user.login)})</option>'
        for user in ctx.store.users()
        if not user.extra.get("is_platform_access_only")
    )
    return _page(
        200,
        "<p>An application asks to work with your files.</p>"
        f'<form method="post" action="{html.escape(ctx.path)}">{hidden}'
        f'<p><label>Log in as <select name="user_id">{users}</select></label></p>'
        '<p><button name="consent" value="grant">Grant access to Box</button> '
        '<button name="consent" value="deny">Deny access</button></p></form>',
    )


@routes("POST", "/oauth2/authorize", auth=False)
@routes("POST", "/api/oauth2/authorize", auth=False)
def decide(ctx: Context) -> Response:
    """The form's answer: back to the application with a code, or with access_denied."""
    form = form_of(ctx)
    try:
        redirect_uri, scopes = _check(ctx, form)
    except OAuthError as e:
        return _page(400, f'<p class="error">{html.escape(e.error)}</p><p>{html.escape(e.description)}</p>')
    answer: dict[str, str] = {}
    number = form.get("user_id", "")
    if form.get("consent") != "grant":
        answer = {"error": "access_denied", "error_description": "The user denied access to your application"}
    elif not number.isdecimal() or int(number) not in {user.id for user in ctx.store.users()}:
        return _page(400, '<p class="error">There is no such user.</p>')
    else:
        answer = {"code": grants.new_code(ctx, int(number), redirect_uri, scopes)}
    if form.get("state"):
        answer["state"] = form["state"]
    joint = "&" if urlsplit(redirect_uri).query else "?"
    headers = standard_headers() | {"Location": redirect_uri + joint + urlencode(answer)}
    return Response(status_code=302, headers=headers)


def _check(ctx: Context, query: Form) -> tuple[str, list[str]]:
    """(redirect, scopes) of a request for consent.  Raises OAuthError."""
    app = _application(ctx)
    if query.get("client_id") != app.client_id:
        raise OAuthError("invalid_client", "The client credentials are invalid")
    if query.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type must be code")
    uri = query.get("redirect_uri", "")
    if not uri:
        if len(app.redirect_uris) != 1:
            raise OAuthError("redirect_uri_missing", "The redirect URI is missing: several are configured")
        uri = app.redirect_uris[0]
    elif not application.redirect_allowed(app, uri):
        raise OAuthError("redirect_uri_mismatch", "The redirect URI is not one of those configured")
    scopes = query.get("scope", "").split() or list(app.scopes)
    if not set(scopes) <= set(app.scopes):
        raise OAuthError("invalid_scope", "The application has not got the scopes it asks for")
    return uri, scopes


def _page(status: int, content: str) -> Response:
    page = resources.files("boxfs.emulator").joinpath("consent.html").read_text(encoding="utf-8")
    return Response(Template(page).substitute(content=content), status, standard_headers(), "text/html; charset=utf-8")
