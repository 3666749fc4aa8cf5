from __future__ import annotations

import pytest

from boxfs.api.cancel import Cancelled
from boxfs.api.http import Bytes, Lost, NotSent, Request, TimedOut, Untrusted
from boxfs.api.retry import Backoff, Retrying, schedule
from boxfs.base.errors import InDoubt, RateLimited, Unreachable
from tests.unit.api.scripted import Answer, Scripted, reply

READ = Request("GET", "http://box.test/2.0/files/7", repeatable=True)
WRITE = Request("POST", "http://box.test/2.0/folders", body=Bytes(b"{}"))


def retrying(*answers: Answer, patience_s: float = 300) -> tuple[Retrying, Scripted, list[float]]:
    script, waits = Scripted(*answers), list[float]()
    backoff = Backoff(attempts=3, first_s=1, patience_s=patience_s)
    return Retrying(script, backoff=backoff, wait=waits.append, jitter=lambda: 0.0), script, waits


def later(status: int, seconds: str) -> Answer:
    return reply(status, {"type": "error", "message": "later"}, {"Retry-After": seconds})


def test_the_schedule_doubles_with_jitter_and_ends() -> None:
    steps = Backoff(attempts=4, first_s=1, cap_s=3)
    assert list(schedule(steps, lambda: 0.0)) == [0.5, 1.0, 1.5, 1.5]
    assert list(schedule(steps, lambda: 1.0)) == [1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
def test_429_is_asked_again_after_exactly_the_time_that_box_named(request_: Request) -> None:
    transport, script, waits = retrying(later(429, "7"), reply(200))
    assert transport.send(request_).status == 200
    assert waits == [7.0]
    assert len(script.asked) == 2


def test_a_read_is_repeated_whatever_went_wrong() -> None:
    transport, _, waits = retrying(Lost("gone"), reply(500), later(503, "4"), reply(200))
    assert transport.send(READ).status == 200
    assert waits == [0.5, 1.0, 4.0]


def test_silence_is_borne_twice_and_not_as_often_as_an_answer_that_fails() -> None:
    """Each silence lasts as long as anybody is told to wait for Box."""
    transport, script, _ = retrying(TimedOut("silent"), reply(200))
    assert transport.send(READ).status == 200
    transport, script, _ = retrying(TimedOut("silent"), Lost("gone"), TimedOut("silent"), reply(200))
    with pytest.raises(TimedOut):
        transport.send(READ)
    assert len(script.asked) == 3


@pytest.mark.parametrize(
    "answer", [Lost("gone"), reply(500), reply(502), reply(504)], ids=["lost", "500", "502", "504"]
)
def test_a_write_of_unknown_outcome_is_in_doubt_and_never_repeated(answer: Answer) -> None:
    transport, script, _ = retrying(answer)
    with pytest.raises(InDoubt, match="may have been done"):
        transport.send(WRITE)
    assert len(script.asked) == 1


def test_a_write_answered_503_is_in_doubt_only_when_the_time_that_box_named_is_over() -> None:
    transport, script, waits = retrying(later(503, "9"))
    with pytest.raises(InDoubt) as doubt:
        transport.send(WRITE)
    assert (waits, len(script.asked), doubt.value.retry_after_s) == ([9.0], 1, 9.0)


def test_a_write_that_was_certainly_not_done_is_sent_again() -> None:
    blocked = reply(409, {"type": "error", "code": "operation_blocked_temporary"})
    transport, script, _ = retrying(NotSent("refused"), blocked, reply(201))
    assert transport.send(WRITE).status == 201
    assert len(script.asked) == 3


def test_a_name_in_use_is_final() -> None:
    transport, _, waits = retrying(reply(409, {"type": "error", "code": "item_name_in_use"}))
    assert transport.send(WRITE).status == 409
    assert waits == []


def test_202_is_waited_for_only_where_it_means_not_yet() -> None:
    transport, _, waits = retrying(later(202, "2"), reply(200))
    assert transport.send(Request("GET", "http://x/", repeatable=True, wait_on_202=True)).status == 200
    assert waits == [2.0]
    transport, _, waits = retrying(later(202, "2"))
    assert transport.send(WRITE).status == 202


def test_patience_ends_with_the_time_that_box_named() -> None:
    transport, _, waits = retrying(later(429, "20"), later(429, "20"), patience_s=30)
    with pytest.raises(RateLimited) as limited:
        transport.send(READ)
    assert limited.value.retry_after_s == 20
    assert waits == [20.0]


def test_attempts_end_with_the_last_problem() -> None:
    transport, script, _ = retrying(*[NotSent("no connection to box.test")] * 4)
    with pytest.raises(Unreachable, match="no connection"):
        transport.send(WRITE)
    assert len(script.asked) == 4


@pytest.mark.parametrize("error", [Cancelled("x"), Untrusted("x")], ids=["cancelled", "untrusted"])
def test_what_waiting_does_not_mend_is_not_repeated(error: Exception) -> None:
    transport, script, _ = retrying(error)
    with pytest.raises(type(error)):
        transport.send(READ)
    assert len(script.asked) == 1


def test_after_close_nothing_is_sent() -> None:
    transport, script, _ = retrying()
    transport.close()
    with pytest.raises(Cancelled):
        transport.send(READ)
    assert script.closed
