"""Pace: over how many connections a file is fetched ahead, by what one of them brings.

As many as bring ENOUGH together.  More would only make work: where one is quick, what counts is what this machine can
do, and threads that wait for each other make it do less.
"""

from __future__ import annotations

import math
import threading
from collections import deque

FEW = 2
ENOUGH = 250e6  # bytes a second, all together: near what one process can take in and check
TELLING = 512 * 1024  # bytes that say something
SAMPLES = 16  # that are counted together: single ones come in bursts


class Pace:
    def __init__(self, most: int) -> None:
        """most: connections."""
        self._lock = threading.Lock()
        # guarded by _lock
        self._most = most
        self._connections = min(FEW, most)
        self._samples: deque[tuple[int, float]] = deque(maxlen=SAMPLES)  # bytes, seconds

    @property
    def connections(self) -> int:
        return self._connections

    def set_most(self, most: int) -> None:
        with self._lock:
            self._most = most
            self._connections = min(FEW, most)
            self._samples.clear()

    def note(self, count: int, seconds: float) -> None:
        """One connection has brought `count` bytes, of TELLING or more, in the time that was spent waiting for them."""
        with self._lock:
            self._samples.append((count, seconds))
            rate = sum(each[0] for each in self._samples) / max(sum(each[1] for each in self._samples), 1e-6)
            self._connections = min(max(math.ceil(ENOUGH / max(rate, 1.0)), FEW), self._most)
