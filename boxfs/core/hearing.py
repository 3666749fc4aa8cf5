"""Hearing: the thread that listens to Box's event stream and keeps the tree true.

What it does not do: it never changes a node itself (core/merge.py does), and never lists a folder unless what an event
says cannot be placed without.

Costs (box-api.md section 19): one GET for each burst of changes and one that finds the stream empty; while idle a safe
GET every half hour beside the long poll's own reconnects.  Our own uploads echo in the stream, so GETs keep a distance
of a second from each other.  Invariant: the position on disk never runs ahead of the changes that it stands for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from boxfs.base.ending import wait_for
from boxfs.base.errors import BadReply, FsError, InvalidArgument
from boxfs.base.types import Event
from boxfs.core.backoff import PASSING, SECOND, Schedule, is_global
from boxfs.core.network import Gateway
from boxfs.core.remote import Remote

log = logging.getLogger(__name__)

# Box keeps events for at least two weeks (section 19.1) and does not say when a position is too old.
KEPT_NS = 13 * 24 * 3600 * SECOND
GAP_S = 1.0  # between two GETs of the stream
SAFE_NS = 1800 * SECOND  # after so long without a GET, a reconnect is followed by one
FULL_PAGE = 100  # a page this long is followed by the next at once
SHORT_NS = 3 * SECOND // 10  # a poll that ends sooner, without news, is none
LONG_NS = 30 * SECOND
DEAF = Schedule(1, 30)  # between looks at the stream where there is no poll
ASLEEP_NS = 10 * SECOND  # the wall clock ran ahead of the monotonic one by so much: the machine slept


class Listener(Protocol):
    """What the tree makes of the stream.  Each call is one transaction."""

    def position(self) -> tuple[int, int] | None:
        """Return (position, when it was last known to be current, ns), None before the first."""

    def begin(self, position: int) -> None:
        """The stream begins here; nothing was listed before."""

    def heard(self, events: Sequence[Event], position: int) -> None: ...

    def lost(self, position: int, why: str) -> None:
        """What happened up to `position` is not known: everything may be stale."""

    def settle_strays(self) -> None:
        """Ask Box about what the events left open.  Makes calls; holds no lock over them."""


class Hearing:
    def __init__(
        self,
        remote: Remote,
        listener: Listener,
        gateway: Gateway,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        gap_s: float = GAP_S,
        linger_s: float = 0.0,
    ) -> None:
        """linger_s: a position that is no older is not asked about again, nor where to poll, until it is: who mounts,
        looks and unmounts makes no call for that.
        """
        self._remote = remote
        self._listener = listener
        self._gateway = gateway
        self._now_ns = now_ns
        self._gap_s = gap_s
        self._linger_s = linger_s
        self._stopping = threading.Event()
        self._nudge = threading.Event()
        self._wake = threading.Event()  # set with both, for who waits in a long poll
        self._beginning = threading.Lock()  # held while the first position is asked for; never with another lock
        self._thread: threading.Thread | None = None
        # Of the thread alone, but for readers of a single value.
        self._asked_ns = 0
        self._begun = False
        self._deaf = 0  # polls in a row that ended at once or failed
        self.last_event_ns: int | None = None
        self.error: str | None = None
        gateway.on_open(self.nudge)

    # Life
    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="boxfs-hearing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stopping.set()
        self.nudge()

    def nudge(self) -> None:
        """There is something to ask of Box: do it now."""
        self._nudge.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        return wait_for(self._thread, timeout_s)

    # What others ask
    def ensure_begun(self) -> None:
        """Make sure that the stream is followed from before now on.  To be called before any folder is listed.

        Costs one call in the life of a mount's state.  Raises Unreachable and the like.
        """
        if self._begun:
            return
        with self._beginning:
            if self._listener.position() is None:
                self._listener.begin(self._remote.events_now())
            self._begun = True

    def catch_up(self) -> int:
        """Read the stream to its end; return how many events came.  Raises what Remote raises."""
        self.ensure_begun()
        self._refuse_the_lost()
        heard = 0
        while not self._stopping.is_set():
            held = self._listener.position()
            assert held is not None
            try:
                page = self._remote.events(held[0])
            except (InvalidArgument, BadReply) as error:
                log.warning("Box refuses the position in the event stream (%s); everything is listed anew", error)
                self._listener.lost(self._remote.events_now(), "the event stream was lost")
                return heard
            self._asked_ns = self._now_ns()
            self._listener.heard(page.events, page.next_position)
            self._listener.settle_strays()
            if not page.events or page.next_position == held[0]:
                break
            heard += len(page.events)
            self.last_event_ns = self._now_ns()
            if len(page.events) < FULL_PAGE:
                self._pause(self._gap_s)
        return heard

    def _refuse_the_lost(self) -> None:
        held = self._listener.position()
        assert held is not None
        if self._now_ns() - held[1] > KEPT_NS:
            log.warning("the event stream was not read for too long; folders are listed anew as they are used")
            self._listener.lost(self._remote.events_now(), "events were missed")

    # The thread
    def _linger(self) -> None:
        held = self._listener.position()
        if held is not None:
            fresh_s = self._linger_s - (self._now_ns() - held[1]) / SECOND
            if 0 < fresh_s <= self._linger_s:
                self._nudge.wait(fresh_s)

    def _loop(self) -> None:
        self._linger()
        failures = 0
        empty = 0
        news = True
        while not self._stopping.is_set():
            news = news or not self._gateway.state.online  # who is let in there is the probe, and has to ask
            until = self._gateway.enter()
            if until is not None:
                self._nudge.wait(max(0.05, min(60.0, (until - self._now_ns()) / SECOND)))
                self._nudge.clear()
                continue
            self._nudge.clear()
            try:
                if news or self._now_ns() - self._asked_ns > SAFE_NS:
                    came = self.catch_up()
                    empty = 0 if came else empty + 1
                self._gateway.answered()
                failures, self.error = 0, None
                if empty > 1:  # told of news that are not listed yet, or called for nothing
                    self._pause(min(0.25 * 2**empty, 10.0))
                news = self._listen()
                if not news:
                    empty = 0
            except Exception as error:  # noqa: BLE001 - judged in _failed; the thread goes on
                failures += 1
                news = True
                self._failed(error, failures)

    def _failed(self, error: Exception, failures: int) -> None:
        if self._stopping.is_set():
            return
        self.error = str(error)
        if is_global(error):
            self._gateway.failed(error)
            return
        self._gateway.answered()
        if isinstance(error, FsError):
            log.warning("listening to Box failed: %s", error)
        else:
            log.exception("listening to Box failed")
        self._pause(PASSING.delay_s(failures))

    def _listen(self) -> bool:
        """Long-poll; return whether the stream is to be read.

        What goes wrong says nothing of Box: the poll is another host's, which a proxy may not let through.  The next
        look at the stream tells how Box is; without a poll that works the stream is looked at now and then.
        """
        began_ns = self._now_ns()
        try:
            news = self._wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream is read instead
            if self._stopping.is_set():
                return False
            if not self._deaf:
                log.warning("waiting for news of Box failed: %s", error)
            self.error = str(error)
        else:
            if news or self._now_ns() - began_ns > SHORT_NS:
                self._deaf = 0
                return news
        if self._now_ns() - began_ns > LONG_NS:
            self._deaf = 0  # it did work for a while
        self._deaf += 1
        self._nudge.wait(DEAF.delay_s(self._deaf))
        return True

    def _wait(self) -> bool:
        """Long-poll; return whether the stream is to be read."""
        held = self._listener.position()
        assert held is not None
        drift = time.time_ns() - time.monotonic_ns()
        cut = False

        def stop() -> bool:
            """After a sleep, or when the network came back, the connection that the poll hangs on is dead."""
            nonlocal cut
            cut = cut or self._nudge.is_set() or time.time_ns() - time.monotonic_ns() - drift > ASLEEP_NS
            return cut or self._stopping.is_set()

        return self._remote.wait_for_events(held[0], stop=stop, wake=self._wake) or cut

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(seconds)
