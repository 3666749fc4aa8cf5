"""Gateway: whether Box can be asked just now.  One for all threads, so that an outage is found once and probed by one.

States: open; shut until a time (offline, told to slow down, login refused).  When the time is over, one caller is let
through as the probe and the others go on waiting for what it brings.  Nothing is ever asked for the sake of asking.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from boxfs.base.errors import RateLimited, Unauthorized
from boxfs.core.backoff import OFFLINE, REFUSED_LOGIN, SECOND, reason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Network:
    """online: the last answer came.  why: why not.  until_ns: when it is tried again."""

    online: bool
    why: str | None = None
    until_ns: int = 0


class Gateway:
    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        # Guarded by _lock.
        self._failures = 0
        self._state = Network(True)
        self._probing = False
        self._limited = False  # Box is there, and told us to slow down
        self._kind: type[Exception] | None = None  # of the error that shut the way

    def on_open(self, listener: Callable[[], None]) -> None:
        """`listener` is called, with no lock held, whenever Box answers again."""
        self._listeners.append(listener)

    @property
    def state(self) -> Network:
        with self._lock:
            return self._state

    def why_offline(self) -> str | None:
        """Return why Box cannot be reached; None where it can, or only says to slow down."""
        with self._lock:
            return None if self._state.online or self._limited else self._state.why

    def enter(self) -> int | None:
        """Return None where the caller may ask Box now, else the time (ns) to come again.

        Who entered reports by `answered` or `failed`; it may be the probe that the others wait for.
        """
        with self._lock:
            if self._state.online:
                return None
            now = self._now_ns()
            if now < self._state.until_ns:
                return self._state.until_ns
            if self._probing:
                return now + SECOND
            self._probing = True
            return None

    def is_probe(self) -> bool:
        """Tell whether somebody was let in to try, and has not reported yet."""
        with self._lock:
            return self._probing

    def give_up_probe(self) -> None:
        """Who was let in has nothing to ask after all."""
        with self._lock:
            self._probing = False

    def answered(self) -> None:
        """Box answered, be it with a refusal of this one call."""
        with self._lock:
            opened = not self._state.online
            self._failures, self._probing, self._state = 0, False, Network(True)
        if opened:
            log.info("Box answers again")
            for listener in self._listeners:
                listener()

    def failed(self, error: Exception) -> None:
        """The way is shut: `error` is one of `backoff.is_global`."""
        with self._lock:
            now = self._now_ns()
            if not self._state.online and not self._probing and now < self._state.until_ns:
                return  # many calls fail at once; they count as one
            self._probing = False
            self._failures += 1
            is_news = self._state.online or self._kind is not type(error)
            self._kind = type(error)
            self._limited = isinstance(error, RateLimited)
            if isinstance(error, RateLimited):
                delay = error.retry_after_s or OFFLINE.delay_s(self._failures)
            else:
                delay = (REFUSED_LOGIN if isinstance(error, Unauthorized) else OFFLINE).delay_s(self._failures)
            self._state = Network(False, reason(error), now + int(delay * SECOND))
        if is_news:
            level = logging.INFO if isinstance(error, RateLimited) else logging.WARNING
            log.log(level, "nothing goes to Box for now: %s", reason(error))

    def retry(self) -> None:
        """Somebody wants it tried now.  Where Box is within reach nobody is told: who listens would ask for nothing."""
        with self._lock:
            self._probing = False
            if self._state.online:
                return
            self._state = Network(False, self._state.why, 0)
        for listener in self._listeners:
            listener()
