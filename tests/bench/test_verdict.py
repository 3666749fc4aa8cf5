"""Which runs are quicker, and when that is noise."""

from __future__ import annotations

from bench.verdict import chance, quicker


def test_chance_is_that_of_the_exact_test() -> None:
    # Of the 252 orders of five and five, two are as uneven as no overlap at all.
    assert chance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == 2 / 252
    assert chance([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == 2 / 252
    assert chance([1, 4, 5, 8], [2, 3, 6, 7]) == 1.0
    assert chance([1, 1, 1, 1], [1, 1, 1, 1]) == 1.0


def test_many_runs_are_judged_by_the_normal_distribution() -> None:
    one, other = [float(n) for n in range(15)], [n + 20.0 for n in range(15)]
    assert chance(one, other) < 0.0001
    assert chance(one, one) > 0.9


def test_five_runs_that_overlap_by_one_are_still_told_apart_and_by_half_are_not() -> None:
    assert quicker([1.0, 1.1, 1.2, 1.3, 1.5], [1.4, 1.6, 1.7, 1.8, 1.9])
    assert not quicker([1.4, 1.6, 1.7, 1.8, 1.9], [1.0, 1.1, 1.2, 1.3, 1.5])
    assert not quicker([1.0, 1.2, 1.4, 1.6, 1.8], [1.1, 1.3, 1.5, 1.7, 1.9])


def test_of_few_runs_only_what_lies_apart_by_a_tenth_counts() -> None:
    assert quicker([1.0], [1.2])
    assert not quicker([1.0], [1.05])
    assert quicker([1.0, 1.1, 1.0], [1.3, 1.2, 1.4])
    assert not quicker([1.0, 1.25, 1.0], [1.3, 1.2, 1.4])


def test_nothing_is_quicker_than_what_has_failed() -> None:
    assert not quicker([], [1.0])
    assert not quicker([1.0], [])
