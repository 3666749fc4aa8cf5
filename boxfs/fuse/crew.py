"""Crew: the threads that take requests from the kernel and answer them.

Python runs one thread at a time.  Were all workers waiting for requests, each request would wake another one, which
would then wait for the interpreter's lock behind those that work: with eight programs reading, changing threads took
more time than the reads.  So two listen, and take one request after the other; the rest is parked.  A request that is
still not answered after `STUCK_S` waits for something (Box, a disk), and whoever has it is replaced until it is done.

One worker more than may be at work listens even when all the others wait, so that the kernel's word of a signal is
always heard (interrupts.py): a request that it takes then it does not begin, but holds for whoever is done first.

Workers are Python threads that call libfuse's receive and process: a thread that Python made keeps its interpreter
state from one request to the next, which halves the cost of a small request, and its threading.local.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from boxfs.base.ending import wait_for
from boxfs.fuse import interrupts
from boxfs.fuse.interrupts import Interrupts
from boxfs.fuse.library import Library

log = logging.getLogger(__name__)

LISTENERS = 2
STUCK_S = 0.002
LOOK_S = 0.002  # how often it is looked while nobody listens
IDLE_LOOK_S = 0.02  # the same, where all threads that may be are at work
HELD_MOST = 256  # requests, of up to a MiB, that are held for whoever is done; the next one is begun after all
_OF_INTERRUPTS = interrupts.MESSAGE_BYTES
_STACK_BYTES = 512 << 10
_BUFFER_BYTES = 128  # struct fuse_buf, and room for what later releases of libfuse add


class Next(Enum):
    LISTEN = auto()
    WORK = auto()  # on a request that was held, which it has now
    REST = auto()  # until it is wanted


class Held(NamedTuple):
    """A request that nobody works on yet.  buffer: its fuse_buf, whose memory goes along."""

    request: interrupts.Request
    memory: int
    buffer: bytes


class Crew:
    def __init__(self, library: Library, session: int, most: int, ended: Callable[[], None]) -> None:
        """most: requests at work, by threads that begin when needed.  ended: called when one has ended, which is when
        the mount has gone.
        """
        self._library, self._session = library, session
        self._ended = ended
        self._lock = threading.Lock()
        # guarded by _lock
        self._most = max(most, LISTENERS)
        self._threads = self._most + 1
        self._workers: tuple[Worker, ...] = ()
        self._parked: list[Worker] = []
        self._listening = 0  # wait for a request
        self._awake = 0  # of those, and of those that work, all that are not stuck
        self._held: deque[Held] = deque()  # invariant: empty unless as many as may be are at work
        self.is_over = False
        self._nobody_listens = threading.Event()
        self._interrupts = Interrupts(library.session_fd(session), self._request, self._drop)
        self._watch = threading.Thread(target=self._look_after, name="boxfs-fuse-watch", daemon=True)

    def start(self) -> None:
        try:
            with self._lock:
                self._fill_locked()
            self._watch.start()
        except RuntimeError:  # no more threads can be: those that began are to end before the session does
            self.ends()
            self.join(1.0)
            raise

    @property
    def results(self) -> list[int | None]:
        """Of each worker: None while it runs, then 0 or -errno of what ended it."""
        return [worker.result for worker in self._workers]

    @property
    def has_ended(self) -> bool:
        return None not in self.results

    def join(self, timeout_s: float | None = None, what: str = "") -> None:
        """what: how the log names a request that takes longer."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for worker in self._workers:
            if deadline is None:
                worker.join()
            else:
                wait_for(worker, deadline - time.monotonic(), what)
        if self._watch.is_alive():
            self._nobody_listens.set()
            self._watch.join(1.0 if self.is_over else timeout_s)

    # What workers tell
    def begins(self, worker: Worker) -> bool:
        """Return whether the worker is to work on what it has taken; else that is held, and it listens again."""
        worker.since = time.monotonic()
        with self._lock:
            self._listening -= 1
            if not self._listening:
                if len(self._workers) > self._most and not self._parked and len(self._held) < HELD_MOST:
                    worker.since = 0.0
                    self._held.append(worker.hands_over())
                    self._listening = 1
                    return False
                if not self._nobody_listens.is_set():
                    self._nobody_listens.set()
        return True

    def has_done(self, worker: Worker) -> Next:
        with self._lock:
            worker.since = 0.0
            if self._held and not self.is_over:
                worker.takes(self._held.popleft())
                worker.since = time.monotonic()
                return Next.WORK
            if worker.is_stuck:
                worker.is_stuck = False
                if self._awake >= LISTENERS:
                    self._parked.append(worker)
                    return Next.LISTEN if self.is_over else Next.REST
                self._awake += 1
            self._listening += 1
            return Next.LISTEN

    def ends(self) -> None:
        with self._lock:
            self.is_over = True
            parked, self._parked = self._parked, []
            held, self._held = self._held, deque()
        for each in held:
            self._library.free(each.memory)
        for worker in parked:
            worker.go.release()
        self._nobody_listens.set()
        self._interrupts.end()
        self._ended()

    def was_interrupt(self, message: bytes) -> bool:
        """Whether the message was the kernel's word that a signal came to who waits for a request; it is seen to."""
        unique = interrupts.interrupted(message)
        if unique is not None:
            self._interrupts.heard(unique)
        return unique is not None

    def _request(self, unique: int) -> interrupts.Request | None:
        for worker in self._workers:
            request = worker.request
            if request is not None and request.unique == unique:
                return request
        with self._lock:
            return next((held.request for held in self._held if held.request.unique == unique), None)

    def _drop(self, unique: int) -> None:
        """The request has been answered: nobody needs to begin it."""
        with self._lock:
            held = next((held for held in self._held if held.request.unique == unique), None)
            if held is not None:
                self._held.remove(held)
                self._library.free(held.memory)

    # Who is replaced
    def _look_after(self) -> None:
        while True:
            self._nobody_listens.wait()
            if not self.is_over:
                time.sleep(LOOK_S if self._parked or len(self._workers) < self._threads else IDLE_LOOK_S)
            with self._lock:
                if self.is_over:
                    return
                before = time.monotonic() - STUCK_S
                for worker in self._workers:
                    if 0.0 < worker.since < before and not worker.is_stuck:
                        worker.is_stuck = True
                        self._awake -= 1
                try:
                    self._fill_locked()
                except RuntimeError as error:
                    self._most = self._threads = len(self._workers)
                    log.warning("no more than %d requests are answered at the same time: %s", self._most, error)
                if self._listening:
                    self._nobody_listens.clear()

    def _fill_locked(self) -> None:
        """Raises RuntimeError where a thread is needed and cannot be."""
        while self._awake < LISTENERS and (self._parked or len(self._workers) < self._threads):
            worker = self._parked.pop() if self._parked else self._begin_one_locked()
            self._awake += 1
            self._listening += 1
            worker.go.release()

    def _begin_one_locked(self) -> Worker:
        worker = Worker(self, self._library, self._session, len(self._workers))
        before = threading.stack_size(_STACK_BYTES)
        try:
            worker.start()
        finally:
            threading.stack_size(before)
        self._workers += (worker,)
        return worker


class Worker(threading.Thread):
    """since: when it took what it works on (monotonic), 0 while it does not."""

    def __init__(self, crew: Crew, library: Library, session: int, number: int) -> None:
        super().__init__(name=f"boxfs-fuse-{number}", daemon=True)
        self._crew, self._library, self._session = crew, library, session
        self.result: int | None = None
        self.since = 0.0
        self.is_stuck = False  # guarded by the crew's lock
        self.go = threading.Semaphore(0)  # released when it is no longer parked
        memory = (ctypes.c_uint64 * (_BUFFER_BYTES // 8))()
        self._buffer = library.layouts.fuse_buf.from_buffer(memory)  # libfuse allots its `mem` at the first request
        self._keeps_memory = threading.Lock()

    @property
    def request(self) -> interrupts.Request | None:
        """What it is at."""
        with self._keeps_memory:
            if not self.since or not self._buffer.mem:
                return None
            return interrupts.parse(ctypes.string_at(self._buffer.mem, interrupts.MESSAGE_BYTES))

    def hands_over(self) -> Held:
        """Give what it has taken to somebody else; libfuse allots other memory for the next."""
        with self._keeps_memory:
            address, memory = ctypes.addressof(self._buffer), self._buffer.mem
            request = interrupts.parse(ctypes.string_at(memory, interrupts.MESSAGE_BYTES))
            held = Held(request, memory, ctypes.string_at(address, _BUFFER_BYTES))
            ctypes.memset(address, 0, _BUFFER_BYTES)
            return held

    def takes(self, held: Held) -> None:
        with self._keeps_memory:
            self._library.free(self._buffer.mem)
            ctypes.memmove(ctypes.addressof(self._buffer), held.buffer, _BUFFER_BYTES)

    def run(self) -> None:
        # Signals are the main thread's: here one would only interrupt a request.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
        found = -errno.EIO
        try:
            found = self._serve()
        finally:
            self.result = found
            self._crew.ends()

    def _serve(self) -> int:
        crew, session = self._crew, self._session
        receive, process = self._library.session_receive_buf, self._library.session_process_held
        begins, has_done, work, rest = crew.begins, crew.has_done, Next.WORK, Next.REST
        request = ctypes.addressof(self._buffer)
        self.go.acquire()
        try:
            while not crew.is_over:
                got: int = receive(session, request)
                if got == _OF_INTERRUPTS and crew.was_interrupt(ctypes.string_at(self._buffer.mem, got)):
                    continue
                if got > 0:
                    if begins(self):
                        process(session, request)
                        while (then := has_done(self)) is work:
                            process(session, request)
                        if then is rest:
                            self.go.acquire()
                elif got != -errno.EINTR:
                    return got  # 0: the mount has gone
            return 0
        finally:
            with self._keeps_memory:
                self._library.free(self._buffer.mem)
                self._buffer.mem = None
