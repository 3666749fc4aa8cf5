"""Renewing: the part that all ways in share, which ask Box for tokens: one renewal at a time, whoever asks.

Threads wait for each other in a SingleFlight, processes and machines at the store's lock; who comes second finds the
first one's tokens in the store and asks Box nothing.  The order of a renewal, so that a crash at any point leaves a
usable token or a clear "log in again":

    lock the store - read it - ask Box - save, durably - unlock - tell the callback - use the token
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial

from boxfs.api.http import Transport
from boxfs.api.tokens import MemoryStore, Tokens, TokenStore
from boxfs.base.flight import SingleFlight


class Renewing(ABC):
    """Base of an Auth whose tokens come from Box.  A way in gives `_ask`.

    on_tokens: told of every new pair, after it is in the store.
    """

    def __init__(
        self,
        *,
        oauth_url: str,
        store: TokenStore | None = None,
        on_tokens: Callable[[Tokens], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Dependencies
        self.store: TokenStore = store or MemoryStore()
        self._oauth_url = oauth_url
        self._on_tokens = on_tokens
        self._clock = clock
        self._flight: SingleFlight[str, Tokens] = SingleFlight()
        # Mutable state, guarded by _lock
        self._lock = threading.Lock()
        self._held: Tokens | None = None

    def headers(self) -> Mapping[str, str]:
        return {}

    def token(self, transport: Transport) -> str:
        with self._lock:
            held = self._held
        if held is not None and held.is_fresh(self._clock()):
            return held.access
        return self._flight.do("renew", partial(self._renew, transport, None)).access

    def renewed(self, transport: Transport, refused: str) -> str | None:
        # A flight that began before Box refused the token may bring the same one; the second look cannot.
        for _ in range(2):
            found = self._flight.do("renew", partial(self._renew, transport, refused)).access
            if found != refused:
                return found
        return None

    def _renew(self, transport: Transport, refused: str | None) -> Tokens:
        with self.store.exclusive():
            stored = self.store.load()
            usable = stored is not None and stored.access != refused and stored.is_fresh(self._clock())
            if stored is not None and usable:
                new = stored
            else:
                new = self._ask(transport, stored)
                self.store.save(new)
        if not usable and self._on_tokens is not None:
            self._on_tokens(new)
        with self._lock:
            self._held = new
        return new

    def _adopt(self, tokens: Tokens) -> None:
        """Take tokens that came another way (a finished login)."""
        with self.store.exclusive():
            self.store.save(tokens)
        with self._lock:
            self._held = tokens
        if self._on_tokens is not None:
            self._on_tokens(tokens)

    def _forget(self) -> None:
        with self.store.exclusive():
            self.store.clear()
        with self._lock:
            self._held = None

    @abstractmethod
    def _ask(self, transport: Transport, stored: Tokens | None) -> Tokens:
        """Get new tokens from Box.  stored: what the store holds, stale or refused.

        Raises Unauthorized: somebody must log in; Unreachable.
        """
