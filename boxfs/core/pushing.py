"""Pushing: the threads that carry what is pending to Box.

One thread plans (core/planner.py) whenever something changed, something ended, or a time has come; a fixed number of
uploaders and a few for the quick calls make the calls (core/sending.py).  The planner hands out a bounded number of
calls, so that what changes meanwhile still folds into what was not begun.

While the way to Box is shut nothing is handed out, but one call as the probe when the time for it has come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from boxfs.base.ending import wait_for
from boxfs.base.types import Ino
from boxfs.core.backoff import SECOND
from boxfs.core.bodies import Contents
from boxfs.core.calls import Call, Upload, UploadVersion
from boxfs.core.network import Gateway
from boxfs.core.outlook import gather
from boxfs.core.planner import Plan, plan
from boxfs.core.sending import Sending
from boxfs.core.tree import Tree

log = logging.getLogger(__name__)

QUICK = 4  # threads for calls without a body
BACKLOG = 48  # calls handed out and not begun, at most; with very much pending, more
# Of the settle window: the least time before a plan, and between two, else a program that writes is held up by them.
REST = 0.1
DUE_REST_S = 0.2  # the most of it where something is due before: what failed once does not wait for a long window
CHEAP_S = 0.02  # a plan that takes longer is not made again for a while, five times as long, at most so long
LONGEST_REST_S = 2.0
LONGEST_SLEEP_S = 60.0
HOLD_OFF_S = 5.0  # of a thread whose call could not even be stored as failed (a full disk)


class Lane:
    """A queue of calls and the threads that make them."""

    def __init__(self, name: str, threads: int, make: Callable[[Call], None]) -> None:
        self._name = name
        self._make = make
        self._ready = threading.Condition()
        # Guarded by _ready
        self._queue: deque[Call] = deque()
        self._wanted = threads
        self._running = 0  # threads; more than _wanted: those that are free next end
        self._started = self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        with self._ready:
            self._started = True
            self._fill_locked()

    def resize(self, threads: int) -> None:
        """So many threads from now on; calls under way are not disturbed, so fewer may take until they end."""
        with self._ready:
            self._wanted = threads
            if self._started and not self._stopping:
                self._fill_locked()
            self._ready.notify_all()

    def _fill_locked(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while self._running < self._wanted:
            thread = threading.Thread(target=self._loop, name=f"boxfs-{self._name}-{self._running}", daemon=True)
            self._running += 1
            self._threads.append(thread)
            thread.start()

    def put(self, call: Call) -> None:
        with self._ready:
            self._queue.append(call)
            self._ready.notify()

    def backlog(self) -> int:
        with self._ready:
            return len(self._queue)

    def stop(self) -> list[Call]:
        """End the threads after the calls under way; return those that were not begun."""
        with self._ready:
            self._stopping = True
            left = list(self._queue)
            self._queue.clear()
            self._ready.notify_all()
        return left

    def drain(self) -> list[Call]:
        """Take back what was not begun."""
        with self._ready:
            left = list(self._queue)
            self._queue.clear()
        return left

    def join(self, until: float) -> bool:
        with self._ready:
            threads = list(self._threads)
        ended = [wait_for(thread, until - time.monotonic()) for thread in threads]
        return all(ended)

    def _loop(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._stopping and self._running <= self._wanted:
                    self._ready.wait()
                if self._stopping or self._running > self._wanted:
                    self._running -= 1
                    return
                call = self._queue.popleft()
            self._make(call)


class Pushing:
    def __init__(
        self,
        tree: Tree,
        sending: Sending,
        gateway: Gateway,
        contents: Contents,
        *,
        busy: set[Ino],
        settle_s: Callable[[], float],
        uploads: int = 4,
    ) -> None:
        self._tree, self._sending, self._gateway, self._contents = tree, sending, gateway, contents
        self._busy = busy
        self._settle_s = settle_s
        self.under_way: set[Ino] = set()  # what a call is being made for; of no inode are there two at a time
        self._uploads = Lane("upload", uploads, self._make)
        self._quick = Lane("push", QUICK, self._make)
        self._wake = threading.Condition()
        # Guarded by _wake
        self._woken = True
        self._stopping = False
        self._hurries: dict[int, frozenset[Ino] | None] = {}  # who waits at a barrier, for what; None: for all
        self._next_hurry = 0
        self._urgent = False
        self._resting = False  # the planner waits between two plans
        self._ended = 0  # calls that ended, for those who wait
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="boxfs-planner", daemon=True)

    # Life
    def start(self) -> None:
        self._uploads.start()
        self._quick.start()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        for call in (*self._uploads.stop(), *self._quick.stop()):
            self._sending.release(call)

    def join(self, until: float) -> bool:
        """until: of time.monotonic().  Returns whether all threads have ended."""
        planner = wait_for(self._thread, until - time.monotonic())
        return all([planner, *(lane.join(until) for lane in (self._uploads, self._quick))])

    def set_uploads(self, uploads: int) -> None:
        """How many uploads are under way at once, from now on."""
        self._uploads.resize(uploads)

    # What others ask
    def wake(self) -> None:
        """There may be something new to send."""
        with self._wake:
            self._woken = True
            if not self._resting:  # else it will look anyway: to be woken at every change is what costs
                self._wake.notify_all()

    def hurry(self, scope: frozenset[Ino] | None) -> int:
        """No settle window for these from now on (None: for all); returns a ticket for `no_hurry`."""
        with self._wake:
            self._next_hurry += 1
            self._hurries[self._next_hurry] = scope
            self._woken = self._urgent = True
            self._wake.notify_all()
            return self._next_hurry

    def no_hurry(self, ticket: int) -> None:
        with self._wake:
            self._hurries.pop(ticket, None)

    def wait(self, seconds: float) -> None:
        """Return after that time, or a bit after a call has ended or something has changed."""
        with self._wake:
            self._wake.wait(seconds)

    # Planning
    def plan(self) -> Plan:
        with self._wake:
            hurries = list(self._hurries.values())
        scopes: set[Ino] | None = None if None in hurries else {i for one in hurries if one is not None for i in one}
        with self._tree.lock:
            busy = set(self._busy)
        outlook = gather(
            self._tree,
            settle_ns=int(self._settle_s() * SECOND),
            busy=busy,
            writing=self._contents.is_writing,
            reading=self._contents.is_open,
            scopes=scopes,
            full_until_ns=self._sending.full_until_ns,
        )
        return plan(outlook)

    def _loop(self) -> None:
        while True:
            with self._wake:
                if self._stopping:
                    return
                self._woken = False
                ended = self._ended
            began, plans = time.monotonic(), bool(self._tree.pending_count())
            try:
                sleep_s = self._hand_out()
            except Exception:
                log.exception("planning failed")
                sleep_s = 5.0
            rested = time.monotonic()
            took_s, due = rested - began, rested + sleep_s
            with self._wake:
                if not self._woken and not self._stopping and self._wake.wait(sleep_s):
                    # Woken by who has just begun, and now wants the processor for what is next.
                    rested, plans = time.monotonic(), True
                rest_s = min(REST * self._settle_s(), max(due - rested, DUE_REST_S)) if plans else 0.0
                if took_s > CHEAP_S:
                    rest_s = max(rest_s, min(5 * took_s, LONGEST_REST_S))
                self._rest(rested + rest_s, ended)

    def _rest(self, until: float, ended: int) -> None:
        """A plan is costly: not one at every change, but when who makes the calls has none left."""
        self._resting = True
        while not self._stopping and not self._urgent and (left := until - time.monotonic()) > 0:
            if self._ended != ended and not self._uploads.backlog() and not self._quick.backlog():
                break
            self._wake.wait(left)
        self._urgent = self._resting = False

    def _hand_out(self) -> float:
        """Plan, and give the calls to the lanes; return how long to sleep, seconds."""
        if not self._tree.pending_count():
            return LONGEST_SLEEP_S
        state = self._gateway.state
        now = self._tree.clock()
        if not state.online and now < state.until_ns:
            return self._seconds(state.until_ns - now)
        answer = self.plan()
        room = max(BACKLOG, self._tree.pending_count() // 20)
        handed = 0
        for call in answer.calls:
            if not state.online and (handed or self._gateway.enter() is not None):
                return 1.0
            lane = self._uploads if isinstance(call, (Upload, UploadVersion)) else self._quick
            if lane.backlog() >= room:
                continue
            if self._sending.claim(call):
                lane.put(call)
                handed += 1
            elif not state.online:
                self._gateway.give_up_probe()
        if answer.next_ns is None:
            return LONGEST_SLEEP_S
        return self._seconds(answer.next_ns - now)

    def _seconds(self, duration_ns: int) -> float:
        return min(max(duration_ns / SECOND, 0.01), LONGEST_SLEEP_S)

    def _make(self, call: Call) -> None:
        self.under_way.add(call.ino)
        try:
            if self._gateway.state.online or self._gateway.is_probe():
                self._sending.run(call)
            else:
                self._sending.release(call)
        except Exception:
            # Not even the failure could be stored.  The thread goes on, slowly: what cannot be stored would else be
            # sent again and again at full speed.
            log.exception("%s could not be stored", type(call).__name__)
            self._stopped.wait(HOLD_OFF_S)
        finally:
            self.under_way.discard(call.ino)
        with self._wake:
            self._ended += 1
            self._woken = True
            self._wake.notify_all()
