"""Tokens, and TokenStore: where a pair lives between requests, threads, processes and machines.

A refresh token works once.  So whoever renews holds the store's lock from before it is read until the new pair is
durable; only then may the new access token be used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from boxfs.api import wire

# Renewed so long before the end, but never earlier than in the last tenth of a token's life.
AHEAD_S = 60.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What Box's token endpoint gives.  got_s, expires_s: seconds since the epoch by our clock.

    refresh: only of the OAuth 2 grants.  restricted_to: what a downscoped token is left with.
    """

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    got_s: float = 0.0
    expires_s: float = 0.0
    restricted_to: tuple[Mapping[str, Any], ...] = ()

    def is_fresh(self, now_s: float) -> bool:
        """Tell whether the access token lives long enough to be sent."""
        ahead_s = min(AHEAD_S, (self.expires_s - self.got_s) / 10)
        return self.got_s - AHEAD_S <= now_s < self.expires_s - ahead_s

    def to_json(self) -> str:
        return json.dumps(
            {"access": self.access, "refresh": self.refresh, "got_s": self.got_s, "expires_s": self.expires_s}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Tokens | None:
        """Return the tokens, None where the text holds none (empty, broken)."""
        try:
            stored = wire.obj(json.loads(text))
        except ValueError:
            return None
        access = wire.text(stored.get("access"))
        if access is None:
            return None
        return cls(
            access=access,
            refresh=wire.text(stored.get("refresh")),
            got_s=wire.number(stored.get("got_s")) or 0.0,
            expires_s=wire.number(stored.get("expires_s")) or 0.0,
        )


class TokenStore(Protocol):
    def exclusive(self) -> AbstractContextManager[None]:
        """Hold off everybody else who shares this store.  Raises Unreachable after a generous while."""

    def load(self) -> Tokens | None: ...

    def save(self, tokens: Tokens) -> None:
        """Return when the tokens would survive a crash of whatever the store is made of.  Call it in `exclusive`."""

    def clear(self) -> None:
        """Forget the tokens: a logout."""


class MemoryStore:
    """Tokens of one process."""

    def __init__(self, tokens: Tokens | None = None) -> None:
        self._lock = threading.Lock()
        self._tokens = tokens

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._lock:
            yield

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def clear(self) -> None:
        self._tokens = None
