"""Proven: an Auth that lets no token out before Box has said that it is of the account whose state is here.

What is cached here, and what waits here to be sent, is one account's.  A token can turn out to be another's: who begins
without Box cannot ask whose it is; a token file, or a login that is made anew, may change under who runs.  So for each
token but the one that was known at the start Box is asked whose it is (GET /users/me), before anything else goes out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial

from boxfs.api import errors, wire
from boxfs.api.auth import Auth
from boxfs.api.http import Request, Transport
from boxfs.base.errors import BadReply, OtherAccount, Unauthorized
from boxfs.base.flight import SingleFlight
from boxfs.base.types import Account


class Proven:
    """As long as no account is known (`belongs_to`), every token is let out.

    refusal: gives the message for a token of that account, which is not ours; called once for each such token.
    on_proven: called when a token has been proven.
    """

    def __init__(
        self,
        auth: Auth,
        api_url: str,
        refusal: Callable[[Account], str],
        on_proven: Callable[[], None] = lambda: None,
    ) -> None:
        # Dependencies
        self._auth = auth
        self._url = f"{api_url.rstrip('/')}/2.0/users/me"
        self._refusal = refusal
        self._on_proven = on_proven
        self._flight: SingleFlight[str, None] = SingleFlight()
        # Mutable state, guarded by _lock
        self._lock = threading.Lock()
        self._account_id = ""
        self._trusts = True  # the next token is taken for ours
        self._ours: str | None = None
        self._refused: tuple[str, str] | None = None  # the last token that is another's, and what is said of it

    def belongs_to(self, account_id: str, *, proven: bool) -> None:
        """What is here is that account's ("": not known yet).  proven: so is the token that is held now."""
        with self._lock:
            self._account_id = account_id
            if not proven:
                self._ours = None
            self._trusts = not account_id or (proven and self._ours is None)

    def token(self, transport: Transport) -> str:
        token = self._auth.token(transport)
        while True:
            try:
                self._prove(transport, token)
            except OtherAccount:
                raise
            except Unauthorized:
                other = self._auth.renewed(transport, token)
                if other is None:
                    raise
                token = other
            else:
                return token

    def renewed(self, transport: Transport, refused: str) -> str | None:
        token = self._auth.renewed(transport, refused)
        if token is not None:
            self._prove(transport, token)
        return token

    def headers(self) -> Mapping[str, str]:
        return self._auth.headers()

    def _prove(self, transport: Transport, token: str) -> None:
        """Raises OtherAccount, and what asking Box raises."""
        if not self._is_known(token):
            self._flight.do(token, partial(self._ask, transport, token))

    def _is_known(self, token: str) -> bool:
        """Tell whether the token is ours; raises OtherAccount where it is known to be another's."""
        with self._lock:
            if self._trusts:
                self._ours, self._trusts = token, not self._account_id
            if self._refused is not None and token == self._refused[0]:
                raise OtherAccount(self._refused[1])
            return token == self._ours

    def _ask(self, transport: Transport, token: str) -> None:
        if self._is_known(token):
            return  # somebody else has asked, just now
        account = self._account_of(transport, token)
        with self._lock:
            is_ours = account.id == self._account_id
            if is_ours:
                self._ours = token
        if is_ours:
            self._on_proven()
            return
        message = self._refusal(account)
        with self._lock:
            self._refused = token, message
        raise OtherAccount(message)

    def _account_of(self, transport: Transport, token: str) -> Account:
        headers = {**self._auth.headers(), "Authorization": f"Bearer {token}"}
        request = Request("GET", self._url, headers=headers, repeatable=True)
        response = errors.check(transport.send(request), request.what)
        try:
            return wire.account(wire.obj(json.loads(response.read())))
        except ValueError:
            raise BadReply(f"{request.what}: the reply is no JSON") from None
