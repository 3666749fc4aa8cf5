"""Keeping inside Box's limits, so that Box need not say 429 (box-api.md section 4).

A sliding window per cost: never more than N requests within any 60 s.  People first: background work may use nine
tenths of a window and waits while anybody else waits.  A 429 pauses its own cost for everybody, for as long as Box
said.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from boxfs.api.cancel import Cancelled
from boxfs.api.http import Cost, Priority, Request, Response, Transport

WINDOW_S = 60.0
# Business accounts; 5 % are left to other programs of the same user.
BOX_LIMITS: Mapping[Cost, int] = {Cost.CALL: 950, Cost.UPLOAD: 228, Cost.SEARCH: 57}
BACKGROUND_SHARE = 0.9
# Where nothing has to be waited for precisely, how long a waiter sleeps before it looks again.
LOOK_S = 1.0


class Limiter:
    """Shared by all threads (and clients) of one account.  limits: requests a minute; a cost without one is free."""

    def __init__(self, limits: Mapping[Cost, int], clock: Callable[[], float] = time.monotonic) -> None:
        # Constants
        self._limits = dict(limits)
        self._clock = clock
        # Mutable state, guarded by _turn
        self._turn = threading.Condition()
        self._sent: dict[Cost, deque[float]] = {cost: deque() for cost in Cost}  # invariant: ascending
        self._paused_until: dict[Cost, float] = {}
        self._waiting: dict[Cost, int] = dict.fromkeys(Cost, 0)  # how many in the foreground wait
        self._closed = False

    def acquire(self, cost: Cost, priority: Priority) -> None:
        """Return when a request may be sent, and count it.  Raises Cancelled after `close`."""
        foreground = priority is Priority.FOREGROUND
        with self._turn:
            self._waiting[cost] += foreground
            try:
                while (delay_s := self._delay_locked(cost, priority)) > 0:
                    self._turn.wait(delay_s)
                self._sent[cost].append(self._clock())
            finally:
                self._waiting[cost] -= foreground
                if foreground and not self._waiting[cost]:
                    self._turn.notify_all()

    def _delay_locked(self, cost: Cost, priority: Priority) -> float:
        """Return how long to wait before looking again, in seconds; 0: go."""
        if self._closed:
            raise Cancelled("the client is closed")
        now = self._clock()
        if (pause_s := self._paused_until.get(cost, 0.0) - now) > 0:
            return pause_s
        limit = self._limits.get(cost)
        if limit is None:
            return 0.0
        sent = self._sent[cost]
        while sent and sent[0] <= now - WINDOW_S:
            sent.popleft()
        if priority is Priority.BACKGROUND:
            if self._waiting[cost]:
                return LOOK_S
            limit = max(1, int(limit * BACKGROUND_SHARE))
        return 0.0 if len(sent) < limit else sent[-limit] + WINDOW_S - now

    def pause(self, cost: Cost, seconds: float) -> None:
        """Let nobody send for so long: Box said so."""
        with self._turn:
            self._paused_until[cost] = max(self._paused_until.get(cost, 0.0), self._clock() + seconds)

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()


class Limited:
    """Transport that asks a Limiter first."""

    def __init__(self, inner: Transport, limiter: Limiter) -> None:
        self._inner = inner
        self._limiter = limiter

    def send(self, request: Request) -> Response:
        if request.cost is not Cost.FREE:
            self._limiter.acquire(request.cost, request.priority)
        return self._inner.send(request)

    def close(self) -> None:
        self._limiter.close()
        self._inner.close()
