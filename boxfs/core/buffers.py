"""Buffers: how many bytes of fetched data may be in memory, over all files.

Fetching ahead stops where the limit is reached; what somebody waits for does not (each waiter adds one small piece).
Pieces that the disk cache could not take are kept here, the oldest give way.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable


class Buffers:
    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()  # a leaf: nothing is called with it held
        # guarded by _lock
        self._taken = 0
        self._kept: OrderedDict[int, tuple[int, object, Callable[[], None]]] = OrderedDict()
        self._number = 0

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
