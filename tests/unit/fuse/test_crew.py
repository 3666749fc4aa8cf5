"""The crew: two listen, whoever waits for something is replaced, and all end with the mount."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import queue
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boxfs.fuse import crew as crew_module
from boxfs.fuse import interrupts
from boxfs.fuse.crew import LISTENERS, Crew
from boxfs.fuse.library import Library
from tests.support.waiting import until

PATIENCE_S = 60.0
HEADER = struct.Struct("=IIQQIIIHH")  # len, opcode, unique, nodeid, uid, gid, pid, total_extlen, padding
LOOKUP, INTERRUPT = 1, 36


class FuseBuf(ctypes.Structure):
    _fields_ = [("mem", ctypes.c_void_p)]


class Device:
    """Requests are functions, or whole messages; the workers that wait for one are counted.

    Each request gets the next `unique` as it is taken; its memory is libfuse's way: allotted where there is none.
    """

    def __init__(self) -> None:
        self.requests: queue.Queue[Callable[[], None] | int | bytes] = queue.Queue()
        self.lock = threading.Lock()
        self.waiting = self.most_waiting = 0
        self.uniques = itertools.count(1)
        self.work: dict[int, Callable[[], None]] = {}
        self.memory: dict[int, Any] = {}
        self.layouts = SimpleNamespace(fuse_buf=FuseBuf)
        self.answers, self._answered = os.pipe()

    def session_fd(self, _session: int) -> int:
        return self._answered

    def session_receive_buf(self, _session: int, buffer: int) -> int:
        with self.lock:
            self.waiting += 1
            self.most_waiting = max(self.most_waiting, self.waiting)
        request = self.requests.get()
        with self.lock:
            self.waiting -= 1
        if isinstance(request, int):
            self.requests.put(request)  # the others hear it too
            return request
        held = FuseBuf.from_address(buffer)
        if not held.mem:
            memory = ctypes.create_string_buffer(80)
            held.mem = ctypes.addressof(memory)
            self.memory[held.mem] = memory
        if isinstance(request, bytes):
            ctypes.memmove(held.mem, request, len(request))
            return len(request)
        with self.lock:
            unique = next(self.uniques)
            self.work[unique] = request
        ctypes.memmove(held.mem, HEADER.pack(80, LOOKUP, unique, 1, 0, 0, os.getpid(), 0, 0), HEADER.size)
        return 80

    def session_process_held(self, _session: int, buffer: int) -> None:
        self.work.pop(HEADER.unpack(ctypes.string_at(FuseBuf.from_address(buffer).mem, HEADER.size))[2])()

    def free(self, memory: int | None) -> None:
        if memory:
            del self.memory[memory]

    def interrupt(self, unique: int) -> None:
        self.requests.put(HEADER.pack(48, INTERRUPT, 0, 0, 0, 0, 0, 0, 0) + struct.pack("=Q", unique))

    def answer(self) -> tuple[int, int, int]:
        """Return the next that was written beside libfuse: length, error, unique."""
        found: tuple[int, int, int] = struct.unpack("=IiQ", os.read(self.answers, 16))
        return found

    def close(self) -> None:
        os.close(self.answers)
        os.close(self._answered)


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.close()


@pytest.fixture
def crew(device: Device) -> Iterator[Crew]:
    crew = Crew(cast(Library, device), 0, 12, lambda: None)
    crew.start()
    yield crew
    device.requests.put(0)
    crew.join(PATIENCE_S)
    assert crew.has_ended
    assert device.memory == {}


class Waiting:
    """Requests that wait until they may go on; notes in which order they begin."""

    def __init__(self, device: Device, count: int) -> None:
        self.begun: list[int] = []
        self.go = [threading.Event() for _ in range(count)]
        for number in range(count):
            device.requests.put(partial(self._wait, number))

    def _wait(self, number: int) -> None:
        self.begun.append(number)
        assert self.go[number].wait(PATIENCE_S)

    def end(self) -> None:
        for each in self.go:
            each.set()


def test_two_listen_however_many_requests_there_are(crew: Crew, device: Device) -> None:
    done = threading.Semaphore(0)
    for _ in range(500):
        device.requests.put(lambda: done.release())
    for _ in range(500):
        assert done.acquire(timeout=PATIENCE_S)
    until(lambda: device.waiting == LISTENERS)
    assert not crew.has_ended


def test_who_waits_for_something_is_replaced_and_parked_afterwards(crew: Crew, device: Device) -> None:
    waiting = Waiting(device, 10)
    until(lambda: len(waiting.begun) == 10)
    until(lambda: device.waiting == LISTENERS)  # ten wait, and a stat is answered all the same
    waiting.end()
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
    waiting = Waiting(device, 10)
    until(lambda: len(waiting.begun) == 4 and "no more than 4 requests" in caplog.text)
    waiting.end()
    until(lambda: len(waiting.begun) == 10)
    device.requests.put(0)
    crew.join(PATIENCE_S)
    assert crew.has_ended


def test_with_everybody_waiting_the_next_request_is_taken_when_one_is_free(crew: Crew, device: Device) -> None:
    waiting = Waiting(device, 13)
    until(lambda: len(waiting.begun) == 12)
    waiting.go[0].set()
    until(lambda: len(waiting.begun) == 13)
    waiting.end()
    until(lambda: device.waiting == LISTENERS)


def test_with_everybody_waiting_one_listens_and_holds_what_it_takes(crew: Crew, device: Device) -> None:
    waiting = Waiting(device, 15)
    until(lambda: len(device.work) == 15 - 12 and device.waiting == 1)
    assert sorted(waiting.begun) == list(range(12))
    waiting.go[3].set()
    until(lambda: len(waiting.begun) == 13)
    assert waiting.begun[12] == 12  # what was held goes before what comes
    waiting.end()
    until(lambda: len(waiting.begun) == 15 and device.waiting == LISTENERS)
    assert waiting.begun[12:] == [12, 13, 14]


def test_a_signal_is_heard_although_everybody_waits(
    crew: Crew, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts, "is_to_be_let_go", lambda _request: True)
    waiting = Waiting(device, 15)
    until(lambda: len(device.work) == 3 and device.waiting == 1)
    held = sorted(device.work)
    at_work = next(unique for unique in range(1, 16) if unique not in held)
    for unique in (at_work, held[1]):
        device.interrupt(unique)
        assert device.answer() == (16, -errno.EINTR, unique)
    until(lambda: len(device.memory) == 12 + 2 + 1)  # at work, held, listening: what is answered is dropped
    waiting.end()
    until(lambda: len(waiting.begun) == 14 and device.waiting == LISTENERS)
    assert list(device.work) == [held[1]]  # nobody began what nobody waits for


def test_what_is_held_has_a_limit(crew: Crew, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "HELD_MOST", 2)
    waiting = Waiting(device, 20)
    until(lambda: len(waiting.begun) == 13)  # the last one begins what there is no room for
    assert device.waiting == 0
    waiting.end()
    until(lambda: len(waiting.begun) == 20 and device.waiting == LISTENERS)


def test_what_is_held_when_the_mount_ends_is_let_go(device: Device) -> None:
    crew = Crew(cast(Library, device), 0, 2, lambda: None)
    crew.start()
    waiting = Waiting(device, 4)
    until(lambda: len(device.work) == 2 and device.waiting == 1)
    device.requests.put(0)
    until(lambda: crew.is_over)
    waiting.end()
    crew.join(PATIENCE_S)
    assert crew.has_ended
    assert len(waiting.begun) == 2
    assert device.memory == {}


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
