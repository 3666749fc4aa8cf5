"""The running sha1: bytes in order, as they come, and once more where some of them came again."""

from __future__ import annotations

import hashlib

from boxfs.core.digest import RunningDigest

DATA = bytes(range(256)) * 4096


class Held:
    """What is at hand: `data` from the begin on to `until`."""

    def __init__(self, data: bytes, until: int) -> None:
        self.data, self.until = data, until

    def read_ready(self, buffer: memoryview, offset: int) -> int:
        piece = self.data[offset : min(offset + len(buffer), self.until)]
        buffer[: len(piece)] = piece
        return len(piece)


def digest() -> RunningDigest:
    return RunningDigest(len(DATA), hashlib.sha1(DATA).hexdigest())


def test_what_is_offered_in_order_needs_nothing_at_hand() -> None:
    found, nothing = digest(), Held(DATA, 0)
    view = memoryview(DATA)
    assert found.is_right(nothing.read_ready) is None
    found.offer(500_000, view[500_000:])  # not its turn
    found.offer(0, view[:300_000])
    found.offer(0, view[:500_000])  # the same piece, grown
    assert not found.has_proved()
    found.offer(500_000, view[500_000:])
    assert found.has_proved()
    assert found.is_right(nothing.read_ready) is True


def test_it_goes_on_with_what_is_at_hand() -> None:
    found, held = digest(), Held(DATA, 400_000)
    found.go_on(held.read_ready)
    assert found.is_right(held.read_ready) is None
    held.until = len(DATA)
    assert found.is_right(held.read_ready) is True


def test_other_bytes_are_not_right() -> None:
    assert digest().is_right(Held(bytes(len(DATA)), len(DATA)).read_ready) is False


def test_bytes_that_come_again_are_hashed_again() -> None:
    held = Held(DATA, len(DATA))
    found = digest()
    found.go_on(held.read_ready)
    assert found.has_proved()
    held.data = DATA[:600_000] + bytes(len(DATA) - 600_000)
    found.doubt(600_000)
    assert not found.has_proved()
    assert found.is_right(held.read_ready) is False


def test_bytes_that_come_for_the_first_time_raise_no_doubt() -> None:
    found = digest()
    found.offer(0, memoryview(DATA)[:500_000])
    found.doubt(500_000)
    found.offer(500_000, memoryview(DATA)[500_000:])
    assert found.has_proved()


def test_who_was_reading_is_proved_although_others_fetch_the_begin_again() -> None:
    """The cache is too small: what the first reader had is gone from it, and a second one begins."""
    found, nothing, view = digest(), Held(DATA, 0), memoryview(DATA)
    found.offer(0, view[:700_000])
    found.doubt(0)
    found.offer(0, view[:100_000])
    found.offer(700_000, memoryview(bytes(len(DATA) - 700_000)))
    assert found.is_right(nothing.read_ready) is False


def test_a_second_pass_is_proved_as_it_comes() -> None:
    found, nothing, view = digest(), Held(DATA, 0), memoryview(DATA)
    found.offer(0, view)
    for right in (True, False):
        found.doubt(0)
        found.offer(0, view[:300_000])
        found.offer(300_000, view[300_000:] if right else memoryview(bytes(len(DATA) - 300_000)))
        assert found.is_right(nothing.read_ready) is right
