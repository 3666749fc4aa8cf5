"""SingleFlight: of several who ask for the same thing at once, one does the work and the others wait for its result.

Nothing is remembered: a result is shared by those who were waiting when it came, an error too.  No lock is held while
the work is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Call(Generic[V]):
    def __init__(self) -> None:
        self.done = threading.Event()
        self.result: V | None = None
        self.error: BaseException | None = None


class SingleFlight(Generic[K, V]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[K, _Call[V]] = {}  # guarded by _lock, invariant: only calls that are not done

    def do(self, key: K, work: Callable[[], V]) -> V:
        """Return what `work()` gives, or what the call for `key` that is under way gives.

        Raises what the work raises, to all who wait.  `work` must not ask for the same key again (it would wait for
        itself).
        """
        with self._lock:
            call = self._calls.get(key)
            mine = call is None
            if call is None:
                call = self._calls[key] = _Call()
        if not mine:
            call.done.wait()
            if call.error is not None:
                raise call.error
            return call.result  # type: ignore[return-value]
        try:
            call.result = work()
            return call.result
        except BaseException as error:
            call.error = error
            raise
        finally:
            with self._lock:
                del self._calls[key]
            call.done.set()
