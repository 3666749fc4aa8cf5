"""Neighbours: when a program opens the files of a folder one after the other, the next ones are fetched ahead.

`cat *`, `grep -r`, `cp -r` and an import of a package open many files, each at the price of two round trips or more.
Three opens in a row, in one of the orders that programs take (as listed, by name, by inode, or backwards), make a
*run*; from then on as many files are fetched ahead as the run has opened, so that at most half of what is fetched is
for nothing.  A run that reached its folder's end goes on in the next folder.  Of large files the head is fetched, and
more where the program reads the ones that it opens to their end.

`opened` only notes; the thinking is done on a fetch thread, one at a time.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from boxfs.base.types import Ino
from boxfs.core.version import FileVersion
from boxfs.core.workers import Job, Workers

HEAD = 1 << 20  # of a file, whatever the program does with it; smaller ones whole
WHOLE_AHEAD = 8 << 20  # of a file that is likely to be read to its end
READERS = 16  # files that a program may be reading at once
MOST_AHEAD = 64
MOST_AHEAD_BYTES = 32 << 20
STREAK = 3
GAP = 4  # names that a program may pass over (*.py) and still be in a row
FRESH_S = 10.0
MOST_RUNS = 64


class Sibling(NamedTuple):
    """A file of a folder whose bytes are at Box (none of them newer here)."""

    ino: Ino
    name: str
    version: FileVersion


class Surroundings(Protocol):
    """What is known of the tree; asks nothing of Box."""

    def siblings(self, folder: Ino) -> Sequence[Sibling]:
        """Return the files of the folder, in the order of readdir."""

    def next_folder(self, folder: Ino) -> Ino | None:
        """Return the folder that a walk comes to after this one, where both are listed."""


class _Walk:
    """What one program seems to be doing, through one folder or several."""

    def __init__(self) -> None:
        self.opened = 0
        self.ahead: dict[Ino, int] = {}  # fetched ahead and not opened yet, with their sizes
        self.order = 0  # which of the orders it takes
        self.through = 0  # large files that it read to their end
        self.unread = 0  # large files that it opened since

    @property
    def reads_through(self) -> bool:
        return self.through >= 2 and self.unread <= READERS


class _Run:
    """One folder's part of a walk."""

    def __init__(self, siblings: Sequence[Sibling], walk: _Walk | None) -> None:
        self.began_s = time.monotonic()
        self.orders = [
            list(siblings),  # by name, as a listing has them
            sorted(siblings, key=lambda each: each.ino),
        ]
        self._places = [{each.ino: place for place, each in enumerate(order)} for order in self.orders]
        self.orders += [order[::-1] for order in self.orders]
        self.last = [-1] * len(self.orders)
        self.streak = [0] * len(self.orders)
        self.opened = 0
        self.walk = walk or _Walk()
        self.recognised = walk is not None

    def __contains__(self, ino: Ino) -> bool:
        return ino in self._places[0]

    def version(self, ino: Ino) -> FileVersion:
        return self.orders[0][self._places[0][ino]].version

    def place(self, ino: Ino, order: int) -> int | None:
        """Return where the file is in that order, None where it is not in the folder."""
        place = self._places[order % len(self._places)].get(ino)
        backwards = order >= len(self._places)
        return len(self.orders[order]) - 1 - place if backwards and place is not None else place

    def note(self, ino: Ino) -> int | None:
        """Note an open; return its place in the order that the walk takes, None where it takes none (yet)."""
        for number in range(len(self.orders)):
            place = self.place(ino, number)
            if place is None:
                return None
            in_a_row = 0 < place - self.last[number] <= GAP
            self.streak[number] = self.streak[number] + 1 if in_a_row else 1
            self.last[number] = place
        best = max(range(len(self.streak)), key=self.streak.__getitem__)
        if self.streak[best] >= STREAK:
            self.recognised, self.walk.order = True, best
        elif self.streak[self.walk.order] < 2 and self.opened:
            self.recognised = False  # it jumps about
        self.opened += 1
        self.walk.opened += 1
        self.walk.ahead.pop(ino, None)
        return self.last[self.walk.order] if self.recognised else None


class Neighbours:
    def __init__(
        self, surroundings: Surroundings, prefetch: Callable[[FileVersion, int], bool], workers: Workers
    ) -> None:
        """prefetch: begins to fetch so many bytes of a file and returns at once; False: there is no room for it now."""
        self._surroundings = surroundings
        self._prefetch = prefetch
        self._workers = workers
        self._lock = threading.Lock()
        # Guarded by _lock: files that were opened, as (folder, file), or read to their end
        self._noted: deque[tuple[Ino, Ino] | FileVersion] = deque(maxlen=1000)
        self._thinking = False  # guarded by _lock
        # Used by the one job that thinks
        self._readers: OrderedDict[FileVersion, _Walk] = OrderedDict()  # large files that a walk has opened
        self._runs: OrderedDict[Ino, _Run] = OrderedDict()
        self._firsts: OrderedDict[Ino, Ino] = OrderedDict()  # folder -> the one file that was opened in it
        self._walk: tuple[_Walk, float] | None = None  # the last that came to a folder's end, and when

    def opened(self, folder: Ino, ino: Ino) -> None:
        """A program opened a file for reading.  Returns at once."""
        self._heard((folder, ino))

    def was_read(self, version: FileVersion) -> None:
        """A program has read the file from its begin to its end.  Returns at once."""
        if version.size > HEAD:
            self._heard(version)

    def _heard(self, what: tuple[Ino, Ino] | FileVersion) -> None:
        with self._lock:
            self._noted.append(what)
            if self._thinking:
                return
            self._thinking = True
        if not self._workers.submit(Job(self._think), urgent=True):
            with self._lock:
                self._thinking = False

    def _think(self) -> None:
        try:
            while True:
                with self._lock:
                    if not self._noted:
                        self._thinking = False
                        return
                    noted = self._noted.popleft()
                if isinstance(noted, FileVersion):
                    walk = self._readers.pop(noted, None)
                    if walk is not None:
                        walk.through, walk.unread = walk.through + 1, 0
                else:
                    self._note(*noted)
        except BaseException:
            with self._lock:
                self._thinking = False
            raise

    def _note(self, folder: Ino, ino: Ino) -> None:
        run = self._runs.get(folder)
        if run is None or ino not in run:
            run = self._begin(folder, ino)
            if run is None:
                return
        self._runs.move_to_end(folder)
        place = run.note(ino)
        self._reads(run, ino)
        if place is not None:
            self._fetch_ahead(folder, run, place)

    def _reads(self, run: _Run, ino: Ino) -> None:
        version = run.version(ino)
        if version.size > HEAD:
            run.walk.unread += 1
            self._readers[version] = run.walk
            if len(self._readers) > MOST_RUNS * READERS:
                self._readers.popitem(last=False)

    def _begin(self, folder: Ino, ino: Ino) -> _Run | None:
        """Begin a run with the second file of a folder, or with the first where a walk comes along."""
        walk = self._walk[0] if self._walk is not None and self._walk[1] + FRESH_S > time.monotonic() else None
        first = self._firsts.pop(folder, None)
        if (first is None or first == ino) and walk is None:
            self._firsts[folder] = ino
            if len(self._firsts) > MOST_RUNS:
                self._firsts.popitem(last=False)
            return None
        old = self._runs.get(folder)
        if old is not None and old.began_s + FRESH_S > time.monotonic():
            return None  # a file that is newer here, say
        run = self._runs[folder] = _Run(self._surroundings.siblings(folder), walk)
        if len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)
        if first is not None and first != ino:
            run.note(first)
            if first in run:
                self._reads(run, first)
        return run if ino in run else None

    def _fetch_ahead(self, folder: Ino, run: _Run, place: int) -> None:
        walk, order = run.walk, run.orders[run.walk.order]
        for ino in list(walk.ahead):
            at = run.place(ino, walk.order)
            if at is not None and at <= place:
                del walk.ahead[ino]  # it was passed over
        most = min(max(4, walk.opened), MOST_AHEAD)
        if not self._fetch(walk, order[place + 1 :], most):
            return
        if len(order) - place <= GAP:
            self._walk = (walk, time.monotonic())
        for _ in range(8):  # the folder's end is in sight: on to the next
            following = self._surroundings.next_folder(folder)
            if following is None or walk.opened < len(order) // 2:
                return
            folder = following
            beyond = self._runs.get(folder)
            if beyond is None:
                siblings = self._surroundings.siblings(folder)
                if not siblings:
                    continue  # no files, or not listed yet: then its own opens will begin a run
                beyond = self._runs[folder] = _Run(siblings, walk)
            if not self._fetch(walk, beyond.orders[walk.order], most):
                return

    def _fetch(self, walk: _Walk, order: Sequence[Sibling], most: int) -> bool:
        """Fetch ahead from the front of `order`; return whether all of it is under way."""
        each = WHOLE_AHEAD if walk.reads_through else HEAD
        for sibling in order:
            count = min(sibling.version.size, each)
            if walk.ahead.get(sibling.ino, 0) >= count:
                continue
            if len(walk.ahead) >= most or sum(walk.ahead.values()) > MOST_AHEAD_BYTES:
                return False
            if not self._prefetch(sibling.version, count):
                return False
            walk.ahead[sibling.ino] = count
        return True
