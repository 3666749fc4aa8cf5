"""OAuth 2: a person consents in the browser; refresh tokens, each good for one use, keep the login for 60 days."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from boxfs.api import grants
from boxfs.api.http import Transport
from boxfs.api.renewing import Renewing
from boxfs.api.session import API_URL
from boxfs.api.tokens import Tokens, TokenStore
from boxfs.base.errors import InvalidArgument, Unauthorized

AUTHORIZE_URL = "https://account.box.com/api/oauth2/authorize"


class OAuth2(Renewing):
    """client_id, client_secret: of the application in Box's developer console.

    store: where the pair lives (FileStore, RedisStore); on_tokens: told of every new pair.  tokens: a pair known from
    elsewhere, for a store that is empty.  api_url: of the server; the consent page is Box's own, or the server's.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        store: TokenStore | None = None,
        tokens: Tokens | None = None,
        on_tokens: Callable[[Tokens], None] | None = None,
        api_url: str = API_URL,
        authorize_url: str | None = None,
        **options: Any,
    ) -> None:
        api_url = api_url.rstrip("/")
        super().__init__(oauth_url=f"{api_url}/oauth2", store=store, on_tokens=on_tokens, **options)
        self._client_id = client_id
        self._client_secret = client_secret
        self._authorize_url = authorize_url or (
            AUTHORIZE_URL if api_url == API_URL else f"{api_url}/api/oauth2/authorize"
        )
        self._dead: str | None = None  # a refresh token that Box refused; asked for once and not in a loop
        if tokens is not None and self.store.load() is None:
            self.store.save(tokens)

    def start(self, redirect_uri: str | None = None, *, scopes: Sequence[str] = ()) -> tuple[str, str]:
        """Return (url, state): where to send the person, and what must come back with the redirect."""
        state = secrets.token_urlsafe(32)
        query = {"response_type": "code", "client_id": self._client_id, "state": state}
        if redirect_uri is not None:
            query["redirect_uri"] = redirect_uri
        if scopes:
            query["scope"] = " ".join(scopes)
        return f"{self._authorize_url}?{urlencode(query)}", state

    def finish(self, transport: Transport, code: str) -> Tokens:
        """Exchange the code (it lives 30 s and works once) for tokens, and keep them.  Raises Unauthorized."""
        form = grants.code(self._client_id, self._client_secret, code)
        response = transport.send(grants.request(self._oauth_url, "token", form))
        tokens = grants.tokens(response, self._clock())
        self._adopt(tokens)
        return tokens

    def finish_redirect(self, transport: Transport, redirected_to: str, state: str) -> Tokens:
        """Like `finish`, from the URL that Box sent the person to.  Raises Unauthorized where consent was refused or
        the state is not the one that `start` gave (somebody else's login)."""
        query = parse_qs(urlsplit(redirected_to).query)
        if not hmac.compare_digest(query.get("state", [""])[0].encode(), state.encode()):
            raise Unauthorized("the answer belongs to another login: start again")
        if "code" not in query:
            said = query.get("error_description", query.get("error", ["no reason given"]))[0][:200]
            raise Unauthorized(f"consent was not given: {said}")
        return self.finish(transport, query["code"][0])

    def revoke(self, transport: Transport) -> None:
        """Log out: end the tokens at Box and forget them."""
        stored = self.store.load()
        if stored is not None:
            form = grants.revoke(self._client_id, self._client_secret, stored.refresh or stored.access)
            response = transport.send(grants.request(self._oauth_url, "revoke", form))
            if response.status != 200:
                error = grants.refused(response)
                if not isinstance(error, grants.GrantRefused) or error.error not in ("invalid_grant", "invalid_token"):
                    raise error
        self._forget()

    def _ask(self, transport: Transport, stored: Tokens | None) -> Tokens:
        if stored is None:
            raise Unauthorized("nobody is logged in: log in (boxfs login)")
        if stored.refresh is None:
            raise Unauthorized("the token has ended and cannot be renewed: log in again (boxfs login)")
        if stored.refresh == self._dead:
            raise Unauthorized("the login has ended: log in again (boxfs login)")
        form = grants.refresh(self._client_id, self._client_secret, stored.refresh)
        response = transport.send(grants.request(self._oauth_url, "token", form))
        try:
            new = grants.tokens(response, self._clock())
        except grants.GrantRefused as refused:
            if refused.error != "invalid_grant":
                raise
            self._dead = stored.refresh
            raise Unauthorized(
                f"the login has ended ({refused.description or refused.error}): log in again (boxfs login)",
                refused.request_id,
            ) from None
        if new.refresh is None:
            raise InvalidArgument("Box renewed a token without giving the next refresh token")
        return new
