"""How much a read here and there fetches: what comes in the time that asking takes, once it is worth it."""

from __future__ import annotations

from boxfs.core.reach import MOST, REST, WORTH_NAMING, Reach
from boxfs.store.segment import BLOCK

MIB = 1 << 20
SIZE = 64 * MIB
WAIT_S = 0.05


def fetches(reach: Reach, count: int, rate: float, wait_s: float = WAIT_S) -> list[int]:
    """Fetch so many times what it says; return what that was."""
    made = []
    for _ in range(count):
        made.append(reach.bytes)
        reach.note(reach.bytes, wait_s, wait_s + reach.bytes / rate)
    return made


def test_nothing_grows_before_a_part_worth_the_name_was_asked_for() -> None:
    reach = Reach(SIZE, fits=True)
    first = SIZE // WORTH_NAMING // BLOCK
    assert fetches(reach, first, 400e6) == [BLOCK] * first
    assert reach.bytes > BLOCK
    large = Reach(100 * 1024 * MIB, fits=True)
    assert set(fetches(large, 1000, 400e6)) == {BLOCK}


def test_it_grows_to_what_comes_while_it_asks_and_no_further() -> None:
    quick = Reach(SIZE, fits=True)
    fetches(quick, 20, 400e6)
    assert quick.bytes == MOST
    slow = Reach(SIZE, fits=True)
    fetches(slow, 40, 20e6)  # 1 MB in that time
    assert BLOCK < slow.bytes <= 2 * MIB


def test_it_shrinks_where_the_line_has_become_slow() -> None:
    reach = Reach(SIZE, fits=True)
    fetches(reach, 20, 400e6)
    fetches(reach, 10, 1e6)
    assert reach.bytes == BLOCK


def test_answers_that_come_at_once_are_not_worth_bytes() -> None:
    reach = Reach(SIZE, fits=True)
    assert set(fetches(reach, 100, 1e9, wait_s=0.001)) == {BLOCK}


def test_one_quick_answer_says_what_asking_takes() -> None:
    """Others waited for an address, a new connection, or each other."""
    reach = Reach(SIZE, fits=True)
    reach.note(BLOCK, 0.001, 0.002)
    for _ in range(6):
        reach.note(BLOCK, 0.3, 0.31)
    assert reach.bytes == BLOCK


def test_a_file_that_the_cache_cannot_keep_gets_what_is_asked_for() -> None:
    reach = Reach(SIZE, fits=False)
    assert set(fetches(reach, 300, 400e6)) == {BLOCK}
    assert reach.rest() is None


def test_what_is_fetched_lies_around_the_read_and_meets_end_to_end() -> None:
    reach = Reach(SIZE - 5, fits=True)
    assert reach.around(5 * BLOCK + 7, 5 * BLOCK + 9) == (5 * BLOCK, 6 * BLOCK)
    assert reach.around(6 * BLOCK - 1, 6 * BLOCK + 1) == (5 * BLOCK, 7 * BLOCK)
    fetches(reach, 20, 400e6)
    assert reach.around(9 * MIB, 9 * MIB + 1) == (8 * MIB, 12 * MIB)
    assert reach.around(SIZE - 10, SIZE - 5) == (60 * MIB, SIZE - 5)


def test_the_rest_comes_when_half_was_asked_for() -> None:
    reach = Reach(SIZE, fits=True)
    fetched = 0
    while fetched < SIZE // 2:
        assert reach.rest() is None
        fetched += sum(fetches(reach, 1, 400e6))
    assert reach.rest() == (0, REST)
    reach.came(3 * MIB)  # there was no memory for more
    assert reach.rest() == (3 * MIB, 3 * MIB + REST)
    reach.came(3 * MIB + REST)
    assert reach.rest() == (3 * MIB + REST, SIZE)
    reach.came(SIZE)
    assert reach.rest() is None


def test_on_a_slow_line_the_rest_stays_where_it_is() -> None:
    reach = Reach(SIZE, fits=True)
    fetches(reach, 400, 1e6)
    assert reach.rest() is None
