"""Reading: right bytes or an error, one fetch for several readers, and no more asked of Box than is needed."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from boxfs.base.errors import BadReply, Changed, Denied, NoSpace, NotReady, Unreachable
from boxfs.base.types import Ino
from boxfs.core.digest import RunningDigest
from boxfs.core.neighbours import Sibling
from boxfs.core.proof import WrongBytes
from boxfs.core.readahead import Sequences
from boxfs.core.reading import MOST_THREADS, NotCached, Reading, ReadingOptions
from boxfs.core.source import Source
from boxfs.core.version import FileVersion
from boxfs.store.blocks import Blocks
from boxfs.store.segment import BLOCK
from tests.support.downloads import ScriptedBox, content
from tests.support.waiting import until

MIB = 1 << 20


class Setup:
    def __init__(self, folder: Path, limit: int = 256 * MIB, **options: float) -> None:
        self.box = ScriptedBox()
        self.folder = folder / "blocks"
        self.blocks = Blocks(self.folder, limit)
        self.now_s = 0.0  # by the clock that downloads are timed by
        given = ReadingOptions(**{"stall_s": 300.0, **options})  # type: ignore[arg-type]
        self.reading = Reading(self.box, self.blocks, given, clock=lambda: self.now_s)

    def answer_after(self, seconds: float, requests: int) -> None:
        def late(right: Iterator[bytes]) -> Iterator[bytes]:
            self.now_s += seconds
            yield from right

        self.box.faults.extend([late] * requests)

    def open(self, version: FileVersion):  # type: ignore[no-untyped-def]
        return self.reading.open(version.file_id, version.version_id, version.size, version.sha1)

    def read(self, version: FileVersion, offset: int, length: int) -> bytes:
        reader = self.open(version)
        try:
            return read(reader, offset, length)
        finally:
            reader.close()

    def close(self) -> None:
        self.reading.close()
        self.blocks.close()


def read(reader, offset: int, length: int) -> bytes:  # type: ignore[no-untyped-def]
    buffer = bytearray(length)
    return bytes(buffer[: reader.read_into(memoryview(buffer), offset)])


def read_through(reader, size: int, step: int = 128 * 1024, start: int = 0) -> bytes:  # type: ignore[no-untyped-def]
    return b"".join(read(reader, at, step) for at in range(start, size, step))


def refused_then_right(reader, data: bytes, start: int = 0) -> None:  # type: ignore[no-untyped-def]
    """Wrong bytes have come: who reads from `start` to the end is told; who reads all of it then gets right ones."""
    with pytest.raises(BadReply):
        read_through(reader, len(data), start=start)
    assert read_through(reader, len(data)) == data
    reader.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Setup]]:
    made: list[Setup] = []

    def build(**options: float) -> Setup:
        made.append(Setup(tmp_path / str(len(made)), **options))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for setup in made:
        setup.close()


def test_a_small_file_comes_whole_in_one_request(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(300_000)
    version = setup.box.add("7", data)
    reader = setup.open(version)
    assert setup.box.asked == []
    assert read(reader, 200_000, 50) == data[200_000:200_050]
    assert read_through(reader, 300_000, 1000) == data
    assert read(reader, 299_990, 100) == data[-10:]
    assert read(reader, 300_000, 100) == b""
    reader.close()
    assert setup.box.asked == [("7", 0, 300_000)]


def test_a_copy_with_the_same_sha1_costs_nothing(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(300_000)
    setup.read(setup.box.add("7", data), 0, 10)
    wait_stored(setup, setup.box.add("7", data))
    copy = setup.box.add("8", data, file_id="2")
    assert setup.read(copy, 0, len(data)) == data
    assert len(setup.box.asked) == 1


def wait_stored(setup: Setup, version: FileVersion) -> None:
    setup.reading.fetch_all(version)


def test_a_large_file_is_read_ahead_and_nothing_twice(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(40 * MIB + 12345)
    reader = setup.open(setup.box.add("7", data))
    assert read_through(reader, len(data)) == data
    reader.close()
    assert setup.box.sent == len(data)
    assert len(setup.box.asked) <= 45
    assert setup.read(setup.box.add("7", data), 0, len(data)) == data
    assert setup.box.sent == len(data)


def test_what_is_ahead_comes_over_several_connections(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(16 * MIB)
    version = setup.box.add("7", data)
    several = threading.Barrier(2)

    def together(right: Iterator[bytes]) -> Iterator[bytes]:
        several.wait(60)  # comes when two are under way at once
        yield from right

    reader = setup.open(version)
    assert read(reader, 0, MIB) == data[:MIB]
    setup.box.faults.extend([together] * 2)
    for at in range(MIB, 16 * MIB, MIB // 4):
        assert read(reader, at, MIB // 4) == data[at : at + MIB // 4]
    reader.close()
    assert setup.box.sent == len(data)


def test_tail_and_random_reads_fetch_what_they_touch(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(30 * MIB)
    version = setup.box.add("7", data)
    assert setup.read(version, 17 * MIB + 5, 4096) == data[17 * MIB + 5 : 17 * MIB + 4101]
    assert setup.box.sent == BLOCK
    tail = setup.open(version)
    assert read_through(tail, len(data), start=len(data) - MIB) == data[-MIB:]
    tail.close()
    assert setup.box.sent <= BLOCK + MIB + BLOCK
    before = setup.box.sent
    assert setup.read(version, 0, 4096) == data[:4096]
    assert setup.box.sent - before <= MIB


@pytest.mark.parametrize(("memory", "limit", "grows"), [(128, 256, True), (1, 256, False), (128, 24, False)])
def test_reads_here_and_there_fetch_more_where_an_answer_takes_long(
    make: Callable[..., Setup], memory: int, limit: int, grows: bool
) -> None:
    """Not where there is no memory for it, or the cache would keep little else."""
    size = 16 * MIB
    setup = make(memory_bytes=memory * MIB, limit=limit * MIB)
    data = content(size + 1000)
    version = setup.box.add("7", data)
    setup.answer_after(0.05, 1000)
    reader = setup.open(version)
    for number in random.Random(3).sample(range(size // 4096), 600):
        assert read(reader, number * 4096, 4096) == data[number * 4096 : (number + 1) * 4096]
    assert read(reader, size - 10, 2000) == data[-1010:]
    reader.close()
    assert (len(setup.box.asked) < 30) == grows
    assert setup.box.sent <= len(data)


def test_reads_here_and_there_fetch_a_block_each_where_an_answer_comes_at_once(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(16 * MIB)
    version = setup.box.add("7", data)
    setup.answer_after(0.001, 1000)
    reader = setup.open(version)
    numbers = random.Random(3).sample(range(1, 120), 60)
    for number in numbers:
        assert read(reader, number * BLOCK + 50, 4096) == data[number * BLOCK + 50 : number * BLOCK + 4146]
    reader.close()
    assert setup.box.sent <= 61 * BLOCK + 8 * MIB  # neighbours in a row are a run


def test_readers_of_one_place_wait_for_one_fetch(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(MIB)
    version = setup.box.add("7", data)
    go = threading.Event()

    def held(right: Iterator[bytes]) -> Iterator[bytes]:
        assert go.wait(60)
        yield from right

    setup.box.faults.append(held)
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(setup.read, version, n * 1000, 1000) for n in range(8)]
        go.set()
        for n, result in enumerate(results):
            assert result.result(60) == data[n * 1000 : n * 1000 + 1000]
    assert len(setup.box.asked) == 1


def test_bytes_are_given_as_they_arrive(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(8 * MIB)
    version = setup.box.add("7", data)
    go = threading.Event()

    def slow(right: Iterator[bytes]) -> Iterator[bytes]:
        yield next(right)
        assert go.wait(60)
        yield from right

    setup.box.faults.append(slow)
    reader = setup.open(version)
    assert read(reader, 0, 4096) == data[:4096]
    go.set()
    assert read(reader, 900_000, 4096) == data[900_000:904_096]
    reader.close()


def short(right: Iterator[bytes]) -> Iterator[bytes]:
    yield next(right)[:-1]


def long(right: Iterator[bytes]) -> Iterator[bytes]:
    yield from right
    yield b"x" * 100_000


def reset(right: Iterator[bytes]) -> Iterator[bytes]:
    yield next(right)
    raise Unreachable("reset")


def later(right: Iterator[bytes]) -> Iterator[bytes]:
    for _ in right:
        raise NotReady("202")
    yield b""


def defect(right: Iterator[bytes]) -> Iterator[bytes]:
    yield next(right)
    raise ZeroDivisionError


def gone(right: Iterator[bytes]) -> Iterator[bytes]:
    return ScriptedBox().read("none", 0, 1)


def denied(right: Iterator[bytes]) -> Iterator[bytes]:
    if next(right):
        raise Denied("403")
    yield from right


def wrong(right: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in right:
        yield bytes([chunk[0] ^ 1]) + chunk[1:]


@pytest.mark.parametrize("size", [200_000, 3 * MIB])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (short, BadReply),
        (long, BadReply),
        (reset, Unreachable),
        (later, BadReply),
        (defect, BadReply),
        (gone, Changed),
    ],
)
def test_a_fault_is_an_error_never_other_bytes(
    make: Callable[..., Setup], size: int, fault: Callable[[Iterator[bytes]], Iterator[bytes]], error: type[Exception]
) -> None:
    setup = make()
    data = content(size)
    version = setup.box.add("7", data)
    setup.box.faults.append(fault)
    reader = setup.open(version)
    with pytest.raises(error):
        assert read(reader, 0, size) == data
    assert read(reader, 0, size) == data  # and what failed is asked for again
    reader.close()


def test_a_small_file_with_wrong_bytes_is_fetched_again_then_refused(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(200_000)
    version = setup.box.add("7", data)
    setup.box.faults.extend([wrong])
    assert setup.read(version, 0, 200_000) == data
    setup.reading.evict(version)
    setup.box.faults.extend([wrong, wrong])
    with pytest.raises(BadReply):
        setup.read(version, 0, 200_000)
    assert setup.read(version, 0, 200_000) == data


def test_bytes_that_come_again_after_an_eviction_are_proved_again(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    reader = setup.open(version)
    assert read_through(reader, len(data)) == data
    setup.reading.evict(version)
    setup.box.faults.append(wrong)
    refused_then_right(reader, data)


def test_bytes_that_come_again_in_the_middle_of_a_cached_file_are_proved(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    setup.reading.fetch_all(version)
    reader = setup.open(version)
    numbers = random.Random(1).sample(range(len(data) // 4096), 400)
    assert all(read(reader, n * 4096, 4096) == data[n * 4096 : (n + 1) * 4096] for n in numbers)
    assert read_through(reader, MIB) == data[:MIB]
    setup.reading.evict(version)
    assert setup.read(version, 0, MIB) == data[:MIB]
    setup.box.faults.append(wrong)
    refused_then_right(reader, data, start=MIB)


def test_a_stalled_connection_is_replaced(make: Callable[..., Setup]) -> None:
    setup = make(stall_s=0.05)
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    go = threading.Event()

    def stall(right: Iterator[bytes]) -> Iterator[bytes]:
        yield next(right)
        assert go.wait(120)
        yield from right

    setup.box.faults.append(stall)
    assert setup.read(version, 0, 500_000) == data[:500_000]
    go.set()


def test_what_a_stalled_connection_sends_late_changes_nothing(make: Callable[..., Setup]) -> None:
    setup = make(stall_s=0.05)
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    go = threading.Event()

    def stall(right: Iterator[bytes]) -> Iterator[bytes]:
        yield next(right)
        assert go.wait(120)
        for chunk in right:
            yield bytes(len(chunk))

    setup.box.faults.append(stall)
    reader = setup.open(version)
    assert read(reader, 0, MIB) == data[:MIB]
    go.set()
    assert read_through(reader, len(data)) == data
    reader.close()
    setup.reading.close()
    assert setup.blocks.cached_bytes(version.key, len(data)) == len(data)
    again = bytearray(len(data))
    assert setup.blocks.read_into(version.key, len(data), memoryview(again), 0) == len(data)
    assert again == data


def test_readers_never_see_memory_that_serves_another_piece(make: Callable[..., Setup]) -> None:
    """Memory is used again at once, and the cache drops blocks as quickly: who copies meanwhile gets right bytes."""
    setup = make(limit=8 * MIB, memory_bytes=8 * MIB)
    versions = [(setup.box.add(str(n), data, file_id=str(n)), data) for n in range(3) for data in [content(9 * MIB, n)]]

    def through(n: int) -> bool:
        version, data = versions[n % 3]
        reader = setup.open(version)
        try:
            return read_through(reader, len(data), step=100_000 + 1000 * n) == data
        finally:
            reader.close()

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(through, range(9)))


def test_silence_ends_in_an_error(make: Callable[..., Setup]) -> None:
    setup = make(stall_s=0.05, patience_s=0.5)
    version = setup.box.add("7", content(3 * MIB))
    go = threading.Event()

    def silent(right: Iterator[bytes]) -> Iterator[bytes]:
        assert go.wait(120)
        yield from right

    setup.box.faults.extend([silent] * 3)
    reader = setup.open(version)
    with pytest.raises(Unreachable):
        read(reader, 0, 500_000)
    go.set()
    reader.close()


def test_cached_only_never_asks(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(200_000)
    version = setup.box.add("7", data)
    reader = setup.open(version)
    with pytest.raises(NotCached):
        reader.read_into(memoryview(bytearray(10)), 0, cached_only=True)
    assert setup.box.asked == []
    read(reader, 0, 10)
    assert reader.read_into(memoryview(bytearray(10)), 0, cached_only=True) == 10
    reader.close()


def test_fetch_all_brings_everything_and_tells_how_far(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(10 * MIB + 1)
    version = setup.box.add("7", data)
    told: list[int] = []
    setup.reading.fetch_all(version, progress=lambda held, _: told.append(held))
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert setup.reading.cached_bytes(version) == len(data)
    assert setup.box.sent == len(data)
    asked = len(setup.box.asked)
    assert setup.read(version, 0, len(data)) == data
    assert len(setup.box.asked) == asked
    assert setup.reading.evict(version) >= len(data)
    assert setup.reading.cached_bytes(version) == 0


@pytest.mark.parametrize("limit", [0, 512 * 1024, 3 * MIB])
def test_a_cache_without_room_makes_reads_slower_not_wrong(make: Callable[..., Setup], limit: int) -> None:
    setup = make(limit=limit, memory_bytes=4 * MIB)
    data = content(12 * MIB)
    reader = setup.open(setup.box.add("7", data))
    assert read_through(reader, len(data)) == data
    reader.close()


def test_memory_is_bounded_and_given_back(make: Callable[..., Setup]) -> None:
    setup = make(memory_bytes=6 * MIB)
    data = content(48 * MIB)
    reader = setup.open(setup.box.add("7", data))
    for at in range(0, len(data), 128 * 1024):
        assert read(reader, at, 128 * 1024) == data[at : at + 128 * 1024]
        # What is fetched ahead, and of each fetching thread one small piece that somebody waited for: however slow the
        # disk is to take it.
        assert setup.reading._memory.taken_bytes <= 6 * MIB + MOST_THREADS * 256 * 1024
    reader.close()
    setup.reading.close()
    assert setup.reading._memory.taken_bytes == 0


def test_prefetched_files_are_read_without_asking_again(make: Callable[..., Setup]) -> None:
    setup = make()
    versions = [setup.box.add(str(n), content(10_000, n), file_id=str(n)) for n in range(20)]
    for version in versions:
        assert setup.reading.prefetch(version, version.size)
    for n, version in enumerate(versions):
        assert setup.read(version, 0, 10_000) == content(10_000, n)
    assert len(setup.box.asked) == 20


def test_closing_wakes_those_who_wait(make: Callable[..., Setup]) -> None:
    setup = make()
    version = setup.box.add("7", content(200_000))
    go, begun = threading.Event(), threading.Event()

    def silent(right: Iterator[bytes]) -> Iterator[bytes]:
        begun.set()
        assert go.wait(120)
        yield from right

    setup.box.faults.append(silent)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(setup.read, version, 0, 10)
        assert begun.wait(60)
        closing = threading.Thread(target=setup.reading.close)
        closing.start()
        with pytest.raises(Unreachable):
            result.result(60)
        go.set()
        closing.join(60)


def test_a_cached_block_that_rotted_is_fetched_again(make: Callable[..., Setup], tmp_path: Path) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    assert setup.read(version, 0, len(data)) == data
    setup.close()
    path = next(path for path in (tmp_path / "0").rglob("*.0") if path.is_file())
    with path.open("r+b") as file:
        file.seek(5 * BLOCK + 3)
        file.write(b"rot")
    again = make()
    again.blocks.close()
    again.blocks = Blocks(tmp_path / "0" / "blocks", 256 * MIB)
    again.reading = Reading(setup.box, again.blocks)
    before = setup.box.sent
    assert again.read(version, 4 * BLOCK, 3 * BLOCK) == data[4 * BLOCK : 7 * BLOCK]
    assert setup.box.sent == before + BLOCK


def test_wrong_bytes_that_came_by_parts_are_not_read_through_later(make: Callable[..., Setup]) -> None:
    """Of a part there is nothing to prove it by; who reads all of the file, in another run even, has the sha1."""
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    for at in (2 * MIB, MIB, 0):
        setup.box.faults.extend([wrong] if at == MIB else [])
        setup.read(version, at, MIB)
    until(lambda: setup.reading.cached_bytes(version) >= len(data))  # shown before it is stored
    setup.close()
    setup.blocks = Blocks(setup.folder, 256 * MIB)
    setup.reading = Reading(setup.box, setup.blocks)
    reader = setup.open(version)
    refused_then_right(reader, data)


def test_the_last_bytes_wait_for_those_before_that_are_still_on_their_way(make: Callable[..., Setup]) -> None:
    """The kernel asks for several parts at once: the last one may come before one that is wrong."""
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    under_way, go = threading.Event(), threading.Event()
    right = setup.box.read

    def second_is_wrong_and_late(version_id: str, start: int, stop: int) -> Iterator[bytes]:
        found = right(version_id, start, stop)
        if start != MIB:
            yield from found
            return
        under_way.set()
        assert go.wait(60)
        yield from wrong(found)

    setup.box.read = second_is_wrong_and_late  # type: ignore[method-assign]
    reader = setup.open(version)
    assert read(reader, 0, MIB) == data[:MIB]
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(read, reader, MIB, MIB)
        assert under_way.wait(60)
        last = pool.submit(read, reader, 2 * MIB, MIB)
        until(lambda: setup.reading.cached_bytes(version) >= 2 * MIB)  # the last ones are here
        go.set()
        errors = [each.exception(60) for each in (second, last)]
    # Whichever of the two is the later one to look at all of it is told.
    assert [type(error) for error in errors if error] in ([WrongBytes], [WrongBytes] * 2)
    reader.close()


def test_last_bytes_that_are_read_before_the_part_in_front_of_them_is_noted_are_looked_after_by_that_one(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    assert setup.read(version, 2 * MIB, MIB) == data[-MIB:]
    setup.box.faults.extend([wrong] * 10)
    reader = setup.open(version)
    with monkeypatch.context() as patch:
        patch.setattr(Sequences, "is_alone", lambda *_: True)
        assert read(reader, 2 * MIB, MIB) == data[-MIB:]
    with pytest.raises(WrongBytes):
        read(reader, 0, 2 * MIB)
    reader.close()


def test_who_has_looked_at_the_end_waits_for_nothing_but_what_is_read(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(16 * MIB)
    reader = setup.open(setup.box.add("7", data))
    for _ in range(2):  # the second finds it: a table of contents, say
        assert read(reader, len(data) - BLOCK, BLOCK) == data[-BLOCK:]
    go = threading.Event()
    in_time: list[bool] = []

    def halts(right: Iterator[bytes]) -> Iterator[bytes]:
        yield next(right)
        in_time.append(go.wait(30))
        yield from right

    setup.box.faults.append(halts)
    assert read(reader, 0, 1000) == data[:1000]
    go.set()
    assert read_through(reader, len(data)) == data
    reader.close()
    assert in_time == [True]


def test_what_was_proven_once_is_not_hashed_again(make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    reader = setup.open(version)
    assert read_through(reader, len(data)) == data
    reader.close()
    setup.close()
    setup.blocks = Blocks(setup.folder, 256 * MIB)
    setup.reading = Reading(setup.box, setup.blocks)
    monkeypatch.setattr(RunningDigest, "is_right", lambda *_: pytest.fail("it was hashed again"))
    reader = setup.open(version)
    assert read_through(reader, len(data)) == data
    reader.close()
    setup.reading.evict(version)
    assert not setup.blocks.is_proven(version.key)


def test_a_small_file_of_which_a_part_is_here_comes_whole_again_and_is_checked(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(300_000)
    version = setup.box.add("7", data)
    assert setup.blocks.put(version.key, version.size, 0, memoryview(data)[:BLOCK])
    setup.box.faults.append(wrong)
    assert setup.read(version, 2 * BLOCK, 1000) == data[2 * BLOCK : 2 * BLOCK + 1000]
    assert [(start, stop) for _, start, stop in setup.box.asked] == [(0, 300_000)] * 2


def test_a_small_file_for_which_memory_is_short_is_not_begun_ahead(make: Callable[..., Setup]) -> None:
    setup = make(memory_bytes=BLOCK)
    version = setup.box.add("7", content(300_000))
    assert not setup.reading.prefetch(version, version.size)
    assert setup.read(version, 0, 300_000) == content(300_000)
    assert setup.box.asked == [("7", 0, 300_000)]


def test_what_hangs_for_ever_hangs_no_later_read(make: Callable[..., Setup]) -> None:
    """The first reads hang on connections that give neither bytes nor an end; the file stays open."""
    setup = make(stall_s=0.05, patience_s=0.5)
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    go = threading.Event()

    def silent(right: Iterator[bytes]) -> Iterator[bytes]:
        assert go.wait(120)
        yield from right

    setup.box.faults.extend([silent] * 3)
    reader = setup.open(version)
    try:
        with pytest.raises(Unreachable):
            read(reader, 0, 500_000)
        setup.box.faults.clear()  # all three may not have been needed
        for _ in range(20):
            with contextlib.suppress(Unreachable):  # this machine may be slower than the patience
                assert read(reader, 0, 500_000) == data[:500_000]
                break
        else:
            pytest.fail("it still hangs")
    finally:
        go.set()
        reader.close()


def test_connections_that_take_over_do_not_lengthen_the_patience(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make(stall_s=10.0, patience_s=15.0)
    version = setup.box.add("7", content(3 * MIB))
    go = threading.Event()

    def silent(right: Iterator[bytes]) -> Iterator[bytes]:
        assert go.wait(120)
        yield from right

    setup.box.faults.extend([silent] * 3)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    real_wait = threading.Condition.wait

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is None or threading.current_thread() is not threading.main_thread():
            return real_wait(self, timeout)
        now[0] += timeout
        return real_wait(self, 0.01)

    reader = setup.open(version)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Condition, "wait", wait)
        with pytest.raises(Unreachable):
            read(reader, 0, 500_000)
    assert now[0] <= 1000 + 15.0
    go.set()
    reader.close()


def test_fetch_all_says_what_went_wrong_also_of_what_failed_before_it_was_waited_for(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make()
    version = setup.box.add("7", content(10 * MIB))
    failed, right = threading.Event(), setup.box.read

    def refuse_all_but_the_first(version_id: str, start: int, stop: int) -> Iterator[bytes]:
        if start:
            failed.set()
            raise Denied("403")
        assert failed.wait(60)
        return right(version_id, start, stop)

    with monkeypatch.context() as patch:
        patch.setattr(setup.box, "read", refuse_all_but_the_first)
        with pytest.raises(Denied):
            setup.reading.fetch_all(version)
    setup.reading.fetch_all(version)
    assert setup.reading.cached_bytes(version) == version.size


def test_fetch_all_waits_for_what_is_missing_before_bytes_that_are_here(make: Callable[..., Setup]) -> None:
    setup = make()
    data = content(3 * MIB)
    version = setup.box.add("7", data)
    reader = setup.open(version)
    for at in (2 * MIB, MIB, len(data) - BLOCK):
        assert read(reader, at, BLOCK) == data[at : at + BLOCK]
    reader.close()
    go = threading.Event()

    def late(right: Iterator[bytes]) -> Iterator[bytes]:
        go.wait(0.2)  # so that it is looked for while it is on its way
        yield from right

    setup.box.faults.extend([late] * 5)
    setup.reading.fetch_all(version)
    assert setup.reading.cached_bytes(version) == version.size


def test_fetch_all_says_what_went_wrong_also_of_what_failed_twice_before_it_was_waited_for(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make()
    version = setup.box.add("7", content(3 * MIB))
    want = Source.want

    def want_and_see_it_fail(source: Source, *given: int, **options: int) -> int:
        came = want(source, *given, **options)  # type: ignore[arg-type]
        with contextlib.suppress(Denied):
            source.wait_stored(0, source.size)
        return came

    setup.box.faults.extend([denied] * 5)
    with monkeypatch.context() as patch:
        patch.setattr(Source, "want", want_and_see_it_fail)
        with pytest.raises(Denied):
            setup.reading.fetch_all(version)


def test_fetch_all_asks_for_nothing_that_there_is_no_room_for(make: Callable[..., Setup]) -> None:
    """A pin is tried again every minute: it must not download the same gigabytes each time."""
    setup = make(limit=8 * MIB)
    small, large = setup.box.add("7", content(5 * MIB)), setup.box.add("8", content(9 * MIB, 1), file_id="2")
    middle = setup.box.add("9", content(4 * MIB, 2), file_id="3")
    for _ in range(2):
        with pytest.raises(NoSpace):
            setup.reading.fetch_all(large)
    assert setup.box.asked == []
    setup.reading.pin(small)
    setup.reading.fetch_all(small)
    setup.reading.pin(middle)
    asked = len(setup.box.asked)
    with pytest.raises(NoSpace):
        setup.reading.fetch_all(middle)
    assert len(setup.box.asked) == asked
    setup.reading.unpin(small)
    setup.reading.fetch_all(middle)
    assert setup.reading.cached_bytes(middle) == middle.size


class Folder:
    """What lies around files of one folder."""

    def __init__(self, versions: list[FileVersion]) -> None:
        self._siblings = [Sibling(Ino(n), f"f{n}", version) for n, version in enumerate(versions, 1)]

    def siblings(self, _folder: Ino) -> list[Sibling]:
        return self._siblings

    def next_folder(self, _folder: Ino) -> None:
        return None


def test_files_in_a_row_that_are_read_through_are_fetched_ahead_whole(make: Callable[..., Setup]) -> None:
    setup = make()
    data = [content(2 * MIB + n, n) for n in range(8)]
    versions = [setup.box.add(str(n), each, file_id=str(n)) for n, each in enumerate(data)]
    setup.reading.watch(Folder(versions))
    for n, version in enumerate(versions[:5]):
        setup.reading.opened(Ino(100), Ino(n + 1))
        reader = setup.open(version)
        assert read_through(reader, version.size) == data[n]
        reader.close()
    until(lambda: all(setup.reading.cached_bytes(version) == version.size for version in versions[5:7]))
    assert {name for name, *_ in setup.box.asked} >= {"5", "6"}
