"""Workers: threads that fetch.  What somebody waits for goes first; what is fetched ahead uses few of the threads.

Threads start on demand and end with `close`.  A job runs at most once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from boxfs.base.ending import wait_for

log = logging.getLogger(__name__)


LARGE = 4  # so many small jobs in the place of one that is not


class Job:
    """Something to do.  small: waits rather than moves bytes.  `started` and `urgent` belong to Workers."""

    __slots__ = ("started", "urgent", "weight", "work")

    def __init__(self, work: Callable[[], object], *, small: bool = False) -> None:
        self.work = work
        self.weight = 1 if small else LARGE
        self.started = False
        self.urgent = False


class Workers:
    def __init__(self, name: str, *, background: int, most: int) -> None:
        """background: jobs at once that nobody waits for (LARGE times as many if small); most: threads in all."""
        self._name = name
        self._ready = threading.Condition()
        # guarded by _ready
        self._most = max(most, background * LARGE + 1)  # threads
        self._background = background * LARGE  # in weights of jobs
        self._urgent: deque[Job] = deque()
        self._later: deque[Job] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0  # threads that wait and were not woken
        self._running_later = 0
        self._closed = False

    def submit(self, job: Job, *, urgent: bool) -> bool:
        """Have the job done, before all that is not urgent if it is.  Returns False after `close`."""
        with self._ready:
            if self._closed:
                return False
            if urgent:
                if job.started or job.urgent:
                    return True
                job.urgent = True
                self._urgent.append(job)
            else:
                self._later.append(job)
            if self._idle:
                self._idle -= 1  # here, not where it wakes: the next job must not count on the same thread
                self._ready.notify()
            elif len(self._threads) < self._most and (urgent or self._running_later < self._background):
                self._hire_locked()
            return True

    def _hire_locked(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def set_background(self, background: int) -> None:
        """Let so many jobs run at once that nobody waits for, from now on, those that wait already among them."""
        with self._ready:
            if self._closed:
                return
            self._background = background * LARGE
            self._most = max(self._most, background * LARGE + 1)
            waiting = max(0, len(self._later) - self._idle)
            self._idle = 0
            self._ready.notify_all()
            for _ in range(min(waiting, self._background, self._most - len(self._threads))):
                self._hire_locked()

    def close(self, timeout_s: float = 5.0) -> None:
        """Drop what has not begun, and wait a little for what runs (its owner makes it end)."""
        with self._ready:
            self._closed = True
            self._urgent.clear()
            self._later.clear()
            self._ready.notify_all()
            threads = list(self._threads)
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            wait_for(thread, deadline - time.monotonic())

    def _next_locked(self) -> Job | None:
        while self._urgent:
            job = self._urgent.popleft()
            if not job.started:
                return job
        while self._later and self._running_later + self._later[0].weight <= self._background:
            job = self._later.popleft()
            if not job.started:
                return job
        return None

    def _run(self) -> None:
        while True:
            with self._ready:
                while (job := self._next_locked()) is None:
                    if self._closed:
                        return
                    self._idle += 1
                    self._ready.wait()
                job.started = True
                weight = 0 if job.urgent else job.weight
                self._running_later += weight
            try:
                job.work()
            except Exception:
                log.exception("a fetch failed in a way nobody foresaw")
            finally:
                with self._ready:
                    self._running_later -= weight
