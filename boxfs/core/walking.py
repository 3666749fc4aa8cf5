"""Walking: a program that goes through a tree (`find`, `ls -R`, rsync, `grep -r`) finds the next folders listed.

Three folders opened in a row, each below or beside the one before or beside one above it, are a *walk*.  From then on
the folders that the walk comes to are listed ahead, in parallel, as many as it has opened so far: what is asked of Box
is what the walk would ask, and at most as much again if it ends.  Whoever lists sees to it that a listing ahead and the
walk's own are one call (SingleFlight).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from boxfs.base.errors import FsError
from boxfs.base.types import Ino
from boxfs.core.workers import Job, Workers

log = logging.getLogger(__name__)

STREAK = 3
LEAST_AHEAD = 4
MOST_AHEAD = 64
FRESH_S = 10.0  # after so long without a step, a walk is over
DEEPEST = 500
LOOK_AHEAD = 2000  # folders that are passed in search of unlisted ones


class Folders(Protocol):
    """What is known of the folders; asks nothing of Box."""

    def parent(self, folder: Ino) -> Ino | None: ...

    def is_listed(self, folder: Ino) -> bool: ...

    def after(self, folder: Ino, top: Ino) -> Iterator[Ino]:
        """Yield the folders that a walk comes to after `folder`, none that is not below `top`."""


class Walking:
    """Thread-safe; nothing is called with `_lock` held."""

    def __init__(self, folders: Folders, list_ahead: Callable[[Ino], object], *, at_once: int = 24) -> None:
        """list_ahead: lists one folder (a call to Box in the background); FsErrors are passed over."""
        self._folders = folders
        self._list = list_ahead
        self._workers = Workers("boxfs-walk", background=max(1, at_once // 4), most=at_once + 1)
        self._lock = threading.Lock()
        # guarded by _lock
        self._last: Ino | None = None
        self._last_s = 0.0
        self._steps = 0
        self._top: Ino | None = None  # all that the walk opened is at or below it
        self._ahead: set[Ino] = set()  # listed ahead, or about to be, and not opened yet
        self._looking = False
        self._clear = 0  # so many further steps nothing will have to be listed

    def opened(self, folder: Ino) -> None:
        """A program opens this folder.  Call it before the folder is listed; returns at once."""
        now = time.monotonic()
        with self._lock:
            last, self._last = self._last, folder
            expected = folder in self._ahead
            self._ahead.discard(folder)
            fresh = now - self._last_s < FRESH_S
            self._last_s = now
            if folder == last:
                return
        step = expected or (fresh and last is not None and self._is_step(last, folder))
        with self._lock:
            if not step:
                self._steps, self._top, self._clear = 1, folder, 0
                self._ahead.clear()
                return
            self._steps += 1
            steps, top = self._steps, self._top
            self._clear -= 1
            clear = self._clear > 0
        if top is not None and not self._is_below(folder, top):
            top = self._folders.parent(folder)
            with self._lock:
                self._top = top
        if steps < STREAK or clear:
            return
        self._look()

    def listed(self) -> None:
        """What a program opened was not listed and now is: its folders may come next.  Returns at once."""
        with self._lock:
            self._clear = 0
            if self._steps < STREAK:
                return
        self._look()

    def top(self) -> Ino | None:
        """Return the folder that a walk which is under way goes through; None where there is none."""
        with self._lock:
            walks = self._steps >= STREAK and time.monotonic() - self._last_s < FRESH_S
            return self._top if walks else None

    def _is_below(self, folder: Ino, top: Ino) -> bool:
        above: Ino | None = folder
        for _ in range(DEEPEST):
            if above is None or above == top:
                break
            above = self._folders.parent(above)
        return above == top

    def _is_step(self, last: Ino, folder: Ino) -> bool:
        parent = self._folders.parent(folder)
        return parent is not None and self._is_below(last, parent)

    def _look(self) -> None:
        """Have a thread look ahead, where there is room for some more listings: each look wakes it anew."""
        with self._lock:
            if self._looking or self._room_locked() <= self._most_locked() // 8:
                return
            self._looking = True
        if not self._workers.submit(Job(self._extend), urgent=True):
            with self._lock:
                self._looking = False

    def _most_locked(self) -> int:
        return min(max(self._steps, LEAST_AHEAD), MOST_AHEAD)

    def _room_locked(self) -> int:
        """Return how many more listings ahead may begin."""
        fresh = time.monotonic() - self._last_s < FRESH_S
        return self._most_locked() - len(self._ahead) if fresh and self._steps >= STREAK else 0

    def _extend(self) -> None:
        """Begin listings ahead of where the walk is, as many as it may."""
        with self._lock:
            self._looking = False
            start, top, room, ahead = self._last, self._top, self._room_locked(), set(self._ahead)
        if start is None or top is None or room <= 0:
            return
        found: list[Ino] = []
        passed = 0
        unlisted = False
        for passed, folder in enumerate(self._folders.after(start, top)):
            if len(found) >= room or passed > LOOK_AHEAD:
                break
            if not self._folders.is_listed(folder):
                unlisted = True
                if folder not in ahead:
                    found.append(folder)
        with self._lock:
            if not unlisted:
                self._clear = passed // 2  # the walk may go another way than was thought
            found = [folder for folder in found if folder not in self._ahead][:room]
            self._ahead.update(found)
        for folder in found:
            self._workers.submit(Job(partial(self._list_one, folder), small=True), urgent=False)

    def _list_one(self, folder: Ino) -> None:
        try:
            if not self._folders.is_listed(folder):
                self._list(folder)
        except FsError as error:
            log.debug("listing ahead: %s", error)
            with self._lock:
                self._ahead.discard(folder)
            return
        with self._lock:
            more = not self._looking and self._room_locked() > 0
        if more:
            self._extend()  # what it holds may come next

    def close(self) -> None:
        self._workers.close()
