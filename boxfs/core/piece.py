"""Piece: a range of a version under way from Box: whole blocks, in memory that fills from its begin.

`Pieces` are those of one version, by the number of each block.
"""

from __future__ import annotations

from collections.abc import Iterator

from boxfs.base.errors import FsError
from boxfs.core.workers import Job
from boxfs.store.segment import BLOCK


class Piece:
    """[start, stop).  All fields are guarded by the source's lock, but see `copy_into`.

    arrived: readers may have [start, arrived); got: received so far (ahead of `arrived` while a sha1 is awaited);
    awaited: readers wait at most until `arrived` is here;
    stored: [start, stored) was given to the block cache, which refused some of it if `unstored`.
    """

    __slots__ = (
        "arrived", "attempt", "awaited", "buffer", "counted", "done", "error", "got", "job", "moved_at", "scattered",
        "start", "sticky", "stop", "stored", "unstored",
    )  # fmt: skip

    def __init__(self, start: int, stop: int, *, sticky: bool, scattered: bool = False) -> None:
        self.start, self.stop = start, stop
        self.arrived = self.got = self.stored = start
        self.awaited = stop
        self.buffer: memoryview | None = None
        self.attempt = 0
        self.done = False
        self.counted = False  # among those that are fetched although nobody waits
        self.unstored = False
        self.error: FsError | None = None
        self.sticky = sticky  # goes on although nobody has the file open
        self.scattered = scattered  # for a read here and there
        self.moved_at: float | None = None  # monotonic time of the last progress; None: not begun
        self.job: Job

    def copy_into(self, buffer: memoryview, at: int) -> int:
        """Copy what has arrived from `at` on.

        Needs no lock: bytes before `arrived` never change while the piece has its memory, and memory that it has lost
        meanwhile is noticed afterwards.  `arrived` is looked at first: where another connection takes over, the memory
        that was in use before holds no byte that arrived after.
        """
        arrived = self.arrived
        memory = self.buffer
        count = min(arrived - at, len(buffer))
        if count <= 0 or memory is None:
            return 0
        buffer[:count] = memory[at - self.start : at - self.start + count]
        return count if self.buffer is not None else 0


class Pieces(dict[int, Piece]):
    """Invariant: a block is in at most one piece.  Guarded by the source's lock; a look at one block needs none."""

    def at(self, offset: int) -> Piece | None:
        return self.get(offset // BLOCK)

    def add(self, piece: Piece) -> None:
        self.update(dict.fromkeys(_blocks_of(piece), piece))

    def remove(self, piece: Piece) -> None:
        for number in _blocks_of(piece):
            if self.get(number) is piece:
                del self[number]

    def gaps(self, start: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield what of [start, stop), from a block's begin on, no piece has: in ranges of up to `most` bytes."""
        at = start
        while at < stop:
            end = at
            while end < min(at + most, stop) and end // BLOCK not in self:
                end = min(end + BLOCK, stop)
            if end > at:
                yield at, end
            at = end if end > at else at + BLOCK


def _blocks_of(piece: Piece) -> range:
    return range(piece.start // BLOCK, -(-piece.stop // BLOCK))
