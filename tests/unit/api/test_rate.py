from __future__ import annotations

import threading

import pytest

from boxfs.api.cancel import Cancelled
from boxfs.api.http import Cost, Priority
from boxfs.api.rate import WINDOW_S, Limiter

FOREGROUND, BACKGROUND = Priority.FOREGROUND, Priority.BACKGROUND


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def delay(limiter: Limiter, priority: Priority = FOREGROUND, cost: Cost = Cost.CALL) -> float:
    return limiter._delay_locked(cost, priority)


def test_a_window_never_holds_more_than_its_limit() -> None:
    clock = Clock()
    limiter = Limiter({Cost.CALL: 3}, clock)
    for _ in range(3):
        limiter.acquire(Cost.CALL, FOREGROUND)
        clock.now += 10
    assert delay(limiter) == WINDOW_S - 30
    assert delay(limiter, cost=Cost.UPLOAD) == 0
    clock.now += WINDOW_S - 30
    assert delay(limiter) == 0
    limiter.acquire(Cost.CALL, FOREGROUND)
    assert delay(limiter) == 10


def test_background_work_leaves_a_tenth_to_people() -> None:
    limiter = Limiter({Cost.CALL: 10}, Clock())
    for _ in range(9):
        limiter.acquire(Cost.CALL, BACKGROUND)
    assert delay(limiter, BACKGROUND) == WINDOW_S
    assert delay(limiter, FOREGROUND) == 0


def test_a_pause_that_box_asked_for_holds_everybody() -> None:
    clock = Clock()
    limiter = Limiter({}, clock)
    limiter.pause(Cost.UPLOAD, 5)
    limiter.pause(Cost.UPLOAD, 2)
    assert delay(limiter, cost=Cost.UPLOAD) == 5
    assert delay(limiter, cost=Cost.CALL) == 0
    clock.now += 5
    assert delay(limiter, cost=Cost.UPLOAD) == 0


def test_closing_wakes_who_waits() -> None:
    limiter = Limiter({Cost.CALL: 1})
    limiter.acquire(Cost.CALL, FOREGROUND)
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            limiter.acquire(Cost.CALL, BACKGROUND)
        except Cancelled as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    limiter.close()
    waiter.join(30)
    assert len(outcome) == 1
    with pytest.raises(Cancelled):
        limiter.acquire(Cost.CALL, FOREGROUND)
