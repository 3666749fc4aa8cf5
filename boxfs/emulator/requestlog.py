"""The request log: what was asked, how it went, and counts by endpoint: where tests read their call budgets."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

_RULES = (
    (re.compile(r"^/(?:dl|shared)/.*$"), "/dl"),
    (re.compile(r"(?<=/upload_sessions/)[^/]+"), "{session}"),
    (re.compile(r"(?<=/zip_downloads/)[^/]+"), "{id}"),
    (re.compile(r"(?<=/)\d+(?=/|$)"), "{id}"),
)


def path_template(path: str) -> str:
    """`/2.0/files/123/content` -> `/2.0/files/{id}/content`.  Download URLs are all `/dl`."""
    for pattern, word in _RULES:
        path = pattern.sub(word, path)
    return path


@dataclass(slots=True)
class Entry:
    """One request.

    status: 0 when the connection ended without a reply.  bytes_*: of the bodies.  agent: the client's User-Agent.
    """

    number: int
    time: float
    method: str
    path: str
    query: str
    template: str
    status: int
    bytes_in: int
    bytes_out: int
    user: str | None
    seconds: float
    fault: str | None
    range: str | None
    connection: str
    agent: str | None


class RequestLog:
    """The last `keep` entries and the counts of all since the last clear.  Safe from any thread."""

    def __init__(self, keep: int = 50_000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=keep)  # guarded by _lock
        self._counts: Counter[str] = Counter()  # guarded by _lock
        self._number = 0  # guarded by _lock

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._number += 1
            entry.number = self._number
            self._entries.append(entry)
            self._counts[f"{entry.method} {entry.template}"] += 1

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._counts.clear()

    def report(self, since: int = 0, limit: int | None = None) -> dict[str, Any]:
        """{"total", "counts": {"GET /2.0/files/{id}": n}, "last": number of the newest, "entries": after `since`}."""
        with self._lock:
            entries = [asdict(e) for e in self._entries if e.number > since]
            counts = dict(sorted(self._counts.items()))
            last = self._number
        return {
            "total": sum(counts.values()),
            "counts": counts,
            "last": last,
            "entries": entries if limit is None else entries[len(entries) - limit :] if limit else [],
        }
