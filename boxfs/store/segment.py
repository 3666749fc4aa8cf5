"""Segment: one file of the block cache, a run of blocks of one version that prove themselves.

    [ data: as many bytes as the run has, sparse where nothing was fetched ][ table: one entry per block ]
    entry, little endian: u32 length | u32 crc32 of the block | u32 crc32 of the two before, seeded by the file's name

A block is there when its entry's own checksum is right and its length is what the version's size demands; it is
believed when its bytes gave the right crc32 once in this process.  The entry is written after the bytes, nothing is
synced: after a crash a block proves itself or is fetched again.  An absent entry is zeros (a hole).  The bytes start
at offset 0, so that a kernel could read them without us.  The file is never truncated or rewritten with other bytes:
who reads while it is unlinked reads on.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

BLOCK = 128 * 1024
ENTRY = struct.Struct("<III")

_ABSENT, _CLAIMED, _PROVEN = 0, 1, 2


class Segment:
    """An open segment file.  Thread-safe: blocks are independent, and a block is only ever written with the same bytes.

    used_s: time of the last use (Unix seconds); set by readers, read by the accounting.
    """

    __slots__ = ("_checksums", "_fd", "_seed", "_state", "length", "used_s")

    def __init__(self, path: Path, length: int, *, create: bool) -> None:
        """Open the segment of `length` bytes (>= 1).  Raises OSError (FileNotFoundError where it is not there)."""
        self._fd = -1
        self.length = length
        self.used_s = 0.0
        self._seed = zlib.crc32(path.name.encode())
        blocks = -(-length // BLOCK)
        self._state = bytearray(blocks)
        self._checksums = [0] * blocks
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
        table = os.pread(self._fd, blocks * ENTRY.size, length)
        for index in range(len(table) // ENTRY.size):
            size, checksum, proof = ENTRY.unpack_from(table, index * ENTRY.size)
            if size == self._block_length(index) and proof == self._proof(size, checksum):
                self._state[index] = _CLAIMED
                self._checksums[index] = checksum

    def __del__(self) -> None:
        # The table of open segments may drop one while a thread reads from it: the last reference closes.
        if self._fd >= 0:
            os.close(self._fd)

    def _block_length(self, index: int) -> int:
        return min(BLOCK, self.length - index * BLOCK)

    def _proof(self, size: int, checksum: int) -> int:
        return zlib.crc32(struct.pack("<II", size, checksum), self._seed)

    def has(self, index: int) -> bool:
        return self._state[index] != _ABSENT

    @property
    def is_full(self) -> bool:
        return _ABSENT not in self._state

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` as far as blocks in a row are good; return how many bytes (0: none).

        A block that fails its proof is forgotten.
        """
        stop = min(offset + len(buffer), self.length)
        index, state = offset // BLOCK, self._state
        if offset < stop <= (index + 1) * BLOCK and state[index] == _PROVEN:  # a small read: no loop
            count = os.preadv(self._fd, (buffer if stop == offset + len(buffer) else buffer[: stop - offset],), offset)
            if count == stop - offset:
                return count
        good = offset
        while good < stop:
            if state[index] != _PROVEN and not self._prove(index):
                break
            index += 1
            good = min(index * BLOCK, stop)
        done = 0
        while done < good - offset:
            count = os.preadv(self._fd, [buffer[done : good - offset]], offset + done)
            if count <= 0:  # somebody cut the file: what it held is gone
                state[(offset + done) // BLOCK :] = bytes(len(state) - (offset + done) // BLOCK)
                break
            done += count
        return done

    def _prove(self, index: int) -> bool:
        if self._state[index] == _ABSENT:
            return False
        data = os.pread(self._fd, self._block_length(index), index * BLOCK)
        good = len(data) == self._block_length(index) and zlib.crc32(data) == self._checksums[index]
        self._state[index] = _PROVEN if good else _ABSENT
        return good

    def write(self, offset: int, data: memoryview) -> int:
        """Store whole blocks: `offset` at a block's begin, `data` to a block's end or the segment's.

        Returns how many bytes are newly held.  Raises OSError; then none of these blocks is held that was not before.
        """
        first = offset // BLOCK
        count = -(-len(data) // BLOCK)
        assert offset % BLOCK == 0
        assert offset + len(data) == min(self.length, (first + count) * BLOCK)
        checksums = [zlib.crc32(data[i * BLOCK : (i + 1) * BLOCK]) for i in range(count)]
        entries = bytearray()
        for i, checksum in enumerate(checksums):
            size = self._block_length(first + i)
            entries += ENTRY.pack(size, checksum, self._proof(size, checksum))
        if offset == 0 and len(data) == self.length:
            _write_all(self._fd, memoryview(b"".join((data, entries))) if len(data) < BLOCK else data, 0)
            if len(data) >= BLOCK:
                _write_all(self._fd, memoryview(entries), self.length)
        else:
            _write_all(self._fd, data, offset)
            _write_all(self._fd, memoryview(entries), self.length + first * ENTRY.size)
        fresh = 0
        for i, checksum in enumerate(checksums):
            if self._state[first + i] == _ABSENT:
                fresh += self._block_length(first + i)
            self._checksums[first + i] = checksum
            self._state[first + i] = _PROVEN
        return fresh


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)
