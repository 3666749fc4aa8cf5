"""When to try again, and whether trying helps: one table from errors to schedules.  Pure.

Box's limits are per account and its quota per month: what cannot succeed is asked seldom, what failed by accident soon.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from boxfs.base.errors import (
    Busy,
    Denied,
    FsError,
    InDoubt,
    InvalidArgument,
    InvalidName,
    Locked,
    NameTooLong,
    NoSpace,
    NotSupported,
    OtherAccount,
    QuotaExceeded,
    RateLimited,
    TooBig,
    Unauthorized,
    Unreachable,
)

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """first_s doubles with each attempt, up to last_s."""

    first_s: float
    last_s: float

    def delay_s(self, attempts: int) -> float:
        """attempts: failures so far, this one included; >= 1."""
        return min(self.first_s * 2.0 ** min(attempts - 1, 30), self.last_s)


PASSING = Schedule(1, 120)
LOCKED = Schedule(30, 600)
LASTING = Schedule(120, 3600)
OFFLINE = Schedule(1, 60)
REFUSED_LOGIN = Schedule(300, 3600)


def schedule_of(error: Exception) -> Schedule:
    match error:
        case Locked():
            return LOCKED
        case Denied() | QuotaExceeded() | TooBig() | InvalidName() | NameTooLong() | InvalidArgument() | NotSupported():
            return LASTING
        case NoSpace():
            return LOCKED
        case _:
            return PASSING


def delay_s(error: Exception, attempts: int, spread: float | None = None) -> float:
    """Seconds until the next attempt; up to a quarter is added, so that a crowd spreads.  spread: in [0, 1)."""
    if isinstance(error, RateLimited):
        return max(error.retry_after_s or PASSING.delay_s(attempts), 0.0)
    base = schedule_of(error).delay_s(attempts)
    return base * (1 + 0.25 * (random.random() if spread is None else spread))


def is_global(error: Exception) -> bool:
    """The error says nothing about the item: the way to Box is closed for everything."""
    return isinstance(error, (Unreachable, RateLimited, Unauthorized)) and not isinstance(error, (InDoubt, Busy))


def reason(error: Exception) -> str:
    """One line for a person: what is wrong, and what to do where something can be done."""
    match error:
        case QuotaExceeded():
            return "the Box account is full: free space there (the trash counts), then `boxfs retry`"
        case TooBig():
            return "the file is larger than the Box plan allows"
        case Locked():
            return "somebody has locked the file at Box; it is tried again from time to time"
        case Denied():
            return f"Box refuses: {error}; ask the owner for the right to write there, then `boxfs retry`"
        case InvalidName() | NameTooLong():
            return f"Box refuses the name: {error}; rename it"
        case OtherAccount():
            return str(error)
        case Unauthorized():
            return "Box refuses the login: run `boxfs login`, then `boxfs retry`"
        case FsError():
            return str(error) or type(error).__name__
        case _:
            return f"internal error: {type(error).__name__}: {error}"
