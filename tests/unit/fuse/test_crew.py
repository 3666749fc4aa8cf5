"""The crew: two listen, whoever waits for something is replaced, and all end with the mount."""

from __future__ import annotations

import ctypes
import errno
import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boxfs.fuse.crew import LISTENERS, Crew
from boxfs.fuse.library import Library

PATIENCE_S = 60.0


class FuseBuf(ctypes.Structure):
    _fields_ = [("mem", ctypes.c_void_p)]


class Device:
    """Requests are functions; the workers that wait for one are counted."""

    def __init__(self) -> None:
        self.requests: queue.Queue[Callable[[], None] | int] = queue.Queue()
        self.lock = threading.Lock()
        self.waiting = self.most_waiting = 0
        self.taken: dict[int, Callable[[], None]] = {}
        self.layouts = SimpleNamespace(fuse_buf=FuseBuf)

    def session_fd(self, _session: int) -> int:
        return -1

    def session_receive_buf(self, _session: int, _buffer: int) -> int:
        with self.lock:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
        request = self.requests.get()
        with self.lock:
            self.waiting -= 1
        if isinstance(request, int):
            self.requests.put(request)  # the others hear it too
            return request
        self.taken[threading.get_ident()] = request
        return 80

    def session_process_held(self, _session: int, _buffer: int) -> None:
        self.taken.pop(threading.get_ident())()

    def free(self, _memory: Any) -> None: ...


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def crew(device: Device) -> Iterator[Crew]:
    crew = Crew(cast(Library, device), 0, 12, lambda: None)
    crew.start()
    yield crew
    device.requests.put(0)
    crew.join(PATIENCE_S)
    assert crew.has_ended


def test_two_listen_however_many_requests_there_are(crew: Crew, device: Device) -> None:
    done = threading.Semaphore(0)
    for _ in range(500):
        device.requests.put(lambda: done.release())
    for _ in range(500):
        assert done.acquire(timeout=PATIENCE_S)
    until(lambda: device.waiting == LISTENERS)
    assert not crew.has_ended


def test_who_waits_for_something_is_replaced_and_parked_afterwards(crew: Crew, device: Device) -> None:
    come, go = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        come.release()
        assert go.wait(PATIENCE_S)

    for _ in range(10):
        device.requests.put(wait)
    for _ in range(10):
        assert come.acquire(timeout=PATIENCE_S)
    until(lambda: device.waiting == LISTENERS)  # ten wait, and a stat is answered all the same
    go.set()
    done = threading.Semaphore(0)
    for _ in range(100):
        device.requests.put(lambda: done.release())
    for _ in range(100):
        assert done.acquire(timeout=PATIENCE_S)
    until(lambda: device.waiting == LISTENERS)


@pytest.fixture
def threads_left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads may begin yet."""
    left = [1]
    start = threading.Thread.start

    def start_some(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    return left


def test_where_no_threads_can_be_that_which_began_ends(device: Device, threads_left: list[int]) -> None:
    before = set(threading.enumerate())
    crew = Crew(cast(Library, device), 0, 12, lambda: None)
    with pytest.raises(RuntimeError):
        crew.start()
    until(lambda: crew.has_ended and set(threading.enumerate()) <= before)


def test_where_no_more_threads_can_be_those_go_on_that_are_there(
    device: Device, threads_left: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    threads_left[0] = 5  # two listeners, the watch, and two more
    crew = Crew(cast(Library, device), 0, 12, lambda: None)
    crew.start()
    come, go = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        come.release()
        assert go.wait(PATIENCE_S)

    for _ in range(10):
        device.requests.put(wait)
    for _ in range(4):
        assert come.acquire(timeout=PATIENCE_S)
    until(lambda: "no more than 4 requests" in caplog.text)
    go.set()
    for _ in range(6):
        assert come.acquire(timeout=PATIENCE_S)
    device.requests.put(0)
    crew.join(PATIENCE_S)
    assert crew.has_ended


def test_with_everybody_waiting_the_next_request_is_taken_when_one_is_free(crew: Crew, device: Device) -> None:
    steps = [threading.Event() for _ in range(13)]
    come = threading.Semaphore(0)

    def request(step: threading.Event) -> Callable[[], None]:
        def work() -> None:
            come.release()
            assert step.wait(PATIENCE_S)

        return work

    for step in steps:
        device.requests.put(request(step))
    for _ in range(12):
        assert come.acquire(timeout=PATIENCE_S)
    assert not come.acquire(blocking=False)
    steps[0].set()
    assert come.acquire(timeout=PATIENCE_S)
    for step in steps:
        step.set()
    until(lambda: device.waiting == LISTENERS)


def test_an_error_of_the_device_ends_all_and_is_told(device: Device) -> None:
    ended = threading.Event()
    crew = Crew(cast(Library, device), 0, 5, ended.set)
    assert crew.has_ended  # it has not begun
    crew.start()
    assert None in crew.results
    device.requests.put(-errno.EIO)
    assert ended.wait(PATIENCE_S)
    crew.join(PATIENCE_S)
    assert crew.has_ended
    assert -errno.EIO in crew.results
    assert set(crew.results) <= {0, -errno.EIO}
