"""The lanes of pushing: as many threads as are asked for, also when that changes."""

from __future__ import annotations

import queue
import threading
import time
from typing import cast

from boxfs.core.calls import Call
from boxfs.core.pushing import Lane


def _call(number: int) -> Call:
    return cast(Call, number)


def test_more_threads_are_started_and_fewer_remain_as_asked() -> None:
    under_way: queue.Queue[Call] = queue.Queue()
    go = threading.Semaphore(0)

    def make(call: Call) -> None:
        under_way.put(call)
        assert go.acquire(timeout=60)

    lane = Lane("test", 1, make)
    lane.start()
    for number in range(6):
        lane.put(_call(number))
    assert under_way.get(timeout=60) == _call(0)
    lane.resize(3)
    assert {under_way.get(timeout=60) for _ in range(2)} == {_call(1), _call(2)}
    lane.resize(1)
    go.release(3)  # of three threads two end, and one goes on
    assert under_way.get(timeout=60) == _call(3)
    assert lane.backlog() == 2
    go.release(3)
    assert {under_way.get(timeout=60) for _ in range(2)} == {_call(4), _call(5)}
    assert lane.stop() == []
    assert lane.join(time.monotonic() + 60)
