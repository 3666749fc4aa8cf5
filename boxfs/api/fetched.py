"""FetchedToken: tokens that a callback brings, so that the application's secret can stay on a server of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boxfs.api.http import Transport
from boxfs.api.renewing import Renewing
from boxfs.api.tokens import Tokens, TokenStore

# What a token without an end of its own is given: Box's nominal hour.
LIFE_S = 3600.0


class FetchedToken(Renewing):
    """fetch: gets the access token that Box refused (None: none was, it is the first or ran out) and returns a new one,
    as text or, where its end is known, as Tokens.  Called by one thread at a time (and with a shared store by one
    process at a time).
    """

    def __init__(
        self, fetch: Callable[[str | None], str | Tokens], *, store: TokenStore | None = None, **options: Any
    ) -> None:
        super().__init__(oauth_url="", store=store, **options)
        self._fetch = fetch

    def _ask(self, transport: Transport, stored: Tokens | None) -> Tokens:  # noqa: ARG002
        found = self._fetch(stored.access if stored is not None else None)
        if isinstance(found, Tokens):
            return found
        now_s = self._clock()
        return Tokens(access=found, got_s=now_s, expires_s=now_s + LIFE_S)
