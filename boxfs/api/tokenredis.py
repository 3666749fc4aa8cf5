"""RedisStore: tokens shared by machines.  The only door to `redis` (the extra boxfs-mount[redis]).

The lock has a life of its own, so that a machine that dies with it does not lock the others out; a renewal that took
longer than that is noticed when it saves, and its pair is saved all the same: it is the newest there is.
How durable "saved" is, is for the server's configuration to say (appendonly yes, appendfsync always).
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from boxfs.api.tokens import Tokens
from boxfs.base.errors import NotSupported, Unreachable

PATIENCE_S = 180.0
LOCK_LIFE_S = 120.0
LOOK_S = 0.02
# Compare and delete in one step: a lock that ran out may belong to somebody else by now.
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class RedisStore:
    """url: "redis://host:port/0" (rediss:// for TLS).  name: tells accounts apart."""

    def __init__(self, url: str, name: str = "boxfs", *, patience_s: float = PATIENCE_S) -> None:
        try:
            import redis
        except ImportError:
            raise NotSupported("tokens in Redis need the package redis: pip install 'boxfs-mount[redis]'") from None
        self._errors = (redis.exceptions.RedisError, OSError)
        self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10)
        self._key = f"{name}:tokens"
        self._lock_key = f"{name}:lock"
        self._patience_s = patience_s

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        mine = uuid.uuid4().hex
        deadline = time.monotonic() + self._patience_s
        while not self._call("set", self._lock_key, mine, nx=True, px=int(LOCK_LIFE_S * 1000)):
            if time.monotonic() > deadline:
                raise Unreachable("somebody holds the lock of the tokens in Redis and does not end")
            time.sleep(LOOK_S)
        try:
            yield
        finally:
            with contextlib.suppress(Unreachable):  # it ends by itself
                self._call("eval", _RELEASE, 1, self._lock_key, mine)

    def load(self) -> Tokens | None:
        stored = self._call("get", self._key)
        return Tokens.from_json(cast(bytes, stored)) if stored else None

    def save(self, tokens: Tokens) -> None:
        self._call("set", self._key, tokens.to_json())

    def clear(self) -> None:
        self._call("delete", self._key)

    def close(self) -> None:
        self._redis.close()

    def _call(self, command: str, *args: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*args, **options)
        except self._errors as error:
            raise Unreachable(f"Redis, which keeps the tokens, does not answer: {type(error).__name__}") from None
