"""Over how many connections a file is fetched."""

from boxfs.core.pace import FEW, TELLING, Pace


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
