"""Pace: over how many connections a file is fetched ahead, by what one of them brings.  Timed: what a download takes.

As many as bring ENOUGH together.  More would only make work: where one is quick, what counts is what this machine can
do, and threads that wait for each other make it do less.  A connection that waits for an answer brings nothing, so
where answers take as long as pieces there are twice as many.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator

FEW = 2
ENOUGH = 450e6  # bytes a second, all together: about what one process can take in, check and store
TELLING = 512 * 1024  # bytes that say something
TYPICAL = 8 << 20  # bytes of a piece of a long file
SAMPLES = 16  # that are counted together: single ones come in bursts


class Pace:
    def __init__(self, most: int) -> None:
        """most: connections."""
        self.meanwhile = 0  # bytes that one connection brings in the time that asking for some takes
        self._lock = threading.Lock()
        # guarded by _lock
        self._most = most
        self._connections = min(FEW, most)
        self._waits: deque[float] = deque(maxlen=SAMPLES)
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
            moving = max(math.ceil(ENOUGH / max(rate, 1.0)), FEW)
            self.meanwhile = int(min(self._waits, default=0.0) * rate)
            self._connections = min(round(moving * (1 + self.meanwhile / TYPICAL)), self._most)

    def note_wait(self, seconds: float) -> None:
        """The first bytes came so long after they were asked for."""
        with self._lock:
            self._waits.append(seconds)


class Timed:
    """The steps of one download, and what they took.  A single thread's.

    count: bytes that came; wait_s: from the asking to the first of them; all_s: to the last.
    """

    def __init__(self, steps: Iterator[int], pace: Pace, clock: Callable[[], float]) -> None:
        """steps: each is the number of bytes that have come since the last one.  pace: is told."""
        self._steps, self._pace, self._clock = steps, pace, clock
        self._asked_s = clock()
        self.count = 0
        self.wait_s = self.all_s = 0.0
        self._told = 0  # of `count`, to the pace: what comes after the first bytes
        self._waited_s = 0.0  # for what it was not told of

    def step(self) -> int:
        """Return how many bytes came with the next step, 0 at the end.  Raises what the download raises."""
        begun_s = self._clock()
        count = next(self._steps, 0)
        now_s = self._clock()
        if not count:
            return 0
        first = not self.count
        self.count += count
        self._waited_s += now_s - begun_s
        self.all_s = now_s - self._asked_s
        if first:
            self.wait_s = self.all_s
            self._pace.note_wait(self.wait_s)
        elif self.count - self._told >= TELLING:
            self._pace.note(self.count - self._told, self._waited_s)
        else:
            return count
        self._told, self._waited_s = self.count, 0.0
        return count

    def close(self) -> None:
        close: Callable[[], None] | None = getattr(self._steps, "close", None)
        if close is not None:
            close()
