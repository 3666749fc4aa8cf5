"""Buffers: the memory of fetched data, over all files, and how much of it there may be.

Fetching ahead stops where the limit is reached; what somebody waits for does not (each waiter adds one small piece).
Pieces that the disk cache could not take are kept here, the oldest give way.  Large pieces use the same memory one
after the other, since fresh pages cost as much as receiving into them.
"""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Callable

POOLED = 1 << 20  # memory of at least so many bytes is used again
MOST_SPARE = 32 << 20


class Buffers:
    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()  # a leaf: nothing is called with it held
        # guarded by _lock
        self._taken = 0
        self._kept: OrderedDict[int, tuple[int, object, Callable[[], None]]] = OrderedDict()
        self._number = 0
        self._spare: dict[int, list[memoryview]] = {}  # by size
        self._spare_bytes = 0

    # Memory

    def lend(self, size: int) -> memoryview:
        """Return memory of `size` bytes, with anything in it."""
        if size < POOLED:
            return memoryview(bytearray(size))
        with self._lock:
            if spare := self._spare.get(size):
                self._spare_bytes -= size
                return spare.pop()
        # Not of the heap, which keeps holes of such a size.
        return memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def take_back(self, memory: memoryview) -> None:
        """Nobody writes into the memory any more, and who reads it looks afterwards whether it still held."""
        size = len(memory)
        with self._lock:
            if POOLED <= size <= MOST_SPARE - self._spare_bytes and self._taken:
                self._spare.setdefault(size, []).append(memory)
                self._spare_bytes += size

    # Room

    def take(self, wanted: int, *, least: int = 0) -> int:
        """Reserve up to `wanted` bytes, `least` of them whatever the limit says; return how many.

        May drop kept pieces: call it with no lock held that `forget` of a kept piece takes.
        """
        dropped = []
        with self._lock:
            while self._kept and self._taken + wanted > self.limit_bytes:
                _, (size, _owner, forget) = self._kept.popitem(last=False)
                self._taken -= size
                dropped.append(forget)
            granted = max(least, min(wanted, self.limit_bytes - self._taken))
            self._taken += granted
        for forget in dropped:
            forget()
        return granted

    def give_back(self, size: int) -> None:
        with self._lock:
            self._taken -= size
            if self._taken <= 0:  # nobody fetches
                self._spare.clear()
                self._spare_bytes = 0

    def keep(self, size: int, owner: object, forget: Callable[[], None]) -> None:
        """Leave `size` reserved bytes in memory until they are needed otherwise; then `forget` is called, once."""
        with self._lock:
            self._number += 1
            self._kept[self._number] = (size, owner, forget)

    def drop(self, owner: object) -> None:
        """Forget all kept pieces of one owner."""
        with self._lock:
            names = [name for name, (_, other, _) in self._kept.items() if other is owner]
            dropped = [self._kept.pop(name) for name in names]
            self._taken -= sum(size for size, _, _ in dropped)
        for _, _, forget in dropped:
            forget()

    @property
    def taken_bytes(self) -> int:
        with self._lock:
            return self._taken
