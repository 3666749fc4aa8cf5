"""The log tells when Box goes out of reach, why, and when it answers again: once each, however many calls fail."""

from __future__ import annotations

import logging

import pytest

from boxfs.base.errors import OtherAccount, RateLimited, Unauthorized, Unreachable
from boxfs.core.backoff import SECOND
from boxfs.core.network import Gateway


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10**18

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateway(clock: Clock, caplog: pytest.LogCaptureFixture) -> Gateway:
    caplog.set_level(logging.INFO)
    return Gateway(clock)


def _fails(gateway: Gateway, clock: Clock, error: Exception) -> None:
    """The next probe."""
    clock.now_ns += 10_000 * SECOND
    assert gateway.enter() is None
    gateway.failed(error)


def test_an_outage_is_told_once_and_its_end(gateway: Gateway, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    gateway.answered()
    for what in ("GET /2.0/events", "POST /2.0/folders", "GET /2.0/users/me"):
        _fails(gateway, clock, Unreachable(f"no connection for {what}"))
    assert caplog.messages == ["nothing goes to Box for now: no connection for GET /2.0/events"]
    clock.now_ns += 10_000 * SECOND
    assert gateway.enter() is None
    gateway.answered()
    gateway.answered()
    assert caplog.messages[1:] == ["Box answers again"]


def test_another_reason_is_told_too(gateway: Gateway, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    for error in (Unreachable("away"), Unauthorized("401"), Unauthorized("401"), OtherAccount("it is Ada's")):
        _fails(gateway, clock, error)
    assert [(record.levelname, record.message.partition(": ")[2]) for record in caplog.records] == [
        ("WARNING", "away"),
        ("WARNING", "Box refuses the login: run `boxfs login`, then `boxfs retry`"),
        ("WARNING", "it is Ada's"),
    ]


def test_to_be_told_to_slow_down_is_no_warning(
    gateway: Gateway, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _fails(gateway, clock, RateLimited("slow down", 5.0))
    assert [record.levelname for record in caplog.records] == ["INFO"]
