"""Asking again: the only place that repeats a request (but for one renewal of the token, in `auth`).

The rule: what may have been done is not asked twice.
- Not acted upon for certain (NotSent, 429, "blocked for now"): again, whatever it was.
- Unknown (reply lost, 5xx): again if the request is repeatable, else InDoubt, and the caller looks at Box first.
- Retry-After is kept to the letter; where Box names no time, back-off with jitter.
- Silence is borne twice: it has lasted the whole time-out, which is what somebody is ready to wait.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from boxfs.api import errors
from boxfs.api.cancel import Cancelled
from boxfs.api.http import Lost, NotSent, Request, Response, TimedOut, Transport, Untrusted
from boxfs.api.rate import Limiter
from boxfs.base.errors import FsError, InDoubt, RemoteError


@dataclass(frozen=True, slots=True)
class Backoff:
    """attempts: repetitions at most.  first_s, factor, cap_s: of the waits between them.

    silences: time-outs at most; the first may be that of a connection which died meanwhile.
    patience_s: how long the waits that Box names (Retry-After) may be together before the caller hears of it instead.
    """

    attempts: int = 5
    first_s: float = 0.25
    factor: float = 2.0
    cap_s: float = 30.0
    silences: int = 2
    patience_s: float = 300.0


def schedule(backoff: Backoff, jitter: Callable[[], float]) -> Iterator[float]:
    """Yield the waits in seconds.  jitter: gives [0, 1); each wait lies between half and all of its step."""
    step_s = backoff.first_s
    for _ in range(backoff.attempts):
        yield min(step_s, backoff.cap_s) * (0.5 + jitter() / 2)
        step_s *= backoff.factor


class Retrying:
    """Transport that asks again.  A reply that it returns is final; a non-stream one is read whole."""

    def __init__(
        self,
        inner: Transport,
        *,
        backoff: Backoff | None = None,
        limiter: Limiter | None = None,
        wait: Callable[[float], object] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """wait: sleeps so many seconds; by default it wakes up when this is closed."""
        self._inner = inner
        self._backoff = backoff or Backoff()
        self._limiter = limiter
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._jitter = jitter

    def send(self, request: Request) -> Response:
        waits = schedule(self._backoff, self._jitter)
        patience_s = self._backoff.patience_s
        silences = 0
        while True:
            if self._closed.is_set():
                raise Cancelled("the client is closed")
            response, problem = self._attempt(request)
            if problem is None:
                assert response is not None
                return response
            named_s = problem.retry_after_s if isinstance(problem, RemoteError) else None
            # At least a second of patience each time, else a server that says "0 s" for ever would hold us for ever.
            patience_s -= max(named_s, 1.0) if named_s is not None else 0.0
            if not (request.repeatable or _not_done(response, problem)):
                if named_s is not None and patience_s >= 0:
                    # The write may still take effect until then: who looks at Box now would look too early.
                    self._pause(request, named_s)
                raise _in_doubt(problem) from problem
            if response is not None and response.status == 429 and named_s is not None and self._limiter is not None:
                self._limiter.pause(request.cost, named_s)
            delay_s = named_s if named_s is not None else next(waits, None)
            silences += isinstance(problem, TimedOut)
            if delay_s is None or patience_s < 0 or silences >= self._backoff.silences:
                raise problem
            self._pause(request, delay_s)

    def close(self) -> None:
        self._closed.set()
        self._inner.close()

    def _attempt(self, request: Request) -> tuple[Response | None, FsError | None]:
        """Send once.  Return the reply and None if it is final, else the problem that may pass."""
        try:
            response = self._inner.send(request)
            if not request.stream or response.status in (202, 409, 429) or response.status >= 500:
                response.read()
        except (Cancelled, Untrusted):
            raise
        except (NotSent, Lost) as problem:
            return None, problem
        if _passes(request, response):
            return response, errors.error_from(response, request.what)
        return response, None

    def _pause(self, request: Request, seconds: float) -> None:
        if request.cancel is not None:
            request.cancel.check()
        self._wait(seconds)


def _passes(request: Request, response: Response) -> bool:
    """Tell whether the reply says "later"."""
    status = response.status
    if status == 202:
        return request.wait_on_202
    if status == 409:
        return errors.code_of(response) in errors.LATER
    # 501 and 505 do not mend themselves.
    return status == 429 or (status >= 500 and status not in (501, 505))


def _not_done(response: Response | None, problem: FsError) -> bool:
    """Tell whether the request certainly was not acted upon."""
    return isinstance(problem, NotSent) if response is None else response.status < 500


def _in_doubt(problem: FsError) -> InDoubt:
    doubt = InDoubt(f"{problem} - it may have been done", problem.request_id)
    doubt.status, doubt.code, doubt.context = problem.status, problem.code, problem.context
    if isinstance(problem, RemoteError):
        doubt.retry_after_s = problem.retry_after_s
    return doubt
