"""Conflict names: what the loser of a conflict is called."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

_SECOND = 1_000_000_000
_IS_COPY = re.compile(r" \(conflicted copy [^()]* \d{4}-\d\d-\d\d(?: \d+)?\)")
MAX_BYTES = 255


def conflict_name(name: str, host: str, now_ns: int, taken: Callable[[str], bool]) -> str:
    """Return "name (conflicted copy HOST DATE).ext", with a number where that is taken too.

    A conflict copy of a conflict copy is named as one of the original.  The stem is cut where the whole would be longer
    than a name may be (255 bytes).
    """
    name = _IS_COPY.sub("", name)
    stem, dot, end = name.rpartition(".")
    if not dot or not stem:
        stem, end = name, ""
    else:
        end = "." + end
    date = time.strftime("%Y-%m-%d", time.localtime(now_ns / _SECOND))
    number = 1
    while True:
        mark = f" (conflicted copy {host} {date}{f' {number}' if number > 1 else ''})"
        room = MAX_BYTES - len((mark + end).encode("utf-8", "surrogateescape"))
        cut = stem
        while len(cut.encode("utf-8", "surrogateescape")) > max(room, 1):
            cut = cut[:-1]
        candidate = f"{cut}{mark}{end}"
        if not taken(candidate):
            return candidate
        number += 1
