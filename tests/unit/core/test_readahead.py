"""What counts as a run: the reads that are told apart cheaply are told apart as all others are."""

from __future__ import annotations

import random

import pytest

from boxfs.core.readahead import FIRST, MIB, NEAR, Sequence, Sequences

SIZE = 200 * MIB
FEW = 4096


def ask(sequences: Sequences, start: int, stop: int) -> tuple[int, int] | None:
    """Read [start, stop), all of which is at hand, as a reader does; return what it fetches ahead."""
    if sequences.is_alone(start, stop):
        return None
    ahead = sequences.of(start).advance(start, stop)
    return None if ahead is None else (ahead.start, ahead.stop)


def test_a_run_that_begins_in_the_middle_is_known_at_its_second_read() -> None:
    sequences = Sequences(SIZE)
    start = 50 * MIB
    assert ask(sequences, start, start + NEAR) is None
    assert ask(sequences, start + NEAR, start + 2 * NEAR) == (start + 2 * NEAR, start + 2 * NEAR + FIRST)


def test_a_run_from_the_begin_is_one_with_its_first_read() -> None:
    sequences = Sequences(SIZE)
    assert not sequences.is_alone(0, NEAR)
    sequences.of(0).advance(0, NEAR)
    assert not sequences.is_alone(NEAR, 2 * NEAR)
    assert sequences.of(NEAR).from_begin


def test_reads_here_and_there_stay_alone_between_two_runs() -> None:
    """Two readers of a run each, and one that jumps about: both runs go on being known."""
    sequences = Sequences(SIZE)
    places = random.Random(1)
    one, two = 20 * MIB, 120 * MIB
    ahead = []
    for step in range(64):
        ahead += [ask(sequences, at + step * NEAR, at + (step + 1) * NEAR) for at in (one, two)]
        for _ in range(2):  # few enough between two reads of a run for both to be remembered
            at = 160 * MIB + places.randrange(0, 40 * MIB, NEAR * 4)
            ask(sequences, at, at + FEW)
    reached = [max(each[1] for each in ahead if each and (each[0] < 100 * MIB) == low) for low in (True, False)]
    assert reached[0] > one + 64 * NEAR
    assert reached[1] > two + 64 * NEAR


@pytest.mark.parametrize("seed", range(20))
def test_reads_told_apart_cheaply_give_what_all_others_give(seed: int) -> None:
    """Whether the second of two reads goes on with the first does not depend on the way that it is found out.

    But for one that lies before the first, which is not enough of a run for who found all that it wanted.
    """
    places = random.Random(seed)
    first = places.randrange(FEW, SIZE // 2, FEW)
    second = first + places.choice([places.randrange(-3 * NEAR, 3 * NEAR, FEW), places.randrange(SIZE // 3)])
    second = max(second, FEW)
    cheap, plain = Sequences(SIZE), Sequences(SIZE)
    ask(cheap, first, first + FEW)
    plain.of(first).advance(first, first + FEW)
    expected = plain.of(second).advance(second, second + FEW) if second >= first + FEW else None
    assert ask(cheap, second, second + FEW) == (None if expected is None else (expected.start, expected.stop))


def test_a_long_run_has_as_much_ahead_as_comes_while_it_asks() -> None:
    """Of 12 MiB that come in the time of an answer, a window of 2 or 4 would be waited for again and again."""
    sequence = Sequences(SIZE).of(0)
    for stop in range(NEAR, MIB + NEAR, NEAR):
        ahead = sequence.advance(stop - NEAR, stop, 8, 12 * MIB)
        if stop < MIB * 3 // 4:  # who reads only the begin of a file gets no more of it than otherwise
            assert ahead is None or ahead.stop <= stop + 2 * MIB
    assert sequence.advance(MIB, MIB + NEAR, 8, 12 * MIB) is None  # it is all on its way
    assert sequence.goes_on(MIB + NEAR)
    asked = [sequence.advance(at, at + MIB, 8, 12 * MIB) for at in range(MIB + NEAR, 12 * MIB, MIB)]
    assert {each.piece for each in asked if each} <= {4 * MIB, 8 * MIB}


def test_a_line_that_brings_little_while_it_asks_gets_what_it_always_got() -> None:
    def asked(meanwhile: int) -> list[object]:
        sequence = Sequences(SIZE).of(0)
        return [sequence.advance(stop - NEAR, stop, 8, meanwhile) for stop in range(NEAR, 60 * MIB, NEAR)]

    assert asked(MIB // 2) == asked(0)


class Watched(Sequence):
    """Notes all that others may see of where it goes on."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "next":
            self.__dict__.setdefault("seen", []).append(value)


def test_who_reads_at_the_same_time_never_sees_a_run_go_back() -> None:
    sequence = Watched(SIZE)
    for start in (0, MIB, 3 * MIB // 2, 2 * MIB, 3 * MIB, 5 * MIB // 2, 4 * MIB, 2 * MIB):
        sequence.advance(start, start + MIB // 2)
    seen: list[int] = [each for each in sequence.__dict__["seen"] if each is not None]
    assert seen == sorted(seen)
    assert sequence.from_begin


def test_a_part_that_others_overtook_ends_no_run() -> None:
    sequence = Sequences(SIZE).of(0)
    for start in (0, MIB, 3 * MIB, 2 * MIB, 4 * MIB):
        sequence.advance(start, start + MIB)
    assert sequence.from_begin
    late = sequence.advance(5 * MIB, 6 * MIB)
    assert sequence.advance(3 * MIB, 4 * MIB) is None
    assert sequence.from_begin
    assert late is not None
    assert sequence.goes_on(6 * MIB)
    sequence.advance(100 * MIB, 101 * MIB)
    assert not sequence.from_begin
