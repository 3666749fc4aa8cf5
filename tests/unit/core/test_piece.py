"""Piece: who copies without a lock gets bytes that have arrived, whatever happens to the memory meanwhile."""

from __future__ import annotations

import pytest

from boxfs.core.piece import Piece

OLD, NEW = b"o" * 100, b"n" * 100


class Overtaken(Piece):
    """Another connection takes over, and brings more, right after `field` was looked at."""

    field = ""

    def __getattribute__(self, name: str) -> object:
        value = object.__getattribute__(self, name)
        if name == type(self).field and self.attempt == 0:
            self.attempt = 1
            self.buffer = memoryview(bytearray(OLD[:40] + NEW[40:]))
            self.arrived = 100
        return value


@pytest.mark.parametrize("field", ["arrived", "buffer"])
def test_a_copy_while_another_connection_takes_over_has_no_byte_that_did_not_arrive(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = Overtaken(0, 100, sticky=False)
    piece.buffer = memoryview(bytearray(OLD[:40] + bytes(60)))
    piece.arrived = 40
    monkeypatch.setattr(Overtaken, "field", field)
    got = bytearray(100)
    count = piece.copy_into(memoryview(got), 0)
    assert got[:count] == (OLD[:40] + NEW[40:])[:count]
    assert count >= 40


def test_memory_that_serves_another_meanwhile_is_not_taken() -> None:
    class Gone(Piece):
        def __getattribute__(self, name: str) -> object:
            value = object.__getattribute__(self, name)
            if name == "buffer" and value is not None:
                self.buffer = None
            return value

    piece = Gone(0, 100, sticky=False)
    piece.buffer = memoryview(bytearray(OLD))
    piece.arrived = 100
    assert piece.copy_into(memoryview(bytearray(100)), 0) == 0
