"""Source: the bytes of one version, fetched in pieces; shared by all handles that have this version open.

Readers copy from a piece (`piece.py`) as its bytes arrive.  Bytes go to the block cache while they come; a piece that
is complete leaves memory (or stays a while, where the disk would not take it).  A block is in at most one piece, so two
readers of it wait for one fetch.  What nobody waits for yet is fetched over as many connections as `pace.py` says.

A piece that covers a whole small file is shown to nobody before its sha1 is right; of a larger one, the last bytes
are not shown to who read all the others (`check`, `proof.py`).  A piece that makes no progress while somebody waits is
begun anew over another connection.  What fails is forgotten: the next read asks again.

Lock: `_changed`, over the table of pieces and their state; local disk is touched under it to see what is cached, the
network never.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from boxfs.base.errors import BadReply, FsError, Unreachable
from boxfs.core.buffers import POOLED, Buffers
from boxfs.core.fetchfault import for_reader
from boxfs.core.pace import Pace, Timed
from boxfs.core.piece import Piece, Pieces
from boxfs.core.proof import Proof, WrongBytes
from boxfs.core.reach import MOST, Reach
from boxfs.core.remote import Download
from boxfs.core.version import FileVersion
from boxfs.core.workers import Job, Workers
from boxfs.store.blocks import Blocks
from boxfs.store.segment import BLOCK

log = logging.getLogger(__name__)

SMALL = 4 * BLOCK  # such a piece is a matter of round trips, not of bandwidth: more of them at once
WHOLE = 1 << 20  # files up to this size are fetched whole, and their sha1 is checked before anybody sees a byte
HIDDEN = 4 << 20  # of a larger one that comes in one piece, nobody has to wait for the end to see the begin
STORED_AT_ONCE = 1 << 20  # bytes that go to the block cache while more of the piece comes
ATTEMPTS = 3  # connections that a piece may be tried over when it stalls


class Source:
    def __init__(
        self,
        version: FileVersion,
        download: Download,
        blocks: Blocks,
        workers: Workers,
        memory: Buffers,
        pace: Pace,
        *,
        stall_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: by which downloads are timed."""
        self.version = version
        self.key = version.key
        self.size = version.size
        self._download = download
        self._blocks = blocks
        self._workers = workers
        self._memory = memory
        self._pace = pace
        self._stall_s = stall_s
        self._patience_s = patience_s
        self._clock = clock
        self._proof = Proof(version, blocks, shown_proved=version.size <= WHOLE)
        self.reach = Reach(version.size, fits=2 * version.size <= blocks.limit_bytes)
        self._changed = threading.Condition()
        # guarded by _changed
        self._pieces = Pieces()
        self._ahead: deque[Piece] = deque()  # to be fetched when it is their turn
        self._under_way = 0  # pieces of these that are being fetched
        self._closed = False
        # All of it is on disk and proved: nothing to fetch, nothing to check.  Once true, it may be that the cache has
        # dropped some since; then a read finds less than it wants, and `want` sets it to false.
        self.at_rest = False
        self.error: FsError | None = None  # of the piece that failed last
        self.users = 0  # guarded by Reading's lock

    # Reading

    def read_ready(self, buffer: memoryview, offset: int) -> int:
        """Copy what is at hand from `offset` on, in memory or on disk; return how many bytes.  Never waits for Box."""
        if not self._pieces:
            return self._blocks.read_into(self.key, self.size, buffer, offset)
        done = 0
        while done < len(buffer):
            at = offset + done
            # Without the lock: a stale look finds a piece whose bytes are still right, or misses one.
            piece = self._pieces.at(at) if self._pieces else None
            count = piece.copy_into(buffer[done:], at) if piece is not None else 0
            if not count:
                count = self._blocks.read_into(self.key, self.size, buffer[done:], at)
            if not count:
                break
            done += count
        return done

    def want(self, start: int, stop: int, *, piece_bytes: int, least: int = 0, sticky: bool = False) -> int:
        """See to it that [start, stop) comes, as far as it is not here; return up to where (memory may be short).

        least: bytes of it that somebody waits for; they come first, and whatever the memory says.
        piece_bytes: in whole blocks.
        """
        small = self.size <= WHOLE
        start = 0 if small else start - start % BLOCK
        stop = self.size if small else min(-(-stop // BLOCK) * BLOCK, self.size)
        if start >= stop:
            return stop
        waited_for = min(-(-least // BLOCK) * BLOCK + BLOCK, stop - start) if least else 0
        granted = self._memory.take(stop - start, least=stop if least and small else waited_for)
        if granted < stop - start:
            stop = start if small else start + granted - granted % BLOCK
        with self._changed:
            begun = [self._begin_locked(*gap, sticky=sticky) for gap in self._gaps_locked(start, stop, piece_bytes)]
        self._give_back(granted, begun)
        if least:
            self._submit(begun, urgent=True)
        else:
            with self._changed:
                self._ahead.extend(begun)
            self._go_ahead()
        return stop

    def want_here(self, start: int, stop: int) -> None:
        """See to it that [start, stop) comes, for who reads here and there, and what is worth having with it."""
        begin, end = self.reach.around(start, stop)
        granted = self._memory.take(end - begin, least=stop - start + 2 * BLOCK)
        if granted < end - begin:
            begin = start - start % BLOCK
            end = min(begin + granted - granted % BLOCK, self.size)
        with self._changed:
            gaps = [gap for gap in self._gaps_locked(begin, end, end - begin) if gap[0] < stop and gap[1] > start]
            begun = [self._begin_locked(*gap, scattered=True) for gap in gaps]
        self._give_back(granted, begun)
        self._submit(begun, urgent=True)
        rest = self.reach.rest()
        if rest is not None:
            self.reach.came(self.want(*rest, piece_bytes=MOST))

    def _gaps_locked(self, start: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield what of [start, stop) is neither here nor on its way."""
        holes = [] if self._closed else self._blocks.missing(self.key, self.size, start, stop)
        if holes and self.size <= WHOLE:
            holes = [(0, self.size)]  # what is there of it too: its sha1 is that of all
        for hole in holes:
            yield from self._pieces.gaps(*hole, most)

    def _give_back(self, granted: int, begun: list[Piece]) -> None:
        """Give back what was granted and is not needed."""
        used = sum(piece.stop - piece.start for piece in begun)
        if granted > used:
            self._memory.give_back(granted - used)

    def _submit(self, pieces: Iterable[Piece], *, urgent: bool) -> None:
        for piece in pieces:
            if not self._workers.submit(piece.job, urgent=urgent):
                self._finish(piece, Unreachable("boxfs is being stopped"))

    def _go_ahead(self) -> None:
        """Let so many pieces come that nobody waits for as the pace allows."""
        with self._changed:
            turn = []
            while self._ahead and self._under_way < self._pace.connections:
                piece = self._ahead.popleft()
                if not (piece.done or piece.job.started or piece.job.urgent):  # else somebody came to wait for it
                    turn.append(piece)
                    piece.counted = True
                    self._under_way += 1
        self._submit(turn, urgent=False)

    def settle(self) -> None:
        """See whether all is `at_rest`.  Hashes nothing; looks at every block."""
        with self._changed:
            held = not self._pieces and self._blocks.holds_all(self.key, self.size)
            self.at_rest = held and self._proof.is_there()

    def check(self, *, waits: bool = True) -> bool:
        """Raise WrongBytes where the bytes that came are not those that Box told the sha1 of; then drop them all.

        For who has read all of the version but its last bytes.  Returns False where not all of it is at hand, so that
        nothing can be said.  waits: for what is still on its way.
        """
        right = self._proof.is_right(self.read_ready, self._wait_for if waits else None)
        if right is False:
            log.warning("file %s came with other bytes than its sha1 says", self.version.file_id)
            self.forget()
            self._blocks.evict(self.key)
            self._proof.begin_anew()  # only now: who stores a piece goes on with what is at hand
            raise WrongBytes(f"Box sent other bytes of file {self.version.file_id} than its sha1 says; read it again")
        return right is not None

    def _begin_locked(self, start: int, stop: int, *, sticky: bool = False, scattered: bool = False) -> Piece:
        self.at_rest = False
        self._proof.comes(start)
        piece = Piece(start, stop, sticky=sticky, scattered=scattered)
        piece.job = Job(lambda: self._fetch(piece, 0), small=stop - start <= SMALL)
        self._pieces.add(piece)
        return piece

    def wait(self, buffer: memoryview, at: int, *, urgent: bool = True) -> int:
        """Wait until the bytes from `at` on have come, as far as they are in one piece on its way, and copy them.

        Returns how many; 0: nothing is on its way (any more).  urgent: somebody waits, let it go first.
        Raises what the fetch raised, and Unreachable where nothing moves.
        """
        moved = time.monotonic()
        gives_up = False
        with self._changed:
            piece = self._pieces.at(at)
            if piece is None:
                return 0
            until = min(at + len(buffer), piece.stop)
            got = piece.got
            while not piece.done and piece.arrived < until:
                if urgent and not piece.job.urgent:
                    self._workers.submit(piece.job, urgent=True)
                now = time.monotonic()
                if piece.got > got:  # another connection that takes over is no progress
                    moved = max(moved, piece.moved_at or now)
                got = piece.got
                if gives_up := now >= moved + self._patience_s:
                    break
                stalled = piece.moved_at is not None and now >= piece.moved_at + self._stall_s
                if stalled and piece.attempt + 1 < ATTEMPTS:
                    self._try_anew_locked(piece, now)
                piece.awaited = min(piece.awaited, until)
                self._changed.wait(min(moved + self._patience_s - now, self._stall_s))
            if piece.arrived <= at and piece.error is not None:
                raise piece.error
        if gives_up:
            self._drop(lambda other: other is piece, None)  # who asks again gets connections that did not hang
            raise Unreachable(f"Box sent nothing for {self._patience_s:.0f} s; try again")
        return piece.copy_into(buffer, at)

    def _wait_for(self, at: int, *, urgent: bool = True) -> None:
        with memoryview(bytearray(1)) as one:
            self.wait(one, at, urgent=urgent)

    def wait_stored(self, start: int, stop: int) -> None:
        """Wait until all of [start, stop) that is on its way is complete and stored.  Raises as `wait`."""
        for at in range(start - start % BLOCK, stop, BLOCK):
            self._wait_for(at, urgent=False)
            with self._changed:
                while (piece := self._pieces.at(at)) is not None and not piece.done:
                    self._changed.wait(self._patience_s)
                if piece is not None and piece.error is not None:
                    raise piece.error

    def _try_anew_locked(self, piece: Piece, now: float) -> None:
        piece.attempt += 1
        piece.moved_at = now
        if piece.buffer is not None:  # the stalled thread may yet write into what it has
            fresh = memoryview(bytearray(len(piece.buffer)))
            fresh[: piece.arrived - piece.start] = piece.buffer[: piece.arrived - piece.start]
            piece.buffer, piece.got = fresh, piece.arrived
        attempt = piece.attempt
        piece.job = Job(lambda: self._fetch(piece, attempt))
        self._workers.submit(piece.job, urgent=True)
        log.info("a download of version %s stalled; another connection takes over", self.version.version_id)

    # Fetching, on a worker's thread

    def _fetch(self, piece: Piece, attempt: int) -> None:
        """Fill the piece; `attempt` tells whether it is still ours to fill."""
        try:
            self._fill(piece, attempt)
        finally:
            with self._changed:
                self._under_way -= piece.counted
                piece.counted = False
            self._go_ahead()

    def _fill(self, piece: Piece, attempt: int) -> None:
        error: FsError | None = None
        whole = piece.stop - piece.start == self.size <= HIDDEN and self.version.sha1 is not None
        for final in (False, True):
            with self._changed:
                if piece.attempt != attempt or piece.done:
                    return
                if piece.buffer is None:
                    piece.buffer = self._memory.lend(piece.stop - piece.start)
                buffer = piece.buffer
                piece.moved_at = time.monotonic()
            try:
                if not self._receive(piece, attempt, buffer, publish=not whole):
                    return
            except Exception as failed:  # noqa: BLE001 - whatever it is, who waits is told
                error = for_reader(failed, self.version.version_id)
            if error is not None or not whole or hashlib.sha1(buffer).hexdigest() == self.version.sha1:
                break
            log.warning("file %s came with other bytes than its sha1 says", self.version.file_id)
            if final:
                error = BadReply(f"Box sends other bytes of file {self.version.file_id} than its sha1 says")
            with self._changed:
                piece.got = piece.start
        self._finish(piece, error, attempt)

    def _receive(self, piece: Piece, attempt: int, buffer: memoryview, *, publish: bool) -> bool:
        """Receive what is missing.  Returns False where the piece is no longer ours.  Raises FsError."""
        begin, at = piece.start, piece.got
        steps = self._download.read_into(buffer[at - begin :], at, background=not piece.job.urgent)
        with closing(Timed(steps, self._pace, self._clock)) as timed:
            while count := timed.step():
                at += count
                with self._changed:
                    if piece.attempt != attempt or piece.done:
                        return False
                    piece.got, piece.moved_at = at, time.monotonic()
                    if publish:
                        piece.arrived = at
                        if at >= piece.awaited:
                            piece.awaited = piece.stop
                            self._changed.notify_all()
                if publish:  # what is done with them is cheaper while they are in the processor's cache
                    self._proof.offer(begin, buffer[: at - begin])
                    if at < piece.stop:
                        self._store(piece, at_least=STORED_AT_ONCE)
        if piece.scattered:
            self.reach.note(timed.count, timed.wait_s, timed.all_s)
        with self._changed:
            if piece.attempt == attempt and piece.got != piece.stop:
                raise BadReply("Box sent fewer bytes than were asked for")
            return piece.attempt == attempt and not piece.done

    def _finish(self, piece: Piece, error: FsError | None, attempt: int | None = None) -> None:
        """The piece is complete, or failed with `error`: let readers go on, store what came, leave the table."""
        size = piece.stop - piece.start
        with self._changed:
            if piece.done or attempt not in (None, piece.attempt):
                return
            if error is None:
                piece.arrived = piece.stop
            self._changed.notify_all()
        stored = self._store(piece)
        if error is None:
            self._proof.go_on(self.read_ready)
        with self._changed:
            if piece.done or attempt not in (None, piece.attempt):  # dropped meanwhile, or begun anew
                return
            piece.done = True
            piece.error = error
            self.error = error or self.error
            memory = piece.buffer
            if stored or error is not None:
                self._pieces.remove(piece)
                if size >= POOLED:
                    piece.buffer = None
            self._changed.notify_all()
        if stored or error is not None:
            if memory is not None and piece.buffer is None:
                self._memory.take_back(memory)
            self._memory.give_back(size)
        else:
            self._memory.keep(size, self, lambda: self._forget(piece))

    def _store(self, piece: Piece, *, at_least: int = 1) -> bool:
        """Put what has come into the cache, if it is so many bytes; return whether all that it was given is there."""
        with self._changed:
            start, memory = piece.stored, piece.buffer
            stop = piece.arrived if piece.arrived == piece.stop else piece.arrived - piece.arrived % BLOCK
            if memory is None or stop - start < at_least or piece.unstored:
                return stop == start > piece.start and not piece.unstored
            piece.stored = stop
        stored = self._blocks.put(self.key, self.size, start, memory[start - piece.start : stop - piece.start])
        if not stored:
            piece.unstored = True
        return stored

    def _forget(self, piece: Piece) -> None:
        with self._changed:
            self._pieces.remove(piece)

    # The end

    def stop_ahead(self) -> None:
        """Nobody has the version open: what was fetched ahead and is not wanted by its own right ends."""
        self._drop(lambda piece: not piece.sticky, None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
        self._drop(lambda _: True, Unreachable("boxfs is being stopped"))

    def _drop(self, which: Callable[[Piece], bool], error: FsError | None) -> None:
        with self._changed:
            # One that is complete is being stored by its worker.
            under_way = {piece for piece in self._pieces.values() if not piece.done and piece.arrived < piece.stop}
            dropped = [piece for piece in under_way if which(piece)]
            for piece in dropped:
                piece.done = True  # its worker stops at the next step, and nobody else uses the memory again
                piece.error = error
                self._pieces.remove(piece)
            if dropped:
                self._changed.notify_all()
        for piece in dropped:
            self._store(piece)
            self._memory.give_back(piece.stop - piece.start)

    def forget(self) -> None:
        """Drop the pieces that are complete from memory; returns when none is being stored."""
        with self._changed:
            while any(piece.arrived == piece.stop and not piece.done for piece in self._pieces.values()):
                self._changed.wait(self._stall_s)
        self._memory.drop(self)
