"""The block cache: what it gives back is right, and it keeps its limit."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxfs.store.blocks import Blocks, content_key
from boxfs.store.segment import BLOCK, Segment
from tests.support.downloads import content

MIB = 1 << 20
SIZE = 3 * MIB + 1000
KEY = content_key("7", "ab" * 20, SIZE)
DATA = content(SIZE)


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[Blocks]:
    cache = Blocks(tmp_path / "blocks", 256 * MIB)
    yield cache
    cache.close()


def read(blocks: Blocks, offset: int, length: int, key: str = KEY, size: int = SIZE) -> bytes:
    buffer = bytearray(length)
    return bytes(buffer[: blocks.read_into(key, size, memoryview(buffer), offset)])


def put(blocks: Blocks, start: int, stop: int, key: str = KEY) -> bool:
    return blocks.put(key, SIZE, start, memoryview(DATA)[start:stop])


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "blocks").rglob("*.[0-9]*") if path.is_file())


def disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in files(folder))


def test_what_was_put_is_read_and_what_was_not_is_missing(blocks: Blocks) -> None:
    assert put(blocks, BLOCK, 3 * BLOCK)
    assert put(blocks, 24 * BLOCK, SIZE)
    assert read(blocks, BLOCK + 5, 100) == DATA[BLOCK + 5 : BLOCK + 105]
    assert read(blocks, 2 * BLOCK, SIZE) == DATA[2 * BLOCK : 3 * BLOCK]
    assert read(blocks, SIZE - 10, 100) == DATA[-10:]
    assert read(blocks, 0, 10) == b""
    assert blocks.missing(KEY, SIZE, 0, SIZE) == [(0, BLOCK), (3 * BLOCK, 24 * BLOCK)]
    assert blocks.missing(KEY, SIZE, BLOCK + 1, 2 * BLOCK) == []
    assert blocks.cached_bytes(KEY, SIZE) == SIZE - 22 * BLOCK


def test_nothing_is_read_at_and_beyond_the_end(blocks: Blocks) -> None:
    size = 2 * BLOCK
    assert blocks.put("whole", size, 0, memoryview(DATA)[:size])
    assert [read(blocks, at, 10, "whole", size) for at in (size, size + 5, 1 << 40)] == [b""] * 3


def test_blocks_are_there_after_closing_and_opening(tmp_path: Path) -> None:
    first = Blocks(tmp_path / "blocks", 256 * MIB)
    put(first, 0, SIZE)
    used = first.used_bytes
    first.close()
    again = Blocks(tmp_path / "blocks", 256 * MIB)
    assert read(again, 0, SIZE) == DATA
    assert again.used_bytes == used
    again.close()


def test_a_cache_that_was_killed_is_counted_again(tmp_path: Path) -> None:
    first = Blocks(tmp_path / "blocks", 256 * MIB)
    put(first, 0, SIZE)
    del first  # no close
    (tmp_path / "blocks" / "usage.db").write_bytes(b"not a database at all" * 100)
    again = Blocks(tmp_path / "blocks", 256 * MIB)
    assert again._recount is not None
    again._recount.join()
    assert SIZE <= again.used_bytes <= SIZE + 64 * 1024
    assert read(again, 0, SIZE) == DATA
    again.close()


@pytest.mark.parametrize("damage", ["flip", "zero", "cut", "cut the table", "other file"])
def test_a_damaged_block_is_not_believed(tmp_path: Path, damage: str) -> None:
    first = Blocks(tmp_path / "blocks", 256 * MIB)
    put(first, 0, SIZE)
    other = content_key("8", "cd" * 20, SIZE)
    first.put(other, SIZE, 0, memoryview(content(SIZE, 1)))
    first.close()
    path = next(path for path in files(tmp_path) if KEY in path.name)
    with path.open("r+b") as file:
        if damage == "flip":
            file.seek(BLOCK + 77)
            file.write(bytes([DATA[BLOCK + 77] ^ 1]))
        elif damage == "zero":
            file.seek(BLOCK)
            file.write(bytes(BLOCK))
        elif damage == "cut":
            file.truncate(BLOCK + 500)
        elif damage == "cut the table":
            file.truncate(SIZE + 12 + 5)
        else:
            file.write(next(path for path in files(tmp_path) if other in path.name).read_bytes())
    again = Blocks(tmp_path / "blocks", 256 * MIB)
    for at in range(0, SIZE, 50_000):
        got = read(again, at, 50_000)
        assert got == DATA[at : at + len(got)]
    assert read(again, BLOCK + 70, 100) == b""
    assert again.missing(KEY, SIZE, BLOCK, 2 * BLOCK) == [(BLOCK, 2 * BLOCK)]
    put(again, BLOCK, 2 * BLOCK)
    assert read(again, BLOCK + 70, 100) == DATA[BLOCK + 70 : BLOCK + 170]
    again.close()


def test_a_file_cut_while_open_reads_short_not_wrong(blocks: Blocks, tmp_path: Path) -> None:
    put(blocks, 0, SIZE)
    assert len(read(blocks, 0, SIZE)) == SIZE
    os.truncate(files(tmp_path)[0], BLOCK + 100)
    assert read(blocks, 0, SIZE) == DATA[: BLOCK + 100]
    assert blocks.missing(KEY, SIZE, 2 * BLOCK, SIZE) == [(2 * BLOCK, SIZE)]


def test_the_limit_is_kept_and_the_least_used_go_first(tmp_path: Path) -> None:
    limit = 4 * MIB
    blocks = Blocks(tmp_path / "blocks", limit)
    size, data = BLOCK, memoryview(DATA)[:BLOCK]
    keys = [content_key(str(number), f"{number:040x}", size) for number in range(100)]
    pinned = keys[0]
    blocks.pin(pinned)
    for key in keys:
        assert blocks.put(key, size, 0, data)
        assert blocks.used_bytes <= limit
        assert disk_bytes(tmp_path) <= limit
    assert read(blocks, 0, 10, pinned, size) == DATA[:10]
    assert read(blocks, 0, 10, keys[1], size) == b""
    assert read(blocks, 0, 10, keys[-1], size) == DATA[:10]
    assert blocks.used_bytes > limit // 2
    assert blocks.shrink(MIB) >= MIB
    blocks.set_limit(MIB)
    assert disk_bytes(tmp_path) <= MIB
    assert read(blocks, 0, 10, pinned, size) == DATA[:10]
    assert blocks.evict(pinned) > 0
    assert blocks.clear() > 0
    assert disk_bytes(tmp_path) == 0
    assert blocks.used_bytes == 0
    blocks.close()


def test_what_is_read_all_the_time_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxfs.store.blocks.MOST_OPEN", 2)
    busy, idle, new = (content_key("7", digit * 40, SIZE) for digit in "abc")
    blocks = Blocks(tmp_path / "blocks", 256 * MIB)
    for key in (busy, idle, new):
        put(blocks, 0, BLOCK, key)
    blocks.close()
    blocks = Blocks(tmp_path / "blocks", 256 * MIB)
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    for key in (busy, idle, *[busy] * 10, new):
        now[0] += 0.2
        assert read(blocks, 0, 10, key)
    assert [key for key, _ in blocks._open] == [busy, new]
    blocks.close()


def test_a_file_larger_than_the_cache_passes_through(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks", 2 * MIB)
    for at in range(0, SIZE, BLOCK):
        assert put(blocks, at, min(at + BLOCK, SIZE))
        assert read(blocks, at, 100) == DATA[at : at + 100]
        assert disk_bytes(tmp_path) <= 2 * MIB
    blocks.close()


def test_a_full_disk_stores_nothing_and_says_so_once(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(blocks, 0, BLOCK)
    used = blocks.used_bytes

    def full(self: Segment, offset: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Segment, "write", full)
        assert not put(blocks, BLOCK, 2 * BLOCK)
        assert not put(blocks, 2 * BLOCK, 3 * BLOCK)
    assert blocks.used_bytes == used
    assert read(blocks, 0, BLOCK) == DATA[:BLOCK]
    assert read(blocks, BLOCK, 10) == b""
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("again", [True, False], ids=["it has room again", "it stays full"])
def test_what_is_counted_while_the_table_takes_nothing_is_not_forgotten(tmp_path: Path, again: bool) -> None:
    """The accounting's own disk is full: later the limit holds all the same, also for the next run."""
    blocks = Blocks(tmp_path / "blocks", 16 * MIB)
    keys = [content_key(str(n), f"{n:040x}", MIB) for n in range(30)]
    database = blocks._usage._db
    database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
    monkey = pytest.MonkeyPatch()
    monkey.setattr("boxfs.store.usage.BATCH", 2)
    try:
        for n, key in enumerate(keys):
            blocks.put(key, MIB, 0, memoryview(content(MIB, n)))
            assert disk_bytes(tmp_path) <= 16 * MIB
            if n == 20:
                blocks._usage.flush()
        assert blocks.used_bytes >= disk_bytes(tmp_path)
        assert read(blocks, 0, 10, keys[-1], MIB) == content(MIB, 29)[:10]
        if again:
            database.execute("PRAGMA max_page_count = 1000000")
        assert blocks.shrink(4 * MIB) >= 4 * MIB
        assert disk_bytes(tmp_path) <= 12 * MIB + 64 * 1024
        assert blocks.used_bytes >= disk_bytes(tmp_path)
    finally:
        monkey.undo()
        blocks.close()
    after = Blocks(tmp_path / "blocks", 16 * MIB)
    if after._recount is not None:
        after._recount.join()
    assert after.used_bytes >= disk_bytes(tmp_path)
    for n in range(30):
        after.put(keys[n], MIB, 0, memoryview(content(MIB, n)))
    assert disk_bytes(tmp_path) <= 16 * MIB
    after.close()


def test_a_table_that_rotted_inside_is_begun_anew(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks", 256 * MIB)
    put(blocks, 0, SIZE)
    for n in range(5000):
        blocks._usage.add(f"{n:040x}-1", 0, 4096, 1.0)
    blocks.close()
    path = tmp_path / "blocks" / "usage.db"
    rotten = bytearray(path.read_bytes())
    rotten[4096:] = b"\xa5" * (len(rotten) - 4096)
    path.write_bytes(rotten)
    again = Blocks(tmp_path / "blocks", 256 * MIB)
    assert read(again, 0, SIZE) == DATA
    assert again._recount is not None
    again._recount.join()
    assert SIZE <= again.used_bytes <= SIZE + 64 * 1024
    again.close()


@pytest.mark.parametrize(("before", "after"), [(512 * MIB, 8 * MIB), (8 * MIB, 512 * MIB)])
def test_what_another_limit_left_does_not_stay(tmp_path: Path, before: int, after: int) -> None:
    """Segments are as large as the limit allows; those of another size are of no use, and count."""
    first = Blocks(tmp_path / "blocks", before)
    put(first, 0, SIZE)
    first.close()
    again = Blocks(tmp_path / "blocks", after)
    assert again._recount is not None
    again._recount.join()
    assert disk_bytes(tmp_path) == 0
    assert again.used_bytes == 0
    put(again, 0, SIZE)
    assert read(again, 0, SIZE) == DATA
    again.close()
    third = Blocks(tmp_path / "blocks", after)
    assert third._recount is None
    assert third.used_bytes >= disk_bytes(tmp_path) >= SIZE
    third.close()


def test_room_is_what_is_not_pinned(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "blocks", 8 * MIB)
    other = content_key("8", "cd" * 20, SIZE)
    third = content_key("9", "ef" * 20, SIZE)
    for key in (KEY, other):
        put(blocks, 0, SIZE, key)
    assert blocks.has_room_for(third, SIZE)
    blocks.pin(KEY)
    blocks.pin(other)
    blocks.pin(other)
    assert not blocks.has_room_for(third, SIZE)
    assert blocks.has_room_for(KEY, SIZE)  # it is here
    blocks.close()
    blocks = Blocks(tmp_path / "blocks", 8 * MIB)
    assert not blocks.has_room_for(third, SIZE)
    blocks.unpin(other)
    assert blocks.has_room_for(third, SIZE)
    blocks.pin(other)
    assert not blocks.has_room_for(third, SIZE)
    blocks.evict(KEY)
    assert blocks.has_room_for(third, SIZE)
    blocks.close()


def test_a_folder_deleted_under_us_is_begun_again(blocks: Blocks, tmp_path: Path) -> None:
    import shutil

    put(blocks, 0, BLOCK)
    shutil.rmtree(tmp_path / "blocks")
    other = content_key("9", None, SIZE)
    put(blocks, 0, BLOCK, other)
    assert read(blocks, 0, BLOCK, other) == DATA[:BLOCK]


def test_a_reader_goes_on_while_its_segment_is_evicted(blocks: Blocks) -> None:
    put(blocks, 0, SIZE)
    segment = blocks._segment(KEY, SIZE, 0)
    assert segment is not None
    blocks.evict(KEY)
    buffer = bytearray(SIZE)
    assert segment.read_into(memoryview(buffer), 0) == SIZE
    assert buffer == DATA
    assert read(blocks, 0, 10) == b""
