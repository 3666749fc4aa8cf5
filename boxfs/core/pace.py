"""Pace: over how many connections a file is fetched ahead, by what one of them brings.

A line that gives each connection little is shared out better over many.  Where one is quick, what counts is the work of
this machine, and threads that wait for each other make more of it: then few do, each with larger pieces.
"""

from __future__ import annotations

import threading
from collections import deque

FEW = 2
SLOW, QUICK = 40e6, 100e6  # bytes a second of one connection
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
            if rate < SLOW:
                self._connections = self._most
            elif rate > QUICK:
                self._connections = min(FEW, self._most)
