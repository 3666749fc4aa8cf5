"""Signals as calls in a thread of their own, so that what they start may take locks, and none is missed.

A Python handler runs in the main thread between two of its steps: it may find a lock held by the very step that it
interrupted, and a signal that comes just before the main thread begins to wait is handled when that wait ends, perhaps
never.  The interpreter's C handler, though, writes each signal's number to a pipe at once (signal.set_wakeup_fd), and a
thread reads it there.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Self

from boxfs.base.ending import wait_for

log = logging.getLogger(__name__)

_END_S = 5.0
_STOP = b"\0"  # no signal has this number


class Signals:
    """Inside the `with`, each of these signals calls its function.  Only the main thread may hear signals: entered by
    another thread this does nothing.  What was installed before comes back after it.
    """

    def __init__(self, calls: Mapping[int, Callable[[int], None]]) -> None:
        self._calls = calls
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writer, False)
        self._thread = threading.Thread(target=self._listen, name="boxfs-signals", daemon=True)
        self._thread.start()
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._calls:
            self._before[number] = signal.signal(number, _heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()
        signal.set_wakeup_fd(self._wakeup_before)
        os.write(self._writer, _STOP)
        wait_for(self._thread, _END_S)
        os.close(self._writer)
        os.close(self._reader)

    def _listen(self) -> None:
        while True:
            for number in os.read(self._reader, 64):
                if number == 0:
                    return
                call = self._calls.get(number)
                if call is None:
                    continue  # somebody else's handler
                try:
                    call(number)
                except Exception:  # a failed hook must not make us deaf
                    log.exception("signal %d", number)


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the number is in the pipe already."""
