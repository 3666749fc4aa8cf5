"""Sequence: what somebody who reads a file is likely to read next.  Pure arithmetic, no I/O.

A read that goes on where the last ended (or nearly: the kernel's own read-ahead asks out of order) is part of a run.
In a run the window ahead doubles with every quarter of it that was consumed, from FIRST to `most`; a long run on a
line that brings much while an answer is awaited gets as much at once.  Any other read touches what it touches.  A first
read begins a run if it is at the file's begin; one near the end fetches the tail.

Several handles of one file share a reader, so `Sequences` tells apart as many as read at different places.
"""

from __future__ import annotations

from typing import NamedTuple

MIB = 1 << 20
FIRST = 1 * MIB  # with the first read; the head of a large file costs no more than this
SLACK = 1 * MIB  # of a run
LATE = 4 * MIB  # how far behind a run a part of it may be noted
NEAR = 128 * 1024  # of what may become one
MOST_SEQUENCES = 8
MOST_ALONE = 4  # remembered of the reads that may begin one
LARGEST_PIECE = 8 * MIB
LONG = 4 * MIB  # a run with such a window will go on


class Ahead(NamedTuple):
    """Fetch [start, stop) in pieces of `piece` bytes, each over a connection of its own."""

    start: int
    stop: int
    piece: int


class Sequence:
    def __init__(self, size: int, most: int = 32 * MIB) -> None:
        self._size = size
        self._most = most
        self.next: int | None = None  # where it goes on
        self.slack = NEAR  # how far from there
        self._window = 0
        self._grown_at = 0
        self.from_begin = False  # every read so far was part of one run that began with the file
        self._asked = 0  # invariant: what a run wants below this was asked for

    def first_stop(self, start: int, stop: int) -> int:
        """Return where the fetch of a read of [start, stop) that finds nothing should end."""
        if (start == 0 and self.next is None) or (self._window and self.goes_on(start)):
            return min(max(stop, start + FIRST), self._size)
        if self.next is None and start >= self._size - FIRST:
            return self._size  # the tail: archives, films and documents have their tables there
        return stop

    def goes_on(self, start: int) -> bool:
        """Whether a read from `start` is the next of this sequence."""
        return self.next is not None and abs(start - self.next) <= self.slack

    def advance(self, start: int, stop: int, connections: int = 8, meanwhile: int = 0) -> Ahead | None:
        """Note a read of [start, stop); return what to fetch ahead now, over so many connections.

        meanwhile: bytes that one of them brings in the time that asking takes.
        """
        last = self.next
        if last is None:
            self.next = stop
            self.from_begin = start == 0
            if start != 0:
                return None
            self._window, self._grown_at, self._asked = FIRST, stop, max(stop, FIRST)
            self.slack = SLACK
            return None
        if abs(start - last) > self.slack:
            if self._window and last - LATE <= start < last:
                return None  # one of several parts that were asked for at once, and overtaken by the others
            self.next = stop
            self._window = 0
            self.slack = NEAR
            self.from_begin = False
            return None
        self.next = max(last, stop)
        if not self._window:
            self._window, self._grown_at, self._asked = FIRST, self.next, self.next
            self.slack = SLACK
        elif self.next - self._grown_at >= self._window // 4:
            self._window *= 2
            if self._window >= LONG:
                self._window = max(self._window, 2 * meanwhile)
            self._window = min(self._window, self._most)
            self._grown_at = self.next
        # A power of two, so that memory fits again.
        share = max(self._window // connections, min(meanwhile, self._window // 4))
        piece = min(max(1 << share.bit_length() - 1, FIRST), LARGEST_PIECE)
        begin = max(self._asked, self.next)
        end = min(self.next + self._window, self._size)
        if end < self._size:
            end -= (end - begin) % piece
        if end <= begin:
            return None
        self._asked = end
        return Ahead(begin, end, piece)

    def begun_at(self, stop: int) -> None:
        """The first read, in the middle of the file, ended there."""
        self.next = stop

    def refused(self, stop: int) -> None:
        """What was asked for is only fetched up to `stop`: ask for the rest again."""
        self._asked = min(self._asked, stop)


class Sequences:
    """Thread-safe enough: two reads at once may at worst begin a sequence twice."""

    def __init__(self, size: int, most: int = 32 * MIB) -> None:
        self._size = size
        self._most = most
        self._all: tuple[Sequence, ...] = ()  # the one used last first
        # Where reads ended that went on with nothing and found all they wanted; in units of NEAR as well.
        self._stops = [-1] * MOST_ALONE
        self._places = [-9] * MOST_ALONE
        self._turn = 0

    def is_alone(self, start: int, stop: int) -> bool:
        """Note a read of [start, stop) that found all it wants; False where it may go on with another: ask `of`.

        What most random reads need, at little cost.  Such reads begin a run only forwards.
        """
        place, places = start // NEAR, self._places
        if not start or place in places or place - 1 in places:
            return False
        for sequence in self._all:
            if (further := sequence.next) is not None and abs(start - further) <= sequence.slack:
                return False
        turn = self._turn
        self._stops[turn], places[turn] = stop, stop // NEAR
        self._turn = (turn + 1) % MOST_ALONE
        return True

    def of(self, start: int) -> Sequence:
        """Return the sequence that a read from `start` goes on with, a new one if there is none."""
        known = self._all
        if known and known[0].goes_on(start):
            return known[0]
        for sequence in known[1:]:
            if sequence.goes_on(start):
                break
        else:
            sequence = Sequence(self._size, self._most)
            for turn, stop in enumerate(self._stops):
                if 0 <= stop <= start <= stop + NEAR:
                    sequence.begun_at(stop)
                    self._stops[turn], self._places[turn] = -1, -9
                    break
        self._all = (sequence, *(other for other in known if other is not sequence))[:MOST_SEQUENCES]
        return sequence
