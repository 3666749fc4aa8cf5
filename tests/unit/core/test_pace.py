"""Over how many connections a file is fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from boxfs.core.pace import FEW, TELLING, TYPICAL, Pace, Timed


def test_a_slow_line_gets_all_connections_at_the_first_sample() -> None:
    pace = Pace(8)
    assert pace.connections == FEW
    pace.note(TELLING, TELLING / 8e6)
    assert pace.connections == 8


def test_a_quick_line_keeps_few_and_comes_back_to_few() -> None:
    pace = Pace(8)
    pace.note(TELLING, TELLING / 500e6)
    assert pace.connections == FEW
    for _ in range(20):
        pace.note(TELLING, TELLING / 10e6)
    assert pace.connections == 8
    for _ in range(20):
        pace.note(TELLING, TELLING / 500e6)
    assert pace.connections == FEW


def test_a_burst_on_a_slow_line_changes_nothing() -> None:
    pace = Pace(8)
    for _ in range(8):
        pace.note(TELLING, TELLING / 10e6)
        pace.note(TELLING, TELLING / 2e9)  # what waited behind a lost packet
    assert pace.connections == 8


def test_the_limit_holds_and_can_change() -> None:
    pace = Pace(1)
    assert pace.connections == 1
    pace.note(TELLING, TELLING / 1e6)
    assert pace.connections == 1
    pace.set_most(6)
    pace.note(TELLING, TELLING / 1e6)
    assert pace.connections == 6


def test_where_answers_take_as_long_as_pieces_there_are_twice_as_many() -> None:
    pace = Pace(8)
    for _ in range(4):
        pace.note_wait(TYPICAL / 300e6)
        pace.note(TELLING, TELLING / 300e6)
    assert pace.connections == 2 * FEW
    assert pace.meanwhile == pytest.approx(TYPICAL, rel=0.01)


def test_a_wait_that_was_longer_once_is_not_what_asking_takes() -> None:
    pace = Pace(8)
    pace.note_wait(3.0)  # a new connection, an address to be asked for first
    pace.note_wait(0.001)
    pace.note(TELLING, TELLING / 300e6)
    assert pace.connections == FEW
    assert pace.meanwhile == pytest.approx(300_000, rel=0.01)


class Line:
    """A download by a clock of its own: an answer after `wait_s`, then `rate` bytes a second in steps of `step`."""

    def __init__(self, wait_s: float, rate: float, step: int, steps: int) -> None:
        self.now = 100.0
        self._wait_s, self._rate, self._step, self._steps = wait_s, rate, step, steps

    def clock(self) -> float:
        return self.now

    def read(self) -> Iterator[int]:
        self.now += self._wait_s
        for _ in range(self._steps):
            self.now += self._step / self._rate
            yield self._step


def test_a_download_is_timed_and_the_wait_for_its_answer_is_no_part_of_its_rate() -> None:
    pace, line = Pace(8), Line(0.5, 300e6, TELLING // 2, 9)
    timed = Timed(line.read(), pace, line.clock)
    while timed.step():
        line.now += 1.0  # what is done with the bytes is not waiting for them
    assert timed.count == 9 * TELLING // 2
    assert timed.wait_s == pytest.approx(0.5 + TELLING / 2 / 300e6)
    assert timed.all_s == pytest.approx(0.5 + 8 + 9 * TELLING / 2 / 300e6)
    assert pace.meanwhile == pytest.approx(timed.wait_s * 300e6, rel=0.01)
