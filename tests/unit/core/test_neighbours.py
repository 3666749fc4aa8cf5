"""Neighbours: a run of opens is seen in whatever order, and a single open costs nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from boxfs.base.types import Ino, ItemId, VersionId
from boxfs.core.neighbours import HEAD, MOST_AHEAD, MOST_AHEAD_BYTES, Neighbours, Sibling
from boxfs.core.version import FileVersion
from boxfs.core.workers import Workers


class Around:
    """Folders 1000, 2000 ... of files 1001, 1002 ... 2001, 2002 ..."""

    def __init__(self, folders: int, files: int, size: int = 10_000) -> None:
        self.folders, self.files, self.size = folders, files, size
        self.fetched: list[int] = []
        self.counts: list[int] = []
        self.room = True
        self.unlisted: set[int] = set()

    def siblings(self, folder: Ino) -> Sequence[Sibling]:
        if folder in self.unlisted:
            return []
        return [
            Sibling(Ino(folder + n), f"f{n:04}", FileVersion(ItemId(str(folder + n)), VersionId("1"), self.size, None))
            for n in range(1, self.files + 1)
        ]

    def next_folder(self, folder: Ino) -> Ino | None:
        return Ino(folder + 1000) if folder < self.folders * 1000 else None

    def prefetch(self, version: FileVersion, count: int) -> bool:
        if self.room:
            self.fetched.append(int(version.file_id))
            self.counts.append(count)
        return self.room


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers("test", background=2, most=4)
    yield made
    made.close()


def play(neighbours: Neighbours, inos: Sequence[int]) -> None:
    for ino in inos:
        neighbours.opened(Ino(ino - ino % 1000), Ino(ino))
        deadline = time.monotonic() + 60
        while neighbours._thinking:
            assert time.monotonic() < deadline
            time.sleep(0.0005)


def test_three_in_a_row_make_a_run_and_what_is_ahead_grows_with_it(workers: Workers) -> None:
    around = Around(1, 200)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, [1001, 1002])
    assert around.fetched == []
    play(neighbours, [1003])
    assert around.fetched == [1004, 1005, 1006, 1007]
    play(neighbours, range(1004, 1201))
    assert around.fetched == list(range(1004, 1201))


@pytest.mark.parametrize("step", [-1, 3])
def test_names_passed_over_and_other_orders_are_runs_too(workers: Workers, step: int) -> None:
    around = Around(1, 200)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, range(1200, 1000, -1) if step < 0 else range(1001, 1200, step))
    assert len(around.fetched) > 150
    assert len(set(around.fetched)) == len(around.fetched)


def test_opens_here_and_there_fetch_nothing(workers: Workers) -> None:
    around = Around(3, 200)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, [1001, 1100, 2050, 1030, 1031, 1001, 1001, 1001, 3001, 1199])
    assert around.fetched == []


def read_through(neighbours: Neighbours, around: Around, ino: int) -> None:
    """A program reads the file to its end before it opens another."""
    version = next(each.version for each in around.siblings(Ino(ino - ino % 1000)) if each.ino == ino)
    neighbours.was_read(version)


def test_of_large_files_the_head_is_fetched_and_no_more_than_fits(workers: Workers) -> None:
    around = Around(1, 90, size=40 << 20)
    play(Neighbours(around, around.prefetch, workers), range(1001, 1041))
    assert around.fetched == list(range(1004, 1004 + len(around.fetched)))
    assert set(around.counts) == {HEAD}
    assert 30 <= len(around.fetched) - 37 <= MOST_AHEAD_BYTES // HEAD + 1


def test_large_files_that_are_read_to_their_end_are_fetched_ahead_as_far(workers: Workers) -> None:
    around = Around(1, 90, size=5 << 20)
    neighbours = Neighbours(around, around.prefetch, workers)
    for ino in range(1001, 1040):
        play(neighbours, [ino])
        read_through(neighbours, around, ino)
    assert set(around.counts[10:]) == {5 << 20}
    assert 4 <= max(around.fetched) - 1039 <= MOST_AHEAD_BYTES // (5 << 20) + 1
    play(neighbours, range(1040, 1060))  # and is no longer read: heads are enough
    del around.counts[:]
    play(neighbours, range(1060, 1070))
    assert set(around.counts) == {HEAD}


def test_eight_programs_side_by_side_read_large_files_to_their_end(workers: Workers) -> None:
    around = Around(1, 90, size=5 << 20)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, range(1001, 1009))
    for ino in range(1009, 1070):
        read_through(neighbours, around, ino - 8)
        play(neighbours, [ino])
    assert set(around.counts[-20:]) == {5 << 20}


def test_a_walk_goes_on_in_the_next_folder_before_it_is_opened(workers: Workers) -> None:
    around = Around(25, 20)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, range(1001, 1016))
    assert max(around.fetched) > 2000
    play(neighbours, range(1016, 1021))
    for folder in range(2000, 26000, 1000):
        assert folder + 1 in around.fetched
        play(neighbours, range(folder + 1, folder + 21))
    assert len(around.fetched) == len(set(around.fetched)) == 500 - 3


def test_a_folder_that_is_listed_only_when_the_walk_comes_to_it_is_fetched_ahead_all_the_same(workers: Workers) -> None:
    around = Around(3, 20)
    around.unlisted = {2000, 3000}
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, range(1001, 1021))
    assert max(around.fetched) == 1020
    around.unlisted = set()
    play(neighbours, [2001])
    assert set(range(2002, 2020)) <= set(around.fetched)


def test_what_is_ahead_is_bounded_and_waits_for_room(workers: Workers) -> None:
    around = Around(1, 900)
    neighbours = Neighbours(around, around.prefetch, workers)
    play(neighbours, range(1001, 1200))
    assert max(around.fetched) <= 1199 + MOST_AHEAD
    around.room = False
    before = len(around.fetched)
    play(neighbours, range(1200, 1210))
    assert len(around.fetched) == before
    around.room = True
    play(neighbours, [1210])
    assert len(around.fetched) > before
