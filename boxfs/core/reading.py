"""Reading: the bytes of file versions, from the block cache or from Box.

A reader is pinned to one version; what Box does with the file meanwhile does not reach it.  Nothing here knows inodes,
names or dirty bytes.  One `Source` per open version holds its one download URL; sources that nobody has open are kept
a while for the next open.
"""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from boxfs.base.errors import FsError, NoSpace, Unreachable
from boxfs.base.types import Ino, ItemId, VersionId
from boxfs.core.buffers import Buffers
from boxfs.core.neighbours import Neighbours, Surroundings
from boxfs.core.pace import Pace
from boxfs.core.readahead import FIRST, LARGEST_PIECE, LATE, MIB, Sequences
from boxfs.core.remote import Download
from boxfs.core.source import WHOLE, Source
from boxfs.core.version import FileVersion
from boxfs.core.workers import Workers
from boxfs.store.blocks import Blocks
from boxfs.store.segment import BLOCK

Progress = Callable[[int, int], None]  # bytes held, bytes in all

KEPT_SOURCES = 256
PINNED_PIECE = 4 * MIB
MOST_ROUNDS = 20
NO_ROOM = "the cache has no room for the file; make cache_size larger or the disk emptier"
MOST_THREADS = 64
SETTLE_AFTER = 64  # reads; doubled each time, since it looks at every block


class NotCached(FsError):
    """The bytes are not on this machine, and the program that asks may not have them fetched (`cached_only`)."""

    # EACCES: indexers and thumbnailers pass over such a file in silence.  EIO would look like a dying disk, and EAGAIN
    # makes some of them try for ever.
    errno = errno.EACCES


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """downloads: connections that fetch ahead; memory_bytes: of data in memory at once; largest_window: bytes ahead of
    one reader; stall_s: silence after which a reader's piece is tried over another connection; patience_s: silence
    after which a read gives up."""

    downloads: int = 8
    memory_bytes: int = 128 * MIB
    largest_window: int = 32 * MIB
    stall_s: float = 10.0
    patience_s: float = 60.0


class VersionReader(Protocol):
    """One open handle's view of one version.  Any thread may read; nobody reads after `close`."""

    version: FileVersion

    def read_into(self, buffer: memoryview, offset: int, *, cached_only: bool = False) -> int:
        """Fill `buffer` from `offset`; return how many bytes, fewer than asked only at the end of the version.

        cached_only: raise NotCached instead of asking Box.
        Raises Changed (ESTALE) where Box no longer has the version, Unreachable, Denied, BadReply; never gives bytes of
        another version.
        """

    def close(self) -> None: ...


class Downloads(Protocol):
    """What reading asks of a Remote."""

    def download(self, file_id: ItemId, version_id: VersionId | None) -> Download: ...


class Reading:
    """Thread-safe.  `_lock` guards the table of sources only."""

    def __init__(
        self,
        remote: Downloads,
        blocks: Blocks,
        options: ReadingOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: by which downloads are timed."""
        self._clock = clock
        self._remote = remote
        self._blocks = blocks
        self._options = options or ReadingOptions()
        self._workers = Workers("boxfs-fetch", background=self._options.downloads, most=MOST_THREADS)
        self._memory = Buffers(self._options.memory_bytes)
        self._pace = Pace(self._options.downloads)
        self._neighbours: Neighbours | None = None
        self._lock = threading.Lock()
        # guarded by _lock, the one opened last at the end; invariant: at most KEPT_SOURCES that nobody uses
        self._sources: OrderedDict[tuple[ItemId, VersionId], Source] = OrderedDict()
        self._unused = 0

    # Readers

    def open(self, file_id: ItemId, version_id: VersionId, size: int, sha1: str | None) -> VersionReader:
        """Return a reader of that version.  Makes no call."""
        version = FileVersion(file_id, version_id, size, sha1)
        return _Reader(self, self._acquire(version), self._options.largest_window)

    def _acquire(self, version: FileVersion) -> Source:
        name = (version.file_id, version.version_id)
        with self._lock:
            source = self._sources.get(name)
            if source is not None and source.version == version:
                self._unused -= source.users == 0
                self._sources.move_to_end(name)
            else:
                source = self._sources[name] = Source(
                    version,
                    self._remote.download(version.file_id, version.version_id),
                    self._blocks,
                    self._workers,
                    self._memory,
                    self._pace,
                    stall_s=self._options.stall_s,
                    patience_s=self._options.patience_s,
                    clock=self._clock,
                )
            source.users += 1
            return source

    def _release(self, source: Source) -> None:
        with self._lock:
            source.users -= 1
            last = source.users == 0
            self._unused += last
            if self._unused > KEPT_SOURCES:
                unused = [name for name, other in self._sources.items() if not other.users]
                for name in unused[: KEPT_SOURCES // 4]:
                    del self._sources[name]
                self._unused = len(unused) - len(unused[: KEPT_SOURCES // 4])
        if last:
            source.stop_ahead()

    # Ahead of anybody's asking

    def prefetch(self, version: FileVersion, count: int) -> bool:
        """Have the first `count` bytes of a file fetched in the background.  Returns at once.

        Returns False where the memory for it is taken just now.
        """
        if not self._blocks.missing(version.key, version.size, 0, count):
            return True
        source = self._acquire(version)
        try:
            return source.want(0, count, piece_bytes=LARGEST_PIECE, sticky=True) >= count
        finally:
            self._release(source)

    def watch(self, surroundings: Surroundings) -> None:
        """From now on, `opened` fetches neighbours ahead."""
        self._neighbours = Neighbours(surroundings, self.prefetch, self._workers)

    def opened(self, folder: Ino, ino: Ino) -> None:
        """A program opened this file of this folder for reading.  Returns at once."""
        if self._neighbours is not None:
            self._neighbours.opened(folder, ino)

    def was_read(self, version: FileVersion) -> None:
        """A program has read all of it.  Returns at once."""
        if self._neighbours is not None:
            self._neighbours.was_read(version)

    def fetch_all(self, version: FileVersion, *, progress: Progress | None = None) -> None:
        """Bring the whole version into the cache.  Raises as `read_into` does, and NoSpace."""
        if not self._blocks.has_room_for(version.key, version.size):
            raise NoSpace(NO_ROOM)
        source = self._acquire(version)
        try:
            at = asked = 0
            while at < version.size:
                window = min(at + self._options.largest_window, version.size)
                if asked < window:
                    asked = source.want(
                        asked, window, piece_bytes=PINNED_PIECE, least=PINNED_PIECE if asked == at else 0
                    )
                start, at = at, min(at - at % PINNED_PIECE + PINNED_PIECE, version.size)
                source.wait_stored(start, at)
                if self._blocks.missing(source.key, version.size, start, at):  # it failed before it was waited for?
                    source.error = None
                    source.want(start, at, piece_bytes=PINNED_PIECE, least=PINNED_PIECE)
                    source.wait_stored(start, at)
                    if self._blocks.missing(source.key, version.size, start, at):
                        raise source.error or NoSpace(NO_ROOM)
                asked = max(asked, at)
                if progress is not None:
                    progress(at, version.size)
            source.check()
            if not self._blocks.holds_all(source.key, version.size):
                raise NoSpace(NO_ROOM)
        finally:
            self._release(source)

    # The cache

    def cached_bytes(self, version: FileVersion) -> int:
        """Return how many bytes of the version can be read without Box."""
        return self._blocks.cached_bytes(version.key, version.size)

    def pin(self, version: FileVersion) -> None:
        """Never evict this version's bytes for room."""
        self._blocks.pin(version.key)

    def unpin(self, version: FileVersion) -> None:
        self._blocks.unpin(version.key)

    def unpin_others(self, versions: Iterable[FileVersion]) -> None:
        """Unpin all but these."""
        kept = {version.key for version in versions}
        for key in self._blocks.pins():
            if key not in kept:
                self._blocks.unpin(key)

    def evict(self, version: FileVersion) -> int:
        """Drop what the cache holds of the version (pinned or not); return the bytes freed."""
        with self._lock:
            sources = [source for source in self._sources.values() if source.key == version.key]
        for source in sources:
            source.forget()
        return self._blocks.evict(version.key)

    def adopt(self, version: FileVersion, body: BinaryIO) -> None:
        """Take the bytes of a version that we have just uploaded into the cache, so that they are not fetched again.

        body: over all of them.  Best effort: a full disk is no error.  Bytes that are not what the sha1 says are
        dropped again.
        """
        at = 0
        sha1 = hashlib.sha1()
        with memoryview(bytearray(min(MIB, version.size))) as view:
            while at < version.size:
                want = min(len(view), version.size - at)
                got = 0
                while got < want and (chunk := body.read(want - got)):
                    view[got : got + len(chunk)] = chunk
                    got += len(chunk)
                sha1.update(view[:got])
                if got < want or not self._blocks.put(version.key, version.size, at, view[:want]):
                    break
                at += want
        if at == version.size and version.sha1 is not None:
            if sha1.hexdigest() == version.sha1:
                self._blocks.prove(version.key, True)
            else:
                self._blocks.evict(version.key)

    @property
    def connections(self) -> int:
        """Over how many connections one file is worth fetching just now."""
        return self._pace.connections

    @property
    def meanwhile(self) -> int:
        """Bytes that one of them brings in the time that asking for some takes."""
        return self._pace.meanwhile

    def set_downloads(self, downloads: int) -> None:
        self._workers.set_background(downloads)
        self._pace.set_most(downloads)

    def close(self) -> None:
        """Stop all fetching; readers that wait get Unreachable.  The blocks stay open (they are the owner's)."""
        with self._lock:
            sources = list(self._sources.values())
        for source in sources:
            source.close()
        self._workers.close(timeout_s=0.5)


class _Reader:
    def __init__(self, reading: Reading, source: Source, largest_window: int) -> None:
        self.version = source.version
        self._reading = reading
        self._source = source
        self._sequences = Sequences(source.size, largest_window)
        self._rested = False  # some reads were not told to `_sequences`
        self._found = 0  # reads that found all they wanted
        self._settle_at = SETTLE_AFTER
        self._unsure = False  # the last bytes were read, and not all before them were at hand
        self._end = source.size  # such reads began here or further on
        self._closed = False

    def read_into(self, buffer: memoryview, offset: int, *, cached_only: bool = False) -> int:
        source = self._source
        stop = min(offset + len(buffer), source.size)
        if offset >= stop:
            return 0
        if stop - offset < len(buffer):
            buffer = buffer[: stop - offset]
        done = source.read_ready(buffer, offset)
        if cached_only:
            if done < len(buffer):
                raise NotCached("not on this machine; this program reads cached files only (option cached_only)")
            return done
        if done == len(buffer):
            if source.at_rest:
                self._rested = True
                return done
            if stop == source.size:
                self._end = min(self._end, offset)
                self._unsure = True  # before it is looked who goes on to them: that one looks after it then
            if self._sequences.is_alone(offset, stop):
                self._found += 1
                if self._found >= self._settle_at:
                    self._settle_at *= 2
                    source.settle()
                return done
        sequence = self._sequences.of(offset)
        end = sequence.first_stop(offset + done, stop)
        # Before anything is asked for: of several parts that the kernel has read at once, all belong to the run.
        ahead = sequence.advance(offset, stop, self._reading.connections, self._reading.meanwhile)
        if done < len(buffer):
            self._want(offset + done, stop, end)
        if ahead is not None:
            came = source.want(ahead.start, ahead.stop, piece_bytes=ahead.piece)
            sequence.refused(came)
        fruitless = 0
        while done < len(buffer):
            count = source.wait(buffer[done:], offset + done) or source.read_ready(buffer[done:], offset + done)
            done += count
            if not count:  # dropped with another handle's end, or it failed its proof on disk
                fruitless += 1
                if fruitless > MOST_ROUNDS:
                    raise Unreachable("what comes from Box does not stay long enough to be read; try again")
                self._want(offset + done, stop, sequence.first_stop(offset + done, stop))
        from_begin = sequence.from_begin or self._rested
        through = stop == source.size and from_begin
        if through:
            self._end = min(self._end, offset)
        if through or (self._unsure and from_begin and (sequence.next or 0) >= self._end - LATE):
            self._unsure = True  # before it is looked what is at hand: who shows the rest meanwhile looks after it
            self._unsure = not source.check(waits=through)
        if through:
            self._reading.was_read(source.version)
        return done

    def _want(self, start: int, stop: int, end: int) -> None:
        """Have [start, stop) fetched, and what is fetched with it: up to `end` if that is further."""
        source = self._source
        if source.size <= WHOLE:
            source.want(0, source.size, piece_bytes=WHOLE, least=WHOLE)
            return
        if end == stop:
            source.want_here(start, stop)
            return
        piece = max(FIRST, -(-(end - start) // BLOCK) * BLOCK + BLOCK)
        source.want(start, end, piece_bytes=piece, least=stop - start)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._reading._release(self._source)
