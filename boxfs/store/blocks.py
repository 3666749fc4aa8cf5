"""Blocks: the bytes of file versions on local disk, within a limit.  Everything here may be deleted at any time.

    FOLDER/usage.db                      accounting (usage.py)
    FOLDER/s256/ab/KEY.NUMBER            segment NUMBER (of 256 blocks) of the version KEY (segment.py)

KEY is the version's content: its sha1 where Box told it (copies share their blocks), else "v" and the version id, and
its size; so a block is never stale.  What is stored is right or not there: a full disk, a failing disk or a deleted
folder makes reads slower, never wrong, and raises nothing.

Promises: the limit is kept (the longest unused segments go first, pinned versions never); what cannot be stored is
refused.  `shrink` gives room back to who needs it more (the spool).

Threads: any.  `_lock` guards the table of open segments and the accounting; bytes are read and written outside it, and
a segment that is dropped while a thread reads from it stays readable for that thread.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from boxfs.base.ending import wait_for
from boxfs.store.segment import BLOCK, ENTRY, Segment
from boxfs.store.usage import Usage, Use

log = logging.getLogger(__name__)

PAGE = 4096  # what a file on disk is rounded up to
MOST_BLOCKS = 256  # of a segment: 32 MiB
MOST_OPEN = 512  # segment files kept open
RECOUNT_S = 5.0  # how long a stop may take for the counting that an unclean end made necessary
FRESH_S = 0.5  # a segment that was used since stays where it is in the order of use
HOLD_OFF_S = 5.0  # after the disk was full nothing is stored for so long


def content_key(version_id: str, sha1: str | None, size: int) -> str:
    """Return the key of a version's bytes: by content where it is known, else by version."""
    return f"{sha1 or f'v{version_id}'}-{size}"


class Blocks:
    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Open the cache.  limit_bytes: of disk; 0 stores nothing.  Raises OSError where the folder cannot be made."""
        self._folder = folder
        self._blocks = max(1, min(MOST_BLOCKS, limit_bytes // 8 // BLOCK))  # a segment is at most 1/8 of the cache
        self._segment_bytes = self._blocks * BLOCK
        self._root = folder / f"s{self._blocks}"
        fresh = not folder.exists()
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._limit = limit_bytes  # guarded by _lock, as all that follows
        self._usage = Usage(folder / "usage.db")
        # invariant: a segment is in here iff the name leads to its file, as far as we know
        self._open: OrderedDict[tuple[str, int], Segment] = OrderedDict()
        self._full_until = 0.0
        self._closed = False
        self._warned = False
        self._recount: threading.Thread | None = None
        if not fresh and not (self._usage.was_clean and len(self._layouts()) == 1):
            self._recount = threading.Thread(target=self._count_again, name="boxfs-cache-count", daemon=True)
            self._recount.start()

    # What is held

    def read_into(self, key: str, size: int, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` as far as good blocks reach; return how many bytes (0: not held).

        size: of the whole version.
        """
        number, at = divmod(offset, self._segment_bytes)
        if at + len(buffer) <= self._segment_bytes:  # a small read: no loop
            return self._read_from(key, size, number, buffer, at)
        done = 0
        stop = min(offset + len(buffer), size)
        while offset + done < stop:
            number, at = divmod(offset + done, self._segment_bytes)
            end = min(stop, (number + 1) * self._segment_bytes)
            done += self._read_from(key, size, number, buffer[done : end - offset], at)
            if offset + done < end:
                break
        return done

    def _read_from(self, key: str, size: int, number: int, buffer: memoryview, at: int) -> int:
        segment = self._segment(key, size, number)
        if segment is None:
            return 0
        try:
            return segment.read_into(buffer, at)
        except OSError as error:
            self._complain("read", error)
            return 0

    def missing(self, key: str, size: int, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the ranges of [start, stop) in whole blocks that are not held, merged and in order."""
        holes: list[tuple[int, int]] = []
        at = start - start % BLOCK
        stop = min(stop, size)
        while at < stop:
            number, inside = divmod(at, self._segment_bytes)
            segment = self._segment(key, size, number)
            end = min(at + BLOCK, size)
            if segment is None:
                end = min((number + 1) * self._segment_bytes, -(-stop // BLOCK) * BLOCK, size)
            if segment is None or not segment.has(inside // BLOCK):
                if holes and holes[-1][1] == at:
                    holes[-1] = (holes[-1][0], end)
                else:
                    holes.append((at, end))
            at = end
        return holes

    def holds_all(self, key: str, size: int) -> bool:
        for number in range(-(-size // self._segment_bytes)):
            segment = self._segment(key, size, number)
            if segment is None or not segment.is_full:
                return False
        return True

    def cached_bytes(self, key: str, size: int) -> int:
        return size - sum(stop - start for start, stop in self.missing(key, size, 0, size))

    @property
    def used_bytes(self) -> int:
        """Disk taken, as counted: rounded up, and for a moment too low after a crash."""
        with self._lock:
            return self._usage.total

    @property
    def limit_bytes(self) -> int:
        with self._lock:
            return self._limit

    # Storing

    def put(self, key: str, size: int, offset: int, data: memoryview) -> bool:
        """Store blocks of a version: `offset` at a block's begin, `data` to a block's end or the version's.

        Returns False where they could not all be stored (no room, a failing disk); that is no error.
        """
        done = 0
        while done < len(data):
            number, at = divmod(offset + done, self._segment_bytes)
            piece = data[done : done + self._segment_bytes - at]
            if not self._put(key, size, number, at, piece):
                return False
            done += len(piece)
        return True

    def _put(self, key: str, size: int, number: int, at: int, data: memoryview) -> bool:
        segment = self._segment(key, size, number)
        length = min(self._segment_bytes, size - number * self._segment_bytes)
        cost = -(-len(data) // PAGE) * PAGE
        if segment is None:  # a new file costs its table as well
            cost += -(-(ENTRY.size * -(-length // BLOCK)) // PAGE) * PAGE
        with self._lock:
            if self._closed or time.monotonic() < self._full_until or not self._make_room_locked(cost):
                return False
            self._usage.add(key, number, cost, time.time())  # before the bytes: never more on disk than counted
        fresh = 0
        try:
            if segment is None:
                segment = self._create(key, number, length)
            fresh = segment.write(at, data)
        except OSError as error:
            self._complain("write", error)
            with self._lock:
                self._full_until = time.monotonic() + HOLD_OFF_S
        with self._lock:
            segment_is_ours = segment is not None and self._open.setdefault((key, number), segment) is segment
            if not fresh or not segment_is_ours:  # was there already, failed, or was evicted meanwhile
                self._usage.add(key, number, -cost, time.time())
            self._close_some_locked()
        return fresh > 0 or (segment is not None and segment.has(at // BLOCK))

    def _make_room_locked(self, cost: int) -> bool:
        excess = self._usage.total + cost - self._limit
        if excess <= 0:
            return True
        if cost > self._limit:
            return False
        spare = min(self._limit // 64, 8 << 20)  # so that a full cache does not look for the oldest at every block
        return self._drop_oldest_locked(excess + spare) >= excess

    def _drop_oldest_locked(self, wanted: int) -> int:
        for (key, number), segment in self._open.items():
            if segment.used_s:
                self._usage.add(key, number, 0, segment.used_s)
        freed = 0
        while freed < wanted:
            oldest = self._usage.oldest(32)
            chosen = []
            for use in oldest:
                if freed >= wanted:
                    break
                self._unlink_locked(use)
                chosen.append(use)
                freed += use.bytes
            self._usage.remove(chosen)
            if not chosen:
                break
        return freed

    def _unlink_locked(self, use: Use) -> None:
        self._open.pop((use.key, use.number), None)
        with contextlib.suppress(OSError):
            self._path(use.key, use.number).unlink()

    # Room

    def shrink(self, wanted_bytes: int) -> int:
        """Drop unpinned blocks for somebody who needs the disk more; return how many bytes that gave back."""
        with self._lock:
            return 0 if self._closed else self._drop_oldest_locked(wanted_bytes)

    def set_limit(self, limit_bytes: int) -> None:
        with self._lock:
            self._limit = limit_bytes
            excess = self._usage.total - limit_bytes
            if excess > 0:
                self._drop_oldest_locked(excess)

    def evict(self, key: str) -> int:
        """Drop one version's blocks, pinned or not; return the bytes given back."""
        with self._lock:
            uses = [] if self._closed else self._usage.of(key)
            for use in uses:
                self._unlink_locked(use)
            return self._usage.remove(uses)

    def clear(self) -> int:
        """Drop all blocks, pinned ones too; return the bytes given back."""
        with self._lock:
            self._open.clear()
            freed = self._usage.total
            shutil.rmtree(self._root, ignore_errors=True)
            self._usage.clear()
            return freed

    def pin(self, key: str) -> None:
        """Never evict this version for room (its bytes still count against the limit)."""
        with self._lock:
            self._usage.pin(key, True)

    def unpin(self, key: str) -> None:
        with self._lock:
            self._usage.pin(key, False)

    def has_room_for(self, key: str, size: int) -> bool:
        """Whether all of a version could be held, if what is not pinned went."""
        missing = size - self.cached_bytes(key, size)
        if not missing:
            return True
        missing += 2 * PAGE * -(-size // self._segment_bytes)  # the tables, and what is rounded up
        with self._lock:
            return time.monotonic() >= self._full_until and self._usage.pinned_bytes + missing <= self._limit

    def pins(self) -> list[str]:
        """Return the keys of all pinned versions."""
        with self._lock:
            return self._usage.pins()

    def prove(self, key: str, proven: bool) -> None:
        """Remember of a version whether the sha1 of all its bytes was right; nothing else looks at it."""
        with self._lock:
            if not self._closed:
                self._usage.prove(key, proven)

    def is_proven(self, key: str) -> bool:
        with self._lock:
            return not self._closed and self._usage.is_proven(key)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        wait_for(self._recount, RECOUNT_S)
        with self._lock:
            for (key, number), segment in self._open.items():
                self._usage.add(key, number, 0, segment.used_s)
            self._open.clear()
            self._usage.close()

    # Segments

    def _path(self, key: str, number: int) -> Path:
        return self._root / key[:2] / f"{key}.{number}"

    def _segment(self, key: str, size: int, number: int) -> Segment | None:
        now = time.time()
        segment = self._open.get((key, number))  # without the lock: a stale look finds what was there a moment ago
        if segment is not None and now < segment.used_s + FRESH_S:
            return segment
        with self._lock:
            segment = self._open.get((key, number))
            if segment is not None:
                self._open.move_to_end((key, number))
                segment.used_s = now
                return segment
            if self._closed:
                return None
        length = min(self._segment_bytes, size - number * self._segment_bytes)
        if length <= 0:
            return None
        try:
            segment = Segment(self._path(key, number), length, create=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain("open", error)
            return None
        segment.used_s = time.time()
        with self._lock:
            segment = self._open.setdefault((key, number), segment)
            self._close_some_locked()
        return segment

    def _create(self, key: str, number: int, length: int) -> Segment:
        path = self._path(key, number)
        try:
            segment = Segment(path, length, create=True)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            segment = Segment(path, length, create=True)
        segment.used_s = time.time()
        with self._lock:
            return self._open.setdefault((key, number), segment)

    def _close_some_locked(self) -> None:
        while len(self._open) > MOST_OPEN:
            (key, number), segment = self._open.popitem(last=False)
            self._usage.add(key, number, 0, segment.used_s)

    def _complain(self, what: str, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the cache of read files cannot %s (%s): reads go to Box instead", what, error.strerror)

    # Counting again after a crash, or when the size of segments has changed with the limit

    def _layouts(self) -> list[Path]:
        """Return the folders of segments of all sizes."""
        return [one for one in self._folder.iterdir() if one.name.startswith("s") and one.is_dir()]

    def _count_again(self) -> None:
        """Take the numbers from the files.  Until then those of the table hold, which lag behind by little."""
        scan = self._scan()
        try:
            while batch := list(itertools.islice(scan, 1000)):
                with self._lock:
                    if self._closed:
                        return
                    self._usage.found(batch)
        except OSError as error:  # somebody removes the folder just now
            self._complain("count", error)
            return
        with self._lock:
            counted = [] if self._closed else self._usage.all()
        ghosts = [use for use in counted if not self._path(use.key, use.number).exists()]
        with self._lock:
            if not self._closed:
                self._usage.remove(ghosts)
                excess = self._usage.total - self._limit
                if excess > 0:
                    self._drop_oldest_locked(excess)

    def _scan(self) -> Iterator[tuple[str, int, int, float]]:
        """Yield what is on disk; remove what is not ours (other layouts)."""
        for other in self._layouts():
            if other != self._root:
                shutil.rmtree(other, ignore_errors=True)
        for shelf in os.scandir(self._root):
            if self._closed:
                return
            for entry in os.scandir(shelf.path):
                key, _, number = entry.name.rpartition(".")
                with contextlib.suppress(OSError, ValueError):
                    status = entry.stat(follow_symlinks=False)
                    yield key, int(number), status.st_blocks * 512, status.st_mtime
