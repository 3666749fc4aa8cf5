"""Memory for what goes to the kernel: reads and listings."""

from __future__ import annotations

import ctypes
import mmap
import threading
from ctypes import c_char

BUFFER_BYTES = 1 << 20  # max_pages of the kernel, 256, times 4 KiB


class Memory:
    """Where reads go.  Its pages are made only as they are used."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, BUFFER_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = ctypes.addressof(c_char.from_buffer(self._memory))
        self.view = memoryview(self._memory)


class WorkersMemory(threading.local, Memory):
    """Where a worker's listings go; made once for each worker."""
