"""Waiting for what other threads do, with patience: a loaded machine is no failure."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0
LOOK_S = 0.002


def until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail where it does not in a minute."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(LOOK_S)
