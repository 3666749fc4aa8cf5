"""Ends that come: a bound on every wait for a thread, and a word in the log where one is exceeded.

`Ending` watches over a whole end: where it takes long the stacks of all threads go to the log, so that the cause is
known the next time; where it takes longer than any end may, the process goes at once, which loses nothing that was
closed (what `kill -9` leaves, the next start finds).
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

log = logging.getLogger(__name__)

TELL_S = 8.0
GIVE_UP_S = 40.0
LONGEST_S = 30 * 86400.0  # what faulthandler can count to is not much longer


def wait_for(thread: threading.Thread | None, timeout_s: float, what: str = "") -> bool:
    """Join a thread, for so long; return whether it has ended.  Nobody waits for himself, or for who never began."""
    if thread is None or thread is threading.current_thread() or not thread.is_alive():
        return True
    thread.join(max(0.0, timeout_s))
    if thread.is_alive():
        log.warning("%s has not ended after %.1f s", what or thread.name, max(0.0, timeout_s))
        return False
    return True


def stacks() -> str:
    """Return where every thread is, by name.  Lines of source and no values: nothing secret."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    told = []
    for ident, frame in sys._current_frames().items():
        where = "".join(traceback.format_stack(frame)[-8:]).rstrip()
        told.append(f"thread {names.get(ident, ident)}:\n{where}")
    return "\n".join(told)


class Ending:
    """Watches over an end, phase by phase.

    give_up: ends the process.  last_words: a file for the stacks where Python itself hangs, so that nothing else tells.
    """

    def __init__(
        self,
        give_up: Callable[[], None],
        last_words: Path | None = None,
        *,
        tell_s: float = TELL_S,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self._give_up = give_up
        self._path = last_words
        self._tell_s, self._give_up_s = tell_s, give_up_s
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_words: TextIO | None = None
        self._lock = threading.Lock()
        self._phase = ("", 0.0)  # what is waited for, and from when on (monotonic) it takes long

    def phase(self, what: str, allowed_s: float = 0.0, *, first: bool = False) -> None:
        """What is waited for from now on may take so long.  first: an end begins; one that is under way goes on."""
        with self._lock:
            if self._over.is_set() or (first and self._phase[0]):
                return
            self._phase = (what, time.monotonic() + allowed_s)
            if self._path is not None and self._last_words is None:
                with contextlib.suppress(OSError):
                    self._last_words = open(self._path, "a")  # noqa: SIM115 - until the end
            if self._last_words is not None:
                late_s = min(allowed_s, LONGEST_S) + self._give_up_s + 5
                faulthandler.dump_traceback_later(late_s, exit=True, file=self._last_words)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="boxfs-ending", daemon=True)
                self._thread.start()

    def over(self) -> None:
        with self._lock:
            self._over.set()
            if self._last_words is not None:
                faulthandler.cancel_dump_traceback_later()
                self._last_words.close()
                self._last_words = None

    def _watch(self) -> None:
        told = None
        while not self._over.wait(min(self._tell_s / 8, 0.5)):
            what, since = phase = self._phase
            late_s = time.monotonic() - since
            if late_s > self._give_up_s:
                log.error("the end is given up after %.0f s of %s; where everybody is:\n%s", late_s, what, stacks())
                self._give_up()
                return
            if late_s > self._tell_s and phase != told:
                told = phase
                log.warning("the end takes long (%s); where everybody is:\n%s", what, stacks())


def leave(code: int) -> NoReturn:
    """End the process now, whatever still runs."""
    logging.shutdown()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
