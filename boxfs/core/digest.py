"""RunningDigest: the sha1 of a version, computed as its bytes come in order.

Box promises no digest of a range, so a range read by itself cannot be checked.  But who reads a file from its begin to
its end gets the last bytes only when the sha1 of them all is right.

Bytes that the cache dropped come again, and nothing that was hashed before says that these are right: `doubt`.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

STEP = 256 * 1024  # stays in a processor's cache

ReadReady = Callable[[memoryview, int], int]  # copies what is at hand from an offset, returns how many bytes


class RunningDigest:
    def __init__(self, size: int, sha1: str) -> None:
        self._size = size
        self._expected = sha1
        self._probe = memoryview(bytearray(1))
        self._lock = threading.Lock()  # held while bytes are hashed, never while anybody waits for Box
        # guarded by _lock
        self._sha1 = hashlib.sha1()
        self._at = 0  # invariant: _sha1 is that of [0, _at)
        self._doubted = False  # set by anybody: some of [0, _at) was fetched anew since it was hashed

    @property
    def at(self) -> int:
        """How far it has come."""
        return self._at

    def offer(self, start: int, data: memoryview) -> None:
        """[start, start + len(data)) is here: go on with it if it is next."""
        stop = start + len(data)
        if not self._is_next(start, stop) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._is_next(start, stop):
                if self._at == self._size:
                    self._begin_anew_locked()
                self._sha1.update(data[self._at - start :])
                self._at = stop
        finally:
            self._lock.release()

    def _is_next(self, start: int, stop: int) -> bool:
        return start <= self._at < stop or (start == 0 and self._doubted and self._at == self._size)

    def go_on(self, read_ready: ReadReady) -> None:
        """Go on with what is at hand of what is next, unless another thread does so just now."""
        if self._lock.acquire(blocking=False):
            try:
                self._go_on_locked(read_ready)
            finally:
                self._lock.release()

    def is_right(self, read_ready: ReadReady) -> bool | None:
        """Return whether the whole has the sha1 that Box told; None where not all of it is at hand."""
        with self._lock:
            self._go_on_locked(read_ready)
            right = self._is_right_locked()
            if right and self._doubted:
                self._begin_anew_locked()
                self._go_on_locked(read_ready)
                right = self._is_right_locked()
            return right

    def doubt(self, start: int) -> None:
        """Bytes from `start` on are to be fetched.  Takes no lock."""
        if start < self._at:
            self._doubted = True

    def has_proved(self) -> bool:
        """Whether all of the version was hashed and is right, as far as can be told at once."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return not self._doubted and self._is_right_locked() is True
        finally:
            self._lock.release()

    def _is_right_locked(self) -> bool | None:
        return self._sha1.hexdigest() == self._expected if self._at == self._size else None

    def _go_on_locked(self, read_ready: ReadReady) -> None:
        if self._at < self._size and not read_ready(self._probe, self._at):
            return  # what is next is not here: memory for it would be made in vain
        with memoryview(bytearray(min(STEP, self._size - self._at))) as view:
            while self._at < self._size:
                count = read_ready(view[: self._size - self._at], self._at)
                if not count:
                    return
                self._sha1.update(view[:count])
                self._at += count

    def begin_anew(self) -> None:
        with self._lock:
            self._begin_anew_locked()

    def _begin_anew_locked(self) -> None:
        self._sha1 = hashlib.sha1()
        self._at = 0
        self._doubted = False
