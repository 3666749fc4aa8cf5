"""Reach: how much a read in the middle of a file fetches.  Pure arithmetic, no I/O.

Whoever asks Box for a block waits for the answer first; what else comes in that time costs nobody much.  So where
reads here and there go on, each fetches the range around it that comes in about the time that the asking takes: larger
than the last time while that holds, half as large where it took far longer.  Ranges meet end to end, so a read at the
end of one waits for what lies before it, about as long as the asking took at most.

The price is bytes that nobody may want.  So nothing grows before such reads have fetched a part of the file that is
worth the name; when they have fetched half of it, each brings some of what is missing as well, so that no more than
twice of what was asked for comes.  In a file that the cache could not keep nothing grows at all.
"""

from __future__ import annotations

import threading
from collections import deque

from boxfs.store.segment import BLOCK

MOST = 4 << 20
REST = 32 << 20  # of what is missing, with each read
WORTH_NAMING = 128  # the part of the file, 1/128, from which on more reads like these are to be expected
WORTH_S = 0.005  # waits below this are not worth bytes
RECENT = 8  # fetches: the quickest answer of them is what asking takes


class Reach:
    """Thread-safe.  bytes: a power of two of blocks."""

    def __init__(self, size: int, *, fits: bool) -> None:
        """fits: whether the cache can keep the file and others beside it."""
        self.bytes = BLOCK
        self._size = size
        self._most = MOST if fits else BLOCK
        self._lock = threading.Lock()
        # guarded by _lock
        self._fetched = 0
        self._rest_at = 0
        self._waits: deque[float] = deque(maxlen=RECENT)

    def around(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range, in whole blocks, that a read of [start, stop) should fetch where nothing of it is here.

        No small gaps are left between those of different reads, each worth a request.
        """
        reach = self.bytes
        return start - start % reach, min(-(-stop // reach) * reach, self._size)

    def note(self, count: int, wait_s: float, all_s: float) -> None:
        """A fetch of `count` bytes had its first ones `wait_s` after it was asked for, and all after `all_s`."""
        with self._lock:
            self._fetched += count
            self._waits.append(wait_s)
            asking_s = min(self._waits)
            moving_s = all_s - asking_s
            if asking_s < WORTH_S:
                self.bytes = BLOCK
            elif moving_s > 2 * asking_s and count > BLOCK:
                self.bytes = max(BLOCK, self.bytes // 2)
            elif moving_s <= asking_s and count >= self.bytes and self._fetched >= self._size // WORTH_NAMING:
                self.bytes = min(self.bytes * (4 if moving_s <= asking_s / 4 else 2), self._most)

    def rest(self) -> tuple[int, int] | None:
        """Return the range that should come besides, as far as it is not here; None: none.  Tell `came`."""
        with self._lock:
            if self.bytes == BLOCK or self._fetched < self._size // 2 or self._rest_at >= self._size:
                return None
            return self._rest_at, min(self._rest_at + REST, self._size)

    def came(self, stop: int) -> None:
        """The rest was asked for up to `stop`."""
        with self._lock:
            self._rest_at = max(self._rest_at, stop)
